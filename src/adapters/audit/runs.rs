//! Runs: a list of them, and one page about one of them, put together from the questions that every store answers. No SQL.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::groups::Cut;
use super::query::{MAX_LIMIT, Sum};
use super::sift::Sift;
use super::{AuditError, AuditStore, CallQuery, CallRow};
use crate::rules::books::{Outcome, Verdict};
use crate::rules::subject::Name;
use crate::units::ids::{CallId, KeyId};
use crate::units::time::Timestamp;

/// How long one page may look, and how many calls its timeline shows at most.
const LOOK: Duration = Duration::from_secs(2);
const TIMELINE: usize = 500;

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunLine {
    pub run_id: Name,
    pub tenant: Name,
    pub agents: BTreeSet<Name>,
    pub vendors: BTreeSet<Name>,
    pub first_utc: Timestamp,
    pub last_utc: Timestamp,
    #[serde(flatten)]
    pub sum: Sum,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunList {
    pub runs: Vec<RunLine>,
    /// `before` of the next page, if there may be one.
    pub next: Option<u64>,
}

/// All about one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunPage {
    #[serde(flatten)]
    pub line: RunLine,
    pub keys: BTreeSet<KeyId>,
    pub policies: BTreeSet<Name>,
    pub operations: Vec<OperationLine>,
    /// Why calls were refused, the most frequent first.
    pub refusals: Vec<Refusal>,
    /// Calls that a person was asked about.
    pub approvals: Vec<CallRow>,
    /// What else happened to it: kills, corrections, expiries; each as it stands in the books.
    pub changes: Vec<serde_json::Value>,
    /// There was no time to look for all of them.
    #[serde(default)]
    pub changes_cut: bool,
    /// Oldest first. The last ones, if there are too many.
    pub timeline: Vec<CallRow>,
    /// Older calls are not in `timeline`.
    pub more: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationLine {
    pub vendor: Name,
    pub operation: Name,
    #[serde(flatten)]
    pub sum: Sum,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub reason: String,
    pub count: u64,
}

/// What the groups of a run add up to.
struct Gathered {
    line: RunLine,
    keys: BTreeSet<KeyId>,
    policies: BTreeSet<Name>,
    operations: BTreeMap<(Name, Name), Sum>,
}

/// A page of runs, the latest first. With `since` or `until`, those that had calls then, and those calls alone.
pub fn list(store: &dyn AuditStore, query: &CallQuery) -> Result<RunList, AuditError> {
    let mut runs = Vec::new();
    let (names, end) = (store.runs(query)?, Instant::now() + LOOK);
    let mut next = names.last().filter(|_| names.len() == query.rows()).map(|n| n.place);
    for name in names {
        runs.extend(gather(store, query, &name.tenant, &name.run)?.map(|g| g.line));
        if Instant::now() > end {
            next = Some(name.place);
            break;
        }
    }
    Ok(RunList { runs, next })
}

/// `None` if the books know no such run.
pub fn page(store: &dyn AuditStore, tenant: &str, run: &str) -> Result<Option<RunPage>, AuditError> {
    let Some(found) = gather(store, &CallQuery::default(), tenant, run)? else { return Ok(None) };
    let mut query = of_run(&CallQuery::default(), tenant, run);
    let (mut rows, mut refusals) = (Vec::new(), BTreeMap::new());
    let (mut approvals, end) = (Vec::new(), Instant::now() + LOOK);
    query.limit = Some(MAX_LIMIT);
    loop {
        let page = store.calls(&query)?;
        query.before = page.next;
        for row in page.calls {
            look(&row, &mut refusals, &mut approvals);
            rows.push(row);
        }
        if query.before.is_none() || Instant::now() > end {
            break;
        }
    }
    let more = query.before.is_some() || rows.len() > TIMELINE;
    let (changes, changes_cut) = changes(store, tenant, run, &rows)?;
    rows.truncate(TIMELINE);
    rows.reverse();
    Ok(Some(RunPage {
        line: found.line,
        keys: found.keys,
        policies: found.policies,
        operations: operations(found.operations),
        refusals: most_frequent(refusals),
        approvals,
        changes,
        changes_cut,
        timeline: rows,
        more,
    }))
}

/// `rows` are the calls of the run, newest first. Says whether it was cut.
fn changes(
    store: &dyn AuditStore,
    tenant: &str,
    run: &str,
    rows: &[CallRow],
) -> Result<(Vec<serde_json::Value>, bool), AuditError> {
    let calls: HashSet<CallId> = rows.iter().map(|row| row.call_id).collect();
    let (mut sift, end) = (Sift::new(Vec::new(), of_run(&CallQuery::default(), tenant, run)), Instant::now() + LOOK);
    let (mut from, mut found) = (rows.last().map_or(1, |row| row.seq), Vec::new());
    loop {
        let events = store.changes(from, MAX_LIMIT)?;
        let Some(last) = events.last() else { return Ok((found, false)) };
        if Instant::now() > end {
            return Ok((found, true));
        }
        from = last.seq + 1;
        for event in &events {
            let wanted = match event.call {
                Some(call) => calls.contains(&call),
                None => sift.takes(event, store)?,
            };
            if wanted {
                let body = serde_json::from_str(&event.body);
                found.push(body.map_err(|e| AuditError::Unreadable(format!("event {}: {e}", event.seq)))?);
            }
        }
    }
}

fn of_run(query: &CallQuery, tenant: &str, run: &str) -> CallQuery {
    let (tenant, run) = (Some(tenant.to_owned()), Some(run.to_owned()));
    CallQuery { tenant, run, limit: None, before: None, ..query.clone() }
}

fn gather(store: &dyn AuditStore, query: &CallQuery, tenant: &str, run: &str) -> Result<Option<Gathered>, AuditError> {
    let groups = store.groups(&of_run(query, tenant, run), &Cut::default())?;
    let (Some(first), Some(last)) = (groups.iter().map(|g| g.first).min(), groups.iter().map(|g| g.last).max()) else {
        return Ok(None);
    };
    let mut found = Gathered {
        line: RunLine {
            run_id: run.into(),
            tenant: tenant.into(),
            agents: BTreeSet::new(),
            vendors: BTreeSet::new(),
            first_utc: first,
            last_utc: last,
            sum: Sum::default(),
        },
        keys: BTreeSet::new(),
        policies: BTreeSet::new(),
        operations: BTreeMap::new(),
    };
    for group in groups {
        found.line.sum.add(&group.sum);
        let Some(facts) = group.facts else { continue };
        found.line.agents.extend(facts.subject.agent.clone());
        found.line.vendors.extend(Some(facts.vendor.clone()).filter(|v| !v.is_empty()));
        found.keys.extend(facts.keys.first().cloned());
        found.policies.insert(facts.policy.clone());
        found.operations.entry((facts.vendor.clone(), facts.operation.clone())).or_default().add(&group.sum);
    }
    Ok(Some(found))
}

/// Dearest first.
fn operations(sums: BTreeMap<(Name, Name), Sum>) -> Vec<OperationLine> {
    let line = |((vendor, operation), sum)| OperationLine { vendor, operation, sum };
    let mut lines: Vec<_> = sums.into_iter().map(line).collect();
    lines.sort_by_key(|l| std::cmp::Reverse((l.sum.cost_usd, l.sum.calls)));
    lines
}

fn look(row: &CallRow, refusals: &mut BTreeMap<String, u64>, approvals: &mut Vec<CallRow>) {
    if row.outcome == Some(Outcome::Refused) {
        *refusals.entry(code(row)).or_default() += 1;
    }
    if row.verdict == Verdict::Escalate || row.approved_by.is_some() {
        approvals.push(row.clone());
    }
}

/// The code of a refusal, without the sentence behind it.
pub fn code(row: &CallRow) -> String {
    let reason = row.reason.as_deref().unwrap_or("no reason given");
    reason.split(':').next().unwrap_or(reason).to_owned()
}

pub fn most_frequent(counts: BTreeMap<String, u64>) -> Vec<Refusal> {
    let mut lines: Vec<_> = counts.into_iter().map(|(reason, count)| Refusal { reason, count }).collect();
    lines.sort_by_key(|l| std::cmp::Reverse(l.count));
    lines
}
