//! What a request does not say is looked up at the vendor, if the policy allows it.

mod common;

use common::SOON;
use common::books::{micro, rows, settled, spend, text};
use common::client::Ask;
use common::house::{House, REAL_STRIPE};
use common::wait_for;
use serde_json::{Value, json};

const USD: u64 = 100_000_000;

fn policy(name: &str, more: &str, limit: &str) -> String {
    format!(
        "name = \"{name}\"\nvendors = [\"stripe\"]\n{more}\n[[allow]]\nmethods = [\"POST\"]\npaths = [\"/v1/refunds\"]\n\n\
         [[budget]]\nper = \"agent\"\nlimit = \"{limit} USD\"\n"
    )
}

#[test]
fn a_refund_without_an_amount_holds_what_is_left_of_its_charge() {
    let house = House::new(&[&policy("asks", "look_up = true", "30"), &policy("silent", "", "30")]);
    let key = house.mint("asks", "clerk");
    let ask = Ask::form("/stripe/v1/refunds", "charge=ch_1").key(&key);
    assert_eq!(house.call(&ask).status, 200);
    let sent: Vec<_> = house.vendor.received().iter().map(|r| format!("{} {}", r.method, r.target)).collect();
    assert_eq!(sent, ["GET /v1/charges/ch_1", "POST /v1/refunds"]);
    let asked = &house.vendor.received()[0];
    assert_eq!(asked.header("authorization"), Some(format!("Bearer {REAL_STRIPE}").as_str()));
    let calls = settled(&house.bursar, &["--agent", "clerk"], 2, SOON);
    let refund = calls.iter().find(|row| text(row, "method") == "POST").expect("its row");
    let look = calls.iter().find(|row| text(row, "method") == "GET").expect("the row of the question");
    assert_eq!((micro(&refund["estimate_usd"]), micro(&refund["cost_usd"])), (17 * USD, 17 * USD));
    assert_eq!((micro(&look["estimate_usd"]), micro(&look["cost_usd"]), text(look, "tier")), (0, 0, "read-only"));
    // Each names the other.
    assert!(text(refund, "reason").contains(text(look, "call_id")), "{refund}");
    assert!(text(look, "reason").contains(text(refund, "call_id")), "{look}");
    // Seventeen of thirty are spent: the next one does not fit, and does not leave.
    let refused = house.call(&ask.again());
    assert_eq!(refused.said(), (403, "budget_spent".to_owned()));
    assert_eq!(house.vendor.received().iter().filter(|r| r.method == "POST").count(), 1);
    // Without the switch nothing is asked, and nothing leaves.
    let before = house.vendor.count();
    let other = house.mint("silent", "other");
    let answer = house.call(&Ask::form("/stripe/v1/refunds", "charge=ch_1").key(&other));
    assert!(answer.status == 403 && answer.text().contains("look_up = true"), "{}", answer.text());
    assert_eq!(house.vendor.count(), before);
}

#[test]
fn what_cannot_be_looked_up_has_the_ceiling_or_is_refused() {
    let with_ceiling = policy("bounded", "look_up = true\nceiling = \"20 USD\"", "30");
    let house = House::new(&[&policy("asks", "look_up = true", "30"), &with_ceiling]);
    let (strict, bounded) = (house.mint("asks", "strict"), house.mint("bounded", "loose"));
    let gone = |key| Ask::form("/stripe/v1/refunds", "charge=ch_gone").key(key);
    let refused = house.call(&gone(&strict));
    assert!(refused.status == 403 && refused.text().contains("404"), "{}", refused.text());
    assert_eq!(house.vendor.received().iter().filter(|r| r.method == "POST").count(), 0);
    let ask = gone(&bounded);
    assert_eq!(house.call(&ask).status, 200);
    let calls = settled(&house.bursar, &["--agent", "loose"], 2, SOON);
    let row = calls.iter().find(|row| text(row, "method") == "POST").expect("its row");
    assert_eq!((micro(&row["estimate_usd"]), micro(&row["cost_usd"])), (20 * USD, 17 * USD));
}

/// The vendor did it, and its answer was lost: the repeat shares the first one's hold, and the money is counted
/// once. A later repeat holds anew, and the vendor says that it repeats itself.
#[test]
fn a_lost_first_answer_is_charged_once() {
    let house = House::new(&[&policy("asks", "look_up = true", "50")]);
    let key = house.mint("asks", "clerk");
    let ask = |mock: &str| {
        let ask = Ask::form("/stripe/v1/refunds", "charge=ch_1").key(&key).header("idempotency-key", "refund-1");
        if mock.is_empty() { ask } else { ask.mock(mock) }
    };
    let lost = house.call(&ask("cut"));
    assert!(lost.status >= 500, "{}", lost.text());
    let again = house.call(&ask(""));
    assert_eq!(again.status, 200, "{}", again.text());
    let third = house.call(&ask(""));
    assert_eq!(third.status, 200, "{}", third.text());
    wait_for("the refund to be counted once", SOON, || {
        let sum: u64 = rows(&house.bursar, &["--agent", "clerk"]).iter().map(|row| micro(&row["cost_usd"])).sum();
        (sum == 17 * USD).then_some(())
    });
    assert_eq!(micro(&spend(&house.bursar, &["--agent", "clerk"])["cost_usd"]), 17 * USD);
}

/// Anthropic and OpenAI, for prompts whose bytes are too many.
fn prompts(policy: &str) -> House {
    let anthropic = |port: u16| {
        format!(
            "[vendors.anthropic]\nbase_url = \"http://127.0.0.1:{port}\"\ncredential = \"env:TEST_ANTHROPIC\"\n\
             private_network = true\n"
        )
    };
    House::with_env(&[policy], anthropic, &[("TEST_ANTHROPIC", "sk-ant-real-c0ffee")])
}

fn of_prompts(more: &str, limit: &str) -> String {
    format!(
        "name = \"prompts\"\nvendors = [\"openai\", \"anthropic\"]\n{more}\n[[allow]]\nmethods = [\"POST\"]\n\
         paths = [\"/v1/chat/completions\", \"/v1/messages\", \"/v1/responses\"]\n\n[[budget]]\nper = \"agent\"\n\
         limit = \"{limit} USD\"\n"
    )
}

/// Twenty thousand bytes are two dollars; the two hundred tokens that the vendor counts are two cents.
#[test]
fn a_prompt_whose_bytes_do_not_fit_is_counted_by_the_vendor_if_it_may_be_asked() {
    let body = json!({"model": "nickel-a", "stream": true, "max_tokens": 100, "temperature": 1,
        "messages": [{"role": "user", "content": "four".repeat(5000)}]});
    let ask = Ask::json("/anthropic/v1/messages", &body);
    let house = prompts(&of_prompts("look_up = true", "0.05"));
    let key = house.mint("prompts", "clerk");
    let answer = house.call(&ask.clone().key(&key));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent = house.vendor.received();
    let paths: Vec<_> = sent.iter().map(|r| r.target.as_str()).collect();
    assert_eq!(paths, ["/v1/messages/count_tokens", "/v1/messages"]);
    let asked: Value = serde_json::from_slice(&sent[0].body).expect("JSON");
    let fields: Vec<_> = asked.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(fields, ["messages", "model"]);
    assert_eq!(sent[0].header("x-api-key"), Some("sk-ant-real-c0ffee"));
    let calls = settled(&house.bursar, &["--agent", "clerk"], 2, SOON);
    let call = calls.iter().find(|row| text(row, "path") == "/v1/messages").expect("its row");
    // 200, 5 % and 100 more, and a hundred of the answer.
    assert_eq!(micro(&call["estimate_usd"]), 410 * 10_000);
    assert!(text(call, "reason").contains("count_tokens"), "{call}");
    // What fits by its bytes is not asked for.
    let short =
        json!({"model": "nickel-a", "stream": true, "max_tokens": 10, "messages": [{"role": "user", "content": "x"}]});
    assert_eq!(house.call(&Ask::json("/anthropic/v1/messages", &short).key(&key)).status, 200);
    assert_eq!(house.vendor.count(), 3);
    let silent = prompts(&of_prompts("", "0.05"));
    let key = silent.mint("prompts", "clerk");
    assert_eq!(silent.call(&ask.key(&key)).said(), (403, "budget_spent".to_owned()));
    assert_eq!(silent.vendor.count(), 0);
}

/// Bedrock's question stands below the model of the call, and is signed with the real credential as the call is.
#[test]
fn bedrock_is_asked_with_a_signature_of_its_own() {
    let bedrock = |port: u16| {
        format!(
            "[vendors.bedrock]\nbase_url = \"http://127.0.0.1:{port}\"\ncredential = \"env:TEST_BEDROCK\"\nprivate_network = true\n"
        )
    };
    let policy = "name = \"clouds\"\nvendors = [\"bedrock\"]\nlook_up = true\n\n[[allow]]\nmethods = [\"POST\"]\n\
                  paths = [\"/model/*/converse\"]\n\n[[budget]]\nper = \"agent\"\nlimit = \"0.01 USD\"\n";
    let house = House::with_env(&[policy], bedrock, &[("TEST_BEDROCK", "AKIDREAL:real-c0ffee")]);
    let key = house.mint("clouds", "clerk");
    let body = json!({"messages": [{"role": "user", "content": [{"text": "four".repeat(5000)}]}],
        "inferenceConfig": {"maxTokens": 100}});
    let signed = format!(
        "AWS4-HMAC-SHA256 Credential={}/20261122/us-east-1/bedrock/aws4_request, SignedHeaders=host;x-amz-date, Signature=00",
        key.key
    );
    let ask = Ask::json("/bedrock/model/amazon.nova-pro-v1%3A0/converse", &body).header("authorization", &signed);
    let answer = house.call(&ask);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent = house.vendor.received();
    let asked: Vec<&str> = sent.iter().filter_map(|r| r.target.rsplit('/').next()).collect();
    assert_eq!(asked, ["count-tokens", "converse"]);
    for request in &sent {
        let signature = request.header("authorization").expect("a signature");
        assert!(signature.starts_with("AWS4-HMAC-SHA256 Credential=AKIDREAL/"), "{signature}");
        assert!(!format!("{request:?}").contains(&key.key));
    }
    let counted: Value = serde_json::from_slice(&sent[0].body).expect("JSON");
    assert_eq!(counted["input"]["converse"], json!({"messages": body["messages"]}));
    let calls = settled(&house.bursar, &["--agent", "clerk"], 2, SOON);
    let call = calls.iter().find(|row| text(row, "path").ends_with("/converse")).expect("its row");
    // 310 tokens in at 0.80 USD a million, 100 out at 3.20; the answer says 200 and 40.
    assert_eq!((micro(&call["estimate_usd"]), micro(&call["cost_usd"])), (56_800, 28_800));
}

/// Forty-five thousand bytes of prose are ten thousand tokens of a published tokenizer: no extra request is needed.
#[test]
fn a_prompt_whose_bytes_do_not_fit_is_counted_here_if_its_tokenizer_is_known() {
    let house = prompts(&of_prompts("", "0.04"));
    let key = house.mint("prompts", "clerk");
    let prose = "The quick brown fox jumps over the lazy dog. ".repeat(1000);
    let body = |model: &str| json!({"model": model, "max_tokens": 50, "service_tier": "default", "messages": [{"role": "user", "content": prose}]});
    let answer = house.call(&Ask::json("/openai/v1/chat/completions", &body("gpt-4o")).key(&key));
    assert_eq!((answer.status, house.vendor.count()), (200, 1), "{}", answer.text());
    let row = settled(&house.bursar, &["--agent", "clerk"], 1, SOON).remove(0);
    let held = micro(&row["estimate_usd"]);
    // Ten thousand tokens at 2.5 a million, and the frame; the bytes alone would be 0.11, and a look at the words says 0.048.
    assert!((USD / 40..USD / 25).contains(&held), "{held}");
}

#[test]
fn what_a_response_left_behind_bounds_the_one_that_goes_on_from_it() {
    let house = prompts(&of_prompts("", "1"));
    let key = house.mint("prompts", "clerk");
    let ask = |before: Option<&str>| {
        let body = json!({"model": "nickel-1", "input": "x", "max_output_tokens": 200, "service_tier": "default",
            "previous_response_id": before});
        Ask::json("/openai/v1/responses", &body).key(&key)
    };
    // Of an answer that was not seen here the model's longest prompt stands in: a hundred dollars.
    assert_eq!(house.call(&ask(Some("resp_1"))).said(), (403, "budget_spent".to_owned()));
    assert_eq!(house.call(&ask(None)).status, 200);
    let on = house.call(&ask(Some("resp_1")));
    assert_eq!((on.status, house.vendor.count()), (200, 2), "{}", on.text());
    assert_eq!(house.call(&ask(Some("resp_2"))).status, 403);
}
