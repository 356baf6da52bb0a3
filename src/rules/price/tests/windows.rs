//! Prices by hand where hours, days, steps and other units than tokens decide; and what holds for any usage of any row.

use proptest::prelude::*;

use super::super::*;
use crate::units::money::MicroCents;
use crate::units::time::Timestamp;

fn book() -> &'static PriceBook {
    static BOOK: std::sync::LazyLock<PriceBook> = std::sync::LazyLock::new(|| PriceBook::load(None).expect("it ships"));
    &BOOK
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

fn cost(vendor: &str, model: &str, now: &str, tokens: Tokens, served: Served<'_>) -> Option<MicroCents> {
    book().find(vendor, model)?.cost(at(now), &tokens, served).map(|priced| priced.usd.ceil())
}

#[test]
fn deepseek_is_dearer_in_the_peak_hours_of_working_days() {
    let million = Tokens::default().with(Kind::Input, 1_000_000);
    for (now, cents) in [
        // A Friday: 1.32 in the peak, 0.66 else.
        ("2026-11-20T00:59:59Z", 66),
        ("2026-11-20T01:00:00Z", 132),
        ("2026-11-20T03:59:59Z", 132),
        ("2026-11-20T04:00:00Z", 66),
        ("2026-11-20T09:59:59Z", 132),
        ("2026-11-20T10:00:00Z", 66),
        // A Saturday, a holiday, and before there were hours.
        ("2026-11-21T02:00:00Z", 66),
        ("2026-10-01T02:00:00Z", 66),
        ("2026-08-03T02:00:00Z", 44),
        // It began at midnight in Beijing.
        ("2026-08-16T15:59:59Z", 44),
        ("2026-08-16T16:00:00Z", 66),
    ] {
        let cost = cost("deepseek", "deepseek-v4-pro", now, million, Served::default());
        assert_eq!(cost.map(|c| c.0.div_ceil(1_000_000)), Some(cents), "{now}");
    }
    // An earlier price had a peak of its own.
    for (now, cents) in [("2026-09-01T02:00:00Z", 44), ("2026-09-01T05:00:00Z", 22), ("2026-09-11T02:00:00Z", 30)] {
        let cost = cost("deepseek", "deepseek-v4-flash", now, million, Served::default());
        assert_eq!(cost.map(|c| c.0.div_ceil(1_000_000)), Some(cents), "{now}");
    }
    // A quarter of an hour before the peak the bound knows it.
    let row = book().find("deepseek", "deepseek-v4-pro").expect("in the book");
    let rate = |now| row.dearest(at(now), TierAsked::Auto, 1).and_then(|r| r.get(Kind::Input)).map(|p| p.0);
    assert_eq!((rate("2026-11-20T00:44:00Z"), rate("2026-11-20T00:50:00Z")), (Some(660_000), Some(1_320_000)));
    // What runs for a day meets the peak, and what runs longer the next price; not one that is over.
    let within = |vendor: &str, model: &str, now: &str, secs: i64| {
        let row = book().find(vendor, model).expect("in the book");
        row.dearest(at(now), TierAsked::Batch { within: secs }, 1).and_then(|r| r.get(Kind::Input)).map(|p| p.0)
    };
    assert_eq!(within("deepseek", "deepseek-v4-pro", "2026-11-20T11:00:00Z", 600), Some(660_000));
    assert_eq!(within("deepseek", "deepseek-v4-pro", "2026-11-20T11:00:00Z", 90_000), Some(1_320_000));
    let (eve, day) = ("2026-11-30T12:00:00Z", 86_400);
    assert_eq!(within("google", "gemini-4-argon", eve, day / 4), Some(1_000_000));
    assert_eq!(within("google", "gemini-4-argon", eve, day), Some(2_000_000));
    assert_eq!(within("openai", "gpt-5.6-luna", "2026-08-01T00:00:00Z", day), Some(100_000));
}

#[test]
fn a_price_that_changes_on_a_day_changes_in_every_tier() {
    let tokens = Tokens::default().with(Kind::Input, 1000).with(Kind::Output, 100);
    let of = |now, tier| cost("google", "gemini-4-argon", now, tokens, Served { tier, ..Served::default() });
    // 1000 * 2 + 100 * 10, and from December 4 and 20; priority is 1.8 times, flex a half.
    assert_eq!(of("2026-11-30T23:59:59Z", None), Some(MicroCents(300_000)));
    assert_eq!(of("2026-12-01T00:00:00Z", None), Some(MicroCents(600_000)));
    assert_eq!(of("2026-12-01T00:00:00Z", Some("priority")), Some(MicroCents(1_080_000)));
    assert_eq!(of("2026-12-01T00:00:00Z", Some("flex")), Some(MicroCents(300_000)));
}

#[test]
fn steps_begin_where_each_vendor_says() {
    let of = |vendor, model, input| {
        cost(vendor, model, "2026-11-21T12:00:00Z", Tokens::default().with(Kind::Input, input), Served::default())
    };
    // xAI at 200,000 itself; the others above.
    assert_eq!(of("xai", "grok-4.7", 199_999), Some(MicroCents(39_999_800)));
    assert_eq!(of("xai", "grok-4.7", 200_000), Some(MicroCents(80_000_000)));
    assert_eq!(of("anthropic", "claude-haiku-5-5", 100_000), Some(MicroCents(1_000_000)));
    assert_eq!(of("anthropic", "claude-haiku-5-5", 100_001), Some(MicroCents(5_000_050)));
}

#[test]
fn other_units_than_tokens_have_exact_prices() {
    let of = |vendor, model, tokens| cost(vendor, model, "2026-11-21T12:00:00Z", tokens, Served::default());
    let one = |kind, count| Tokens::default().with(kind, count);
    // 0.111 USD an hour: 10 seconds are 0.000308333..., rounded up once.
    assert_eq!(of("groq", "whisper-large-v3", one(Kind::AudioTimeIn, 10_000)), Some(MicroCents(30_834)));
    assert_eq!(of("openai", "whisper-1", one(Kind::AudioTimeIn, 60_000)), Some(MicroCents(600_000)));
    assert_eq!(of("openai", "tts-1", one(Kind::CharactersIn, 1000)), Some(MicroCents(1_500_000)));
    assert_eq!(of("cohere", "rerank-v3.5", one(Kind::SearchUnits, 3)), Some(MicroCents(600_000)));
    assert_eq!(of("mistral", "mistral-ocr-3", one(Kind::Pages, 2)), Some(MicroCents(400_000)));
    // What a model has no price for is not free.
    assert_eq!(of("openai", "tts-1", one(Kind::Pages, 1)), None);
    let picture = Served { fees: &[("image.high.1024x1024", 2)], ..Served::default() };
    assert_eq!(
        cost("openai", "gpt-image-1.5", "2026-11-21T12:00:00Z", Tokens::default(), picture),
        Some(MicroCents(26_600_000))
    );
}

#[test]
fn a_step_may_be_for_the_part_above_alone() {
    let own = r#"
        [[model]]
        vendor = "v"
        names = ["m"]
        price = [{ rates = [{ input = "10" }, { above = 100, scope = "above", input = "1" }] }]
    "#;
    let book = PriceBook::load(Some(("own.toml", own))).expect("well-formed");
    let row = book.find("v", "m").expect("there");
    let of = |input| {
        row.cost(at("2026-11-21T12:00:00Z"), &Tokens::default().with(Kind::Input, input), Served::default())
            .map(|p| p.usd.ceil())
    };
    assert_eq!((of(100), of(150)), (Some(MicroCents(100_000)), Some(MicroCents(105_000))));
    let bound = row.dearest(at("2026-11-21T12:00:00Z"), TierAsked::Auto, 150).and_then(|r| r.get(Kind::Input));
    assert_eq!(bound.map(|p| p.0), Some(10_000_000));
}

#[test]
fn a_run_is_priced_again_from_what_the_books_keep() {
    let now = at("2026-11-21T12:00:00Z");
    let tokens = Tokens::default().with(Kind::Input, 1001).with(Kind::CacheWriteLong, 7).with(Kind::Output, 33);
    let served = Served { tier: Some("standard"), factors: &["geo.us"], fees: &[("web_search", 2), ("web_search", 1)] };
    let row = book().find("anthropic", "claude-opus-5-5").expect("in the book");
    let priced = row.cost(now, &tokens, served).expect("priced");
    let mut kept = run(&"anthropic".into(), "claude-opus-5-5", &tokens, served);
    kept.row = Some(row.id.clone());
    let basis = crate::rules::books::Basis { book: book().hash(), at: now, runs: vec![kept] };
    let text = serde_json::to_string(&basis).expect("text");
    let back: crate::rules::books::Basis = serde_json::from_str(&text).expect("the same");
    assert_eq!((back == basis, book().again(&back)), (true, Some(priced.usd.ceil())));
    assert!(text.len() < 400, "{text}");
}

/// Any row, by its number.
fn rows() -> Vec<&'static std::sync::Arc<Row>> {
    book().vendors().into_iter().flat_map(|vendor| book().shelves_rows(vendor)).collect()
}

proptest! {
    #[test]
    fn more_never_costs_less_and_something_never_nothing(
        pick in any::<prop::sample::Index>(), input in 0_u64..600_000, output in 0_u64..50_000, more in 1_u64..1000,
    ) {
        let rows = rows();
        let row = rows[pick.index(rows.len())];
        let now = at("2026-11-21T12:00:00Z");
        let cost = |input, output| {
            let tokens = Tokens::default().with(Kind::Input, input).with(Kind::Output, output);
            row.cost(now, &tokens, Served::default()).map(|priced| priced.usd)
        };
        let (Some(less), Some(greater)) = (cost(input, output), cost(input + more, output)) else { return Ok(()) };
        prop_assert!(less <= greater, "{}", row.id);
        let free = row.rates(now, None, 0).is_some_and(|r| r.get(Kind::Input).is_some_and(|p| p.0 == 0));
        prop_assert!(free || greater.ceil().0 > 0, "{}", row.id);
        // The bound of the same usage is never below.
        let most = row.dearest(now, TierAsked::Auto, input + output).expect("it has rates");
        let bound = most.cost(&Tokens::default().with(Kind::Input, input).with(Kind::Output, output));
        prop_assert!(bound.is_some_and(|bound| bound >= less), "{}", row.id);
    }

    #[test]
    fn any_name_finds_a_row_or_none(name in "\\PC{0,40}") {
        for vendor in ["openai", "bedrock", "vertex"] {
            let _ = book().find(vendor, &name);
        }
    }
}

#[test]
fn nothing_in_the_book_is_free_that_does_not_say_so() {
    for vendor in book().vendors() {
        for row in book().shelves_rows(vendor) {
            let Some(rates) = row.rates(at("2026-11-21T12:00:00Z"), None, 0) else { continue };
            let free = rates.listed().count() > 0 && rates.listed().all(|(_, pico)| pico.0 == 0);
            assert!(
                !free || row.id.ends_with(":free") || row.id.contains("moderation"),
                "{vendor} {} costs nothing",
                row.id
            );
        }
    }
}

/// Where the book decides otherwise than genai-prices beyond what `differences.md` lists, and why.
const OTHERWISE: [(&str, &str); 6] = [
    // They add the price of a search to every request; here it is a fee, by the size of its context, that the meter counts.
    ("perplexity", "sonar"),
    ("perplexity", "sonar-pro"),
    ("perplexity", "sonar-reasoning"),
    ("perplexity", "sonar-reasoning-pro"),
    // They have no step for long prompts; LiteLLM does.
    ("bedrock", "global.anthropic.claude-sonnet-4-20250514-v1:0"),
    // OpenRouter's name at OpenAI: no model of OpenAI's.
    ("openai", "gpt-4o:extended"),
];

#[test]
fn another_engine_comes_to_the_same_sums() {
    let mut wrong = Vec::new();
    for line in include_str!("oracle.tsv").lines().filter(|line| !line.starts_with('#')) {
        let cells: Vec<&str> = line.split('\t').collect();
        let [vendor, model, ref counts @ ..] = cells[..] else { panic!("{line}") };
        if OTHERWISE.iter().any(|(shelf, name)| (*shelf, *name) == (vendor, model)) {
            continue;
        }
        let counts: Vec<u64> = counts.iter().map(|n| n.parse().expect("a number")).collect();
        let kinds = [Kind::Input, Kind::CacheRead, Kind::CacheWrite, Kind::Output];
        let tokens = kinds.into_iter().zip(&counts).fold(Tokens::default(), |sum, (kind, n)| sum.with(kind, *n));
        let row = book().find(vendor, model);
        let pico = row
            .and_then(|row| row.cost(at("2026-11-21T12:00:00Z"), &tokens, Served::default()))
            .map(|priced| priced.usd.pico().0);
        if pico != Some(u128::from(counts[4])) {
            wrong.push(format!("{line}: {pico:?} by {:?}", row.map(|row| &row.id)));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
