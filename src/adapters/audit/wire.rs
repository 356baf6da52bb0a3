//! Corrections, checks, runs and reports as the admin API is asked for them and answers. Values alone: `control` answers with
//! them, and the command line reads them.

use serde::{Deserialize, Serialize};

use super::Gap;
use super::history::Cause;
use crate::rules::ledger::ask::Checked;
use crate::units::ids::{CallId, Seq};
use crate::units::money::MicroCents;

/// What a call really cost, by a person's word.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdjustRequest {
    pub call_id: CallId,
    pub cost_usd: MicroCents,
    /// As they were, if unsaid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    pub reason: String,
    /// It was adjusted before, and that is known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Adjusted {
    pub call_id: CallId,
    /// The event that says so.
    pub seq: Seq,
    pub was_usd: MicroCents,
    pub cost_usd: MicroCents,
    /// What was held before it left.
    pub estimate_usd: MicroCents,
}

/// The ledger beside the books.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CheckView {
    /// Nothing differs.
    pub whole: bool,
    #[serde(flatten)]
    pub checked: Checked,
    /// The calls behind the differences.
    pub causes: Vec<Cause>,
    /// Not all calls of the windows that differ were looked at: there was no time, or there are too many causes.
    #[serde(default)]
    pub causes_cut: bool,
    /// Stretches of events that the books never got.
    pub gaps: Vec<Gap>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunAsked {
    pub run: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportAsked {
    /// `2026-10`
    pub month: String,
}
