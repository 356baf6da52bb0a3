//! Reserves of the simulation: rolls a call, and checks the answer against what the shadow would admit.

use super::driven::Driven;
use super::shadow::{Call, Group, Money, Slot, State};
use super::world::{AGENTS, World, lines_of};
use crate::rules::ledger::ask::{Cause, Held, LEASE_SECS, Line, Reservation};
use crate::rules::ledger::book::rig::*;
use crate::rules::ledger::need::Need;
use crate::rules::subject::Flag;
use crate::units::amount::Unit;
use crate::units::money::PicoUsd;
use crate::units::time::Window;

impl<L: Driven> World<L> {
    pub(super) fn lines(&mut self, agent: &str) -> Vec<Line> {
        let mut lines = Vec::new();
        for shape in self.shapes.clone() {
            for line in lines_of(agent, &shape).iter().cloned() {
                let amount = match shape.window.keeps_charges() {
                    true => [40, 100, 300][self.dice.roll(3) as usize],
                    false => 1 + self.dice.roll(4),
                };
                match self.dice.roll(4) {
                    0 => lines.push(line),
                    1 => lines.push(observed(limited(line, amount))),
                    _ => lines.push(limited(line, amount)),
                }
            }
        }
        if self.dice.roll(4) == 0 {
            lines.push(limited(line(agent, Unit::Usd, Window::Day), 50));
        }
        lines
    }

    pub(super) fn reserve(&mut self) {
        let n = self.next;
        self.next += 1;
        let agent = self.dice.pick(&AGENTS).unwrap_or("a");
        let lines = self.lines(agent);
        let (fixed, floor) = (self.dice.roll(60), 1 + self.dice.roll(10));
        let mut ask = match self.dice.roll(2) {
            0 => ask(n, &lines, fixed),
            _ => fitted(n, &lines, fixed, floor, floor + self.dice.roll(60)),
        };
        (ask.need.tokens, ask.need.risk) = (self.dice.roll(20), self.dice.roll(3) * 5);
        let key = (self.dice.roll(3) == 0).then(|| self.dice.roll(2) as u8 + if agent == "a" { 0 } else { 2 });
        if let Some(key) = key {
            ask = keyed(ask, key);
        }
        ask.opening.facts = Some(facts(agent).into());
        ask.flags = Flag::over(&facts(agent)).into();
        let answer = self.ledger.reserve(ask.clone());
        self.say(|| format!("reserve {n} key {key:?} {:?} on {lines:?}: {answer:?}", ask.need));
        self.judge(n, agent, key, &ask.need, &lines, answer);
    }

    pub(super) fn judge(
        &mut self,
        n: u32,
        agent: &str,
        key: Option<u8>,
        need: &Need,
        lines: &[Line],
        answer: Reservation,
    ) {
        if self.flags.iter().any(|f| f.stops(&facts(agent))) {
            assert!(matches!(answer, Reservation::Killed(_)), "a flag is set");
            return;
        }
        let joins = self.shadow.joins(key, self.now());
        let mut need = need.clone();
        if joins.is_some() {
            need = Need { usd: PicoUsd(0), tokens: 0, fit: None, ..need };
        }
        match (answer, self.would_admit(&need, lines)) {
            (Reservation::Held(held), Ok(granted)) => {
                assert_eq!(held.amounts, need.at(granted), "what is held is what is granted");
                assert_eq!(held.shares.is_some(), joins.is_some());
                self.admit(n, agent, key, joins, lines, held);
            }
            (Reservation::Short(short), Err(cause)) => assert_eq!(short.cause, cause),
            (answer, expected) => panic!("{answer:?}, but the shadow says {expected:?}"),
        }
    }

    /// The largest limit that fits, found by trying each; or why not even the floor does.
    pub(super) fn would_admit(&self, need: &Need, lines: &[Line]) -> Result<u64, Cause> {
        let (floor, want) = need.fit.as_ref().map_or((0, 0), |f| (f.floor, f.want));
        let limits: Vec<_> =
            lines.iter().filter_map(|l| l.limit.as_ref().filter(|k| k.enforce).map(|k| (l, k.amount))).collect();
        let state = |l: &Line| self.shadow.sums(&l.account, l.window.start(self.now()));
        let limits: Vec<_> = limits.into_iter().map(|(l, limit)| (l, limit, state(l))).collect();
        let refusals = limits.iter().filter_map(|(l, limit, (spent, held))| {
            let least = need.at(floor).of(l.unit);
            let refused = least > 0 && spent + held + least > *limit;
            refused.then_some(if spent + least > *limit { Cause::Spent } else { Cause::Held })
        });
        if let Some(cause) = refusals.reduce(|a, b| if b == Cause::Spent { b } else { a }) {
            return Err(cause);
        }
        let fits = |n: u64| {
            limits.iter().all(|(l, limit, (spent, held))| {
                let left = limit.saturating_sub(spent + held);
                let room = need.at(floor).of(l.unit).max(left / 4).min(left);
                need.at(n).of(l.unit) <= room
            })
        };
        Ok((floor..=want).rev().find(|n| fits(*n)).unwrap_or(floor))
    }

    pub(super) fn admit(
        &mut self,
        n: u32,
        agent: &str,
        key: Option<u8>,
        joins: Option<usize>,
        lines: &[Line],
        held: Held,
    ) {
        let taken = self.now();
        let mut slots: Vec<Slot> = Vec::new();
        for line in lines {
            if slots.iter().all(|s| s.0 != line.account) {
                slots.push((line.account.clone(), line.unit, line.window.start(taken)));
            }
        }
        let (money_slots, own_slots) = slots.into_iter().partition(|s| matches!(s.1, Unit::Usd | Unit::Tokens));
        let bound = Money { usd: held.amounts.usd.0, tokens: held.amounts.tokens };
        let group = joins.unwrap_or(self.shadow.groups.len());
        if joins.is_none() {
            let (bearer_word, words, members) = (None, vec![], vec![]);
            let group = Group {
                key,
                joinable: true,
                bearer: n,
                ended: false,
                bearer_word,
                words,
                bound,
                money_slots,
                members,
                fitted: held.fitted,
                inherited: false,
            };
            self.shadow.groups.push(group);
        }
        self.shadow.groups[group].members.push(n);
        assert_eq!(held.fitted, self.shadow.groups[group].fitted);
        let own = (held.amounts.calls, held.amounts.risk);
        let lease = taken.plus_secs(LEASE_SECS);
        let call = Call { agent: agent.to_owned(), taken, lease, state: State::Open, step: 0, own, own_slots, group };
        self.shadow.calls.insert(n, call);
    }
}
