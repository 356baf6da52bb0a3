//! What was judged is what is sent, over the wire: requests with two readings go nowhere and leave a row; parameters, budgets per
//! call and account headers are held; `observe` only watches; policies change under load, whole or not at all.

mod common;
#[path = "judged/paths.rs"]
mod paths;
#[path = "judged/shapes.rs"]
mod shapes;

use std::fs;

use common::books::{row_of, text};
use common::bursar::Key;
use common::client::Ask;
use common::house::House;
use common::{SOON, wait_for};
use serde_json::json;

const JUDGED: &str = r#"
name = "judged"
vendors = ["openai", "stripe"]

[[allow]]
methods = ["POST"]
paths = ["/v1/charges"]
params.amount = { max = 500 }
params.currency = { one_of = ["usd", "eur"] }
params."metadata.tier" = { one_of = ["gold"], optional = true }
params.description = { absent = true }
[[allow]]
methods = ["POST"]
paths = ["/v1/chat/completions"]
params.model = { one_of = ["penny-1"] }
params."/messages/0/role" = { one_of = ["user"] }

[params]
customer = { one_of = ["cus_A", "cus_B"] }

[accounts]
Stripe-Account = ["acct_1"]

[[budget]]
per = "call"
limit = "4 USD"
"#;

const WATCHING: &str = r#"
name = "watching"
vendors = ["openai", "stripe"]
mode = "observe"

[[allow]]
methods = ["POST"]
paths = ["/v1/chat/completions"]

[[budget]]
per = "agent"
limit = "0.01 USD"
"#;

const JSON: &str = "application/json";
const CHAT: &str = r#"{"model":"penny-1","max_tokens":100,"messages":[{"role":"user","content":"hi"}]}"#;

fn chat(body: impl Into<Vec<u8>>) -> Ask {
    Ask::new("POST", "/openai/v1/chat/completions").body(JSON, body.into())
}

fn charge(form: &str) -> Ask {
    Ask::form("/stripe/v1/charges", form.to_owned())
}

/// Everything that has more than one reading, or none; and the status that says so.
fn unreadable() -> Vec<(&'static str, Ask, u16)> {
    let typed = |kind: &str, body: &str| Ask::new("POST", "/stripe/v1/charges").body(kind, body.to_owned());
    let paid = "amount=100&currency=usd";
    let beside = |more: &str| charge(&format!("{paid}&{more}"));
    let in_query = |query: &str, form: &str| Ask::form(format!("/stripe/v1/charges?{query}"), form.to_owned());
    let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    vec![
        ("a member twice", chat(CHAT.replacen('{', r#"{"model":"penny-1","#, 1)), 400),
        ("a member twice, once escaped", chat(CHAT.replacen('{', r#"{"m\u006fdel":"other","#, 1)), 400),
        ("a member twice, deep inside", chat(CHAT.replacen(r#"{"role""#, r#"{"role":"system","role""#, 1)), 400),
        ("a limit twice", chat(CHAT.replacen('{', r#"{"max_tokens":1,"#, 1)), 400),
        ("no JSON", chat("model=penny-1"), 400),
        ("two values", chat(format!("{CHAT}{CHAT}")), 400),
        ("a comment", chat(CHAT.replacen('{', "{/*x*/", 1)), 400),
        ("not UTF-8", chat(CHAT.as_bytes().iter().chain(b"\xff").copied().collect::<Vec<u8>>()), 400),
        ("too deep", chat(CHAT.replacen('{', &format!(r#"{{"x":{deep},"#), 1)), 400),
        ("cut short", chat(&CHAT[..CHAT.len() - 1]), 400),
        ("a field twice", beside("amount=1"), 400),
        ("a field beside its list", beside("amount[]=1"), 400),
        ("a field beside its list, encoded", beside("amount%5B%5D=1"), 400),
        ("a field beside a group of its name", beside("amount[x]=1"), 400),
        ("a field in another spelling", beside("Amount=1"), 400),
        ("a field twice, once encoded", beside("%61mount=1"), 400),
        ("a nested field twice", beside("metadata[tier]=gold&metadata[tier]=lead"), 400),
        ("in query and form", in_query("amount=1", paid), 400),
        ("in query and form, encoded", in_query("%61mount=1", paid), 400),
        ("a rule's field in query and form", in_query("customer=cus_A", &format!("{paid}&customer=cus_B")), 400),
        ("another method in the form", beside("_method=DELETE"), 400),
        ("another method in the query", in_query("_method=DELETE", paid), 400),
        ("JSON where a form is declared", typed(JSON, r#"{"amount":100,"currency":"usd"}"#), 415),
        ("a multipart where a form is declared", typed("multipart/form-data; boundary=x", "--x--"), 415),
        ("a form where JSON is declared", Ask::form("/openai/v1/chat/completions", paid), 415),
        ("text where JSON is declared", Ask::new("POST", "/openai/v1/chat/completions").body("text/plain", CHAT), 415),
        ("another charset", typed("application/x-www-form-urlencoded; charset=utf-16", paid), 415),
        ("a compressed form", charge(paid).header("content-encoding", "gzip"), 415),
        ("a compressed chat", chat(CHAT).header("content-encoding", "br"), 415),
        ("an encoding that is none", chat(CHAT).header("content-encoding", "identity, gzip"), 415),
    ]
}

#[test]
fn requests_with_two_readings_go_nowhere_and_leave_a_row() {
    let house = House::new(&[JUDGED]);
    let key = house.mint("judged", "agent");
    let cases = unreadable();
    let mut traces = Vec::new();
    for (what, ask, status) in cases {
        let ask = ask.key(&key);
        let answer = house.call(&ask);
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        assert_eq!(answer.header("x-should-retry"), Some("false"), "{what}");
        house.vendor.got_nothing();
        traces.push((what, ask.trace, status));
    }
    for (what, trace, status) in traces {
        let row = row_of(&house.bursar, &trace, SOON);
        let said = (text(&row, "verdict"), text(&row, "outcome"), &row["cost_usd"], &row["http_status"]);
        assert_eq!(said, ("deny", "refused", &json!("0"), &json!(status)), "{what}: {row:#}");
        assert!(text(&row, "reason").starts_with("request_"), "{what}: {row:#}");
    }
}

#[test]
fn amounts_that_are_no_plain_number_are_refused() {
    let house = House::new(&[&JUDGED.replace("params.amount = { max = 500 }\n", "")]);
    let key = house.mint("judged", "agent");
    for amount in ["-5", "1e2", "5.5", "0x10", " 5", "5 ", "٥", "99999999999999999999", "5,5", "NaN", "%00"] {
        let answer = house.call(&charge(&format!("amount={amount}&currency=usd")).key(&key));
        assert!([400, 403].contains(&answer.status), "{amount}: {}", answer.text());
    }
    let none = house.call(&charge("currency=usd").key(&key));
    assert_eq!(none.said(), (403, "cost_unknown".to_owned()));
    house.vendor.got_nothing();
}

#[test]
fn parameters_are_held_to_their_rules() {
    let house = House::new(&[JUDGED]);
    let key = house.mint("judged", "agent");
    let paid = |more: &str| charge(&format!("amount=100&currency=usd{more}"));
    let allowed = [
        paid(""),
        charge("amount=400&currency=usd"),
        paid("&metadata[tier]=gold&customer=cus_A"),
        paid("&metadata%5Btier%5D=gold"),
        paid("").header("stripe-account", "acct_1"),
        chat(CHAT),
    ];
    for ask in allowed {
        let ask = ask.key(&key);
        let answer = house.call(&ask);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(house.vendor.last().trace(), ask.trace);
    }
    let before = house.vendor.count();
    let denied = [
        ("param_denied", charge("amount=501&currency=usd")),
        ("param_denied", charge("currency=usd")),
        ("param_denied", charge("amount=100&currency=chf")),
        ("param_denied", charge("amount=100")),
        ("param_denied", paid("&metadata[tier]=lead")),
        ("param_denied", paid("&customer=cus_C")),
        ("param_denied", paid("&description=x")),
        ("param_denied", chat(CHAT.replace("penny-1", "gpt-4o"))),
        ("param_denied", chat(CHAT.replace("\"user\"", "\"system\""))),
        ("call_limit", charge("amount=401&currency=usd")),
        ("account_header_denied", paid("").header("stripe-account", "acct_2")),
        ("account_header_denied", chat(CHAT).header("openai-organization", "org-1")),
        ("policy_denied", Ask::form("/stripe/v1/refunds", "amount=1")),
        ("policy_denied", Ask::get("/stripe/v1/charges")),
        ("vendor_not_allowed", Ask::get("/github/a")),
    ];
    for (code, ask) in denied {
        let answer = house.call(&ask.key(&key));
        assert_eq!(answer.said(), (403, code.to_owned()), "{}", answer.text());
        assert!(answer.json()["bursar"]["call"].is_string(), "{}", answer.text());
    }
    assert_eq!(house.vendor.count(), before);
}

#[test]
fn observe_watches_and_denies_nothing() {
    let house = House::new(&[WATCHING]);
    let key = house.mint("watching", "agent");
    let (inside, outside, over) =
        (chat(CHAT).key(&key), charge("amount=700&currency=usd").key(&key), chat(CHAT).key(&key));
    for ask in [&inside, &outside, &over] {
        assert_eq!(house.call(ask).status, 200);
    }
    let verdict = |ask: &Ask| {
        let row = row_of(&house.bursar, &ask.trace, SOON);
        assert_eq!((&row["enforced"], text(&row, "outcome")), (&json!(false), "ok"), "{row:#}");
        (text(&row, "verdict").to_owned(), text(&row, "reason").split(':').next().unwrap_or_default().to_owned())
    };
    assert_eq!(verdict(&inside), ("allow".to_owned(), String::new()));
    assert_eq!(verdict(&outside), ("deny".to_owned(), "policy_denied".to_owned()));
    assert_eq!(verdict(&over), ("deny".to_owned(), "budget_spent".to_owned()));
    let budget = house.myself(&key)["budgets"][0].clone();
    assert_eq!(budget["spent"], "7.02", "what is only watched counts all the same: {budget}");
    let unpriced = chat(CHAT.replace("penny-1", "model-of-tomorrow")).key(&key);
    let answer = house.call(&unpriced);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(verdict(&unpriced), ("deny".to_owned(), "cost_unknown".to_owned()));
    let unreadable = chat(CHAT.replacen('{', r#"{"model":"penny-1","#, 1)).key(&key);
    assert_eq!(house.call(&unreadable).status, 400, "what cannot be read cannot be watched");
    let elsewhere = house.call(&Ask::get("/github/a").key(&key));
    assert_eq!(elsewhere.said(), (403, "vendor_not_allowed".to_owned()));
    assert_eq!(house.vendor.count(), 4);
}

fn reading(name: &str, path: &str) -> String {
    format!("name = \"{name}\"\nvendors = [\"github\"]\n[[allow]]\nmethods = [\"GET\"]\npaths = [\"{path}\"]\n")
}

fn becomes(house: &House, key: &Key, path: &str, status: u16) {
    wait_for(&format!("{path} to be {status}"), SOON, || {
        (house.call(&Ask::get(format!("/github{path}")).key(key)).status == status).then_some(())
    });
}

#[test]
fn policies_are_taken_as_they_change_whole_or_not_at_all() {
    let house = House::new(&[&reading("one", "/a"), &reading("two", "/a")]);
    let (one, two) = (house.mint("one", "agent"), house.mint("two", "agent"));
    becomes(&house, &one, "/a", 200);
    becomes(&house, &one, "/b", 403);
    house.write_policy(&reading("one", "/b"));
    becomes(&house, &one, "/b", 200);
    becomes(&house, &one, "/a", 403);
    fs::write(house.policies.join("two.toml"), "name = \"two\"\nvendors = [\"github\"]\nalow = 1\n").expect("a file");
    house.write_policy(&reading("one", "/c"));
    wait_for("the mistake to be told", SOON, || house.bursar.server.output().contains("alow").then_some(()));
    let said = house.bursar.server.output();
    assert!(said.contains("two.toml") && said.contains('3'), "file and line of the mistake: {said}");
    for (key, path, status) in [(&one, "/b", 200), (&one, "/c", 403), (&two, "/a", 200)] {
        let answer = house.call(&Ask::get(format!("/github{path}")).key(key));
        assert_eq!(answer.status, status, "the old policies hold, all of them: {path}: {}", answer.text());
    }
    house.write_policy(&reading("two", "/d"));
    becomes(&house, &two, "/d", 200);
    becomes(&house, &one, "/c", 200);
    fs::remove_file(house.policies.join("two.toml")).expect("the file is there");
    becomes(&house, &two, "/d", 403);
    let gone = house.call(&Ask::get("/github/d").key(&two));
    assert_eq!(gone.said(), (403, "policy_missing".to_owned()), "keys of a policy that is gone are refused");
}
