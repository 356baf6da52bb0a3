//! `captures.db`: one row a body, sealed. What is deleted is overwritten. Knows no key.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

use super::{CaptureError, Part, said};
use crate::adapters::small_db::{self, OpenError, Survives};
use crate::units::ids::CallId;
use crate::units::time::Timestamp;

const SCHEMA: &str = "
    CREATE TABLE bodies (
        call BLOB NOT NULL, part TEXT NOT NULL, at INTEGER NOT NULL, until INTEGER NOT NULL, whole INTEGER NOT NULL,
        nonce BLOB NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (call, part)
    );
    CREATE INDEX ends ON bodies (until);
";

pub(super) struct Store(Connection);

/// A row as it lies there.
pub(super) struct Row {
    pub at: Timestamp,
    pub until: Timestamp,
    pub whole: bool,
    pub nonce: Vec<u8>,
    pub sealed: Vec<u8>,
}

impl From<OpenError> for CaptureError {
    fn from(e: OpenError) -> Self {
        said(e.to_string())
    }
}

impl From<rusqlite::Error> for CaptureError {
    fn from(e: rusqlite::Error) -> Self {
        said(e.to_string())
    }
}

impl Store {
    pub(super) fn open(path: &Path) -> Result<Self, CaptureError> {
        // Survives the process. They are no books: what a power loss takes was not promised.
        let db = small_db::open(path, Survives::ProcessDeath, SCHEMA)?;
        db.pragma_update(None, "secure_delete", "ON")?;
        Ok(Self(db))
    }

    #[expect(clippy::too_many_arguments, reason = "one row")]
    pub(super) fn insert(
        &self,
        call: CallId,
        part: Part,
        at: Timestamp,
        until: Timestamp,
        whole: bool,
        nonce: &[u8],
        sealed: &[u8],
    ) -> Result<(), CaptureError> {
        let sql =
            "INSERT INTO bodies (call, part, at, until, whole, nonce, sealed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let row = params![call.0.as_bytes(), part.as_str(), at.0, until.0, whole, nonce, sealed];
        self.0.prepare_cached(sql)?.execute(row)?;
        Ok(())
    }

    pub(super) fn find(&self, call: CallId, part: Part) -> Result<Option<Row>, CaptureError> {
        let sql = "SELECT at, until, whole, nonce, sealed FROM bodies WHERE call = ?1 AND part = ?2";
        let mut query = self.0.prepare_cached(sql)?;
        let row = query.query_row(params![call.0.as_bytes(), part.as_str()], |row| {
            let (at, until) = (Timestamp(row.get(0)?), Timestamp(row.get(1)?));
            Ok(Row { at, until, whole: row.get(2)?, nonce: row.get(3)?, sealed: row.get(4)? })
        });
        Ok(row.optional()?)
    }

    pub(super) fn forget(&self, now: Timestamp) -> Result<usize, CaptureError> {
        let gone = self.0.execute("DELETE FROM bodies WHERE until <= ?1", [now.0])?;
        // So that the log has none of them either; a reader in the way leaves it to the next time.
        self.0.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(gone)
    }
}
