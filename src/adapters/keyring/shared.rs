//! Keys and flags that several nodes share: what a change is, and the one table of it in the PostgreSQL that has the books.
//! Every node keeps all of them in its own `keys.db` as well, and goes on with those while the table is away; here a change
//! is given to the others, and theirs are asked for. Of two changes of one flag the later one holds, on every node. Where the
//! ledger is on Redis `fleet::shared` has the same there, and this is the durable copy. `control::fleet` drives both.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, Row};

use super::record::{FlagRecord, KeyRecord};
use crate::adapters::audit::AuditError;
use crate::adapters::audit::postgres::connect::{Address, Link};
use crate::config::CredentialSource;
use crate::rules::books::Act;
use crate::rules::subject::Flag;
use crate::units::time::Timestamp;

/// A question that takes longer is given up, with its connection.
const PATIENCE: Duration = Duration::from_secs(2);
/// Changes of one look.
const MOST: i64 = 1000;

/// Not of the books' own schema: each node has books, and all of them these. The lock makes steps one by one.
const FLEET: &str = "SELECT pg_advisory_xact_lock(1652912756, 0); CREATE SCHEMA IF NOT EXISTS bursar_fleet;";

/// Steps forward only; one that was made changes nothing.
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS bursar_fleet.shared (
        fleet text NOT NULL, name text NOT NULL, at bigint NOT NULL, is_set boolean NOT NULL, record text NOT NULL,
        seq bigint NOT NULL, PRIMARY KEY (fleet, name)
    );
    CREATE INDEX IF NOT EXISTS shared_by_seq ON bursar_fleet.shared (fleet, seq);
    CREATE SEQUENCE IF NOT EXISTS bursar_fleet.changes;
";

/// A key is written once. Of a flag the later word holds; of two at one moment the one that stops.
const PUT: &str = "
    INSERT INTO bursar_fleet.shared AS s (fleet, name, at, is_set, record, seq)
    VALUES ($1, $2, $3, $4, $5, nextval('bursar_fleet.changes'))
    ON CONFLICT (fleet, name) DO UPDATE SET at = excluded.at, is_set = excluded.is_set, record = excluded.record,
        seq = excluded.seq
    WHERE (s.at, s.is_set) < (excluded.at, excluded.is_set)";

/// One change, as the table and Redis have it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Shared {
    Key { key: Box<KeyRecord> },
    Flag { flag: Flag, on: bool, act: Act, at: Timestamp },
}

impl From<&FlagRecord> for Shared {
    fn from(f: &FlagRecord) -> Self {
        Self::Flag { flag: f.flag.clone(), on: f.on, act: f.act.clone(), at: f.at }
    }
}

impl Shared {
    /// The same for all changes of one key or flag.
    pub fn name(&self) -> String {
        match self {
            Self::Key { key } => format!("key {}", key.id),
            Self::Flag { flag, .. } => format!("flag {}", serde_json::json!(flag)),
        }
    }

    /// The later of two holds.
    pub fn order(&self) -> (i64, bool) {
        match self {
            Self::Key { key } => (key.created_at.0, false),
            Self::Flag { at, on, .. } => (at.0, *on),
        }
    }
}

/// What a look found.
pub struct Look {
    /// Nothing was seen on this connection before.
    pub from_the_first: bool,
    pub changes: Vec<Shared>,
    upto: i64,
}

impl Look {
    /// May there be more?
    pub fn full(&self) -> bool {
        self.changes.len() as i64 == MOST
    }
}

/// The way to the table.
pub struct Table {
    address: Address,
    name: String,
    link: Option<Link>,
    /// The last change that was seen here.
    seen: i64,
}

impl Table {
    /// Connects at the first question.
    pub fn new(url: &str, password: Option<&CredentialSource>, name: &str) -> Result<Self, String> {
        let address = Address::parse(url, password.cloned())?;
        Ok(Self { address, name: name.to_owned(), link: None, seen: 0 })
    }

    /// Gives a change to the others. Durable there when this returns.
    pub async fn put(&mut self, change: &Shared) -> Result<(), AuditError> {
        let record = serde_json::to_string(change).map_err(|e| AuditError::Store(e.to_string()))?;
        let (name, (at, set), fleet) = (change.name(), change.order(), self.name.clone());
        let link = self.link().await?;
        let put = timed(async {
            // One after the other: numbers are seen in the order in which they were given.
            link.client.batch_execute("BEGIN; SELECT pg_advisory_xact_lock(1652912756, 1)").await?;
            link.client.execute(PUT, &[&fleet, &name, &at, &set, &record]).await?;
            Ok(link.client.batch_execute("COMMIT").await?)
        })
        .await;
        put?;
        self.link = Some(link);
        Ok(())
    }

    /// What changed since `seen` was said, in order; all there is, on a new connection: it may be another server by now, put
    /// back from a copy.
    pub async fn look(&mut self) -> Result<Look, AuditError> {
        let link = self.link().await?;
        let asked = "SELECT seq, record FROM bursar_fleet.shared WHERE fleet = $1 AND seq > $2 ORDER BY seq LIMIT $3";
        let rows = timed(async { Ok(link.client.query(asked, &[&self.name, &self.seen, &MOST]).await?) }).await?;
        let changes = rows.iter().map(change).collect::<Result<Vec<_>, _>>()?;
        self.link = Some(link);
        let upto = changes.last().map_or(self.seen, |(seq, _)| *seq);
        Ok(Look { from_the_first: self.seen == 0, changes: changes.into_iter().map(|(_, c)| c).collect(), upto })
    }

    /// What a look gave is dealt with.
    pub fn seen(&mut self, look: &Look) {
        self.seen = look.upto;
    }

    /// Taken out: after an error nobody knows what state the connection is in.
    async fn link(&mut self) -> Result<Link, AuditError> {
        if let Some(link) = self.link.take().filter(|link| !link.client.is_closed()) {
            return Ok(link);
        }
        let link = timed(self.address.connect()).await?;
        self.seen = 0;
        timed(prepare(&link.client, TABLES)).await?;
        Ok(link)
    }
}

/// Of a new connection to what a fleet has in common: `tables` are there after it.
pub(in crate::adapters) async fn prepare(db: &Client, tables: &str) -> Result<(), AuditError> {
    // A node that dies between two statements must not hold up the others.
    let patience = "SET idle_in_transaction_session_timeout = '5s'; SET lock_timeout = '1500ms'";
    Ok(db.batch_execute(&format!("{patience}; BEGIN; {FLEET} {tables} COMMIT")).await?)
}

pub(in crate::adapters) async fn timed<T>(work: impl Future<Output = Result<T, AuditError>>) -> Result<T, AuditError> {
    let late = || AuditError::Store("PostgreSQL did not answer in time".to_owned());
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(late()))
}

fn change(row: &Row) -> Result<(i64, Shared), AuditError> {
    let (seq, record): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
    let shared = serde_json::from_str(&record)
        .map_err(|e| AuditError::Unreadable(format!("change {seq} of the fleet's keys: {e}")))?;
    Ok((seq, shared))
}
