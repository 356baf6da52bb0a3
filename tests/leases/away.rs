//! Redis hangs, or is gone for a while; and a node that dies meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bursar::adapters::audit::sqlite::SqliteBooks;
use bursar::adapters::audit::{AuditStore, Chained};
use bursar::adapters::ledger::journal::Record;
use bursar::adapters::ledger::{Ledger, LedgerError};
use bursar::rules::ledger::ask::{Down, Manner, Reservation};
use bursar::rules::ledger::entry::{Entry, Op};
use bursar::units::ids::CallId;

use crate::common::calls::release;
use crate::scene::*;

#[tokio::test]
async fn while_redis_hangs_each_policy_does_what_it_says_and_afterwards_all_is_told() {
    let server = server();
    let node = Node::start(&server).await;
    let mut spent = warm_up(&server, &node, 1_000_000, LEASED).await;
    told(&node).await;
    server.hang();
    let lent_then = 20;
    let closed = node.ledger.reserve(ask(1_000_000, 1, LEASE)).await;
    let early = matches!(&closed, Ok(Reservation::Held(_)));
    assert!(early || matches!(closed, Err(LedgerError::Down(_))), "{closed:?}");
    until("it notices", || async {
        matches!(node.ledger.reserve(ask(1_000_000, 1, Manner::default())).await, Err(LedgerError::Down(_)))
    })
    .await;
    // Until then it may admit as if Redis were well: what it heard last still holds.
    tokio::time::sleep(bursar::adapters::ledger::leased::FRESH).await;
    let closed = node.ledger.reserve(ask(1_000_000, 1, LEASE)).await;
    assert!(matches!(closed, Err(LedgerError::Down(_))), "its right to admit alone has run out: {closed:?}");
    let mut held = Vec::new();
    for _ in 0..lent_then / 2 {
        held.push(reserve(&node.ledger, 1_000_000, 1, LEASED).await.expect("from the slice"));
    }
    let too_much = node.ledger.reserve(ask(1_000_000, 500_000, LEASED)).await;
    assert!(matches!(too_much, Err(LedgerError::Down(_))), "no more than what is lent: {too_much:?}");
    let open = reserve(&node.ledger, 1_000_000, 5000, OPEN).await.expect("without looking");
    commit(&node.ledger, open, 4000).await;
    spent += 4000;
    for hold in &held {
        commit(&node.ledger, *hold, 1).await;
        spent += 1;
    }
    assert!(node.ledger.untold() > 0, "nobody could be told");
    server.go_on();
    told(&node).await;
    node.ledger.flush().await.expect("told and given back");
    let all = events(&server).await;
    let row = |hold: CallId| {
        let mut rows = all.iter().filter_map(|e| match &e.op {
            Op::Reserve { row, .. } if row.call == hold => Some(row.clone()),
            _ => None,
        });
        rows.next().expect("it has a row")
    };
    assert!(row(open).reason.is_some_and(|r| r.contains("without looking")), "each row says so");
    assert!(row(held[0]).reason.is_some_and(|r| r.contains("slices")));
    let flagged = all.iter().filter(|e| matches!(&e.op, Op::Commit { row, .. } if row.flagged)).count();
    assert_eq!(flagged, held.len() + 1);
    // A reserve that was given up may have been taken by the server all the same; its hold is the lease's to end.
    let (now, _) = account(node.ledger.redis()).await;
    assert_eq!((now, lent(&server).await), (spent, 0));
}

#[tokio::test]
async fn a_node_goes_on_alone_only_as_long_as_the_policy_says() {
    for down in [Down::Leased { secs: 2 }, Down::Open { secs: 2 }] {
        let manner = Manner { lease: true, down };
        let server = server();
        let node = Node::start(&server).await;
        warm_up(&server, &node, 1_000_000, LEASED).await;
        server.hang();
        let begun = Instant::now();
        reserve(&node.ledger, 1_000_000, 1, manner).await.expect("alone");
        until("its time is over", || async {
            let answer = node.ledger.reserve(ask(1_000_000, 1, manner)).await;
            matches!(answer, Err(LedgerError::Down(_))) && begun.elapsed() > Duration::from_secs(1)
        })
        .await;
        assert!(begun.elapsed() > Duration::from_millis(1800), "{down:?}: {:?}", begun.elapsed());
        let other = node.ledger.reserve(ask(1_000_000, 1, LEASED)).await;
        assert!(matches!(other, Ok(Reservation::Held(_))), "another policy says longer: {other:?}");
        server.go_on();
    }
}

#[tokio::test]
async fn redis_killed_and_back_with_what_it_had() {
    let mut server = server();
    let node = Node::start(&server).await;
    let mut spent = warm_up(&server, &node, 1_000_000, LEASED).await;
    let there = reserve(&node.ledger, 1_000_000, 700, Manner::default()).await.expect("a hold that Redis has");
    told(&node).await;
    server.kill();
    for n in 0..5 {
        let hold = reserve(&node.ledger, 1_000_000, 1, LEASED).await.expect("from the slice");
        if n < 4 {
            commit(&node.ledger, hold, 1).await;
            spent += 1;
        } else {
            node.ledger.settle(release(hold)).await.expect("released");
        }
    }
    commit(&node.ledger, there, 300).await;
    spent += 300;
    server.restart();
    told(&node).await;
    // The client keeps the end that it could not say as well, until it has said it again.
    until("told and given back", || async { node.ledger.flush().await.is_ok() }).await;
    assert_eq!((account(node.ledger.redis()).await, lent(&server).await), ((spent, 0), 0));
}

#[tokio::test]
async fn a_node_that_dies_tells_when_it_lives_again() {
    let server = server();
    let node = Node::start(&server).await;
    let spent = warm_up(&server, &node, 1_000_000, LEASED).await;
    told(&node).await;
    server.hang();
    until("it notices", || async {
        matches!(node.ledger.reserve(ask(1_000_000, 1, Manner::default())).await, Err(LedgerError::Down(_)))
    })
    .await;
    let ended = reserve(&node.ledger, 1_000_000, 5, LEASED).await.expect("from the slice");
    commit(&node.ledger, ended, 2).await;
    let lost = reserve(&node.ledger, 1_000_000, 6, LEASED).await.expect("from the slice");
    let name = node.ledger.node().to_owned();
    server.go_on();
    let node = node.die_and_start(&server).await;
    assert_eq!(node.ledger.node(), name);
    until("it is told and given back", || async {
        node.ledger.untold() == 0 && lent(&server).await == 0 && account(node.ledger.redis()).await.0 == spent + 8
    })
    .await;
    let expired = |e: &Entry| matches!(&e.op, Op::Expire { hold, .. } if *hold == lost);
    until("in full", || async { events(&server).await.iter().any(expired) }).await;
}

/// However many calls are refused meanwhile: what was never asked for has no end to tell, on disk or in memory.
#[tokio::test]
async fn calls_that_are_refused_while_redis_is_away_leave_nothing_to_tell() {
    let mut server = server();
    let node = Node::start(&server).await;
    told(&node).await;
    server.kill();
    until("it notices", || async { node.ledger.trouble().is_some() }).await;
    for _ in 0..20 {
        let refused = ask(1_000_000, 1, Manner::default());
        let hold = refused.hold;
        assert!(matches!(node.ledger.reserve(refused).await, Err(LedgerError::Down(_))));
        let given_up = node.ledger.settle(release(hold)).await;
        assert!(matches!(given_up, Err(LedgerError::Down(_))), "{given_up:?}");
    }
    assert_eq!(node.ledger.untold(), 0);
}

/// The ledger was put back from the books and has forgotten the node; the answer to the node's first word is lost, so that it
/// must greet again.
#[tokio::test]
async fn what_the_books_have_is_not_told_again_although_a_greeting_was_lost() {
    let server = server();
    let node = Node::start(&server).await;
    let spent = warm_up(&server, &node, 1_000_000, LEASED).await;
    told(&node).await;
    node.ledger.flush().await.expect("given back");
    let Node { ledger, dir } = node;
    let name = ledger.node().to_owned();
    drop(ledger);
    let books = SqliteBooks::open(dir.path()).expect("books");
    let record = |entry| Arc::new(Record::encode(entry).expect("plain data"));
    let all: Vec<Arc<Record>> = events(&server).await.into_iter().map(record).collect();
    books.apply(&Chained::after(books.place().expect("readable"), all).0, true).expect("written");
    for key in ["slices", "holds", "ended"] {
        let _: u64 = ask_server(&server, &["DEL", &format!("{{bursar}}:{key}")]).await;
    }
    redis(&server, &dir).await.hello(&name, 0).await.expect("nobody hears it");
    // It died before it wrote down what it had told.
    let note = dir.path().join("slices/node.json");
    let mut text: serde_json::Value = serde_json::from_slice(&std::fs::read(&note).expect("a note")).expect("JSON");
    text["told"] = 0.into();
    std::fs::write(&note, text.to_string()).expect("written");
    let node = Node { ledger: open(&server, &dir).await, dir };
    until("it admits again", || async {
        matches!(node.ledger.reserve(ask(1_000_000, 0, Manner::default())).await, Ok(Reservation::Held(_)))
            && node.ledger.untold() == 0
    })
    .await;
    node.ledger.flush().await.expect("all is told");
    assert_eq!(account(node.ledger.redis()).await.0, spent, "once");
}
