//! Prices by hand: names, days, tiers, contexts, factors, fees, currencies and the operator's own file.

mod real_names;
mod updates;
mod windows;

use super::*;
use crate::units::money::{MicroCents, PicoUsd};
use crate::units::time::Timestamp;

fn book() -> PriceBook {
    PriceBook::load(None).unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

fn at(day: &str) -> Timestamp {
    format!("{day}T12:00:00Z").parse().expect("a day")
}

#[test]
fn names_are_found_exactly_dated_aliased_and_fine_tuned() {
    let book = book();
    for (vendor, name, id) in [
        ("openai", "gpt-5.5", "gpt-5.5"),
        ("openai", "gpt-5.5-2026-04-23", "gpt-5.5"),
        ("openai", "gpt-6-astra-2026-11-01", "gpt-6-astra"),
        ("openai", "gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("openai", "ft:gpt-4o-mini-2024-07-18:acme::abc", "ft:gpt-4o-mini-2024-07-18"),
        ("openai", "text-embedding-3-small", "text-embedding-3-small"),
        ("anthropic", "claude-haiku-5-5-20260901", "claude-haiku-5-5"),
        ("anthropic", "claude-opus-5.5", "claude-opus-5-5"),
        ("anthropic", "claude-3-5-haiku-latest", "claude-3-5-haiku"),
    ] {
        assert_eq!(book.find(vendor, name).map(|row| &*row.id), Some(id), "{name}");
    }
    for (vendor, name) in [
        ("openai", "gpt-9"),
        ("openai", ""),
        ("openai", "claude-opus-5-5"),
        ("nobody", "gpt-5.5"),
        ("openai", "ft:gpt-6-astra:x"),
    ] {
        assert!(book.find(vendor, name).is_none(), "{name}");
    }
}

#[test]
fn a_price_depends_on_day_tier_and_context() {
    let book = book();
    let luna = book.find("openai", "gpt-5.6-luna").expect("in the book");
    let input = |day, tier, prompt| luna.rates(at(day), tier, prompt).and_then(|r| r.get(Kind::Input)).map(|p| p.0);
    // USD per million tokens is pico-dollars per token, times a million.
    assert_eq!(input("2026-07-29", None, 1), Some(1_000_000));
    assert_eq!(input("2026-07-30", None, 1), Some(200_000));
    assert_eq!(input("2026-11-21", Some("default"), 272_000), Some(200_000));
    assert_eq!(input("2026-11-21", Some("default"), 272_001), Some(400_000));
    assert_eq!(input("2026-11-21", Some("flex"), 1), Some(100_000));
    assert_eq!(input("2026-11-21", Some("priority"), 272_001), Some(800_000));
    assert_eq!(input("2026-11-21", Some("warp"), 1), None);
    // A batch may write for twelve hours as well.
    let sol = book.find("openai", "gpt-5.6").and_then(|row| row.rates(at("2026-11-21"), Some("batch"), 272_001));
    assert_eq!(sol.and_then(|rates| rates.get(Kind::CacheWriteLong)), Some(PicoUsd(10_000_000)));
    let mini = book.find("azure", "eu/gpt-4o-mini").and_then(|row| row.rates(at("2026-11-21"), Some("batch"), 1));
    assert_eq!(mini.and_then(|rates| rates.get(Kind::Output)), Some(PicoUsd(330_000)));
    // gpt-5.5 lists no priority rate for long prompts: 12.5 is above the standard 10, and output 75 above 45.
    let long = book
        .find("openai", "gpt-5.5")
        .and_then(|row| row.rates(at("2026-11-21"), Some("priority"), 300_000))
        .expect("priced");
    assert_eq!((long.get(Kind::Input), long.get(Kind::Output)), (Some(PicoUsd(12_500_000)), Some(PicoUsd(75_000_000))));
}

#[test]
fn an_answer_costs_its_kinds_its_factors_and_its_fees() {
    let book = book();
    let now = at("2026-11-21");
    let opus = book.find("anthropic", "claude-opus-5-5").expect("in the book");
    let tokens = Tokens::default()
        .with(Kind::Input, 1000)
        .with(Kind::CacheRead, 10_000)
        .with(Kind::CacheWrite, 2000)
        .with(Kind::CacheWriteLong, 500)
        .with(Kind::Output, 300);
    // 1000*4 + 10000*0.2 + 2000*5 + 500*8 + 300*20 = 26,000 USD per million = 0.026 USD
    let plain = opus.cost(now, &tokens, Served::default()).expect("priced");
    assert_eq!(plain.usd.ceil(), MicroCents(2_600_000));
    // fast doubles, us adds a tenth, two searches at 0.01: 0.026 * 2 * 1.1 + 0.02 = 0.0772
    let served = Served { tier: Some("standard"), factors: &["speed.fast", "geo.us"], fees: &[("web_search", 2)] };
    assert_eq!(opus.cost(now, &tokens, served).map(|p| p.usd.ceil()), Some(MicroCents(7_720_000)));
    assert_eq!(opus.cost(now, &tokens.with(Kind::AudioInput, 1), Served::default()), None);
    assert_eq!(opus.cost(now, &tokens, Served { fees: &[("teleport", 1)], ..Served::default() }), None);
    assert_eq!(
        tokens.counts(7),
        crate::rules::books::TokenCounts { input: 13_500, output: 300, cached: 10_000, reasoning: 7 }
    );
}

#[test]
fn the_dearest_rate_is_never_below_a_rate_that_may_be_served() {
    let book = book();
    let astra = book.find("openai", "gpt-6-astra").expect("in the book");
    let now = at("2026-11-21");
    let input = |asked, prompt| {
        astra.dearest(now, asked, prompt).and_then(|r| r.dearest(&[Kind::Input, Kind::CacheWrite])).map(|p| p.0)
    };
    assert_eq!(input(TierAsked::Named("default"), 1000), Some(12_500_000));
    // A project's default may be the priority tier.
    assert_eq!(input(TierAsked::Auto, 1000), Some(25_000_000));
    assert_eq!(input(TierAsked::Auto, 300_000), Some(50_000_000));
    assert_eq!(input(TierAsked::Named("fast"), 1000), Some(25_000_000));
    assert_eq!(input(TierAsked::Named("ultrafast"), 1000), Some(75_000_000));
    assert_eq!(input(TierAsked::Named("batch"), 1000), Some(75_000_000));
    assert_eq!(input(TierAsked::Named("priority"), 1000), Some(25_000_000));
    assert_eq!(input(TierAsked::Named("Priority"), 1000), Some(75_000_000));
    assert_eq!(input(TierAsked::Named("flex"), 1000), Some(12_500_000));
    // A quarter of an hour before a price changes, both count.
    let luna = book.find("openai", "gpt-5.6-luna").expect("in the book");
    let eve: Timestamp = "2026-07-29T23:50:00Z".parse().expect("an instant");
    let rate = |now| luna.dearest(now, TierAsked::Named("default"), 1).and_then(|r| r.get(Kind::Output)).map(|p| p.0);
    assert_eq!((rate(eve), rate(at("2026-07-30"))), (Some(6_000_000), Some(1_200_000)));
    let dearest = book.dearest("openai").expect("there are models");
    for row in book.shelves_rows("openai") {
        for (tier, prompt) in [("standard", 0), ("standard", 2_000_000), ("flex", 0), ("priority", 2_000_000)] {
            let Some(rates) = row.rates(now, Some(tier), prompt) else { continue };
            let most = dearest.rates(now, Some(tier), prompt).expect("it has every tier");
            assert!(
                rates.get(Kind::Output) <= most.get(Kind::Output) && rates.get(Kind::Input) <= most.get(Kind::Input),
                "{}",
                row.id
            );
        }
    }
}

#[test]
fn the_operators_file_goes_on_top_and_names_its_mistakes() {
    let own = r#"
        [[model]]
        vendor = "openai"
        names = ["gpt-5.5", "house-model"]
        [[model.price]]
        rates = [{ input = "1", output = "2" }]
        [usd_per_unit]
        ugx = "0.00027"
    "#;
    let book = PriceBook::load(Some(("my-prices.toml", own))).expect("well-formed");
    let rate = |name| {
        book.find("openai", name).and_then(|r| r.rates(at("2026-11-21"), None, 1)).and_then(|r| r.get(Kind::Input))
    };
    assert_eq!((rate("gpt-5.5"), rate("house-model")), (Some(PicoUsd(1_000_000)), Some(PicoUsd(1_000_000))));
    assert!(book.hash() != super::tests::book().hash());
    let wrong = own.replace("\"2\"", "\"2,5\"").replace("names = [", "nmaes = [");
    assert!(PriceBook::load(Some(("x.toml", &wrong))).is_err_and(|m| m[0].file == "x.toml"));
    // A currency that is worth nothing would be free.
    let worthless = PriceBook::load(Some(("x.toml", &own.replace("0.00027", "0")))).expect_err("no rate");
    assert_eq!(worthless.iter().map(|m| m.field.as_str()).collect::<Vec<_>>(), ["usd_per_unit.ugx"]);
    let wrong = own.replace("\"2\"", "\"2,5\"").replace("0.00027", "-1");
    let mistakes: Vec<String> =
        PriceBook::load(Some(("x.toml", &wrong))).expect_err("two mistakes").iter().map(ToString::to_string).collect();
    assert_eq!(mistakes.len(), 2);
    // Words that no answer has would leave their rates unused.
    for (wrong, field) in [
        (own.replace("{ input", "{ input = \"1\" }, { tier = \"priorty\", input"), "model[0].price[0].rates[1].tier"),
        (
            own.replace("[[model.price]]", "multipliers = { \"speed_fast\" = \"2\" }\n[[model.price]]"),
            "model[0].multipliers.speed_fast",
        ),
    ] {
        let mistakes = PriceBook::load(Some(("x.toml", &wrong))).expect_err(field);
        assert_eq!(mistakes.iter().map(|m| m.field.as_str()).collect::<Vec<_>>(), [field]);
    }
    assert!(
        mistakes[0].starts_with("x.toml: model[0].price[0].rates[0].output:")
            && mistakes[1].contains("usd_per_unit.ugx")
    );
}

#[test]
fn money_of_other_currencies_is_rounded_up_by_its_own_decimals() {
    let fx = book().fx;
    assert_eq!(fx.usd(1999, "usd"), Some(PicoUsd(19_990_000_000_000)));
    assert_eq!(fx.bound(1999, "USD"), fx.usd(1999, "usd"));
    // 500 JPY * 1.1172 / 175.68 = 3.1796448087431…
    assert_eq!(fx.usd(500, "jpy"), Some(PicoUsd(3_179_644_808_744)));
    // 1.000 BHD is 1/0.376 USD
    assert_eq!(fx.usd(1000, "bhd"), Some(PicoUsd(2_659_574_468_086)));
    // 5% margin, rounded once: 3.3386270491803…
    assert_eq!(fx.bound(500, "JPY"), Some(PicoUsd(3_338_627_049_181)));
    assert_eq!((decimals("isk"), decimals("UGX"), decimals("krw"), decimals("kwd")), (2, 2, 0, 3));
    assert_eq!(fx.usd(1, "xxx"), None);
    assert!(fx.dearest(100) >= fx.bound(100, "gbp"));
}

#[test]
fn no_model_is_priced_beyond_its_longest_prompt() {
    for vendor in ["openai", "anthropic"] {
        for row in book().shelves_rows(vendor) {
            let tiers = row.schedules.iter().flat_map(|s| &s.tiers);
            let above = tiers.map(|tier| tier.above).max().unwrap_or(0);
            assert!(above == 0 || row.limits.max_input().is_none_or(|most| most > above), "{}", row.id);
        }
    }
}
