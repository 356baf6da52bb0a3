//! A ledger on the server as its tests see it from outside: its events, its clock, and the books that follow it.

use std::sync::Arc;

use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use redis::streams::StreamRangeReply;

use super::super::keys::Keys;
use super::super::{Redis, event};
use super::server::Server;
use crate::adapters::audit::sqlite::SqliteBooks;
use crate::adapters::audit::{AuditStore, Chained};
use crate::adapters::ledger::journal::Record;
use crate::rules::ledger::entry::Entry;
use crate::units::ids::Seq;
use crate::units::time::Timestamp;

pub struct Outside<'a> {
    server: &'a Server,
    name: String,
    keys: Keys,
    connection: MultiplexedConnection,
    pub books: Arc<SqliteBooks>,
}

impl<'a> Outside<'a> {
    pub async fn new(server: &'a Server, name: String) -> Self {
        let (keys, books) = (Keys::new(&name), server.books(&name));
        Self { server, name, keys, connection: server.connection().await, books }
    }

    /// A node of this ledger. The first one makes it, with the test's own clock.
    pub async fn node(&self, node: &str, now: Option<Timestamp>) -> Redis {
        self.server.ledger(&self.name, node, self.books.clone(), now.map(|t| t.0)).await
    }

    pub async fn set_clock(&mut self, now: Timestamp) {
        let _: () = self.connection.hset(self.keys.meta(), "test_now", now.0).await.expect("it answers");
    }

    pub async fn events_after(&mut self, seq: Seq) -> Vec<Entry> {
        let from = format!("({seq}-0");
        let reply: StreamRangeReply = self.connection.xrange(self.keys.events(), from, "+").await.expect("it answers");
        reply.ids.iter().map(|item| event::entry(item).expect("an event reads back")).collect()
    }

    /// The last entry of the calls that Redis has forgotten. It sweeps where the book writes no entry, and how much depends on
    /// which calls went together, so it may have forgotten more than the book has; then it waits for the books.
    pub async fn forgotten(&mut self) -> Seq {
        let last: Option<Seq> = self.connection.hget(self.keys.meta(), "forgotten").await.expect("it answers");
        last.unwrap_or(0)
    }

    /// The books have all entries but the last few.
    pub fn project(&self, journal: &[Entry], lag: u64) {
        let place = self.books.place().expect("readable");
        let upto = journal.last().map_or(0, |e| e.seq).saturating_sub(lag);
        let new = journal.iter().filter(|e| e.seq > place.seq && e.seq <= upto);
        let records = new.map(|e| Arc::new(Record::encode(e.clone()).expect("plain data")));
        let (chained, _) = Chained::after(place, records.collect::<Vec<_>>());
        self.books.apply(&chained, false).expect("written");
    }
}
