//! Rates of policies that lend: there are no slices of a rate, so such a call asks Redis, and one rate holds over all nodes. While
//! Redis is away each node keeps it alone, and begins without a burst.

use std::time::Instant;

use bursar::adapters::ledger::{Ledger, LedgerError};
use bursar::rules::ledger::account::AccountName;
use bursar::rules::ledger::ask::{Manner, Reservation, Reserve};
use bursar::rules::ledger::entry::Op;
use bursar::rules::ledger::rates::Rate;

use crate::common::SOON;
use crate::scene::*;

const LIMIT: u64 = 1_000_000;
const HOUR: u64 = 3_600_000_000;
const TENTH: u64 = 100_000;

fn rate(interval: u64, burst: u64) -> Rate {
    let cell = AccountName(format!("agent:a rate {interval}us").into());
    Rate { cell, interval, burst, cost: 1, slots: 1, rule: "p: slowly".into(), enforce: true }
}

fn paced(rate: &Rate, manner: Manner) -> Reserve {
    Reserve { rates: [rate.clone()].into(), ..ask(LIMIT, 1, manner) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_rate_holds_over_nodes_that_spend_alone() {
    let server = server();
    let nodes = [Node::start(&server).await, Node::start(&server).await, Node::start(&server).await];
    for node in &nodes[..2] {
        warm_up(&server, node, LIMIT, LEASE).await;
    }
    let ten = rate(HOUR, 10);
    let mut held = Vec::new();
    for n in 0..60 {
        let ask = paced(&ten, LEASE);
        let hold = ask.hold;
        match nodes[n % 3].ledger.reserve(ask).await.expect("it answers") {
            Reservation::Held(_) => held.push(hold),
            Reservation::Limited(limited) => assert_eq!(limited.cell, ten.cell),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(held.len(), 10);
    // None of them came from a slice: Redis has its row, with where the cell stands, before anything is told.
    let all = events(&server).await;
    let moved = all.iter().filter_map(|e| match &e.op {
        Op::Reserve { row, moved, .. } if !moved.is_empty() => Some(row.call),
        _ => None,
    });
    assert_eq!(moved.collect::<Vec<_>>(), held);
}

#[tokio::test]
async fn a_node_alone_keeps_a_rate_by_itself_and_begins_without_a_burst() {
    let server = server();
    let node = Node::start(&server).await;
    warm_up(&server, &node, LIMIT, LEASED).await;
    told(&node).await;
    server.hang();
    until("it notices", || async {
        matches!(node.ledger.reserve(ask(LIMIT, 1, Manner::default())).await, Err(LedgerError::Down(_)))
    })
    .await;
    let rare = node.ledger.reserve(paced(&rate(HOUR, 10), LEASED)).await.expect("it answers");
    let Reservation::Limited(limited) = rare else { panic!("no burst: {rare:?}") };
    assert!(limited.wait.is_some_and(|wait| wait <= HOUR), "{limited:?}");
    // Its pace it keeps: three turns of a tenth of a second take two of them at least.
    let (steady, begun) = (rate(TENTH, 1), Instant::now());
    let mut held = Vec::new();
    while held.len() < 3 {
        let ask = paced(&steady, LEASED);
        let hold = ask.hold;
        match node.ledger.reserve(ask).await.expect("it answers") {
            Reservation::Held(_) => held.push(hold),
            Reservation::Limited(_) => assert!(begun.elapsed() < SOON, "its turn never comes"),
            other => panic!("{other:?}"),
        }
        tokio::task::yield_now().await;
    }
    assert!(begun.elapsed().as_micros() >= 2 * u128::from(TENTH), "{:?}", begun.elapsed());
    for hold in held {
        commit(&node.ledger, hold, 1).await;
    }
    server.go_on();
    told(&node).await;
}
