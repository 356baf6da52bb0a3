//! What a book remembers, in plain values: for a store that goes on where this book ends. Changes nothing.

use std::sync::Arc;

use super::Book;
use super::holds::{Ended, How, Open, Sharing};
use crate::rules::ledger::account::AccountName;
use crate::rules::ledger::ask::ReplayKey;
use crate::rules::ledger::entry::{Evidence, Posting};
use crate::rules::subject::Facts;
use crate::units::amount::Amounts;
use crate::units::ids::{CallId, Seq};
use crate::units::time::{Timestamp, Window};

/// One hold that is remembered.
#[derive(Clone, Debug, PartialEq)]
pub struct Remembered {
    pub hold: CallId,
    /// What is held, or was when it ended.
    pub amounts: Amounts,
    pub postings: Arc<[Posting]>,
    pub taken: Timestamp,
    pub fitted: Option<u64>,
    /// The last resize, or the last adjust.
    pub step: u32,
    pub facts: Option<Arc<Facts>>,
    pub shared: Option<Shared>,
    pub end: Option<HowEnded>,
}

/// How it stands to others under its replay key.
#[derive(Clone, Debug, PartialEq)]
pub struct Shared {
    pub key: ReplayKey,
    pub first: Option<CallId>,
    pub repeats: Vec<CallId>,
    pub repeated: bool,
    pub heard: Option<Evidence>,
    pub inherited: bool,
}

/// How an ended one ended.
#[derive(Clone, Debug, PartialEq)]
pub struct HowEnded {
    pub how: &'static str,
    pub at: Timestamp,
    pub seq: Seq,
    pub charge: Amounts,
    pub exact: bool,
    /// When it may be forgotten.
    pub until: Timestamp,
    pub changes: Vec<(Seq, Amounts)>,
}

/// One account in one window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    pub account: AccountName,
    pub window: Window,
    pub start: Timestamp,
    pub spent: u64,
    pub held: u64,
    pub open: u32,
}

impl Book {
    /// Every hold that is remembered, in no order.
    pub fn remembered(&self) -> impl Iterator<Item = Remembered> {
        let open = self.open.iter().map(|(id, open)| Remembered::open(*id, open));
        open.chain(self.ended.iter().map(|(id, ended)| Remembered::ended(*id, ended)))
    }

    /// Every account, with its latest window first.
    pub fn counted(&self) -> Vec<Vec<Counted>> {
        self.accounts.windows().collect()
    }

    /// The call that a repeat under each key would share its money with.
    pub fn replays(&self) -> impl Iterator<Item = (ReplayKey, CallId)> {
        self.replays.iter().map(|(key, call)| (*key, *call))
    }

    /// Replay keys whose money is in the books exactly, and until when that matters.
    pub fn paid(&self) -> impl Iterator<Item = (ReplayKey, Timestamp)> {
        self.paid.iter().map(|(key, until)| (*key, *until))
    }

    /// The last entry about a hold that is forgotten.
    pub fn forgotten(&self) -> Seq {
        self.forgotten
    }
}

impl Remembered {
    fn open(hold: CallId, open: &Open) -> Self {
        Self {
            hold,
            amounts: open.amounts,
            postings: open.postings.clone(),
            taken: open.taken,
            fitted: open.fitted,
            step: open.step,
            facts: open.facts.clone(),
            shared: open.sharing.as_deref().map(Shared::from),
            end: None,
        }
    }

    fn ended(hold: CallId, ended: &Ended) -> Self {
        let end = HowEnded {
            how: ended.how.as_str(),
            at: ended.at,
            seq: ended.seq,
            charge: ended.charge,
            exact: ended.exact,
            until: ended.forget_at(),
            changes: ended.changes.clone(),
        };
        Self {
            hold,
            amounts: ended.bound,
            postings: ended.postings.clone(),
            taken: ended.taken,
            fitted: ended.fitted,
            step: ended.step,
            facts: ended.facts.clone(),
            shared: ended.sharing.as_deref().map(Shared::from),
            end: Some(end),
        }
    }
}

impl From<&Sharing> for Shared {
    fn from(s: &Sharing) -> Self {
        Self {
            key: s.key,
            first: s.first,
            repeats: s.repeats.clone(),
            repeated: s.repeated,
            heard: s.heard,
            inherited: s.inherited,
        }
    }
}

impl How {
    fn as_str(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Late => "late",
        }
    }
}
