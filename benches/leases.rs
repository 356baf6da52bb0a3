//! What slices are worth: calls a second (a reserve and its end) and how long a reserve took, through one node and through three
//! on one local Redis, each call asking Redis or served from slices. What is served from slices is told to Redis afterwards: how
//! many calls were untold in the end, and how long it took to tell them, is what was borrowed from later. The nodes are one
//! process, which has two threads, so three share what one has. Starts a `redis-server` of its own and ends it.
//!
//!     cargo bench --bench leases                # or: -- SECONDS

mod calls;
mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bursar::adapters::ledger::Ledger as _;
use bursar::adapters::ledger::journal::Durability;
use bursar::adapters::ledger::leased::Leased;
use bursar::rules::ledger::ask::{Down, Manner, Reservation};
use calls::Calls;
use server::start;
use tempfile::TempDir;

/// Callers at once, over all nodes.
const CALLERS: usize = 48;
/// Slices are there by then.
const WARM: Duration = Duration::from_secs(2);
/// Not told by then: that is said, too.
const TOLD_BY: Duration = Duration::from_secs(30);

async fn open(server: &server::Server, folder: &TempDir) -> Leased {
    let redis = server::open(server).await;
    Leased::open(redis, folder.path(), Durability::Process, Box::new(|_| true)).expect("a folder")
}

struct Done {
    took: Vec<Duration>,
    failed: u64,
    untold: usize,
    telling: Duration,
}

/// Each caller asks again as soon as its call has ended. What is measured begins once slices are there.
async fn run(nodes: &[Leased], manner: Manner, lasts: Duration) -> Done {
    let (stop, measured) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let failed = Arc::new(AtomicU64::new(0));
    let callers = (0..CALLERS).map(|n| {
        let (ledger, stop, measured) = (nodes[n % nodes.len()].clone(), stop.clone(), measured.clone());
        let failed = failed.clone();
        tokio::spawn(async move {
            let (mut calls, mut took) = (Calls::starting_at((n as u128) << 64), Vec::with_capacity(1 << 16));
            while !stop.load(Ordering::Relaxed) {
                let (mut ask, settle) = calls.next();
                ask.manner = manner;
                let begun = Instant::now();
                let answer = ledger.reserve(ask).await;
                let after = begun.elapsed();
                if !matches!(answer, Ok(Reservation::Held(_))) || ledger.settle(settle).await.is_err() {
                    failed.fetch_add(1, Ordering::Relaxed);
                } else if measured.load(Ordering::Relaxed) {
                    took.push(after);
                }
            }
            took
        })
    });
    let callers: Vec<_> = callers.collect();
    tokio::time::sleep(WARM).await;
    measured.store(true, Ordering::Relaxed);
    tokio::time::sleep(lasts).await;
    stop.store(true, Ordering::Relaxed);
    let count = || nodes.iter().map(Leased::untold).sum::<usize>();
    let (untold, begun) = (count(), Instant::now());
    let mut took = Vec::new();
    for caller in callers {
        took.extend(caller.await.expect("it ends"));
    }
    took.sort_unstable();
    while count() > 0 && begun.elapsed() < TOLD_BY {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Done { took, failed: failed.load(Ordering::Relaxed), untold, telling: begun.elapsed() }
}

fn main() {
    let seconds = std::env::args().skip(1).find_map(|a| a.parse().ok()).unwrap_or(5);
    let lasts = Duration::from_secs(seconds);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    for (count, lease) in [(1, false), (1, true), (3, false), (3, true)] {
        let (server, folders) = (start(&[]), [(); 3].map(|()| TempDir::new().expect("a folder")));
        let Done { took, failed, untold, telling } = runtime.block_on(async {
            let mut nodes = Vec::new();
            for folder in &folders[..count] {
                nodes.push(open(&server, folder).await);
            }
            run(&nodes, Manner { lease, down: Down::Closed }, lasts).await
        });
        let at = |share: usize| took.get((took.len() * share / 1000).min(took.len().saturating_sub(1)));
        let of = |share: usize| at(share).copied().unwrap_or_default();
        let how = if lease { "from slices" } else { "asking Redis" };
        let rate = took.len() as u64 / seconds.max(1);
        println!(
            "{count} node(s), {how:<13} {rate:>7}/s  p50 {:>8.2?}  p99 {:>8.2?}  not served {failed}, untold {untold} for {telling:.1?}",
            of(500),
            of(990)
        );
    }
}
