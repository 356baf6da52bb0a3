//! One month for an auditor: who could do what, who changed it, who approved, and what was not as usual. Put together from the
//! events alone, so that it says what the books say; `fold` reads the changes, here are the parts and the sums.

mod fold;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use self::fold::Fold;
use super::query::{MAX_LIMIT, SpendLine, Sum};
use super::runs::{Refusal, code, most_frequent};
use super::{AuditError, AuditStore, CallQuery, CallRow, Gap, find};
use crate::rules::books::{Act, Kind, Outcome, Verdict};
use crate::rules::subject::{Name, Subject};
use crate::units::ids::{CallId, Digest32, KeyId, Seq};
use crate::units::money::MicroCents;
use crate::units::time::{Timestamp, Window};

/// Calls that a list names; more are counted.
const NAMED: usize = 200;
/// How long refusals are counted by their reasons.
const LOOK: Duration = Duration::from_secs(20);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub month: String,
    pub from: Timestamp,
    pub until: Timestamp,
    /// The last event of the books when this was made, and the head of their chain there.
    pub books_seq: Seq,
    pub books_head: Digest32,
    pub sums: Sum,
    pub by_agent: Vec<SpendLine>,
    pub by_operation: Vec<SpendLine>,
    /// Keys that were good at any time of the month.
    pub keys: Vec<KeyLine>,
    /// Policies that were in force at the end of the month, or were removed in it.
    pub policies: Vec<PolicyLine>,
    /// What is switched off at the end of the month.
    pub stopped: Vec<String>,
    pub changes: Vec<ChangeLine>,
    /// There were more changes, answers or corrections than a report lists.
    #[serde(default)]
    pub changes_cut: bool,
    /// Events up to this one were given up by retention: keys, policies and switches of before are listed only if later events
    /// name them.
    #[serde(default)]
    pub pruned_to: Seq,
    /// Starts that loaded nothing new.
    pub unchanged_loads: u64,
    pub access: Vec<AccessLine>,
    pub refused_access: Vec<AccessLine>,
    /// Calls that a person was asked about, and what was answered.
    pub approvals: Vec<CallRow>,
    #[serde(default)]
    pub approvals_cut: bool,
    pub answers: Vec<ChangeLine>,
    pub exceptions: Exceptions,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyLine {
    pub key_id: KeyId,
    pub policy_id: Name,
    pub subject: Option<Subject>,
    pub narrower: Option<String>,
    pub parent: Option<KeyId>,
    pub minted_at: Timestamp,
    pub minted_by: Act,
    pub expires_at: Option<Timestamp>,
    /// Revoked, and not restored by the end of the month.
    pub revoked_at: Option<Timestamp>,
    pub revoked_by: Option<Act>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyLine {
    pub policy_id: Name,
    pub hash: Digest32,
    pub loaded_at: Timestamp,
    pub removed_at: Option<Timestamp>,
    /// Its file, one setting or rule a line.
    pub lines: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeLine {
    pub seq: Seq,
    pub at: Timestamp,
    pub kind: Kind,
    pub about: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<CallId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<MicroCents>,
    pub actor: String,
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessLine {
    pub who: String,
    pub from: Option<String>,
    pub times: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exceptions {
    /// Policies that only watch.
    pub observing: Vec<Name>,
    /// Charged with a bound, and not corrected since.
    pub flagged: u64,
    /// Nobody knows whether these reached their vendor's books.
    pub unknown: Named,
    pub expired: Named,
    pub aborted: Named,
    pub corrected: Vec<ChangeLine>,
    /// Why calls were refused.
    pub refusals: Vec<Refusal>,
    /// There were more than could be counted by reason.
    pub refusals_cut: bool,
    pub rebuilt: Vec<ChangeLine>,
    pub gaps: Vec<Gap>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    pub calls: Vec<CallRow>,
    /// There are more than are named.
    pub more: bool,
}

/// The first moment of `2026-10`, and of the month after it.
pub fn month(text: &str) -> Result<(Timestamp, Timestamp), String> {
    let wrong = || format!("`{text}` is no month: write it as `2026-10`");
    let good = text.len() == 7 && text.is_ascii();
    let from: Timestamp =
        good.then(|| format!("{text}-01T00:00:00Z")).and_then(|t| t.parse().ok()).ok_or_else(wrong)?;
    Ok((from, Window::Month.end(from).ok_or_else(wrong)?))
}

/// The report of one month, as far as the books go.
pub fn report(store: &dyn AuditStore, text: &str, from: Timestamp, until: Timestamp) -> Result<Report, AuditError> {
    let (place, all) = (store.place()?, CallQuery { since: Some(from), until: Some(until), ..CallQuery::default() });
    let fold = Fold::read(store, from, until)?;
    let spend = store.spend(&all)?;
    let of = |outcome| named(store, CallQuery { outcome: Some(outcome), ..all.clone() });
    let (refusals, refusals_cut) = refusals(store, &all)?;
    let asked = named(store, CallQuery { verdict: Some(Verdict::Escalate), ..all.clone() })?;
    let observing = |p: &&PolicyLine| p.lines.iter().any(|l| l == "mode = \"observe\"");
    let exceptions = Exceptions {
        observing: fold.policies().filter(observing).map(|p| p.policy_id.clone()).collect(),
        flagged: spend.total.flagged,
        unknown: of(Outcome::Unknown)?,
        expired: of(Outcome::Expired)?,
        aborted: of(Outcome::Aborted)?,
        corrected: fold.of(&[Kind::Adjusted]),
        refusals,
        refusals_cut,
        rebuilt: fold.of(&[Kind::LedgerRebuilt]),
        gaps: store.gaps()?,
    };
    let answers = fold.of(&[Kind::Escalated, Kind::Approved, Kind::Rejected]);
    Ok(Report {
        month: text.to_owned(),
        from,
        until,
        books_seq: place.seq,
        books_head: place.head,
        sums: spend.total,
        by_agent: spend.by_agent,
        by_operation: spend.by_operation,
        keys: fold.keys(),
        policies: fold.policies().cloned().collect(),
        stopped: fold.stopped(),
        changes: fold.changes(),
        changes_cut: fold.cut,
        pruned_to: store.last_checkpoint()?.map_or(0, |last| last.checkpoint.pruned_to),
        unchanged_loads: fold.unchanged,
        access: access(&fold.visits),
        refused_access: access(&fold.knocks),
        approvals: asked.calls,
        approvals_cut: asked.more,
        answers,
        exceptions,
    })
}

fn access(counts: &BTreeMap<(String, Option<String>), u64>) -> Vec<AccessLine> {
    let line = |((who, from), times): (&(String, Option<String>), &u64)| AccessLine {
        who: who.clone(),
        from: from.clone(),
        times: *times,
    };
    counts.iter().map(line).collect()
}

fn named(store: &dyn AuditStore, query: CallQuery) -> Result<Named, AuditError> {
    let page = find::find(store, &CallQuery { limit: Some(NAMED), ..query })?;
    Ok(Named { calls: page.calls, more: page.next.is_some() })
}

fn refusals(store: &dyn AuditStore, all: &CallQuery) -> Result<(Vec<Refusal>, bool), AuditError> {
    let (mut counts, end) = (BTreeMap::new(), Instant::now() + LOOK);
    let mut query = CallQuery { outcome: Some(Outcome::Refused), limit: Some(MAX_LIMIT), ..all.clone() };
    loop {
        let page = store.calls(&query)?;
        for row in &page.calls {
            *counts.entry(code(row)).or_default() += 1;
        }
        query.before = page.next;
        if page.next.is_none() || Instant::now() > end {
            return Ok((most_frequent(counts), page.next.is_some()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_has_two_ends() {
        let (from, until) = month("2026-12").expect("a month");
        assert_eq!(
            (from.to_string(), until.to_string()),
            ("2026-12-01T00:00:00Z".into(), "2027-01-01T00:00:00Z".into())
        );
        for wrong in ["2026", "2026-13", "october", "2026-1", "2026-10-01"] {
            assert!(month(wrong).is_err(), "{wrong}");
        }
    }
}
