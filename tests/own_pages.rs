//! What bursar tells an agent before it calls, and lets it hand on: `self`, `decide` and narrower keys.

mod common;

use common::SOON;
use common::books::{rows, text};
use common::bursar::Key;
use common::client::{Answer, Ask};
use common::house::House;
use common::wait_for;
use serde_json::{Value, json};

const POLICY: &str = r#"
name = "clerk"
vendors = ["stripe", "openai"]
delegate = { max_ttl = "1h" }
[[allow]]
methods = ["POST"]
paths = ["/v1/charges", "/v1/chat/completions"]
params.amount = { max = 50_000, optional = true }
[[budget]]
per = "agent"
limit = "20 USD"
window = "day"
[[budget]]
per = "call"
limit = "15 USD"
[[rate]]
per = "agent"
limit = "100/min"
[approval]
over = "5 USD"
"#;

fn house(more: &str) -> (House, Key) {
    let house = House::new(&[&POLICY.trim_start().replace("delegate = { max_ttl = \"1h\" }", more)]);
    let key = house.bursar.mint("clerk", "clerk", &["--dimension", "user=bob"]);
    (house, key)
}

const DELEGATE: &str = "delegate = { max_ttl = \"1h\" }";

fn decide(house: &House, key: &Key, method: &str, path: &str, body: Value) -> Value {
    let mut call = json!({"method": method, "path": path, "body": body});
    if body_is_form(&call["body"]) {
        call["headers"] = json!({"content-type": "application/x-www-form-urlencoded"});
    }
    let answer = house.call(&Ask::json("/bursar/v1/decide", &call).key(key));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn body_is_form(body: &Value) -> bool {
    body.is_string()
}

fn charge(cents: u64) -> Value {
    json!(format!("amount={cents}&currency=usd&source=tok_visa"))
}

#[test]
fn decide_says_what_would_happen_and_does_nothing() {
    let (house, key) = house(DELEGATE);
    let path = "/stripe/v1/charges";
    let free = decide(&house, &key, "POST", path, charge(400));
    assert_eq!(
        (&free["verdict"], &free["estimate_usd"], &free["operation"]),
        (&"allow".into(), &"4".into(), &"POST /v1/charges".into())
    );
    assert_eq!(
        (&free["budgets"][0]["remaining"], &free["rates"][0]),
        (&"20".into(), &"clerk: 100/min per agent".into())
    );
    let asks = decide(&house, &key, "POST", path, charge(900));
    assert_eq!(
        (&asks["verdict"], &asks["code"], &asks["rule"]),
        (&"escalate".into(), &"approval_required".into(), &"clerk: approval over 5 USD".into())
    );
    let dear = decide(&house, &key, "POST", path, charge(1_600));
    assert_eq!((&dear["verdict"], &dear["code"], &dear["status"]), (&"deny".into(), &"call_limit".into(), &403.into()));
    let param = decide(&house, &key, "POST", path, charge(60_000));
    assert_eq!(param["code"], "param_denied", "{param}");
    let elsewhere = decide(&house, &key, "POST", "/stripe/v1/payouts", charge(1));
    assert_eq!(elsewhere["code"], "policy_denied");
    assert!(elsewhere["message"].as_str().is_some_and(|m| m.contains("It allows POST /v1/charges")), "{elsewhere}");
    let chat = json!({"model": "penny-1", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 100});
    assert_eq!(decide(&house, &key, "POST", "/openai/v1/chat/completions", chat)["estimate_usd"], "0.01");
    assert!(house.bursar.json(&["approval", "list"]).is_empty(), "nobody was asked");
    for _ in 0..4 {
        assert_eq!(house.call(&Ask::charge(500).key(&key)).status, 200);
    }
    let spent = decide(&house, &key, "POST", path, charge(400));
    assert_eq!((&spent["code"], &spent["remaining"]), (&"budget_spent".into(), &"0".into()), "{spent}");
    assert!(spent["resets_at"].is_string());
    assert_eq!((house.vendor.count(), house.bursar.json(&["audit", "query"]).len()), (4, 4), "no row but of calls");
    let wrong = house.call(&Ask::json("/bursar/v1/decide", &json!({"path": "/x"})).key(&key));
    assert_eq!(wrong.said(), (400, "request_malformed".to_owned()));
}

#[test]
fn self_tells_rules_and_what_is_left() {
    let (house, key) = house(DELEGATE);
    let me = house.myself(&key);
    let rules = &me["rules"][0];
    assert_eq!(rules["allow"][0]["rule"], "clerk: allow rule 1");
    assert_eq!(rules["allow"][0]["params"][0], "amount");
    assert_eq!(rules["call_limits"][0]["limit"], "15");
    assert_eq!(rules["approval"]["over"], "5 USD");
    assert_eq!((&me["delegate"]["allowed"], &me["delegate"]["max_ttl_secs"]), (&true.into(), &3600.into()));
    assert_eq!(house.call(&Ask::charge(900).key(&key)).code(), "approval_required");
    assert_eq!(house.myself(&key)["approvals"][0]["state"], "pending");
    assert!(!me.to_string().contains("bob"), "a person goes by an alias: {me}");
}

fn mint(house: &House, key: &Key, child: &Value) -> Answer {
    house.call(&Ask::json("/bursar/v1/keys", child).key(key))
}

#[test]
fn a_child_key_is_narrower_and_ends_with_its_parent() {
    let (house, key) = house(DELEGATE);
    let overlay = json!({"vendors": ["stripe"], "budgets": [{"per": "key", "limit": "3 USD"}]});
    let minted = mint(&house, &key, &json!({"ttl_secs": 60, "overlay": overlay, "label": "one charge"}));
    assert_eq!(minted.status, 200, "{}", minted.text());
    assert_eq!(minted.header("cache-control"), Some("no-store"));
    let said = minted.json();
    let child =
        Key { id: said["key_id"].as_str().expect("an id").into(), key: said["key"].as_str().expect("a key").into() };
    assert_eq!(house.call(&Ask::charge(200).key(&child)).status, 200);
    assert_eq!(house.call(&Ask::charge(200).key(&child)).code(), "budget_spent");
    assert_eq!(house.call(&Ask::chat(Some(10)).key(&child)).code(), "vendor_not_allowed");
    assert_eq!(house.myself(&key)["budgets"][0]["spent"], "2", "it counts on its parent's");
    let shown = &house.bursar.json(&["key", "show", &child.id])[0];
    assert_eq!(
        (&shown["by"], &shown["subject"]["dimensions"]["user"]),
        (&format!("key:{}", key.id).into(), &"bob".into())
    );
    for (asked, word) in [
        (json!({"ttl_secs": 7200}), "3600 seconds"),
        (json!({"ttl_secs": 60, "overlay": {"vendors": ["github"]}}), "github"),
        (json!({"overlay": {"budgets": [{"per": "call", "limit": "16 USD"}]}}), "budgets[0]"),
        (json!({"run": "r1"}), "trust_headers"),
    ] {
        let refused = mint(&house, &key, &asked);
        assert_eq!(refused.said(), (403, "key_not_minted".to_owned()), "{asked}");
        assert!(refused.text().contains(word), "{}", refused.text());
    }
    house.bursar.ok(&["key", "revoke", &key.id]);
    assert_eq!(house.call(&Ask::charge(1).key(&child)).status, 401);
}

#[test]
fn without_delegation_there_is_no_child() {
    let (house, key) = house("");
    let refused = mint(&house, &key, &json!({}));
    assert_eq!(refused.said(), (403, "key_not_minted".to_owned()));
    assert_eq!(refused.json()["bursar"]["rule"], "clerk: delegate");
}

/// What an agent sends to bursar's own pages fills neither the books nor a thread, and no key stands in a row.
#[test]
fn questions_leave_short_rows_without_keys() {
    let (house, key) = house("");
    let ask = |path: &str, body: String| {
        house.call(&Ask::new("POST", path.to_owned()).body("application/json", body).key(&key))
    };
    let strange = ask("/bursar/v1/decide", format!("\"{}\"", "\u{7f}".repeat(3_000_000)));
    assert_eq!(strange.said(), (400, "request_malformed".to_owned()));
    let said = json!({"method": "GET", "path": "/x", "headers": format!("Authorization: Bearer {}", key.key)});
    assert_eq!(ask("/bursar/v1/decide", said.to_string()).status, 400);
    // Nobody reads what a key asks for that may mint none.
    let many = json!({"overlay": {"allow": [{"paths": vec!["/*"; 100_000]}]}}).to_string();
    assert_eq!(ask("/bursar/v1/keys", many.clone()).said(), (403, "key_not_minted".to_owned()));
    let rows = wait_for("three rows", SOON, || Some(rows(&house.bursar, &[])).filter(|rows| rows.len() == 3));
    for row in rows {
        let reason = text(&row, "reason");
        assert!(reason.chars().count() < 1_100 && !reason.contains(&key.key), "{row}");
    }
    let house = common::house::House::new(&[POLICY]);
    let key = house.bursar.mint("clerk", "clerk", &["--dimension", "user=bob"]);
    let keys = |body: String| house.call(&Ask::new("POST", "/bursar/v1/keys").body("application/json", body).key(&key));
    assert_eq!(keys(many).status, 413);
    let some = json!({"overlay": {"allow": [{"paths": vec!["/v1/charges"; 65]}]}});
    let refused = keys(some.to_string());
    assert!(refused.status == 400 && refused.text().contains("64 at most"), "{}", refused.text());
    // Who is stopped mints nothing to go on with afterwards.
    assert_eq!(keys("{}".to_owned()).status, 200);
    house.bursar.json(&["kill", "--agent", "clerk"]);
    assert_eq!(keys("{}".to_owned()).said(), (403, "killed".to_owned()));
}

/// Cheaper models beside the test's own, at a price for a token of output as theirs.
const SHELF: &str = r#"
name = "shelf"
vendors = ["openai", "stripe"]
fit = { floor = 100 }
[[allow]]
methods = ["POST"]
paths = ["/v1/chat/completions", "/v1/charges"]
[[models]]
allow = ["penny-1", "gpt-4o", "gpt-4o-mini", "gpt-4.1*", "gpt-image-1", "gpt-4o-transcribe"]
[[budget]]
per = "agent"
limit = "3 USD"
[[budget]]
per = "call"
limit = "0.05 USD"
vendor = "openai"
"#;

#[test]
fn a_refusal_by_money_names_what_fits_and_that_passes() {
    let house = House::new(&[SHELF.trim_start()]);
    let key = house.mint("shelf", "shelf");
    let chat = |model: &str| json!({"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4_000, "service_tier": "default"});
    let path = "/openai/v1/chat/completions";
    // A token of it costs 0.0001 USD: 4,000 of them are 0.40 USD.
    let refused = house.call(&Ask::json(path, &chat("penny-1")).key(&key));
    assert_eq!(refused.said(), (403, "call_limit".to_owned()), "{}", refused.text());
    let told = refused.json();
    let models: Vec<String> =
        serde_json::from_value(told["bursar"]["instead"]["models"].clone()).unwrap_or_else(|e| panic!("{told}: {e}"));
    assert_eq!(models, ["gpt-4o", "gpt-4.1", "gpt-4.1-mini"], "the dearest first, and only what the policy allows");
    assert!(refused.text().contains("The same call with the model `gpt-4o` or `gpt-4.1`"), "{told}");
    let decided = decide(&house, &key, "POST", path, chat("penny-1"));
    assert_eq!(decided["instead"], told["bursar"]["instead"], "{decided}");
    assert_eq!(house.vendor.count(), 0);
    for model in &models {
        assert_eq!(decide(&house, &key, "POST", path, chat(model))["verdict"], "allow", "{model}");
    }
    let passed = house.call(&Ask::json(path, &chat(&models[0])).key(&key));
    assert_eq!((passed.status, house.vendor.count()), (200, 1), "{}", passed.text());
}

#[test]
fn a_payment_that_is_too_much_is_told_how_much_is_left() {
    let house = House::new(&[SHELF.trim_start()]);
    let key = house.mint("shelf", "shelf");
    let refused = house.call(&Ask::charge(301).key(&key));
    assert_eq!(refused.said(), (403, "budget_spent".to_owned()), "{}", refused.text());
    assert_eq!(refused.json()["bursar"]["instead"], json!({"amount_usd": "3"}), "{}", refused.text());
    assert!(refused.text().contains("may take 3 USD now at most"), "{}", refused.text());
    assert_eq!(decide(&house, &key, "POST", "/stripe/v1/charges", charge(301))["instead"]["amount_usd"], "3");
    assert_eq!(house.call(&Ask::charge(300).key(&key)).status, 200, "what was named passes");
    let empty = house.call(&Ask::charge(1).key(&key));
    assert_eq!((empty.code(), &empty.json()["bursar"]["instead"]), ("budget_spent".to_owned(), &Value::Null));
}
