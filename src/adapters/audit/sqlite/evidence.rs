//! Checkpoints in `books.db`, events as they were chained, and what retention deletes.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::super::evidence::index::{CallIndex, FactsIndex, Indexed};
use super::super::{AuditError, Linked};
use super::value::{Count, Hash, StoredCall};
use crate::rules::evidence::Signed;
use crate::units::amount::Amounts;
use crate::units::ids::{CallId, Seq};
use crate::units::money::MicroCents;
use crate::units::time::Timestamp;

/// Events that one transaction deletes: some milliseconds.
const STEP: u64 = 5_000;

pub(super) fn linked(db: &Connection, from: Seq, limit: usize) -> Result<Vec<Linked>, AuditError> {
    let mut query = db.prepare_cached("SELECT seq, head, body FROM events WHERE seq >= ?1 ORDER BY seq LIMIT ?2")?;
    let rows = query.query_map(params![Count(from), Count(limit as u64)], |row| {
        let (Count(seq), Hash(head)) = (row.get(0)?, row.get(1)?);
        Ok(Linked { seq, head, body: row.get(2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Events with the rows of their calls, with the groups of their facts, and with whose events those rows name.
const INDEXED: &str = "SELECT e.seq, e.at, e.kind, e.call_id, e.body, r.seq, r.at, r.admitted, r.verdict, r.outcome, r.closed,
        (SELECT call_id FROM events WHERE seq = r.closed), r.adjusted, (SELECT call_id FROM events WHERE seq = r.adjusted),
        r.flagged, r.usd, r.tokens, r.calls, r.risk, r.facts, f.json, f.tenant, f.agent, f.run, f.key, f.policy, f.vendor,
        f.operation
    FROM events e LEFT JOIN call_rows r ON r.call_id = e.call_id LEFT JOIN facts f ON f.id = r.facts
    WHERE e.seq >= ?1 ORDER BY e.seq LIMIT ?2";

pub(super) fn indexed(db: &Connection, from: Seq, limit: usize) -> Result<Vec<Indexed>, AuditError> {
    let mut query = db.prepare_cached(INDEXED)?;
    let rows = query.query_map(params![Count(from), Count(limit as u64)], |row| {
        let (Count(seq), call) = (row.get(0)?, row.get::<_, Option<StoredCall>>(3)?);
        let index = row.get::<_, Option<i64>>(5)?.map(|_| call_index(row)).transpose()?;
        let (at, kind, body) = (Timestamp(row.get(1)?), row.get(2)?, row.get(4)?);
        Ok(Indexed { seq, at, kind, call: call.map(|c| c.0), body, row: index })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn call_index(row: &Row<'_>) -> rusqlite::Result<CallIndex> {
    let count = |at| row.get(at).map(|Count(n)| n);
    let named = |at: usize| -> rusqlite::Result<_> {
        let seq = row.get::<_, Option<Count>>(at)?.map(|Count(seq)| seq);
        let call = row.get::<_, Option<StoredCall>>(at + 1)?.map(|c| c.0);
        Ok(seq.map(|seq| (seq, call)))
    };
    Ok(CallIndex {
        seq: count(5)?,
        at: Timestamp(row.get(6)?),
        facts: row.get::<_, Option<i64>>(19)?.map(|_| facts_index(row)).transpose()?,
        admitted: row.get(7)?,
        verdict: row.get(8)?,
        outcome: row.get(9)?,
        closed: named(10)?,
        adjusted: named(12)?,
        flagged: row.get(14)?,
        charge: Amounts { usd: MicroCents(count(15)?), tokens: count(16)?, calls: count(17)?, risk: count(18)? },
    })
}

/// A group that is gone has no words.
fn facts_index(row: &Row<'_>) -> rusqlite::Result<FactsIndex> {
    let mut names: [Option<String>; 7] = Default::default();
    for (at, name) in (21..).zip(&mut names) {
        *name = row.get(at)?;
    }
    Ok(FactsIndex { json: row.get::<_, Option<String>>(20)?.unwrap_or_default(), names })
}

pub(super) fn rows_between(db: &Connection, from: Seq, to: Seq) -> Result<u64, AuditError> {
    let sql = "SELECT count(*) FROM call_rows WHERE seq BETWEEN ?1 AND ?2";
    Ok(db.prepare_cached(sql)?.query_row([Count(from), Count(to)], |row| row.get(0).map(|Count(n)| n))?)
}

/// Events have no index by call: those of one call lie between the first and the last that its row names.
pub(super) fn seqs_of(db: &Connection, call: CallId) -> Result<Vec<Seq>, AuditError> {
    let sql = "SELECT e.seq FROM call_rows r JOIN events e
        ON e.seq BETWEEN r.seq AND max(r.seq, coalesce(r.closed, 0), coalesce(r.adjusted, 0)) AND e.call_id = r.call_id
        WHERE r.call_id = ?1 ORDER BY e.seq";
    let mut query = db.prepare_cached(sql)?;
    let rows = query.query_map([StoredCall(call)], |row| row.get(0).map(|Count(seq)| seq))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn seal(tx: &Transaction<'_>, signed: &Signed) -> Result<(), AuditError> {
    let body = serde_json::to_string(signed).map_err(|e| AuditError::Unreadable(e.to_string()))?;
    let at = &signed.checkpoint;
    let row = params![Count(at.number), Count(at.to), at.next_key.is_some(), body];
    tx.execute("INSERT INTO checkpoints VALUES (?1, ?2, ?3, ?4)", row)?;
    Ok(())
}

pub(super) fn checkpoints(db: &Connection, from: u64, limit: usize, keys: bool) -> Result<Vec<Signed>, AuditError> {
    let only = if keys { "AND names_key = 1" } else { "" };
    let sql = format!("SELECT body FROM checkpoints WHERE number >= ?1 {only} ORDER BY number LIMIT ?2");
    let mut query = db.prepare_cached(&sql)?;
    let rows = query.query_map(params![Count(from), Count(limit as u64)], |row| row.get::<_, String>(0))?;
    rows.map(|body| read(&body?)).collect()
}

pub(super) fn last_checkpoint(db: &Connection) -> Result<Option<Signed>, AuditError> {
    let sql = "SELECT body FROM checkpoints ORDER BY number DESC LIMIT 1";
    let body: Option<String> = db.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?;
    body.map(|body| read(&body)).transpose()
}

fn read(body: &str) -> Result<Signed, AuditError> {
    Signed::read(body).map_err(|why| AuditError::Unreadable(format!("a checkpoint: {why}")))
}

/// The oldest ones, up to `upto`; zero when none is left.
pub(super) fn prune(tx: &Transaction<'_>, upto: Seq) -> Result<u64, AuditError> {
    let sql = "DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE seq <= ?1 ORDER BY seq LIMIT ?2)";
    let deleted = tx.prepare_cached(sql)?.execute(params![Count(upto), Count(STEP)])?;
    let names = "DELETE FROM made WHERE seq <= ?1 AND NOT EXISTS (SELECT 1 FROM events e WHERE e.seq = made.seq)";
    tx.prepare_cached(names)?.execute(params![Count(upto)])?;
    Ok(deleted as u64)
}
