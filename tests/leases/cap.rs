//! The cap over nodes that spend alone, and what they give back when somebody else wants it.

use std::sync::Arc;
use std::time::Duration;

use bursar::adapters::ledger::Ledger;
use bursar::rules::books::{Act, Control};
use bursar::rules::ledger::ask::{Manner, Reservation};
use bursar::rules::ledger::entry::Op;
use bursar::rules::ledger::need::{Fit, Share};
use bursar::rules::subject::Flag;
use bursar::units::money::MicroCents;

use tempfile::TempDir;

use crate::common::calls;
use crate::common::redis::Redis as Server;
use crate::scene::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn four_hundred_calls_over_three_nodes_spend_the_limit_and_no_more() {
    let server = server();
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(Arc::new(Node::start(&server).await));
    }
    let tasks: Vec<_> = (0..400)
        .map(|n| {
            let node = nodes[n % 3].clone();
            tokio::spawn(async move {
                let held = reserve(&node.ledger, 100, 1, LEASE).await;
                let Some(hold) = held else { return 0 };
                tokio::time::sleep(Duration::from_millis(n as u64 % 20)).await;
                commit(&node.ledger, hold, 1).await;
                1
            })
        })
        .collect();
    let mut served = 0;
    for task in tasks {
        served += task.await.expect("no panic");
    }
    assert_eq!(served, 100);
    for node in &nodes {
        node.ledger.flush().await.expect("told and given back");
    }
    assert_eq!((account(nodes[0].ledger.redis()).await, lent(&server).await), ((100, 0), 0));
    let all = events(&server).await;
    let of = |which: fn(&Op) -> bool| all.iter().filter(|e| which(&e.op)).count();
    assert_eq!(of(|op| matches!(op, Op::Reserve { .. })), 100);
    assert_eq!(of(|op| matches!(op, Op::Commit { .. })), 100);
}

/// Scripts that were run so far.
async fn scripts(server: &Server) -> u64 {
    let info: String = ask_server(server, &["INFO", "commandstats"]).await;
    let line = info.lines().find(|l| l.starts_with("cmdstat_evalsha:")).unwrap_or_default();
    line.split(['=', ',']).nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// Where no slices are wanted.
#[tokio::test]
async fn a_call_is_one_script_before_and_one_after() {
    let (server, dir) = (server(), TempDir::new().expect("a folder"));
    let ledger = redis(&server, &dir).await;
    let begun = scripts(&server).await;
    for _ in 0..50 {
        let call = ask(1_000_000, 1, Manner::default());
        let hold = call.hold;
        assert!(matches!(ledger.reserve(call).await, Ok(Reservation::Held(_))));
        ledger.settle(calls::commit(hold, 1, true)).await.expect("an end is never refused");
    }
    assert_eq!(scripts(&server).await - begun, 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn most_calls_are_served_without_asking() {
    let server = server();
    let node = Node::start(&server).await;
    let before = warm_up(&server, &node, 1_000_000, LEASE).await;
    let begun = scripts(&server).await;
    for _ in 0..1000 {
        let hold = reserve(&node.ledger, 1_000_000, 1, LEASE).await.expect("there is room");
        commit(&node.ledger, hold, 1).await;
    }
    let asked = scripts(&server).await - begun;
    assert!(asked < 1000, "{asked} scripts for 2,000 steps");
    node.ledger.flush().await.expect("told");
    assert_eq!(account(node.ledger.redis()).await, (before + 1000, 0));
}

#[tokio::test]
async fn a_slice_never_lowers_an_answer_that_redis_would_not_lower() {
    let server = server();
    let node = Node::start(&server).await;
    warm_up(&server, &node, 1_000_000, LEASE).await;
    let mut long = ask(1_000_000, 1, LEASE);
    let rate = MicroCents(1).into();
    long.need.fit = Some(Fit { usd_per_token: rate, tokens_per_token: 1, floor: 1, want: 5000, share: Share(25) });
    let Reservation::Held(held) = node.ledger.reserve(long).await.expect("it answers") else { panic!("it fits") };
    assert_eq!(held.fitted, Some(5000));
}

#[tokio::test]
async fn what_one_node_does_not_use_another_one_gets() {
    let server = server();
    let (one, two) = (Node::start(&server).await, Node::start(&server).await);
    let spent = warm_up(&server, &one, 1000, LEASED).await;
    let hold = reserve(&two.ledger, 1000, 1000 - spent, Manner::default()).await.expect("all that is left");
    commit(&two.ledger, hold, 1000 - spent).await;
    assert_eq!(reserve(&one.ledger, 1000, 1, LEASED).await, None, "and nothing is left");
    told(&one).await;
    assert_eq!((account(one.ledger.redis()).await, lent(&server).await), ((1000, 0), 0));
}

#[tokio::test]
async fn a_stop_on_one_node_stops_what_another_one_does_alone() {
    let server = server();
    let (one, two) = (Node::start(&server).await, Node::start(&server).await);
    warm_up(&server, &one, 1_000_000, LEASE).await;
    let act = Act { actor: "test".to_owned(), reason: None };
    two.ledger.control(Control::Stopped { flag: Flag::Everyone, act }).await.expect("written");
    tokio::time::sleep(bursar::adapters::ledger::leased::FRESH).await;
    let answer = one.ledger.reserve(ask(1_000_000, 1, LEASE)).await.expect("it answers");
    assert!(matches!(answer, Reservation::Killed(Flag::Everyone)), "{answer:?}");
}
