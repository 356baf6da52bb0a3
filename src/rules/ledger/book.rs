//! The whole ledger as one pure state machine. A decision (`reserve`, `settle`, ...) reads and answers with what is to be
//! written; `apply` writes it and cannot fail. Replaying the same entries gives the same book. No IO, no clock: it is told
//! the time. `adapters::ledger` drives it.

mod accounts;
mod apply;
mod check;
mod clock;
mod correct;
mod export;
mod fit;
mod holds;
mod invariants;
mod posted;
mod reserve;
mod resize;
mod settle;
mod shapes;
mod sharing;

#[cfg(test)]
pub(crate) mod rig;
#[cfg(test)]
pub(crate) mod simulation;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet, VecDeque};

use serde::{Deserialize, Serialize};

use self::accounts::Accounts;
use self::clock::{Clock, Starts};
use self::holds::{Ended, Memo, Open};
use self::posted::Posted;
use super::account::Shape;
use super::ask::{AccountState, Line, ReplayKey};
use super::entry::{Entry, Op};
use super::rates::Cells;
use crate::rules::subject::Flag;
use crate::units::ids::{CallId, Seq};
use crate::units::table::Table;
use crate::units::time::Timestamp;

pub use self::export::{Counted, HowEnded, Remembered, Shared};
pub use self::shapes::Sums;
pub use self::sharing::{ENDED_LATE, TOLD_BY_REPEAT, ledger_act};

/// Why a hold cannot do what was asked: a bug or a lost store, never money.
pub type Fault = &'static str;

/// What a decision writes, in this order: at most one step of a call that it shares money with, then its own.
pub type Ops = [Option<Op>; 2];

/// Nothing to write.
pub const NO_OPS: Ops = [None, None];

/// Accounts, holds, kill flags and shapes after the entries up to `seq`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Book {
    seq: Seq,
    clock: Clock,
    accounts: Accounts,
    open: Table<CallId, Open>,
    ended: Table<CallId, Ended>,
    /// Ended holds in the order in which they may be forgotten: soon, and a day later.
    soon: VecDeque<(Timestamp, CallId)>,
    later: VecDeque<(Timestamp, CallId)>,
    /// The call that a repeat shares its money with.
    replays: HashMap<ReplayKey, CallId>,
    /// Replay keys whose money is in the books exactly, until they are forgotten.
    #[serde(default)]
    paid: HashMap<ReplayKey, Timestamp>,
    #[serde(default)]
    paid_order: VecDeque<(Timestamp, ReplayKey)>,
    /// The last entry about a hold that is forgotten: nothing after it is.
    forgotten: Seq,
    flags: HashSet<Flag>,
    shapes: Vec<Shape>,
    #[serde(default)]
    rates: Cells,
    /// What was posted last for the same lines, so that calls of one kind share it.
    #[serde(skip)]
    posted: Memo<Posted>,
}

impl Book {
    /// The last entry that was applied.
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// Passes over entries that nobody has any more: the next one is `seq + 1`. A rebuild does this, and says so.
    pub fn pass_over(&mut self, seq: Seq) {
        self.seq = self.seq.max(seq);
    }

    /// The latest time that an entry named. It never goes back.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The entry that would come next, at `at` or the book's own time if that is later.
    pub fn entry(&self, at: Timestamp, op: Op) -> Entry {
        Entry { seq: self.seq + 1, at: at.max(self.now()), op }
    }

    /// The entries that would come next, at `at` or the book's own time if that is later.
    pub fn entries(&self, at: Timestamp, ops: Ops) -> impl Iterator<Item = Entry> {
        let (after, at) = (self.seq, at.max(self.now()));
        (1..).zip(ops.into_iter().flatten()).map(move |(n, op)| Entry { seq: after + n, at, op })
    }

    pub fn flags(&self) -> impl Iterator<Item = &Flag> {
        self.flags.iter()
    }

    pub fn shapes(&self) -> &[Shape] {
        &self.shapes
    }

    /// How many holds are open.
    pub fn open_holds(&self) -> usize {
        self.open.len()
    }

    /// The accounts of a hold, open or ended.
    pub fn postings(&self, hold: CallId) -> Option<&std::sync::Arc<[super::entry::Posting]>> {
        self.open.get(&hold).map(|h| &h.postings).or_else(|| self.ended.get(&hold).map(|h| &h.postings))
    }

    /// The named accounts in their running windows; one that nobody used is all zero.
    pub fn accounts(&self, at: Timestamp, lines: &[Line]) -> Vec<AccountState> {
        let starts = self.starts(at);
        let state = |line: &Line| {
            let start = starts.of(line.window);
            let cell = self.accounts.get(&line.account, start);
            let (account, unit, window) = (line.account.clone(), line.unit, line.window);
            AccountState { account, unit, window, window_start: start, spent: cell.spent, held: cell.held }
        };
        lines.iter().map(state).collect()
    }

    /// A lease that is over charges its hold in full, once somebody calls `expire` with these.
    pub fn due(&self, at: Timestamp) -> Vec<CallId> {
        self.open.iter().filter(|(_, h)| h.lease_until.0 <= at).map(|(id, _)| *id).collect()
    }

    /// The lease begins anew. Not journaled: after a restart nobody lives who could renew.
    pub fn renew(&mut self, at: Timestamp, hold: CallId) -> Result<(), Fault> {
        let open = self.open.get_mut(&hold).ok_or("it is not open")?;
        open.lease_until.0 = open.lease_until.0.max(holds::lease(at.max(self.clock.now())));
        Ok(())
    }

    /// An ended hold that is not due to be forgotten at `at`: the next entry may drop those that are.
    fn past(&self, at: Timestamp, hold: CallId) -> Option<&Ended> {
        self.ended.get(&hold).filter(|e| !e.forgotten(at.max(self.now())))
    }

    fn starts(&self, at: Timestamp) -> Starts {
        self.clock.starts(at)
    }
}
