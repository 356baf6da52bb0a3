//! Persons stay out of the books: an alias stands there, one file says whose it is, and an erasure ends that while rows,
//! sums and the chain stay as they are. What is handed on bears pseudonyms.

mod common;

use std::fs;
use std::path::Path;

use common::books::{number, row_of, settled, text};
use common::client::Ask;
use common::house::House;
use common::{SOON, wait_for};
use serde_json::Value;

const POLICY: &str = r#"
name = "shop"
vendors = ["openai"]

[[allow]]
methods = ["POST"]
paths = ["/v1/chat/completions"]
"#;

const ANN: &str = "ann@example.com";

/// Files below `dir` that contain a text.
fn holding(dir: &Path, wanted: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(holding(&path, wanted));
        } else if fs::read(&path).is_ok_and(|bytes| bytes.windows(wanted.len()).any(|w| w == wanted.as_bytes())) {
            found.push(path.file_name().expect("a name").to_string_lossy().into_owned());
        }
    }
    found
}

fn user(row: &Value) -> &str {
    row["subject"]["dimensions"]["user"].as_str().unwrap_or_else(|| panic!("no user in {row}"))
}

#[test]
fn a_person_can_be_erased_and_the_books_stay() {
    let house = House::new(&[POLICY]);
    let bursar = &house.bursar;
    let key = house.mint("shop", "clerk");
    let call = || Ask::chat(Some(100)).key(&key).header("x-bursar-user", ANN);
    let first = call();
    assert_eq!(house.call(&first).status, 200);
    assert_eq!(user(&row_of(bursar, &first.trace, SOON)), ANN, "operators read the name");

    // Nothing but the one file, and its log, knows the name.
    let files = holding(&bursar.data, ANN);
    assert!(!files.is_empty() && files.iter().all(|f| f.starts_with("people.db")), "{files:?}");
    let found = bursar.json(&["person", "find", ANN]).swap_remove(0);
    let alias = text(&found, "alias").to_owned();
    assert!(!holding(&bursar.data, &alias).is_empty());

    // By name, in rows and in sums.
    let of_ann = format!("subject.dimensions.user={ANN}");
    assert_eq!(bursar.json(&["audit", "query", "--where", &of_ann]).len(), 1);
    let sums = bursar.json(&["spend", "--by", "tag.user"]).swap_remove(0);
    assert_eq!(sums["lines"][0]["group"]["tag.user"], ANN, "{sums}");

    bursar.ok(&["person", "erase", ANN, "--reason", "she asked for it"]);
    assert_eq!(holding(&bursar.data, ANN), Vec::<String>::new());
    let row = row_of(bursar, &first.trace, SOON);
    assert_eq!(user(&row), alias, "the row stays, and speaks of nobody");
    let event = wait_for("the event", SOON, || {
        let events = bursar.json(&["audit", "tail", "--from", "1"]);
        events.into_iter().find(|e| text(e, "kind") == "person_erased")
    });
    let said = event.to_string();
    assert!(said.contains(&alias) && said.contains("she asked for it") && !said.contains(ANN), "{said}");
    assert_eq!(bursar.cli(&["person", "find", ANN]).status.code(), Some(1));

    // A later call is somebody else's, for all that the books say.
    let second = call();
    assert_eq!(house.call(&second).status, 200);
    assert_eq!(settled(bursar, &[], 2, SOON).len(), 2);
    let again = bursar.json(&["person", "find", ANN]).swap_remove(0);
    assert_ne!(text(&again, "alias"), alias);
}

#[test]
fn a_key_for_a_person_has_an_alias_and_shows_the_name() {
    let mut house = House::new(&[POLICY]);
    let key = house.bursar.mint("shop", "clerk", &["--dimension", &format!("user={ANN}")]);
    house.crash();
    let shown = house.bursar.json(&["key", "show", &key.id]).swap_remove(0);
    assert_eq!(user(&shown), ANN);
    let same = Ask::chat(Some(100)).key(&key).header("x-bursar-user", ANN);
    assert_eq!(house.call(&same).status, 200, "the header says what the key says");
    let other = Ask::chat(Some(100)).key(&key).header("x-bursar-user", "bob");
    assert_eq!(house.call(&other).status, 400);
    house.bursar.ok(&["person", "erase", ANN]);
    assert_eq!(holding(&house.bursar.data, ANN), Vec::<String>::new());
}

#[test]
fn what_is_handed_on_bears_pseudonyms() {
    let house = House::new(&[POLICY]);
    let key = house.mint("shop", "clerk-7");
    for who in [ANN, ANN, "bob"] {
        let ask = Ask::chat(Some(100)).key(&key).header("x-bursar-user", who).header("x-bursar-run", "run-of-ann");
        assert_eq!(house.call(&ask).status, 200);
    }
    let clear = settled(&house.bursar, &[], 3, SOON);
    let hidden = house.bursar.json(&["audit", "query", "--pseudonyms"]);
    let all = Value::from(hidden.clone()).to_string();
    for name in [ANN, "bob", "clerk-7", "run-of-ann", &*key.id, text(&clear[0], "trace_id")] {
        assert!(!all.contains(name), "{name} in {all}");
    }
    let users: Vec<_> = hidden.iter().map(user).collect();
    assert!(users[0] != users[1] && users[1] == users[2], "newest first: bob, ann, ann: {users:?}");
    let cost = |rows: &[Value]| rows.iter().map(|r| common::books::micro(&r["cost_usd"])).collect::<Vec<_>>();
    assert_eq!(cost(&hidden), cost(&clear));
    let sums = house.bursar.json(&["spend", "--by", "agent,vendor", "--pseudonyms"]).swap_remove(0);
    assert!(!sums.to_string().contains("clerk-7") && number(&sums, "calls") == 3, "{sums}");
}
