//! Checkpoints in `books.db`, events as they were chained, and what retention deletes.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::super::{AuditError, Linked};
use super::value::{Count, Hash, StoredCall};
use crate::rules::evidence::Signed;
use crate::units::ids::{CallId, Seq};

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
    serde_json::from_str(body).map_err(|e| AuditError::Unreadable(format!("a checkpoint: {e}")))
}

/// The oldest ones, up to `upto`; zero when none is left.
pub(super) fn prune(tx: &Transaction<'_>, upto: Seq) -> Result<u64, AuditError> {
    let sql = "DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE seq <= ?1 ORDER BY seq LIMIT ?2)";
    Ok(tx.prepare_cached(sql)?.execute(params![Count(upto), Count(STEP)])? as u64)
}
