//! Rates beside limits: what is refused takes nothing, no window ever sees more than it may, and a replay has the same cells.

use crate::rules::books::Verdict;
use crate::rules::ledger::account::AccountName;
use crate::rules::ledger::ask::{Held, Reservation, Reserve};
use crate::rules::ledger::book::Book;
use crate::rules::ledger::book::rig::*;
use crate::rules::ledger::book::simulation::Dice;
use crate::rules::ledger::entry::Op;
use crate::rules::ledger::rates::{Limited, Rate};
use crate::rules::subject::Flag;
use crate::units::time::Timestamp;

const SECOND: u64 = 1_000_000;

fn rate(cell: &str, interval: u64, burst: u64) -> Rate {
    let rule = format!("{cell} every {interval}").into();
    Rate { cell: AccountName(cell.into()), interval, burst, cost: 1, slots: 1, rule, enforce: true }
}

fn paced(rates: &[Rate], ask: Reserve) -> Reserve {
    Reserve { rates: rates.into(), ..ask }
}

fn limited(rig: &mut Rig, ask: Reserve) -> Limited {
    match rig.reserve(ask) {
        Reservation::Limited(limited) => limited,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_refused_takes_nothing() {
    let mut rig = Rig::new();
    let (slow, fast, line) = (rate("slow", 10 * SECOND, 2), rate("fast", SECOND, 5), usd("a", 100));
    let both = [fast.clone(), slow.clone()];
    rig.held(paced(&both, ask(1, std::slice::from_ref(&line), 10)));
    // A budget that refuses takes no rate, nor does a flag.
    for _ in 0..9 {
        rig.short(paced(&both, ask(2, std::slice::from_ref(&line), 99)));
    }
    rig.stop(Flag::Everyone);
    let flagged = Reserve { flags: [Flag::Everyone].into(), ..paced(&both, ask(2, &[], 0)) };
    assert_eq!(rig.reserve(flagged), Reservation::Killed(Flag::Everyone));
    rig.restore(Flag::Everyone);
    // The same hold again takes nothing more.
    rig.held(paced(&both, ask(1, std::slice::from_ref(&line), 10)));
    rig.held(paced(&both, ask(3, std::slice::from_ref(&line), 10)));
    let refused = limited(&mut rig, paced(&both, ask(4, std::slice::from_ref(&line), 10)));
    assert_eq!(refused, Limited { cell: slow.cell.clone(), rule: slow.rule.clone(), wait: Some(10 * SECOND) });
    assert_eq!(rig.at(&line), (0, 20), "a rate that refuses holds nothing");
    // Nor was the other rate taken: three of its five are left.
    for n in 5..8 {
        rig.held(paced(std::slice::from_ref(&fast), ask(n, &[], 0)));
    }
    limited(&mut rig, paced(&[fast], ask(8, &[], 0)));
    rig.pass_secs(10);
    rig.held(paced(&[slow], ask(8, &[], 0)));
    rig.check_replay();
}

#[test]
fn a_rate_that_observes_is_noted_and_moves_nothing() {
    let mut rig = Rig::new();
    let watch = Rate { enforce: false, ..rate("a", 10 * SECOND, 1) };
    let mut seen = Vec::new();
    for n in 1..=4 {
        let Held { would_limit, .. } = rig.held(paced(std::slice::from_ref(&watch), ask(n, &[], 0)));
        let Some(Op::Reserve { row, moved, .. }) = rig.journal.last().map(|e| &e.op) else { panic!("it is held") };
        assert_eq!((row.verdict == Verdict::RateLimited, row.enforced), (would_limit.is_some(), would_limit.is_none()));
        assert_eq!(moved.is_empty(), would_limit.is_some());
        seen.push(would_limit.is_some());
        rig.pass_secs(4);
    }
    // At 0, 4, 8 and 12 s: as enforcement would have let them through.
    assert_eq!(seen, [false, true, true, false]);
}

#[test]
fn cells_that_have_filled_up_are_forgotten() {
    let mut rig = Rig::new();
    for n in 1..=50 {
        rig.held(paced(&[rate(&format!("run:{n}"), SECOND, 1)], ask(n, &[], 0)));
    }
    rig.pass_secs(61);
    rig.held(paced(&[rate("run:51", SECOND, 1)], ask(51, &[], 0)));
    assert_eq!(rig.book.rates.len(), 1);
}

#[test]
fn a_snapshot_from_before_there_were_rates_reads() {
    let mut old = serde_json::to_value(Book::default()).expect("plain data");
    old.as_object_mut().expect("a map").remove("rates");
    assert_eq!(serde_json::from_value::<Book>(old).expect("it reads"), Book::default());
}

/// Whatever comes when, and however often the ledger starts anew: no window of any length sees more than its burst and what
/// comes due within it; and whoever waits as long as told is let through.
#[test]
fn no_window_sees_more_than_burst_and_pace() {
    for seed in 0..300 {
        let mut dice = Dice(seed);
        let mut rig = Rig::new();
        let interval = [1, 7, 142_858, SECOND, 90 * SECOND][dice.roll(5) as usize];
        let rates = [rate("a", interval, 1 + dice.roll(4)), rate("b", 1 + dice.roll(3 * interval), 1 + dice.roll(4))];
        let mut let_through: Vec<Timestamp> = Vec::new();
        for n in 1..60 {
            let step = [0, 1, interval / 3, interval, 3 * interval][dice.roll(5) as usize];
            rig.now = Timestamp(rig.now.0 + dice.roll(step + 1) as i64);
            match rig.reserve(paced(&rates, ask(n, &[], 0))) {
                Reservation::Held(_) => let_through.push(rig.now),
                Reservation::Limited(limited) if dice.roll(3) == 0 => {
                    let wait = limited.wait.expect("a burst is at least one call");
                    rig.now = Timestamp(rig.now.0 + wait as i64 - 1);
                    let early = rig.reserve(paced(&rates, ask(n, &[], 0)));
                    assert!(matches!(early, Reservation::Limited(_)), "seed {seed}: a microsecond too early");
                    rig.now = Timestamp(rig.now.0 + 1);
                    rig.held(paced(&rates, ask(n, &[], 0)));
                    let_through.push(rig.now);
                }
                Reservation::Limited(_) => {}
                other => panic!("seed {seed}: {other:?}"),
            }
            if dice.roll(10) == 0 {
                let text = serde_json::to_string(&rig.book).expect("plain data");
                rig.book = serde_json::from_str(&text).expect("a snapshot reads back");
            }
        }
        rig.check_replay();
        for (i, from) in let_through.iter().enumerate() {
            for (j, to) in let_through.iter().enumerate().skip(i) {
                let passed = (to.0 - from.0) as u64;
                let most = rates.iter().map(|r| r.burst + passed / r.interval).min().unwrap_or(0);
                assert!((j - i + 1) as u64 <= most, "seed {seed}: {} calls in {passed} us", j - i + 1);
            }
        }
    }
}
