//! What a node may do with a slice, step by step. `model` tries everything in small worlds.

use uuid::Uuid;

use super::{Item, Part, SliceKey, Slices};
use crate::rules::ledger::account::AccountName;
use crate::units::ids::CallId;
use crate::units::time::Timestamp;

pub(super) fn key(limit: u64) -> SliceKey {
    SliceKey { account: AccountName("everyone usd total".into()), start: Timestamp(0), limit }
}

pub(super) fn call(n: u8) -> CallId {
    CallId(Uuid::from_u128(u128::from(n)))
}

fn part(amount: u64) -> Vec<Part> {
    vec![Part { slice: key(10), amount }]
}

fn node(lent: u64) -> Slices {
    let mut node = Slices::default();
    node.lent(&key(10), lent);
    node
}

#[test]
fn what_is_lent_is_the_bound() {
    let mut node = node(5);
    assert!(node.admit(1, call(1), part(3)));
    assert!(!node.admit(2, call(2), part(3)));
    assert_eq!((node.room(&key(10)), node.untold()), (2, 1), "a refusal changes nothing");
    node.end(2, call(1), |_| 1);
    assert_eq!(node.room(&key(10)), 4, "the rest is back");
}

#[test]
fn a_call_that_ends_before_it_is_told_is_told_whole() {
    let mut node = node(5);
    node.admit(1, call(1), part(3));
    node.end(2, call(1), |_| 1);
    let batch = node.batch(1).expect("something to tell");
    let takes = part(1);
    assert_eq!(batch.items, [Item::Whole { call: call(1), begun: 1, ended: 2, takes }]);
    assert_eq!((batch.upto, node.batch(1)), (1, None));
    node.answered(1);
    node.lent(&key(10), 4);
    assert_eq!(node.room(&key(10)), 4);
    assert_eq!(node.batch(9).expect("the end's own place").items, []);
    node.answered(2);
    assert_eq!((node.untold(), node.mark()), (0, 2));
}

#[test]
fn a_call_that_was_told_open_ends_as_any_hold() {
    let mut node = node(5);
    node.admit(1, call(1), part(3));
    assert!(matches!(node.batch(9).expect("it").items[..], [Item::Open { .. }]));
    node.end(2, call(1), |_| 1);
    assert_eq!(node.room(&key(10)), 2, "nobody knows yet whether the ledger has it");
    node.answered(1);
    node.lent(&key(10), 2);
    assert_eq!(node.room(&key(10)), 2);
    assert!(!node.knows(call(1)));
    assert_eq!(node.batch(9).expect("it").items, [Item::End { call: call(1), ended: 2 }]);
}

#[test]
fn a_batch_that_never_arrived_is_told_again() {
    let mut node = node(5);
    node.admit(1, call(1), part(3));
    node.batch(9).expect("it");
    node.end(2, call(1), |_| 1);
    node.answered(0);
    let batch = node.batch(9).expect("again");
    assert_eq!(batch.items, [Item::Whole { call: call(1), begun: 1, ended: 2, takes: part(3) }]);
    node.answered(2);
    node.lent(&key(10), 2);
    assert_eq!((node.room(&key(10)), node.untold()), (2, 0));
}

/// A ledger that was put back knows no message: what the books have of the last one is not told twice, and left the slice.
#[test]
fn what_the_books_have_of_a_message_without_an_answer_is_not_told_again() {
    let mut node = node(9);
    for n in 1..4 {
        node.admit(u64::from(2 * n - 1), call(n), part(3));
        node.end(u64::from(2 * n), call(n), |_| 2);
    }
    node.admit(7, call(4), part(1));
    node.batch(9).expect("it");
    node.end(8, call(4), |_| 1);
    assert_eq!(node.flying(), [1, 2, 3, 4].map(call));
    let found = |known| match known {
        _ if known == call(1) => Some(true),
        _ if known == call(4) => Some(false),
        _ => None,
    };
    node.put_back(found);
    assert_eq!(node.state(&key(10)), (6, 4), "what the books have is the slice's no more");
    let again = node.batch(9).expect("the rest");
    let whole = |n: u8, begun| Item::Whole { call: call(n), begun, ended: begun + 1, takes: part(2) };
    assert_eq!(again.items, [whole(2, 3), whole(3, 5), Item::End { call: call(4), ended: 8 }]);
    node.answered(8);
    assert_eq!((node.state(&key(10)), node.untold()), ((2, 0), 0));
}

#[test]
fn what_is_being_given_back_is_not_used_any_more() {
    let mut node = node(5);
    node.admit(1, call(1), part(2));
    assert_eq!(node.lower(&key(10), 0), 2);
    assert!(!node.admit(2, call(2), part(1)));
    node.end(2, call(1), |_| 0);
    assert!(!node.admit(3, call(2), part(1)) || node.room(&key(10)) < 2, "at most what is kept");
    node.lent(&key(10), 2);
    assert_eq!(node.room(&key(10)) + node.state(&key(10)).1, 2);
}

#[test]
fn a_slice_serves_calls_under_its_limit_or_a_higher_one() {
    let node = node(5);
    assert_eq!(node.serving(&key(10)).map(|(_, room)| room), Some(5));
    assert_eq!(node.serving(&key(20)).map(|(k, _)| k.limit), Some(10));
    assert_eq!(node.serving(&key(9)), None);
    let other = SliceKey { start: Timestamp(1), ..key(20) };
    assert_eq!(node.serving(&other), None, "another window");
}
