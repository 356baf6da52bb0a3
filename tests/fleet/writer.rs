//! One node writes the books. It is killed, or hangs, in the middle of a load: another takes over, no row is lost or written
//! twice, and the chain is whole. A node that dies with calls in flight leaves holds that expire, whoever notices.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::caps::{events, left};
use crate::common::books::{
    LEASES, admitted_rows, agree, all_closed, by_trace, flagged, micro, number, rows, settled, spend, text,
};
use crate::common::bursar::Bursar;
use crate::common::client::{Ask, join_all, spawn_all};
use crate::common::fleet::Fleet;
use crate::common::{SOON, wait_for};

const BUSY: &str = r#"
name = "busy"
vendors = ["openai"]
[[allow]]
methods = ["POST"]
paths = ["/v1/chat/completions"]
[[budget]]
per = "agent"
limit = "1000 USD"
"#;

const CHECKPOINTS: &str = "[audit.checkpoints]\nkey = \"../checkpoint.key\"\nevents = 50\ntime = \"1s\"\n";

#[test]
fn when_the_writer_is_killed_another_goes_on_and_nothing_is_lost_or_twice() {
    let mut fleet = Fleet::patient(&[BUSY], 3, CHECKPOINTS);
    let key = fleet.mint("busy", "worker");
    let writer = fleet.writer();
    let others: Vec<usize> = (0..3).filter(|n| *n != writer).collect();
    let ask = |n: usize| Ask::chat(Some(100)).key(&key).mock(&format!("delay={}", 5 + n % 30));
    let first = spawn_all((0..120).map(|n| ask(n).send(fleet.port(n))));
    fleet.vendor.wait_for_count(40, SOON);
    fleet.nodes[writer].server.kill();
    let killed = Instant::now();
    let second = spawn_all((0..120).map(|n| ask(n).send(fleet.port(others[n % 2]))));
    let answers = join_all(second);
    assert!(answers.iter().all(|a| a.as_ref().is_ok_and(|a| a.status == 200)), "{answers:?}");
    join_all(first);
    let heir = wait_for("another to write the books", SOON, || Some(fleet.writer()).filter(|w| *w != writer));
    println!("{:?} after the kill, node {heir} writes", killed.elapsed());
    assert!(killed.elapsed() < Duration::from_secs(15));
    for node in others.iter().map(|n| &fleet.nodes[*n]) {
        nothing_is_lost_or_twice(&fleet, node);
    }
    // The one that was killed comes back as a reader.
    fleet.nodes[writer].restart();
    assert_ne!(fleet.writer(), writer);
    nothing_is_lost_or_twice(&fleet, &fleet.nodes[writer]);
}

fn nothing_is_lost_or_twice(fleet: &Fleet, node: &Bursar) {
    wait_for("the books to have all calls", LEASES, || {
        let sums = spend(node, &["--agent", "worker"]);
        (number(&sums, "calls") >= fleet.vendor.count() as u64 && number(&sums, "open") == 0).then_some(())
    });
    let rows = admitted_rows(node, &["--agent", "worker"]);
    agree(&fleet.vendor.received(), &rows);
    assert_eq!(by_trace(&rows).len(), rows.len(), "no row twice");
    let all = events(node, 1);
    let seqs: Vec<u64> = all.iter().map(|e| number(e, "seq")).collect();
    assert!(seqs.windows(2).all(|p| p[0] < p[1]));
    assert_eq!(node.admin("/v1/status")["books_gaps"], Value::Array(Vec::new()));
    wait_for("the chain to be whole", SOON, || node.cli(&["audit", "verify"]).status.success().then_some(()));
}

#[test]
fn a_writer_that_hangs_is_put_aside_and_reads_when_it_goes_on() {
    let fleet = Fleet::patient(&[BUSY], 2, CHECKPOINTS);
    let key = fleet.mint("busy", "worker");
    let writer = fleet.writer();
    let other = 1 - writer;
    signal("STOP", &fleet.nodes[writer]);
    let hung = Instant::now();
    for _ in 0..5 {
        assert_eq!(fleet.call(other, &Ask::chat(Some(100)).key(&key)).status, 200);
    }
    wait_for("the other to write the books", SOON, || {
        (fleet.nodes[other].admin("/v1/status")["writes_books"] == true).then_some(())
    });
    println!("{:?} after it hung, the other writes", hung.elapsed());
    all_closed(&fleet.nodes[other], &["--agent", "worker"], SOON);
    signal("CONT", &fleet.nodes[writer]);
    wait_for("it to know that another writes", SOON, || {
        (fleet.nodes[writer].admin("/v1/status")["writes_books"] == false).then_some(())
    });
    assert_eq!(fleet.call(writer, &Ask::chat(Some(100)).key(&key)).status, 200);
    for node in &fleet.nodes {
        wait_for("six rows", SOON, || (rows(node, &["--agent", "worker"]).len() == 6).then_some(()));
        nothing_is_lost_or_twice(&fleet, node);
    }
}

fn signal(name: &str, node: &Bursar) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", node.server.id())]).status();
    assert!(sent.is_ok_and(|s| s.success()), "no SIG{name} for a node");
}

#[test]
fn holds_of_a_node_that_died_expire_charged_and_flagged() {
    let mut fleet = Fleet::patient(&[BUSY], 2, "");
    let key = fleet.mint("busy", "worker");
    let calls = spawn_all((0..5).map(|_| Ask::chat(Some(100)).key(&key).mock("gate").send(fleet.nodes[1].gateway)));
    fleet.vendor.wait_for_count(5, SOON);
    fleet.nodes[1].server.kill();
    join_all(calls);
    let node = &fleet.nodes[0];
    settled(node, &["--agent", "worker"], 5, LEASES);
    let sums = spend(node, &["--agent", "worker"]);
    assert_eq!((number(&sums, "calls"), number(&sums, "flagged")), (5, 5), "{sums}");
    let rows = admitted_rows(node, &["--agent", "worker"]);
    assert!(rows.iter().all(|r| flagged(r) && text(r, "outcome") == "expired"), "{rows:#?}");
    assert_eq!(left(node, &key), (micro(&sums["cost_usd"]), 0));
    assert_eq!(micro(&sums["cost_usd"]), 5_000_000, "a cent each: the bound");
    fleet.vendor.open_gate();
}

const SINK: &str = "[[sink]]\nname = \"lines\"\ntype = \"file\"\npath = \"events.jsonl\"\n";

/// The sink of each node is a file of its own; together they have everything, and hardly anything twice.
#[test]
fn sinks_go_on_where_the_last_writer_ended() {
    let mut fleet = Fleet::patient(&[BUSY], 2, &format!("{CHECKPOINTS}{SINK}"));
    let key = fleet.mint("busy", "worker");
    let writer = fleet.writer();
    for n in 0..6 {
        assert_eq!(fleet.call(n % 2, &Ask::chat(Some(100)).key(&key)).status, 200);
    }
    let delivered = |fleet: &Fleet, node: usize| seqs(&fleet.folder(node).join("events.jsonl"));
    let node = &fleet.nodes[writer];
    wait_for("the first sink to have all", SOON, || (delivered(&fleet, writer) == tail(node)).then_some(()));
    assert_eq!(delivered(&fleet, 1 - writer), Vec::<u64>::new(), "one node delivers");
    // Asked to end, it hands over at once, and ends well.
    fleet.nodes[writer].server.terminate();
    assert!(fleet.nodes[writer].server.wait(SOON).success());
    let heir = &fleet.nodes[1 - writer];
    assert_eq!(fleet.call(1 - writer, &Ask::chat(Some(100)).key(&key)).status, 200);
    all_closed(heir, &["--agent", "worker"], SOON);
    let both = wait_for("the second sink to have the rest", SOON, || {
        let (mut first, second) = (delivered(&fleet, writer), delivered(&fleet, 1 - writer));
        let last = *second.last()?;
        first.extend(second);
        (tail(heir).last() == Some(&last)).then_some(first)
    });
    let mut once = both.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once, tail(heir));
    assert_eq!(both.len(), once.len(), "after an orderly end nothing comes twice: {both:?}");
}

fn tail(node: &Bursar) -> Vec<u64> {
    events(node, 1).iter().map(|e| number(e, "seq")).collect()
}

fn seqs(file: &std::path::Path) -> Vec<u64> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let whole = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    whole.map(|e| number(&e, "seq")).collect()
}

#[test]
fn while_postgresql_is_away_calls_go_on_and_the_stream_keeps_their_rows() {
    let mut fleet = Fleet::patient(&[BUSY], 2, CHECKPOINTS);
    let key = fleet.mint("busy", "worker");
    let ask = Ask::chat(Some(100)).key(&key);
    assert_eq!(fleet.call(0, &ask).status, 200);
    fleet.postgres.kill();
    for n in 0..10 {
        assert_eq!(fleet.call(n % 2, &ask.again()).status, 200);
    }
    let kept = length(&fleet);
    assert!(kept >= 20, "{kept} events are kept for the books");
    fleet.postgres.restart();
    for node in &fleet.nodes {
        wait_for("eleven rows", SOON, || {
            let sums = spend(node, &["--agent", "worker"]);
            (number(&sums, "calls") == 11).then_some(())
        });
        nothing_is_lost_or_twice(&fleet, node);
    }
    wait_for("the stream to be trimmed", SOON, || (length(&fleet) <= 5).then_some(()));
}

fn length(fleet: &Fleet) -> u64 {
    fleet.redis.must(&["xlen", "{bursar}:events"]).parse().expect("a number")
}
