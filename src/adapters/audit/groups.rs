//! Sums by any dimension: who, where, when, and free tags. A store gives sums per group of facts and stretch of time; here
//! they become the lines that were asked for. No SQL.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::query::{Sum, in_tenant};
use super::{AuditError, AuditStore, CallPage, CallQuery, CallRow, Spend};
use crate::rules::books::Outcome;
use crate::rules::subject::{Facts, Name, Subject};
use crate::units::money::MicroCents;
use crate::units::time::{Timestamp, Window};

/// What sums can be cut by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dimension {
    Fact(Fact),
    Time(Window),
    /// A free dimension of the subject: `tag.ticket`.
    Tag(Name),
}

/// What stands in the facts of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    Tenant,
    Workspace,
    App,
    Workflow,
    Agent,
    Toolset,
    Run,
    Key,
    Policy,
    Vendor,
    Operation,
}

const FACTS: [(&str, Fact); 11] = [
    ("tenant", Fact::Tenant),
    ("workspace", Fact::Workspace),
    ("app", Fact::App),
    ("workflow", Fact::Workflow),
    ("agent", Fact::Agent),
    ("toolset", Fact::Toolset),
    ("run", Fact::Run),
    ("key", Fact::Key),
    ("policy", Fact::Policy),
    ("vendor", Fact::Vendor),
    ("operation", Fact::Operation),
];
const TIMES: [Window; 3] = [Window::Hour, Window::Day, Window::Month];

impl FromStr for Dimension {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(tag) = text.strip_prefix("tag.").filter(|t| !t.is_empty() && !t.contains(['"', '\\'])) {
            return Ok(Self::Tag(tag.into()));
        }
        let fact = FACTS.iter().find(|(name, _)| *name == text).map(|(_, fact)| Self::Fact(*fact));
        let time = || TIMES.iter().find(|w| w.as_str() == text).map(|w| Self::Time(*w));
        fact.or_else(time).ok_or_else(|| {
            let names: Vec<_> = FACTS.iter().map(|(name, _)| *name).collect();
            format!("`{text}` is no dimension: there are {}, hour, day, month, and `tag.NAME`", names.join(", "))
        })
    }
}

impl std::fmt::Display for Dimension {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fact(fact) => f.write_str(FACTS.iter().find(|(_, is)| is == fact).map_or("", |(name, _)| name)),
            Self::Time(window) => f.write_str(window.as_str()),
            Self::Tag(name) => write!(f, "tag.{name}"),
        }
    }
}

impl Fact {
    /// `None` if the call has none: a level that is not set, or a refusal at the door.
    fn of(self, facts: &Facts) -> Option<String> {
        let s = &facts.subject;
        let named = |name: &Option<Name>| name.as_ref().map(|n| in_tenant(facts, n));
        let value = match self {
            Self::Tenant => Some(s.tenant.to_string()),
            Self::Workspace => named(&s.workspace),
            Self::App => named(&s.app),
            Self::Workflow => named(&s.workflow),
            Self::Agent => named(&s.agent),
            Self::Toolset => named(&s.toolset),
            Self::Run => named(&s.run),
            Self::Key => facts.keys.first().map(ToString::to_string),
            Self::Policy => Some(facts.policy.to_string()),
            Self::Vendor => Some(facts.vendor.to_string()),
            Self::Operation => Some(facts.operation.to_string()),
        };
        value.filter(|v| !v.trim().is_empty())
    }
}

/// How finely a store cuts its sums, beside the facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    pub every: Option<Window>,
    pub tags: Vec<Name>,
}

/// Sums over the calls of one group. `None` is a caller who is not known. A store may give several of the same group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub facts: Option<Arc<Facts>>,
    /// When its stretch of time began; the first moment without one.
    pub at: Timestamp,
    pub tags: Vec<Option<String>>,
    pub sum: Sum,
    /// Its first and last call.
    pub first: Timestamp,
    pub last: Timestamp,
}

/// What a store gives that has no better way: every row that matches, one after the other.
pub(super) fn walk(
    mut calls: impl FnMut(&CallQuery) -> Result<CallPage, AuditError>,
    query: &CallQuery,
    cut: &Cut,
) -> Result<Vec<Group>, AuditError> {
    let mut groups: HashMap<Cell, Group> = HashMap::new();
    let mut page = CallQuery { limit: Some(super::query::MAX_LIMIT), before: None, ..query.clone() };
    loop {
        let CallPage { calls, next } = calls(&page)?;
        for row in calls.iter().filter(|row| query.takes(row)) {
            let at = cut.every.map_or(Timestamp::default(), |w| w.start(row.timestamp_utc));
            let tag = |name: &Name| row.subject.as_ref()?.dimensions.get(name).map(ToString::to_string);
            let tags: Vec<_> = cut.tags.iter().map(tag).collect();
            let facts = facts_of(row);
            let group = groups.entry((facts.clone(), at, tags.clone())).or_insert_with(|| Group {
                facts: facts.map(Arc::new),
                at,
                tags,
                sum: Sum::default(),
                first: row.timestamp_utc,
                last: row.timestamp_utc,
            });
            group.sum.add(&sum_of(row));
            group.first = group.first.min(row.timestamp_utc);
        }
        page.before = next;
        if next.is_none() {
            return Ok(groups.into_values().collect());
        }
    }
}

fn facts_of(row: &CallRow) -> Option<Facts> {
    let subject = Subject { dimensions: BTreeMap::new(), ..row.subject.clone()? };
    let template = row.endpoint.as_ref().map(ToString::to_string);
    let operation = match template {
        Some(template) if template.contains(' ') => template,
        Some(template) => format!("{} {template}", row.method),
        None => format!("{} {}", row.method, row.path),
    };
    Some(Facts {
        subject,
        keys: row.key_id.iter().cloned().collect(),
        policy: row.policy_id.clone().unwrap_or_default(),
        vendor: row.vendor.clone().unwrap_or_default(),
        operation: operation.into(),
        claimed_run: false,
    })
}

fn sum_of(row: &CallRow) -> Sum {
    // A call that was refused at admission has no closing row, so no latency.
    let refused = row.outcome == Some(Outcome::Refused) && row.latency_ms.is_none();
    Sum {
        calls: u64::from(!refused),
        refused: u64::from(refused),
        open: u64::from(row.outcome.is_none()),
        flagged: u64::from(row.flagged),
        cost_usd: row.cost_usd.unwrap_or(MicroCents::ZERO),
        tokens: row.tokens_in.unwrap_or(0).saturating_add(row.tokens_out.unwrap_or(0)),
    }
}

/// Groups of what matches, by the store's own way if it knows all filters.
pub fn groups(store: &dyn AuditStore, query: &CallQuery, cut: &Cut) -> Result<Vec<Group>, AuditError> {
    if query.has_more() { walk(|q| store.calls(q), query, cut) } else { store.groups(query, cut) }
}

/// The usual summary.
pub fn spend(store: &dyn AuditStore, query: &CallQuery) -> Result<Spend, AuditError> {
    if !query.has_more() {
        return store.spend(query);
    }
    let groups = groups(store, query, &Cut::default())?;
    Ok(Spend::fold(&groups.into_iter().map(|g| (g.facts.map(Arc::unwrap_or_clone), g.sum)).collect::<Vec<_>>()))
}

/// Sums by chosen dimensions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpendBy {
    #[serde(flatten)]
    pub total: Sum,
    pub by: Vec<String>,
    /// By time if a time is among the dimensions, else the dearest first.
    pub lines: Vec<ByLine>,
    /// What the lines leave out.
    pub others: Option<Sum>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByLine {
    /// Null where a call has no such thing.
    pub group: BTreeMap<String, Option<String>>,
    #[serde(flatten)]
    pub sum: Sum,
}

/// Lines of one answer.
const LINES: usize = 10_000;

pub fn spend_by(store: &dyn AuditStore, query: &CallQuery, by: &[Dimension]) -> Result<SpendBy, AuditError> {
    let windows = by.iter().filter_map(|d| if let Dimension::Time(w) = d { Some(*w) } else { None });
    let tags = by.iter().filter_map(|d| if let Dimension::Tag(name) = d { Some(name.clone()) } else { None });
    let cut = Cut { every: windows.min(), tags: tags.collect() };
    let mut total = Sum::default();
    let mut sums: HashMap<Vec<Option<String>>, Sum> = HashMap::new();
    for group in groups(store, query, &cut)? {
        total.add(&group.sum);
        sums.entry(values(by, &cut, &group)).or_default().add(&group.sum);
    }
    let mut lines: Vec<_> = sums.into_iter().collect();
    let times: Vec<usize> = (0..by.len()).filter(|i| matches!(by[*i], Dimension::Time(_))).collect();
    lines.sort_by_cached_key(|(values, sum)| {
        let when: Vec<_> = times.iter().map(|i| values[*i].clone()).collect();
        (when, std::cmp::Reverse((sum.cost_usd, sum.calls)), values.clone())
    });
    let rest = lines.split_off(lines.len().min(LINES));
    let others = (!rest.is_empty()).then(|| {
        rest.iter().fold(Sum::default(), |mut sum, (_, more)| {
            sum.add(more);
            sum
        })
    });
    let names: Vec<String> = by.iter().map(ToString::to_string).collect();
    let line = |(values, sum): (Vec<_>, Sum)| ByLine { group: names.iter().cloned().zip(values).collect(), sum };
    Ok(SpendBy { total, by: names.clone(), lines: lines.into_iter().map(line).collect(), others })
}

fn values(by: &[Dimension], cut: &Cut, group: &Group) -> Vec<Option<String>> {
    let value = |dimension: &Dimension| match dimension {
        Dimension::Fact(fact) => group.facts.as_ref().and_then(|f| fact.of(f)),
        Dimension::Time(window) => {
            let start = window.start(group.at).to_string();
            // `2026-10-01T12`, `2026-10-01`, `2026-10`.
            let length = match window {
                Window::Month => 7,
                Window::Day => 10,
                _ => 13,
            };
            start.get(..length).map(str::to_owned)
        }
        Dimension::Tag(name) => {
            let at = cut.tags.iter().position(|t| t == name)?;
            group.tags.get(at).cloned().flatten()
        }
    };
    by.iter().map(value).collect()
}

/// What makes a group: facts, stretch of time, tags.
type Cell = (Option<Facts>, Timestamp, Vec<Option<String>>);
