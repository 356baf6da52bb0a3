//! One cap for all nodes, and one set of books that agrees with what the vendor saw, whichever node is asked.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::books::{admitted, agree, micro, number, settled, spend, text};
use crate::common::bursar::{Bursar, Key};
use crate::common::client::{Ask, join_all, spawn_all};
use crate::common::fleet::Fleet;
use crate::common::house::a_dollar;
use crate::common::{SOON, wait_for};

pub const USD: u64 = 100_000_000;
const CALLS: usize = 400;
const AFFORDED: usize = 100;

#[test]
fn four_hundred_calls_over_three_nodes_on_a_dollar_are_a_hundred() {
    let fleet = Fleet::patient(&[&a_dollar()], 3, "");
    let key = fleet.mint("capped", "eager");
    let crowd = (0..CALLS).map(|n| (n, Ask::chat(Some(100)).key(&key).mock(&format!("delay={}", 5 + n % 40))));
    let answers = join_all(spawn_all(crowd.map(|(n, ask)| ask.send(fleet.port(n)))));
    let served = answers.iter().flatten().filter(|a| a.status == 200).count();
    assert_eq!((served, fleet.vendor.count()), (AFFORDED, AFFORDED));
    for refused in answers.iter().flatten().filter(|a| a.status != 200) {
        assert!(["budget_spent", "budget_held"].contains(&&*refused.code()), "{}", refused.text());
    }
    for node in &fleet.nodes {
        the_books_say_a_hundred(&fleet, node, &key);
    }
    let checked = fleet.nodes[1].json(&["ledger", "check"]).swap_remove(0);
    assert_eq!(checked["differences"].as_array().map(Vec::len), Some(0), "{checked}");
}

fn the_books_say_a_hundred(fleet: &Fleet, node: &Bursar, key: &Key) {
    let rows = settled(node, &["--agent", "eager"], CALLS, SOON);
    let let_through: Vec<Value> = rows.iter().filter(|row| admitted(row)).cloned().collect();
    assert_eq!((rows.len(), let_through.len()), (CALLS, AFFORDED));
    assert_eq!(agree(&fleet.vendor.received(), &let_through), 0);
    let sums = spend(node, &["--agent", "eager"]);
    assert_eq!((number(&sums, "calls"), number(&sums, "refused"), number(&sums, "flagged")), (100, 300, 0), "{sums}");
    assert_eq!(micro(&sums["cost_usd"]), USD);
    assert_eq!(left(node, key), (USD, 0));
}

/// Spent and held on the key's only budget, as this node says it.
pub fn left(node: &Bursar, key: &Key) -> (u64, u64) {
    let told = Ask::get("/bursar/v1/self").key(key).now(node.gateway);
    assert_eq!(told.status, 200, "{}", told.text());
    let budget = &told.json()["budgets"][0];
    (micro(&budget["spent"]), micro(&budget["held"]))
}

#[test]
fn any_node_tails_the_whole_fleet_and_resumes() {
    let fleet = Fleet::patient(&[&a_dollar()], 3, "");
    let key = fleet.mint("capped", "eager");
    for n in 0..9 {
        assert_eq!(fleet.call(n % 3, &Ask::chat(Some(100)).key(&key)).status, 200);
    }
    // Whoever comes to an admin API stands in the books as well: so each is asked once before they are compared.
    for node in &fleet.nodes {
        settled(node, &["--agent", "eager"], 9, SOON);
    }
    let whole = events(&fleet.nodes[0], 1);
    let seqs: Vec<u64> = whole.iter().map(|e| number(e, "seq")).collect();
    assert!(seqs.windows(2).all(|p| p[0] < p[1]), "{seqs:?}");
    assert_eq!(whole.iter().filter(|e| text(e, "kind") == "settled").count(), 9);
    for node in &fleet.nodes {
        wait_for("the same events on each node", SOON, || (events(node, 1) == whole).then_some(()));
        assert_eq!(events(node, seqs[4] + 1), whole[5..], "resumed");
    }
}

/// From the answer of a lone call on one node to its row in a tail that another follows.
#[test]
fn a_row_is_seen_on_another_node_soon_after_the_answer() {
    let fleet = Fleet::patient(&[&a_dollar()], 3, "");
    let key = fleet.mint("capped", "eager");
    let tails: Vec<_> = fleet.nodes.iter().map(|node| follow(&node.data)).collect();
    let mut took: Vec<Duration> = Vec::new();
    for n in 0..30 {
        let (from, to) = (n % 3, (n + 1) % 3);
        let answer = fleet.call(from, &Ask::chat(Some(100)).key(&key));
        let answered = Instant::now();
        let call = answer.call().expect("a call").to_owned();
        let seen = loop {
            let (event, at) = tails[to].recv_timeout(SOON).expect("its row");
            if event["kind"] == "settled" && event["call_id"] == *call {
                break at;
            }
        };
        took.push(seen.saturating_duration_since(answered));
    }
    took.sort();
    println!("seen on another node after {:?} in the middle, {:?} at most", took[15], took[29]);
    assert!(took[15] < Duration::from_secs(1), "{took:?}");
}

/// Every event of a node's tail as it comes, and when.
fn follow(data: &Path) -> Receiver<(Value, Instant)> {
    let mut socket = UnixStream::connect(data.join("admin.sock")).expect("the admin socket");
    let ask = "GET /v1/audit/events?follow HTTP/1.1\r\nHost: bursar\r\nAccept: text/event-stream\r\n\r\n";
    socket.write_all(ask.as_bytes()).expect("it is read");
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(socket).lines().map_while(Result::ok) {
            let event = line.strip_prefix("data: ").and_then(|e| serde_json::from_str(e).ok());
            if event.is_some_and(|event: Value| tell.send((event, Instant::now())).is_err()) {
                return;
            }
        }
    });
    told
}

/// All events from one on.
pub fn events(node: &Bursar, from: u64) -> Vec<Value> {
    node.json(&["audit", "tail", "--from", &from.to_string()])
}
