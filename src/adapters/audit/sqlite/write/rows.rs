//! What one batch does to the rows of calls. A call that opens and ends in the same batch is written once, as it ended. Knows
//! no event; `write` stores these.

use std::sync::Arc;

use rusqlite::{Statement, ToSql, Transaction, params};

use super::super::super::AuditError;
use super::super::super::project::{self, Change};
use super::super::value::{Count, StoredCall};
use super::Known;
use super::together::Insert;
use crate::rules::books::{Outcome, Verdict};
use crate::rules::ledger::entry::Entry;
use crate::rules::subject::Facts;
use crate::units::amount::{Amounts, Unit};
use crate::units::ids::{CallId, Seq};
use crate::units::table::Table;
use crate::units::time::Timestamp;

const COLUMNS: usize = 14;

const INSERT: Insert = Insert {
    before: "INSERT OR FAIL INTO call_rows
        (seq, call_id, at, facts, admitted, verdict, outcome, closed, adjusted, flagged, usd, tokens, calls, risk) VALUES",
    values: "(?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    columns: COLUMNS,
    after: "ON CONFLICT (call_id) DO NOTHING",
};

/// A row that this batch opens.
struct Fresh {
    seq: Seq,
    call: CallId,
    at: Timestamp,
    facts: Option<i64>,
    verdict: Verdict,
    admitted: bool,
    end: End,
}

/// What later events say of a call.
#[derive(Clone, Copy)]
struct End {
    outcome: Option<Outcome>,
    closed: Option<Seq>,
    adjusted: Option<Seq>,
    flagged: bool,
    charge: Amounts,
}

const OPEN: End = End { outcome: None, closed: None, adjusted: None, flagged: false, charge: Amounts::ZERO };

pub(super) struct Rows<'a> {
    tx: &'a Transaction<'a>,
    known: &'a mut Known,
    fresh: Vec<Fresh>,
    index: Table<CallId, usize>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(tx: &'a Transaction<'a>, known: &'a mut Known) -> Self {
        Self { tx, known, fresh: Vec::new(), index: Table::default() }
    }

    pub(super) fn see(&mut self, entry: &Entry) -> Result<(), AuditError> {
        match project::change(&entry.op) {
            None => Ok(()),
            Some(Change::Open { call, facts, verdict, outcome }) => self.open(entry, call, facts, verdict, outcome),
            Some(Change::Close { call, outcome, charge, flagged }) => {
                self.end(call, End { outcome: Some(outcome), closed: Some(entry.seq), flagged, charge, ..OPEN })
            }
            Some(Change::Adjust { call, outcome, charge, flagged }) => {
                // An adjustment that brings the call's own row ends it; any other changes its charge alone.
                let (closed, adjusted) =
                    if outcome.is_some() { (Some(entry.seq), None) } else { (None, Some(entry.seq)) };
                self.end(call, End { outcome, closed, adjusted, flagged, charge })
            }
        }
    }

    fn open(
        &mut self,
        entry: &Entry,
        call: CallId,
        facts: Option<&Arc<Facts>>,
        verdict: Verdict,
        outcome: Option<Outcome>,
    ) -> Result<(), AuditError> {
        // A second opening of one call keeps the first row; its event is there all the same.
        if self.index.contains_key(&call) {
            return Ok(());
        }
        let facts = facts.map(|f| facts_row(self.tx, self.known, f)).transpose()?;
        self.index.insert(call, self.fresh.len());
        let (seq, at, admitted) = (entry.seq, entry.at, outcome.is_none());
        self.fresh.push(Fresh { seq, call, at, facts, verdict, admitted, end: End { outcome, ..OPEN } });
        Ok(())
    }

    fn end(&mut self, call: CallId, end: End) -> Result<(), AuditError> {
        let Some(fresh) = self.index.get(&call).and_then(|i| self.fresh.get_mut(*i)) else {
            return later(self.tx, call, &end);
        };
        fresh.end = End {
            outcome: end.outcome.or(fresh.end.outcome),
            closed: end.closed.or(fresh.end.closed),
            adjusted: end.adjusted.or(fresh.end.adjusted),
            ..end
        };
        Ok(())
    }

    pub(super) fn write(self) -> Result<(), AuditError> {
        INSERT.all(self.tx, &self.fresh, Fresh::bind)
    }
}

impl Fresh {
    fn bind(&self, insert: &mut Statement<'_>, first: usize) -> rusqlite::Result<()> {
        let Self { seq, call, at, facts, verdict, admitted, end } = self;
        let [usd, tokens, calls, risk] = Unit::ALL.map(|u| Count(end.charge.of(u)));
        let (outcome, closed, adjusted) = (end.outcome.map(Outcome::as_str), end.closed, end.adjusted);
        let values: [&dyn ToSql; COLUMNS] = [
            &Count(*seq),
            &StoredCall(*call),
            &at.0,
            facts,
            admitted,
            &verdict.as_str(),
            &outcome,
            &closed.map(Count),
            &adjusted.map(Count),
            &end.flagged,
            &usd,
            &tokens,
            &calls,
            &risk,
        ];
        (first..).zip(values).try_for_each(|(at, value)| insert.raw_bind_parameter(at, value))
    }
}

/// The row was opened by an earlier batch.
fn later(tx: &Transaction<'_>, call: CallId, end: &End) -> Result<(), AuditError> {
    let sql = "UPDATE OR FAIL call_rows SET outcome = coalesce(?2, outcome), closed = coalesce(?3, closed),
        adjusted = coalesce(?4, adjusted), flagged = ?5, usd = ?6, tokens = ?7, calls = ?8, risk = ?9 WHERE call_id = ?1";
    let [usd, tokens, calls, risk] = Unit::ALL.map(|u| Count(end.charge.of(u)));
    let (outcome, closed, adjusted) = (end.outcome.map(Outcome::as_str), end.closed, end.adjusted);
    let (closed, adjusted) = (closed.map(Count), adjusted.map(Count));
    let values = params![StoredCall(call), outcome, closed, adjusted, end.flagged, usd, tokens, calls, risk];
    tx.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// The row number of a group of facts; made if it is new.
fn facts_row(tx: &Transaction<'_>, known: &mut Known, facts: &Arc<Facts>) -> Result<i64, AuditError> {
    let group = project::group(facts);
    if let Some(id) = known.get(&**group) {
        return Ok(*id);
    }
    let id = find_or_insert(tx, &group)?;
    known.insert(group.into_owned(), id);
    Ok(id)
}

fn find_or_insert(tx: &Transaction<'_>, f: &Facts) -> Result<i64, AuditError> {
    let json = serde_json::to_string(f).map_err(|e| AuditError::Unreadable(e.to_string()))?;
    let sql = "INSERT INTO facts (json, tenant, agent, run, key, policy, vendor, operation)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (json) DO UPDATE SET tenant = tenant RETURNING id";
    let s = &f.subject;
    let key = f.keys.first().map(|k| k.as_str());
    let row =
        params![json, &*s.tenant, s.agent.as_deref(), s.run.as_deref(), key, &*f.policy, &*f.vendor, &*f.operation];
    Ok(tx.prepare_cached(sql)?.query_row(row, |row| row.get(0))?)
}
