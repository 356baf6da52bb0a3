//! What the ledger's scripts take of Redis's one thread, as Redis counts it (`INFO commandstats`): microseconds for each
//! reserve and each settle, with one, three and six accounts, asked one after the other and fifty at once. The median of
//! many short rounds, so that a busy machine shows little in it.
//!
//!     cargo bench --bench scripts

mod calls;
mod server;

use bursar::adapters::ledger::Ledger as _;
use bursar::adapters::ledger::redis::Redis;
use bursar::rules::ledger::ask::{Reservation, Reserve, Settle};
use calls::Calls;
use futures_util::future::join_all;
use redis::aio::MultiplexedConnection;
use server::{open, start};

const ROUNDS: usize = 60;
const CALLS: usize = 200;

/// Microseconds that scripts have taken since the last time.
async fn taken(connection: &mut MultiplexedConnection) -> f64 {
    let info: String = redis::cmd("INFO").arg("commandstats").query_async(connection).await.expect("it answers");
    let _: () = redis::cmd("CONFIG").arg("RESETSTAT").query_async(connection).await.expect("it answers");
    let line = info.lines().find(|l| l.starts_with("cmdstat_evalsha:"));
    line.and_then(|l| l.split("usec=").nth(1)?.split(',').next()?.parse().ok()).unwrap_or(0.0)
}

async fn reserve(ledger: &Redis, asks: Vec<Reserve>) {
    let answers = join_all(asks.into_iter().map(|ask| ledger.reserve(ask))).await;
    assert!(answers.into_iter().all(|a| matches!(a, Ok(Reservation::Held(_)))));
}

async fn settle(ledger: &Redis, settles: Vec<Settle>) {
    assert!(join_all(settles.into_iter().map(|s| ledger.settle(s))).await.iter().all(Result::is_ok));
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

async fn measure(accounts: usize, at_once: usize) {
    let server = start(&[]);
    let (ledger, mut calls) = (open(&server).await, Calls::new());
    let client = redis::Client::open(&*server.url).expect("an address");
    let mut connection = client.get_multiplexed_async_connection().await.expect("it answers");
    let (mut reserves, mut settles) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut round: Vec<(Reserve, Settle)> = (0..CALLS).map(|_| calls.next_caller()).collect();
        for (ask, _) in &mut round {
            ask.lines = ask.lines.iter().take(accounts).cloned().collect();
        }
        let mut ends = Vec::new();
        taken(&mut connection).await;
        for some in round.chunks(at_once) {
            let (asks, some_ends): (Vec<_>, Vec<_>) = some.iter().cloned().unzip();
            ends.push(some_ends);
            reserve(&ledger, asks).await;
        }
        reserves.push(taken(&mut connection).await / CALLS as f64);
        for some in ends {
            settle(&ledger, some).await;
        }
        settles.push(taken(&mut connection).await / CALLS as f64);
    }
    println!(
        "{accounts} accounts, {at_once:>2} at once: reserve {:>5.1} us, settle {:>5.1} us",
        median(reserves),
        median(settles)
    );
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for at_once in [1, 50] {
        for accounts in [1, 3, 6] {
            runtime.block_on(measure(accounts, at_once));
        }
    }
}
