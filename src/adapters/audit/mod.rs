//! The books: every event of the journal, one row per call, and the questions asked of them. One trait for all stores.
//! Decides nothing and loses nothing: the journal keeps an entry until the store says that it is safe.
//! `project` turns entries into what is stored, `tail` follows the journal, `row` and `query` are what is asked and answered,
//! `condition`, `find`, `groups`, `history`, `made`, `report`, `runs` and `sift` ask what stores need no index for, `denials` bounds the
//! rows of strangers, `wire` is what the admin API says of all this, `evidence` signs what was chained, `sqlite` and `postgres`
//! are the stores.

pub mod condition;
pub mod denials;
pub mod evidence;
pub mod find;
pub mod groups;
pub mod history;
pub mod made;
pub mod postgres;
mod project;
pub mod pseudonyms;
pub mod query;
pub mod report;
pub mod row;
pub mod runs;
pub mod sift;
pub mod sqlite;
pub mod tail;
pub mod wire;

use std::path::Path;
use std::sync::Arc;

use self::evidence::index::Indexed;
use crate::adapters::ledger::journal::Record;
use crate::config;
use crate::rules::books::Kind;
use crate::rules::chain::Place;
use crate::rules::evidence::Signed;
use crate::rules::ledger::account::{AccountName, Shape};
use crate::rules::ledger::entry::Entry;
use crate::units::ids::{CallId, Digest32, Seq};
use crate::units::time::Timestamp;

pub use query::{CallPage, CallQuery, RunName, Spend};
pub use row::CallRow;

/// Why the books did not answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AuditError {
    /// The disk or the database; it may heal, and whoever writes tries again.
    #[error("the books cannot be reached: {0}")]
    Store(String),
    /// What stands there cannot be read: a newer version, or a damaged row.
    #[error("the books cannot be read: {0}")]
    Unreadable(String),
    /// Another process has the books to itself for this.
    #[error("{0}")]
    Elsewhere(String),
}

/// An entry as the journal has it, and the head of the chain after it.
#[derive(Clone, Debug)]
pub struct Chained {
    pub record: Arc<Record>,
    pub head: Digest32,
}

impl Chained {
    /// These records behind `place`, each with its head; and the place after them.
    pub fn after(place: Place, records: impl IntoIterator<Item = Arc<Record>>) -> (Vec<Self>, Place) {
        let mut place = place;
        let chain = records.into_iter().map(|record| {
            place = place.next(record.seq, record.json());
            Self { record, head: place.head }
        });
        (chain.collect(), place)
    }
}

/// One event as it is tailed. `body` is a JSON object: `kind`, `call_id` if it has one, then the journal's entry, whose bytes are
/// stored as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub seq: Seq,
    pub at: Timestamp,
    /// `None` for steps that concern the ledger alone. They are stored, so that the books are whole; a tail skips them.
    pub kind: Option<Kind>,
    pub call: Option<CallId>,
    pub body: String,
}

impl Event {
    /// The stored entry, with what it is and which call it is about in front.
    fn body(kind: Option<Kind>, call: Option<CallId>, entry: &str) -> String {
        let rest = entry.strip_prefix('{').unwrap_or(entry);
        let kind = kind.map(|k| format!("\"kind\":\"{k}\",")).unwrap_or_default();
        let call = call.map(|c| format!("\"call_id\":\"{c}\",")).unwrap_or_default();
        format!("{{{kind}{call}{rest}")
    }
}

/// A stretch of the journal that never reached these books: somebody removed one of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Gap {
    pub from: Seq,
    pub to: Seq,
    pub noticed_at: Timestamp,
}

/// An event as it was chained: its exact bytes, and the head after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    pub seq: Seq,
    pub head: Digest32,
    pub body: String,
}

/// What the books say was charged, up to one entry of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sums {
    /// Later entries are not in it.
    pub upto: Seq,
    pub accounts: Vec<(AccountName, u64)>,
}

/// The books that the configuration names; `shared` if several processes may have them. May wait some seconds for a server.
pub fn open(store: &config::AuditStore, data: &Path, shared: bool) -> Result<Arc<dyn AuditStore>, AuditError> {
    Ok(match store {
        config::AuditStore::Sqlite => Arc::new(sqlite::SqliteBooks::open(data)?),
        config::AuditStore::Postgres { url, password } => {
            let open = if shared { postgres::PostgresBooks::join } else { postgres::PostgresBooks::open };
            Arc::new(open(url.expose(), password.as_ref())?)
        }
    })
}

/// Where the books are kept. Every method blocks: call them on a thread of their own.
pub trait AuditStore: Send + Sync + 'static {
    /// How far the books go, and the head of their chain there, as this process wrote them last.
    fn place(&self) -> Result<Place, AuditError>;

    /// The same, whoever wrote them.
    fn seen(&self) -> Result<Place, AuditError> {
        self.place()
    }

    /// Is it this process's turn to write? Takes it where nobody has it, and says that whoever has it lives: to be asked every
    /// second. Always, where no other process can have these books.
    fn lead(&self) -> Result<bool, AuditError> {
        Ok(true)
    }

    /// May other processes have these books?
    fn is_shared(&self) -> bool {
        false
    }

    /// Gives that turn up.
    fn resign(&self) {}

    /// Names these very books: made with them and kept in them.
    fn identity(&self) -> Result<String, AuditError>;

    /// Writes entries in one transaction: all of them and the new place in the journal, or nothing. Entries that are there
    /// already are skipped, so a repeat changes nothing. With `durable` it returns only when everything so far survives power
    /// loss; without, it may be lost with the machine and is then projected again.
    fn apply(&self, events: &[Chained], durable: bool) -> Result<Seq, AuditError>;

    /// Events from `from` on, in order, at most `limit`; without those that concern the ledger alone.
    fn events(&self, from: Seq, limit: usize) -> Result<Vec<Event>, AuditError>;

    /// Entries from `from` on as the journal had them, all of them: to put back what a journal lost.
    fn entries(&self, from: Seq, limit: usize) -> Result<Vec<Entry>, AuditError>;

    /// Events other than `admitted`, `settled` and `denied`: what operators did, and what became of calls later. From `from`
    /// on, in order, at most `limit`. Indexed.
    fn changes(&self, from: Seq, limit: usize) -> Result<Vec<Event>, AuditError>;

    /// The entries that the row of a call is made of: its opening, its end, its last adjustment. Indexed.
    fn entries_of(&self, call: CallId) -> Result<Vec<Entry>, AuditError>;

    /// Calls that made a thing of this name at their vendors, the latest first, some of them. Indexed.
    fn made(&self, object: &str) -> Result<Vec<CallId>, AuditError>;

    /// Calls that ended since then and made anything. Indexed.
    fn made_since(&self, since: Timestamp) -> Result<Vec<CallId>, AuditError>;

    /// Runs whose calls have the names of the query, the latest first, and where each stands: a page goes on `before` one.
    fn runs(&self, query: &CallQuery) -> Result<Vec<RunName>, AuditError>;

    /// Rows that match, newest first.
    fn calls(&self, query: &CallQuery) -> Result<CallPage, AuditError>;

    /// Sums over the rows that match. `limit` and `before` do not apply.
    fn spend(&self, query: &CallQuery) -> Result<Spend, AuditError>;

    /// Sums over the rows that match, by facts and as finely as `cut` says. `limit` and `before` do not apply.
    fn groups(&self, query: &CallQuery, cut: &groups::Cut) -> Result<Vec<groups::Group>, AuditError> {
        groups::walk(|page| self.calls(page), query, cut)
    }

    /// What was charged since `start`, for each account of the shape.
    fn sums(&self, shape: &Shape, start: Timestamp) -> Result<Sums, AuditError>;

    /// Stretches that are missing. Empty in a healthy house.
    fn gaps(&self) -> Result<Vec<Gap>, AuditError>;

    /// Events from `from` on as they were chained, all of them, at most `limit`.
    fn linked(&self, from: Seq, limit: usize) -> Result<Vec<Linked>, AuditError>;

    /// Events from `from` on with all that stands beside them, at most `limit`, as they are at one moment.
    fn indexed(&self, from: Seq, limit: usize) -> Result<Vec<Indexed>, AuditError>;

    /// How many rows of calls begin with an event from here to there.
    fn rows_between(&self, from: Seq, to: Seq) -> Result<u64, AuditError>;

    /// The events of a call that are still there.
    fn seqs_of(&self, call: CallId) -> Result<Vec<Seq>, AuditError>;

    /// Adds a checkpoint. When it returns, this and every event so far survive power loss. A number that is there is an error.
    fn seal(&self, signed: &Signed) -> Result<(), AuditError>;

    /// Checkpoints from a number on, in order, at most `limit`; with `keys` those alone that name a new key.
    fn checkpoints(&self, from: u64, limit: usize, keys: bool) -> Result<Vec<Signed>, AuditError>;

    fn last_checkpoint(&self) -> Result<Option<Signed>, AuditError>;

    /// How far a sink is that whichever process writes these books fills; `None` if it never was.
    fn sink_place(&self, name: &str) -> Result<Option<Seq>, AuditError> {
        let _ = name;
        Ok(None)
    }

    /// Keeps that place.
    fn keep_sink_place(&self, name: &str, seq: Seq) -> Result<(), AuditError> {
        let _ = (name, seq);
        Err(AuditError::Store("these books are not shared: each sink has its place in the data folder".to_owned()))
    }

    /// Deletes events up to this one. What calls were charged stays, so that sums stay right. Gives how many it deleted.
    fn prune(&self, upto: Seq) -> Result<u64, AuditError>;
}
