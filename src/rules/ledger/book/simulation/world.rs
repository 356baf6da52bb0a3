//! The world of one seed: rolls what happens next, lets ledger and shadow do it, and compares them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::Dice;
use super::driven::Driven;
use super::shadow::{Shadow, State};
use crate::rules::books::Control;
use crate::rules::ledger::account::{Scope, Shape};
use crate::rules::ledger::ask::{LEASE_SECS, Line};
use crate::rules::ledger::book::holds::KEEP_EXACT_SECS;
use crate::rules::ledger::book::rig::*;
use crate::rules::ledger::entry::Op;
use crate::rules::subject::Flag;
use crate::units::amount::Unit;
use crate::units::time::{Timestamp, Window};

pub(crate) const AGENTS: [&str; 2] = ["a", "b"];

/// Every shape, with the accounts that each agent's calls have on it. Made once: names are long, seeds are many.
static TABLE: LazyLock<Vec<(Shape, [Vec<Line>; 2])>> = LazyLock::new(|| {
    let line = |s: &Shape, account| Line { account, unit: s.unit, window: s.window, limit: None };
    let of = |s: &Shape, agent| s.accounts(&facts(agent)).into_iter().map(|a| line(s, a)).collect();
    all_shapes().into_iter().map(|s| (s.clone(), AGENTS.map(|agent| of(&s, agent)))).collect()
});

pub(crate) fn lines_of(agent: &str, shape: &Shape) -> &'static [Line] {
    let here = TABLE.iter().find(|(s, _)| s == shape).map(|(_, by_agent)| &by_agent[usize::from(agent == AGENTS[1])]);
    here.map_or(&[], Vec::as_slice)
}

pub(crate) struct World<L> {
    pub(super) dice: Dice,
    pub(super) ledger: L,
    pub(super) shadow: Shadow,
    pub(super) shapes: Vec<Shape>,
    pub(super) flags: Vec<Flag>,
    pub(super) next: u32,
    pub(super) loud: bool,
    /// The leases as the last snapshot knows them.
    pub(super) leases: BTreeMap<u32, Timestamp>,
    /// Holds that a crash made forget their limits.
    pub(super) limits_lost: u32,
}

pub(crate) fn all_shapes() -> Vec<Shape> {
    vec![
        shape(Scope::Agent, Unit::Usd, Window::Minute),
        shape(Scope::Agent, Unit::Usd, Window::Total),
        shape(Scope::Tenant, Unit::Usd, Window::Day),
        shape(Scope::Agent, Unit::Tokens, Window::Hour),
        shape(Scope::Agent, Unit::Calls, Window::Hour),
        shape(Scope::Everyone, Unit::Risk, Window::Month),
        shape(Scope::Tenant, Unit::Calls, Window::Flight),
    ]
}

impl<L: Driven> World<L> {
    pub fn new(ledger: L, seed: u64, loud: bool) -> Self {
        let (shadow, dice, leases) = (Shadow::default(), Dice(seed), BTreeMap::new());
        let mut world =
            Self { dice, ledger, shadow, shapes: vec![], flags: vec![], next: 1, loud, leases, limits_lost: 0 };
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
        self.ledger.check_replay();
        self.end_all();
        self.compare();
        self.check_each_hold_ended_once();
    }

    pub(super) fn say(&self, what: impl FnOnce() -> String) {
        if self.loud {
            println!("{} {}", self.ledger.lease_clock(), what());
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
        self.ledger.pass_secs(secs);
    }

    pub(super) fn now(&self) -> Timestamp {
        self.ledger.now()
    }

    // Flags and shapes.

    fn toggle_flag(&mut self) {
        let flag = Flag::Agent { tenant: "default".into(), name: self.dice.pick(&AGENTS).unwrap_or("a").into() };
        let set = self.flags.contains(&flag);
        self.say(|| format!("{} {flag}", if set { "restore" } else { "stop" }));
        if set {
            self.flags.retain(|f| *f != flag);
            self.ledger.control(Control::Restored { flag, act: act() });
        } else {
            self.flags.push(flag.clone());
            self.ledger.control(Control::Stopped { flag, act: act() });
        }
    }

    fn change_shapes(&mut self) {
        let Some(shape) = self.dice.pick(&all_shapes()) else { return };
        if !self.shapes.contains(&shape) {
            return self.declare(shape);
        }
        self.shapes.retain(|s| *s != shape);
        self.say(|| format!("undeclare {shape:?}"));
        self.ledger.declare(&self.shapes, 0);
    }

    fn declare(&mut self, shape: Shape) {
        let lag = self.some_lag();
        self.say(|| format!("declare {shape:?}, {lag} entries behind"));
        let start = shape.window.start(self.now());
        self.shadow.declare(&shape, start, |agent| shape.accounts(&facts(agent)));
        self.shapes.push(shape);
        self.ledger.declare(&self.shapes, lag);
    }

    /// The audit store lags by some entries, none of them older than the ledger remembers.
    fn some_lag(&mut self) -> u64 {
        let now = self.now();
        let recent = self.ledger.journal().iter().rev().take_while(|e| e.at.plus_secs(KEEP_EXACT_SECS) > now).count();
        self.dice.roll(recent as u64 + 1)
    }

    // Crash.

    fn take_snapshot(&mut self) {
        self.leases = self.shadow.calls.iter().map(|(n, c)| (*n, c.lease)).collect();
        self.ledger.take_snapshot();
    }

    fn crash(&mut self) {
        self.say(|| "crash".to_owned());
        self.ledger.crash();
        if L::FORGETS_RENEWALS {
            for (n, call) in &mut self.shadow.calls {
                call.lease = self.leases.get(n).copied().unwrap_or(call.taken.plus_secs(LEASE_SECS));
            }
        }
        self.limits_lost = self.next - 1;
    }

    // Judgement.

    fn compare(&mut self) {
        let declared = AGENTS.iter().flat_map(|a| self.shapes.iter().flat_map(|s| lines_of(a, s).iter().cloned()));
        let lines: Vec<Line> = declared.chain(AGENTS.iter().map(|a| line(a, Unit::Usd, Window::Day))).collect();
        for state in self.ledger.accounts(&lines) {
            let shadow = self.shadow.sums(&state.account, state.window_start);
            assert_eq!((state.spent, state.held), shadow, "{} since {}", state.account, state.window_start);
        }
    }

    fn end_all(&mut self) {
        self.ledger.pass_secs(25 * 3600);
        while self.shadow.calls.values().any(|c| c.state == State::Open) {
            self.expire();
        }
        assert_eq!(self.ledger.open_holds(), 0);
    }

    fn check_each_hold_ended_once(&self) {
        let mut ends: BTreeMap<_, u32> = BTreeMap::new();
        for entry in self.ledger.journal() {
            if let Op::Commit { hold, .. } | Op::Release { hold, .. } | Op::Expire { hold, .. } = &entry.op {
                *ends.entry(*hold).or_default() += 1;
            }
        }
        assert!(self.shadow.calls.keys().all(|n| ends.get(&id(*n)) == Some(&1)));
    }
}
