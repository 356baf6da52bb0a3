//! Shapes that come and go while calls run.

use crate::rules::ledger::account::Scope;
use crate::rules::ledger::book::rig::*;
use crate::rules::ledger::book::{Book, Sums};
use crate::units::amount::Unit;
use crate::units::time::Window;

#[test]
fn a_new_shape_starts_at_what_was_spent_and_is_held() {
    let mut rig = Rig::new();
    let (old, new) = (usd("a", 1000), line("a", Unit::Usd, Window::Hour));
    let lines = [old.clone()];
    rig.held(ask(1, &lines, 10));
    rig.commit(1, 10);
    let upto = rig.book.seq();
    rig.held(ask(2, &lines, 20));
    rig.commit(2, 15);
    rig.held(ask(3, &lines, 30));
    rig.held(ask(4, &lines, 40));
    rig.commit_bound(4);
    let start = Window::Hour.start(rig.now);
    let stale = Window::Hour.start(rig.now.plus_secs(-3600));
    let spent = vec![(name(&new), start, 10), (name(&new), stale, 99)];
    rig.declare(shape(Scope::Agent, Unit::Usd, Window::Hour), Sums { upto, spent });
    assert_eq!(rig.at(&new), (10 + 15 + 40, 30), "the books, what they had not seen, and what is open");
    rig.commit(3, 3);
    rig.adjust(4, 1, amounts(4, 0, 1, 0), true).expect("ended");
    assert_eq!((rig.at(&new), rig.at(&old)), ((10 + 15 + 3 + 4, 0), (32, 0)));
    rig.check_replay();
}

#[test]
fn an_adjust_that_the_books_have_not_seen_counts() {
    let mut rig = Rig::new();
    let new = line("a", Unit::Usd, Window::Hour);
    rig.held(ask(1, &[usd("a", 1000)], 50));
    rig.commit_bound(1);
    let upto = rig.book.seq();
    rig.adjust(1, 1, amounts(20, 0, 1, 0), true).expect("ended");
    rig.adjust(1, 2, amounts(30, 0, 1, 0), true).expect("ended");
    let spent = vec![(name(&new), Window::Hour.start(rig.now), 50)];
    rig.declare(shape(Scope::Agent, Unit::Usd, Window::Hour), Sums { upto, spent });
    assert_eq!(rig.at(&new), (30, 0));
}

#[test]
fn a_shape_that_went_and_came_again_counts_what_it_missed() {
    let mut rig = Rig::new();
    let hour = shape(Scope::Agent, Unit::Usd, Window::Hour);
    let account = line("a", Unit::Usd, Window::Hour);
    rig.declare(hour.clone(), Sums::default());
    rig.held(ask(1, std::slice::from_ref(&account), 10));
    rig.commit(1, 10);
    rig.held(ask(2, std::slice::from_ref(&account), 20));
    let op = rig.book.undeclare(hour.clone());
    rig.write([Some(op)]);
    assert_eq!(rig.at(&account), (10, 20), "a key with a budget of its own may still count on it");
    let spent = vec![(name(&account), Window::Hour.start(rig.now), 17)];
    rig.declare(hour, Sums { upto: rig.book.seq(), spent });
    assert_eq!(rig.at(&account), (17, 20));
    rig.check_replay();
}

#[test]
fn a_repeat_holds_no_money_on_a_new_shape() {
    let mut rig = Rig::new();
    let lines = [usd("a", 1000)];
    rig.held(keyed(ask(1, &lines, 60), 7));
    rig.held(keyed(ask(2, &lines, 60), 7));
    for unit in [Unit::Usd, Unit::Calls] {
        rig.declare(shape(Scope::Agent, unit, Window::Hour), Sums::default());
    }
    let (money, calls) = (line("a", Unit::Usd, Window::Hour), line("a", Unit::Calls, Window::Hour));
    assert_eq!((rig.at(&money), rig.at(&calls)), ((0, 60), (0, 2)));
    rig.release(1);
    rig.commit(2, 7);
    assert_eq!((rig.at(&money), rig.at(&calls)), ((7, 0), (1, 0)));
    rig.check_replay();
}

#[test]
fn books_that_lag_too_far_cannot_open_a_shape() {
    let mut rig = Rig::new();
    rig.held(ask(1, &[usd("a", 100)], 10));
    rig.commit(1, 10);
    rig.pass_secs(60);
    rig.held(ask(2, &[usd("a", 100)], 10));
    let declare =
        |upto| rig.book.declare(rig.now, shape(Scope::Agent, Unit::Usd, Window::Hour), Sums { upto, spent: vec![] });
    assert!(declare(1).is_none(), "the commit is forgotten, and these books do not have it");
    assert!(declare(2).is_some() && declare(3).is_some());
}

#[test]
fn what_is_wanted_is_compared_with_what_is_declared() {
    let mut rig = Rig::new();
    let [a, b, c] = [Unit::Usd, Unit::Tokens, Unit::Calls].map(|u| shape(Scope::Tenant, u, Window::Month));
    rig.declare(a.clone(), Sums::default());
    rig.declare(b.clone(), Sums::default());
    assert_eq!(rig.book.undeclared(&[b, c.clone(), c.clone()]), (vec![c], vec![a]));
}

#[test]
fn a_snapshot_reads_back_as_the_same_book() {
    let mut rig = Rig::new();
    rig.declare(shape(Scope::Agent, Unit::Usd, Window::Day), Sums::default());
    rig.held(keyed(fitted(1, &[usd("a", 1000)], 5, 1, 500), 7));
    rig.held(keyed(ask(2, &[usd("a", 1000)], 5), 7));
    rig.held(ask(3, &[usd("a", 1000)], 5));
    rig.commit(3, 5);
    rig.stop(crate::rules::subject::Flag::Everyone);
    let text = serde_json::to_string(&rig.book).expect("a book is plain data");
    let again: Book = serde_json::from_str(&text).expect("and reads back");
    assert_eq!(again, rig.book);
    for entry in &rig.journal {
        let line = serde_json::to_string(entry).expect("an entry is plain data");
        assert_eq!(&serde_json::from_str::<super::super::Entry>(&line).expect("and reads back"), entry, "{line}");
    }
    assert_eq!(rig.book.open_holds(), 2);
    assert_ne!(rig.at(&usd("a", 0)), (0, 0));
}
