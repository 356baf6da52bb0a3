//! The world of one seed: rolls what happens next, lets book and shadow do it, and compares them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::Dice;
use super::shadow::{Shadow, State};
use crate::rules::ledger::account::{AccountName, Scope, Shape};
use crate::rules::ledger::ask::{LEASE_SECS, Line};
use crate::rules::ledger::book::holds::KEEP_EXACT_SECS;
use crate::rules::ledger::book::rig::*;
use crate::rules::ledger::book::{Book, Sums};
use crate::rules::ledger::entry::{Entry, Op};
use crate::rules::subject::Flag;
use crate::units::amount::Unit;
use crate::units::time::{Timestamp, Window};

pub(super) const AGENTS: [&str; 2] = ["a", "b"];

/// Every shape, with the accounts that each agent's calls have on it. Made once: names are long, seeds are many.
static TABLE: LazyLock<Vec<(Shape, [Vec<Line>; 2])>> = LazyLock::new(|| {
    let line = |s: &Shape, account| Line { account, unit: s.unit, window: s.window, limit: None };
    let of = |s: &Shape, agent| s.accounts(&facts(agent)).into_iter().map(|a| line(s, a)).collect();
    all_shapes().into_iter().map(|s| (s.clone(), AGENTS.map(|agent| of(&s, agent)))).collect()
});

pub(super) fn lines_of(agent: &str, shape: &Shape) -> &'static [Line] {
    let here = TABLE.iter().find(|(s, _)| s == shape).map(|(_, by_agent)| &by_agent[usize::from(agent == AGENTS[1])]);
    here.map_or(&[], Vec::as_slice)
}

pub struct World {
    pub(super) dice: Dice,
    pub(super) rig: Rig,
    pub(super) shadow: Shadow,
    pub(super) shapes: Vec<Shape>,
    pub(super) flags: Vec<Flag>,
    pub(super) next: u32,
    pub(super) loud: bool,
    /// The last snapshot: the book as text, the entries in it, and the leases as it knows them.
    pub(super) snapshot: (String, usize, BTreeMap<u32, Timestamp>),
    /// Holds that a crash made forget their limits.
    pub(super) limits_lost: u32,
}

fn all_shapes() -> Vec<Shape> {
    vec![
        shape(Scope::Agent, Unit::Usd, Window::Minute),
        shape(Scope::Agent, Unit::Usd, Window::Total),
        shape(Scope::Tenant, Unit::Usd, Window::Day),
        shape(Scope::Agent, Unit::Tokens, Window::Hour),
        shape(Scope::Agent, Unit::Calls, Window::Hour),
        shape(Scope::Everyone, Unit::Risk, Window::Month),
    ]
}

impl World {
    pub fn new(seed: u64, loud: bool) -> Self {
        let rig = Rig::new();
        let snapshot = (serde_json::to_string(&rig.book).expect("plain data"), 0, BTreeMap::new());
        let (shadow, dice) = (Shadow::default(), Dice(seed));
        let mut world =
            Self { dice, rig, shadow, shapes: vec![], flags: vec![], next: 1, loud, snapshot, limits_lost: 0 };
        for shape in all_shapes() {
            if world.dice.roll(3) > 0 {
                world.declare(shape);
            }
        }
        world
    }

    pub fn run(&mut self, steps: u32) {
        for _ in 0..steps {
            self.step();
            self.compare();
        }
        self.rig.check_replay();
        self.end_all();
        self.compare();
        self.check_each_hold_ended_once();
    }

    pub(super) fn say(&self, what: impl FnOnce() -> String) {
        if self.loud {
            println!("{} {}", self.rig.now, what());
        }
    }

    fn step(&mut self) {
        match self.dice.roll(40) {
            0..=13 => self.reserve(),
            14..=24 => self.settle(),
            25..=26 => self.resize(),
            27 => self.renew(),
            28..=30 => self.pass_time(),
            31..=32 => self.expire(),
            33 => self.adjust(),
            34 => self.crash(),
            35 => self.take_snapshot(),
            36 => self.toggle_flag(),
            37..=38 => self.change_shapes(),
            _ => self.repeat_an_operation(),
        }
    }

    fn pass_time(&mut self) {
        let secs = self.dice.pick(&[1, 7, 29, 31, 60, 61, 1800, 3600, 23 * 3600, 25 * 3600, -5]).unwrap_or(1);
        // Beyond the book's own time the wall clock may go back.
        self.rig.pass_secs(secs);
    }

    pub(super) fn now(&self) -> Timestamp {
        self.rig.now.max(self.rig.book.now())
    }

    // Flags and shapes.

    fn toggle_flag(&mut self) {
        let flag = Flag::Agent { tenant: "default".into(), name: self.dice.pick(&AGENTS).unwrap_or("a").into() };
        if self.flags.contains(&flag) {
            self.flags.retain(|f| *f != flag);
            self.rig.restore(flag);
        } else {
            self.flags.push(flag.clone());
            self.rig.stop(flag);
        }
    }

    fn change_shapes(&mut self) {
        let Some(shape) = self.dice.pick(&all_shapes()) else { return };
        if !self.shapes.contains(&shape) {
            return self.declare(shape);
        }
        self.shapes.retain(|s| *s != shape);
        let op = self.rig.book.undeclare(shape);
        self.rig.write([Some(op)]);
    }

    fn declare(&mut self, shape: Shape) {
        let upto = self.some_recent_seq();
        let sums = Sums { upto, spent: books(&self.rig.journal, upto, &shape) };
        self.say(|| format!("declare {shape:?} {sums:?}"));
        let start = shape.window.start(self.now());
        self.shadow.declare(&shape, start, |agent| shape.accounts(&facts(agent)));
        self.rig.declare(shape.clone(), sums);
        self.shapes.push(shape);
    }

    /// The audit store lags by some entries, none of them older than the book remembers.
    fn some_recent_seq(&mut self) -> u64 {
        let recent =
            self.rig.journal.iter().rev().take_while(|e| e.at.plus_secs(KEEP_EXACT_SECS) > self.now()).count() as u64;
        let back = self.dice.roll(recent + 1);
        self.rig.book.seq() - back
    }

    // Crash.

    fn take_snapshot(&mut self) {
        let leases = self.shadow.calls.iter().map(|(n, c)| (*n, c.lease)).collect();
        let text = serde_json::to_string(&self.rig.book).expect("plain data");
        self.snapshot = (text, self.rig.journal.len(), leases);
    }

    fn crash(&mut self) {
        let (text, covered, leases) = &self.snapshot;
        let mut book: Book = serde_json::from_str(text).expect("a snapshot reads back");
        self.rig.journal[*covered..].iter().for_each(|entry| {
            let line = serde_json::to_vec(entry).expect("plain data");
            book.apply(&serde_json::from_slice(&line).expect("an entry reads back"));
        });
        assert_eq!(book, self.rig.book, "snapshot and tail give the same book");
        self.rig.book = book;
        for (n, call) in &mut self.shadow.calls {
            call.lease = leases.get(n).copied().unwrap_or(call.taken.plus_secs(LEASE_SECS));
        }
        self.limits_lost = self.next - 1;
        self.say(|| "crash".to_owned());
    }

    // Judgement.

    fn compare(&self) {
        let declared = AGENTS.iter().flat_map(|a| self.shapes.iter().flat_map(|s| lines_of(a, s).iter().cloned()));
        let lines: Vec<Line> = declared.chain(AGENTS.iter().map(|a| line(a, Unit::Usd, Window::Day))).collect();
        for state in self.rig.book.accounts(self.rig.now, &lines) {
            let shadow = self.shadow.sums(&state.account, state.window_start);
            assert_eq!((state.spent, state.held), shadow, "{} since {}", state.account, state.window_start);
        }
    }

    fn end_all(&mut self) {
        self.rig.pass_secs(25 * 3600);
        while self.shadow.calls.values().any(|c| c.state == State::Open) {
            self.expire();
        }
        assert_eq!(self.rig.book.open_holds(), 0);
    }

    fn check_each_hold_ended_once(&self) {
        let mut ends: BTreeMap<_, u32> = BTreeMap::new();
        for entry in &self.rig.journal {
            if let Op::Commit { hold, .. } | Op::Release { hold, .. } | Op::Expire { hold, .. } = &entry.op {
                *ends.entry(*hold).or_default() += 1;
            }
        }
        assert!(self.shadow.calls.keys().all(|n| ends.get(&id(*n)) == Some(&1)));
    }
}

/// What an audit store that has seen the entries up to `upto` says of a shape: the rows' charges, by facts and time.
fn books(journal: &[Entry], upto: u64, shape: &Shape) -> Vec<(AccountName, Timestamp, u64)> {
    let mut rows = BTreeMap::new();
    for entry in journal.iter().filter(|e| e.seq <= upto) {
        match &entry.op {
            Op::Reserve { row, .. } => drop(rows.insert(row.call, (entry.at, row.facts.clone(), 0))),
            Op::Commit { hold, charge, .. } | Op::Expire { hold, charge, .. } | Op::Adjust { hold, charge, .. } => {
                rows.entry(*hold).and_modify(|r| r.2 = charge.of(shape.unit));
            }
            Op::Release { hold, kept, .. } => {
                rows.entry(*hold).and_modify(|r| r.2 = kept.map_or(0, |k| k.money.of(shape.unit)));
            }
            _ => {}
        }
    }
    let mut sums = BTreeMap::new();
    for (at, facts, charge) in rows.into_values() {
        for account in facts.iter().flat_map(|f| shape.accounts(f)) {
            *sums.entry((account, shape.window.start(at))).or_insert(0) += charge;
        }
    }
    sums.into_iter().map(|((account, start), sum)| (account, start, sum)).collect()
}
