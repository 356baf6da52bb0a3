//! Pages of call rows: which calls match, newest first, and each row put together from its events.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::super::super::row::CallRow;
use super::super::super::{AuditError, CallPage, CallQuery};
use super::super::value::Count;
use super::{conditions, count, entry, first_since, name_conditions};
use crate::units::money::MicroCents;

pub(in super::super) fn calls(db: &Connection, q: &CallQuery) -> Result<CallPage, AuditError> {
    let named = !q.names().is_empty();
    let narrow = q.agent.is_some() || q.key.is_some() || q.run.is_some();
    // What is rare has an index of its own, unless few groups of facts are asked for.
    if !named || (q.is_rare() && !narrow) {
        return answer(db, q, Way::Walk(0));
    }
    // A run has few groups of facts, and what is rare is seldom near.
    if q.run.is_none() && !q.is_rare() {
        let near = answer(db, q, Way::Walk(top(db, q)?.saturating_sub(NEAR)))?;
        if near.next.is_some() {
            return Ok(near);
        }
    }
    answer(db, q, Way::ByFacts)
}

/// So many events back the newest rows of somebody are looked for, before their groups of facts are asked: who calls often has
/// a page there, and many groups.
const NEAR: u64 = 50_000;

/// How rows are found.
#[derive(Clone, Copy)]
enum Way {
    /// From the newest, or along an index of what is rare, down to this event.
    Walk(u64),
    /// Each matching group of facts gives its own newest rows from the index: for callers who called seldom or long ago.
    ByFacts,
}

/// Rows lie before this event.
fn top(db: &Connection, q: &CallQuery) -> Result<u64, AuditError> {
    let last = db.query_row("SELECT coalesce(max(seq), 0) FROM call_rows", [], |row| count(row, 0))?;
    let until = q.until.map(|until| first_since(db, until)).transpose()?;
    Ok([Some(last.saturating_add(1)), until, q.before].into_iter().flatten().min().unwrap_or(0))
}

fn answer(db: &Connection, q: &CallQuery, way: Way) -> Result<CallPage, AuditError> {
    let (sql, values) = page(db, q, way)?;
    let mut query = db.prepare_cached(&sql)?;
    let stored = query.query_map(params_from_iter(values), Stored::read)?;
    let calls = stored.map(|row| row?.row()).collect::<Result<Vec<_>, AuditError>>()?;
    // A full page may be the last one; the next is then empty.
    let next = calls.last().filter(|_| calls.len() == q.rows()).map(|row| row.seq);
    Ok(CallPage { calls, next })
}

fn page(db: &Connection, q: &CallQuery, way: Way) -> Result<(String, Vec<Value>), AuditError> {
    let (names, mut values) = name_conditions(q);
    let (mut rest, mut more) = conditions(db, q)?;
    if let Some(before) = q.before {
        rest.push_str(" AND r.seq < ?");
        more.push(Value::Integer(Count(before).signed()));
    }
    let limit = Value::Integer(Count(q.rows() as u64).signed());
    let chosen = match way {
        Way::Walk(from) => {
            rest.push_str(" AND r.seq > ?");
            more.push(Value::Integer(Count(from).signed()));
            let facts = if names.is_empty() { "" } else { "CROSS JOIN facts f ON f.id = r.facts" };
            format!("SELECT r.seq FROM call_rows r {facts} WHERE 1{rest}{names} ORDER BY r.seq DESC LIMIT ?")
        }
        Way::ByFacts => {
            more.push(limit.clone());
            let newest = format!(
                "SELECT r.seq FROM call_rows r INDEXED BY call_rows_by_facts WHERE r.facts = f.id{rest} ORDER BY r.seq DESC LIMIT ?"
            );
            format!(
                "SELECT n.seq FROM facts f CROSS JOIN call_rows n ON n.seq IN ({newest}) WHERE 1{names} ORDER BY n.seq DESC LIMIT ?"
            )
        }
    };
    // The names stand last in both texts.
    more.append(&mut values);
    more.push(limit);
    let sql = format!(
        "SELECT o.body, c.body, a.body, r.outcome IS NOT NULL, r.usd FROM ({chosen}) p JOIN call_rows r ON r.seq = p.seq
            JOIN events o ON o.seq = r.seq LEFT JOIN events c ON c.seq = r.closed LEFT JOIN events a ON a.seq = r.adjusted
            ORDER BY r.seq DESC"
    );
    Ok((sql, more))
}

/// What the tables hold of one row.
struct Stored {
    opened: String,
    closed: Option<String>,
    adjusted: Option<String>,
    ended: bool,
    usd: u64,
}

impl Stored {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            opened: row.get(0)?,
            closed: row.get(1)?,
            adjusted: row.get(2)?,
            ended: row.get(3)?,
            usd: count(row, 4)?,
        })
    }

    fn row(self) -> Result<CallRow, AuditError> {
        let opened = entry(&self.opened)?;
        let seq = opened.seq;
        let mut row =
            CallRow::opened(opened).ok_or_else(|| AuditError::Unreadable(format!("event {seq} opens no call")))?;
        let later = [self.closed, self.adjusted].into_iter().flatten().map(|body| entry(&body));
        let mut later = later.collect::<Result<Vec<_>, _>>()?;
        later.sort_by_key(|entry| entry.seq);
        later.into_iter().for_each(|entry| row.add(entry.op));
        // Whichever came last, a late commit or an adjustment, the table has its charge.
        row.cost_usd = self.ended.then_some(MicroCents(self.usd));
        Ok(row)
    }
}
