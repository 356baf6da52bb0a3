//! Pages of call rows: which calls match, newest first, and each row put together from its events.

use tokio_postgres::{Client, Row};

use super::super::super::row::CallRow;
use super::super::super::{AuditError, CallPage, CallQuery};
use super::{Asked, count, entry, signed};
use crate::units::money::MicroCents;

pub(in super::super) async fn calls(db: &Client, q: CallQuery) -> Result<CallPage, AuditError> {
    let named = !q.names().is_empty();
    let narrow = q.agent.is_some() || q.key.is_some() || q.run.is_some();
    // What is rare has an index of its own, unless few groups of facts are asked for.
    if !named || (q.is_rare() && !narrow) {
        return answer(db, &q, Way::Walk(0)).await;
    }
    // A run has few groups of facts, and what is rare is seldom near.
    if q.run.is_none() && !q.is_rare() {
        let near = answer(db, &q, Way::Walk(top(db, &q).await?.saturating_sub(NEAR))).await?;
        if near.next.is_some() {
            return Ok(near);
        }
    }
    answer(db, &q, Way::ByFacts).await
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
async fn top(db: &Client, q: &CallQuery) -> Result<u64, AuditError> {
    let row = db.query_one("SELECT coalesce(max(seq), 0) FROM call_rows", &[]).await?;
    let last = count(&row, 0)?;
    let until = match q.until {
        Some(until) => Some(count(&db.query_one("SELECT first_since($1)", &[&until.0]).await?, 0)?),
        None => None,
    };
    Ok([Some(last.saturating_add(1)), until, q.before].into_iter().flatten().min().unwrap_or(0))
}

async fn answer(db: &Client, q: &CallQuery, way: Way) -> Result<CallPage, AuditError> {
    let mut asked = Asked::default();
    let sql = page(&mut asked, q, way);
    let calls = asked.rows(db, &sql).await?.iter().map(call).collect::<Result<Vec<_>, AuditError>>()?;
    // A full page may be the last one; the next is then empty.
    let next = calls.last().filter(|_| calls.len() == q.rows()).map(|row| row.seq);
    Ok(CallPage { calls, next })
}

fn page(asked: &mut Asked, q: &CallQuery, way: Way) -> String {
    let (names, mut rest) = (asked.names(q), asked.conditions(q));
    if let Some(before) = q.before {
        rest += &format!(" AND r.seq < {}", asked.value(signed(before)));
    }
    let limit = asked.value(signed(q.rows() as u64));
    let chosen = match way {
        Way::Walk(from) => {
            let from = asked.value(signed(from));
            let facts = if names.is_empty() { "" } else { "JOIN facts f ON f.id = r.facts" };
            format!(
                "SELECT r.seq FROM call_rows r {facts} WHERE r.seq > {from}{rest}{names} ORDER BY r.seq DESC LIMIT {limit}"
            )
        }
        Way::ByFacts => {
            let newest =
                format!("SELECT r.seq FROM call_rows r WHERE r.facts = f.id{rest} ORDER BY r.seq DESC LIMIT {limit}");
            format!(
                "SELECT n.seq FROM facts f CROSS JOIN LATERAL ({newest}) n WHERE true{names} ORDER BY n.seq DESC LIMIT {limit}"
            )
        }
    };
    format!(
        "SELECT o.body, c.body, a.body, r.outcome IS NOT NULL, r.usd FROM ({chosen}) p JOIN call_rows r ON r.seq = p.seq
            JOIN events o ON o.seq = r.seq AND o.at = r.at LEFT JOIN events c ON c.seq = r.closed AND c.at = r.closed_at
            LEFT JOIN events a ON a.seq = r.adjusted AND a.at = r.adjusted_at ORDER BY r.seq DESC"
    )
}

fn call(stored: &Row) -> Result<CallRow, AuditError> {
    let opened = entry(stored.try_get(0)?)?;
    let seq = opened.seq;
    let mut row =
        CallRow::opened(opened).ok_or_else(|| AuditError::Unreadable(format!("event {seq} opens no call")))?;
    let later = [stored.try_get::<_, Option<&str>>(1)?, stored.try_get(2)?].into_iter().flatten().map(entry);
    let mut later = later.collect::<Result<Vec<_>, _>>()?;
    later.sort_by_key(|entry| entry.seq);
    later.into_iter().for_each(|entry| row.add(entry.op));
    // Whichever came last, a late commit or an adjustment, the table has its charge.
    row.cost_usd = stored.try_get::<_, bool>(3)?.then_some(MicroCents(count(stored, 4)?));
    Ok(row)
}
