//! What a fleet's ledger on one local Redis answers: reserves a second and how long each took, at fifty callers at once and at
//! two hundred, with one account a call and with six; and whose processor time that was, from which follows how many reserves a
//! whole core of Redis would decide. Starts a `redis-server` of its own and ends it.
//!
//!     cargo bench --bench reserves              # or: -- SECONDS

mod calls;
mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bursar::adapters::ledger::Ledger as _;
use bursar::adapters::ledger::redis::Redis;
use bursar::rules::ledger::ask::Reservation;
use calls::Calls;
use parking_lot::Mutex;
use server::{Server, open, start};

/// Processor time that a process has used, in clock ticks of 10 ms.
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    after.split(' ').skip(11).take(2).filter_map(|t| t.parse::<u64>().ok()).sum()
}

/// What one run measures.
#[derive(Clone, Copy)]
struct Load {
    callers: usize,
    accounts: usize,
    /// Each call is settled too, as in serving; the next one of its caller waits for that.
    ends: bool,
}

struct Done {
    took: Vec<Duration>,
    elapsed: Duration,
    redis: Duration,
    own: Duration,
}

/// Each caller asks again as soon as it is answered.
async fn run(ledger: &Redis, server: &Server, load: Load, lasts: Duration) -> Done {
    let Load { callers, accounts, ends } = load;
    let (calls, stop) = (Arc::new(Mutex::new(Calls::new())), Arc::new(AtomicBool::new(false)));
    let (own, theirs) = (ticks(std::process::id()), ticks(server.child.id()));
    let begun = Instant::now();
    let callers = (0..callers).map(|_| {
        let (ledger, calls, stop) = (ledger.clone(), calls.clone(), stop.clone());
        tokio::spawn(async move {
            let mut took = Vec::with_capacity(1 << 16);
            while !stop.load(Ordering::Relaxed) {
                let (mut ask, settle) = calls.lock().next();
                ask.lines = ask.lines.iter().take(accounts).cloned().collect();
                let begun = Instant::now();
                let answer = ledger.reserve(ask).await.expect("an answer");
                took.push(begun.elapsed());
                assert!(matches!(answer, Reservation::Held(_)));
                if ends {
                    ledger.settle(settle).await.expect("settled");
                }
            }
            took
        })
    });
    let callers: Vec<_> = callers.collect();
    tokio::time::sleep(lasts).await;
    stop.store(true, Ordering::Relaxed);
    let mut took = Vec::new();
    for caller in callers {
        took.extend(caller.await.expect("it ends"));
    }
    let elapsed = begun.elapsed();
    took.sort_unstable();
    let spent = |pid, before| Duration::from_millis((ticks(pid) - before) * 10);
    let (own, redis) = (spent(std::process::id(), own), spent(server.child.id(), theirs));
    Done { took, elapsed, redis, own }
}

fn report(name: &str, done: &Done) {
    let Done { took, elapsed, redis, own } = done;
    let at = |share: usize| took[(took.len() * share / 1000).min(took.len() - 1)];
    let share = |d: &Duration| d.as_millis() * 100 / elapsed.as_millis();
    let rate = took.len() as u128 * 1000 / elapsed.as_millis();
    let whole = took.len() as u128 * 1000 / redis.as_millis().max(1);
    println!(
        "{name:<52} {rate:>6}/s  p50 {:>8.2?}  p99 {:>8.2?}  p99.9 {:>8.2?}  redis {:>3}%  bursar {:>3}% of a core  {whole:>6}/s a core of redis",
        at(500),
        at(990),
        at(999),
        share(redis),
        share(own),
    );
}

fn main() {
    let seconds = std::env::args().skip(1).find_map(|a| a.parse().ok()).unwrap_or(5);
    let lasts = Duration::from_secs(seconds);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let kinds = [(1, false), (6, false), (1, true), (6, true)];
    for (durable, options) in [("", &[][..]), (", AOF everysec", &["--appendonly", "yes"][..])] {
        for (callers, (accounts, ends)) in [50, 200].into_iter().flat_map(|n| kinds.map(|kind| (n, kind))) {
            let server = start(options);
            let done = runtime.block_on(async {
                let ledger = open(&server).await;
                run(&ledger, &server, Load { callers, accounts, ends }, lasts).await
            });
            let what = if ends { "reserve, and settle after" } else { "reserve" };
            report(&format!("{callers:>3} callers: {what}, {accounts} accounts{durable}"), &done);
        }
    }
}
