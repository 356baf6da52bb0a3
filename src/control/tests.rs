//! The admin API over its real listeners, with a ledger that can be switched off: what is answered, what holds when
//! something fails half-way, who is let in.

mod doubts;
mod fleet;
mod rig;

use std::time::Duration;

use serde_json::{Value, json};

use rig::Rig;

async fn mint(rig: &Rig) -> Value {
    let (status, minted) = rig.post("/v1/keys", json!({ "policy": "refunds", "agent": "a", "note": "a test" })).await;
    assert_eq!(status, 200, "{minted}");
    minted
}

#[tokio::test]
async fn a_key_is_minted_listed_revoked_and_restored() {
    let rig = Rig::new().await;
    let minted = mint(&rig).await;
    let (id, key) = (minted["key_id"].as_str().expect("an id"), minted["key"].as_str().expect("a key"));
    assert!(key.starts_with(&format!("vk_{id}_")));
    let read: super::Minted = serde_json::from_value(minted.clone()).expect("as it was sent");
    assert!(!format!("{read:?}").contains(&key[16..40]));
    let (_, list) = rig.get("/v1/keys?agent=a").await;
    assert_eq!((list["keys"][0]["key_id"].as_str(), list["keys"][0]["status"].as_str()), (Some(id), Some("good")));
    assert!(!list.to_string().contains("hash") && !list.to_string().contains(&key[16..40]), "{list}");

    let call = rig.enter(id);
    let (status, off) = rig.post(&format!("/v1/keys/{id}/revoke"), json!({ "reason": "leaked" })).await;
    assert_eq!((status, off["calls_ended"].as_u64(), off["stopped"].as_bool()), (200, Some(1), Some(true)), "{off}");
    assert!(call.stopped_by().is_some());
    let (_, shown) = rig.get(&format!("/v1/keys/{id}")).await;
    assert_eq!((shown["status"].as_str(), shown["revoked"]["reason"].as_str()), (Some("revoked"), Some("leaked")));
    assert_eq!(shown["revoked"]["actor"], "socket:ann");
    assert!(rig.state.keyring.untold().is_empty());

    let (status, _) = rig.post(&format!("/v1/keys/{id}/restore"), json!({})).await;
    assert_eq!(status, 200);
    let (status, again) = rig.post(&format!("/v1/keys/{id}/restore"), json!({})).await;
    assert_eq!((status, again["error"]["code"].as_str()), (404, Some("not_found")));
    assert_eq!(rig.kinds().await, ["key_minted", "revoked", "restored"]);
}

#[tokio::test]
async fn restoring_a_key_that_ended_with_its_parent_names_the_parent() {
    let rig = Rig::new().await;
    let parent = mint(&rig).await["key_id"].as_str().expect("an id").to_owned();
    let (_, child) = rig.post("/v1/keys", json!({ "policy": "refunds", "parent": parent })).await;
    rig.post(&format!("/v1/keys/{parent}/revoke"), json!({})).await;
    let child = child["key_id"].as_str().expect("an id");
    let (status, said) = rig.post(&format!("/v1/keys/{child}/restore"), json!({})).await;
    assert!(status == 404 && said["error"]["message"].as_str().is_some_and(|m| m.contains(&parent)), "{said}");
}

#[tokio::test]
async fn a_kill_reaches_what_it_names_and_nothing_that_is_not_there() {
    let rig = Rig::new().await;
    let kill = |flag: Value| json!({ "flag": flag, "reason": "stop" });
    let (status, done) = rig.post("/v1/kill", kill(json!({ "kind": "agent", "tenant": "default", "name": "a" }))).await;
    assert_eq!((status, done["stopped"].as_bool()), (200, Some(true)), "{done}");
    let (_, flags) = rig.get("/v1/flags").await;
    assert_eq!(flags["flags"][0]["flag"]["name"], "a");
    for nobody in [
        json!({ "kind": "key", "id": "nobody" }),
        json!({ "kind": "vendor", "name": "strype" }),
        json!({ "kind": "policy", "name": "refnds" }),
    ] {
        assert_eq!(rig.post("/v1/kill", kill(nobody)).await.0, 404);
    }
    for unbearable in ["", "a b", "a/b"] {
        let agent = json!({ "kind": "agent", "tenant": "default", "name": unbearable });
        let (status, said) = rig.post("/v1/kill", kill(agent)).await;
        assert_eq!((status, said["error"]["code"].as_str()), (422, Some("no_such_name")), "{said}");
        assert_eq!(rig.post("/v1/kill", kill(json!({ "kind": "tenant", "name": unbearable }))).await.0, 422);
    }
    assert_eq!(rig.post("/v1/kill", kill(json!({ "kind": "everyone" }))).await.0, 200);
    assert_eq!(rig.post("/v1/unkill", kill(json!({ "kind": "everyone" }))).await.0, 200);
    assert_eq!(rig.kinds().await, ["killed", "killed", "restored"]);
}

#[tokio::test]
async fn a_ledger_that_is_down_leaves_a_stop_in_force_and_is_told_later() {
    let rig = Rig::new().await;
    let minted = mint(&rig).await;
    let id = minted["key_id"].as_str().expect("an id");
    let call = rig.enter(id);
    rig.ledger.set_down(true);
    let (status, said) = rig.post(&format!("/v1/keys/{id}/revoke"), json!({})).await;
    assert_eq!((status, said["error"]["code"].as_str()), (503, Some("partly_done")), "{said}");
    assert!(call.stopped_by().is_some(), "the call in flight was ended");
    let (_, shown) = rig.get(&format!("/v1/keys/{id}")).await;
    assert_eq!(shown["status"], "revoked", "the door refuses it");
    assert_eq!(rig.state.keyring.untold().len(), 1);

    let (status, refused) = rig.post("/v1/keys", json!({ "policy": "refunds" })).await;
    assert_eq!(status, 503, "{refused}");
    assert_eq!(rig.state.keyring.list().len(), 1, "a key without its event is no key");

    rig.ledger.set_down(false);
    let telling = tokio::spawn(super::switch::keep_telling(rig.state.clone()));
    rig.wait_for(|| rig.state.keyring.untold().is_empty()).await;
    assert_eq!(rig.kinds().await, ["key_minted", "revoked"]);
    telling.abort();
}

#[tokio::test]
async fn a_mint_says_all_that_is_wrong_with_it() {
    let rig = Rig::new().await;
    let asked = json!({
        "policy": "refnds", "agent": "a/b", "tenant": "", "ttl_secs": 5, "expires_at": "2030-01-01T00:00:00Z",
    });
    let (status, said) = rig.post("/v1/keys", asked).await;
    assert_eq!((status, said["error"]["mistakes"].as_array().map(Vec::len)), (422, Some(4)), "{said}");
    let wide = json!({ "policy": "refunds", "overlay": { "vendors": ["openai"] } });
    let (status, said) = rig.post("/v1/keys", wide).await;
    assert!(status == 422 && said["error"]["message"].as_str().is_some_and(|m| m.contains("vendors")), "{said}");
    let (status, said) = rig.post("/v1/keys", json!({ "polcy": "refunds" })).await;
    assert!(status == 400 && said["error"]["message"].as_str().is_some_and(|m| m.contains("polcy")), "{said}");
    let (status, said) = rig.get("/v1/audit/calls?agnet=a").await;
    assert!(status == 400 && said["error"]["message"].as_str().is_some_and(|m| m.contains("agnet")), "{said}");
    assert_eq!(rig.get("/v1/nothing").await.0, 404);
    assert_eq!(rig.get("/v1/kill").await.0, 405);
    let (status, _) = rig.post("/v1/keys", json!({ "policy": "x".repeat(70_000) })).await;
    assert_eq!(status, 413);
}

#[tokio::test]
async fn a_key_budget_is_counted_before_the_key_is_shown() {
    let rig = Rig::new().await;
    let budget = |limit: &str| json!({ "budgets": [{ "per": "key", "window": "day", "limit": limit }] });
    for limit in ["5 USD", "9 calls"] {
        let (status, said) = rig.post("/v1/keys", json!({ "policy": "refunds", "overlay": budget(limit) })).await;
        assert_eq!(status, 200, "{said}");
    }
    assert_eq!(rig.state.policies.current().extra_shapes().len(), 2);
}

#[tokio::test]
async fn on_tcp_only_the_token_and_our_names_are_let_in() {
    let rig = Rig::new().await;
    let token = rig.token.clone();
    let bearer = format!("Authorization: Bearer {token}\r\n");
    assert_eq!(rig.tcp("GET", "/v1/status", &bearer, "127.0.0.1").await.0, 200);
    assert_eq!(rig.tcp("GET", "/v1/status", "", "127.0.0.1").await.0, 401);
    assert_eq!(rig.tcp("GET", "/v1/status", "Authorization: Bearer wrong\r\n", "localhost").await.0, 401);
    assert_eq!(rig.tcp("GET", "/v1/status", &bearer, "evil.example").await.0, 421);
    assert_eq!(rig.tcp("POST", "/v1/nothing", "", "localhost").await.0, 401, "nobody learns what is there");
    let (status, vendors) = rig.tcp("GET", "/v1/vendors", &bearer, "localhost:8788").await;
    assert_eq!((status, vendors["vendors"][0]["vendor"].as_str()), (200, Some("stripe")));
}

#[tokio::test]
async fn who_came_in_and_who_was_turned_away_stands_in_the_books() {
    let rig = Rig::with(super::Door::default()).await;
    let bearer = format!("Authorization: Bearer {}\r\nx-bursar-actor: eve\r\n", rig.token);
    for _ in 0..3 {
        assert_eq!(rig.tcp("GET", "/v1/status", &bearer, "localhost").await.0, 200);
    }
    for _ in 0..100 {
        assert_eq!(rig.tcp("GET", "/v1/keys", "Authorization: Bearer guess\r\n", "localhost").await.0, 401);
    }
    rig.wait_for(|| rig.ledger.len() >= 61).await;
    let kinds = rig.kinds().await;
    assert_eq!(kinds.iter().filter(|k| **k == "admin_login").count(), 1, "{kinds:?}");
    assert!(
        (60..70).contains(&kinds.iter().filter(|k| **k == "admin_refused").count()),
        "a scan is bounded: {kinds:?}"
    );
    let events = rig.text("/v1/audit/events?kind=admin_login,admin_refused&limit=2", "").await;
    for part in ["token:eve", "127.0.0.1", "wrong_token", "GET /v1/keys"] {
        assert!(events.contains(part), "{part} in {events}");
    }
    assert!(!events.contains("guess"), "{events}");
}

#[tokio::test]
async fn a_name_that_is_no_text_is_malformed() {
    let rig = Rig::new().await;
    for (method, target) in [("GET", "/v1/keys/%ff"), ("POST", "/v1/keys/%ff/revoke")] {
        let bearer = format!("Authorization: Bearer {}\r\n", rig.token);
        let (status, said) = rig.tcp(method, target, &bearer, "localhost").await;
        assert_eq!((status, said["error"]["code"].as_str()), (400, Some("malformed")), "{target}: {said}");
    }
}

#[tokio::test]
async fn the_stream_resumes_where_it_was_left() {
    let rig = Rig::new().await;
    for _ in 0..4 {
        mint(&rig).await;
    }
    rig.caught_up().await;
    let seqs = |text: &str| {
        let events = text.lines().filter(|l| !l.is_empty()).map(|l| serde_json::from_str::<Value>(l).expect("a line"));
        events.map(|e| e["seq"].as_u64().expect("a number")).collect::<Vec<_>>()
    };
    assert_eq!(seqs(&rig.text("/v1/audit/events", "").await), [1, 2, 3, 4]);
    assert_eq!(seqs(&rig.text("/v1/audit/events?from=3", "").await), [3, 4]);
    assert_eq!(seqs(&rig.text("/v1/audit/events?last=1", "").await), [4]);
    assert_eq!(seqs(&rig.text("/v1/audit/events?from=2&limit=2", "").await), [2, 3]);
    assert_eq!(seqs(&rig.text("/v1/audit/events?last=0", "").await), [0; 0]);
    assert_eq!(seqs(&rig.text("/v1/audit/events?kind=key_minted&limit=1", "").await), [1]);
    assert_eq!(seqs(&rig.text("/v1/audit/events?kind=revoked,killed", "").await), [0; 0]);
    assert_eq!(seqs(&rig.text("/v1/audit/events?policy=refunds&last=2", "").await), [3, 4]);
    assert_eq!(seqs(&rig.text("/v1/audit/events?policy=other", "").await), [0; 0]);
    assert_eq!(rig.get("/v1/audit/events?kind=novel").await.0, 400);
    let sse = rig.text("/v1/audit/events", "Accept: text/event-stream\r\nLast-Event-ID: 3\r\n").await;
    assert!(sse.starts_with("id: 4\nevent: key_minted\ndata: {") && sse.ends_with("}\n\n"), "{sse}");
    // A reader who saw more than the books have by now goes back with them.
    let ahead = rig.open("/v1/audit/events", "Accept: text/event-stream\r\nLast-Event-ID: 90\r\n").await;
    assert!(rig::read_all(ahead).await.contains("x-bursar-from: 5\r\n"));
}

#[tokio::test]
async fn a_stream_without_events_says_where_it_begins() {
    let rig = Rig::new().await;
    let empty = rig::read_all(rig.open("/v1/audit/events?last=20", "").await).await;
    assert!(empty.contains("x-bursar-from: 1\r\n"), "{empty}");
    mint(&rig).await;
    rig.caught_up().await;
    let resumed = rig::read_all(rig.open("/v1/audit/events?last=0", "").await).await;
    assert!(resumed.contains("x-bursar-from: 2\r\n"), "{resumed}");
}

#[tokio::test]
async fn a_follower_sees_what_happens_next_and_ends_with_the_server() {
    let rig = Rig::new().await;
    mint(&rig).await;
    let followed = { rig.open("/v1/audit/events?follow", "").await };
    mint(&rig).await;
    rig.caught_up().await;
    rig.state.stop.cancel();
    let text = rig::read_all(followed).await;
    assert!(text.contains("\"seq\":1") && text.contains("\"seq\":2"), "{text}");
}

#[tokio::test]
async fn status_says_how_it_is() {
    let rig = Rig::new().await;
    mint(&rig).await;
    rig.caught_up().await;
    let (_, status) = rig.get("/v1/status").await;
    assert_eq!(
        (status["ready"].as_bool(), status["keys"].as_u64(), status["books_seq"].as_u64()),
        (Some(true), Some(1), Some(1))
    );
    rig.ledger.set_down(true);
    let (_, status) = rig.get("/v1/status").await;
    assert!(status["ready"] == false && status["trouble"].as_array().is_some_and(|t| t.len() == 1), "{status}");
    let (_, policies) = rig.get("/v1/policies").await;
    assert_eq!(policies["policies"][0]["policy"], "refunds");
    let (status, said) = rig.post("/v1/policies/reload", json!({})).await;
    assert_eq!((status, said["policies"].as_u64()), (200, Some(1)), "{said}");
}

#[tokio::test]
async fn retention_gives_up_on_its_own_what_is_older_than_its_time() {
    let rig = Rig::new().await;
    for _ in 0..6 {
        mint(&rig).await;
    }
    rig.caught_up().await;
    rig.state.evidence.seal_rest().await.expect("sealed");
    let first = || rig.state.evidence.store().linked(1, 1).expect("read").first().map(|e| e.seq);
    let moment = Duration::from_millis(300);
    let keep = |keep: Duration| {
        let state = rig.state.clone();
        async move { super::evidence::keep_on(&state, keep, Duration::from_millis(20)).await }
    };
    assert!(tokio::time::timeout(moment, keep(Duration::from_secs(3600))).await.is_err(), "it never ends");
    rig.ledger.set_down(true);
    assert!(tokio::time::timeout(moment, keep(Duration::ZERO)).await.is_err());
    assert_eq!((first(), rig.ledger.len()), (Some(1), 6), "all is young, then nobody could be told");

    rig.ledger.set_down(false);
    let keeping = tokio::spawn(keep(Duration::ZERO));
    rig.wait_for(|| first().is_some_and(|seq| seq > 6)).await;
    keeping.abort();
    let kinds = rig.kinds().await;
    assert_eq!(kinds.last(), Some(&"pruned"), "{kinds:?}");
    let newest = rig.state.evidence.store().last_checkpoint().expect("read").expect("there");
    assert!(newest.checkpoint.pruned_to >= 6, "{newest:?}");
}
