//! An event of the books as OCSF 1.6 has it: calls are API Activity (6003) with the Security Control profile, control changes
//! Entity Management (3004), who came in to the admin API is Authentication (3002). What OCSF has no field for is in `unmapped`, and the whole event in `raw_data`.

use serde_json::{Map, Value, json};

use crate::adapters::audit::Event;
use crate::rules::books::Kind;

const API_ACTIVITY: u64 = 6003;
const ENTITY_MANAGEMENT: u64 = 3004;
const AUTHENTICATION: u64 = 3002;

/// The whole record. An event that is no JSON, which no store gives, has its text in `raw_data` all the same.
pub(super) fn record(event: &Event) -> Value {
    let said: Value = serde_json::from_str(&event.body).unwrap_or_default();
    let mut record = match said.get("control") {
        Some(control) => control_change(event, control),
        None => call(event, &said),
    };
    record.extend(common(event, &said));
    let mut record = Value::Object(record);
    prune(&mut record);
    record
}

fn kind(event: &Event) -> &'static str {
    event.kind.map_or("event", |k| k.as_str())
}

/// 1 is informational, 5 critical.
pub(super) fn severity(event: &Event) -> u64 {
    match event.kind {
        Some(Kind::Killed) => 4,
        Some(Kind::Denied | Kind::Rejected | Kind::Expired | Kind::Revoked | Kind::AdminRefused | Kind::Alerted) => 3,
        Some(Kind::Adjusted | Kind::Escalated) => 2,
        _ => 1,
    }
}

fn common(event: &Event, said: &Value) -> [(String, Value); 4] {
    let metadata = json!({
        "version": "1.6.0", "log_name": "bursar", "event_code": kind(event), "uid": event.seq.to_string(), "sequence": event.seq,
        "product": { "name": "bursar", "vendor_name": "bursar", "version": env!("CARGO_PKG_VERSION") },
        "correlation_uid": event.call, "profiles": ["security_control"], "original_time": event.at,
        "tenant_uid": said.pointer("/row/facts/subject/tenant"),
    });
    [
        ("time".to_owned(), (event.at.0 / 1000).into()),
        ("severity_id".to_owned(), severity(event).into()),
        ("metadata".to_owned(), metadata),
        ("raw_data".to_owned(), event.body.as_str().into()),
    ]
}

fn object(value: Value) -> Map<String, Value> {
    if let Value::Object(map) = value { map } else { Map::new() }
}

fn call(event: &Event, said: &Value) -> Map<String, Value> {
    let row = |field: &str| said.pointer(&format!("/row/{field}")).cloned().unwrap_or_default();
    let (method, outcome) = (row("method"), row("outcome"));
    let activity = activity(method.as_str());
    let refused = matches!(event.kind, Some(Kind::Denied | Kind::Rejected));
    let failed = refused || matches!(event.kind, Some(Kind::Expired)) || outcome.as_str().is_some_and(|o| o != "ok");
    let agent = row("facts/subject/agent");
    let allowed = if refused { 2 } else { 1 };
    object(json!({
        "category_uid": 6, "class_uid": API_ACTIVITY, "activity_id": activity, "type_uid": API_ACTIVITY * 100 + activity,
        "activity_name": (activity == 99).then(|| kind(event)),
        "status_id": if failed { 2 } else { 1 }, "status_code": outcome,
        "status_detail": first([row("reason"), row("error"), said.pointer("/act/reason").cloned().unwrap_or_default()]),
        "action_id": allowed, "disposition_id": allowed, "duration": row("latency_ms"),
        "actor": {
            "user": { "name": agent, "type_id": 3, "credential_uid": row("facts/keys/0") },
            "session": { "uid": row("facts/subject/run") },
        },
        "src_endpoint": { "name": if agent.is_null() { "unknown".into() } else { agent.clone() } },
        "api": {
            "operation": first([row("facts/operation"), row("endpoint")]), "service": { "name": row("facts/vendor") },
            "request": { "uid": event.call }, "response": { "code": row("http_status") },
        },
        "http_request": { "http_method": method, "url": { "path": row("path") }, "uid": row("vendor_request_id") },
        "unmapped": {
            "verdict": row("verdict"), "enforced": row("enforced"), "tier": row("tier"), "policy": row("facts/policy"),
            "policy_hash": row("policy_hash"), "estimate_usd": row("estimate/usd"), "cost_usd": said.pointer("/charge/usd"),
            "cost_source": row("cost_source"), "tokens": row("tokens"), "flagged": row("flagged"), "trace_id": row("trace_id"),
        },
    }))
}

fn activity(method: Option<&str>) -> u64 {
    match method {
        Some("POST") => 1,
        Some("GET" | "HEAD") => 2,
        Some("PUT" | "PATCH") => 3,
        Some("DELETE") => 4,
        _ => 99,
    }
}

fn control_change(event: &Event, control: &Value) -> Map<String, Value> {
    let of = |path: &str| control.pointer(path).cloned().unwrap_or_default();
    let policy = || json!({ "type": "policy", "name": of("/policy"), "version": of("/hash") });
    let (class, activity, entity) = match event.kind {
        Some(Kind::AdminLogin | Kind::AdminRefused) => (AUTHENTICATION, 1, Value::Null),
        Some(Kind::KeyMinted) => (ENTITY_MANAGEMENT, 1, json!({ "type": "vault key", "uid": of("/key") })),
        Some(Kind::PolicyLoaded) => (ENTITY_MANAGEMENT, 3, policy()),
        Some(Kind::PolicyRemoved) => (ENTITY_MANAGEMENT, 4, policy()),
        Some(Kind::PricesLoaded) => (ENTITY_MANAGEMENT, 3, json!({ "type": "price book", "version": of("/hash") })),
        Some(Kind::PersonErased) => (ENTITY_MANAGEMENT, 4, json!({ "type": "person", "uid": of("/alias") })),
        Some(Kind::Restored) => (ENTITY_MANAGEMENT, 8, flag(control)),
        Some(Kind::Revoked | Kind::Killed) => (ENTITY_MANAGEMENT, 9, flag(control)),
        Some(Kind::Alerted) => (ENTITY_MANAGEMENT, 99, flag(control)),
        _ => (ENTITY_MANAGEMENT, 99, Value::Null),
    };
    object(json!({
        "category_uid": 3, "class_uid": class, "activity_id": activity, "type_uid": class * 100 + activity,
        "activity_name": (activity == 99).then(|| kind(event)), "entity": entity,
        "status_id": if event.kind == Some(Kind::AdminRefused) { 2 } else { 1 },
        "status_code": of("/code"), "status_detail": of("/act/reason"), "src_endpoint": { "ip": of("/from") },
        "actor": { "user": { "name": of("/act/actor"), "type_id": 2 } }, "user": login(event, of("/act/actor")),
        "unmapped": { "change": control },
    }))
}

/// Authentication names whom it lets in, beside the actor.
fn login(event: &Event, actor: Value) -> Value {
    match event.kind {
        Some(Kind::AdminLogin | Kind::AdminRefused) => json!({ "name": actor, "type_id": 2 }),
        _ => Value::Null,
    }
}

fn flag(control: &Value) -> Value {
    let of = |path: &str| control.pointer(path).cloned().unwrap_or_default();
    json!({ "type": of("/flag/kind"), "uid": of("/flag/id"), "name": of("/flag/name") })
}

fn first<const N: usize>(values: [Value; N]) -> Value {
    values.into_iter().find(|v| !v.is_null()).unwrap_or_default()
}

/// What is not known is left out, and so is what is empty then.
fn prune(value: &mut Value) {
    let Value::Object(map) = value else { return };
    map.values_mut().for_each(prune);
    map.retain(|_, v| !v.is_null() && v.as_object().is_none_or(|o| !o.is_empty()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::time::Timestamp;

    fn record_of(kind: Kind, body: Value) -> Value {
        record(&Event {
            seq: 7,
            at: Timestamp(1_790_000_000_123_456),
            kind: Some(kind),
            call: None,
            body: body.to_string(),
        })
    }

    #[test]
    fn calls_are_api_activity() {
        let facts = json!({
            "subject": { "tenant": "default", "agent": "refunds", "run": "r1" }, "keys": ["k1"], "policy": "p", "vendor": "stripe",
            "operation": "POST /v1/refunds",
        });
        let row = json!({
            "facts": facts, "method": "POST", "path": "/v1/refunds", "verdict": "deny", "reason": "budget_spent: no", "http_status": 403,
        });
        let said = record_of(Kind::Denied, json!({ "seq": 7, "op": "deny", "row": row }));
        for (path, expected) in [
            ("/class_uid", json!(6003)),
            ("/type_uid", json!(600_301)),
            ("/time", json!(1_790_000_000_123_u64)),
            ("/action_id", json!(2)),
            ("/status_id", json!(2)),
            ("/status_detail", json!("budget_spent: no")),
            ("/actor/user/name", json!("refunds")),
            ("/actor/user/credential_uid", json!("k1")),
            ("/actor/session/uid", json!("r1")),
            ("/api/service/name", json!("stripe")),
            ("/api/response/code", json!(403)),
            ("/metadata/sequence", json!(7)),
            ("/metadata/tenant_uid", json!("default")),
        ] {
            assert_eq!(said.pointer(path), Some(&expected), "{path} in {said}");
        }
        let settled =
            record_of(Kind::Settled, json!({ "op": "commit", "charge": { "usd": "0.5" }, "row": { "outcome": "ok" } }));
        assert_eq!((&settled["status_id"], &settled["unmapped"]["cost_usd"]), (&json!(1), &json!("0.5")));
        assert!(settled.get("http_request").is_none(), "what is not known is not there: {settled}");
    }

    #[test]
    fn control_changes_are_entity_management() {
        let control = json!({ "change": "stopped", "flag": { "kind": "key", "id": "k1" }, "act": { "actor": "ann", "reason": "lost" } });
        let said = record_of(Kind::Revoked, json!({ "op": "control", "control": control }));
        assert_eq!(
            (&said["type_uid"], &said["entity"]["uid"], &said["actor"]["user"]["name"]),
            (&json!(300_409), &json!("k1"), &json!("ann"))
        );
        assert_eq!(
            record(&Event { seq: 1, at: Timestamp(0), kind: None, call: None, body: "?".to_owned() })["raw_data"],
            json!("?")
        );
    }
}
