//! What the book remembers of a hold: while it is open, and for a while after it ended.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::rules::ledger::ask::{LEASE_SECS, Line, ReplayKey, Short};
use crate::rules::ledger::entry::{Evidence, Posting};
use crate::rules::subject::Facts;
use crate::units::amount::Amounts;
use crate::units::ids::{CallId, Seq};
use crate::units::time::Timestamp;

/// A hold whose charge is exact, and that nobody shares, is remembered so long: it answers a repeated settle, and covers for a
/// new shape what the audit store has not seen yet. A busy minute has many, so not longer than that needs.
pub(super) const KEEP_EXACT_SECS: i64 = 4;
/// Any other is remembered for a day: its charge may be replaced, and a repeat may share it.
pub(super) const KEEP_BOUND_SECS: i64 = 24 * 3600;

pub(super) fn lease(at: Timestamp) -> Timestamp {
    at.plus_secs(LEASE_SECS)
}

/// Never journaled and never compared: it lives in this process alone, and nothing that is replayed depends on it.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Memo<T>(pub T);

impl<T> PartialEq for Memo<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// A hold that is not ended yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Open {
    pub amounts: Amounts,
    pub postings: Arc<[Posting]>,
    pub taken: Timestamp,
    /// Renewals are not journaled.
    pub lease_until: Memo<Timestamp>,
    pub fitted: Option<u64>,
    /// The last resize.
    pub step: u32,
    pub facts: Option<Arc<Facts>>,
    pub sharing: Option<Box<Sharing>>,
    /// For an up-size, and for the same reserve asked twice.
    #[serde(skip)]
    pub asked: Memo<Option<Asked>>,
}

/// What the reserve said, as far as it is needed again.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub lines: Arc<[Line]>,
    pub would_refuse: Option<Box<Short>>,
}

/// How a call stands to others under the same replay key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Sharing {
    pub key: ReplayKey,
    /// The call that bears the money; `None` for that call itself.
    pub first: Option<CallId>,
    /// Open repeats of this call, in their order.
    pub repeats: Vec<CallId>,
    /// There were repeats, so that more may be said of the money later.
    pub repeated: bool,
    /// What repeats said of the money.
    pub heard: Option<Evidence>,
    /// The money came from a call that was released, so the caller does not know of it.
    pub inherited: bool,
}

/// A hold that is ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Ended {
    pub how: How,
    /// When it or a repeat of it ended, or its charge was replaced.
    pub at: Timestamp,
    pub seq: Seq,
    pub taken: Timestamp,
    pub charge: Amounts,
    pub exact: bool,
    /// What was held when it ended.
    pub bound: Amounts,
    pub postings: Arc<[Posting]>,
    pub fitted: Option<u64>,
    /// The last adjust.
    pub step: u32,
    pub facts: Option<Arc<Facts>>,
    pub sharing: Option<Box<Sharing>>,
    /// Each later change: the entry, and the charge before it.
    pub changes: Vec<(Seq, Amounts)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum How {
    Committed,
    Released,
    Expired,
    /// Expired first; then the call ended after all.
    Late,
}

impl Open {
    /// The call whose money this one shares.
    pub(super) fn first(&self) -> Option<CallId> {
        self.sharing.as_ref().and_then(|s| s.first)
    }

    pub(super) fn end(self, how: How, at: Timestamp, seq: Seq, charge: Amounts, exact: bool) -> Ended {
        Ended {
            how,
            at,
            seq,
            taken: self.taken,
            charge,
            exact,
            bound: self.amounts,
            postings: self.postings,
            fitted: self.fitted,
            step: 0,
            facts: self.facts,
            sharing: self.sharing,
            changes: Vec::new(),
        }
    }
}

impl Ended {
    pub(super) fn first(&self) -> Option<CallId> {
        self.sharing.as_ref().and_then(|s| s.first)
    }

    /// When it may be forgotten. One that was put right stays: whoever puts it right again may not know of it yet.
    pub(super) fn forget_at(&self) -> Timestamp {
        let last_word = self.exact && self.step == 0 && self.sharing.as_ref().is_none_or(|s| !s.repeated);
        self.at.plus_secs(if last_word { KEEP_EXACT_SECS } else { KEEP_BOUND_SECS })
    }

    /// Nobody can ask for it any more. While a repeat is open, its money stands here.
    pub(super) fn forgotten(&self, at: Timestamp) -> bool {
        self.forget_at() <= at && self.sharing.as_ref().is_none_or(|s| s.repeats.is_empty())
    }

    /// The last entry that set the charge.
    pub(super) fn last_seq(&self) -> Seq {
        self.changes.last().map_or(self.seq, |(seq, _)| *seq)
    }

    /// What was charged after the entry `seq`.
    pub(super) fn charge_at(&self, seq: Seq) -> Amounts {
        if self.seq > seq {
            return Amounts::ZERO;
        }
        self.changes.iter().find(|(s, _)| *s > seq).map_or(self.charge, |(_, before)| *before)
    }
}
