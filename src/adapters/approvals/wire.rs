//! Approvals as the admin API speaks of them and `--json` prints them. Values alone.

use serde::{Deserialize, Serialize};

use super::Record;
use crate::units::ids::Seq;

pub use super::{Decision, State};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ApprovalList {
    pub approvals: Vec<Record>,
}

/// Which to list.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApprovalQuery {
    /// Also those that are decided.
    pub all: bool,
}

/// One person's word, and what came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Decided {
    pub approval: Record,
    /// The event that says so.
    pub seq: Seq,
}
