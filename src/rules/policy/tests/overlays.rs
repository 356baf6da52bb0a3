//! What a key's own rules take away, and what they may not ask for.

use super::*;

const POLICY: &str = r#"
    name = "p"
    vendors = ["stripe", "openai"]
    expires_at = 2027-01-01T00:00:00Z
    [[allow]]
    methods = ["GET", "POST"]
    paths = ["/v1/refunds", "/v1/customers/*"]
    [[allow]]
    methods = ["GET"]
    paths = ["/v1/charges/**"]
    [[deny]]
    paths = ["/v1/customers/cus_vip"]
    [[budget]]
    per = "key"
    window = "day"
    limit = "50 USD"
    [[budget]]
    per = "call"
    limit = "5 USD"
"#;

fn with(json: &[&str], call: &mut Call<'_>) -> String {
    let key = |(at, json): (usize, &&str)| (KeyId(format!("k{at}").into()), overlay(json));
    call.overlays = json.iter().enumerate().map(key).collect();
    call.word(&set(&[POLICY]))
}

#[test]
fn overlays_take_away() {
    let refunds = r#"{"allow": [{"methods": ["POST"], "paths": ["/v1/refunds"]}]}"#;
    let reads = r#"{"allow": [{"methods": ["GET"]}]}"#;
    let stripe = r#"{"vendors": ["stripe"]}"#;
    let openai = r#"{"vendors": ["openai"]}"#;
    let wide = r#"{"allow": [{"paths": ["/**"]}]}"#;
    for (json, method, target, wanted) in [
        (vec!["{}"], "POST", "/v1/refunds", "allow"),
        (vec![refunds], "POST", "/v1/refunds", "allow"),
        (vec![refunds], "GET", "/v1/refunds", "policy_denied"),
        (vec![refunds], "GET", "/v1/charges", "policy_denied"),
        (vec![reads], "GET", "/v1/charges", "allow"),
        (vec![reads], "POST", "/v1/refunds", "policy_denied"),
        (vec![refunds, reads], "POST", "/v1/refunds", "policy_denied"),
        (vec!["{}", reads], "POST", "/v1/refunds", "policy_denied"),
        (vec![stripe], "GET", "/v1/charges", "allow"),
        (vec![openai], "GET", "/v1/charges", "vendor_not_allowed"),
        (vec![stripe, openai], "GET", "/v1/charges", "vendor_not_allowed"),
        (vec![r#"{"vendors": []}"#], "GET", "/v1/charges", "vendor_not_allowed"),
        // What an overlay adds is not there.
        (vec![wide], "POST", "/v1/payouts", "policy_denied"),
        (vec![wide], "POST", "/v1/charges", "policy_denied"),
        (vec![wide], "GET", "/v1/customers/cus_vip", "policy_denied"),
        (vec![r#"{"expires_at": "2026-06-15T12:00:00Z"}"#], "POST", "/v1/refunds", "policy_expired"),
        (vec!["{}", r#"{"expires_at": "2026-06-15T11:59:59Z"}"#], "POST", "/v1/refunds", "policy_expired"),
        (vec![r#"{"expires_at": "2030-01-01T00:00:00Z"}"#], "POST", "/v1/refunds", "allow"),
    ] {
        assert_eq!(with(&json, &mut call(method, target, "")), wanted, "{json:?} {method} {target}");
    }
}

fn fields(found: Vec<Widening>) -> Vec<String> {
    found.into_iter().map(|w| w.field).collect()
}

#[test]
fn what_would_widen_a_policy_is_named_field_by_field() {
    let policy = policy(POLICY);
    let none: [&str; 0] = [];
    for (json, wanted) in [
        ("{}", none.as_slice()),
        (r#"{"allow": [{"methods": ["POST"], "paths": ["/v1/refunds"]}]}"#, &[]),
        (r#"{"allow": [{"paths": ["/v1/refunds/re_1", "/v1/customers/cus_1", "/v1/charges/**"]}]}"#, &[]),
        (r#"{"allow": [{"methods": ["GET"], "paths": ["/v1/{charges,refunds}"]}]}"#, &[]),
        (r#"{"allow": [{"methods": ["DELETE"], "paths": ["/v1/refunds"]}]}"#, &["allow[0].paths"]),
        (r#"{"allow": [{"methods": ["GET", "POST"], "paths": ["/v1/charges"]}]}"#, &["allow[0].paths"]),
        (r#"{"allow": [{"paths": ["/v1/**"]}]}"#, &["allow[0].paths"]),
        (r#"{"allow": [{"paths": ["/v1/refunds"]}, {"paths": ["/v1/{refunds,payouts}"]}]}"#, &["allow[1].paths"]),
        (r#"{"allow": [{"paths": ["/v1/customers/**"]}]}"#, &["allow[0].paths"]),
        (r#"{"allow": [{"paths": ["/v1/customers/cus_vip"]}]}"#, &["allow[0].paths"]),
        (r#"{"vendors": ["stripe"]}"#, &[]),
        (r#"{"vendors": ["stripe", "github"]}"#, &["vendors"]),
        (r#"{"expires_at": "2026-12-31T00:00:00Z"}"#, &[]),
        (r#"{"expires_at": "2027-01-01T00:00:01Z"}"#, &["expires_at"]),
        (r#"{"budgets": [{"per": "key", "window": "day", "limit": "50 USD"}]}"#, &[]),
        (r#"{"budgets": [{"per": "key", "window": "day", "limit": "51 USD"}]}"#, &["budgets[0]"]),
        (r#"{"budgets": [{"per": "key", "window": "month", "limit": "51 USD"}]}"#, &[]),
        (r#"{"budgets": [{"per": "call", "limit": "4 USD"}, {"per": "call", "limit": "6 USD"}]}"#, &["budgets[1]"]),
        (
            r#"{"vendors": ["x"], "allow": [{"paths": ["/x"]}], "expires_at": "2028-01-01T00:00:00Z"}"#,
            &["vendors", "allow[0].paths", "expires_at"],
        ),
    ] {
        assert_eq!(fields(overlay(json).narrows(&policy)), wanted, "{json}");
    }
    let why = overlay(r#"{"allow": [{"methods": ["DELETE"], "paths": ["/v1/refunds"]}]}"#).narrows(&policy);
    assert_eq!(
        why[0].to_string(),
        "`allow[0].paths`: `DELETE /v1/refunds` would allow `DELETE /v1/refunds`, and policy p does not"
    );
}

#[test]
fn a_child_is_narrower_than_its_parent() {
    let parent = overlay(
        r#"{"vendors": ["stripe"], "allow": [{"methods": ["GET"], "paths": ["/v1/charges/**"]}],
            "budgets": [{"per": "key", "limit": "5 USD"}], "expires_at": "2026-08-01T00:00:00Z"}"#,
    );
    for (json, wanted) in [
        ("{}", vec![]),
        (r#"{"vendors": ["openai"]}"#, vec!["vendors"]),
        (r#"{"allow": [{"methods": ["GET"], "paths": ["/v1/charges/ch_1"]}]}"#, vec![]),
        (r#"{"allow": [{"methods": ["POST"], "paths": ["/v1/charges/ch_1"]}]}"#, vec!["allow[0].paths"]),
        (r#"{"budgets": [{"per": "key", "limit": "6 USD"}]}"#, vec!["budgets[0]"]),
        (r#"{"budgets": [{"per": "key", "limit": "4 USD"}]}"#, vec![]),
        (r#"{"expires_at": "2026-09-01T00:00:00Z"}"#, vec!["expires_at"]),
    ] {
        assert_eq!(fields(overlay(json).narrows_parent(&parent)), wanted, "{json}");
    }
}

#[test]
fn an_overlay_is_stored_as_it_was() {
    let json = r#"{"vendors":["stripe"],"allow":[{"methods":["GET"],"paths":["/v1/charges/**"]},{"paths":["/v1/refunds"]}],"budgets":[{"per":"key","window":"day","limit":"12.5 USD"},{"per":"run","window":"total","limit":"500 risk points"}],"expires_at":"2026-09-01T00:00:00Z"}"#;
    assert_eq!(serde_json::to_string(&overlay(json)).expect("serializes"), json);
    assert_eq!(serde_json::to_string(&Overlay::default()).expect("serializes"), "{}");
    for bad in [
        r#"{"vendor": ["x"]}"#,
        r#"{"allow": [{"methods": ["get"]}]}"#,
        r#"{"allow": [{"paths": ["v1"]}]}"#,
        r#"{"budgets": [{"per": "agent", "limit": "5 USD"}]}"#,
        r#"{"budgets": [{"per": "key", "limit": "5"}]}"#,
        r#"{"budgets": [{"per": "key", "window": "week", "limit": "5 USD"}]}"#,
    ] {
        assert!(serde_json::from_str::<Overlay>(bad).is_err(), "{bad}");
    }
}
