//! How holds end: idempotency, expiry, late ends, adjustment, forgetting.

use crate::rules::books::CostSource;
use crate::rules::ledger::ask::{Correct, End, Known, Settled};
use crate::rules::ledger::book::Fault;
use crate::rules::ledger::book::rig::*;
use crate::rules::ledger::entry::Op;
use crate::units::amount::{Amounts, Unit};
use crate::units::time::Window;

fn exact(usd: u64) -> End {
    End::Commit { charge: amounts(usd, 0, 1, 0), exact: true }
}

#[test]
fn every_operation_is_idempotent() {
    let mut rig = Rig::new();
    let lines = [usd("a", 100)];
    let first = rig.held(ask(1, &lines, 60));
    assert_eq!(rig.held(ask(1, &lines, 60)), first, "the same reserve again");
    assert_eq!((rig.at(&lines[0]), rig.journal.len()), ((0, 60), 1));
    assert_eq!(rig.commit(1, 50), Settled::Done);
    assert_eq!(rig.commit(1, 50), Settled::Again);
    assert_eq!(rig.settle(1, End::Release), Err("it was committed, so it cannot be released"));
    assert!(rig.try_reserve(ask(1, &lines, 60)).is_err());
    rig.held(ask(2, &lines, 50));
    assert_eq!((rig.release(2), rig.release(2)), (Settled::Done, Settled::Again));
    assert!(rig.settle(2, exact(1)).is_err() && rig.settle(9, exact(1)).is_err());
    assert_eq!((rig.at(&lines[0]), rig.journal.len()), ((50, 0), 4));
}

/// (held, end) -> charged: exact as said, otherwise at least what was held; the row says the same.
#[test]
fn a_commit_charges_what_is_said_or_what_is_held() {
    let bound = |usd| End::Commit { charge: amounts(usd, 0, 0, 0), exact: false };
    for (held, end, charged) in [
        (60, exact(20), 20),
        (60, exact(0), 0),
        (60, exact(90), 90),
        (60, bound(10), 60),
        (60, bound(70), 70),
        (60, End::Release, 0),
    ] {
        let mut rig = Rig::new();
        let lines = [usd("a", 100), line("a", Unit::Calls, Window::Total)];
        rig.held(ask(1, &lines, held));
        let calls = u64::from(!matches!(end, End::Release));
        rig.settle(1, end.clone()).expect("it is open");
        assert_eq!((rig.at(&lines[0]), rig.at(&lines[1])), ((charged, 0), (calls, 0)), "{end:?}");
        if let Some(Op::Commit { row, charge, .. }) = rig.journal.last().map(|e| &e.op) {
            assert_eq!((row.charge, row.cost_source), (*charge, CostSource::Usage));
        }
        rig.check_replay();
    }
}

/// A lease ends; what comes later replaces the charge.
#[test]
fn an_expired_hold_is_charged_in_full_until_its_end_comes_after_all() {
    for (late, spent, calls) in
        [(exact(20), 20, 1), (End::Release, 0, 0), (End::Commit { charge: Amounts::ZERO, exact: false }, 60, 1)]
    {
        let mut rig = Rig::new();
        let lines = [usd("a", 100), line("a", Unit::Calls, Window::Total)];
        rig.held(ask(1, &lines, 60));
        rig.pass_secs(20);
        rig.book.renew(rig.now, id(1)).expect("it is open");
        rig.pass_secs(29);
        assert_eq!(rig.expire_due(), 0);
        rig.pass_secs(1);
        assert_eq!(rig.expire_due(), 1);
        assert_eq!((rig.at(&lines[0]), rig.at(&lines[1])), ((60, 0), (1, 0)));
        assert!(rig.book.renew(rig.now, id(1)).is_err());
        assert_eq!(rig.settle(1, late.clone()), Ok(Settled::Adjusted));
        assert_eq!((rig.at(&lines[0]), rig.at(&lines[1])), ((spent, 0), (calls, 0)), "{late:?}");
        assert_eq!(rig.settle(1, late), Ok(Settled::Again));
        rig.check_replay();
    }
}

#[test]
fn an_adjust_replaces_a_charge_once_a_step() {
    let mut rig = Rig::new();
    let lines = [usd("a", 100)];
    rig.held(ask(1, &lines, 60));
    assert!(rig.adjust(1, 1, amounts(1, 0, 1, 0), true).is_err(), "it is open");
    rig.commit_bound(1);
    rig.adjust(1, 1, amounts(35, 0, 1, 0), true).expect("ended");
    rig.adjust(1, 1, amounts(36, 0, 1, 0), true).expect("the same step, and nothing happens");
    assert_eq!(rig.at(&lines[0]), (35, 0));
    rig.adjust(1, 2, amounts(40, 0, 1, 0), false).expect("ended");
    assert_eq!(rig.at(&lines[0]), (40, 0));
    assert!(rig.adjust(2, 1, Amounts::ZERO, true).is_err());
    rig.check_replay();
}

#[test]
fn what_is_exact_is_forgotten_soon_and_what_is_not_a_day_later() {
    let mut rig = Rig::new();
    let lines = [limited(line("a", Unit::Usd, Window::Minute), 1000)];
    rig.held(ask(1, &lines, 1));
    rig.held(ask(2, &lines, 1));
    rig.commit(1, 1);
    rig.commit_bound(2);
    rig.pass_secs(31);
    rig.held(ask(3, &lines, 1));
    assert!(rig.adjust(1, 1, Amounts::ZERO, true).is_err());
    rig.pass_secs(23 * 3600);
    rig.release(3);
    rig.adjust(2, 1, amounts(2, 0, 1, 0), false).expect("it is remembered for a day");
    rig.pass_secs(24 * 3600);
    rig.held(ask(4, &lines, 1));
    assert!(rig.adjust(2, 2, Amounts::ZERO, true).is_err());
    rig.release(4);
    rig.pass_secs(3600);
    rig.held(ask(5, &[usd("b", 1)], 1));
    assert_eq!(rig.book.accounts.cells().count(), 1, "closed windows without holds are forgotten");
    rig.check_replay();
}

#[test]
fn a_correction_reaches_a_call_that_is_long_forgotten() {
    let mut rig = Rig::new();
    let lines = [limited(line("a", Unit::Usd, Window::Total), 1000), limited(line("a", Unit::Usd, Window::Hour), 1000)];
    let correct = |rig: &mut Rig, n: u32, known: Known, usd: u64| {
        let (hold, charge) = (id(n), amounts(usd, 0, 1, 0));
        let ops = rig.book.correct(rig.now, Correct { hold, charge, exact: true, act: act(), known })?;
        rig.write(ops);
        Ok::<_, Fault>(())
    };
    rig.held(ask(1, &lines, 50));
    let (taken, postings) = (rig.now, rig.book.postings(id(1)).expect("held").clone());
    let known = |usd, step| Known {
        taken,
        facts: None,
        charge: amounts(usd, 0, 1, 0),
        postings: postings.clone(),
        repeats: false,
        step,
    };
    assert!(correct(&mut rig, 1, known(0, 0), 1).is_err(), "it is open");
    rig.commit_bound(1);
    correct(&mut rig, 1, known(50, 0), 40).expect("it is remembered");
    assert_eq!(rig.at(&lines[0]), (40, 0));
    rig.pass_secs(3600);
    rig.adjust(1, 1, Amounts::ZERO, true).expect("it is remembered that somebody put it right");
    assert_eq!(rig.at(&lines[0]), (40, 0), "each step once");
    rig.pass_secs(3 * 24 * 3600);
    rig.held(ask(2, &lines, 5));
    rig.commit(2, 5);
    assert!(rig.adjust(1, 9, Amounts::ZERO, true).is_err(), "the book has forgotten it");
    correct(&mut rig, 1, known(40, 1), 10).expect("the books remember");
    assert_eq!(rig.at(&lines[0]), (15, 0));
    assert_eq!(rig.at(&lines[1]), (5, 0), "its hour is over");
    correct(&mut rig, 1, known(40, 1), 10).expect("somebody else read the same results");
    assert_eq!(rig.at(&lines[0]), (15, 0), "replaced once, however old the books are that it knew");
    let repeat = Known { repeats: true, ..known(10, 2) };
    assert!(correct(&mut rig, 3, repeat, 0).is_err(), "another call bears the money");
    rig.check_replay();
}
