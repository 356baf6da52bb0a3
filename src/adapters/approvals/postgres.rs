//! Requests that the nodes of a fleet have in common: in the PostgreSQL that has their books, beside the keys that they share.
//! One row of the fleet is locked by whoever changes a request, so changes come one by one, over all nodes; its number
//! moves with each, and that is how a node hears of the others'. Redis has no part in it: what it loses is not lost here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::shelf::Shelf;
use super::{ApprovalError, Record, Result, State, Use};
use crate::adapters::audit::AuditError;
use crate::adapters::audit::postgres::connect::{Address, Link};
use crate::adapters::bridge::Bridge;
use crate::adapters::keyring::shared::{prepare, timed};
use crate::config::CredentialSource;
use crate::units::ids::{ApprovalId, Digest32, KeyId};
use crate::units::time::Timestamp;

/// After a failure nobody waits for the next one.
const REST: Duration = Duration::from_millis(500);

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS bursar_fleet.approvals (
        fleet text NOT NULL, id text NOT NULL, asked_at bigint NOT NULL, open_until bigint NOT NULL, state text NOT NULL,
        key text NOT NULL, fingerprint bytea NOT NULL, body text NOT NULL, PRIMARY KEY (fleet, id)
    );
    CREATE INDEX IF NOT EXISTS approvals_same_request ON bursar_fleet.approvals (fleet, fingerprint, asked_at);
    CREATE INDEX IF NOT EXISTS approvals_of_key ON bursar_fleet.approvals (fleet, key, state, open_until);
    CREATE INDEX IF NOT EXISTS approvals_open ON bursar_fleet.approvals (fleet, state, open_until);
    CREATE TABLE IF NOT EXISTS bursar_fleet.approved_uses (
        fleet text NOT NULL, tenant text NOT NULL, agent text NOT NULL, vendor text NOT NULL, operation text NOT NULL,
        PRIMARY KEY (fleet, tenant, agent, vendor, operation)
    );
    CREATE TABLE IF NOT EXISTS bursar_fleet.approval_changes (fleet text PRIMARY KEY, number bigint NOT NULL);
";

type Value = Box<dyn ToSql + Sync + Send>;

pub(super) struct Postgres {
    bridge: Bridge,
    address: Arc<Address>,
    fleet: String,
    /// Taken out while it is asked: after an error nobody knows what state it is in.
    link: Option<Link>,
    failed: Option<Instant>,
}

impl From<AuditError> for ApprovalError {
    fn from(e: AuditError) -> Self {
        Self::Store(e.to_string())
    }
}

impl Postgres {
    /// Connects at the first question.
    pub(super) fn new(url: &str, password: Option<&CredentialSource>, fleet: &str) -> Result<Self> {
        let address = Arc::new(Address::parse(url, password.cloned()).map_err(ApprovalError::Store)?);
        let bridge = Bridge::new("approvals", 1).map_err(|e| ApprovalError::Store(e.to_string()))?;
        Ok(Self { bridge, address, fleet: fleet.to_owned(), link: None, failed: None })
    }

    fn link(&mut self) -> Result<Link> {
        if let Some(link) = self.link.take().filter(|link| !link.client.is_closed()) {
            return Ok(link);
        }
        if self.failed.is_some_and(|at| at.elapsed() < REST) {
            return Err(ApprovalError::Store("PostgreSQL is away".to_owned()));
        }
        let address = self.address.clone();
        let made = self.bridge.wait(async move {
            let link = timed(address.connect()).await?;
            timed(prepare(&link.client, TABLES)).await?;
            Ok::<_, AuditError>(link)
        });
        self.noted(made)
    }

    fn noted<T>(&mut self, done: Option<std::result::Result<T, AuditError>>) -> Result<T> {
        let done = done.unwrap_or_else(|| Err(AuditError::Store("the question was dropped".to_owned())));
        self.failed = done.is_err().then(Instant::now);
        Ok(done?)
    }

    /// `$1` is the fleet.
    fn ask(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>> {
        let (link, fleet) = (self.link()?, self.fleet.clone());
        let asked = self.bridge.wait(async move {
            let all: Vec<&(dyn ToSql + Sync)> = std::iter::once(&fleet as &(dyn ToSql + Sync))
                .chain(values.iter().map(|value| &**value as &(dyn ToSql + Sync)))
                .collect();
            let rows = timed(async { Ok(link.client.query(sql, &all).await?) }).await?;
            Ok((link, rows))
        });
        let (link, rows) = self.noted(asked)?;
        self.link = Some(link);
        Ok(rows)
    }

    fn say(&mut self, sql: &'static str) -> Result<()> {
        let link = self.link()?;
        let said = self.bridge.wait(async move {
            timed(async { Ok(link.client.batch_execute(sql).await?) }).await?;
            Ok(link)
        });
        self.link = Some(self.noted(said)?);
        Ok(())
    }

    fn many(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Record>> {
        self.ask(sql, values)?.iter().map(|row| Ok(serde_json::from_str(&text(row)?)?)).collect()
    }

    fn one(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Option<Record>> {
        Ok(self.many(sql, values)?.pop())
    }

    fn number(&mut self, sql: &'static str, values: Vec<Value>) -> Result<i64> {
        let rows = self.ask(sql, values)?;
        rows.first().map_or(Ok(0), |row| row.try_get(0).map_err(|e| AuditError::from(e).into()))
    }
}

fn text(row: &Row) -> Result<String> {
    row.try_get(0).map_err(|e| AuditError::from(e).into())
}

fn boxed(value: impl ToSql + Sync + Send + 'static) -> Value {
    Box::new(value)
}

fn whose(of: &Use) -> Vec<Value> {
    [&of.tenant, &of.agent, &of.vendor, &of.operation].map(|name| boxed(name.to_string())).into()
}

impl Shelf for Postgres {
    fn begin(&mut self) -> Result<()> {
        // The server may have gone away while the connection was idle: nothing was said yet, so it may be said again.
        if self.say("BEGIN").is_err() {
            self.failed = None;
            self.say("BEGIN")?;
        }
        let lock = "INSERT INTO bursar_fleet.approval_changes AS c VALUES ($1, 1)
            ON CONFLICT (fleet) DO UPDATE SET number = c.number";
        self.ask(lock, Vec::new()).map(drop)
    }

    fn end(&mut self, keep: bool) -> Result<()> {
        // Where the connection is gone, so is what was begun on it; and another one knows of nothing to keep.
        match (&self.link, keep) {
            (None, true) => Err(ApprovalError::Store("PostgreSQL went away in the middle of a change".to_owned())),
            (None, false) => Ok(()),
            (Some(_), true) => self.say("COMMIT"),
            (Some(_), false) => self.say("ROLLBACK"),
        }
    }

    fn moved(&mut self) -> Result<Option<i64>> {
        self.number("SELECT number FROM bursar_fleet.approval_changes WHERE fleet = $1", Vec::new()).map(Some)
    }

    fn write(&mut self, record: &Record) -> Result<()> {
        let sql = "WITH moved AS (UPDATE bursar_fleet.approval_changes SET number = number + 1 WHERE fleet = $1)
            INSERT INTO bursar_fleet.approvals (fleet, id, asked_at, open_until, state, key, fingerprint, body)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            ON CONFLICT (fleet, id) DO UPDATE SET asked_at = excluded.asked_at, open_until = excluded.open_until,
                state = excluded.state, body = excluded.body";
        let Record { id, asked_at, open_until, state, fingerprint, request, .. } = record;
        let (key, body) = (request.key.to_string(), serde_json::to_string(record)?);
        let (times, state) = ([asked_at.0, open_until.0].map(boxed), boxed(state.as_str()));
        let row = std::iter::once(boxed(id.to_string())).chain(times).chain([state, boxed(key)]);
        self.ask(sql, row.chain([boxed(fingerprint.0.to_vec()), boxed(body)]).collect()).map(drop)
    }

    fn find(&mut self, id: &ApprovalId) -> Result<Option<Record>> {
        self.one("SELECT body FROM bursar_fleet.approvals WHERE fleet = $1 AND id = $2", vec![boxed(id.to_string())])
    }

    fn latest(&mut self, fingerprint: Digest32) -> Result<Option<Record>> {
        let sql = "SELECT body FROM bursar_fleet.approvals WHERE fleet = $1 AND fingerprint = $2
            ORDER BY state IN ('pending', 'approved') DESC, asked_at DESC LIMIT 1";
        self.one(sql, vec![boxed(fingerprint.0.to_vec())])
    }

    fn list(&mut self, all: bool) -> Result<Vec<Record>> {
        let sql = "SELECT body FROM bursar_fleet.approvals WHERE fleet = $1 AND ($2 OR state = 'pending')
            ORDER BY asked_at DESC";
        self.many(sql, vec![boxed(all)])
    }

    fn pending_until(&mut self, now: Timestamp) -> Result<Vec<Record>> {
        let sql = "SELECT body FROM bursar_fleet.approvals WHERE fleet = $1 AND state = 'pending' AND open_until <= $2";
        self.many(sql, vec![boxed(now.0)])
    }

    fn of_key(&mut self, key: &KeyId) -> Result<Vec<Record>> {
        let sql = "SELECT body FROM bursar_fleet.approvals WHERE fleet = $1 AND key = $2 AND state IN ('pending', 'approved')";
        self.many(sql, vec![boxed(key.to_string())])
    }

    fn pending_of(&mut self, key: &KeyId, now: Timestamp) -> Result<u64> {
        let sql = "SELECT count(*) FROM bursar_fleet.approvals
            WHERE fleet = $1 AND state = 'pending' AND key = $2 AND open_until > $3";
        self.number(sql, vec![boxed(key.to_string()), boxed(now.0)]).map(i64::unsigned_abs)
    }

    fn has_used(&mut self, of: &Use) -> Result<bool> {
        let sql = "SELECT 1::bigint FROM bursar_fleet.approved_uses
            WHERE fleet = $1 AND tenant = $2 AND agent = $3 AND vendor = $4 AND operation = $5";
        self.number(sql, whose(of)).map(|found| found == 1)
    }

    fn note_use(&mut self, of: &Use) -> Result<()> {
        let sql = "INSERT INTO bursar_fleet.approved_uses VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
        self.ask(sql, whose(of)).map(drop)
    }

    fn forget(&mut self, before: Timestamp) -> Result<()> {
        let live = [State::Pending, State::Approved].map(|state| boxed(state.as_str()));
        let sql = "DELETE FROM bursar_fleet.approvals WHERE fleet = $1 AND open_until < $2 AND state NOT IN ($3, $4)";
        let values = std::iter::once(boxed(before.0)).chain(live).collect();
        self.ask(sql, values).map(drop)
    }
}
