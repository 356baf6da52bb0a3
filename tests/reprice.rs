//! Settled rows say what they were priced by, and are computed again from that; price lists are taken, refused and shown.

mod common;

use std::fs;

use common::SOON;
use common::books::{number, row_of, settled, text};
use common::client::Ask;
use common::house::{House, PRICES};

const POLICY: &str = r#"
name = "shop"
vendors = ["openai"]

[[allow]]
methods = ["POST"]
paths = ["/v1/chat/completions"]
"#;

#[test]
fn what_was_charged_is_computed_again_from_the_books() {
    let house = House::new(&[POLICY]);
    let bursar = &house.bursar;
    let key = house.mint("shop", "clerk");
    let first = Ask::chat(Some(100)).key(&key);
    assert_eq!(house.call(&first).status, 200);
    assert_eq!(house.call(&Ask::stream(50).key(&key)).status, 200);
    settled(bursar, &[], 2, SOON);
    let row = row_of(bursar, &first.trace, SOON);
    let run = &row["priced"]["runs"][0];
    assert_eq!((text(run, "vendor"), text(run, "row"), text(run, "model")), ("openai", "penny-1", "penny-1"), "{row}");
    assert!(number(&run["use"], "output") > 0 && text(&row["priced"], "book").len() == 64, "{row}");

    let told = bursar.json(&["audit", "reprice", "--since", "1h"]).pop().expect("a count");
    assert_eq!((number(&told, "repriced"), number(&told, "different")), (2, 0), "{told}");
    // By other prices it comes out otherwise, and the exit code says so.
    let prices = house.dir.path().join("prices.toml");
    fs::write(&prices, PRICES.replace("\"100\"", "\"200\"")).expect("another price");
    let config = house.dir.path().join("bursar.toml");
    let config = config.to_str().expect("a path");
    let out = bursar.cli(&["audit", "reprice", "--current", "--json", "--config", config]);
    let said = String::from_utf8_lossy(&out.stdout);
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(said.contains("\"different\":2") && said.contains("\"row\":\"penny-1\""), "{said}");
    // What each was priced by is still there.
    assert_eq!(bursar.cli(&["audit", "reprice"]).status.code(), Some(0));
    // A book that somebody changed is no evidence.
    let kept =
        fs::read_dir(bursar.data.join("prices")).expect("kept books").next().expect("one").expect("an entry").path();
    let changed = fs::read_to_string(&kept).expect("text").replace("output = \\\"100\\\"", "output = \\\"1\\\"");
    fs::write(&kept, changed).expect("a changed book");
    let out = bursar.cli(&["audit", "reprice"]);
    assert!(out.status.code() == Some(1) && String::from_utf8_lossy(&out.stderr).contains("it was changed"), "{out:?}");
}

#[test]
fn a_price_list_is_compared_refused_and_taken() {
    let house = House::new(&[POLICY]);
    let bursar = &house.bursar;
    let list = house.dir.path().join("list.json");
    let entry = |input: &str| {
        let text = format!("{{\"gpt-5.5\": {{\"litellm_provider\": \"openai\", \"input_cost_per_token\": {input}}}}}");
        fs::write(&list, text).expect("a list");
    };
    let file = list.to_str().expect("a path");
    entry("1.1e-05");
    let out = bursar.cli(&["prices", "update", "--from", file]);
    assert!(out.status.code() == Some(1) && String::from_utf8_lossy(&out.stderr).contains("--yes"), "{out:?}");
    assert!(!bursar.data.join("prices.jsonl").exists(), "nothing was written");
    let told = bursar.json(&["prices", "update", "--from", file, "--yes"]);
    assert_eq!((text(&told[0], "old"), text(&told[0], "new"), told[0]["large"].as_bool()), ("5", "11", Some(true)));
    let shown = bursar.json(&["prices", "show", "gpt-5.5", "--vendor", "openai"]).swap_remove(0);
    let holds = usize::try_from(number(&shown, "holds")).expect("a number");
    assert_eq!(shown["price"][holds]["rates"][0]["input"], "11", "{shown}");
    assert!(bursar.json(&["prices", "update", "--from", file]).is_empty(), "it is in the book now");
    let out = bursar.cli(&["prices", "show", "no-such-model"]);
    assert!(out.status.code() == Some(1) && String::from_utf8_lossy(&out.stderr).contains("no-such-model"), "{out:?}");
}

#[test]
fn exchange_rates_are_compared_refused_and_taken() {
    let house = House::new(&[POLICY]);
    let bursar = &house.bursar;
    let file = house.dir.path().join("rates.csv");
    let path = file.to_str().expect("a path").to_owned();
    let take = |text: &str, more: &[&str]| {
        fs::write(&file, text).expect("a file");
        let out = bursar.cli(&[&["fx", "update", "--from", &path], more].concat());
        (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    let shown = |code: &str| {
        let row = bursar.json(&["fx", "show", code]).swap_remove(0);
        (text(&row, "usd_per_unit").to_owned(), text(&row, "as_of").to_owned())
    };
    let day = "Date, USD, JPY, GBP, \n20 November 2026, 1.1500, 170.00, 0.8700, \n";
    assert_eq!(take(day, &[]).0, Some(0));
    assert_eq!(shown("jpy"), ("0.006764705883".to_owned(), "2026-11-20".to_owned()));
    // What is fixed to the euro moves with it; what nobody quoted keeps its rate and its day.
    assert_eq!(shown("xof"), ("0.001753163699".to_owned(), "2026-11-20".to_owned()));
    assert_eq!(shown("chf").1, "2026-10-30");
    for (refused, why) in [
        ("Date,USD,JPY,GBP\n2026-11-21,1.15,17,0.87\n", "`jpy` goes from"),
        ("Date,USD,JPY,GBP\n2026-11-01,1.15,170,0.87\n", "it is of 2026-11-01"),
        ("Date,USD,JPY\n2026-11-21,1.15,170\n", "no `gbp`"),
        ("Date,USD,JPY\n2026-11-21,0,170\n", "no rate of `usd`"),
        ("usd,1\n", "first line"),
    ] {
        let (code, said) = take(refused, &[]);
        assert!(code == Some(1) && said.contains(why), "{refused} {said}");
        assert_eq!(shown("jpy").0, "0.006764705883", "{refused}");
    }
    assert_eq!(take("Date,USD,JPY,GBP\n2026-11-21,1.15,17,0.87\n", &["--yes"]).0, Some(0));
    assert_eq!(shown("jpy"), ("0.067647058824".to_owned(), "2026-11-21".to_owned()));
    let (code, said) = (bursar.cli(&["fx", "show", "xyz"]).status.code(), bursar.cli(&["fx", "show", "xyz"]).stderr);
    assert!(code == Some(1) && String::from_utf8_lossy(&said).contains("xyz"));
}
