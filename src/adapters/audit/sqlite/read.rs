//! Questions to `books.db`. Each runs inside one read transaction, so that it sees one moment. Writes nothing.

mod groups;
mod rows;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::super::query::Sum;
use super::super::{AuditError, CallQuery, Event, Gap, RunName, Spend, Sums};
use super::value::{Count, StoredCall};
use crate::rules::books::{Kind, Outcome, Verdict};
use crate::rules::ledger::account::{AccountName, Shape};
use crate::rules::ledger::entry::Entry;
use crate::rules::subject::{Facts, Name};
use crate::units::ids::{CallId, Seq};
use crate::units::money::MicroCents;
use crate::units::time::Timestamp;

pub(super) use groups::groups;
pub(super) use rows::calls;

pub(super) fn events(db: &Connection, from: Seq, limit: usize) -> Result<Vec<Event>, AuditError> {
    let sql =
        "SELECT seq, at, kind, call_id, body FROM events WHERE seq >= ?1 AND kind IS NOT NULL ORDER BY seq LIMIT ?2";
    let mut query = db.prepare_cached(sql)?;
    let rows = query.query_map(params![Count(from), Count(limit as u64)], event)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn entries(db: &Connection, from: Seq, limit: usize) -> Result<Vec<Entry>, AuditError> {
    let mut query = db.prepare_cached("SELECT body FROM events WHERE seq >= ?1 ORDER BY seq LIMIT ?2")?;
    let rows = query.query_map(params![Count(from), Count(limit as u64)], |row| row.get::<_, String>(0))?;
    rows.map(|body| entry(&body?)).collect()
}

/// Such events are few: they have an index of their own, which usual calls do not pay for.
pub(super) fn changes(db: &Connection, from: Seq, limit: usize) -> Result<Vec<Event>, AuditError> {
    let sql = "SELECT seq, at, kind, call_id, body FROM events INDEXED BY changes
        WHERE seq >= ?1 AND kind <> 'admitted' AND kind <> 'settled' AND kind <> 'denied' ORDER BY seq LIMIT ?2";
    let mut query = db.prepare_cached(sql)?;
    let rows = query.query_map(params![Count(from), Count(limit as u64)], event)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn entries_of(db: &Connection, call: CallId) -> Result<Vec<Entry>, AuditError> {
    let sql = "SELECT e.body FROM call_rows r JOIN events e ON e.seq IN (r.seq, r.closed, r.adjusted)
        WHERE r.call_id = ?1 ORDER BY e.seq";
    let mut query = db.prepare_cached(sql)?;
    let rows = query.query_map([StoredCall(call)], |row| row.get::<_, String>(0))?;
    rows.map(|body| entry(&body?)).collect()
}

pub(super) fn made(db: &Connection, object: &str) -> Result<Vec<CallId>, AuditError> {
    let sql = "SELECT e.call_id FROM made m JOIN events e ON e.seq = m.seq
        WHERE m.object = ?1 ORDER BY m.seq DESC LIMIT 16";
    let mut query = db.prepare_cached(sql)?;
    let rows = query.query_map([object], |row| row.get::<_, StoredCall>(0))?;
    Ok(rows.map(|call| call.map(|call| call.0)).collect::<Result<_, _>>()?)
}

pub(super) fn made_since(db: &Connection, since: Timestamp) -> Result<Vec<CallId>, AuditError> {
    let sql = "SELECT e.call_id FROM made m JOIN events e ON e.seq = m.seq WHERE e.at >= ?1";
    let mut query = db.prepare_cached(sql)?;
    let rows = query.query_map([since.0], |row| row.get::<_, StoredCall>(0))?;
    Ok(rows.map(|call| call.map(|call| call.0)).collect::<Result<_, _>>()?)
}

/// Walks the groups of facts from the newest; a run counts where its newest group stands.
pub(super) fn runs(db: &Connection, q: &CallQuery) -> Result<Vec<RunName>, AuditError> {
    let (names, mut values) = name_conditions(q);
    let newer = names.replace(" f.", " g.");
    let before = q.before.map_or(i64::MAX, |before| Count(before).signed());
    let sql = format!(
        "SELECT f.id, f.tenant, f.run FROM facts f WHERE f.run IS NOT NULL{names} AND f.id < ?
            AND NOT EXISTS (SELECT 1 FROM facts g WHERE g.run = f.run AND g.tenant = f.tenant AND g.id > f.id{newer})
            ORDER BY f.id DESC LIMIT ?"
    );
    let again = values.clone();
    values.push(Value::Integer(before));
    values.extend(again);
    values.push(Value::Integer(Count(q.rows() as u64).signed()));
    let mut query = db.prepare_cached(&sql)?;
    let name = |row: &Row<'_>, column| row.get::<_, String>(column).map(|n| Name::from(n.as_str()));
    let run = |row: &Row<'_>| Ok(RunName { place: count(row, 0)?, tenant: name(row, 1)?, run: name(row, 2)? });
    let rows = query.query_map(params_from_iter(values), run)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn entry(body: &str) -> Result<Entry, AuditError> {
    serde_json::from_str(body).map_err(|e| AuditError::Unreadable(format!("event: {e}")))
}

fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column).map(|Count(n)| n)
}

fn event(row: &Row<'_>) -> rusqlite::Result<Event> {
    let kind = row.get_ref(2)?.as_str_or_null()?.and_then(Kind::parse);
    let call = row.get::<_, Option<StoredCall>>(3)?.map(|c| c.0);
    let body = Event::body(kind, call, row.get_ref(4)?.as_str()?);
    Ok(Event { seq: count(row, 0)?, at: Timestamp(row.get(1)?), kind, call, body })
}

pub(super) fn gaps(db: &Connection) -> Result<Vec<Gap>, AuditError> {
    let mut query = db.prepare_cached("SELECT first, last, noticed_at FROM gaps ORDER BY first")?;
    let rows = query.query_map([], |row| {
        Ok(Gap { from: count(row, 0)?, to: count(row, 1)?, noticed_at: Timestamp(row.get(2)?) })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The first call at or after `at`. The ledger's time never goes backward, so halving finds it without an index. Rows of calls
/// stay when retention deletes their events.
fn first_since(db: &Connection, at: Timestamp) -> Result<Seq, AuditError> {
    let ends =
        |row: &Row<'_>| Ok((row.get::<_, Option<i64>>(0)?.unwrap_or(0), row.get::<_, Option<i64>>(1)?.unwrap_or(0)));
    let (mut low, high) =
        db.query_row("SELECT (SELECT min(seq) FROM call_rows), (SELECT max(seq) FROM call_rows)", [], ends)?;
    let mut high = high.saturating_add(1);
    let mut probe = db.prepare_cached("SELECT seq, at FROM call_rows WHERE seq >= ?1 ORDER BY seq LIMIT 1")?;
    while low < high {
        let middle = low + (high - low) / 2;
        let found: Option<(i64, i64)> = probe.query_row([middle], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        match found {
            Some((seq, when)) if when < at.0 => low = seq.saturating_add(1),
            _ => high = middle,
        }
    }
    Ok(u64::try_from(low).unwrap_or(0))
}

/// Conditions on `r` (call_rows) and their values, but for those on names.
pub(super) fn conditions(db: &Connection, q: &CallQuery) -> Result<(String, Vec<Value>), AuditError> {
    let mut sql = String::new();
    let mut values = Vec::new();
    let mut add = |text: &str, value: Value| {
        sql.push_str(text);
        values.push(value);
    };
    if let Some(call) = q.call {
        add(" AND r.call_id = ?", Value::Blob(call.0.as_bytes().to_vec()));
    }
    if let Some(verdict) = q.verdict {
        // Said twice: the index holds what is not usual, and SQLite must see that this is such.
        let rare = if verdict == Verdict::Allow { "" } else { " AND r.verdict <> 'allow'" };
        add(&format!("{rare} AND r.verdict = ?"), Value::Text(verdict.as_str().to_owned()));
    }
    if let Some(outcome) = q.outcome {
        let rare = if outcome == Outcome::Ok { "" } else { " AND r.outcome <> 'ok'" };
        add(&format!("{rare} AND r.outcome = ?"), Value::Text(outcome.as_str().to_owned()));
    }
    if let Some(flagged) = q.flagged {
        add(if flagged { " AND r.flagged = 1 AND 1 = ?" } else { " AND r.flagged = 0 AND 1 = ?" }, Value::Integer(1));
    }
    if let Some(since) = q.since {
        add(" AND r.seq >= ?", Value::Integer(Count(first_since(db, since)?).signed()));
    }
    if let Some(until) = q.until {
        add(" AND r.seq < ?", Value::Integer(Count(first_since(db, until)?).signed()));
    }
    Ok((sql, values))
}

/// Conditions on `f` (facts).
pub(super) fn name_conditions(q: &CallQuery) -> (String, Vec<Value>) {
    let names = q.names();
    let sql = names.iter().map(|(column, _)| format!(" AND f.{column} = ?")).collect();
    (sql, names.iter().map(|(_, value)| Value::Text((*value).to_owned())).collect())
}

pub(super) fn spend(db: &Connection, q: &CallQuery) -> Result<Spend, AuditError> {
    let (names, mut values) = name_conditions(q);
    let (rest, more) = conditions(db, q)?;
    values.extend(more);
    let only = if names.is_empty() {
        String::new()
    } else {
        format!("AND r.facts IN (SELECT id FROM facts f WHERE 1{names})")
    };
    let sql = format!(
        "SELECT (SELECT json FROM facts WHERE id = g.facts), g.* FROM (
            SELECT r.facts, sum(r.admitted), sum(1 - r.admitted), sum(r.admitted AND r.outcome IS NULL), sum(r.flagged),
                sum(r.usd), sum(r.tokens)
            FROM call_rows r WHERE 1 {only}{rest} GROUP BY r.facts) g"
    );
    let mut query = db.prepare_cached(&sql)?;
    let rows = query.query_map(params_from_iter(values), |row| Ok((row.get::<_, Option<String>>(0)?, sum(row)?)))?;
    let groups =
        rows.map(|row| row.map_err(AuditError::from).and_then(|(f, s)| Ok((f.map(|f| facts(&f)).transpose()?, s))));
    Ok(Spend::fold(&groups.collect::<Result<Vec<_>, AuditError>>()?))
}

fn sum(row: &Row<'_>) -> rusqlite::Result<Sum> {
    Ok(Sum {
        calls: count(row, 2)?,
        refused: count(row, 3)?,
        open: count(row, 4)?,
        flagged: count(row, 5)?,
        cost_usd: MicroCents(count(row, 6)?),
        tokens: count(row, 7)?,
    })
}

pub(super) fn facts(json: &str) -> Result<Facts, AuditError> {
    serde_json::from_str(json).map_err(|e| AuditError::Unreadable(format!("facts: {e}")))
}

/// The rules name the accounts of each group of facts, so that the books and the ledger cannot disagree on who pays.
pub(super) fn sums(db: &Connection, shape: &Shape, start: Timestamp) -> Result<Sums, AuditError> {
    let upto = db.query_row("SELECT seq FROM place", [], |row| count(row, 0))?;
    if !shape.window.keeps_charges() {
        return Ok(Sums { upto, accounts: Vec::new() });
    }
    let sql = format!(
        "SELECT f.json, s.spent FROM (
            SELECT facts, sum({}) AS spent FROM call_rows WHERE seq >= ?1 AND facts IS NOT NULL GROUP BY facts
        ) s JOIN facts f ON f.id = s.facts WHERE s.spent > 0",
        shape.unit.as_str()
    );
    let mut query = db.prepare_cached(&sql)?;
    let mut rows = query.query([Count(first_since(db, start)?)])?;
    let mut accounts: std::collections::BTreeMap<AccountName, u64> = Default::default();
    while let Some(row) = rows.next()? {
        let (json, spent): (String, u64) = (row.get(0)?, count(row, 1)?);
        for account in shape.accounts(&facts(&json)?) {
            let sum = accounts.entry(account).or_default();
            *sum = sum.saturating_add(spent);
        }
    }
    Ok(Sums { upto, accounts: accounts.into_iter().collect() })
}
