//! Written price rules: what they take from a request and an answer, and what their mistakes say.

use super::*;
use crate::rules::args::{Body, Sent};
use crate::rules::price::PriceBook;
use crate::rules::vendors::BodyKind;

fn rule(text: &str) -> Rule {
    toml::from_str::<RawRule>(text).expect("it parses").check().unwrap_or_else(|m| panic!("{m:?}"))
}

fn args<'a>(body: &'a str, kind: BodyKind) -> Args<'a> {
    let content_type = if kind == BodyKind::Json { "application/json" } else { "application/x-www-form-urlencoded" };
    let sent = Sent { content_type: Some(content_type), body: Body::Whole(body.as_bytes()), ..Sent::default() };
    Args::read(sent, &[kind]).expect("readable")
}

fn hold(rule: &Rule, body: &str, kind: BodyKind) -> Result<u128, Unpriceable> {
    let fx = PriceBook::load(None).expect("it ships").fx;
    Ok(rule.bind(&args(body, kind))?.hold(&fx).expect("a known currency").0)
}

#[test]
fn estimates_follow_the_request() {
    let email = rule(
        "estimate = { product = [{ count = [\"/to\", \"/cc\", \"/bcc\"] }, { const = \"0.0009\" }] }\nactual = \"estimate\"",
    );
    for (body, recipients) in
        [(r#"{"to":"a@x"}"#, 1), (r#"{"to":["a@x","b@x"],"cc":["c@x"],"bcc":null}"#, 3), (r#"{"subject":"x"}"#, 0)]
    {
        assert_eq!(hold(&email, body, BodyKind::Json), Ok(recipients * 900_000_000), "{body}");
    }
    let batch = rule("estimate = { count = [\"/to\", \"/cc\"], each = true }\nactual = \"estimate\"");
    assert_eq!(hold(&batch, r#"[{"to":["a","b"]},{"to":"c","cc":["d"]},{}]"#, BodyKind::Json), Ok(4 * ONE));
    assert!(matches!(hold(&batch, "{}", BodyKind::Json), Err(Unpriceable::BadField { .. })));
    let param = rule(
        "estimate = { product = [{ param = \"minutes\", default = \"60\", at_least = \"1\", at_most = \"100\" }, { const = \"0.5\" }] }\nactual = \"estimate\"",
    );
    for (body, cost) in [("minutes=3", 15), ("", 300), ("minutes=0", 5), ("minutes=1000", 500)] {
        assert_eq!(hold(&param, body, BodyKind::Form), Ok(cost * ONE / 10), "{body}");
    }
    assert!(matches!(hold(&param, "minutes=-3", BodyKind::Form), Err(Unpriceable::BadField { .. })));
    let chars = rule(
        "estimate = { product = [{ chars = \"text\" }, { const = \"0.00003\" }] }\nactual = \"estimate\"\ncurrency = \"eur\"",
    );
    // 4 characters * 0.00003 EUR * 1.1172 * 1.05
    assert_eq!(hold(&chars, r#"{"text":"häß!"}"#, BodyKind::Json), Ok(140_767_200));
    assert!(matches!(hold(&chars, "{}", BodyKind::Json), Err(Unpriceable::Unbounded { .. })));
}

#[test]
fn actual_costs_follow_the_answer() {
    let fx = PriceBook::load(None).expect("it ships").fx;
    let told = rule("estimate = { const = \"5\" }\nactual = { response = \"/cost/total\" }\nzero_if = [\"202\"]");
    let bound = told.bind(&args("{}", BodyKind::Json)).expect("bound");
    let cost = |body: &str| bound.cost(&HeaderMap::new(), body.as_bytes(), &fx).map(|usd| usd.0);
    assert_eq!(cost(r#"{"cost":{"total":0.007}}"#), Some(7_000_000_000));
    assert_eq!(cost(r#"{"cost":{"total":"-0.0075"}}"#), Some(7_500_000_000));
    assert_eq!((cost("{}"), cost("nonsense"), cost(r#"{"cost":{"total":"many"}}"#)), (None, None, None));
    assert!(bound.is_zero_at(202) && !bound.is_zero_at(200));
    let header = rule(
        "estimate = { const = \"5\" }\nactual = { product = [{ header = \"Character-Cost\" }, { const = \"0.0001\" }] }",
    );
    let bound = header.bind(&args("{}", BodyKind::Json)).expect("bound");
    let headers: HeaderMap =
        [("character-cost".parse().expect("a name"), "12".parse().expect("a value"))].into_iter().collect();
    assert_eq!(bound.cost(&headers, b"", &fx).map(|usd| usd.0), Some(1_200_000_000));
    assert_eq!(bound.cost(&HeaderMap::new(), b"", &fx), None);
    assert!(!bound.reads_body());
}

#[test]
fn a_text_message_costs_its_segments_to_its_destination() {
    let twilio = crate::rules::vendors::catalog::shipped("twilio").expect("it ships").expect("it parses");
    let sms = twilio.rules["sms"].check().expect("sound");
    for (body, micro) in [
        ("To=%2B15551234567&From=1&Body=hello", 13_300),
        ("To=%2B4479&From=1&Body=hello", 52_400),
        ("To=%2B99&From=1&Body=hello", 400_000),
        // Jamaica has the country code of the United States, and not their price.
        ("To=%2B18765551234&From=1&Body=hello", 400_000),
        ("To=%2B1+(876)+555-1234&From=1&Body=hello", 400_000),
        // A template stands in for the body, whatever is sent beside it.
        ("To=%2B15551234567&ContentSid=HX1&Body=", 25 * 13_300),
        ("To=%2B15551234567&Body=hello&SendAsMms=true", 13_300 + 30_000),
        // No body: a template may fill in 24 segments.
        ("To=%2B15551234567&ContentSid=HX1", 24 * 13_300),
        ("To=%2B15551234567&Body=&MediaUrl=https%3A%2F%2Fx", 13_300 + 30_000),
    ] {
        assert_eq!(hold(&sms, body, BodyKind::Form), Ok(micro * 1_000_000), "{body}");
    }
    let fx = PriceBook::load(None).expect("it ships").fx;
    let bound = sms.bind(&args("To=%2B1555&Body=hello", BodyKind::Form)).expect("bound");
    let cost = |body: &str| bound.cost(&HeaderMap::new(), body.as_bytes(), &fx).map(|usd| usd.0);
    assert_eq!(cost(r#"{"num_segments":"2","num_media":"0","price":null}"#), Some(26_600_000_000));
    // A messaging service answers with none yet.
    assert_eq!(cost(r#"{"num_segments":"0","num_media":"0"}"#), Some(13_300_000_000));
    assert_eq!(cost(r#"{"sid":"SM1"}"#), None);
    let long = format!("To=%2B1555&Body={}", "a".repeat(1600));
    let bound = sms.bind(&args(&long, BodyKind::Form)).expect("bound");
    let cost = |body: &str| bound.cost(&HeaderMap::new(), body.as_bytes(), &fx).map(|usd| usd.0);
    // ... so the body's own segments count until it does.
    assert_eq!(cost(r#"{"num_segments":"0","num_media":"0"}"#), Some(11 * 13_300_000_000));
    assert_eq!(cost(r#"{"num_segments":"10","num_media":"0"}"#), Some(10 * 13_300_000_000));
}

#[test]
fn a_wrong_rule_names_its_fields() {
    for (text, field) in [
        ("estimate = {}\nactual = \"estimate\"", "estimate"),
        ("estimate = { const = \"x\" }\nactual = \"estimate\"", "estimate.const"),
        ("estimate = { const = \"1\", default = \"2\" }\nactual = \"estimate\"", "estimate.default"),
        ("estimate = { response = \"/x\" }\nactual = \"estimate\"", "estimate"),
        (
            "estimate = { sum = [{ const = \"1\" }, { table = \"To\", prefixes = { \"+1\" = \"no\" } }] }\nactual = \"estimate\"",
            "estimate.sum[1].prefixes.+1",
        ),
        ("estimate = { const = \"1\" }\nactual = \"estimate\"\nzero_if = [\"9xx\"]", "zero_if"),
        // Each of these would silently cost nothing, or one.
        ("estimate = { sum = [] }\nactual = \"estimate\"", "estimate.sum"),
        ("estimate = { product = [] }\nactual = \"estimate\"", "estimate.product"),
        ("estimate = { count = [] }\nactual = \"estimate\"", "estimate.count"),
    ] {
        let mistakes = toml::from_str::<RawRule>(text).expect("it parses").check().expect_err(text);
        assert_eq!(mistakes.iter().map(|(field, _)| field.as_str()).collect::<Vec<_>>(), [field], "{text}");
    }
    for text in [
        "estimate = { cnst = \"1\" }\nactual = \"estimate\"",
        "estimate = { const = \"1\" }\nactual = \"estimat\"",
        "estimate = { const = \"1\" }\nactual = { responce = \"/x\" }",
    ] {
        assert!(toml::from_str::<RawRule>(text).is_err(), "{text}");
    }
}
