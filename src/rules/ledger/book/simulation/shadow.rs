//! The shadow: what the accounts must say, recomputed from all calls whenever it is asked. Shares no code with the book.

use std::collections::BTreeMap;

use crate::rules::ledger::account::{AccountName, Shape};
use crate::units::amount::Unit;
use crate::units::time::Timestamp;

/// One account in one window.
pub type Slot = (AccountName, Unit, Timestamp);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Money {
    pub usd: u64,
    pub tokens: u64,
}

impl Money {
    fn max(self, other: Self) -> Self {
        Self { usd: self.usd.max(other.usd), tokens: self.tokens.max(other.tokens) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Open,
    Expired,
    Over,
}

#[derive(Clone, Debug)]
pub struct Call {
    pub agent: String,
    pub taken: Timestamp,
    pub lease: Timestamp,
    pub state: State,
    pub step: u32,
    /// Calls and risk: held while open, charged after.
    pub own: (u64, u64),
    pub own_slots: Vec<Slot>,
    pub group: usize,
}

/// Calls that share money; most groups are of one call.
#[derive(Clone, Debug)]
pub struct Group {
    pub key: Option<u8>,
    pub joinable: bool,
    /// The call that bears the money, and whether it has come to an end.
    pub bearer: u32,
    pub ended: bool,
    pub bearer_word: Option<(Money, bool)>,
    pub words: Vec<(Money, bool)>,
    pub bound: Money,
    pub money_slots: Vec<Slot>,
    pub members: Vec<u32>,
    pub fitted: Option<u64>,
    pub inherited: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Shadow {
    pub calls: BTreeMap<u32, Call>,
    pub groups: Vec<Group>,
}

impl Group {
    /// (charge, exact), once the bearer has ended.
    pub fn charge(&self) -> (Money, bool) {
        let words = || self.words.iter().chain(&self.bearer_word);
        let most = |exact: bool| words().filter(|w| w.1 == exact).map(|w| w.0).reduce(Money::max);
        let bound = most(false).map(|m| (m.max(self.bound), false));
        most(true).map(|m| (m, true)).or(bound).unwrap_or((Money::default(), true))
    }
}

impl Shadow {
    /// (spent, held) of one account.
    pub fn sums(&self, account: &AccountName, start: Timestamp) -> (u64, u64) {
        let (mut spent, mut held) = (0, 0);
        let here = |slots: &[Slot]| slots.iter().find(|s| s.0 == *account && s.2 == start).map(|s| s.1);
        for call in self.calls.values() {
            let amount = match here(&call.own_slots) {
                Some(Unit::Calls) => call.own.0,
                Some(Unit::Risk) => call.own.1,
                _ => 0,
            };
            *(if call.state == State::Open { &mut held } else { &mut spent }) += amount;
        }
        for group in &self.groups {
            let money = if group.ended { group.charge().0 } else { group.bound };
            let amount = match here(&group.money_slots) {
                Some(Unit::Usd) => money.usd,
                Some(Unit::Tokens) => money.tokens,
                _ => 0,
            };
            *(if group.ended { &mut spent } else { &mut held }) += amount;
        }
        // Calls in flight are counted while they last.
        (if account.0.ends_with(" flight") { 0 } else { spent }, held)
    }

    /// The group that a call with this key would join.
    pub fn joins(&self, key: Option<u8>, now: Timestamp) -> Option<usize> {
        let key = key?;
        let last = self.groups.iter().rposition(|g| g.key == Some(key))?;
        let group = &self.groups[last];
        let fresh = now < self.calls[&group.bearer].taken.plus_secs(23 * 3600);
        (group.joinable && fresh).then_some(last)
    }

    /// A call says how it ended: `None` if nothing was spent; `(money, exact)` otherwise.
    pub fn end(&mut self, n: u32, state: State, word: Option<(Money, bool)>, own: (u64, u64)) {
        let call = self.calls.get_mut(&n).expect("the world knows its calls");
        (call.state, call.own) = (state, own);
        let g = call.group;
        let word = word.filter(|(money, exact)| !exact || *money != Money::default());
        if self.groups[g].bearer != n {
            self.groups[g].words.extend(word);
        } else {
            (self.groups[g].bearer_word, self.groups[g].ended) = (word, true);
            self.pass_on(g);
        }
        let group = &mut self.groups[g];
        group.joinable &= !group.ended || !group.charge().1;
    }

    /// Nobody spent anything yet, but a repeat is open: the money stays held for it.
    fn pass_on(&mut self, g: usize) {
        let group = &self.groups[g];
        let heir = group.members.iter().copied().find(|m| self.calls[m].state == State::Open);
        if let (Some(heir), None, true) = (heir, group.bearer_word, group.words.is_empty()) {
            let group = &mut self.groups[g];
            (group.bearer, group.ended, group.inherited) = (heir, false, true);
        }
    }

    /// A new shape: every call of the running window counts on it.
    pub fn declare(&mut self, shape: &Shape, start: Timestamp, accounts: impl Fn(&str) -> Vec<AccountName>) {
        let money = matches!(shape.unit, Unit::Usd | Unit::Tokens);
        let add = |slots: &mut Vec<Slot>, call: &Call| {
            let new = accounts(&call.agent)
                .into_iter()
                .filter(|a| shape.window.start(call.taken) == start && slots.iter().all(|s| s.2 != start || s.0 != *a));
            let new: Vec<Slot> = new.map(|a| (a, shape.unit, start)).collect();
            slots.extend(new);
        };
        for group in self.groups.iter_mut().filter(|_| money) {
            add(&mut group.money_slots, &self.calls[&group.bearer]);
        }
        for call in self.calls.values_mut().filter(|_| !money) {
            let mut slots = std::mem::take(&mut call.own_slots);
            add(&mut slots, call);
            call.own_slots = slots;
        }
    }
}
