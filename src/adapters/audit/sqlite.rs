//! The books in one SQLite file (`DIR/books.db`): one connection that writes, a few that read, WAL in between. Owns the
//! connections; `schema` has the tables, `write` the projection into them, `read` the questions,
//! `evidence` the checkpoints.

mod evidence;
mod read;
mod schema;
mod value;
mod write;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::Connection;

use super::evidence::index::Indexed;
use super::groups::{Cut, Group};
use super::{AuditError, AuditStore, CallPage, CallQuery, Chained, Event, Gap, Linked, RunName, Spend, Sums};
use crate::rules::chain::Place;
use crate::rules::evidence::Signed;
use crate::rules::ledger::account::Shape;
use crate::rules::ledger::entry::Entry;
use crate::units::ids::{CallId, Seq};
use crate::units::time::Timestamp;

/// Readers that stay open between questions.
const IDLE_READERS: usize = 4;

pub struct SqliteBooks {
    path: PathBuf,
    writer: Mutex<write::Writer>,
    readers: Mutex<Vec<Connection>>,
}

impl From<rusqlite::Error> for AuditError {
    fn from(e: rusqlite::Error) -> Self {
        match e {
            rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..) => {
                Self::Unreadable(e.to_string())
            }
            _ => Self::Store(e.to_string()),
        }
    }
}

impl AuditError {
    /// With the file's name in front.
    fn of(self, path: &Path) -> Self {
        let named = |why: String| format!("{}: {why}", path.display());
        match self {
            Self::Store(why) => Self::Store(named(why)),
            Self::Unreadable(why) => Self::Unreadable(named(why)),
            Self::Elsewhere(why) => Self::Elsewhere(named(why)),
        }
    }
}

impl SqliteBooks {
    /// Opens or makes `dir/books.db`.
    pub fn open(dir: &Path) -> Result<Self, AuditError> {
        let path = dir.join("books.db");
        let writer = Self::writer(&path).map_err(|e| e.of(&path))?;
        Ok(Self { path, writer: Mutex::new(writer), readers: Mutex::default() })
    }

    fn writer(path: &Path) -> Result<write::Writer, AuditError> {
        let mut db = connect(path)?;
        // Events fill pages in order: large ones are fewer writes. It counts for a new file alone.
        db.pragma_update(None, "page_size", 16_384)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        schema::migrate(&mut db)?;
        write::Writer::new(db)
    }

    /// Runs a question on a connection of its own, at one moment of the books, beside the writer.
    fn read<T>(&self, ask: impl FnOnce(&Connection) -> Result<T, AuditError>) -> Result<T, AuditError> {
        self.try_read(ask).map_err(|e| e.of(&self.path))
    }

    fn try_read<T>(&self, ask: impl FnOnce(&Connection) -> Result<T, AuditError>) -> Result<T, AuditError> {
        let idle = self.readers.lock().pop();
        let mut db = idle.map_or_else(|| self.reader(), Ok)?;
        let moment = db.transaction()?;
        let answer = ask(&moment);
        moment.finish()?;
        let mut idle = self.readers.lock();
        if idle.len() < IDLE_READERS {
            idle.push(db);
        }
        answer
    }

    fn reader(&self) -> Result<Connection, AuditError> {
        let db = connect(&self.path)?;
        db.pragma_update(None, "query_only", true)?;
        Ok(db)
    }
}

fn connect(path: &Path) -> Result<Connection, AuditError> {
    let db = Connection::open(path)?;
    db.busy_timeout(Duration::from_secs(5))?;
    db.set_prepared_statement_cache_capacity(32);
    Ok(db)
}

impl AuditStore for SqliteBooks {
    fn place(&self) -> Result<Place, AuditError> {
        Ok(self.writer.lock().place())
    }

    fn identity(&self) -> Result<String, AuditError> {
        self.read(schema::identity)
    }

    fn apply(&self, events: &[Chained], durable: bool) -> Result<Seq, AuditError> {
        self.writer.lock().apply(events, durable).map_err(|e| e.of(&self.path))
    }

    fn events(&self, from: Seq, limit: usize) -> Result<Vec<Event>, AuditError> {
        self.read(|db| read::events(db, from, limit))
    }

    fn entries(&self, from: Seq, limit: usize) -> Result<Vec<Entry>, AuditError> {
        self.read(|db| read::entries(db, from, limit))
    }

    fn changes(&self, from: Seq, limit: usize) -> Result<Vec<Event>, AuditError> {
        self.read(|db| read::changes(db, from, limit))
    }

    fn entries_of(&self, call: CallId) -> Result<Vec<Entry>, AuditError> {
        self.read(|db| read::entries_of(db, call))
    }

    fn made(&self, object: &str) -> Result<Vec<CallId>, AuditError> {
        self.read(|db| read::made(db, object))
    }

    fn made_since(&self, since: Timestamp) -> Result<Vec<CallId>, AuditError> {
        self.read(|db| read::made_since(db, since))
    }

    fn runs(&self, query: &CallQuery) -> Result<Vec<RunName>, AuditError> {
        self.read(|db| read::runs(db, query))
    }

    fn calls(&self, query: &CallQuery) -> Result<CallPage, AuditError> {
        self.read(|db| read::calls(db, query))
    }

    fn spend(&self, query: &CallQuery) -> Result<Spend, AuditError> {
        self.read(|db| read::spend(db, query))
    }

    fn groups(&self, query: &CallQuery, cut: &Cut) -> Result<Vec<Group>, AuditError> {
        self.read(|db| read::groups(db, query, cut))
    }

    fn sums(&self, shape: &Shape, start: Timestamp) -> Result<Sums, AuditError> {
        self.read(|db| read::sums(db, shape, start))
    }

    fn gaps(&self) -> Result<Vec<Gap>, AuditError> {
        self.read(read::gaps)
    }

    fn linked(&self, from: Seq, limit: usize) -> Result<Vec<Linked>, AuditError> {
        self.read(|db| evidence::linked(db, from, limit))
    }

    fn indexed(&self, from: Seq, limit: usize) -> Result<Vec<Indexed>, AuditError> {
        self.read(|db| evidence::indexed(db, from, limit))
    }

    fn rows_between(&self, from: Seq, to: Seq) -> Result<u64, AuditError> {
        self.read(|db| evidence::rows_between(db, from, to))
    }

    fn seqs_of(&self, call: CallId) -> Result<Vec<Seq>, AuditError> {
        self.read(|db| evidence::seqs_of(db, call))
    }

    fn seal(&self, signed: &Signed) -> Result<(), AuditError> {
        self.writer.lock().durably(|tx| evidence::seal(tx, signed))
    }

    fn checkpoints(&self, from: u64, limit: usize, keys: bool) -> Result<Vec<Signed>, AuditError> {
        self.read(|db| evidence::checkpoints(db, from, limit, keys))
    }

    fn last_checkpoint(&self) -> Result<Option<Signed>, AuditError> {
        self.read(evidence::last_checkpoint)
    }

    fn prune(&self, upto: Seq) -> Result<u64, AuditError> {
        let mut deleted = 0;
        loop {
            // In small steps, so that the books follow the journal in between.
            let step = self.writer.lock().durably(|tx| evidence::prune(tx, upto))?;
            deleted += step;
            if step == 0 {
                return Ok(deleted);
            }
        }
    }
}
