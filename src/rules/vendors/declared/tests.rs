//! Written price rules: what they take from a request and an answer, and what their mistakes say.

mod catalogue;

use super::*;
use crate::rules::args::{Body, Sent};
use crate::rules::price::PriceBook;
use crate::rules::vendors::BodyKind;

fn rule(text: &str) -> Rule {
    toml::from_str::<RawRule>(text).expect("it parses").check(&Default::default()).unwrap_or_else(|m| panic!("{m:?}"))
}

fn args<'a>(body: &'a str, kind: BodyKind) -> Args<'a> {
    let content_type = if kind == BodyKind::Json { "application/json" } else { "application/x-www-form-urlencoded" };
    let sent = Sent { content_type: Some(content_type), body: Body::Whole(body.as_bytes()), ..Sent::default() };
    Args::read(sent, &[kind]).expect("readable")
}

fn hold(rule: &Rule, body: &str, kind: BodyKind) -> Result<u128, Unpriceable> {
    let fx = PriceBook::load(None).expect("it ships").fx;
    Ok(rule.bind(&args(body, kind))?.hold(&fx)?.0)
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
    // Sums that a vendor made in floats.
    assert_eq!(cost(r#"{"cost":{"total":0.017000000000000001}}"#), Some(17_000_000_000));
    assert_eq!(cost(r#"{"cost":{"total":0.30000000000000004}}"#), Some(300_000_000_000));
    assert_eq!(cost(r#"{"cost":{"total":7e-05}}"#), Some(70_000_000));
    assert_eq!(cost(r#"{"cost":{"total":1e-15}}"#), Some(1), "what is not zero stays above it");
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
    let sms = twilio.rules["sms"].check(&twilio.rates).expect("sound");
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
        ("estimate = { const = \"1\" }\nactual = \"estimate\"\nzero_if = [\"9xx\"]", "zero_if[0]"),
        ("estimate = { const = \"1\" }\nactual = \"estimate\"\nzero_if = [{ response = \"status\" }]", "zero_if[0]"),
        ("estimate = { rate = \"x\" }\nactual = \"estimate\"", "estimate.rate"),
        ("estimate = { const = \"1\", each_of = \"/a\" }\nactual = \"estimate\"", "estimate.each_of"),
        ("estimate = { const = \"1\", steps_of = \"0\" }\nactual = \"estimate\"", "estimate.steps_of"),
        ("estimate = { const = \"1\", per = \"0\" }\nactual = \"estimate\"", "estimate.per"),
        ("estimate = { const = \"1\", beyond = \"x\" }\nactual = \"estimate\"", "estimate.beyond"),
        ("estimate = { const = \"1\", at_least = \"3\", at_most = \"2\" }\nactual = \"estimate\"", "estimate.at_least"),
        (
            "estimate = { const = \"1\" }\nactual = \"estimate\"\n[reconcile]\nget = \"/x/{id}\"\nid = \"/id\"\ncost = { response = \"/p\" }\nwait = [\"23h\"]",
            "reconcile.wait",
        ),
        (
            "estimate = { const = \"1\" }\nactual = \"estimate\"\n[reconcile]\nget = \"/x\"\nid = \"/id\"\ncost = { response = \"/p\" }\nwait = [\"1h\"]",
            "reconcile.get",
        ),
        // Each of these would never find what it looks for.
        ("estimate = { const = \"1\" }\nactual = { response = \"cost\" }", "actual.response"),
        ("estimate = { const = \"1\" }\nactual = { header = \"x cost\" }", "actual.header"),
        ("estimate = { count = [\"/to\"], each_of = \"p\" }\nactual = \"estimate\"", "estimate.each_of"),
        ("estimate = { const = \"1\" }\nactual = \"estimate\"\ncurrency = \"euro\"", "currency"),
        (
            "estimate = { const = \"1\" }\nactual = \"estimate\"\n[reconcile]\nget = \"/x/{id}\"\nid = \"/id\"\ncost = { response = \"/p\" }\ncurrency_at = \"unit\"\nwait = [\"1h\"]",
            "reconcile.currency_at",
        ),
        // Each of these would silently cost nothing, or one.
        ("estimate = { sum = [] }\nactual = \"estimate\"", "estimate.sum"),
        ("estimate = { product = [] }\nactual = \"estimate\"", "estimate.product"),
        ("estimate = { count = [] }\nactual = \"estimate\"", "estimate.count"),
    ] {
        let mistakes = toml::from_str::<RawRule>(text).expect("it parses").check(&Default::default()).expect_err(text);
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

#[test]
fn a_rate_that_nobody_set_is_no_price() {
    let text = "estimate = { product = [{ const = \"2\" }, { rate = \"email\" }] }\nactual = \"estimate\"";
    let raw = toml::from_str::<RawRule>(text).expect("it parses");
    let rates = |usd: Option<&str>| {
        std::collections::BTreeMap::from([(
            "email".to_owned(),
            RawRate { usd: usd.map(str::to_owned), ..RawRate::default() },
        )])
    };
    let unset = raw.check(&rates(None)).expect("sound");
    let why = hold(&unset, "{}", BodyKind::Json).expect_err("not known");
    assert!(why.ceiling_helps() && why.status() == 403 && why.to_string().contains("rates.email.usd"), "{why}");
    let fx = PriceBook::load(None).expect("it ships").fx;
    let bound = unset.bind(&args("{}", BodyKind::Json)).expect("bound");
    assert_eq!(bound.cost(&HeaderMap::new(), b"", &fx), None, "nor is it the cost");
    let set = raw.check(&rates(Some("0.0004"))).expect("sound");
    assert_eq!(hold(&set, "{}", BodyKind::Json), Ok(800_000_000));
}

#[test]
fn lists_steps_and_words_are_counted() {
    let rule = |estimate: &str| rule(&format!("estimate = {estimate}\nactual = \"estimate\""));
    for (estimate, body, ones) in [
        ("{ commas = [\"/To\", \"/Cc\"] }", r#"{"To":"a@x, b@x,","Cc":"c@x"}"#, 3),
        ("{ count = [\"/to\"], each_of = \"/p\" }", r#"{"p":[{"to":[1,2]},{"to":[3]},{}]}"#, 3),
        ("{ count = [\"/urls\"], steps_of = \"5\" }", r#"{"urls":[1,2,3,4,5,6]}"#, 2),
        ("{ param = \"/n\", default = \"14400\", steps_of = \"60\" }", "{}", 240),
        ("{ param = \"/n\", steps_of = \"60\" }", r#"{"n":61}"#, 2),
        ("{ param = \"/n\", steps_of = \"60\" }", r#"{"n":60}"#, 1),
        ("{ param = \"/n\", steps_of = \"60\" }", r#"{"n":0}"#, 0),
        // Ten are free; of what is left, three at least and five at most, in twos.
        ("{ param = \"/n\", beyond = \"10\" }", r#"{"n":10}"#, 0),
        ("{ param = \"/n\", beyond = \"10\" }", r#"{"n":25}"#, 15),
        ("{ param = \"/n\", beyond = \"10\", at_least = \"3\", at_most = \"5\", steps_of = \"2\" }", r#"{"n":11}"#, 2),
        ("{ param = \"/n\", beyond = \"10\", at_least = \"3\", at_most = \"5\", steps_of = \"2\" }", r#"{"n":99}"#, 3),
        ("{ param = \"/n\", per = \"60\" }", r#"{"n":180}"#, 3),
        ("{ there = \"/x\" }", r#"{"x":false}"#, 0),
        ("{ there = \"/x\" }", r#"{"x":{}}"#, 1),
        ("{ there = \"/x\" }", "{}", 0),
        ("{ table = \"/d\", values = { \"\" = \"1\", deep = \"7\", true = \"3\" }, otherwise = \"9\" }", "{}", 1),
        (
            "{ table = \"/d\", values = { \"\" = \"1\", deep = \"7\", true = \"3\" }, otherwise = \"9\" }",
            r#"{"d":"deep"}"#,
            7,
        ),
        (
            "{ table = \"/d\", values = { \"\" = \"1\", deep = \"7\", true = \"3\" }, otherwise = \"9\" }",
            r#"{"d":true}"#,
            3,
        ),
        ("{ table = \"/d\", values = { \"\" = \"1\", deep = \"7\" }, otherwise = \"9\" }", r#"{"d":"deeper"}"#, 9),
    ] {
        assert_eq!(hold(&rule(estimate), body, BodyKind::Json), Ok(ones * ONE), "{estimate} {body}");
    }
}

#[test]
fn a_later_price_is_found_and_read() {
    let twilio = crate::rules::vendors::catalog::shipped("twilio").expect("it ships").expect("it parses");
    let sms = twilio.rules["sms"].check(&twilio.rates).expect("sound");
    let path = vec![("account", std::borrow::Cow::Borrowed("AC1"))];
    let body = Body::Whole(b"To=%2B15551234567&Body=hello");
    let sent = Sent { content_type: Some("application/x-www-form-urlencoded"), path, body, ..Sent::default() };
    let bound = sms.bind(&Args::read(sent, &[BodyKind::Form]).expect("readable")).expect("bound");
    let late = bound.late.expect("it comes later");
    let asked = late.question(br#"{"sid":"SM1","price":null}"#).expect("an id");
    assert_eq!(asked.to_string(), "GET /2010-04-01/Accounts/AC1/Messages/SM1.json");
    assert!(late.question(br#"{"sid":"../x"}"#).is_none() && late.question(b"{}").is_none());
    let fx = PriceBook::load(None).expect("it ships").fx;
    let cost = |body: &str| late.cost(body.as_bytes(), &fx).map(|usd| usd.0);
    assert_eq!(cost(r#"{"price":"-0.00750","price_unit":"USD"}"#), Some(7_500_000_000));
    // 0.01 EUR at 1.1172, without a margin.
    assert_eq!(cost(r#"{"price":"-0.01","price_unit":"EUR"}"#), Some(11_172_000_000));
    for none in
        [r#"{"price":null,"price_unit":"USD"}"#, r#"{"price":"-1","price_unit":"ZZZ"}"#, r#"{"price":"-1"}"#, "{}", ""]
    {
        assert_eq!(cost(none), None, "{none}");
    }
}
