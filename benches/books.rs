//! What the books cost: rows a second that each store takes, and what following the journal adds to a call. Prints a table;
//! `cargo bench --bench books`, or with `sqlite` or `postgres` behind `--` for one of them. PostgreSQL is started here.

#[path = "../tests/common/mod.rs"]
mod common;

mod calls;

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bursar::adapters::audit::postgres::PostgresBooks;
use bursar::adapters::audit::sqlite::SqliteBooks;
use bursar::adapters::audit::tail::Books;
use bursar::adapters::audit::{AuditStore, Chained};
use bursar::adapters::ledger::Ledger;
use bursar::adapters::ledger::Store;
use bursar::adapters::ledger::embedded::Embedded;
use bursar::adapters::ledger::journal::{Durability, Record};
use bursar::rules::chain::Place;
use bursar::rules::ledger::book::Book;
use bursar::units::time::Timestamp;
use calls::Calls;
use common::postgres::Postgres;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// Entries that the follower writes in one transaction.
const BATCH: usize = 4096;
const CALLS: usize = 100_000;
/// A busy second of a small fleet, while latency is looked at.
const PACE: u32 = 1000;
const SECONDS: u32 = 5;
/// Callers at once, when as many calls are made as can be.
const CALLERS: usize = 64;

type Opened = (Arc<dyn AuditStore>, Box<dyn Any>);
type Open = fn() -> Opened;

fn sqlite() -> Opened {
    let dir = tempfile::tempdir().expect("a folder");
    (Arc::new(SqliteBooks::open(dir.path()).expect("books")), Box::new(dir))
}

fn postgres() -> Opened {
    // As a server has it that is set up for writing.
    let server = Postgres::with(&["max_wal_size=4GB", "shared_buffers=256MB"]);
    (Arc::new(PostgresBooks::open(&server.url("postgres"), None).expect("books")), Box::new(server))
}

fn main() {
    let only = std::env::args().skip(1).find(|a| !a.starts_with("--"));
    let stores: [(&str, Open); 2] = [("sqlite", sqlite), ("postgres", postgres)];
    let stores: Vec<_> = stores.into_iter().filter(|(name, _)| only.as_deref().is_none_or(|o| o == *name)).collect();
    println!("-- a store alone: {CALLS} calls of two rows each, in batches of {BATCH}");
    for (name, open) in &stores {
        for durable in [false, true] {
            let (store, _kept) = open();
            println!("{name}, {}: {}", power(durable), filled(&*store, durable));
        }
    }
    println!("-- a call's time in the ledger (reserve and commit), {PACE} calls a second; then as many as can be");
    for (word, durability) in [("process", Durability::Process), ("power", Durability::Power)] {
        println!("{word}, no books followed: {}", called(sqlite(), durability, false));
        for (name, open) in &stores {
            println!("{word}, {name}: {}", called(open(), durability, true));
        }
    }
}

fn power(durable: bool) -> &'static str {
    if durable { "each batch survives a loss of power" } else { "a batch may be lost with power, and is written again" }
}

/// Journal and chain as the ledger makes them.
fn batches() -> impl Iterator<Item = Vec<Chained>> {
    let (mut book, mut calls, mut place) = (Book::default(), Calls::new(), Place::START);
    let mut now = Timestamp::now();
    (0..CALLS * 2 / BATCH).map(move |_| {
        let mut records = Vec::with_capacity(BATCH);
        for _ in 0..BATCH / 2 {
            now = now.plus_millis(1);
            let (ask, settle) = calls.next_caller();
            let (_, op) = book.reserve(now, ask).expect("a new hold");
            write(&mut book, now, [op, None], &mut records);
            let (_, ops) = book.settle(now, settle).expect("an open hold");
            write(&mut book, now, ops, &mut records);
        }
        let (chained, next) = Chained::after(place, records);
        place = next;
        chained
    })
}

fn write(book: &mut Book, now: Timestamp, ops: bursar::rules::ledger::book::Ops, into: &mut Vec<Arc<Record>>) {
    let entries: Vec<_> = book.entries(now, ops).collect();
    for entry in entries {
        book.apply(&entry);
        into.push(Arc::new(Record::encode(entry).expect("plain data")));
    }
}

fn filled(store: &dyn AuditStore, durable: bool) -> String {
    let (mut spent, mut rows, mut slowest) = (Duration::ZERO, 0, Duration::ZERO);
    for batch in batches() {
        let began = Instant::now();
        store.apply(&batch, durable).expect("written");
        let took = began.elapsed();
        (spent, slowest, rows) = (spent + took, slowest.max(took), rows + batch.len());
    }
    let a_second = rows as f64 / spent.as_secs_f64();
    format!("{a_second:.0} rows a second ({:.1} us each), slowest batch {slowest:.0?}", 1e6 / a_second)
}

fn called((store, _kept): Opened, durability: Durability, follow: bool) -> String {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let dir = tempfile::tempdir().expect("a folder");
    let ledger = Embedded::open(dir.path(), durability, store.clone()).expect("a ledger");
    ledger.bound_backlog(u64::MAX);
    let stop = CancellationToken::new();
    let books = follow.then(|| {
        let _inside = runtime.enter();
        Books::follow(store, ledger.clone(), ledger.durable(), stop.clone()).expect("a follower").0
    });
    let mut times = paced(&runtime, &ledger);
    times.sort_unstable();
    let at = |percent: usize| times[times.len() * percent / 100];
    let paced = format!("p50 {:.0?}, p99 {:.0?}", at(50), at(99));
    let flat = flat_out(&runtime, &ledger, books.as_deref());
    stop.cancel();
    format!("{paced}; {flat}")
}

/// Each call begins at its time, whatever became of the one before.
fn paced(runtime: &Runtime, ledger: &Arc<Embedded>) -> Vec<Duration> {
    let mut calls = Calls::new();
    runtime.block_on(async {
        let mut tick = tokio::time::interval(Duration::from_secs(1) / PACE);
        let mut running = Vec::new();
        for _ in 0..PACE * SECONDS {
            tick.tick().await;
            running.push(tokio::spawn(one(ledger.clone(), calls.next_caller())));
        }
        let mut times = Vec::new();
        for call in running {
            times.push(call.await.expect("no panic"));
        }
        times
    })
}

async fn one(
    ledger: Arc<Embedded>,
    (ask, settle): (bursar::rules::ledger::ask::Reserve, bursar::rules::ledger::ask::Settle),
) -> Duration {
    let began = Instant::now();
    ledger.reserve(ask).await.expect("an answer");
    ledger.settle(settle).await.expect("an answer");
    began.elapsed()
}

/// How many calls the ledger takes, and how many rows the books take beside it.
fn flat_out(runtime: &Runtime, ledger: &Arc<Embedded>, books: Option<&Books>) -> String {
    let calls = Arc::new(parking_lot::Mutex::new(Calls::starting_at(1 << 64)));
    let began = Instant::now();
    let end = began + Duration::from_secs(SECONDS.into());
    let first = *ledger.durable().borrow();
    runtime.block_on(async {
        let callers = (0..CALLERS).map(|_| {
            let (ledger, calls) = (ledger.clone(), calls.clone());
            tokio::spawn(async move {
                while Instant::now() < end {
                    let call = calls.lock().next_caller();
                    one(ledger.clone(), call).await;
                }
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await.expect("no panic");
        }
    });
    let rows = *ledger.durable().borrow() - first;
    let calls = rows as f64 / 2.0 / began.elapsed().as_secs_f64();
    let Some(books) = books else { return format!("at most {calls:.0} calls a second") };
    let behind = books.lag();
    runtime.block_on(books.caught_up(first + rows));
    let taken = rows as f64 / began.elapsed().as_secs_f64();
    format!("at most {calls:.0} calls a second, the books {behind} rows behind then, {taken:.0} rows a second in all")
}
