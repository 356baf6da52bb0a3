//! The shipped catalogue is sound, calls find their operations, and a wrong table names its mistakes.

use super::*;
use crate::rules::path::CanonicalPath;
use crate::rules::vendors::{Adapter, Move, Price, Vendor};

pub fn vendor(name: &str) -> Vendor {
    let raw = shipped(name).expect("it ships").unwrap_or_else(|error| panic!("{name}.toml: {error}"));
    raw.check(name).unwrap_or_else(|mistakes| panic!("{name}.toml: {mistakes:?}"))
}

fn path(text: &str) -> CanonicalPath {
    CanonicalPath::parse(text).expect("well-formed").path
}

#[test]
fn every_shipped_vendor_is_sound() {
    for name in names() {
        let vendor = vendor(name);
        let mut seen = std::collections::HashSet::new();
        for operation in &vendor.operations {
            assert!(seen.insert(operation.name.clone()), "{name}: {} twice", operation.name);
            let concrete: Vec<String> = operation
                .template
                .iter()
                .map(|s| match s.split_once('}') {
                    Some((_, verb)) => format!("x1{verb}"),
                    None => s.to_string(),
                })
                .collect();
            let routed = vendor.route(&operation.method, path(&format!("/{}", concrete.join("/"))));
            assert!(routed.operation.is_some(), "{name}: {}", operation.name);
        }
    }
}

#[test]
fn calls_find_their_operation_host_and_parameters() {
    let price = |vendor: &str, method: &str, at: &str| {
        let vendor = super::tests::vendor(vendor);
        let routed = vendor.route(method, path(at));
        let price = vendor.price_of(routed.operation).map(|p| match p {
            Price::Free => "free".to_owned(),
            Price::Ceiling => "ceiling".to_owned(),
            Price::Adapter(adapter) => format!("{adapter:?}"),
            Price::Rule(_) => "rule".to_owned(),
        });
        (routed.path.as_str().to_owned(), routed.host.base.host.to_string(), price.unwrap_or("none".to_owned()))
    };
    for (vendor, method, at, sent, host, how) in [
        ("openai", "POST", "/v1/chat/completions", "/v1/chat/completions", "api.openai.com", "Chat"),
        ("openai", "POST", "/chat/completions", "/v1/chat/completions", "api.openai.com", "Chat"),
        ("openai", "POST", "/v1/chat/completions/", "/v1/chat/completions/", "api.openai.com", "Chat"),
        ("openai", "GET", "/models", "/v1/models", "api.openai.com", "free"),
        ("openai", "HEAD", "/v1/models", "/v1/models", "api.openai.com", "free"),
        ("openai", "POST", "/v1/batches", "/v1/batches", "api.openai.com", "Batch"),
        ("openai", "POST", "/v1/unheard_of", "/v1/unheard_of", "api.openai.com", "none"),
        (
            "google",
            "POST",
            "/models/gemini-3-pro:streamGenerateContent",
            "/v1beta/models/gemini-3-pro:streamGenerateContent",
            "generativelanguage.googleapis.com",
            "Gemini",
        ),
        (
            "google",
            "POST",
            "/v1/models/a:embedContent",
            "/v1/models/a:embedContent",
            "generativelanguage.googleapis.com",
            "GeminiEmbed",
        ),
        (
            "google",
            "POST",
            "/v1/models/a:unheardOf",
            "/v1/models/a:unheardOf",
            "generativelanguage.googleapis.com",
            "none",
        ),
        (
            "bedrock",
            "POST",
            "/model/us.anthropic.claude%3A0/converse-stream",
            "/model/us.anthropic.claude%3A0/converse-stream",
            "bedrock-runtime.us-east-1.amazonaws.com",
            "Converse",
        ),
        ("anthropic", "POST", "/messages", "/v1/messages", "api.anthropic.com", "Messages"),
        ("anthropic", "POST", "/v1/messages/count_tokens", "/v1/messages/count_tokens", "api.anthropic.com", "free"),
        ("stripe", "POST", "/v1/refunds", "/v1/refunds", "api.stripe.com", "Stripe(Refund)"),
        ("stripe", "POST", "/v1/refunds/re_1", "/v1/refunds/re_1", "api.stripe.com", "free"),
        ("stripe", "GET", "/v1/charges/ch_1", "/v1/charges/ch_1", "api.stripe.com", "free"),
        (
            "stripe",
            "POST",
            "/v1/payment_intents/pi_1/capture",
            "/v1/payment_intents/pi_1/capture",
            "api.stripe.com",
            "Stripe(IntentCapture)",
        ),
        ("stripe", "POST", "/v1/subscriptions", "/v1/subscriptions", "api.stripe.com", "Stripe(Subscription)"),
        ("stripe", "POST", "/v1/new_money_thing", "/v1/new_money_thing", "api.stripe.com", "none"),
        ("stripe", "POST", "/v1/files", "/v1/files", "files.stripe.com", "free"),
        ("stripe", "GET", "/v1/files/file_1", "/v1/files/file_1", "api.stripe.com", "free"),
        ("stripe", "GET", "/oauth/authorize", "/oauth/authorize", "connect.stripe.com", "none"),
        ("resend", "POST", "/emails/batch", "/emails/batch", "api.resend.com", "rule"),
        // It can send at once, to an audience that the request does not show.
        ("resend", "POST", "/broadcasts", "/broadcasts", "api.resend.com", "ceiling"),
        (
            "twilio",
            "POST",
            "/2010-04-01/Accounts/AC1/Messages.json",
            "/2010-04-01/Accounts/AC1/Messages.json",
            "api.twilio.com",
            "rule",
        ),
        ("github", "PATCH", "/repos/o/r/issues/1", "/repos/o/r/issues/1", "api.github.com", "free"),
    ] {
        assert_eq!(price(vendor, method, at), (sent.to_owned(), host.to_owned(), how.to_owned()), "{method} {at}");
    }
}

#[test]
fn parameters_are_named_and_decoded() {
    let github = vendor("github");
    let routed = github.route("PUT", path("/repos/o/a%20b/pulls/7/merge"));
    let params: Vec<_> = routed.params.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(params, [("owner", "o"), ("repo", "a b"), ("number", "7")]);
    let stripe = vendor("stripe");
    for (method, at) in
        [("GET", "/v1/customers/cus_1"), ("GET", "/v1/customers/cus_1/sources/a"), ("DELETE", "/v1/customers/cus_1")]
    {
        let routed = stripe.route(method, path(at));
        assert_eq!(routed.params.first(), Some(&("customer", "cus_1".to_owned())), "{method} {at}");
    }
    let rest = github.route("GET", path("/a/b/c"));
    assert_eq!(rest.params, [("path", "a/b/c".to_owned())]);
    assert!(github.route("GET", path("/")).operation.is_none());
}

#[test]
fn the_operators_table_goes_on_top() {
    let over: RawVendor = toml::from_str(
        r#"
        base_url = "http://127.0.0.1:9000/mock"
        hosts = ["Stripe.Proxy.Internal"]
        private_network = true
        credential = "env:X"
        [[operations]]
        on = ["POST /v1/refunds"]
        action = "house.refund"
        tier = "execution"
        bodies = ["form"]
        price = "ceiling"
        "#,
    )
    .expect("well-formed");
    let raw = shipped("stripe").expect("it ships").expect("it parses");
    let vendor = raw.merge(over).check("stripe").expect("sound");
    let host = &vendor.hosts[0].base;
    assert_eq!(
        (host.tls, &*host.authority, &*host.host, host.port, &*host.prefix),
        (false, "127.0.0.1:9000", "127.0.0.1", 9000, "/mock")
    );
    assert_eq!(vendor.hosts.len(), 1);
    assert_eq!(vendor.host_names, [Box::<str>::from("stripe.proxy.internal")]);
    let refund = vendor.route("POST", path("/v1/refunds")).operation.expect("listed");
    assert_eq!((&*refund.action, matches!(refund.price, Price::Ceiling)), ("house.refund", true));
    let charge = vendor.route("POST", path("/v1/charges")).operation.expect("listed");
    assert!(matches!(charge.price, Price::Adapter(Adapter::Stripe(Move::Charge))));
}

#[test]
fn a_wrong_table_names_every_mistake() {
    let raw: RawVendor = toml::from_str(
        r#"
        family = "opneai"
        base_url = "ftp://x"
        auto_tier = "cheap"
        placement = { header = "a b" }
        [rates.unused]
        usd = "0,10"
        [rules.r]
        estimate = { const = "1", count = ["/to"] }
        actual = { response = "/cost", each = true }
        [[operations]]
        on = ["post /v1", "POST /{x+}/y"]
        action = "a"
        tier = "dangerous"
        bodies = ["xml"]
        price = "cheap"
        [[operations]]
        on = ["POST /v1/a"]
        action = "a"
        tier = "read-only"
        price = { rule = "s" }
        [[operations]]
        on = ["POST /v1/b"]
        action = "a"
        tier = "read-only"
        price = { rule = "r" }
        "#,
    )
    .expect("it parses");
    let mistakes = raw.check("My Vendor").expect_err("it is wrong");
    let fields: Vec<_> = mistakes.iter().map(|m| m.field.as_str()).collect();
    for field in [
        "name",
        "family",
        "base_url",
        "auto_tier",
        "placement.header",
        "rules.r.estimate",
        "rules.r.actual.each",
        "rates.unused.usd",
        "operations[0].tier",
        "operations[0].on",
        "operations[0].price",
        "operations[0].bodies",
        "operations[1].price",
    ] {
        assert!(fields.contains(&field), "{field} in {fields:?}");
    }
    assert!(!fields.contains(&"operations[2].price"), "what is wrong with a rule is said there: {fields:?}");
    let unknown = toml::from_str::<RawVendor>("base_ulr = \"x\"").expect_err("unknown field").to_string();
    assert!(unknown.contains("base_ulr"));
    for bad in [
        "https://",
        "https://u@h",
        "https://h/a?b",
        "h",
        "https://h/../x",
        "https://h:",
        "https://h:99999",
        "https://[::1]:x",
    ] {
        assert!(crate::rules::vendors::Base::parse(bad).is_err(), "{bad}");
    }
}
