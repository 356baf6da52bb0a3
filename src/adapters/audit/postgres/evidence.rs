//! Checkpoints in PostgreSQL, events as they were chained, and what retention deletes: whole months where it can.

use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::super::evidence::index::{CallIndex, FactsIndex, Indexed};
use super::super::{AuditError, Linked};
use super::read::count;
use super::write::{head, signed as stored};
use crate::rules::evidence::Signed;
use crate::units::amount::Amounts;
use crate::units::ids::{CallId, Seq};
use crate::units::money::MicroCents;
use crate::units::time::{Timestamp, Window};

/// Events that one transaction deletes: some milliseconds.
const STEP: u64 = 5_000;

pub(super) async fn linked(db: &Client, from: Seq, limit: usize) -> Result<Vec<Linked>, AuditError> {
    let sql = "SELECT seq, head, body FROM events WHERE seq >= $1 ORDER BY seq LIMIT $2";
    let rows = db.query(sql, &[&stored(from), &stored(limit as u64)]).await?;
    rows.iter().map(|row| Ok(Linked { seq: count(row, 0)?, head: head(row, 1)?, body: row.try_get(2)? })).collect()
}

/// Events with the rows of their calls, with the groups of their facts, and with whose events those rows name.
const INDEXED: &str = "SELECT e.seq, e.at, e.kind, e.call_id, e.body, r.seq, r.at, r.admitted, r.verdict, r.outcome, r.closed,
        (SELECT call_id FROM events c WHERE c.seq = r.closed AND c.at = r.closed_at), r.adjusted,
        (SELECT call_id FROM events a WHERE a.seq = r.adjusted AND a.at = r.adjusted_at),
        r.flagged, r.usd, r.tokens, r.calls, r.risk, r.facts, f.json, f.tenant, f.agent, f.run, f.key, f.policy, f.vendor,
        f.operation
    FROM (SELECT * FROM events WHERE seq >= $1 ORDER BY seq LIMIT $2) e
        LEFT JOIN call_rows r ON r.call_id = e.call_id LEFT JOIN facts f ON f.id = r.facts ORDER BY e.seq";

pub(super) async fn indexed(db: &Client, from: Seq, limit: usize) -> Result<Vec<Indexed>, AuditError> {
    let rows = db.query(INDEXED, &[&stored(from), &stored(limit as u64)]).await?;
    let event = |row: &Row| {
        let index = row.try_get::<_, Option<i64>>(5)?.map(|_| call_index(row)).transpose()?;
        let (at, kind, body) = (Timestamp(row.try_get(1)?), row.try_get(2)?, row.try_get(4)?);
        Ok(Indexed { seq: count(row, 0)?, at, kind, call: call(row, 3)?, body, row: index })
    };
    rows.iter().map(event).collect()
}

fn call(row: &Row, at: usize) -> Result<Option<CallId>, AuditError> {
    Ok(row.try_get::<_, Option<Uuid>>(at)?.map(CallId))
}

fn call_index(row: &Row) -> Result<CallIndex, AuditError> {
    let named = |at: usize| match row.try_get::<_, Option<i64>>(at)? {
        None => Ok::<_, AuditError>(None),
        Some(_) => Ok(Some((count(row, at)?, call(row, at + 1)?))),
    };
    Ok(CallIndex {
        seq: count(row, 5)?,
        at: Timestamp(row.try_get(6)?),
        facts: row.try_get::<_, Option<i64>>(19)?.map(|_| facts_index(row)).transpose()?,
        admitted: row.try_get(7)?,
        verdict: row.try_get(8)?,
        outcome: row.try_get(9)?,
        closed: named(10)?,
        adjusted: named(12)?,
        flagged: row.try_get(14)?,
        charge: Amounts {
            usd: MicroCents(count(row, 15)?),
            tokens: count(row, 16)?,
            calls: count(row, 17)?,
            risk: count(row, 18)?,
        },
    })
}

/// A group that is gone has no words.
fn facts_index(row: &Row) -> Result<FactsIndex, AuditError> {
    let mut names: [Option<String>; 7] = Default::default();
    for (at, name) in (21..).zip(&mut names) {
        *name = row.try_get(at)?;
    }
    Ok(FactsIndex { json: row.try_get::<_, Option<String>>(20)?.unwrap_or_default(), names })
}

pub(super) async fn rows_between(db: &Client, from: Seq, to: Seq) -> Result<u64, AuditError> {
    let sql = "SELECT count(*) FROM call_rows WHERE seq BETWEEN $1 AND $2";
    count(&db.query_one(sql, &[&stored(from), &stored(to)]).await?, 0)
}

/// Events have no index by call: those of one call lie between the first and the last that its row names.
pub(super) async fn seqs_of(db: &Client, call: CallId) -> Result<Vec<Seq>, AuditError> {
    let sql = "SELECT e.seq FROM call_rows r JOIN events e ON e.call_id = r.call_id
            AND e.seq BETWEEN r.seq AND greatest(r.seq, r.closed, r.adjusted)
            AND e.at BETWEEN r.at AND greatest(r.at, r.closed_at, r.adjusted_at)
        WHERE r.call_id = $1 ORDER BY e.seq";
    db.query(sql, &[&call.0]).await?.iter().map(|row| count(row, 0)).collect()
}

pub(super) async fn seal(db: &Client, signed: &Signed) -> Result<(), AuditError> {
    let body = serde_json::to_string(signed).map_err(|e| AuditError::Unreadable(e.to_string()))?;
    let at = &signed.checkpoint;
    let values: (i64, i64, bool) = (stored(at.number), stored(at.to), at.next_key.is_some());
    db.execute("INSERT INTO checkpoints VALUES ($1, $2, $3, $4)", &[&values.0, &values.1, &values.2, &body]).await?;
    Ok(())
}

pub(super) async fn checkpoints(db: &Client, from: u64, limit: usize, keys: bool) -> Result<Vec<Signed>, AuditError> {
    let only = if keys { "AND names_key" } else { "" };
    let sql = format!("SELECT body FROM checkpoints WHERE number >= $1 {only} ORDER BY number LIMIT $2");
    let rows = db.query(&sql, &[&stored(from), &stored(limit as u64)]).await?;
    rows.iter().map(|row| read(row.try_get(0)?)).collect()
}

pub(super) async fn last_checkpoint(db: &Client) -> Result<Option<Signed>, AuditError> {
    let row = db.query_opt("SELECT body FROM checkpoints ORDER BY number DESC LIMIT 1", &[]).await?;
    row.map(|row| read(row.try_get(0)?)).transpose()
}

fn read(body: &str) -> Result<Signed, AuditError> {
    Signed::read(body).map_err(|why| AuditError::Unreadable(format!("a checkpoint: {why}")))
}

/// One step: the oldest month if all of it is given up, else some of the oldest events; zero when none is left.
pub(super) async fn prune(db: &Client, upto: Seq) -> Result<u64, AuditError> {
    let months = "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'events'::regclass AND c.relname LIKE 'events\\_2%' ORDER BY 1";
    for month in db.query(months, &[]).await? {
        let month: &str = month.try_get(0)?;
        let last: Option<i64> = db.query_one(&format!("SELECT max(seq) FROM {month}"), &[]).await?.try_get(0)?;
        // The newest month stays, also when all of it goes: its next event is near.
        if last.is_some_and(|last| last > stored(upto)) || !goes_on(db, month, last).await? {
            break;
        }
        let all = count(&db.query_one(&format!("SELECT count(*) FROM {month}"), &[]).await?, 0)?;
        db.batch_execute(&format!("SET LOCAL lock_timeout = '5s'; DROP TABLE {month}")).await?;
        // One that was empty already is no step.
        if all > 0 {
            return Ok(all);
        }
    }
    let sql = "DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE seq <= $1 ORDER BY seq LIMIT $2)";
    Ok(db.execute(sql, &[&stored(upto), &stored(STEP)]).await?)
}

/// Are there events behind this month, of which `last` is the last one if it has any?
async fn goes_on(db: &Client, month: &str, last: Option<i64>) -> Result<bool, AuditError> {
    let day = month.trim_start_matches("events_").replace('_', "-");
    let start: Option<Timestamp> = format!("{day}-01T00:00:00Z").parse().ok();
    let row = match (last, start.and_then(|s| Window::Month.end(s))) {
        (Some(last), _) => db.query_one("SELECT EXISTS (SELECT FROM events WHERE seq > $1)", &[&last]).await?,
        (None, Some(end)) => db.query_one("SELECT EXISTS (SELECT FROM events WHERE at >= $1)", &[&end.0]).await?,
        (None, None) => return Ok(false),
    };
    Ok(row.try_get(0)?)
}
