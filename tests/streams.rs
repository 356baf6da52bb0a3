//! The hold of a stream while it is open: what the prompt did not need is given back at once, an answer that outgrows its hold asks
//! for more, and one that gets no more ends with the vendor's own error event, which its SDK raises. The books are right in each.

mod common;

use common::books::{all_closed, micro, rows, settled, text};
use common::bursar::Key;
use common::client::{Ask, join_all, spawn_all};
use common::house::House;
use common::{SOON, repo, test_env, wait_for};
use serde_json::{Value, json};

const USD: u64 = 100_000_000;
const CENT: u64 = USD / 100;

/// Of a tool whose uses nobody counts, only the ceiling bounds the call.
fn policy(name: &str, vendor: &str, limit: &str) -> String {
    format!(
        "name = \"{name}\"\nvendors = [\"{vendor}\"]\nceiling = \"0.05 USD\"\n\n[[allow]]\nmethods = [\"POST\"]\n\
         paths = [\"/v1/chat/completions\", \"/v1/messages\"]\n\n[[budget]]\nper = \"agent\"\nlimit = \"{limit} USD\"\n"
    )
}

fn house(policies: &[&str]) -> House {
    let anthropic = |port: u16| {
        format!(
            "[vendors.anthropic]\nbase_url = \"http://127.0.0.1:{port}\"\ncredential = \"env:TEST_ANTHROPIC\"\n\
             private_network = true\n"
        )
    };
    House::with_env(policies, anthropic, &[("TEST_ANTHROPIC", "sk-ant-real-c0ffee")])
}

fn nickel(words: usize, stream: bool) -> Ask {
    let body = json!({"model": "nickel-1", "stream": stream, "max_tokens": 1000, "service_tier": "default",
        "messages": [{"role": "user", "content": "four".repeat(words)}]});
    Ask::json("/openai/v1/chat/completions", &body)
}

/// Two thousand tokens for twenty cents, held at five.
fn unbounded() -> Ask {
    let body = json!({"model": "penny-1", "stream": true, "max_tokens": 5000, "tools": [{"type": "web_search"}],
        "messages": [{"role": "user", "content": "hi"}]});
    Ask::json("/openai/v1/chat/completions", &body).mock("growing tokens=2000 events=40 every=20")
}

fn held(house: &House, key: &Key) -> u64 {
    micro(&house.myself(key)["budgets"][0]["held"])
}

#[test]
fn a_stream_whose_prompt_is_counted_makes_room_while_it_is_open() {
    let house = house(&[&policy("chat", "openai", "3")]);
    let key = house.mint("chat", "scout");
    // Twenty thousand bytes may be twenty thousand tokens, two dollars; they are ten.
    let open = nickel(5000, true).mock("growing events=100 every=50").key(&key);
    let stream = spawn_all([open.send(house.port())]);
    wait_for("the surplus to come back", SOON, || (1..20 * CENT).contains(&held(&house, &key)).then_some(()));
    let second = house.call(&nickel(5000, false).key(&key));
    assert_eq!(second.status, 200, "{}", second.text());
    assert!(stream.iter().all(|task| !task.is_finished()), "the stream is still open");
    let answers = join_all(stream);
    assert!(answers.iter().all(|a| a.as_ref().is_ok_and(|a| a.whole && a.text().contains("[DONE]"))));
    let calls = settled(&house.bursar, &["--agent", "scout"], 2, SOON);
    // Ten tokens of the prompt and a hundred of the answer, each: eleven cents in a hundred thousand.
    assert!(calls.iter().all(|row| micro(&row["cost_usd"]) == 110 * 10_000), "{calls:#?}");
    assert!(calls.iter().all(|row| micro(&row["estimate_usd"]) > 2 * USD), "the row keeps what was held first");
    assert_eq!(held(&house, &key), 0);
}

#[test]
fn the_first_event_of_a_message_gives_back() {
    let house = house(&[&policy("talk", "anthropic", "3")]);
    let key = house.mint("talk", "scout");
    let body = json!({"model": "nickel-a", "stream": true, "max_tokens": 1000,
        "messages": [{"role": "user", "content": "four".repeat(5000)}]});
    let ask = Ask::json("/anthropic/v1/messages", &body).mock("events=200 every=20").key(&key);
    let stream = spawn_all([ask.send(house.port())]);
    // A thousand tokens of the answer, ten cents, stay held with the ten of the prompt.
    wait_for("the surplus to come back", SOON, || (held(&house, &key) == 1010 * 10_000).then_some(()));
    assert!(stream.iter().all(|task| !task.is_finished()), "the stream is still open");
    join_all(stream);
    let sums = all_closed(&house.bursar, &["--agent", "scout"], SOON);
    assert_eq!((micro(&sums["cost_usd"]), held(&house, &key)), (10 * 10_000, 0), "no word was worth a token");
}

#[test]
fn a_stream_that_outgrows_its_hold_gets_more() {
    let house = house(&[&policy("chat", "openai", "3")]);
    let key = house.mint("chat", "scout");
    let answer = house.call(&unbounded().key(&key));
    assert!(answer.whole && answer.text().contains("[DONE]") && !answer.text().contains("error"), "{}", answer.text());
    let row = settled(&house.bursar, &["--agent", "scout"], 1, SOON).remove(0);
    assert_eq!((micro(&row["estimate_usd"]), micro(&row["cost_usd"])), (5 * CENT, 20 * CENT));
    assert_eq!((text(&row, "outcome"), text(&row, "cost_source")), ("ok", "usage"));
    assert_eq!((held(&house, &key), house.vendor.billed()), (0, 20 * CENT));
}

#[test]
fn a_stream_that_gets_no_more_ends_with_the_vendors_own_error() {
    let house = house(&[&policy("chat", "openai", "0.1"), &policy("talk", "anthropic", "0.1")]);
    let key = house.mint("chat", "scout");
    let answer = house.call(&unbounded().key(&key));
    assert!(answer.whole, "it ends in order");
    let last = answer.text().trim_end().rsplit("\n\n").next().unwrap_or_default().to_owned();
    let told: Value = serde_json::from_str(last.strip_prefix("data: ").expect("an event")).expect("JSON");
    assert_eq!((&told["error"]["code"], &told["bursar"]["code"]), (&json!("budget_spent"), &json!("budget_spent")));
    assert!(told["error"]["message"].as_str().is_some_and(|m| m.contains("0.1 USD")), "{told}");
    the_books_have_what_came(&house, "scout");
    let refused = house.call(&unbounded().key(&key));
    assert_eq!(refused.said(), (403, "budget_spent".to_owned()));
}

/// It went no further than the event that was too much, and what came is charged.
fn the_books_have_what_came(house: &House, agent: &str) {
    let row = wait_for("the end of the stream", SOON, || {
        rows(&house.bursar, &["--agent", agent]).into_iter().find(|row| row["outcome"].is_string())
    });
    let cost = micro(&row["cost_usd"]);
    assert_eq!((text(&row, "outcome"), text(&row, "cost_source")), ("aborted", "estimated"), "{row:#}");
    assert!((10 * CENT..=20 * CENT).contains(&cost) && cost <= house.vendor.billed(), "{row:#}");
    assert!(text(&row, "error").starts_with("budget_spent"), "{row:#}");
}

#[test]
fn the_sdks_raise_it() {
    let house = house(&[&policy("chat", "openai", "0.1"), &policy("talk", "anthropic", "0.1")]);
    for (vendor, policy) in [("openai", "chat"), ("anthropic", "talk")] {
        let key = house.mint(policy, vendor);
        let mut command = std::process::Command::new(test_env().join("venv/bin/python"));
        command.arg(repo().join("tests/sdk/py/outgrown.py")).args([vendor, &house.bursar.url(), &key.key]);
        let done = command.output().expect("python runs");
        let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success() && said.contains("budget_spent"), "{vendor}: {said}");
        the_books_have_what_came(&house, vendor);
    }
}
