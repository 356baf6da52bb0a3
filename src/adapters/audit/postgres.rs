//! The books on PostgreSQL: one connection that writes, a few that read. Owns the connections and the small runtime on which
//! they live, since the trait blocks; `connect` makes them, `turns` says whose turn it is to write, `schema` has the tables,
//! `write` the projection into them, `read` the questions. Whatever fails is an error that may heal: the follower tries again, on a new connection.

pub mod connect;
mod evidence;
mod pool;
mod read;
mod schema;
mod tls;
mod turns;
mod write;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio_postgres::Client;

use super::evidence::index::Indexed;
use super::groups::{Cut, Group};
use super::{AuditError, AuditStore, CallPage, CallQuery, Chained, Event, Gap, Linked, RunName, Spend, Sums};
use crate::adapters::bridge::Bridge;
use crate::config::CredentialSource;
use crate::rules::chain::Place;
use crate::rules::evidence::Signed;
use crate::rules::ledger::account::Shape;
use crate::rules::ledger::entry::Entry;
use crate::units::ids::{CallId, Seq};
use crate::units::time::Timestamp;
use connect::Address;
use pool::{Answer, Readers};
use write::Writer;

/// A batch that takes longer is given up, with its connection.
const WRITE_TIME: Duration = Duration::from_secs(60);
/// How long a start waits for a server that is starting too, or for the lock of a bursar that is going down.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the server may take to say whose turn it is.
const TURN_TIME: Duration = Duration::from_secs(5);

pub struct PostgresBooks {
    bridge: Bridge,
    /// Several processes have these books, and take turns in writing them.
    shared: bool,
    writer: Arc<tokio::sync::Mutex<Writer>>,
    readers: Arc<Readers>,
    /// As the last batch left it, so that it can be told while the server is away.
    place: Arc<Mutex<Place>>,
}

impl From<tokio_postgres::Error> for AuditError {
    fn from(e: tokio_postgres::Error) -> Self {
        let Some(db) = e.as_db_error() else {
            let behind = std::error::Error::source(&e).map(|s| format!(": {s}")).unwrap_or_default();
            return Self::Store(format!("PostgreSQL: {e}{behind}"));
        };
        let (code, told) = (db.code().code(), format!("PostgreSQL: {} ({})", db.message(), db.code().code()));
        // A wrong user, password or database, or a missing right: waiting does not heal it, an operator does.
        let refused = code.starts_with("28") || ["3D000", "3F000", "42501"].contains(&code);
        if refused { Self::Unreadable(told) } else { Self::Store(told) }
    }
}

impl PostgresBooks {
    /// Connects, takes the writer's lock, and brings the tables up to date. `url` may hold a password; none is ever printed.
    ///
    /// # Errors
    /// An address that cannot be read; tables of a newer program; a server that is away, or books that another bursar writes,
    /// for longer than `PATIENCE`.
    pub fn open(url: &str, password: Option<&CredentialSource>) -> Result<Self, AuditError> {
        Self::begin(url, password, false)
    }

    /// The same for one of several processes that have these books: it waits for no lock, and `lead` says whose turn it is.
    pub fn join(url: &str, password: Option<&CredentialSource>) -> Result<Self, AuditError> {
        Self::begin(url, password, true)
    }

    fn begin(url: &str, password: Option<&CredentialSource>, shared: bool) -> Result<Self, AuditError> {
        let address = Arc::new(Address::parse(url, password.cloned()).map_err(AuditError::Unreadable)?);
        let bridge = Bridge::new("books", 2).map_err(|e| AuditError::Store(e.to_string()))?;
        let (writer, place) = waited(bridge.wait(Writer::open(address.clone(), shared, PATIENCE)))?;
        let (writer, place) = (Arc::new(tokio::sync::Mutex::new(writer)), Arc::new(Mutex::new(place)));
        Ok(Self { bridge, shared, writer, readers: Arc::new(Readers::new(address)), place })
    }

    fn read<T: Send + 'static>(
        &self,
        ask: impl for<'a> Fn(&'a Client) -> Answer<'a, T> + Send + Sync + 'static,
    ) -> Result<T, AuditError> {
        let readers = self.readers.clone();
        waited(self.bridge.wait(async move { readers.ask(ask).await }))
    }

    /// A change that concerns no event, by the one connection that writes; it survives a loss of power, as does all before it.
    fn change<T: Send + 'static>(
        &self,
        change: impl for<'a> Fn(&'a Client) -> Answer<'a, T> + Send + Sync + 'static,
    ) -> Result<T, AuditError> {
        let writer = self.writer.clone();
        waited(self.bridge.wait(async move {
            let mut writer = writer.lock().await;
            let changed = tokio::time::timeout(WRITE_TIME, writer.durably(change)).await;
            changed.unwrap_or_else(|_| Err(late()))
        }))
    }
}

impl AuditStore for PostgresBooks {
    fn place(&self) -> Result<Place, AuditError> {
        Ok(*self.place.lock())
    }

    fn apply(&self, events: &[Chained], durable: bool) -> Result<Seq, AuditError> {
        let (writer, place, events) = (self.writer.clone(), self.place.clone(), events.to_vec());
        waited(self.bridge.wait(async move {
            let mut writer = writer.lock().await;
            let applied = tokio::time::timeout(WRITE_TIME, writer.apply(&events, durable)).await;
            // The place is told also after an error: the follower goes on from there.
            *place.lock() = writer.place();
            applied.unwrap_or_else(|_| Err(late())).map(|place| place.seq)
        }))
    }

    fn lead(&self) -> Result<bool, AuditError> {
        if !self.shared {
            return Ok(true);
        }
        let (writer, place) = (self.writer.clone(), self.place.clone());
        waited(self.bridge.wait(async move {
            let mut writer = writer.lock().await;
            let leads = tokio::time::timeout(TURN_TIME, writer.lead()).await;
            *place.lock() = writer.place();
            leads.unwrap_or_else(|_| Err(late()))
        }))
    }

    fn is_shared(&self) -> bool {
        self.shared
    }

    fn resign(&self) {
        if self.shared {
            let writer = self.writer.clone();
            let _ = self.bridge.wait(async move { writer.lock().await.resign() });
        }
    }

    fn seen(&self) -> Result<Place, AuditError> {
        self.read(|db| Box::pin(write::place(db)))
    }

    fn identity(&self) -> Result<String, AuditError> {
        self.read(|db| Box::pin(schema::identity(db)))
    }

    fn events(&self, from: Seq, limit: usize) -> Result<Vec<Event>, AuditError> {
        self.read(move |db| Box::pin(read::events(db, from, limit)))
    }

    fn entries(&self, from: Seq, limit: usize) -> Result<Vec<Entry>, AuditError> {
        self.read(move |db| Box::pin(read::entries(db, from, limit)))
    }

    fn changes(&self, from: Seq, limit: usize) -> Result<Vec<Event>, AuditError> {
        self.read(move |db| Box::pin(read::changes(db, from, limit)))
    }

    fn entries_of(&self, call: CallId) -> Result<Vec<Entry>, AuditError> {
        self.read(move |db| Box::pin(read::entries_of(db, call)))
    }

    fn made(&self, object: &str) -> Result<Vec<CallId>, AuditError> {
        let object = object.to_owned();
        self.read(move |db| Box::pin(read::made(db, object.clone())))
    }

    fn made_since(&self, since: Timestamp) -> Result<Vec<CallId>, AuditError> {
        self.read(move |db| Box::pin(read::made_since(db, since)))
    }

    fn runs(&self, query: &CallQuery) -> Result<Vec<RunName>, AuditError> {
        let query = query.clone();
        self.read(move |db| Box::pin(read::runs(db, query.clone())))
    }

    fn calls(&self, query: &CallQuery) -> Result<CallPage, AuditError> {
        let query = query.clone();
        self.read(move |db| Box::pin(read::calls(db, query.clone())))
    }

    fn spend(&self, query: &CallQuery) -> Result<Spend, AuditError> {
        let query = query.clone();
        self.read(move |db| Box::pin(read::spend(db, query.clone())))
    }

    fn groups(&self, query: &CallQuery, cut: &Cut) -> Result<Vec<Group>, AuditError> {
        let (query, cut) = (query.clone(), cut.clone());
        self.read(move |db| Box::pin(read::groups(db, query.clone(), cut.clone())))
    }

    fn sums(&self, shape: &Shape, start: Timestamp) -> Result<Sums, AuditError> {
        let shape = shape.clone();
        self.read(move |db| Box::pin(read::sums(db, shape.clone(), start)))
    }

    fn gaps(&self) -> Result<Vec<Gap>, AuditError> {
        self.read(|db| Box::pin(read::gaps(db)))
    }

    fn linked(&self, from: Seq, limit: usize) -> Result<Vec<Linked>, AuditError> {
        self.read(move |db| Box::pin(evidence::linked(db, from, limit)))
    }

    fn indexed(&self, from: Seq, limit: usize) -> Result<Vec<Indexed>, AuditError> {
        self.read(move |db| Box::pin(evidence::indexed(db, from, limit)))
    }

    fn rows_between(&self, from: Seq, to: Seq) -> Result<u64, AuditError> {
        self.read(move |db| Box::pin(evidence::rows_between(db, from, to)))
    }

    fn seqs_of(&self, call: CallId) -> Result<Vec<Seq>, AuditError> {
        self.read(move |db| Box::pin(evidence::seqs_of(db, call)))
    }

    fn seal(&self, signed: &Signed) -> Result<(), AuditError> {
        let signed = signed.clone();
        self.change(move |db| {
            let signed = signed.clone();
            Box::pin(async move { evidence::seal(db, &signed).await })
        })
    }

    fn checkpoints(&self, from: u64, limit: usize, keys: bool) -> Result<Vec<Signed>, AuditError> {
        self.read(move |db| Box::pin(evidence::checkpoints(db, from, limit, keys)))
    }

    fn last_checkpoint(&self) -> Result<Option<Signed>, AuditError> {
        self.read(|db| Box::pin(evidence::last_checkpoint(db)))
    }

    fn sink_place(&self, name: &str) -> Result<Option<Seq>, AuditError> {
        let name = name.to_owned();
        self.read(move |db| {
            let name = name.clone();
            Box::pin(async move { read::sink_place(db, &name).await })
        })
    }

    fn keep_sink_place(&self, name: &str, seq: Seq) -> Result<(), AuditError> {
        let name = name.to_owned();
        self.change(move |db| {
            let name = name.clone();
            Box::pin(async move { write::sink_place(db, &name, seq).await })
        })
    }

    fn prune(&self, upto: Seq) -> Result<u64, AuditError> {
        let mut deleted = 0;
        loop {
            // In small steps, so that the books follow the journal in between.
            let step = self.change(move |db| Box::pin(evidence::prune(db, upto)))?;
            deleted += step;
            if step == 0 {
                return Ok(deleted);
            }
        }
    }
}

fn late() -> AuditError {
    AuditError::Store("PostgreSQL does not answer".to_owned())
}

fn waited<T>(done: Option<Result<T, AuditError>>) -> Result<T, AuditError> {
    done.unwrap_or_else(|| Err(AuditError::Store("the question was dropped".to_owned())))
}
