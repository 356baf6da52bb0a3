//! The journal's entries: what happened to the ledger, with its row, in one value. Replaying all entries gives the book
//! again. Does not write anything: `adapters::ledger::journal` does, and `adapters::audit` projects them.

mod line;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use self::line::Memo;
use super::account::{AccountName, Shape};
use super::ask::ReplayKey;
use super::rates::Moves;
use crate::rules::books::{Act, Closing, Control, Kind, Opening};
use crate::rules::subject::{Facts, Flag};
use crate::units::amount::{Amounts, Unit};
use crate::units::ids::{CallId, Seq};
use crate::units::time::{Timestamp, Window};

/// One step of the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub seq: Seq,
    pub at: Timestamp,
    #[serde(flatten)]
    pub op: Op,
}

/// One account of a hold, in the window where it was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posting {
    pub account: AccountName,
    pub unit: Unit,
    pub window: Window,
    pub start: Timestamp,
}

/// Short in the journal, where several stand in every reserve: `["agent:default/a usd day","usd","day",1767225600000000]`.
impl Serialize for Posting {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        (&self.account, self.unit, self.window, self.start.0).serialize(s)
    }
}

impl<'de> Deserialize<'de> for Posting {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let (account, unit, window, start) = Deserialize::deserialize(d)?;
        Ok(Self { account, unit, window, start: Timestamp(start) })
    }
}

/// What one of several calls under one replay key said of the money that they share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// `usd` and `tokens` alone: calls and risk are each call's own.
    pub money: Amounts,
    /// Otherwise the money is a bound.
    pub exact: bool,
}

/// An ended hold that the ledger has forgotten: what it was charged, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    pub charge: Amounts,
    pub postings: Arc<[Posting]>,
    pub taken: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<Arc<Facts>>,
}

/// What was done, and the row that says so. It names results, not requests, so that replaying decides nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Op {
    /// A repeat (`row.repeats`) holds calls and risk alone.
    Reserve {
        amounts: Amounts,
        postings: Arc<[Posting]>,
        lease_until: Timestamp,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fitted: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replay: Option<ReplayKey>,
        /// Where the cells of its rates stand from now on.
        #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
        moved: Moves,
        row: Box<Opening>,
    },
    /// The held amounts from now on.
    Resize { hold: CallId, step: u32, amounts: Amounts },
    /// What a repeat of this open call said of the money that they share.
    Hear { hold: CallId, evidence: Evidence },
    Commit {
        hold: CallId,
        charge: Amounts,
        exact: bool,
        /// The open repeat that the money went over to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        passed: Option<CallId>,
        row: Box<Closing>,
    },
    Release {
        hold: CallId,
        /// What a repeat had spent by then; it stays charged here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kept: Option<Evidence>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        passed: Option<CallId>,
        row: Box<Closing>,
    },
    /// Charged in full and flagged: nobody ended it in time. `exact` only if a repeat said what it cost.
    Expire {
        hold: CallId,
        charge: Amounts,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        exact: bool,
    },
    /// The charge of an ended hold from now on.
    Adjust {
        hold: CallId,
        step: u32,
        charge: Amounts,
        exact: bool,
        /// What a repeat said, if that is why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        heard: Option<Evidence>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        passed: Option<CallId>,
        /// The call's own row, if it ended only after its hold had expired.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        row: Option<Box<Closing>>,
        /// What the ledger no longer remembers of it, from the books.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        past: Option<Box<Past>>,
        act: Act,
    },
    /// A refused call.
    Deny { row: Box<Opening> },
    /// Something an operator did; kill flags among them.
    Control { control: Control },
    /// A new shape and what the books say was spent in its running windows.
    Declare { shape: Shape, opening: Vec<(AccountName, Timestamp, u64)> },
    /// A shape that no policy declares any more.
    Undeclare { shape: Shape },
}

impl Op {
    /// The kind of its event; `None` for steps that concern the ledger alone.
    pub fn kind(&self) -> Option<Kind> {
        match self {
            Self::Reserve { .. } => Some(Kind::Admitted),
            Self::Commit { .. } | Self::Release { .. } => Some(Kind::Settled),
            Self::Expire { .. } => Some(Kind::Expired),
            Self::Adjust { .. } => Some(Kind::Adjusted),
            Self::Deny { .. } => Some(Kind::Denied),
            Self::Control { control } => Some(control.kind()),
            Self::Resize { .. } | Self::Hear { .. } | Self::Declare { .. } | Self::Undeclare { .. } => None,
        }
    }

    /// The call that it is about.
    pub fn call(&self) -> Option<CallId> {
        match self {
            Self::Reserve { row, .. } | Self::Deny { row } => Some(row.call),
            Self::Commit { hold, .. } | Self::Release { hold, .. } | Self::Expire { hold, .. } => Some(*hold),
            Self::Resize { hold, .. } | Self::Hear { hold, .. } | Self::Adjust { hold, .. } => Some(*hold),
            Self::Control { .. } | Self::Declare { .. } | Self::Undeclare { .. } => None,
        }
    }

    /// The flag that this sets (`true`) or clears.
    pub fn flag(&self) -> Option<(&Flag, bool)> {
        match self {
            Self::Control { control: Control::Stopped { flag, .. } } => Some((flag, true)),
            Self::Control { control: Control::Restored { flag, .. } } => Some((flag, false)),
            _ => None,
        }
    }
}
