//! Admission: limits, windows, fitted calls, observation, kill flags, resize.

use crate::rules::books::Verdict;
use crate::rules::ledger::ask::{Cause, End, Line, Reservation, Reserve};
use crate::rules::ledger::book::rig::*;
use crate::rules::ledger::entry::Op;
use crate::rules::ledger::need::Share;
use crate::rules::subject::Flag;
use crate::units::amount::{Amounts, Unit};
use crate::units::time::Window;

fn row_of(rig: &Rig) -> &crate::rules::books::Opening {
    match rig.journal.last().map(|e| &e.op) {
        Some(Op::Reserve { row, .. }) => row,
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_accounts_are_written_or_none() {
    let mut rig = Rig::new();
    let lines = [usd("a", 100), usd("b", 50)];
    assert_eq!(rig.held(ask(1, &lines, 50)).amounts.usd.0, 50);
    let short = rig.short(ask(2, &lines, 1));
    assert_eq!((short.account, short.cause), (name(&lines[1]), Cause::Held));
    assert_eq!((rig.at(&lines[0]), rig.at(&lines[1])), ((0, 50), (0, 50)));
    rig.commit(1, 10);
    assert_eq!((rig.at(&lines[0]), rig.at(&lines[1])), ((10, 0), (10, 0)));
    rig.held(ask(2, &lines, 40));
    rig.release(2);
    assert_eq!(rig.at(&lines[0]), (10, 0));
    rig.check_replay();
}

/// (limits, spent before, held before, need) -> which account refuses and why.
#[test]
fn a_refusal_names_an_account_where_waiting_cannot_help_first() {
    let table = [
        ([100, 100], 0, 60, 40, None),
        ([100, 100], 0, 60, 41, Some((0, Cause::Held))),
        ([100, 100], 60, 0, 41, Some((0, Cause::Spent))),
        ([100, 80], 50, 20, 31, Some((1, Cause::Spent))),
        ([100, 90], 50, 20, 31, Some((0, Cause::Held))),
        ([100, 10], 0, 0, 11, Some((1, Cause::Spent))),
    ];
    for (limits, spent, held, need, expected) in table {
        let mut rig = Rig::new();
        let free = [line("a", Unit::Usd, Window::Day), line("b", Unit::Usd, Window::Day)];
        rig.held(ask(1, &free, spent));
        rig.commit(1, spent);
        rig.held(ask(2, &free, held));
        let lines = [usd("a", limits[0]), usd("b", limits[1])];
        match (rig.reserve(ask(3, &lines, need)), expected) {
            (Reservation::Held(_), None) => {}
            (Reservation::Short(s), Some((i, cause))) => {
                assert_eq!(
                    (s.account, s.cause, s.need),
                    (name(&lines[i]), cause, need),
                    "{limits:?} {spent} {held} {need}"
                );
                assert_eq!(s.resets_at, Window::Day.end(NOON));
            }
            (other, _) => panic!("{limits:?} {spent} {held} {need}: {other:?}"),
        }
    }
}

#[test]
fn one_account_under_two_limits_is_counted_once() {
    let mut rig = Rig::new();
    let lines = [usd("a", 100), usd("a", 30)];
    rig.held(ask(1, &lines, 30));
    assert_eq!(rig.at(&lines[0]), (0, 30));
    assert_eq!(rig.short(ask(2, &lines, 1)).limit.amount, 30);
}

#[test]
fn what_asks_nothing_is_not_refused_by_an_exhausted_account() {
    let mut rig = Rig::new();
    let lines = [usd("a", 10), limited(line("a", Unit::Calls, Window::Day), 2)];
    rig.held(ask(1, &lines, 10));
    rig.commit(1, 25);
    assert_eq!(rig.at(&lines[0]), (25, 0), "the overrun is recorded");
    rig.held(ask(2, &lines, 0));
    assert_eq!(rig.short(ask(3, &lines, 0)).unit, Unit::Calls);
}

/// (limit, spent, fixed, floor, want, share) -> granted limit, or the need of the refusal.
#[test]
fn a_fitted_call_takes_its_share() {
    let table = [
        (1000, 0, 0, 1, 2000, 25, Ok(250)),
        (1000, 0, 0, 1, 100, 25, Ok(100)),
        (1000, 600, 0, 1, 2000, 25, Ok(100)),
        (1000, 0, 50, 1, 2000, 25, Ok(200)),
        (1000, 0, 0, 400, 2000, 25, Ok(400)),
        (1000, 0, 900, 100, 2000, 25, Ok(100)),
        (1000, 0, 900, 101, 2000, 25, Err(1001)),
        (1000, 950, 0, 50, 2000, 25, Ok(50)),
        (1000, 951, 0, 50, 2000, 25, Err(50)),
        (1000, 0, 0, 1, 2000, 100, Ok(1000)),
        (1000, 0, 0, 5000, 2000, 25, Err(2000)),
        (1000, 1500, 0, 1, 10, 25, Err(1)),
    ];
    for (limit, spent, fixed, floor, want, share, expected) in table {
        let mut rig = Rig::new();
        rig.held(ask(1, &[line("a", Unit::Usd, Window::Day)], spent));
        rig.commit(1, spent);
        let lines = [usd("a", limit), line("a", Unit::Tokens, Window::Total)];
        let mut call = fitted(2, &lines, fixed, floor.min(want), want);
        call.need.fit.as_mut().expect("fitted").share = Share(share);
        match (rig.reserve(call), expected) {
            (Reservation::Held(held), Ok(n)) => {
                assert_eq!(
                    (held.fitted, held.amounts),
                    (Some(n), amounts(fixed + n, n, 1, 0)),
                    "{limit} {spent} {fixed}"
                );
                let verdict = if n < want { Verdict::AllowWithCaps } else { Verdict::Allow };
                assert_eq!((row_of(&rig).verdict, row_of(&rig).estimate), (verdict, held.amounts));
                assert_eq!(rig.at(&lines[0]).1, fixed + n);
            }
            (Reservation::Short(short), Err(need)) => assert_eq!(short.need, need, "{limit} {spent} {fixed} {floor}"),
            (other, _) => panic!("{limit} {spent} {fixed} {floor} {want} {share}: {other:?}"),
        }
    }
}

#[test]
fn the_tightest_account_decides_the_fit() {
    let mut rig = Rig::new();
    let tokens = limited(line("a", Unit::Tokens, Window::Day), 40);
    let held = rig.held(fitted(1, &[usd("a", 1000), tokens.clone(), usd("b", 100)], 0, 1, 500));
    assert_eq!(held.fitted, Some(10), "a quarter of 40 tokens");
    assert_eq!(held.tightest.map(|t| (t.account, t.limit, t.held)), Some((name(&usd("b", 100)), 100, 10)));
    assert_eq!(
        rig.held(fitted(2, &[line("a", Unit::Usd, Window::Day)], 0, 1, 500)).fitted,
        Some(500),
        "no limit, no cap"
    );
}

#[test]
fn observation_counts_and_says_what_enforcement_would_have_said() {
    let mut rig = Rig::new();
    let lines = [observed(usd("a", 100))];
    let held = rig.held(ask(1, &lines, 150));
    assert_eq!(held.would_refuse.map(|s| s.cause), Some(Cause::Spent));
    assert_eq!((row_of(&rig).verdict, row_of(&rig).enforced), (Verdict::Deny, false));
    assert_eq!(rig.at(&lines[0]), (0, 150));
    assert_eq!(rig.short(ask(2, &[usd("a", 200)], 51)).cause, Cause::Held, "it counts for those who enforce");
    let held = rig.held(fitted(3, &[observed(usd("b", 100))], 0, 1, 50));
    assert_eq!((held.fitted, row_of(&rig).verdict), (Some(50), Verdict::AllowWithCaps));
}

#[test]
fn windows_roll_over_and_a_hold_settles_where_it_was_taken() {
    let mut rig = Rig::new();
    let lines = [limited(line("a", Unit::Usd, Window::Minute), 100), usd("a", 1000)];
    rig.held(ask(1, &lines, 100));
    assert_eq!(rig.short(ask(2, &lines, 1)).account, name(&lines[0]));
    rig.pass_secs(60);
    assert_eq!((rig.at(&lines[0]), rig.at(&lines[1])), ((0, 0), (0, 100)));
    rig.held(ask(2, &lines, 100));
    rig.commit(1, 70);
    assert_eq!((rig.at(&lines[0]), rig.at(&lines[1])), ((0, 100), (70, 100)), "the old minute got the charge");
    rig.now = NOON;
    assert_eq!(rig.short(ask(3, &lines, 1)).account, name(&lines[0]), "the time does not go back");
    rig.check_replay();
}

#[test]
fn a_flag_stops_and_a_restore_lets_go_on() {
    let mut rig = Rig::new();
    let flagged = |n| Reserve { flags: Flag::over(&facts("a")).into(), ..ask(n, &[usd("a", 10)], 1) };
    let agent = Flag::Agent { tenant: "default".into(), name: "a".into() };
    rig.held(flagged(1));
    for flag in [agent, Flag::Everyone] {
        rig.stop(flag.clone());
        assert_eq!(rig.reserve(flagged(2)), Reservation::Killed(flag.clone()));
        rig.restore(flag);
    }
    rig.held(flagged(2));
    rig.stop(Flag::Tenant { name: "other".into() });
    rig.held(flagged(3));
    rig.check_replay();
}

#[test]
fn a_hold_shrinks_freely_and_grows_only_within_its_limits() {
    let mut rig = Rig::new();
    let lines: [Line; 2] = [usd("a", 100), limited(line("a", Unit::Risk, Window::Day), 10)];
    rig.held(ask(1, &lines, 60));
    let held = |r: Result<Reservation, _>| match r {
        Ok(Reservation::Held(h)) => h.amounts,
        other => panic!("{other:?}"),
    };
    assert_eq!(held(rig.resize(1, 1, amounts(20, 0, 1, 0))), amounts(20, 0, 1, 0));
    assert_eq!(held(rig.resize(1, 1, amounts(5, 0, 1, 0))), amounts(20, 0, 1, 0), "that step was made");
    assert_eq!(held(rig.resize(1, 2, amounts(90, 0, 1, 10))), amounts(90, 0, 1, 10));
    rig.held(ask(2, &lines, 5));
    let short = |r: Result<Reservation, _>| match r {
        Ok(Reservation::Short(s)) => (s.unit, s.cause),
        other => panic!("{other:?}"),
    };
    assert_eq!(short(rig.resize(1, 3, amounts(96, 0, 1, 10))), (Unit::Usd, Cause::Held));
    assert_eq!(short(rig.resize(1, 3, amounts(96, 0, 1, 11))), (Unit::Risk, Cause::Spent));
    assert_eq!(held(rig.resize(1, 3, amounts(95, 0, 1, 10))).usd.0, 95);
    assert_eq!(rig.at(&lines[0]), (0, 100));
    rig.settle(1, End::Commit { charge: Amounts::ZERO, exact: false }).expect("open");
    assert_eq!(rig.at(&lines[0]), (95, 5), "without exact usage, what is held");
    assert!(rig.resize(1, 4, amounts(1, 0, 1, 0)).is_err());
    rig.check_replay();
}

#[test]
fn after_a_restart_a_hold_cannot_grow() {
    let mut rig = Rig::new();
    rig.held(ask(1, &[usd("a", 100)], 10));
    let mut again = super::super::Book::default();
    rig.journal.iter().for_each(|e| again.apply(e));
    assert!(again.resize(NOON, id(1), 1, amounts(11, 0, 1, 0)).is_err());
    assert!(again.resize(NOON, id(1), 1, amounts(9, 0, 1, 0)).is_ok());
}

#[test]
fn calls_that_ask_for_the_same_lines_share_their_postings_until_a_window_begins() {
    let mut rig = Rig::new();
    let lines: std::sync::Arc<[Line]> = [usd("a", 100), line("b", Unit::Calls, Window::Total)].into();
    let mut taken = |n: u32, later: i64| {
        rig.pass_secs(later);
        rig.held(Reserve { lines: lines.clone(), ..ask(n, &lines, 1) });
        rig.check_replay();
        rig.book.postings(id(n)).cloned().expect("a hold")
    };
    let (first, same, next_day, with_it) = (taken(1, 0), taken(2, 1), taken(3, 86_400), taken(4, 1));
    assert!(std::sync::Arc::ptr_eq(&first, &same) && std::sync::Arc::ptr_eq(&next_day, &with_it));
    assert_eq!(Window::Day.start(NOON), first[0].start);
    assert_ne!((first[0].start, first[1].start), (next_day[0].start, next_day[1].start));
    assert_eq!(first[1], next_day[1]);
}

#[test]
fn calls_in_flight_count_while_they_last() {
    let mut rig = Rig::new();
    let flight = limited(line("a", Unit::Calls, Window::Flight), 2);
    let lines = [flight.clone(), usd("a", 1000)];
    rig.held(ask(1, &lines, 10));
    rig.held(ask(2, &lines, 10));
    assert_eq!(rig.short(ask(3, &lines, 10)).cause, Cause::Held);
    rig.pass_secs(31);
    assert_eq!(rig.expire_due(), 2);
    assert_eq!((rig.at(&flight), rig.at(&lines[1])), ((0, 0), (20, 0)), "charged, and in flight no more");
    rig.commit(1, 5);
    assert_eq!((rig.at(&flight), rig.at(&lines[1])), ((0, 0), (15, 0)), "its true end came late");
    rig.held(ask(3, &lines, 10));
    rig.pass_secs(2 * 3600);
    assert_eq!(rig.at(&flight), (0, 1), "no window begins anew");
    rig.commit(3, 1);
    rig.check_replay();
}
