//! Pages of call rows: which calls match, newest first, and each row put together from its events.

use tokio_postgres::{Client, Row};

use super::super::super::row::CallRow;
use super::super::super::{AuditError, CallPage, CallQuery};
use super::{Asked, count, entry, signed};
use crate::units::money::MicroCents;

pub(in super::super) async fn calls(db: &Client, q: CallQuery) -> Result<CallPage, AuditError> {
    let mut asked = Asked::default();
    let sql = page(&mut asked, &q);
    let calls = asked.rows(db, &sql).await?.iter().map(call).collect::<Result<Vec<_>, AuditError>>()?;
    // A full page may be the last one; the next is then empty.
    let next = calls.last().filter(|_| calls.len() == q.rows()).map(|row| row.seq);
    Ok(CallPage { calls, next })
}

/// Without a name the newest rows are walked. With one, each matching group of facts gives its own newest rows from the
/// index, so that a rare caller among ten million calls costs no more than a busy one.
fn page(asked: &mut Asked, q: &CallQuery) -> String {
    let (names, mut rest) = (asked.names(q), asked.conditions(q));
    if let Some(before) = q.before {
        rest += &format!(" AND r.seq < {}", asked.value(signed(before)));
    }
    let limit = asked.value(signed(q.rows() as u64));
    let chosen = if names.is_empty() {
        format!("SELECT r.seq FROM call_rows r WHERE true{rest} ORDER BY r.seq DESC LIMIT {limit}")
    } else {
        let newest =
            format!("SELECT r.seq FROM call_rows r WHERE r.facts = f.id{rest} ORDER BY r.seq DESC LIMIT {limit}");
        format!(
            "SELECT n.seq FROM facts f CROSS JOIN LATERAL ({newest}) n WHERE true{names} ORDER BY n.seq DESC LIMIT {limit}"
        )
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
