//! Questions to the books on PostgreSQL. Each runs inside one read transaction, so that it sees one moment. Writes nothing.

mod groups;
mod rows;

use std::collections::BTreeMap;

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use super::super::query::Sum;
use super::super::{AuditError, CallQuery, Event, Gap, RunName, Spend, Sums};
use super::write::{signed, storable};
use crate::rules::books::Kind;
use crate::rules::ledger::account::{AccountName, Shape};
use crate::rules::ledger::entry::Entry;
use crate::rules::subject::{Facts, Name};
use crate::units::ids::{CallId, Seq};
use crate::units::money::MicroCents;
use crate::units::time::Timestamp;

pub(super) use groups::groups;
pub(super) use rows::calls;

pub(super) async fn events(db: &Client, from: Seq, limit: usize) -> Result<Vec<Event>, AuditError> {
    let sql =
        "SELECT seq, at, kind, call_id, body FROM events WHERE seq >= $1 AND kind IS NOT NULL ORDER BY seq LIMIT $2";
    let rows = db.query(sql, &[&signed(from), &signed(limit as u64)]).await?;
    rows.iter().map(event).collect()
}

pub(super) async fn entries(db: &Client, from: Seq, limit: usize) -> Result<Vec<Entry>, AuditError> {
    let sql = "SELECT body FROM events WHERE seq >= $1 ORDER BY seq LIMIT $2";
    let rows = db.query(sql, &[&signed(from), &signed(limit as u64)]).await?;
    rows.iter().map(|row| entry(row.try_get(0)?)).collect()
}

/// Such events are few: they have an index of their own, which usual calls do not pay for.
pub(super) async fn changes(db: &Client, from: Seq, limit: usize) -> Result<Vec<Event>, AuditError> {
    let sql = "SELECT seq, at, kind, call_id, body FROM events
        WHERE seq >= $1 AND kind NOT IN ('admitted', 'settled', 'denied') ORDER BY seq LIMIT $2";
    let rows = db.query(sql, &[&signed(from), &signed(limit as u64)]).await?;
    rows.iter().map(event).collect()
}

pub(super) async fn entries_of(db: &Client, call: CallId) -> Result<Vec<Entry>, AuditError> {
    let sql = "SELECT e.body FROM call_rows r
        CROSS JOIN LATERAL (VALUES (r.seq, r.at), (r.closed, r.closed_at), (r.adjusted, r.adjusted_at)) p (seq, at)
        JOIN events e ON e.seq = p.seq AND e.at = p.at WHERE r.call_id = $1 ORDER BY e.seq";
    let rows = db.query(sql, &[&call.0]).await?;
    rows.iter().map(|row| entry(row.try_get(0)?)).collect()
}

/// Said as the index says it, or it is not used.
const MADE: &str =
    "kind IN ('settled', 'adjusted') AND strpos(body, '\"made\":{\"object\":') > 0 AND strpos(body, '\\u0000') = 0";

pub(super) async fn made(db: &Client, object: String) -> Result<Vec<CallId>, AuditError> {
    let sql = format!(
        "SELECT call_id FROM events WHERE {MADE} AND body::json #>> '{{row,made,object}}' = $1 ORDER BY seq DESC LIMIT 16"
    );
    let rows = db.query(&sql, &[&object]).await?;
    rows.iter().map(|row| Ok(CallId(row.try_get(0)?))).collect()
}

pub(super) async fn made_since(db: &Client, since: Timestamp) -> Result<Vec<CallId>, AuditError> {
    let sql = format!("SELECT call_id FROM events WHERE {MADE} AND at >= $1");
    let rows = db.query(&sql, &[&since.0]).await?;
    rows.iter().map(|row| Ok(CallId(row.try_get(0)?))).collect()
}

/// Walks the groups of facts from the newest; a run counts where its newest group stands.
pub(super) async fn runs(db: &Client, q: CallQuery) -> Result<Vec<RunName>, AuditError> {
    let mut asked = Asked::default();
    let names = asked.names(&q);
    let newer = names.replace(" f.", " g.");
    let before = asked.value(q.before.map_or(i64::MAX, signed));
    let limit = asked.value(signed(q.rows() as u64));
    let sql = format!(
        "SELECT f.id, f.tenant, f.run FROM facts f WHERE f.run IS NOT NULL{names} AND f.id < {before}
            AND NOT EXISTS (SELECT 1 FROM facts g WHERE g.run = f.run AND g.tenant = f.tenant AND g.id > f.id{newer})
            ORDER BY f.id DESC LIMIT {limit}"
    );
    let name = |row: &Row, column: usize| Ok::<_, AuditError>(Name::from(row.try_get::<_, &str>(column)?));
    let run = |row: &Row| Ok(RunName { place: count(row, 0)?, tenant: name(row, 1)?, run: name(row, 2)? });
    asked.rows(db, &sql).await?.iter().map(run).collect()
}

fn entry(body: &str) -> Result<Entry, AuditError> {
    serde_json::from_str(body).map_err(|e| AuditError::Unreadable(format!("event: {e}")))
}

pub(super) fn count(row: &Row, column: usize) -> Result<u64, AuditError> {
    let n: i64 = row.try_get(column)?;
    u64::try_from(n).map_err(|_| AuditError::Unreadable(format!("column {column} is {n}")))
}

fn event(row: &Row) -> Result<Event, AuditError> {
    let kind = row.try_get::<_, Option<&str>>(2)?.and_then(Kind::parse);
    let call = row.try_get::<_, Option<uuid::Uuid>>(3)?.map(CallId);
    let body = Event::body(kind, call, row.try_get(4)?);
    Ok(Event { seq: count(row, 0)?, at: Timestamp(row.try_get(1)?), kind, call, body })
}

pub(super) async fn gaps(db: &Client) -> Result<Vec<Gap>, AuditError> {
    let rows = db.query("SELECT first, last, noticed_at FROM gaps ORDER BY first", &[]).await?;
    let gap = |row: &Row| Ok(Gap { from: count(row, 0)?, to: count(row, 1)?, noticed_at: Timestamp(row.try_get(2)?) });
    rows.iter().map(gap).collect()
}

/// Conditions and the values that they name, in order.
#[derive(Default)]
struct Asked {
    values: Vec<Box<dyn ToSql + Sync + Send>>,
}

impl Asked {
    /// The name of a value in the text.
    fn value(&mut self, value: impl ToSql + Sync + Send + 'static) -> String {
        self.values.push(Box::new(value));
        format!("${}", self.values.len())
    }

    /// Conditions on `r` (call_rows), but for those on names.
    fn conditions(&mut self, q: &CallQuery) -> String {
        let mut sql = String::new();
        if let Some(call) = q.call {
            sql += &format!(" AND r.call_id = {}", self.value(call.0));
        }
        // Words of closed sets, as they are: so it is seen that the indexes of what is rare serve.
        sql += &q.verdict.map_or(String::new(), |verdict| format!(" AND r.verdict = '{verdict}'"));
        sql += &q.outcome.map_or(String::new(), |outcome| format!(" AND r.outcome = '{outcome}'"));
        sql += q.flagged.map_or("", |flagged| if flagged { " AND r.flagged" } else { " AND NOT r.flagged" });
        for (sign, at) in [(">=", q.since), ("<", q.until)] {
            // A question of its own, so that it is asked once and the index is used for what it finds.
            sql +=
                &at.map_or(String::new(), |at| format!(" AND r.seq {sign} (SELECT first_since({}))", self.value(at.0)));
        }
        sql
    }

    /// Conditions on `f` (facts); empty without names.
    fn names(&mut self, q: &CallQuery) -> String {
        let names = q.names().into_iter();
        names.map(|(column, name)| format!(" AND f.{column} = {}", self.value(storable(name)))).collect()
    }

    async fn rows(&self, db: &Client, sql: &str) -> Result<Vec<Row>, AuditError> {
        let values: Vec<&(dyn ToSql + Sync)> = self.values.iter().map(|v| &**v as &(dyn ToSql + Sync)).collect();
        Ok(db.query(sql, &values).await?)
    }
}

pub(super) async fn spend(db: &Client, q: CallQuery) -> Result<Spend, AuditError> {
    let mut asked = Asked::default();
    let (names, rest) = (asked.names(&q), asked.conditions(&q));
    let only = match &*names {
        "" => String::new(),
        names => format!("AND r.facts IN (SELECT id FROM facts f WHERE true{names})"),
    };
    let (usd, tokens) = (sum_of("usd"), sum_of("tokens"));
    let sql = format!(
        "SELECT f.json, g.* FROM (
            SELECT r.facts, count(*) FILTER (WHERE r.admitted), count(*) FILTER (WHERE NOT r.admitted),
                count(*) FILTER (WHERE r.admitted AND r.outcome IS NULL), count(*) FILTER (WHERE r.flagged), {usd}, {tokens}
            FROM call_rows r WHERE true {only}{rest} GROUP BY r.facts) g LEFT JOIN facts f ON f.id = g.facts"
    );
    let group = |row: &Row| Ok((row.try_get::<_, Option<&str>>(0)?.map(facts).transpose()?, sum(row)?));
    let groups: Result<Vec<_>, AuditError> = asked.rows(db, &sql).await?.iter().map(group).collect();
    Ok(Spend::fold(&groups?))
}

/// A sum that does not fit is the largest that does.
fn sum_of(column: &str) -> String {
    format!("least(sum(r.{column}), {})::bigint", i64::MAX)
}

fn sum(row: &Row) -> Result<Sum, AuditError> {
    Ok(Sum {
        calls: count(row, 2)?,
        refused: count(row, 3)?,
        open: count(row, 4)?,
        flagged: count(row, 5)?,
        cost_usd: MicroCents(count(row, 6)?),
        tokens: count(row, 7)?,
    })
}

fn facts(json: &str) -> Result<Facts, AuditError> {
    serde_json::from_str(json).map_err(|e| AuditError::Unreadable(format!("facts: {e}")))
}

/// The rules name the accounts of each group of facts, so that the books and the ledger cannot disagree on who pays.
pub(super) async fn sums(db: &Client, shape: Shape, start: Timestamp) -> Result<Sums, AuditError> {
    let upto = count(&db.query_one("SELECT seq FROM place", &[]).await?, 0)?;
    if !shape.window.keeps_charges() {
        return Ok(Sums { upto, accounts: Vec::new() });
    }
    let sql = format!(
        "SELECT f.json, s.spent FROM (
            SELECT r.facts, {} AS spent FROM call_rows r
            WHERE r.seq >= (SELECT first_since($1)) AND r.facts IS NOT NULL GROUP BY r.facts
        ) s JOIN facts f ON f.id = s.facts WHERE s.spent > 0",
        sum_of(shape.unit.as_str())
    );
    let mut accounts: BTreeMap<AccountName, u64> = BTreeMap::new();
    for row in db.query(&sql, &[&start.0]).await? {
        let spent = count(&row, 1)?;
        for account in shape.accounts(&facts(row.try_get(0)?)?) {
            let sum = accounts.entry(account).or_default();
            *sum = sum.saturating_add(spent);
        }
    }
    Ok(Sums { upto, accounts: accounts.into_iter().collect() })
}

pub(super) async fn sink_place(db: &Client, name: &str) -> Result<Option<Seq>, AuditError> {
    let found = db.query_opt("SELECT seq FROM sink_places WHERE name = $1", &[&name]).await?;
    found.map(|row| count(&row, 0)).transpose()
}
