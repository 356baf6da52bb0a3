//! Schemas, models and their aliases, and where calls may go: seen from the vendor's side of the wire.

use super::common::SOON;
use super::common::books::{row_of, text};
use super::common::client::Ask;
use super::common::house::House;
use super::{CHAT, charge, chat};

const SHAPED: &str = r#"
name = "shaped"
vendors = ["openai", "stripe"]

[[allow]]
paths = ["/**"]

[[schema]]
vendor = "stripe"
paths = ["/v1/charges"]
redact = true
schema = { type = "object", required = ["amount"], properties.amount = { type = "integer", maximum = 500 } }
[[schema]]
vendor = "openai"
paths = ["/v1/chat/completions"]
schema = { type = "object", properties.messages = { type = "array", maxItems = 2 } }

[[models]]
vendor = "openai"
allow = ["penny-*"]
aliases = { cheap = "penny-1" }
"#;

#[test]
fn arguments_that_do_not_fit_a_schema_go_nowhere() {
    let house = House::new(&[SHAPED]);
    let key = house.mint("shaped", "agent");
    for ask in [charge("amount=500&currency=usd"), chat(CHAT)] {
        let answer = house.call(&ask.key(&key));
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let three = CHAT.replace("[{", r#"[{"role":"user","content":"a"},{"role":"user","content":"b"},{"#);
    for (ask, at, keyword) in [
        (charge("amount=501&currency=usd"), "/amount", "maximum"),
        (charge("amount=4.5&currency=usd"), "/amount", "type"),
        (charge("currency=usd"), "", "required"),
        (chat(three), "/messages", "maxItems"),
    ] {
        let answer = house.call(&ask.key(&key));
        assert_eq!(answer.said(), (403, "schema_denied".to_owned()), "{}", answer.text());
        let bursar = &answer.json()["bursar"];
        assert_eq!((&bursar["at"], &bursar["keyword"]), (&at.into(), &keyword.into()), "{bursar}");
        assert!(!answer.text().contains("501"), "what was sent is not shown: {}", answer.text());
    }
    assert_eq!(house.vendor.count(), 2);
}

#[test]
fn an_alias_is_judged_held_and_sent_as_its_model() {
    let house = House::new(&[SHAPED]);
    let key = house.mint("shaped", "agent");
    let spaced = CHAT.replace("\"model\":\"penny-1\"", "\"model\" : \"cheap\" ");
    let ask = chat(spaced.clone()).key(&key);
    let answer = house.call(&ask);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent = house.vendor.last();
    let wanted = spaced.replace("\"cheap\"", "\"penny-1\"");
    assert_eq!(String::from_utf8_lossy(&sent.body), wanted, "one name is changed, and nothing else");
    assert_eq!(sent.length, wanted.len() as u64);
    let aliased = row_of(&house.bursar, &ask.trace, SOON);
    assert_eq!(text(&aliased, "reason"), "model: cheap -> penny-1");
    let plain = chat(wanted).key(&key);
    assert_eq!(house.call(&plain).status, 200);
    let plain = row_of(&house.bursar, &plain.trace, SOON);
    for same in ["request_hash", "estimate_usd", "cost_usd"] {
        assert_eq!(aliased[same], plain[same], "{same}: what was sent is what was priced and hashed");
    }
    let before = house.vendor.count();
    let denied = house.call(&chat(CHAT.replace("penny-1", "gpt-4o")).key(&key));
    assert_eq!(denied.said(), (403, "model_denied".to_owned()), "{}", denied.text());
    assert!(denied.text().contains("penny-*"), "{}", denied.text());
    let me = house.myself(&key);
    let models = &me["rules"][0]["models"][0];
    assert_eq!((&models["allow"][0], &models["aliases"]["cheap"]), (&"penny-*".into(), &"penny-1".into()), "{me}");
    assert_eq!(me["rules"][0]["schemas"][0]["paths"][0], "/v1/charges", "{me}");
    let question = serde_json::json!({"method": "POST", "path": "/openai/v1/chat/completions", "body": spaced, "headers": {"content-type": "application/json"}});
    let told = house.call(&Ask::json("/bursar/v1/decide", &question).key(&key)).json();
    assert_eq!(told["verdict"], "allow", "{told}");
    assert_eq!(told["estimate_usd"], plain["estimate_usd"], "{told}");
    assert_eq!(house.vendor.count(), before);
}

#[test]
fn calls_go_only_where_the_operator_lets_them() {
    let refused = |rules: &str, part: &str| {
        let house = House::with(&[SHAPED], |_| rules.to_owned());
        let key = house.mint("shaped", "agent");
        let ask = chat(CHAT).key(&key);
        let answer = house.call(&ask);
        assert_eq!(answer.said(), (403, "vendor_address_refused".to_owned()), "{rules}: {}", answer.text());
        assert!(answer.text().contains(part), "{}", answer.text());
        assert_eq!((house.vendor.count(), house.vendor.connections()), (0, 0), "nothing was dialled");
        let row = row_of(&house.bursar, &ask.trace, SOON);
        assert_eq!((text(&row, "cost_usd"), text(&row, "outcome")), ("0", "unreachable"), "{row:#}");
    };
    refused("[egress]\ndeny = [\"127.0.0.0/8\"]\n", "`[egress]` does not allow");
    refused("[egress]\nallow = [\"203.0.113.0/24\"]\n", "`[egress]` does not allow");
    refused("[egress]\nhosts = [\"*.example.com\"]\n", "`[egress] hosts`");
    let house = House::with(&[SHAPED], |_| "[egress]\nhosts = [\"127.0.0.1\"]\nallow = [\"127.0.0.0/8\"]\n".to_owned());
    assert_eq!(house.call(&chat(CHAT).key(&house.mint("shaped", "agent"))).status, 200);
}
