//! Sums per group of facts, stretch of time and tags, in one statement.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::super::super::groups::{Cut, Group};
use super::super::super::{AuditError, CallQuery};
use super::{conditions, facts, name_conditions, sum};
use crate::rules::subject::Facts;
use crate::units::time::{Timestamp, Window};

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;

pub(in super::super) fn groups(db: &Connection, q: &CallQuery, cut: &Cut) -> Result<Vec<Group>, AuditError> {
    let (sql, values) = text(db, q, cut)?;
    let mut query = db.prepare_cached(&sql)?;
    let mut rows = query.query(params_from_iter(values))?;
    let mut known: HashMap<i64, Arc<Facts>> = HashMap::new();
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let facts = facts_of(row, &mut known)?;
        let tags = (0..cut.tags.len()).map(|n| row.get(11 + n)).collect::<Result<_, _>>()?;
        let stretch: i64 = row.get(10)?;
        let at = Timestamp(stretch.saturating_mul(stretch_of(cut)));
        let (first, last) = (Timestamp(row.get(8)?), Timestamp(row.get(9)?));
        found.push(Group { facts, at, tags, sum: sum(row)?, first, last });
    }
    Ok(found)
}

/// Months are folded from days: SQLite's calendar is not asked.
fn stretch_of(cut: &Cut) -> i64 {
    match cut.every {
        None => i64::MAX,
        Some(Window::Minute | Window::Hour) => HOUR,
        Some(Window::Day | Window::Month | Window::Total | Window::Flight) => DAY,
    }
}

fn text(db: &Connection, q: &CallQuery, cut: &Cut) -> Result<(String, Vec<Value>), AuditError> {
    let path = |tag: &crate::rules::subject::Name| Value::Text(format!("$.row.facts.subject.dimensions.\"{tag}\""));
    let mut values: Vec<Value> = cut.tags.iter().map(path).collect();
    let (names, more) = name_conditions(q);
    let (rest, last) = conditions(db, q)?;
    values.extend(more.into_iter().chain(last));
    let (mut columns, mut order) = (String::new(), String::new());
    for n in 0..cut.tags.len() {
        // Writing to a string cannot fail.
        let _ = write!(columns, ", json_extract(o.body, ?) AS tag{n}");
        let _ = write!(order, ", tag{n}");
    }
    let events = if cut.tags.is_empty() { "" } else { "JOIN events o ON o.seq = r.seq" };
    let only = if names.is_empty() {
        String::new()
    } else {
        format!("AND r.facts IN (SELECT id FROM facts f WHERE 1{names})")
    };
    let stretch = stretch_of(cut);
    let sql = format!(
        "SELECT (SELECT json FROM facts WHERE id = g.facts), g.* FROM (
            SELECT r.facts, sum(r.admitted), sum(1 - r.admitted), sum(r.admitted AND r.outcome IS NULL), sum(r.flagged),
                sum(r.usd), sum(r.tokens), min(r.at), max(r.at), r.at / {stretch} AS stretch{columns}
            FROM call_rows r {events} WHERE 1 {only}{rest} GROUP BY r.facts, stretch{order}) g"
    );
    Ok((sql, values))
}

/// Read once for all stretches of the same group.
fn facts_of(row: &Row<'_>, known: &mut HashMap<i64, Arc<Facts>>) -> Result<Option<Arc<Facts>>, AuditError> {
    let Some(id) = row.get::<_, Option<i64>>(1)? else { return Ok(None) };
    if let Some(found) = known.get(&id) {
        return Ok(Some(found.clone()));
    }
    let read = Arc::new(facts(&row.get::<_, String>(0)?)?);
    known.insert(id, read.clone());
    Ok(Some(read))
}
