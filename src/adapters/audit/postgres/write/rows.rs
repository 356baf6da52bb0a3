//! What one batch does to the rows of calls, gathered first and written in three statements at most: new groups of facts, new
//! rows, ends of older rows. A call that opens and ends in the same batch is written once, as it ended. Knows no event.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::super::super::AuditError;
use super::super::super::project::{self, Change};
use super::{Known, signed};
use crate::rules::books::{Outcome, Verdict};
use crate::rules::ledger::entry::Entry;
use crate::rules::subject::Facts;
use crate::units::amount::{Amounts, Unit};
use crate::units::ids::{CallId, Seq};
use crate::units::time::Timestamp;

/// A row that this batch opens.
struct Fresh {
    seq: Seq,
    call: CallId,
    at: Timestamp,
    facts: Option<Arc<Facts>>,
    verdict: Verdict,
    admitted: bool,
    end: End,
}

type Place = Option<(Seq, Timestamp)>;

/// What later events say of a call.
#[derive(Clone, Copy)]
struct End {
    outcome: Option<Outcome>,
    closed: Place,
    adjusted: Place,
    flagged: bool,
    charge: Amounts,
}

const OPEN: End = End { outcome: None, closed: None, adjusted: None, flagged: false, charge: Amounts::ZERO };

impl End {
    /// What is not said anew stays.
    fn then(self, later: Self) -> Self {
        Self {
            outcome: later.outcome.or(self.outcome),
            closed: later.closed.or(self.closed),
            adjusted: later.adjusted.or(self.adjusted),
            ..later
        }
    }
}

#[derive(Default)]
pub(super) struct Rows {
    fresh: Vec<Fresh>,
    index: HashMap<CallId, usize>,
    /// Rows that earlier batches opened. In one order always, so that the same batch is the same statement.
    later: BTreeMap<CallId, End>,
}

impl Rows {
    pub(super) fn see(&mut self, entry: &Entry) {
        let here = Some((entry.seq, entry.at));
        match project::change(&entry.op) {
            None => {}
            // A second opening of one call keeps the first row; its event is there all the same.
            Some(Change::Open { call, .. }) if self.index.contains_key(&call) => {}
            Some(Change::Open { call, facts, verdict, outcome }) => {
                self.index.insert(call, self.fresh.len());
                let facts = facts.map(|f| project::group(f).into_owned());
                let (seq, at, admitted) = (entry.seq, entry.at, outcome.is_none());
                self.fresh.push(Fresh { seq, call, at, facts, verdict, admitted, end: End { outcome, ..OPEN } });
            }
            Some(Change::Close { call, outcome, charge, flagged }) => {
                self.end(call, End { outcome: Some(outcome), closed: here, adjusted: None, flagged, charge });
            }
            Some(Change::Adjust { call, outcome, charge, flagged }) => {
                // An adjustment that brings the call's own row ends it; any other changes its charge alone.
                let (closed, adjusted) = if outcome.is_some() { (here, None) } else { (None, here) };
                self.end(call, End { outcome, closed, adjusted, flagged, charge });
            }
        }
    }

    fn end(&mut self, call: CallId, end: End) {
        let place = match self.index.get(&call).and_then(|i| self.fresh.get_mut(*i)) {
            Some(fresh) => &mut fresh.end,
            None => self.later.entry(call).or_insert(OPEN),
        };
        *place = place.then(end);
    }

    pub(super) async fn write(self, db: &Client, known: &mut Known) -> Result<(), AuditError> {
        learn(db, known, &self.fresh).await?;
        if !self.fresh.is_empty() {
            insert(db, known, &self.fresh).await?;
        }
        if !self.later.is_empty() {
            update(db, &self.later).await?;
        }
        Ok(())
    }
}

/// One column of many rows, as an array.
fn column<R, T>(rows: &[R], value: impl Fn(&R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

/// The columns that an end sets, in the order of `END`.
fn ends(ends: &[End]) -> [Box<dyn ToSql + Sync + Send>; 10] {
    let of = |unit: Unit| Box::new(column(ends, |e| signed(e.charge.of(unit))));
    let [usd, tokens, calls, risk] = Unit::ALL.map(of);
    [
        Box::new(column(ends, |e| e.outcome.map(Outcome::as_str))),
        Box::new(column(ends, |e| e.closed.map(|(seq, _)| signed(seq)))),
        Box::new(column(ends, |e| e.closed.map(|(_, at)| at.0))),
        Box::new(column(ends, |e| e.adjusted.map(|(seq, _)| signed(seq)))),
        Box::new(column(ends, |e| e.adjusted.map(|(_, at)| at.0))),
        Box::new(column(ends, |e| e.flagged)),
        usd,
        tokens,
        calls,
        risk,
    ]
}

const END: &str = "outcome, closed, closed_at, adjusted, adjusted_at, flagged, usd, tokens, calls, risk";

async fn insert(db: &Client, known: &Known, fresh: &[Fresh]) -> Result<(), AuditError> {
    let sql = format!(
        "INSERT INTO call_rows (seq, call_id, at, facts, admitted, verdict, {END})
        SELECT * FROM unnest($1::int8[], $2::uuid[], $3::int8[], $4::int8[], $5::bool[], $6::text[], $7::text[], $8::int8[],
            $9::int8[], $10::int8[], $11::int8[], $12::bool[], $13::int8[], $14::int8[], $15::int8[], $16::int8[])
        ON CONFLICT (call_id) DO NOTHING"
    );
    let own: [Box<dyn ToSql + Sync + Send>; 6] = [
        Box::new(column(fresh, |f| signed(f.seq))),
        Box::new(column(fresh, |f| f.call.0)),
        Box::new(column(fresh, |f| f.at.0)),
        Box::new(column(fresh, |f| f.facts.as_ref().and_then(|facts| known.get(facts)).copied())),
        Box::new(column(fresh, |f| f.admitted)),
        Box::new(column(fresh, |f| f.verdict.as_str())),
    ];
    run(db, &sql, own.into_iter().chain(ends(&column(fresh, |f| f.end)))).await
}

async fn update(db: &Client, later: &BTreeMap<CallId, End>) -> Result<(), AuditError> {
    let sql = format!(
        "UPDATE call_rows r SET outcome = coalesce(u.outcome, r.outcome), closed = coalesce(u.closed, r.closed),
            closed_at = coalesce(u.closed_at, r.closed_at), adjusted = coalesce(u.adjusted, r.adjusted),
            adjusted_at = coalesce(u.adjusted_at, r.adjusted_at), flagged = u.flagged, usd = u.usd, tokens = u.tokens,
            calls = u.calls, risk = u.risk
        FROM unnest($1::uuid[], $2::text[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::bool[], $8::int8[], $9::int8[],
            $10::int8[], $11::int8[]) AS u (call_id, {END})
        WHERE r.call_id = u.call_id"
    );
    let calls: Box<dyn ToSql + Sync + Send> = Box::new(later.keys().map(|c| c.0).collect::<Vec<Uuid>>());
    run(db, &sql, std::iter::once(calls).chain(ends(&later.values().copied().collect::<Vec<_>>()))).await
}

async fn run(
    db: &Client,
    sql: &str,
    values: impl Iterator<Item = Box<dyn ToSql + Sync + Send>>,
) -> Result<(), AuditError> {
    let values: Vec<_> = values.collect();
    let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|v| &**v as &(dyn ToSql + Sync)).collect();
    db.execute(sql, &values).await?;
    Ok(())
}

/// A group of facts that is not known yet.
struct New {
    hash: [u8; 32],
    facts: Arc<Facts>,
    json: String,
}

/// Each once, in the order in which they came: a later one has a higher number.
fn unknown(known: &Known, fresh: &[Fresh]) -> Result<Vec<New>, AuditError> {
    let (mut new, mut seen) = (Vec::new(), HashSet::new());
    for facts in fresh.iter().filter_map(|f| f.facts.as_ref()).filter(|f| !known.contains_key(*f)) {
        if seen.insert(facts) {
            let json = serde_json::to_string(&**facts).map_err(|e| AuditError::Unreadable(e.to_string()))?;
            new.push(New { hash: Sha256::digest(&json).into(), facts: facts.clone(), json });
        }
    }
    Ok(new)
}

/// Row numbers for the groups of facts that are not known yet; made for those that are new.
async fn learn(db: &Client, known: &mut Known, fresh: &[Fresh]) -> Result<(), AuditError> {
    let new = unknown(known, fresh)?;
    if new.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO facts (hash, json, tenant, agent, run, key, policy, vendor, operation)
        SELECT * FROM unnest($1::bytea[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
        ON CONFLICT (hash) DO UPDATE SET tenant = EXCLUDED.tenant RETURNING hash, id";
    let name = |value: fn(&Facts) -> Option<&str>| column(&new, |n| value(&n.facts).map(storable));
    let hashes: Vec<&[u8]> = new.iter().map(|n| n.hash.as_slice()).collect();
    let texts: Vec<&str> = new.iter().map(|n| n.json.as_str()).collect();
    let values: [&(dyn ToSql + Sync); 9] = [
        &hashes,
        &texts,
        &name(|f| Some(&f.subject.tenant)),
        &name(|f| f.subject.agent.as_deref()),
        &name(|f| f.subject.run.as_deref()),
        &name(|f| f.keys.first().map(|k| k.as_str())),
        &name(|f| Some(&f.policy)),
        &name(|f| Some(&f.vendor)),
        &name(|f| Some(&f.operation)),
    ];
    let mut ids = HashMap::new();
    for row in db.query(sql, &values).await? {
        ids.insert(row.try_get::<_, &[u8]>(0)?.to_vec(), row.try_get::<_, i64>(1)?);
    }
    known.extend(new.into_iter().filter_map(|n| Some((n.facts, *ids.get(n.hash.as_slice())?))));
    Ok(())
}

/// PostgreSQL's texts have no character zero, and one in a name must not stop the books.
pub(in super::super) fn storable(name: &str) -> String {
    name.replace('\0', "\u{fffd}")
}
