//! One row per call, as every command prints it: the field names of the books, amounts as decimal strings in USD, times in
//! RFC 3339. Made from the call's own events; the charge comes from the store, which follows adjustments.

use serde::{Deserialize, Serialize};

use crate::rules::books::{Basis, Closing, CostSource, Opening, Outcome, Tier, Verdict};
use crate::rules::ledger::entry::{Entry, Op};
use crate::rules::subject::{Name, Subject};
use crate::units::ids::{CallId, Digest32, KeyId, Seq};
use crate::units::money::MicroCents;
use crate::units::time::Timestamp;

/// The columns, in their order.
pub const COLUMNS: [&str; 36] = [
    "seq",
    "call_id",
    "run_id",
    "agent_id",
    "subject",
    "key_id",
    "policy_id",
    "policy_hash",
    "timestamp_utc",
    "vendor",
    "endpoint",
    "method",
    "path",
    "action",
    "tier",
    "verdict",
    "enforced",
    "reason",
    "http_status",
    "vendor_request_id",
    "estimate_usd",
    "cost_usd",
    "cost_source",
    "tokens_in",
    "tokens_out",
    "tokens_cached",
    "tokens_reasoning",
    "outcome",
    "approved_by",
    "latency_ms",
    "overhead_us",
    "request_hash",
    "trace_id",
    "error",
    "flagged",
    "priced",
];

/// One call. Every field is always there; what is not known is null.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRow {
    pub seq: Seq,
    pub call_id: CallId,
    pub run_id: Option<Name>,
    pub agent_id: Option<Name>,
    pub subject: Option<Subject>,
    pub key_id: Option<KeyId>,
    pub policy_id: Option<Name>,
    pub policy_hash: Option<Digest32>,
    pub timestamp_utc: Timestamp,
    pub vendor: Option<Name>,
    pub endpoint: Option<Name>,
    pub method: Name,
    pub path: Name,
    pub action: Option<Name>,
    pub tier: Option<Tier>,
    pub verdict: Verdict,
    pub enforced: bool,
    pub reason: Option<String>,
    pub http_status: Option<u16>,
    pub vendor_request_id: Option<String>,
    pub estimate_usd: MicroCents,
    /// Null while the call is open.
    pub cost_usd: Option<MicroCents>,
    pub cost_source: Option<CostSource>,
    pub tokens_in: Option<u64>,
    pub tokens_out: Option<u64>,
    pub tokens_cached: Option<u64>,
    pub tokens_reasoning: Option<u64>,
    pub outcome: Option<Outcome>,
    pub approved_by: Option<String>,
    pub latency_ms: Option<u64>,
    pub overhead_us: Option<u64>,
    pub request_hash: Option<Digest32>,
    pub trace_id: Option<String>,
    pub error: Option<String>,
    /// A person should look: the charge is a bound, not what the vendor said.
    pub flagged: bool,
    /// What the cost was computed from: the price book, the row of it, and what was counted.
    pub priced: Option<Box<Basis>>,
}

impl CallRow {
    /// The row as its first event opened it; `None` if that event opens none.
    pub(super) fn opened(entry: Entry) -> Option<Self> {
        match entry.op {
            Op::Reserve { row, .. } => Some(Self::from_opening(entry.seq, entry.at, *row)),
            Op::Deny { row } => {
                let mut row = Self::from_opening(entry.seq, entry.at, *row);
                row.outcome = Some(Outcome::Refused);
                row.cost_usd = Some(MicroCents::ZERO);
                row.cost_source = Some(CostSource::Zero);
                Some(row)
            }
            _ => None,
        }
    }

    fn from_opening(seq: Seq, at: Timestamp, o: Opening) -> Self {
        let facts = o.facts;
        let known = facts.as_ref();
        Self {
            seq,
            call_id: o.call,
            run_id: known.and_then(|f| f.subject.run.clone()),
            agent_id: known.and_then(|f| f.subject.agent.clone()),
            key_id: known.and_then(|f| f.keys.first().cloned()),
            policy_id: known.map(|f| f.policy.clone()),
            vendor: known.map(|f| f.vendor.clone()),
            subject: facts.map(|f| f.subject.clone()),
            policy_hash: o.policy_hash,
            timestamp_utc: at,
            endpoint: o.endpoint,
            method: o.method,
            path: o.path,
            action: o.action,
            tier: o.tier,
            verdict: o.verdict,
            enforced: o.enforced,
            reason: o.reason,
            http_status: o.http_status,
            vendor_request_id: None,
            estimate_usd: o.estimate.usd,
            cost_usd: None,
            cost_source: None,
            tokens_in: None,
            tokens_out: None,
            tokens_cached: None,
            tokens_reasoning: None,
            outcome: None,
            approved_by: o.approved_by.map(String::from),
            latency_ms: None,
            overhead_us: None,
            request_hash: o.request_hash,
            trace_id: o.trace_id,
            error: None,
            flagged: false,
            priced: None,
        }
    }

    /// Adds what a later event of the same call says.
    pub(super) fn add(&mut self, op: Op) {
        match op {
            Op::Commit { charge, row, .. } => self.close(*row, charge.usd),
            Op::Release { row, .. } => self.close(*row, MicroCents::ZERO),
            Op::Expire { charge, .. } => self.expire(charge.usd),
            Op::Adjust { charge, row: Some(row), .. } => self.close(*row, charge.usd),
            Op::Adjust { charge, exact, act, .. } => {
                self.flagged = !exact;
                self.cost_usd = Some(charge.usd);
                self.error = Some(adjusted(&act.actor, act.reason.as_deref()));
            }
            _ => {}
        }
    }

    fn close(&mut self, c: Closing, charged: MicroCents) {
        self.outcome = Some(c.outcome);
        self.cost_usd = Some(charged);
        self.cost_source = Some(c.cost_source);
        self.tokens_in = c.tokens.map(|t| t.input);
        self.tokens_out = c.tokens.map(|t| t.output);
        self.tokens_cached = c.tokens.map(|t| t.cached);
        self.tokens_reasoning = c.tokens.map(|t| t.reasoning);
        self.http_status = c.http_status;
        self.vendor_request_id = c.vendor_request_id;
        self.latency_ms = Some(c.latency_ms);
        self.overhead_us = Some(c.overhead_us);
        self.error = c.error;
        self.flagged = c.flagged;
        self.priced = c.priced;
    }

    fn expire(&mut self, charged: MicroCents) {
        self.outcome = Some(Outcome::Expired);
        self.cost_usd = Some(charged);
        self.cost_source = Some(CostSource::Estimated);
        self.flagged = true;
        self.error = Some("nobody ended this call in time; its bound was charged in full".to_owned());
    }
}

/// How the sentence of a correction begins.
const ADJUSTED: &str = "adjusted by ";

impl CallRow {
    /// Did a person say what it cost?
    pub fn is_adjusted(&self) -> bool {
        self.error.as_ref().is_some_and(|error| error.starts_with(ADJUSTED))
    }
}

fn adjusted(actor: &str, reason: Option<&str>) -> String {
    format!("{ADJUSTED}{actor}: {}", reason.unwrap_or("no reason given"))
}
