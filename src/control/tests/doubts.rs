//! What nodes of a fleet may believe of each other: an acknowledgement is of this ledger and of a door that knows, and of two
//! words on one flag the last one said holds, whatever the clocks of the nodes say.

use std::time::Duration;

use serde_json::json;

use super::fleet::{LONG, Server, answers, three};
use super::rig::Rig;
use crate::adapters::fleet::{Flags, Fleet};
use crate::rules::subject::Flag;
use crate::units::time::Timestamp;

const EVERYONE: &str = r#"{"kind":"everyone"}"#;

/// As a node with another clock shared it, and nobody heard.
async fn shared_unheard(server: &Server, on: bool, at: i64) {
    let act = json!({ "actor": "elsewhere", "reason": null });
    let record = json!({ "kind": "flag", "flag": { "kind": "everyone" }, "on": on, "act": act, "at": Timestamp(at) });
    let value = format!("{at} {} {record}", u8::from(on));
    server.say(&["HSET", "{bursar}:shared", &format!("flag {EVERYONE}"), &value]).await;
}

fn ahead() -> i64 {
    Timestamp::now().0 + 30_000_000
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_obeyed_of_another_ledger_acknowledges_nothing() {
    let server = Server::start().await;
    let node = Fleet::open(server.url.as_bytes(), None, "bursar", "a", LONG).await.expect("a server");
    node.obey_all(&Flags { epoch: "first".to_owned(), flagged: 5000, set: Vec::new() });
    let obeyed = async || node.beat().await.expect("an answer").nodes[0].obeyed;
    assert_eq!(obeyed().await, 5000);
    server.say(&["HSET", "{bursar}:meta", "epoch", "second", "flagged", "1001"]).await;
    assert_eq!(obeyed().await, 0, "its number is of the ledger that was lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_door_does_not_know_yet_has_not_carried_it_out() {
    let server = Server::start().await;
    let [a, b, c] = three(&server, LONG).await;
    let disk = rusqlite::Connection::open(b.keys_db()).expect("the keys");
    disk.execute_batch("BEGIN EXCLUSIVE").expect("a disk that takes nothing");
    for name in ["one", "two", "three"] {
        let flag = json!({ "kind": "agent", "tenant": "default", "name": name });
        let call = b.enter(name);
        let (status, done) = a.post("/v1/kill", json!({ "flag": flag })).await;
        let flag: Flag = serde_json::from_value(flag).expect("a flag");
        let knows = b.state.keyring.flag(&flag).is_some();
        assert!(knows || status != 200, "{name} was admitted there when this was said: {done}");
        drop(call);
    }
    drop(disk);
    let known = |rig: &Rig| rig.state.keyring.flags().len() == 3;
    for rig in [&a, &b, &c] {
        rig.wait_for(|| known(rig)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_clears_no_flag_that_was_set_anew_elsewhere() {
    let server = Server::start().await;
    let [a, b, _c] = three(&server, LONG).await;
    let everyone = || json!({ "flag": { "kind": "everyone" } });
    assert_eq!(a.post("/v1/kill", everyone()).await.0, 200);
    b.wait_for(|| !b.state.keyring.flags().is_empty()).await;
    shared_unheard(&server, true, ahead()).await;
    let (status, said) = b.post("/v1/unkill", everyone()).await;
    assert_ne!(status, 200, "{said}");
    assert_eq!(server.say(&["SCARD", "{bursar}:flags"]).await, redis::Value::Int(1), "the ledger still has it");
    b.wait_for(|| b.state.keyring.flag(&Flag::Everyone).is_some_and(|f| f.act.actor == "elsewhere")).await;
    // Nor is it cleared by telling it again.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(server.say(&["SCARD", "{bursar}:flags"]).await, redis::Value::Int(1));
    assert!(b.state.keyring.untold().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_holds_even_where_a_clock_ahead_restored_before() {
    let server = Server::start().await;
    let [a, b, c] = three(&server, LONG).await;
    shared_unheard(&server, false, ahead()).await;
    let (status, done) = b.post("/v1/kill", json!({ "flag": { "kind": "everyone" } })).await;
    assert_eq!((status, answers(&done)), (200, (3, vec![])), "{done}");
    for rig in [&a, &b, &c] {
        assert!(rig.state.keyring.flag(&Flag::Everyone).is_some_and(|f| f.act.actor == "socket:ann"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_policy_lets_a_node_do_alone_is_its_right() {
    let server = Server::start().await;
    let [a, ..] = three(&server, LONG).await;
    let alone = Fleet::open(server.url.as_bytes(), None, "bursar", "alone", LONG).await.expect("a server");
    alone.may_admit_for(Duration::from_secs(60));
    assert!(!alone.may_admit_alone(LONG), "nobody was told yet");
    let beat = alone.beat().await.expect("an answer");
    let own = beat.nodes.iter().find(|n| n.id == alone.id()).expect("its entry");
    assert_eq!(own.right_ends.0 - own.at.0, 60_000_000);
    // It goes silent, obeys nothing, and may still admit: that is said.
    let (status, done) = a.post("/v1/kill", json!({ "flag": { "kind": "everyone" } })).await;
    assert!(status == 503 && done.to_string().contains("alone (until"), "{done}");
    assert!(alone.may_admit_alone(LONG) && !alone.may_admit_alone(Duration::from_millis(750)));
    let (_, seen) = a.get("/v1/status").await;
    let live = seen["fleet"]["nodes"].as_array().map_or(0, |n| n.iter().filter(|n| n["live"] == true).count());
    assert_eq!((live, &seen["fleet"]["revoke_latency_late"]), (3, &json!(0)), "{seen}");
}
