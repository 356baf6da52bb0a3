//! What a schema may say, which calls fit it however they are written, and that a misfit never shows what was sent.

use super::*;
use crate::rules::args::{Body, Decimal, Sent};
use crate::rules::vendors::BodyKind;
use proptest::prelude::*;
use serde_json::json;

fn schema(root: Json) -> Schema {
    Schema::compile("s", Digest32([0; 32]), root).unwrap_or_else(|flaws| panic!("{flaws:?}"))
}

/// `METHOD`-less: a query, and a body that is JSON if it begins so, else a form.
fn asked(schema: &Schema, query: &str, body: &str) -> Result<Option<Misfit>, Unreadable> {
    let json = body.starts_with(['{', '[']);
    let sent = Sent {
        query: Some(query),
        content_type: Some(if json { "application/json" } else { "application/x-www-form-urlencoded" }),
        body: Body::Whole(body.as_bytes()),
        ..Sent::default()
    };
    schema.misfit(&Args::read(sent, &[BodyKind::Json, BodyKind::Form]).expect(body))
}

/// `fits`, `unreadable`, or place and keyword.
fn word(schema: &Schema, query: &str, body: &str) -> String {
    match asked(schema, query, body) {
        Ok(None) => "fits".to_owned(),
        Ok(Some(misfit)) => format!("{} {}", misfit.at, misfit.keyword),
        Err(_) => "unreadable".to_owned(),
    }
}

fn refund() -> Schema {
    schema(json!({
        "type": "object",
        "required": ["amount"],
        "additionalProperties": false,
        "properties": {
            "amount": { "$ref": "#/$defs/money" },
            "reason": { "type": "string", "enum": ["duplicate", "fraudulent"] },
            "urgent": { "type": "boolean" },
            "note": { "type": ["string", "null"], "maxLength": 5 },
            "any": { "type": ["integer", "string"], "maximum": 9 },
            "items": { "type": "array", "maxItems": 2, "items": { "type": "object", "properties": { "n": { "type": "integer" } } } },
            "metadata": { "type": "object", "additionalProperties": { "type": "string", "pattern": "^[a-z]+$" } },
        },
        "$defs": { "money": { "type": "number", "maximum": 500.5, "multipleOf": 0.01 } },
    }))
}

#[test]
fn json_forms_and_queries_are_judged_alike() {
    let schema = refund();
    for (query, body, wanted) in [
        ("", r#"{"amount": 500.5}"#, "fits"),
        ("", r#"{"amount": 500.51}"#, "/amount maximum"),
        ("", r#"{"amount": 0.015}"#, "/amount multipleOf"),
        ("", r#"{"amount": "500"}"#, "/amount type"),
        ("", r#"{"amount": 5.00000000000000001}"#, "/amount type"),
        ("", r#"{"reason": "duplicate"}"#, " required"),
        ("", r#"{"amount": 5, "extra": 1}"#, " additionalProperties"),
        ("", r#"{"amount": 5, "urgent": "true"}"#, "/urgent type"),
        ("", r#"{"amount": 5, "items": [{"n": 1}, {"n": 2.5}]}"#, "/items/1/n type"),
        ("", r#"{"amount": 5, "items": [{}, {}, {}]}"#, "/items maxItems"),
        ("", "[]", " type"),
        ("amount=500.5", "", "fits"),
        ("amount=500.51", "", "/amount maximum"),
        ("", "amount=500.5", "fits"),
        ("", "amount=500.51", "/amount maximum"),
        ("", "amount=5e2", "fits"),
        ("", "amount=0x10", "/amount type"),
        ("", "amount=+5", "/amount type"),
        ("", "amount=", "/amount type"),
        ("", "amount=5.00000000000000001", "/amount type"),
        ("", "amount=5&urgent=true", "fits"),
        ("", "amount=5&urgent=yes", "/urgent type"),
        ("", "amount=5&note=", "fits"),
        ("", "amount=5&note=123456", "/note maxLength"),
        ("", "amount=5&reason=because", "/reason enum"),
        ("", "amount=5&any=8", "fits"),
        ("", "amount=5&any=10", "/any maximum"),
        ("", "amount=5&items[0][n]=1&items[1][n]=2", "fits"),
        ("", "amount=5&items[0][n]=x", "/items/0/n type"),
        ("", "amount=5&metadata[1]=a", "fits"),
        ("", "amount=5&metadata[k]=9", "/metadata/k pattern"),
        ("reason=duplicate", "amount=5", "fits"),
        ("reason=because", r#"{"amount": 5}"#, "/reason enum"),
        // What has more than one reading has none.
        ("amount=5", "amount=5", "unreadable"),
        ("", "amount=5&amount=6", "unreadable"),
        ("", "amount=5&Amount=6", "unreadable"),
        ("", r#"{"amount": 5, "A_mount": 6}"#, "unreadable"),
        ("", "amount=5&items[0][N]=1", "unreadable"),
        ("amount=5", "[1]", "unreadable"),
        ("", "[5]", "unreadable"),
    ] {
        assert_eq!(word(&schema, query, body), wanted, "{query} {body}");
    }
}

#[test]
fn what_a_schema_may_not_say() {
    for (root, at) in [
        (json!({ "maxium": 5 }), "/maxium"),
        (json!({ "type": "object", "$id": "https://example.com/x" }), "/$id"),
        (json!({ "properties": { "a": { "type": "string" } } }), "/properties"),
        (json!({ "type": "object", "properties": { "a": { "maximum": 5 } } }), "/properties/a/maximum"),
        (
            json!({ "type": "object", "allOf": [{ "properties": { "a": { "pattern": "x" } } }] }),
            "/allOf/0/properties/a/pattern",
        ),
        (json!({ "$ref": "https://example.com/x" }), "/$ref"),
        (json!({ "$ref": "other.json#/a" }), "/$ref"),
        (json!({ "$ref": "#/$defs/none" }), "/$ref"),
        (json!({ "$ref": "#" }), "/$ref"),
        (json!({ "type": "array", "items": { "$ref": "#" } }), "/items/$ref"),
        (
            json!({ "$ref": "#/$defs/a", "$defs": { "a": { "anyOf": [{ "$ref": "#/$defs/b" }] }, "b": { "$ref": "#/$defs/a" } } }),
            "/$defs/b/$ref",
        ),
        (json!({ "type": "string", "format": "regex" }), "/format"),
        (json!({ "type": "string", "format": "e-mail" }), "/format"),
        (json!({ "type": "string", "pattern": "(?=x)" }), "/pattern"),
        (json!({ "type": "string", "pattern": "(" }), "/pattern"),
        (json!({ "type": "integer", "maximum": "5" }), "/maximum"),
        (json!({ "type": "whole" }), "/type"),
    ] {
        let flaws = Schema::compile("s", Digest32([0; 32]), root.clone()).expect_err(&root.to_string());
        assert!(flaws.iter().any(|flaw| flaw.at == at), "{root}: {flaws:?}");
    }
    // Two references each, ten deep: a thousand and more subschemas.
    let both = |next: usize| json!({ "anyOf": [{ "$ref": format!("#/$defs/{next}") }, { "$ref": format!("#/$defs/{next}") }] });
    let mut defs: serde_json::Map<String, Json> = (0..10).map(|n| (n.to_string(), both(n + 1))).collect();
    defs.insert("10".to_owned(), json!(true));
    let flaws =
        Schema::compile("s", Digest32([0; 32]), json!({ "$ref": "#/$defs/0", "$defs": defs })).expect_err("too large");
    assert!(flaws.len() == 1 && flaws[0].what.contains("2000"), "{flaws:?}");
}

#[test]
fn a_misfit_shows_no_value() {
    const SECRET: &str = "4242secret";
    for root in [
        json!({ "type": "object", "properties": { "a": { "type": "integer" } } }),
        json!({ "type": "object", "properties": { "a": { "type": "string", "enum": ["x"] } } }),
        json!({ "type": "object", "properties": { "a": { "type": "string", "maxLength": 2 } } }),
        json!({ "type": "object", "properties": { "a": { "type": "string", "pattern": "^x" } } }),
        json!({ "type": "object", "properties": { "a": { "type": "string", "format": "email" } } }),
        json!({ "type": "object", "properties": { "a": { "not": { "type": "string" } } } }),
        json!({ "type": "object", "properties": { "a": { "anyOf": [{ "type": "integer" }, { "const": 5 }] } } }),
        json!({ "type": "object", "properties": { "a": { "oneOf": [{ "type": "string" }, true] } } }),
        json!({ "type": "object", "properties": { "a": false } }),
        json!({ "const": 1 }),
        json!({ "type": "object", "maxProperties": 0 }),
    ] {
        for body in [format!("a={SECRET}"), format!(r#"{{"a": "{SECRET}"}}"#)] {
            let misfit = asked(&schema(root.clone()), "", &body).expect("one reading").expect("a misfit");
            assert!(!format!("{misfit:?}").contains(SECRET), "{root}: {misfit:?}");
        }
    }
    let names = schema(json!({ "type": "object", "propertyNames": { "type": "string", "maxLength": 3 } }));
    let misfit = asked(&names, "", &format!("{SECRET}=1")).expect("one reading").expect("a misfit");
    assert!(!format!("{misfit:?}").contains(SECRET), "{misfit:?}");
    let long = asked(
        &schema(json!({ "type": "object", "additionalProperties": { "type": "integer" } })),
        "",
        &format!("{}=x", "n".repeat(5000)),
    );
    assert!(format!("{long:?}").len() < 600);
}

#[test]
fn more_values_than_are_judged_are_a_misfit() {
    let any = schema(json!({ "type": "object" }));
    let list = |n: usize| format!("{{\"a\": [{}1]}}", "1,".repeat(n));
    assert_eq!(word(&any, "", &list(100)), "fits");
    assert_eq!(word(&any, "", &list(25_000)), "/a/19998 size");
}

#[test]
fn a_body_that_nobody_reads_fits_nothing() {
    let sent =
        Sent { content_type: Some("multipart/form-data; boundary=x"), body: Body::Whole(b"--x"), ..Sent::default() };
    let args = Args::read(sent, &[BodyKind::Multipart]).expect("opaque");
    assert_eq!(schema(json!({ "type": "object" })).misfit(&args), Err(Unreadable::OpaqueWhole));
}

proptest! {
    /// As exact decimals compare, so do numbers before a schema; those that would not are no numbers there.
    #[test]
    fn numbers_compare_exactly(a in "-?[1-9][0-9]{0,17}(\\.[0-9]{1,6})?", b in "-?[1-9][0-9]{0,17}(\\.[0-9]{1,6})?") {
        let (Some(a), Some(limit)) = (exact(&a).map(|_| a), exact(&b)) else { return Ok(()) };
        let below = schema(json!({ "type": "object", "properties": { "n": { "type": "number", "maximum": limit } } }));
        let wanted = Decimal::parse(&a) <= Decimal::parse(&b);
        prop_assert_eq!(word(&below, "", &format!("n={a}")) == "fits", wanted, "{} {}", a, b);
        prop_assert_eq!(word(&below, "", &format!("{{\"n\": {a}}}")) == "fits", wanted);
    }
}
