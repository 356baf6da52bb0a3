//! `approvals.db` of a node that has no other beside it: one row a request, and one for each operation that a person has
//! approved for an agent. What was used or said is not lost with power. Decides nothing.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::shelf::Shelf;
use super::{ApprovalError, Record, Result, State, Use};
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

pub(super) struct Sqlite(Connection);

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

impl Sqlite {
    pub(super) fn open(path: &Path) -> Result<Self> {
        Ok(Self(small_db::open(path, Survives::PowerLoss, SCHEMA)?))
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

impl Shelf for Sqlite {
    fn begin(&mut self) -> Result<()> {
        Ok(self.0.execute_batch("BEGIN IMMEDIATE")?)
    }

    fn end(&mut self, keep: bool) -> Result<()> {
        if !keep {
            return Ok(self.0.execute_batch("ROLLBACK")?);
        }
        self.0.execute_batch("COMMIT").map_err(|e| {
            // A full disk leaves it open, and the next change could not begin.
            let _ = self.0.execute_batch("ROLLBACK");
            e.into()
        })
    }

    fn moved(&mut self) -> Result<Option<i64>> {
        Ok(None)
    }

    fn write(&mut self, record: &Record) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO requests (id, asked_at, open_until, state, key, fingerprint, body)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let Record { id, asked_at, open_until, state, fingerprint, request, .. } = record;
        let (key, body) = (request.key.as_str(), serde_json::to_string(record)?);
        let row = params![id.as_str(), asked_at.0, open_until.0, state.as_str(), key, fingerprint.0, body];
        self.0.prepare_cached(sql)?.execute(row)?;
        Ok(())
    }

    fn find(&mut self, id: &ApprovalId) -> Result<Option<Record>> {
        self.one("SELECT body FROM requests WHERE id = ?1", id.as_str())
    }

    fn latest(&mut self, fingerprint: Digest32) -> Result<Option<Record>> {
        self.one("SELECT body FROM requests WHERE fingerprint = ?1 ORDER BY state IN ('pending', 'approved') DESC, asked_at DESC LIMIT 1", fingerprint.0)
    }

    fn list(&mut self, all: bool) -> Result<Vec<Record>> {
        self.many("SELECT body FROM requests WHERE ?1 OR state = 'pending' ORDER BY asked_at DESC", all)
    }

    fn pending_until(&mut self, now: Timestamp) -> Result<Vec<Record>> {
        self.many("SELECT body FROM requests WHERE state = 'pending' AND open_until <= ?1", now.0)
    }

    fn of_key(&mut self, key: &KeyId) -> Result<Vec<Record>> {
        self.many("SELECT body FROM requests WHERE key = ?1 AND state IN ('pending', 'approved')", key.as_str())
    }

    fn pending_of(&mut self, key: &KeyId, now: Timestamp) -> Result<u64> {
        let sql = "SELECT count(*) FROM requests WHERE state = 'pending' AND key = ?1 AND open_until > ?2";
        let count: i64 = self.0.prepare_cached(sql)?.query_row(params![key.as_str(), now.0], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }

    fn has_used(&mut self, of: &Use) -> Result<bool> {
        let sql = "SELECT 1 FROM uses WHERE tenant = ?1 AND agent = ?2 AND vendor = ?3 AND operation = ?4";
        Ok(self.0.prepare_cached(sql)?.exists([&*of.tenant, &*of.agent, &*of.vendor, &*of.operation])?)
    }

    fn note_use(&mut self, of: &Use) -> Result<()> {
        let sql = "INSERT OR IGNORE INTO uses VALUES (?1, ?2, ?3, ?4)";
        self.0.prepare_cached(sql)?.execute([&*of.tenant, &*of.agent, &*of.vendor, &*of.operation])?;
        Ok(())
    }

    fn forget(&mut self, before: Timestamp) -> Result<()> {
        let live = [State::Pending, State::Approved].map(State::as_str);
        let sql = "DELETE FROM requests WHERE open_until < ?1 AND state NOT IN (?2, ?3)";
        self.0.prepare_cached(sql)?.execute(params![before.0, live[0], live[1]])?;
        Ok(())
    }
}

fn body(row: &Row<'_>) -> rusqlite::Result<String> {
    row.get(0)
}
