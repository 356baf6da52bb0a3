//! Price lists in each of the forms that `prices update` takes, and what each would change.

use super::super::{Change, PriceBook, Update, update};
use crate::units::time::Timestamp;

fn of(text: &str) -> Update {
    let book = PriceBook::load(None).expect("it ships");
    let now: Timestamp = "2026-11-22T09:00:00Z".parse().expect("an instant");
    update(&book, "list", text, now).unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

fn told(changes: &[Change]) -> Vec<String> {
    let one = |c: &Change| {
        let large = if c.large { " !" } else { "" };
        format!(
            "{}/{} {} {} {} {}->{}{large}",
            c.vendor,
            c.model,
            c.tier,
            c.above,
            c.kind,
            c.old.as_deref().unwrap_or("-"),
            c.new
        )
    };
    changes.iter().map(one).collect()
}

#[test]
fn litellms_list_is_compared_rate_by_rate() {
    let found = of(r#"{
        "sample_spec": {"litellm_provider": "one of", "mode": "one of"},
        "gpt-5.5": {"litellm_provider": "openai", "input_cost_per_token": 6e-06, "output_cost_per_token": 3e-05,
            "input_cost_per_token_above_272k_tokens": 0.00001, "max_input_tokens": 922000},
        "xai/grok-9": {"litellm_provider": "xai", "input_cost_per_token": 1e-06, "input_cost_per_token_above_200k_tokens": 2e-06},
        "deepseek/deepseek-v4-pro": {"litellm_provider": "deepseek", "input_cost_per_token": 9e-06, "off_peak_pricing": {}}
    }"#);
    assert_eq!(found.form, "LiteLLM");
    assert_eq!(
        told(&found.changes),
        [
            "openai/gpt-5.5 standard 0 input 5->6",
            "xai/grok-9 standard 0 input -->1",
            "xai/grok-9 standard 199999 input -->2",
        ]
    );
}

#[test]
fn genai_prices_list_has_days_to_come() {
    let found = of(r#"[{"id": "openai", "api_pattern": "x", "models": [
        {"id": "gpt-5.5", "match": {"or": [{"equals": "gpt-5.5"}, {"starts_with": "x"}]}, "prices": [
            {"prices": {"input_mtok": 5, "output_mtok": 30}},
            {"constraint": {"start_date": "2027-01-01"}, "prices": {"input_mtok": {"base": 12, "tiers": [{"start": 272000, "price": 24}]}}}
        ]}]}]"#);
    assert_eq!(
        told(&found.changes),
        ["openai/gpt-5.5 standard 0 input 5->12 !", "openai/gpt-5.5 standard 272000 input 10->24 !"]
    );
    assert_eq!(found.changes[0].from.as_deref(), Some("2027-01-01"));
}

#[test]
fn openrouters_list_leaves_out_what_varies_and_rounds_noise_away() {
    let found = of(r#"{"data": [
        {"id": "house/auto", "pricing": {"prompt": "-1", "completion": "-1"}},
        {"id": "house/new", "pricing": {"prompt": "0.00000018000000000000002", "completion": "0.0000005", "request": "0"},
         "context_length": 1000, "top_provider": {"max_completion_tokens": 100}}
    ]}"#);
    assert_eq!(
        told(&found.changes),
        ["openrouter/house/new standard 0 input -->0.18", "openrouter/house/new standard 0 output -->0.5"]
    );
}

#[test]
fn a_change_is_a_layer_that_leaves_the_rest_as_it_was() {
    let found = of(r#"{"gpt-5.5": {"litellm_provider": "openai", "input_cost_per_token": 1.1e-05}}"#);
    assert_eq!(told(&found.changes), ["openai/gpt-5.5 standard 0 input 5->11 !"]);
    let text = format!("{{}}\n{}", found.lines.join("\n"));
    let book = PriceBook::load(Some(("prices.jsonl", &text))).expect("it is a book");
    let row = book.find("openai", "gpt-5.5").expect("still there");
    let at = |text: &str| text.parse::<Timestamp>().expect("an instant");
    let input = |now: &str, tier: Option<&str>| {
        row.rates(at(now), tier, 1).and_then(|r| r.get(super::super::Kind::Input)).map(|p| p.0)
    };
    // What was priced before stays as it was; tiers, fees and factors that the list does not name stay too.
    assert_eq!(input("2026-11-22T08:59:59Z", None), Some(5_000_000));
    assert_eq!(input("2026-11-22T09:00:00Z", None), Some(11_000_000));
    assert_eq!(input("2026-11-22T09:00:00Z", Some("flex")), Some(2_500_000));
    assert!(row.fee("web_search").is_some() && row.has_factor("host.eu") && row.limits.max_output().is_some());
    // The operator's own file stays on top of it.
    let own = "[[model]]\nvendor = \"openai\"\nnames = [\"gpt-5.5\"]\nprice = [{ rates = [{ input = \"1\" }] }]";
    let layers: Vec<(&str, &str)> =
        super::super::SHIPPED.into_iter().chain([("prices.jsonl", text.as_str()), ("own", own)]).collect();
    let top = PriceBook::of(&layers).expect("it is a book");
    let rate = top
        .find("openai", "gpt-5.5")
        .and_then(|r| r.rates(at("2026-11-22T10:00:00Z"), None, 1))
        .and_then(|r| r.get(super::super::Kind::Input));
    assert_eq!(rate.map(|p| p.0), Some(1_000_000));
}

#[test]
fn our_own_form_comes_back_as_it_went() {
    let book = PriceBook::load(None).expect("it ships");
    for (vendor, name) in [("deepseek", "deepseek-v4-pro"), ("openai", "gpt-6-astra"), ("groq", "whisper-large-v3")] {
        let row = book.find(vendor, name).expect("in the book");
        let text = format!("{{}}\n{}", row.to_json(vendor, &[name]));
        let again = PriceBook::of(&[("own.jsonl", &text)]).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
        let again = again.find(vendor, name).expect("in the copy");
        assert_eq!(again.to_json(vendor, &[name]), row.to_json(vendor, &[name]));
        assert!(of(&text).changes.is_empty());
    }
    let free = of("[[model]]\nvendor = \"openai\"\nnames = [\"gpt-5.5\"]\nprice = [{ rates = [{ input = \"0\" }] }]");
    let all = told(&free.changes);
    assert_eq!(all[0], "openai/gpt-5.5 standard 0 input 5->0 !");
    // What its row had and this one has not is said as well.
    assert!(all.contains(&"openai/gpt-5.5 standard 0 output 30->gone !".to_owned()), "{all:?}");
    assert!(all.len() > 4 && all[1..].iter().all(|change| change.ends_with(" !")), "{all:?}");
    // A row says where it is from, and keeps its limits, unless the file says otherwise.
    let line: serde_json::Value = serde_json::from_str(&free.lines[0]).expect("JSON");
    assert_eq!((&line["source"], &line["checked"]), (&"prices update: list".into(), &"2026-11-22".into()));
    assert_eq!(line["limits"]["output"], 128_000);
    let own = of(
        "[[model]]\nvendor = \"openai\"\nnames = [\"gpt-5.5\"]\nsource = \"a contract\"\nchecked = \"2026-11-01\"\n\
                  limits = { output = 7 }\nprice = [{ rates = [{ input = \"5\" }] }]",
    );
    let line: serde_json::Value = serde_json::from_str(&own.lines[0]).expect("JSON");
    assert_eq!((&line["source"], &line["checked"]), (&"a contract".into(), &"2026-11-01".into()));
    assert_eq!(line["limits"], serde_json::json!({ "output": 7 }));
}

/// Our own form replaces a row whole: what it leaves out of factors, fees and prices to come is said, and wants a yes.
#[test]
fn what_our_own_form_leaves_out_is_said() {
    let book = PriceBook::load(None).expect("it ships");
    let left = |vendor: &str, name: &str, drop: &[&str]| {
        let row = book.find(vendor, name).expect("in the book");
        let mut line = row.to_json(vendor, &[name]);
        for field in drop {
            line.as_object_mut().expect("an object").remove(*field).unwrap_or_else(|| panic!("{name} has {field}"));
        }
        told(&of(&format!("{{}}\n{line}")).changes)
    };
    assert_eq!(
        left("openai", "gpt-5.5", &["multipliers"]),
        ["openai/gpt-5.5 host.eu 0 multiplier 1.1->gone !", "openai/gpt-5.5 host.us 0 multiplier 1.1->gone !"]
    );
    // The fees of all its vendor's models take the place of its own.
    assert_eq!(left("openai", "gpt-5.5", &["fees"]), ["openai/gpt-5.5 web_search 0 fee 0.01->0.025 !"]);
    let peak = left("deepseek", "deepseek-v4-pro", &[]);
    assert_eq!(peak, Vec::<String>::new());
    let mut row = book.find("google", "gemini-4-argon").expect("in the book").to_json("google", &["gemini-4-argon"]);
    let prices = row["price"].as_array_mut().expect("a list");
    let later = prices.iter().filter(|price| price["from"].as_str().is_some_and(|day| day > "2026-11-22")).count();
    assert!(later > 0, "it doubles soon");
    prices.retain(|price| price["from"].as_str().is_none_or(|day| day <= "2026-11-22"));
    let found = of(&format!("{{}}\n{row}"));
    assert!(
        !found.changes.is_empty() && found.changes.iter().all(|c| c.new == "gone" && c.large),
        "{:?}",
        found.changes
    );
    assert!(found.changes.iter().all(|change| change.from.as_deref() == Some("2026-12-01")), "{:?}", found.changes);
}

/// So is what comes later and costs nothing, or far less.
#[test]
fn prices_to_come_and_certain_hours_are_compared_too() {
    let later = of("[[model]]\nvendor = \"google\"\nnames = [\"gemini-4-argon\"]\nprice = [\
        { rates = [{ input = \"2\", cache_read = \"0.1\", output = \"10\", audio_input = \"2\", audio_cached = \"0.1\" }] },\
        { from = \"2026-12-01\", rates = [{ input = \"0\", output = \"20\" }] }]\nfees = { maps = \"0.014\", web_search = \"0\" }");
    let all = told(&later.changes);
    let zero = later.changes.iter().find(|change| change.new == "0" && change.kind == "input").expect("compared");
    assert_eq!((zero.old.as_deref(), zero.from.as_deref(), zero.large), (Some("4"), Some("2026-12-01"), true));
    assert!(all.contains(&"google/gemini-4-argon web_search 0 fee 0.014->0 !".to_owned()), "{all:?}");
    let book = PriceBook::load(None).expect("it ships");
    let mut row = book.find("deepseek", "deepseek-v4-pro").expect("there").to_json("deepseek", &["deepseek-v4-pro"]);
    row["price"].as_array_mut().expect("a list").retain(|price| price["hours"].is_null());
    let found = of(&format!("{{}}\n{row}"));
    assert!(
        !found.changes.is_empty() && found.changes.iter().all(|c| c.new == "gone" && c.large),
        "{:?}",
        found.changes
    );
}

/// Lists write zero for what they do not have; where the book has a price, somebody should look.
#[test]
fn a_zero_is_a_hole_or_a_large_change() {
    let found =
        of(r#"{"gpt-5.5": {"litellm_provider": "openai", "input_cost_per_token": 0, "output_cost_per_token": 3e-05,
        "input_cost_per_audio_token": 0}, "gpt-new": {"litellm_provider": "openai", "input_cost_per_token": 0}}"#);
    assert_eq!(told(&found.changes), ["openai/gpt-5.5 standard 0 input 5->0 !"]);
    let given =
        of(r#"{"data": [{"id": "house/new:free", "pricing": {"prompt": "0", "completion": "0", "request": "0"}}]}"#);
    assert_eq!(
        told(&given.changes),
        ["openrouter/house/new:free standard 0 input -->0 !", "openrouter/house/new:free standard 0 output -->0 !"]
    );
}

#[test]
fn any_other_file_is_a_mistake_with_a_place() {
    let book = PriceBook::load(None).expect("it ships");
    for text in ["[1,2]", "{\"a\": 1}", "nonsense", "{}\n{\"vendor\":1}"] {
        let mistakes = update(&book, "list", text, Timestamp(0)).expect_err(text);
        assert!(mistakes[0].to_string().starts_with("list: "), "{mistakes:?}");
    }
}
