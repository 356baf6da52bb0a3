//! Nodes on one Redis, and calls of one agent through them.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bursar::adapters::audit::AuditStore;
use bursar::adapters::audit::sqlite::SqliteBooks;
use bursar::adapters::ledger::journal::Durability;
use bursar::adapters::ledger::leased::Leased;
use bursar::adapters::ledger::redis::Redis;
use bursar::adapters::ledger::redis::event;
use bursar::adapters::ledger::{Ledger, LedgerError};
use bursar::rules::ledger::ask::{Cause, Down, Line, Manner, Reservation, Reserve};
use bursar::rules::ledger::entry::Entry;
use bursar::rules::subject::Flag;
use bursar::units::amount::Unit;
use bursar::units::ids::CallId;
use bursar::units::time::Window;
use tempfile::TempDir;

use crate::common::redis::Redis as Server;
use crate::common::{SOON, calls};

pub const LEASE: Manner = Manner { lease: true, down: Down::Closed };
pub const LEASED: Manner = Manner { lease: true, down: Down::Leased { secs: 60 } };
pub const OPEN: Manner = Manner { lease: false, down: Down::Open { secs: 60 } };

/// A server that keeps what it acknowledged.
pub fn server() -> Server {
    Server::with(&["--appendonly", "yes", "--appendfsync", "everysec"])
}

pub async fn until<F: Future<Output = bool>>(what: &str, fact: impl Fn() -> F) {
    let begun = Instant::now();
    while !fact().await {
        assert!(begun.elapsed() < SOON, "it takes too long: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub async fn redis(server: &Server, dir: &TempDir) -> Redis {
    let books: Arc<dyn AuditStore> = Arc::new(SqliteBooks::open(dir.path()).expect("books"));
    let begun = Instant::now();
    loop {
        match Redis::open(&server.url(), "bursar", "node", books.clone()).await {
            Ok(store) => return store,
            Err(e) if begun.elapsed() > SOON => panic!("{e}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

pub struct Node {
    pub ledger: Leased,
    pub dir: TempDir,
}

impl Node {
    pub async fn start(server: &Server) -> Self {
        let dir = TempDir::new().expect("a folder");
        Self { ledger: open(server, &dir).await, dir }
    }

    /// Dies without a word, and starts anew on the same folder.
    pub async fn die_and_start(self, server: &Server) -> Self {
        let Self { ledger, dir } = self;
        drop(ledger);
        Self { ledger: open(server, &dir).await, dir }
    }
}

/// The folder is free once the last message of an earlier life has been given up.
pub async fn open(server: &Server, dir: &TempDir) -> Leased {
    let begun = Instant::now();
    loop {
        let store = redis(server, dir).await;
        match Leased::open(store, dir.path(), Durability::Process, Box::new(|_| true)) {
            Ok(ledger) => return ledger,
            Err(e) if begun.elapsed() > SOON => panic!("{e}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

pub static NEXT: AtomicU32 = AtomicU32::new(1);

pub fn fresh() -> CallId {
    calls::id(NEXT.fetch_add(1, Ordering::Relaxed))
}
pub fn line(limit: u64) -> Line {
    calls::line("default/a", Unit::Usd, Window::Total, Some(limit))
}

pub fn ask(limit: u64, usd: u64, manner: Manner) -> Reserve {
    Reserve { flags: [Flag::Everyone].into(), manner, ..calls::ask(fresh(), &[line(limit)], usd) }
}

pub async fn commit(ledger: &Leased, hold: CallId, usd: u64) {
    ledger.settle(calls::commit(hold, usd, true)).await.expect("an end is never refused");
}

/// Reserves; `None` if what is spent leaves no room. What is only held is waited for.
pub async fn reserve(ledger: &Leased, limit: u64, usd: u64, manner: Manner) -> Option<CallId> {
    let ask = ask(limit, usd, manner);
    let begun = Instant::now();
    loop {
        match ledger.reserve(ask.clone()).await {
            Ok(Reservation::Held(_)) => return Some(ask.hold),
            Ok(Reservation::Short(short)) if short.cause == Cause::Spent => return None,
            // The same call again, as an SDK repeats it: a busy machine answers late.
            Ok(Reservation::Short(_)) | Err(LedgerError::Down(_)) => assert!(begun.elapsed() < SOON, "for ever"),
            answered => panic!("{answered:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Spent and held on the account.
pub async fn account(ledger: &impl Ledger) -> (u64, u64) {
    let states = ledger.accounts(vec![line(0)]).await.expect("it answers");
    (states[0].spent, states[0].held)
}

/// Small calls until the node has slices to serve the next ones from. Gives what they cost.
pub async fn warm_up(server: &Server, node: &Node, limit: u64, manner: Manner) -> u64 {
    let mut spent = 0;
    while lent(server).await < 20 {
        let hold = reserve(&node.ledger, limit, 1, manner).await.expect("there is room");
        commit(&node.ledger, hold, 1).await;
        spent += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    spent
}

pub async fn ask_server<T: ::redis::FromRedisValue>(server: &Server, command: &[&str]) -> T {
    let client = ::redis::Client::open(server.url()).expect("an address");
    let mut connection = client.get_multiplexed_async_connection().await.expect("it listens");
    let mut asked = ::redis::cmd(command[0]);
    for part in &command[1..] {
        asked.arg(part);
    }
    asked.query_async(&mut connection).await.expect("it answers")
}

/// What is lent to all nodes together.
pub async fn lent(server: &Server) -> u64 {
    let all: HashMap<String, String> = ask_server(server, &["HGETALL", "{bursar}:slices"]).await;
    let slices = all.iter().filter(|(field, _)| !field.starts_with(['#', '@', '!', '+']));
    slices.map(|(_, amount)| amount.parse::<u64>().expect("a number")).sum()
}

pub async fn events(server: &Server) -> Vec<Entry> {
    let all: ::redis::streams::StreamRangeReply = ask_server(server, &["XRANGE", "{bursar}:events", "-", "+"]).await;
    all.ids.iter().map(|item| event::entry(item).expect("it reads back")).collect()
}

pub async fn told(node: &Node) {
    until("everything is told", || async { node.ledger.untold() == 0 }).await;
}
