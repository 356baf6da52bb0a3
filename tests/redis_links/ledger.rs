//! The core of the ledger's contract over each kind of Redis, and what it answers while one breaks: what was acknowledged is
//! kept, what is refused says why, and what was open can always end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bursar::adapters::audit::sqlite::SqliteBooks;
use bursar::adapters::ledger::redis::Redis as Fleet;
use bursar::adapters::ledger::redis::link::Options;
use bursar::adapters::ledger::{Ledger as _, LedgerError};
use bursar::rules::books::{Act, Control};
use bursar::rules::ledger::ask::{Line, Reservation, Reserve, Settle, Settled};
use bursar::rules::subject::Flag;
use bursar::units::amount::Unit;
use bursar::units::time::Window;
use tempfile::TempDir;

use crate::common::calls;
use crate::common::redis::{Cluster, Redis, Watched};
use crate::scene::{eventually, patient};

const LIMIT: u64 = 100;

/// A node's ledger, and the folder of its books.
struct Node {
    ledger: Fleet,
    _dir: TempDir,
}

async fn node(url: &str, options: Options) -> Node {
    let dir = tempfile::tempdir().expect("a folder");
    let books = Arc::new(SqliteBooks::open(dir.path()).expect("books"));
    let ledger = Fleet::open_on(url, "bursar", "node-1", books, options).await.unwrap_or_else(|e| panic!("{url}: {e}"));
    Node { ledger, _dir: dir }
}

fn line() -> Line {
    calls::line("a", Unit::Usd, Window::Month, Some(LIMIT))
}

fn commit(n: u32, usd: u64) -> Settle {
    calls::commit(n, usd, true)
}

impl Node {
    async fn reserve(&self, n: u32, usd: u64) -> Result<Reservation, LedgerError> {
        self.ledger.reserve(Reserve { flags: [Flag::Everyone].into(), ..calls::ask(n, &[line()], usd) }).await
    }

    async fn held(&self, n: u32, usd: u64) {
        let answer = self.reserve(n, usd).await;
        assert!(matches!(answer, Ok(Reservation::Held(_))), "{answer:?}");
    }

    /// Reserves again until it is answered; each repeat is the same hold.
    async fn held_at_last(&self, n: u32, usd: u64) {
        let answer = eventually("a reserve", || self.reserve(n, usd)).await;
        assert!(matches!(answer, Reservation::Held(_)), "{answer:?}");
    }

    /// Spent and held.
    async fn stands(&self) -> Result<(u64, u64), LedgerError> {
        let states = self.ledger.accounts(vec![line()]).await?;
        Ok((states[0].spent, states[0].held))
    }
}

async fn core(url: &str, options: Options) {
    let node = node(url, options).await;
    node.held(1, 60).await;
    assert!(matches!(node.reserve(2, 60).await, Ok(Reservation::Short(_))), "{url}");
    assert_eq!(node.stands().await.expect(url), (0, 60));
    assert_eq!(node.ledger.settle(commit(1, 45)).await.expect(url), Settled::Done);
    assert_eq!(node.ledger.settle(commit(1, 45)).await.expect(url), Settled::Again);
    node.held(3, 55).await;
    assert_eq!(node.ledger.settle(calls::release(3)).await.expect(url), Settled::Done);
    assert_eq!(node.stands().await.expect(url), (45, 0));
    assert_eq!(node.ledger.trouble(), None);
}

#[tokio::test]
async fn the_core_holds_on_one_server_however_it_is_reached() {
    let redis = Redis::start();
    core(&redis.url(), patient()).await;
    redis.must(&["flushall"]);
    core(&format!("redis+unix://{}", redis.socket().display()), patient()).await;
    let secret = Redis::with_tls();
    core(&format!("{}?ca={}", secret.url(), secret.ca().expect("it has one").display()), patient()).await;
    core(&Redis::with_password("hunter2").url(), patient()).await;
    redis.must(&["flushall"]);
    let rights = [
        "~{bursar}:*",
        "&{bursar}:*",
        "+@read",
        "+@write",
        "+@scripting",
        "+@connection",
        "+info",
        "+role",
        "+time",
        "+publish",
        "+subscribe",
    ];
    redis.must(&[&["acl", "setuser", "bursar", "on", ">pass"][..], &rights].concat());
    core(&format!("redis://bursar:pass@127.0.0.1:{}/0", redis.port), patient()).await;
    match Redis::valkey() {
        Some(valkey) => core(&valkey.url(), patient()).await,
        None => println!("valkey-server is not installed here (Debian has it from 13 on): not tested"),
    }
}

#[tokio::test]
async fn behind_sentinels_what_replicas_have_outlives_a_failover() {
    let mut set = Watched::start();
    let options = Options { wait_replicas: 1, ..patient() };
    let node = node(&set.url(), options).await;
    node.held(1, 20).await;
    node.held(2, 20).await;
    node.ledger.settle(commit(1, 10)).await.expect("settled");
    node.held(3, 20).await; // its replica has all before it, too
    set.servers[0].kill();
    let down = node.reserve(4, 20).await;
    assert!(matches!(down, Err(LedgerError::Down(_))), "{down:?}");
    set.wait_for_primary(1);
    // Before the old primary comes back, empty, and is one until the sentinels have told it otherwise.
    eventually("the new primary", || node.stands()).await;
    set.servers[0].restart();
    node.held_at_last(5, 20).await;
    // The fourth may have been given up before it was taken, or not: here it is the caller who ends it.
    let _ = node.ledger.settle(calls::release(4)).await;
    assert_eq!(eventually("the accounts", || node.stands()).await, (10, 60));
    assert_eq!(node.ledger.settle(commit(2, 20)).await.expect("it outlived"), Settled::Done);
}

#[tokio::test]
async fn a_cluster_goes_on_when_the_holder_of_the_slot_dies() {
    let mut cluster = Cluster::start();
    core(&cluster.url(), patient()).await;
    cluster.servers.iter().for_each(|s| drop(s.cli(&["flushall"])));
    let node = node(&cluster.url(), Options { wait_replicas: 1, ..patient() }).await;
    node.held(1, 30).await;
    let holder = cluster.primary_of("{bursar}:meta").expect("a holder");
    cluster.servers[holder].kill();
    eventually("another holder", async || match cluster.primary_of("{bursar}:meta") {
        Some(other) if other != holder => Ok(()),
        none => Err(none),
    })
    .await;
    cluster.servers[holder].restart();
    node.held_at_last(2, 30).await;
    assert_eq!(eventually("the accounts", || node.stands()).await, (0, 60));
    assert_eq!(node.ledger.settle(commit(1, 30)).await.expect("it outlived"), Settled::Done);
}

/// However many calls are refused meanwhile: what was never asked has no end that Redis must hear of.
#[tokio::test]
async fn calls_that_are_refused_while_redis_is_away_leave_nothing_behind() {
    let mut redis = Redis::start();
    let node = node(&redis.url(), patient()).await;
    node.held(1, 30).await;
    redis.kill();
    eventually("the connection to be known to be gone", async || node.ledger.trouble().ok_or("none")).await;
    for n in 2..50 {
        assert!(matches!(node.reserve(n, 1).await, Err(LedgerError::Down(_))));
        let given_up = node.ledger.settle(calls::release(n)).await;
        assert!(matches!(given_up, Err(LedgerError::Down(_))), "{given_up:?}");
    }
    node.ledger.flush().await.expect("nothing is left to tell");
    // The end of what was held is another matter.
    assert!(matches!(node.ledger.settle(commit(1, 30)).await, Err(LedgerError::Down(_))));
    assert!(node.ledger.flush().await.is_err_and(|e| e.to_string().contains("how 1 calls ended")));
}

#[tokio::test]
async fn a_full_server_refuses_new_holds_and_ends_old_ones() {
    let redis = Redis::start();
    let node = node(&redis.url(), patient()).await;
    node.held(1, 30).await;
    redis.must(&["config", "set", "maxmemory", "1"]);
    let full = node.reserve(2, 30).await;
    assert!(matches!(&full, Err(LedgerError::Down(why)) if why.contains("maxmemory")), "{full:?}");
    assert!(node.ledger.trouble().is_some_and(|t| t.contains("maxmemory")));
    assert_eq!(node.ledger.settle(commit(1, 30)).await.expect("it ends"), Settled::Done);
    let killed = Control::Stopped { flag: Flag::Everyone, act: Act { actor: "test".to_owned(), reason: None } };
    node.ledger.control(killed).await.expect("a kill goes through");
    redis.must(&["config", "set", "maxmemory", "0"]);
    assert!(matches!(node.reserve(3, 30).await, Ok(Reservation::Killed(_))));
    assert_eq!(node.stands().await.expect("readable"), (30, 0));
}

#[tokio::test]
async fn a_hung_server_delays_a_reserve_by_its_patience_and_no_longer() {
    let redis = Redis::start();
    let node = node(&redis.url(), patient()).await;
    node.held(1, 30).await;
    redis.hang();
    let begun = Instant::now();
    for n in 2..12 {
        assert!(matches!(node.reserve(n, 30).await, Err(LedgerError::Down(_))));
    }
    let bound = patient().patience.answer + Duration::from_secs(1);
    assert!(begun.elapsed() < bound, "ten reserves were answered after {:?}", begun.elapsed());
    // As callers do with a reserve that was not answered.
    (2..12).for_each(|n| node.ledger.settle_later(calls::release(n)));
    redis.go_on();
    eventually("only the first is held", async || match node.stands().await {
        Ok((0, 30)) => Ok(()),
        other => Err(other),
    })
    .await;
}

#[tokio::test]
async fn a_reserve_that_too_few_replicas_have_is_refused_and_given_back() {
    let primary = Redis::start();
    let mut replica = Redis::replica_of(&primary);
    let node = node(&primary.url(), Options { wait_replicas: 1, ..patient() }).await;
    node.held(1, 30).await;
    replica.kill();
    let alone = node.reserve(2, 30).await;
    assert!(matches!(&alone, Err(LedgerError::Down(why)) if why.contains("wait_replicas")), "{alone:?}");
    node.ledger.settle_later(calls::release(2));
    eventually("it is given back", async || match node.stands().await {
        Ok((0, 30)) => Ok(()),
        other => Err(other),
    })
    .await;
    assert_eq!(node.ledger.settle(commit(1, 30)).await.expect("old ones end"), Settled::Done);
}
