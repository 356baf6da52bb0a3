//! Sums per group of facts, stretch of time and tags, in one statement.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Write as _;
use std::sync::Arc;

use tokio_postgres::{Client, Row};

use super::super::super::groups::{Cut, Group};
use super::super::super::{AuditError, CallQuery};
use super::{Asked, facts, storable, sum, sum_of};
use crate::rules::subject::Facts;
use crate::units::time::{Timestamp, Window};

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;

pub(in super::super) async fn groups(db: &Client, q: CallQuery, cut: Cut) -> Result<Vec<Group>, AuditError> {
    let mut asked = Asked::default();
    let sql = text(&mut asked, &q, &cut);
    let mut known: HashMap<i64, Arc<Facts>> = HashMap::new();
    let rows = asked.rows(db, &sql).await?;
    rows.iter().map(|row| group(row, &cut, &mut known)).collect()
}

/// Months are folded from days, as for every store.
fn stretch_of(cut: &Cut) -> i64 {
    match cut.every {
        None => i64::MAX,
        Some(Window::Minute | Window::Hour) => HOUR,
        Some(Window::Day | Window::Month | Window::Total | Window::Flight) => DAY,
    }
}

fn text(asked: &mut Asked, q: &CallQuery, cut: &Cut) -> String {
    let (mut columns, mut order) = (String::new(), String::new());
    for (n, tag) in cut.tags.iter().enumerate() {
        let name = asked.value(storable(tag));
        // PostgreSQL reads no text with a character zero, and one such tag must not stop the sums of all others.
        let read = format!("o.body::json #> '{{row,facts,subject,dimensions}}' ->> {name}");
        // Writing to a string cannot fail.
        let _ = write!(columns, ", CASE WHEN strpos(o.body, '\\u0000') = 0 THEN {read} END AS tag{n}");
        let _ = write!(order, ", tag{n}");
    }
    let events = if cut.tags.is_empty() { "" } else { "JOIN events o ON o.seq = r.seq AND o.at = r.at" };
    let (names, rest) = (asked.names(q), asked.conditions(q));
    let only = match &*names {
        "" => String::new(),
        names => format!("AND r.facts IN (SELECT id FROM facts f WHERE true{names})"),
    };
    let (stretch, usd, tokens) = (stretch_of(cut), sum_of("usd"), sum_of("tokens"));
    format!(
        "SELECT f.json, g.* FROM (
            SELECT r.facts, count(*) FILTER (WHERE r.admitted), count(*) FILTER (WHERE NOT r.admitted),
                count(*) FILTER (WHERE r.admitted AND r.outcome IS NULL), count(*) FILTER (WHERE r.flagged), {usd}, {tokens},
                min(r.at), max(r.at), r.at / {stretch} AS stretch{columns}
            FROM call_rows r {events} WHERE true {only}{rest} GROUP BY r.facts, stretch{order}) g
            LEFT JOIN facts f ON f.id = g.facts"
    )
}

fn group(row: &Row, cut: &Cut, known: &mut HashMap<i64, Arc<Facts>>) -> Result<Group, AuditError> {
    let facts = facts_of(row, known)?;
    let tags = (0..cut.tags.len()).map(|n| row.try_get(11 + n)).collect::<Result<_, _>>()?;
    let at = Timestamp(row.try_get::<_, i64>(10)?.saturating_mul(stretch_of(cut)));
    let (first, last) = (Timestamp(row.try_get(8)?), Timestamp(row.try_get(9)?));
    Ok(Group { facts, at, tags, sum: sum(row)?, first, last })
}

/// Read once for all stretches of the same group.
fn facts_of(row: &Row, known: &mut HashMap<i64, Arc<Facts>>) -> Result<Option<Arc<Facts>>, AuditError> {
    let Some(id) = row.try_get::<_, Option<i64>>(1)? else { return Ok(None) };
    let read = match known.entry(id) {
        Entry::Occupied(found) => found.into_mut(),
        Entry::Vacant(free) => free.insert(Arc::new(facts(row.try_get(0)?)?)),
    };
    Ok(Some(read.clone()))
}
