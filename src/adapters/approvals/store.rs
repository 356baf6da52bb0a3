//! `approvals.db`: one row a request, and one for each operation that a person has approved for an agent. What was used or
//! said is not lost with power. Decides nothing.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{ApprovalError, Record, State, Use};
use crate::adapters::small_db::{self, OpenError, Survives};
use crate::units::ids::{ApprovalId, Digest32, KeyId};
use crate::units::time::Timestamp;

const SCHEMA: &str = "
    CREATE TABLE requests (
        id TEXT PRIMARY KEY, asked_at INTEGER NOT NULL, open_until INTEGER NOT NULL, state TEXT NOT NULL, key TEXT NOT NULL,
        fingerprint BLOB NOT NULL, body TEXT NOT NULL
    );
    CREATE INDEX same_request ON requests (fingerprint, asked_at);
    CREATE INDEX of_key ON requests (key, state, open_until);
    CREATE TABLE uses (
        tenant TEXT NOT NULL, agent TEXT NOT NULL, vendor TEXT NOT NULL, operation TEXT NOT NULL,
        PRIMARY KEY (tenant, agent, vendor, operation)
    ) WITHOUT ROWID;
";

pub(super) struct Store(Connection);

impl From<OpenError> for ApprovalError {
    fn from(e: OpenError) -> Self {
        Self::Store(e.to_string())
    }
}

impl From<rusqlite::Error> for ApprovalError {
    fn from(e: rusqlite::Error) -> Self {
        Self::Store(e.to_string())
    }
}

impl From<serde_json::Error> for ApprovalError {
    fn from(e: serde_json::Error) -> Self {
        Self::Store(e.to_string())
    }
}

type Result<T> = std::result::Result<T, ApprovalError>;

impl Store {
    pub(super) fn open(path: &Path) -> Result<Self> {
        Ok(Self(small_db::open(path, Survives::PowerLoss, SCHEMA)?))
    }

    pub(super) fn write(&self, record: &Record) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO requests (id, asked_at, open_until, state, key, fingerprint, body)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let Record { id, asked_at, open_until, state, fingerprint, request, .. } = record;
        let (key, body) = (request.key.as_str(), serde_json::to_string(record)?);
        let row = params![id.as_str(), asked_at.0, open_until.0, state.as_str(), key, fingerprint.0, body];
        self.0.prepare_cached(sql)?.execute(row)?;
        Ok(())
    }

    pub(super) fn find(&self, id: &ApprovalId) -> Result<Option<Record>> {
        self.one("SELECT body FROM requests WHERE id = ?1", id.as_str())
    }

    pub(super) fn latest(&self, fingerprint: Digest32) -> Result<Option<Record>> {
        self.one("SELECT body FROM requests WHERE fingerprint = ?1 ORDER BY asked_at DESC LIMIT 1", fingerprint.0)
    }

    pub(super) fn list(&self) -> Result<Vec<Record>> {
        self.many("SELECT body FROM requests WHERE asked_at > ?1 ORDER BY asked_at DESC", 0_i64)
    }

    /// Of those that wait, the ones whose time is over.
    pub(super) fn pending_until(&self, now: Timestamp) -> Result<Vec<Record>> {
        self.many("SELECT body FROM requests WHERE state = 'pending' AND open_until <= ?1", now.0)
    }

    pub(super) fn of_key(&self, key: &KeyId) -> Result<Vec<Record>> {
        self.many("SELECT body FROM requests WHERE key = ?1 AND state IN ('pending', 'approved')", key.as_str())
    }

    pub(super) fn pending_of(&self, key: &KeyId, now: Timestamp) -> Result<u64> {
        let sql = "SELECT count(*) FROM requests WHERE state = 'pending' AND key = ?1 AND open_until > ?2";
        let count: i64 = self.0.prepare_cached(sql)?.query_row(params![key.as_str(), now.0], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }

    pub(super) fn has_used(&self, of: &Use) -> Result<bool> {
        let sql = "SELECT 1 FROM uses WHERE tenant = ?1 AND agent = ?2 AND vendor = ?3 AND operation = ?4";
        Ok(self.0.prepare_cached(sql)?.exists([&*of.tenant, &*of.agent, &*of.vendor, &*of.operation])?)
    }

    pub(super) fn note_use(&self, of: &Use) -> Result<()> {
        let sql = "INSERT OR IGNORE INTO uses VALUES (?1, ?2, ?3, ?4)";
        self.0.prepare_cached(sql)?.execute([&*of.tenant, &*of.agent, &*of.vendor, &*of.operation])?;
        Ok(())
    }

    /// What may still pass is kept, however old it is.
    pub(super) fn forget(&self, before: Timestamp) -> Result<()> {
        let live = [State::Pending, State::Approved].map(State::as_str);
        let sql = "DELETE FROM requests WHERE open_until < ?1 AND state NOT IN (?2, ?3)";
        self.0.prepare_cached(sql)?.execute(params![before.0, live[0], live[1]])?;
        Ok(())
    }

    fn one(&self, sql: &str, by: impl rusqlite::ToSql) -> Result<Option<Record>> {
        let body = self.0.prepare_cached(sql)?.query_row([by], body).optional()?;
        Ok(body.map(|body| serde_json::from_str(&body)).transpose()?)
    }

    fn many(&self, sql: &str, by: impl rusqlite::ToSql) -> Result<Vec<Record>> {
        let mut query = self.0.prepare_cached(sql)?;
        let bodies = query.query_map([by], body)?.collect::<std::result::Result<Vec<_>, _>>()?;
        Ok(bodies.iter().map(|body| serde_json::from_str(body)).collect::<std::result::Result<_, _>>()?)
    }
}

fn body(row: &Row<'_>) -> rusqlite::Result<String> {
    row.get(0)
}
