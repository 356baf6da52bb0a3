//! What nodes say to Redis: late, twice, or never heard of.

use bursar::adapters::ledger::redis::lent::{Telling, Wanted};
use bursar::adapters::ledger::{Ledger, LedgerError};
use bursar::rules::ledger::ask::Manner;
use bursar::rules::ledger::entry::{Entry, Op, Posting};
use bursar::rules::ledger::slices::{Item, Part, SliceKey};
use bursar::units::amount::Unit;
use bursar::units::time::{Timestamp, Window};
use tempfile::TempDir;

use crate::common::calls::{charge, closing, opening, release};
use crate::scene::*;

/// What was given up before Redis heard of it is not taken when it comes late after all.
#[tokio::test]
async fn a_reserve_that_comes_after_its_end_takes_nothing() {
    let server = server();
    let dir = TempDir::new().expect("a folder");
    let store = redis(&server, &dir).await;
    let hello = store.hello("n", 0).await.expect("it answers");
    let late = ask(100, 10, Manner::default());
    let row = Box::new(closing(late.hold));
    let end = Entry { seq: 1, at: Timestamp(0), op: Op::Release { hold: late.hold, kept: None, passed: None, row } };
    let item = Item::End { call: late.hold, ended: 1 };
    let telling = [Telling { item: &item, begun: None, ended: Some(&end) }];
    store.ship("n", hello.number + 1, 1, &telling, &[]).await.expect("told");
    assert!(matches!(store.reserve(late).await, Err(LedgerError::Hold(..))), "it has ended");
    assert_eq!((account(&store).await, events(&server).await.len()), ((0, 0), 0));
}

/// The same where the server hung: whichever of the two it runs first.
#[tokio::test]
async fn a_reserve_that_was_not_answered_leaves_no_hold() {
    let server = server();
    let dir = TempDir::new().expect("a folder");
    let store = redis(&server, &dir).await;
    server.hang();
    let lost = ask(100, 10, Manner::default());
    let hold = lost.hold;
    assert!(matches!(store.reserve(lost).await, Err(LedgerError::Down(_))));
    server.go_on();
    let given_up = || release(hold);
    let heard = || async { !matches!(store.settle_once(given_up()).await, Err(LedgerError::Down(_))) };
    until("it is told", heard).await;
    assert_eq!(account(&store).await, (0, 0));
    let open: u64 = ask_server(&server, &["ZCARD", "{bursar}:leases"]).await;
    assert_eq!(open, 0);
}

#[tokio::test]
async fn a_message_that_arrives_twice_or_late_changes_nothing() {
    let server = server();
    let dir = TempDir::new().expect("a folder");
    let store = redis(&server, &dir).await;
    let hello = store.hello("n", 0).await.expect("it answers");
    let key = SliceKey { account: line(0).account, start: Timestamp(0), limit: 100 };
    let wanted = |target| [Wanted { key: key.clone(), window: Window::Total, target }];
    let look = store.look("n", hello.number + 1, 0, 0, &wanted(30)).await.expect("it answers");
    assert_eq!((look.slices[0].lent, account(&store).await), (30, (0, 30)));
    let hold = fresh();
    let posting = Posting { account: line(0).account, unit: Unit::Usd, window: Window::Total, start: Timestamp(0) };
    let row = Box::new(opening(hold));
    let begun = Op::Reserve {
        amounts: charge(10),
        postings: [posting].into(),
        lease_until: Timestamp(0),
        fitted: None,
        replay: None,
        moved: [].into(),
        row,
    };
    let row = Box::new(closing(hold));
    let ended = Op::Commit { hold, charge: charge(7), exact: true, passed: None, row };
    let [begun, ended] = [(1, begun), (2, ended)].map(|(seq, op)| Entry { seq, at: Timestamp(0), op });
    let takes = vec![Part { slice: key.clone(), amount: 7 }];
    let item = Item::Whole { call: hold, begun: 1, ended: 2, takes };
    let telling = || [Telling { item: &item, begun: Some(&begun), ended: Some(&ended) }];
    let keys = [key.clone()];
    let told = store.ship("n", hello.number + 2, 2, &telling(), &keys).await.expect("told");
    assert_eq!((told.mark, told.lent, account(&store).await), (2, vec![23], (7, 23)));
    let before = events(&server).await.len();
    assert!(store.ship("n", hello.number + 2, 2, &telling(), &keys).await.is_err(), "the same again");
    assert!(store.look("n", hello.number + 1, 0, 0, &wanted(0)).await.is_err(), "an earlier one, late");
    assert_eq!((account(&store).await, events(&server).await.len()), ((7, 23), before));
    let again = store.hello("n", 0).await.expect("a new life");
    assert!(again.number > hello.number + 2 && again.mark == 2);
    assert_eq!(again.lent, [(key.clone(), 23)]);
    store.look("n", again.number + 1, 2, 0, &wanted(0)).await.expect("given back");
    assert_eq!(account(&store).await, (7, 0));
}
