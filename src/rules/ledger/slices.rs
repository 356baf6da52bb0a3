//! What one node of a fleet may spend alone: slices of accounts that the shared ledger lent it, the calls that it admitted from
//! them, and what of that the ledger has not heard yet. A pure state machine; `size` says how large slices should be,
//! `adapters::ledger::leased` journals, sends and listens.
//!
//! **The invariant.** On the shared account `held` contains every slice, so `spent + held <= limit` there also covers whatever
//! nodes do alone. On a node, for each slice, `used <= lent`, where `used` is what its calls hold or were charged that the ledger
//! has not been told of. Telling moves money from the slice to the charge in one step, and never makes the sum smaller
//! before the charge counts. So at every moment, for every account, what was spent and what may still be spent is covered
//! by `spent + held` there. `model` searches small worlds for a state in which it is not.
//!
//! * A slice was checked against one limit when it was lent. It serves calls whose own limit is that one or a higher one.
//! * Of a call that ends before the ledger hears of it, only the charge leaves the slice; the rest stays in it. Once it was sent
//!   while still open, it is an ordinary hold there: its rest is free on the account, and the slice does not get it back.
//! * Messages of a node are numbered, and the ledger takes none that is not newer than the last. So after any later answer an
//!   earlier message that was not answered has either been done, and the mark says so, or never will be.
//! * A message names what a slice shall be, not by how much it shall change: doing it twice is doing it once.
//! * A node that starts anew knows no slices. It tells what its journal has beyond the mark (counted beside the slices: too much
//!   for a moment, never too little), then gives all its slices back.

pub mod fit;
#[cfg(test)]
mod model;
pub mod size;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::account::AccountName;
use crate::units::ids::{CallId, Seq};
use crate::units::time::Timestamp;

/// One account in one window, under one limit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SliceKey {
    pub account: AccountName,
    pub start: Timestamp,
    pub limit: u64,
}

/// What a call holds, or was charged, of a slice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Part {
    pub slice: SliceKey,
    pub amount: u64,
}

/// What the ledger lent, and what of it is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Slice {
    lent: u64,
    /// Of calls that the ledger has not heard of.
    used: u64,
    /// It is being lowered to this: nothing above may be used any more.
    lowered: Option<u64>,
}

impl Slice {
    fn room(&self) -> u64 {
        self.lowered.map_or(self.lent, |to| to.min(self.lent)).saturating_sub(self.used)
    }
}

/// A call that the ledger has not heard of, or whose end it heard before its turn.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Call {
    begun: Seq,
    /// Held; once it has ended, charged.
    parts: Vec<Part>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    Open,
    Ended(Seq),
    /// Sent as an open hold, not answered yet. It may have ended since.
    Flying,
    /// Told with its end; the end's own place in the journal is still to be passed.
    Told,
}

/// A journal entry that the ledger has not confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Step {
    seq: Seq,
    call: CallId,
    /// Or it is its end.
    begins: bool,
}

/// One thing to tell, by the journal entries that say it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Item {
    /// A call from its beginning to its end. What it was charged leaves the slices.
    Whole { call: CallId, begun: Seq, ended: Seq, takes: Vec<Part> },
    /// A call that goes on: what it holds leaves the slices, and is a hold from now on.
    Open { call: CallId, begun: Seq, takes: Vec<Part> },
    /// The end of a hold that the ledger knows.
    End { call: CallId, ended: Seq },
}

/// The next things to tell.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Batch {
    /// Once this is done, everything up to here is told.
    pub upto: Seq,
    pub items: Vec<Item>,
}

/// One node's side.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Slices {
    slices: BTreeMap<SliceKey, Slice>,
    calls: BTreeMap<CallId, Call>,
    log: VecDeque<Step>,
    /// The ledger has everything up to here.
    mark: Seq,
    flying: Option<Batch>,
}

impl Slices {
    /// A node whose journal the ledger has up to `mark`.
    pub fn begin(mark: Seq) -> Self {
        Self { mark, ..Self::default() }
    }

    pub fn mark(&self) -> Seq {
        self.mark
    }

    /// Is there anything that the ledger has not heard?
    pub fn untold(&self) -> usize {
        self.log.len()
    }

    pub fn keys(&self) -> impl Iterator<Item = &SliceKey> {
        self.slices.keys()
    }

    /// What was lent, and what of it is used.
    pub fn state(&self, key: &SliceKey) -> (u64, u64) {
        self.slices.get(key).map_or((0, 0), |s| (s.lent, s.used))
    }

    /// What is used of it and what still may be. Less than was lent, if it was being lowered: others may have the rest already.
    pub fn usable(&self, key: &SliceKey) -> u64 {
        self.slices.get(key).map_or(0, |s| s.used + s.room())
    }

    pub fn room(&self, key: &SliceKey) -> u64 {
        self.slices.get(key).map_or(0, Slice::room)
    }

    /// The slice with the most room that may serve a call under this limit.
    pub fn serving(&self, wanted: &SliceKey) -> Option<(&SliceKey, u64)> {
        let from = SliceKey { limit: 0, ..wanted.clone() };
        let fit = self.slices.range(from..=wanted.clone());
        fit.map(|(key, slice)| (key, slice.room())).max_by_key(|(_, room)| *room)
    }

    /// Is this an open call that the ledger may not have been told of? Then it ends here, and needs no renewal.
    pub fn knows(&self, call: CallId) -> bool {
        self.calls.get(&call).is_some_and(|c| matches!(c.state, State::Open | State::Flying))
    }

    /// A call begins, with what it holds of slices; nothing, where it was let go without looking. `false`, and nothing
    /// changed, if a slice has no room for its part.
    pub fn admit(&mut self, seq: Seq, call: CallId, parts: Vec<Part>) -> bool {
        if parts.iter().any(|p| self.room(&p.slice) < p.amount) {
            return false;
        }
        for part in &parts {
            if let Some(slice) = self.slices.get_mut(&part.slice) {
                slice.used += part.amount;
            }
        }
        self.calls.insert(call, Call { begun: seq, parts, state: State::Open });
        self.log.push_back(Step { seq, call, begins: true });
        true
    }

    /// A call ends; `charge` says what it cost of an account. Also the end of a hold that the ledger took itself.
    pub fn end(&mut self, seq: Seq, call: CallId, charge: impl Fn(&AccountName) -> u64) {
        self.log.push_back(Step { seq, call, begins: false });
        let Some(open) = self.calls.get_mut(&call).filter(|c| c.state == State::Open) else { return };
        open.state = State::Ended(seq);
        for part in &mut open.parts {
            let charged = charge(&part.slice.account);
            if let Some(slice) = self.slices.get_mut(&part.slice) {
                slice.used = slice.used.saturating_sub(part.amount).saturating_add(charged);
            }
            part.amount = charged;
        }
    }

    /// The calls that a node which starts anew finds begun and not ended.
    pub fn orphans(&self) -> Vec<CallId> {
        self.calls.iter().filter(|(_, c)| c.state == State::Open).map(|(id, _)| *id).collect()
    }

    /// What to tell next, at most so many entries of the journal. One batch at a time: the last one must be answered.
    pub fn batch(&mut self, most: usize) -> Option<Batch> {
        if self.flying.is_some() {
            return None;
        }
        let upto = self.log.iter().take(most).next_back()?.seq;
        let steps: Vec<Step> = self.log.iter().take(most).cloned().collect();
        let items = steps.iter().filter_map(|step| self.item(step)).collect();
        let batch = Batch { upto, items };
        self.flying = Some(batch.clone());
        Some(batch)
    }

    fn item(&mut self, step: &Step) -> Option<Item> {
        let call = step.call;
        match (self.calls.get_mut(&call), step.begins) {
            // Found to be told already.
            (Some(known), true) if known.state == State::Told => None,
            (Some(known), true) => {
                let (begun, takes) = (known.begun, known.parts.clone());
                Some(match known.state {
                    State::Ended(ended) => Item::Whole { call, begun, ended, takes },
                    _ => {
                        known.state = State::Flying;
                        Item::Open { call, begun, takes }
                    }
                })
            }
            // Its beginning is told together with this end, now or before.
            (Some(_), false) => None,
            (None, false) => Some(Item::End { call, ended: step.seq }),
            // Found to be told already, before it ended.
            (None, true) => None,
        }
    }

    /// The ledger answered a later message than the last batch, or that one: everything up to `mark` is told.
    pub fn answered(&mut self, mark: Seq) {
        let Some(batch) = self.flying.take() else { return };
        if mark < batch.upto {
            return self.failed(&batch);
        }
        self.mark = mark;
        for item in &batch.items {
            match item {
                Item::Whole { call, ended, .. } => self.told(*call, *ended > mark),
                Item::Open { call, .. } => self.told(*call, false),
                Item::End { .. } => {}
            }
        }
        while self.log.front().is_some_and(|step| step.seq <= mark) {
            if let Some(step) = self.log.pop_front().filter(|s| !s.begins) {
                let done = |c: &Call| c.state == State::Told;
                if self.calls.get(&step.call).is_some_and(done) {
                    self.calls.remove(&step.call);
                }
            }
        }
    }

    /// The ledger was put back, and its messages are none that it knows: what flew is to be told again, except for what
    /// `found` says of calls. `Some(true)`: beginning and end are there; `Some(false)`: only the beginning.
    pub fn put_back(&mut self, found: impl Fn(CallId) -> Option<bool>) {
        if let Some(batch) = self.flying.take() {
            self.failed(&batch);
        }
        let calls: Vec<CallId> = self.calls.keys().copied().collect();
        for call in calls {
            if let Some(ended) = found(call) {
                let end_follows = ended && self.log.iter().any(|step| step.call == call && !step.begins);
                self.told(call, end_follows);
            }
        }
    }

    /// The calls whose beginning was sent, and of which no answer was heard.
    pub fn flying(&self) -> Vec<CallId> {
        let items = self.flying.iter().flat_map(|batch| &batch.items);
        let begun = |item: &Item| match item {
            Item::Whole { call, .. } | Item::Open { call, .. } => Some(*call),
            Item::End { .. } => None,
        };
        items.filter_map(begun).collect()
    }

    /// What it used is not the slice's any more: the ledger took it out, whether or not its answer said so.
    fn told(&mut self, call: CallId, end_follows: bool) {
        let Some(mut known) = self.calls.remove(&call) else { return };
        for part in &known.parts {
            if let Some(slice) = self.slices.get_mut(&part.slice) {
                slice.used = slice.used.saturating_sub(part.amount);
                slice.lent = slice.lent.saturating_sub(part.amount);
                slice.lowered = slice.lowered.map(|to| to.saturating_sub(part.amount));
            }
        }
        if end_follows {
            (known.state, known.parts) = (State::Told, Vec::new());
            self.calls.insert(call, known);
        }
    }

    /// Nothing of it was done, and never will be. A call that has ended meanwhile still holds all that it held.
    fn failed(&mut self, batch: &Batch) {
        for item in &batch.items {
            let Item::Open { call, .. } = item else { continue };
            let end = self.log.iter().find(|s| s.call == *call && !s.begins).map(|s| s.seq);
            if let Some(known) = self.calls.get_mut(call) {
                known.state = end.map_or(State::Open, State::Ended);
            }
        }
    }

    /// From now on at most so much of it is used here, and at least what is used already. Gives what to ask for.
    pub fn lower(&mut self, key: &SliceKey, to: u64) -> u64 {
        let Some(slice) = self.slices.get_mut(key) else { return 0 };
        let to = to.max(slice.used);
        slice.lowered = Some(slice.lowered.map_or(to, |before| before.min(to).max(slice.used)));
        slice.lowered.unwrap_or(to)
    }

    /// What the ledger says that it lends, in the answer to the latest message. All that is unused may be used.
    pub fn lent(&mut self, key: &SliceKey, amount: u64) {
        let slice = self.slices.entry(key.clone()).or_default();
        (slice.lent, slice.lowered) = (amount, None);
        if slice.lent == 0 && slice.used == 0 {
            self.slices.remove(key);
        }
    }
}
