//! What is asked of the books and what they answer: filters, pages, and sums by dimension. No SQL.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::CallRow;
use super::condition::Conditions;
use crate::rules::books::{Outcome, Verdict};
use crate::rules::subject::{Facts, Name};
use crate::units::ids::{CallId, Seq};
use crate::units::money::MicroCents;
use crate::units::time::Timestamp;

/// Rows of one page unless asked otherwise, and at most.
pub const USUAL_LIMIT: usize = 100;
pub const MAX_LIMIT: usize = 1000;

/// Which calls. Everything that is set must match; the default matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CallQuery {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The key itself; calls of keys minted from it are not meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// Method and template: `POST /v1/refunds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// This call alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<CallId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Those to look at, or those not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flagged: Option<bool>,
    /// From here on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Before this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// On any column. No store filters by it: `find` does.
    #[serde(rename = "where", skip_serializing_if = "Conditions::is_empty")]
    pub wheres: Conditions,
    /// Pseudonyms in the place of all that names somebody. No store knows of it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pseudonyms: bool,
    /// Sums alone: the dimensions to cut by, with a comma between.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// The `next` of the page before: only rows older than that one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Seq>,
}

impl CallQuery {
    /// The filters on who and where, by the column that holds each.
    pub(super) fn names(&self) -> Vec<(&'static str, &str)> {
        let all = [
            ("agent", &self.agent),
            ("run", &self.run),
            ("tenant", &self.tenant),
            ("key", &self.key),
            ("policy", &self.policy),
            ("vendor", &self.vendor),
            ("operation", &self.operation),
        ];
        all.into_iter().filter_map(|(column, value)| Some((column, value.as_deref()?))).collect()
    }

    /// Is something asked for that few rows have, and that stores have an index of?
    pub(super) fn is_rare(&self) -> bool {
        self.flagged == Some(true)
            || self.verdict.is_some_and(|v| v != Verdict::Allow)
            || self.outcome.is_some_and(|o| o != Outcome::Ok)
    }

    pub(super) fn rows(&self) -> usize {
        self.limit.unwrap_or(USUAL_LIMIT).clamp(1, MAX_LIMIT)
    }
}

/// A run, and where it stands among all: the later it said something new, the higher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunName {
    pub tenant: Name,
    pub run: Name,
    pub place: u64,
}

/// Rows, newest first, and where the next page begins if there may be one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallPage {
    pub calls: Vec<CallRow>,
    pub next: Option<Seq>,
}

/// Sums over some calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// Admitted.
    pub calls: u64,
    pub refused: u64,
    /// Admitted and not ended yet; their cost is not in `cost_usd`.
    pub open: u64,
    /// A person should look: the charge is a bound, not what the vendor said.
    pub flagged: u64,
    pub cost_usd: MicroCents,
    pub tokens: u64,
}

impl Sum {
    pub fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.refused += other.refused;
        self.open += other.open;
        self.flagged += other.flagged;
        self.cost_usd = self.cost_usd.saturating_add(other.cost_usd);
        self.tokens = self.tokens.saturating_add(other.tokens);
    }
}

/// One line of a summary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpendLine {
    pub name: String,
    #[serde(flatten)]
    pub sum: Sum,
}

/// What was spent: in all, and by each dimension, dearest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spend {
    #[serde(flatten)]
    pub total: Sum,
    pub by_operation: Vec<SpendLine>,
    pub by_agent: Vec<SpendLine>,
    pub by_run: Vec<SpendLine>,
    pub by_vendor: Vec<SpendLine>,
}

/// Lines of one dimension that are listed; the rest is one line called `(others)`.
const LINES: usize = 50;

impl Spend {
    /// Folds sums per group of facts. `None` is a caller that is not known.
    pub(super) fn fold(groups: &[(Option<Facts>, Sum)]) -> Self {
        let by = |name: fn(&Facts) -> Option<String>| lines(groups, name);
        let mut total = Sum::default();
        groups.iter().for_each(|(_, sum)| total.add(sum));
        Self {
            total,
            // What was refused at the door has neither; it is in the total.
            by_operation: by(|f| (!f.operation.is_empty()).then(|| format!("{} {}", f.vendor, f.operation))),
            by_agent: by(|f| f.subject.agent.as_ref().map(|a| in_tenant(f, a))),
            by_run: by(|f| f.subject.run.as_ref().map(|r| in_tenant(f, r))),
            by_vendor: by(|f| (!f.vendor.is_empty()).then(|| f.vendor.to_string())),
        }
    }
}

/// The tenant stands before the name only where it is not the usual one.
pub(super) fn in_tenant(facts: &Facts, name: &str) -> String {
    match &*facts.subject.tenant {
        crate::rules::subject::DEFAULT_TENANT => name.to_owned(),
        tenant => format!("{tenant}/{name}"),
    }
}

fn lines(groups: &[(Option<Facts>, Sum)], name: fn(&Facts) -> Option<String>) -> Vec<SpendLine> {
    let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
    for (facts, sum) in groups {
        if let Some(name) = facts.as_ref().and_then(name) {
            sums.entry(name).or_default().add(sum);
        }
    }
    let mut lines: Vec<_> = sums.into_iter().map(|(name, sum)| SpendLine { name, sum }).collect();
    lines.sort_by_key(|l| std::cmp::Reverse((l.sum.cost_usd, l.sum.calls)));
    if lines.len() > LINES {
        let rest = lines.split_off(LINES - 1);
        let mut others = Sum::default();
        rest.iter().for_each(|l| others.add(&l.sum));
        lines.push(SpendLine { name: "(others)".to_owned(), sum: others });
    }
    lines
}
