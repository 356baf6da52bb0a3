//! What the books cost a call in CPU: reserve, commit and journal on one thread, and what following the journal adds, on
//! whatever thread. Prints a table; `cargo bench --bench hot`, with a part of a line's name behind `--` for that line alone.

mod calls;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bursar::adapters::audit::sqlite::SqliteBooks;
use bursar::adapters::audit::tail::Books;
use bursar::adapters::audit::{AuditStore, Chained};
use bursar::adapters::ledger::embedded::Embedded;
use bursar::adapters::ledger::journal::{Durability, Record};
use bursar::adapters::ledger::{Ledger, Store};
use bursar::rules::chain::Place;
use bursar::rules::ledger::ask::{Reserve, Settle};
use bursar::rules::ledger::book::Book;
use bursar::units::time::Timestamp;
use calls::Calls;
use rustix::time::{ClockId, clock_gettime};
use tokio_util::sync::CancellationToken;

/// As the binary has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CALLS: usize = 120_000;
/// Calls at once.
const CALLERS: usize = 32;
/// A busy node.
const PACE: usize = 8_000;

fn main() {
    let only = std::env::args().skip(1).find(|a| !a.starts_with("--"));
    let ask = |name: &str, paced: bool, follow: bool, callers: usize| {
        if only.as_deref().is_none_or(|o| name.contains(o)) {
            println!("{name}: {}", cost(paced, follow, callers));
        }
    };
    println!("-- CPU of a call (user and kernel, all threads)");
    ask("alone, one caller", false, false, 1);
    ask("alone, many callers", false, false, CALLERS);
    ask("followed, one caller", false, true, 1);
    ask("followed, many callers", false, true, CALLERS);
    ask("paced alone", true, false, CALLERS);
    ask("paced followed", true, true, CALLERS);
    for batch in [64, 512, 4096] {
        let name = format!("the store alone, batches of {batch}");
        if only.as_deref().is_none_or(|o| name.contains(o)) {
            println!("{name}: {:.2} us a row", stored(batch));
        }
    }
}

/// Rows of calls that end in the batch where they begin, chained before.
fn stored(batch: usize) -> f64 {
    let (mut book, mut calls, mut now) = (Book::default(), Calls::new(), Timestamp::now());
    let mut records = Vec::new();
    let mut write = |book: &mut Book, now, ops| {
        for entry in book.entries(now, ops).collect::<Vec<_>>() {
            book.apply(&entry);
            records.push(Arc::new(Record::encode(entry).expect("plain data")));
        }
    };
    for _ in 0..CALLS {
        now = now.plus_millis(1);
        let (ask, settle) = calls.next_caller();
        let (_, op) = book.reserve(now, ask).expect("a new hold");
        write(&mut book, now, [op, None]);
        let (_, ops) = book.settle(now, settle).expect("an open hold");
        write(&mut book, now, ops);
    }
    let (chained, _) = Chained::after(Place::START, records);
    let dir = tempfile::tempdir().expect("a folder");
    let store = SqliteBooks::open(dir.path()).expect("books");
    let before = cpu();
    for batch in chained.chunks(batch) {
        store.apply(batch, false).expect("written");
    }
    (cpu() - before).as_secs_f64() * 1e6 / chained.len() as f64
}

fn cpu() -> Duration {
    let at = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(at.tv_sec.unsigned_abs(), u32::try_from(at.tv_nsec).unwrap_or(0))
}

fn cost(paced: bool, follow: bool, callers: usize) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let dir = tempfile::tempdir().expect("a folder");
    let store = Arc::new(SqliteBooks::open(dir.path()).expect("books"));
    let ledger = Embedded::open(dir.path(), Durability::Process, store.clone()).expect("a ledger");
    ledger.bound_backlog(u64::MAX);
    let stop = CancellationToken::new();
    let follower = follow.then(|| {
        let _inside = runtime.enter();
        Books::follow(store, ledger.clone(), ledger.durable(), stop.clone()).expect("a follower").0
    });
    let mut given = Calls::new();
    let calls: Vec<_> = (0..CALLS).map(|_| given.next_caller()).collect();
    let (cpu_before, began) = (cpu(), Instant::now());
    runtime.block_on(run(&ledger, calls, paced, callers));
    let (took, made) = (began.elapsed(), cpu() - cpu_before);
    let behind = follower.as_ref().map(|f| f.lag()).unwrap_or_default();
    if let Some(books) = &follower {
        runtime.block_on(books.caught_up(2 * CALLS as u64));
    }
    let all = cpu() - cpu_before;
    stop.cancel();
    let each = |d: Duration| d.as_secs_f64() * 1e6 / CALLS as f64;
    let told = format!("{:.2} us a call ({:.2} us of time)", each(made), each(took));
    if follow { format!("{told}, {:.2} us with the books ({behind} rows behind)", each(all)) } else { told }
}

async fn run(ledger: &Arc<Embedded>, mut calls: Vec<(Reserve, Settle)>, paced: bool, callers: usize) {
    let mut shares: Vec<Vec<_>> = Vec::new();
    while !calls.is_empty() {
        shares.push(calls.split_off(calls.len().saturating_sub(CALLS.div_ceil(callers))));
    }
    let local = shares.into_iter().map(|share| tokio::spawn(caller(ledger.clone(), share, paced)));
    for done in local.collect::<Vec<_>>() {
        done.await.expect("no panic");
    }
}

async fn caller(ledger: Arc<Embedded>, calls: Vec<(Reserve, Settle)>, paced: bool) {
    let began = tokio::time::Instant::now();
    for (n, (ask, settle)) in (0_u32..).zip(calls) {
        if paced {
            tokio::time::sleep_until(began + Duration::from_secs(CALLERS as u64) * n / PACE as u32).await;
        }
        ledger.reserve(ask).await.expect("an answer");
        // The vendor takes its time; other calls go on meanwhile.
        tokio::task::yield_now().await;
        ledger.settle(settle).await.expect("an answer");
    }
}
