//! The emergency stop: from the moment that a revoke or a kill returns nothing more is admitted, and what is in flight ends for
//! the caller within one second, in a way that no client takes for a complete answer.

mod common;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use common::books::{admitted, all_closed, micro, row_of, rows, text};
use common::bursar::Key;
use common::client::{Ask, join_all, runtime, spawn_all};
use common::house::House;
use common::{SOON, wait_for};
use serde_json::Value;
use tokio::sync::mpsc;

const OPEN: &str = r#"
name = "open"
vendors = ["openai", "stripe"]

[[allow]]
methods = ["GET", "POST"]
paths = ["/**"]

[[budget]]
per = "agent"
limit = "1000 USD"
"#;

const OTHER: &str = r#"
name = "other"
vendors = ["openai", "stripe"]

[[allow]]
methods = ["GET", "POST"]
paths = ["/**"]
"#;

const STREAMS: usize = 50;
const A_SECOND: Duration = Duration::from_secs(1);
const CENT: u64 = 1_000_000;

#[test]
fn fifty_streams_end_within_a_second() {
    let house = House::new(&[OPEN]);
    let key = house.mint("open", "runaway");
    let (begun, mut beginnings) = mpsc::unbounded_channel();
    let streams = spawn_all((0..STREAMS).map(|_| follow(endless(&key), house.port(), begun.clone())));
    for _ in 0..STREAMS {
        runtime().block_on(beginnings.recv()).expect("a stream begins");
    }
    house.bursar.ok(&["key", "revoke", &key.id, "--reason", "it runs away"]);
    let revoked = Instant::now();
    let refused = house.call(&Ask::chat(Some(100)).key(&key));
    assert_eq!(refused.said(), (401, "key_revoked".to_owned()));
    for ended in join_all(streams) {
        let late = ended.at.saturating_duration_since(revoked);
        assert!(late <= A_SECOND, "a stream ended {late:?} after the revoke");
        ends_with_the_streams_own_error(&ended.text);
    }
    let received = house.vendor.count();
    assert_eq!(received, STREAMS, "nothing was admitted after the revoke");
    wait_for("the vendor's streams to be reset", SOON, || (house.vendor.answering() == 0).then_some(()));
    every_stream_is_in_the_books(&house);
}

#[test]
fn a_write_in_flight_is_refused_to_its_caller_and_its_true_cost_is_written() {
    let house = House::new(&[OPEN]);
    let key = house.mint("open", "runaway");
    let asks = [Ask::chat(Some(200)).key(&key).mock("gate"), Ask::charge(123).key(&key).mock("gate")];
    let traces = asks.clone().map(|ask| ask.trace);
    let port = house.port();
    let calls = spawn_all(asks.map(|ask| async move { (ask.send(port).await, Instant::now()) }));
    wait_for("both requests to arrive whole", SOON, || {
        (house.vendor.received().iter().filter(|r| r.whole).count() == 2).then_some(())
    });
    house.bursar.ok(&["key", "revoke", &key.id]);
    let revoked = Instant::now();
    for (answer, at) in join_all(calls) {
        assert_eq!(answer.expect("an answer").said(), (403, "revoked".to_owned()));
        assert!(at.saturating_duration_since(revoked) <= A_SECOND);
    }
    house.vendor.open_gate();
    for (trace, cost) in traces.iter().zip([CENT, 123 * CENT]) {
        let row = row_of(&house.bursar, trace, SOON);
        assert_eq!((text(&row, "outcome"), micro(&row["cost_usd"])), ("aborted", cost), "{row:#}");
    }
}

#[test]
fn no_call_that_begins_after_the_revoke_is_admitted() {
    let house = House::new(&[OPEN]);
    let key = house.mint("open", "busy");
    let callers = spawn_all((0..20).map(|_| call_until_refused(chat(&key), house.port())));
    house.vendor.wait_for_count(100, SOON);
    house.bursar.ok(&["key", "revoke", &key.id]);
    let revoked = Instant::now();
    let calls: Vec<(String, Instant, u16)> = join_all(callers).into_iter().flatten().collect();
    let sent: HashSet<String> = house.vendor.received().iter().map(|r| r.trace()).collect();
    assert!(calls.iter().any(|(_, begun, _)| *begun < revoked));
    for (trace, begun, status) in calls {
        let stopped = [401, 403].contains(&status) && !(status == 401 && sent.contains(&trace));
        assert!(status == 200 || stopped, "{status}, and the vendor received it: {}", sent.contains(&trace));
        assert!(begun < revoked || status == 401, "a call that began after the revoke got {status}");
    }
}

/// Calls again and again, and says when each call began and how it ended; until the key is refused.
async fn call_until_refused(ask: Ask, port: u16) -> Vec<(String, Instant, u16)> {
    let mut calls = Vec::new();
    loop {
        let (ask, begun) = (ask.again(), Instant::now());
        let trace = ask.trace.clone();
        let status = ask.send(port).await.expect("an answer").status;
        calls.push((trace, begun, status));
        if status == 401 {
            return calls;
        }
    }
}

#[test]
fn a_restored_key_works_again() {
    let house = House::new(&[OPEN]);
    let key = house.mint("open", "agent");
    house.bursar.ok(&["key", "revoke", &key.id]);
    assert_eq!(house.call(&chat(&key)).said(), (401, "key_revoked".to_owned()));
    house.bursar.ok(&["key", "restore", &key.id]);
    assert_eq!(house.call(&chat(&key)).status, 200);
}

#[test]
fn a_key_minted_from_a_revoked_key_ends_with_it() {
    let house = House::new(&[OPEN]);
    let parent = house.mint("open", "agent");
    let child = house.bursar.mint("open", "agent", &["--parent", &parent.id]);
    let grandchild = house.bursar.mint("open", "agent", &["--parent", &child.id]);
    let stranger = house.mint("open", "agent");
    for key in [&parent, &child, &grandchild, &stranger] {
        assert_eq!(house.call(&chat(key)).status, 200);
    }
    let (begun, mut beginnings) = mpsc::unbounded_channel();
    let stream = spawn_all([follow(endless(&grandchild), house.port(), begun)]);
    runtime().block_on(beginnings.recv()).expect("the stream begins");
    house.bursar.ok(&["key", "revoke", &parent.id]);
    let revoked = Instant::now();
    for key in [&parent, &child, &grandchild] {
        assert_eq!(house.call(&chat(key)).said(), (401, "key_revoked".to_owned()));
    }
    assert_eq!(house.call(&chat(&stranger)).status, 200);
    let ended = join_all(stream).remove(0);
    assert!(ended.at.saturating_duration_since(revoked) <= A_SECOND);
}

#[test]
fn every_kind_of_kill_stops_what_it_covers_and_nothing_else() {
    let house = House::new(&[OPEN, OTHER]);
    let near = house.bursar.mint("open", "agent-a", &["--tenant", "acme", "--run", "run-a"]);
    let far = house.bursar.mint("other", "agent-b", &["--tenant", "umbra", "--run", "run-b"]);
    let targets: [(&[&str], bool); 6] = [
        (&["--agent", "agent-a", "--tenant", "acme"], false),
        (&["--run", "run-a", "--tenant", "acme"], false),
        (&["--tenant", "acme"], false),
        (&["--policy", "open"], false),
        (&["--vendor", "openai"], true),
        (&["--everyone"], true),
    ];
    for (target, far_too) in targets {
        kill_and_unkill(&house, target, &near, &far, far_too);
    }
    let elsewhere = ["kill", "--agent", "agent-a", "--tenant", "umbra"];
    house.bursar.ok(&elsewhere);
    assert_eq!(house.call(&chat(&near)).status, 200, "an agent is a name within its tenant");
}

#[test]
fn a_flag_survives_a_crash_and_so_does_its_end() {
    let mut house = House::new(&[OPEN]);
    let (key, other) = (house.mint("open", "agent-a"), house.mint("open", "agent-b"));
    house.bursar.ok(&["kill", "--agent", "agent-a", "--reason", "for now"]);
    house.bursar.ok(&["key", "revoke", &other.id]);
    house.crash();
    assert_eq!(house.call(&chat(&key)).said(), (403, "killed".to_owned()));
    assert_eq!(house.call(&chat(&other)).said(), (401, "key_revoked".to_owned()));
    house.bursar.ok(&["unkill", "--agent", "agent-a"]);
    house.bursar.ok(&["key", "restore", &other.id]);
    house.crash();
    assert_eq!((house.call(&chat(&key)).status, house.call(&chat(&other)).status), (200, 200));
}

#[test]
fn a_kill_ends_a_call_that_waits_for_money() {
    let tight = OPEN.replace("1000 USD", "0.02 USD");
    let house = House::new(&[&format!("{}\n", tight.replace("[[allow]]", "wait_for_holds = \"30s\"\n[[allow]]"))]);
    let key = house.mint("open", "agent");
    let holder = spawn_all([Ask::chat(Some(200)).key(&key).mock("gate").send(house.port())]);
    house.vendor.wait_for_count(1, SOON);
    let port = house.port();
    let waiter = Ask::chat(Some(200)).key(&key);
    let waiter = spawn_all([async move { (waiter.send(port).await, Instant::now()) }]);
    wait_for("the second call to wait", SOON, || {
        (house.bursar.admin("/v1/status")["calls_in_flight"] == 2).then_some(())
    });
    house.bursar.ok(&["kill", "--agent", "agent"]);
    let killed = Instant::now();
    let (answer, at) = join_all(waiter).remove(0);
    assert_eq!(answer.expect("an answer").said(), (403, "killed".to_owned()));
    assert!(at.saturating_duration_since(killed) <= A_SECOND);
    house.vendor.open_gate();
    assert_eq!(join_all(holder).remove(0).expect("an answer").said(), (403, "revoked".to_owned()));
    assert_eq!(house.vendor.count(), 1);
}

fn chat(key: &Key) -> Ask {
    Ask::chat(Some(100)).key(key)
}

fn endless(key: &Key) -> Ask {
    Ask::stream(100_000).key(key).mock("endless every=20 tokens=1")
}

/// How a stream ended.
struct Ended {
    at: Instant,
    text: String,
}

/// Reads a stream to its end, and says when it has begun.
async fn follow(ask: Ask, port: u16, begun: mpsc::UnboundedSender<()>) -> Ended {
    let mut open = ask.open(port).await.expect("an answer");
    assert_eq!(open.status, 200);
    let mut text = String::new();
    let reading = async {
        while let Some(Ok(piece)) = open.next().await {
            if text.is_empty() {
                begun.send(()).expect("the test listens");
            }
            text.push_str(&String::from_utf8_lossy(&piece));
        }
    };
    // One that never ends is as good as one that ends too late.
    let _ = tokio::time::timeout(SOON, reading).await;
    Ended { at: Instant::now(), text }
}

fn ends_with_the_streams_own_error(text: &str) {
    let events: Vec<&str> = text.split("\n\n").filter(|event| !event.is_empty()).collect();
    let last = events.last().and_then(|event| event.strip_prefix("data: ")).expect("an event");
    assert!(events.len() > 1 && !text.contains("[DONE]"), "it looks complete: {text}");
    let error: Value = serde_json::from_str(last).unwrap_or_else(|e| panic!("{e}: {last}"));
    assert_eq!((&error["error"]["code"], &error["bursar"]["code"]), (&"revoked".into(), &"revoked".into()), "{last}");
}

fn every_stream_is_in_the_books(house: &House) {
    all_closed(&house.bursar, &["--agent", "runaway"], SOON);
    let rows = rows(&house.bursar, &["--agent", "runaway"]);
    let streams: Vec<&Value> = rows.iter().filter(|row| admitted(row)).collect();
    assert_eq!(streams.len(), STREAMS);
    for row in streams {
        assert_eq!(text(row, "outcome"), "aborted", "{row:#}");
        assert_eq!(row["cost_usd"], "10", "the vendor said nothing, so the bound is charged: {row:#}");
    }
    let received = house.vendor.received();
    assert_eq!(common::books::agree(&received, &rows), STREAMS);
}

fn kill_and_unkill(house: &House, target: &[&str], near: &Key, far: &Key, far_too: bool) {
    let said = |key: &Key| house.call(&chat(key)).said();
    let (fine, killed) = ((200, String::new()), (403, "killed".to_owned()));
    assert_eq!((said(near), said(far)), (fine.clone(), fine.clone()), "before {target:?}");
    house.bursar.ok(&[&["kill"], target, &["--reason", "a drill"]].concat());
    let received = house.vendor.count();
    let expected = if far_too { killed.clone() } else { fine.clone() };
    assert_eq!((said(near), said(far)), (killed, expected), "while {target:?} is killed");
    assert_eq!(house.vendor.count() - received, usize::from(!far_too));
    let other_vendor = house.call(&Ask::charge(1).key(far)).status;
    assert_eq!(other_vendor == 200, target != ["--everyone"], "while {target:?} is killed");
    house.bursar.ok(&[&["unkill"], target].concat());
    assert_eq!((said(near), said(far)), (fine.clone(), fine), "after {target:?}");
}

#[test]
fn whoever_goes_on_with_a_revoked_key_is_named_in_the_books() {
    let house = House::new(&[OPEN]);
    let key = house.mint("open", "agent");
    house.bursar.ok(&["key", "revoke", &key.id]);
    let asks: Vec<Ask> = (0..100).map(|_| chat(&key)).collect();
    let last = asks.last().expect("some").trace.clone();
    asks.iter().for_each(|ask| assert_eq!(house.call(ask).said(), (401, "key_revoked".to_owned())));
    let row = row_of(&house.bursar, &last, 10 * A_SECOND);
    assert_eq!((text(&row, "key_id"), text(&row, "agent_id")), (&*key.id, "agent"), "{row:#}");
}

/// Control events stand in the books too, with who and why.
#[test]
fn a_revoke_says_who_and_why() {
    let house = House::new(&[OPEN]);
    let key = house.mint("open", "agent");
    house.bursar.ok(&["key", "revoke", &key.id, "--reason", "it runs away"]);
    let event = wait_for("the event", SOON, || {
        let events = house.bursar.json(&["audit", "tail", "-n", "50"]);
        events.into_iter().find(|event| event["kind"] == "revoked")
    });
    let event = event.to_string();
    assert!(event.contains("it runs away") && event.contains(&key.id) && event.contains("actor"), "{event}");
    let shown = house.bursar.json(&["key", "show", &key.id]).swap_remove(0);
    assert_eq!((&shown["status"], &shown["revoked"]["reason"]), (&"revoked".into(), &"it runs away".into()), "{shown}");
    assert!(rows(&house.bursar, &[]).is_empty());
}
