//! What stores keep beside events, so that questions are quick: columns, rows of calls, groups of facts. The chain does not
//! cover these, so here they are compared with the events that they were made from. A pass over everything; it blocks.

use serde::{Deserialize, Serialize};

use crate::adapters::audit::project::{self, Change};
use crate::adapters::audit::{AuditError, AuditStore};
use crate::rules::books::{Outcome, Verdict};
use crate::rules::ledger::entry::Entry;
use crate::rules::subject::Facts;
use crate::units::amount::Amounts;
use crate::units::ids::{CallId, Seq};
use crate::units::time::Timestamp;

/// An event with all that stands beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Indexed {
    pub seq: Seq,
    pub at: Timestamp,
    pub kind: Option<String>,
    pub call: Option<CallId>,
    pub body: String,
    pub row: Option<CallIndex>,
}

/// The row of an event's call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallIndex {
    pub seq: Seq,
    pub at: Timestamp,
    pub facts: Option<FactsIndex>,
    pub admitted: bool,
    pub verdict: String,
    pub outcome: Option<String>,
    /// Later events that it names, and the calls that those are of.
    pub closed: Option<(Seq, Option<CallId>)>,
    pub adjusted: Option<(Seq, Option<CallId>)>,
    pub flagged: bool,
    pub charge: Amounts,
}

/// A group of facts, and the columns that filters look at: tenant, agent, run, key, policy, vendor, operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactsIndex {
    pub json: String,
    pub names: [Option<String>; 7],
}

/// What does not say what the events say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lie {
    pub event: Seq,
    pub call_id: Option<CallId>,
    pub what: String,
}

/// How many events were compared, or the first lie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    pub events: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lie: Option<Lie>,
}

/// Events read at a time.
const PAGE: usize = 500;

pub fn check(store: &dyn AuditStore) -> Result<Compared, AuditError> {
    // From 0, which no event has, so that nothing stands before them all.
    let (mut next, mut events) = (0, 0);
    loop {
        let page = store.indexed(next, PAGE)?;
        // Read behind the page: retention says what goes before it deletes, and may do both while this reads.
        let given_up = store.last_checkpoint()?.map_or(0, |l| l.checkpoint.pruned_to);
        let Some(last) = page.last().map(|e| e.seq) else {
            let beyond = store.rows_between(next.max(given_up + 1), Seq::MAX)?;
            // What was written meanwhile has its event.
            if beyond > 0 && !store.indexed(next, 1)?.is_empty() {
                continue;
            }
            return Ok(Compared { events, lie: (beyond > 0).then(|| unopened(next, None)) });
        };
        let told = page.iter().find_map(|e| told(e, given_up).err().map(|what| lie(e, what)));
        let from = if given_up > 0 { next.max(given_up + 1) } else { next };
        let opened = |e: &&Indexed| e.seq >= from && e.row.as_ref().is_some_and(|r| r.seq == e.seq);
        let opened = page.iter().filter(opened).count() as u64;
        let lie = match told {
            None if from <= last && store.rows_between(from, last)? != opened => Some(unopened(from, Some(last))),
            told => told,
        };
        if lie.is_some() {
            return Ok(Compared { events, lie });
        }
        events += page.len() as u64;
        next = last + 1;
    }
}

fn unopened(from: Seq, to: Option<Seq>) -> Lie {
    let place = to.map_or(format!("from event {from} on"), |to| format!("between events {from} and {to}"));
    Lie { event: from, call_id: None, what: format!("{place} stands the row of a call that no event opens") }
}

fn lie(e: &Indexed, what: &str) -> Lie {
    Lie { event: e.seq, call_id: e.call, what: what.to_owned() }
}

fn right(good: bool, what: &'static str) -> Result<(), &'static str> {
    if good { Ok(()) } else { Err(what) }
}

fn told(e: &Indexed, given_up: Seq) -> Result<(), &'static str> {
    let entry: Entry = serde_json::from_str(&e.body).map_err(|_| "it cannot be read")?;
    right(entry.seq == e.seq, "it stands under another number")?;
    right(entry.at == e.at, "it stands under another time")?;
    right(entry.op.kind().map(|k| k.as_str()) == e.kind.as_deref(), "it stands under another kind")?;
    right(entry.op.call() == e.call, "it stands under another call")?;
    let change = project::change(&entry.op);
    match (&change, &e.row) {
        (None, None) => Ok(()),
        (Some(_), None) => Err("its call has no row"),
        (_, Some(row)) => names_its_events(e, row, change.as_ref(), given_up).and_then(|()| match &change {
            Some(change) => said(&entry, row, change),
            None => Ok(()),
        }),
    }
}

/// The later events that a row names are of its call, and do what it says. Nobody knows of those that were given up.
fn names_its_events(
    e: &Indexed,
    row: &CallIndex,
    change: Option<&Change<'_>>,
    given_up: Seq,
) -> Result<(), &'static str> {
    for (seq, call) in row.closed.iter().chain(&row.adjusted) {
        right(*seq <= given_up || *call == e.call, "the row of its call names an event of another call")?;
    }
    let closes = matches!(change, Some(Change::Close { .. } | Change::Adjust { outcome: Some(_), .. }));
    let adjusts = matches!(change, Some(Change::Adjust { outcome: None, .. }));
    let names = |at: &Option<(Seq, Option<CallId>)>| at.is_some_and(|(seq, _)| seq == e.seq);
    right(closes || !names(&row.closed), "the row of its call takes it for its end")?;
    right(adjusts || !names(&row.adjusted), "the row of its call takes it for an adjustment")
}

fn said(entry: &Entry, row: &CallIndex, change: &Change<'_>) -> Result<(), &'static str> {
    let (closed, adjusted) = (row.closed.map_or(0, |c| c.0), row.adjusted.map_or(0, |a| a.0));
    match change {
        Change::Open { facts, verdict, outcome, .. } => {
            right(row.seq <= entry.seq, "the row of its call begins with a later event")?;
            if row.seq < entry.seq {
                return Ok(());
            }
            opened(entry, row, facts.map(project::group).as_deref().map(|f| &**f), *verdict, *outcome)
        }
        Change::Close { outcome, charge, flagged, .. } => {
            right(closed >= entry.seq, "the row of its call does not name it as its end")?;
            right(closed > entry.seq || is(row, *outcome), "the row of its call has another outcome")?;
            right(closed.max(adjusted) > entry.seq || charged(row, *charge, *flagged), CHARGE)
        }
        Change::Adjust { outcome, charge, flagged, .. } => {
            let named = if outcome.is_some() { closed } else { adjusted };
            right(named >= entry.seq, "the row of its call does not name it")?;
            let same = outcome.is_none_or(|o| closed > entry.seq || is(row, o));
            right(same, "the row of its call has another outcome")?;
            right(closed.max(adjusted) > entry.seq || charged(row, *charge, *flagged), CHARGE)
        }
    }
}

const CHARGE: &str = "the row of its call has another charge";

fn is(row: &CallIndex, outcome: Outcome) -> bool {
    row.outcome.as_deref() == Some(outcome.as_str())
}

fn charged(row: &CallIndex, charge: Amounts, flagged: bool) -> bool {
    row.charge == charge && row.flagged == flagged
}

fn opened(
    entry: &Entry,
    row: &CallIndex,
    facts: Option<&Facts>,
    verdict: Verdict,
    outcome: Option<Outcome>,
) -> Result<(), &'static str> {
    right(row.at == entry.at, "the row of its call has another time")?;
    right(row.verdict == verdict.as_str(), "the row of its call has another verdict")?;
    right(row.admitted == outcome.is_none(), "the row of its call has another verdict")?;
    right(same(row.facts.as_ref(), facts.map(index_of).as_ref()), "the row of its call names somebody else")?;
    if row.closed.is_some() || row.adjusted.is_some() {
        return Ok(());
    }
    let open = row.outcome.as_deref() == outcome.map(Outcome::as_str) && charged(row, Amounts::ZERO, false);
    right(open, "the row of its call has an end that no event gives it")
}

/// Not every store can keep a character zero in a name.
fn same(a: Option<&FactsIndex>, b: Option<&FactsIndex>) -> bool {
    let storable = |name: &Option<String>| name.as_ref().map(|n| n.replace('\0', "\u{fffd}"));
    a == b
        || a.zip(b).is_some_and(|(a, b)| {
            a.json == b.json && a.names.each_ref().map(storable) == b.names.each_ref().map(storable)
        })
}

fn index_of(f: &Facts) -> FactsIndex {
    let (s, text) = (&f.subject, |name: &str| Some(name.to_owned()));
    let some = |name: &Option<crate::rules::subject::Name>| name.as_deref().map(str::to_owned);
    let key = f.keys.first().map(|k| k.as_str().to_owned());
    // Its map keys are strings, so that it cannot fail.
    let json = serde_json::to_string(f).unwrap_or_default();
    let names =
        [text(&s.tenant), some(&s.agent), some(&s.run), key, text(&f.policy), text(&f.vendor), text(&f.operation)];
    FactsIndex { json, names }
}
