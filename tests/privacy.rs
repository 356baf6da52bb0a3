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

const KEPT: &str = r#"
name = "kept"
vendors = ["openai"]
capture = { keep = "1h", most = "4KiB" }

[[allow]]
methods = ["POST"]
paths = ["/v1/chat/completions"]
"#;

const BRIEF: &str = r#"
name = "brief"
vendors = ["openai"]
capture = { keep = "1s", answers = false }

[[allow]]
methods = ["POST"]
paths = ["/v1/chat/completions"]
"#;

/// A chat whose prompt is told apart from all else.
fn secret_chat(key: &common::bursar::Key, more: usize) -> Ask {
    let content = format!("the launch is on friday{}", "!".repeat(more));
    let body =
        serde_json::json!({"model": "penny-1", "max_tokens": 100, "messages": [{"role": "user", "content": content}]});
    Ask::json("/openai/v1/chat/completions", &body).key(key)
}

#[test]
fn bodies_are_kept_where_a_policy_says_so_and_only_encrypted() {
    let house = House::new(&[POLICY, KEPT]);
    let (plain, kept) = (house.mint("shop", "a"), house.mint("kept", "b"));
    let calls: Vec<String> = [secret_chat(&plain, 0), secret_chat(&kept, 0), secret_chat(&kept, 9000)]
        .iter()
        .map(|ask| {
            let answer = house.call(ask);
            assert_eq!(answer.status, 200, "{}", answer.text());
            answer.call().expect("a call id").to_owned()
        })
        .collect();
    assert_eq!(holding(&house.bursar.data, "the launch"), Vec::<String>::new(), "nothing readable lies on the disk");

    let body = |call: &str, more: &[&str]| house.bursar.cli(&[&["audit", "body", call], more].concat());
    assert_eq!(body(&calls[0], &[]).status.code(), Some(1), "its policy asked for nothing");
    let request = body(&calls[1], &["--reason", "a complaint"]);
    assert!(String::from_utf8_lossy(&request.stdout).contains("the launch is on friday"));
    let answer = String::from_utf8(body(&calls[1], &["--answer"]).stdout).expect("text");
    assert!(answer.contains("\"usage\""), "{answer}");
    let long = house.bursar.json(&["audit", "body", &calls[2]]).swap_remove(0);
    assert!(long["whole"] == false && text(&long, "text").len() == 4096);

    let looked = wait_for("who looked", SOON, || {
        let events = house.bursar.json(&["audit", "tail", "--from", "1"]);
        let looked: Vec<_> = events.into_iter().filter(|e| text(e, "kind") == "body_read").collect();
        (looked.len() == 3).then_some(looked)
    });
    assert!(looked[0].to_string().contains("a complaint") && looked[0].to_string().contains(&calls[1]));
}

/// The same body has the same hash under the same key, wherever the data lies; a key that is none is refused at start.
#[test]
fn bodies_are_hashed_under_a_key_that_may_lie_elsewhere() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("hash.key");
    fs::write(&file, "5a".repeat(32)).expect("a key");
    let hash = |more: &str| {
        let house = House::with(&[POLICY], |_| more.to_owned());
        let key = house.mint("shop", "clerk");
        assert_eq!(house.call(&Ask::chat(Some(100)).key(&key)).status, 200);
        let row = settled(&house.bursar, &[], 1, SOON).swap_remove(0);
        (text(&row, "request_hash").to_owned(), house.bursar.data.join("secrets/body-hash.key").exists())
    };
    let elsewhere = format!("[privacy]\nhash_key = \"file:{}\"\n", file.display());
    let (one, two, own) = (hash(&elsewhere), hash(&elsewhere), hash(""));
    assert!(one == two && !one.1, "{one:?} {two:?}");
    assert!(one.0 != own.0 && own.1, "{one:?} {own:?}");
}

#[test]
fn a_stream_is_kept_as_the_caller_got_it_and_a_body_ends_with_its_time() {
    let mut house = House::new(&[KEPT, BRIEF]);
    let (kept, brief) = (house.mint("kept", "a"), house.mint("brief", "b"));
    let stream = house.call(&Ask::stream(20).key(&kept));
    let call = stream.call().expect("a call id").to_owned();
    settled(&house.bursar, &[], 1, SOON);
    let seen = house.bursar.cli(&["audit", "body", &call, "--answer"]).stdout;
    assert_eq!(String::from_utf8_lossy(&seen), stream.text());

    let call = house.call(&secret_chat(&brief, 0)).call().expect("a call id").to_owned();
    wait_for("the end of a second", SOON, || {
        house.crash(); // what is over goes at a start, too
        (house.bursar.cli(&["audit", "body", &call]).status.code() == Some(1)).then_some(())
    });
}
