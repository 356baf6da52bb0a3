//! The ledger's contract, the same for every store: embedded on a folder, and Redis on a server of its own (`redis-server`,
//! which `tests/run` installs).
//! Here admission and ends; `rates` has how fast calls may come, `flight` how many at once, `whole` what happens to holds
//! meanwhile and later, `fleet` what Redis alone does.

mod common;
#[path = "ledger_contract/fleet.rs"]
mod fleet;
#[path = "ledger_contract/flight.rs"]
mod flight;
#[path = "ledger_contract/rates.rs"]
mod rates;
#[path = "ledger_contract/whole.rs"]
mod whole;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bursar::adapters::audit::AuditStore;
use bursar::adapters::audit::sqlite::SqliteBooks;
use bursar::adapters::ledger::embedded::Embedded;
use bursar::adapters::ledger::journal::Durability;
use bursar::adapters::ledger::redis::Redis;
use bursar::adapters::ledger::{Ledger, LedgerError};
use bursar::rules::books::{Act, Control};
use bursar::rules::ledger::account::{Scope, Shape};
use bursar::rules::ledger::ask::{Cause, Held, Line, Reservation, Reserve, Settled, Short};
use bursar::rules::ledger::need::{Fit, Need, Share};
use bursar::rules::subject::{Facts, Flag, Subject};
use bursar::units::amount::{Amounts, Unit};
use bursar::units::money::{MAX_AMOUNT, MicroCents, PicoUsd};
use bursar::units::time::{Timestamp, Window};
use common::calls::{ask, charge, commit, id, line, opening, release};
use common::redis::Redis as Server;
use tempfile::TempDir;

type Store = Arc<dyn Ledger>;

/// A node of the ledger `name`, whose books lie in that folder.
async fn node(server: &Server, name: &str, node: &str, dir: &TempDir) -> Redis {
    let books: Arc<dyn AuditStore> = Arc::new(SqliteBooks::open(dir.path()).expect("books"));
    Redis::open(&server.url(), name, node, books).await.expect("it opens")
}

/// Runs a test on a fresh ledger of each kind.
async fn on_each<F: Future<Output = ()>>(test: impl Fn(Store, &'static str) -> F) {
    for (name, durability) in [("embedded", Durability::Process), ("embedded, power", Durability::Power)] {
        let dir = TempDir::new().expect("a folder");
        let books = Arc::new(SqliteBooks::open(dir.path()).expect("books"));
        let ledger = Embedded::open(dir.path(), durability, books).expect("an embedded ledger");
        test(ledger, name).await;
    }
    let dir = TempDir::new().expect("a folder");
    let server = Server::start();
    test(Arc::new(node(&server, "bursar", "node-1", &dir).await), "redis").await;
}

fn usd(agent: &str, limit: u64) -> Line {
    line(agent, Unit::Usd, Window::Month, Some(limit))
}

fn observed(mut line: Line) -> Line {
    line.limit.iter_mut().for_each(|l| l.enforce = false);
    line
}

fn facts(agent: &str) -> Facts {
    Facts {
        subject: Subject { agent: Some(agent.into()), ..Subject::default() },
        keys: vec![],
        policy: "p".into(),
        vendor: "v".into(),
        operation: "POST /v1/x".into(),
        claimed_run: false,
    }
}

async fn held(store: &Store, ask: Reserve) -> Held {
    match store.reserve(ask).await.expect("it answers") {
        Reservation::Held(held) => held,
        other => panic!("{other:?}"),
    }
}

async fn short(store: &Store, ask: Reserve) -> Short {
    match store.reserve(ask).await.expect("it answers") {
        Reservation::Short(short) => short,
        other => panic!("{other:?}"),
    }
}

/// Spent and held.
async fn at(store: &Store, line: &Line) -> (u64, u64) {
    let states = store.accounts(vec![line.clone()]).await.expect("readable");
    assert_eq!(
        (states[0].account.clone(), states[0].window_start),
        (line.account.clone(), line.window.start(Timestamp::now()))
    );
    (states[0].spent, states[0].held)
}

#[tokio::test]
async fn all_accounts_are_written_or_none() {
    on_each(|store, name| async move {
        let lines = [usd("a", 100), usd("b", 50), line("a", Unit::Calls, Window::Total, None)];
        assert_eq!(held(&store, ask(1, &lines, 50)).await.amounts, charge(50), "{name}");
        let refused = short(&store, ask(2, &lines, 1)).await;
        assert_eq!((refused.account, refused.cause), (lines[1].account.clone(), Cause::Held), "{name}");
        for (line, sums) in lines.iter().zip([(0, 50), (0, 50), (0, 1)]) {
            assert_eq!(at(&store, line).await, sums, "{name}");
        }
        store.settle(commit(1, 10, true)).await.expect("committed");
        for (line, sums) in lines.iter().zip([(10, 0), (10, 0), (1, 0)]) {
            assert_eq!(at(&store, line).await, sums, "{name}");
        }
    })
    .await;
}

#[tokio::test]
async fn every_window_counts_by_itself() {
    on_each(|store, name| async move {
        let lines = Window::ALL.map(|w| line("a", Unit::Usd, w, Some(100)));
        held(&store, ask(1, &lines, 60)).await;
        for line in &lines {
            // A minute may end between the two; the others only at midnight.
            if line.window != Window::Minute {
                assert_eq!(at(&store, line).await, (0, 60), "{name} {}", line.account);
            }
        }
        let two_limits = [usd("b", 100), usd("b", 30)];
        held(&store, ask(2, &two_limits, 30)).await;
        assert_eq!(at(&store, &two_limits[0]).await, (0, 30), "{name}: counted once");
        assert_eq!(short(&store, ask(3, &two_limits, 1)).await.limit.amount, 30, "{name}");
    })
    .await;
}

#[tokio::test]
async fn a_refusal_says_whether_waiting_helps() {
    on_each(|store, name| async move {
        let free = [line("a", Unit::Usd, Window::Month, None), line("b", Unit::Usd, Window::Month, None)];
        held(&store, ask(1, &free, 50)).await;
        store.settle(commit(1, 50, true)).await.expect("committed");
        held(&store, ask(2, &free, 20)).await;
        let table = [
            ([100, 100], 30, None),
            ([100, 100], 31, Some((0, Cause::Held))),
            ([100, 80], 31, Some((1, Cause::Spent))),
            ([60, 80], 11, Some((0, Cause::Spent))),
        ];
        for (i, (limits, need, expected)) in table.into_iter().enumerate() {
            let n = 10 + i as u32;
            let lines = [usd("a", limits[0]), usd("b", limits[1])];
            match (store.reserve(ask(n, &lines, need)).await.expect("it answers"), expected) {
                (Reservation::Held(_), None) => drop(store.settle(release(n)).await.expect("released")),
                (Reservation::Short(s), Some((i, cause))) => {
                    assert_eq!((&s.account, s.cause, s.need), (&lines[i].account, cause, need), "{name}");
                    assert_eq!((s.spent, s.held, s.limit.amount), (50, 20, limits[i]), "{name}");
                    assert!(s.resets_at.is_some());
                }
                (other, _) => panic!("{name} {limits:?} {need}: {other:?}"),
            }
        }
    })
    .await;
}

fn fitted(n: u32, lines: &[Line], fixed: u128, rate: u128, (floor, want): (u64, u64), share: u8) -> Reserve {
    let fit = Fit { usd_per_token: PicoUsd(rate), tokens_per_token: 1, floor, want, share: Share(share) };
    let need = Need { usd: PicoUsd(fixed), tokens: 5, calls: 1, risk: 0, fit: Some(fit) };
    Reserve { need, ..ask(n, lines, 0) }
}

/// The limit that is granted is exactly the largest whose bound fits: to the pico-dollar, and up to amounts near 2^53.
#[tokio::test]
async fn a_fitted_call_gets_what_fits_and_no_more() {
    on_each(|store, name| async move {
        let table = [
            (1_000, 0_u128, 10_000_u128, (1, 2_000), 25_u8),
            (1_000, 0, 10_000, (400, 2_000), 25),
            (1_000, 500_001, 10_000, (1, 2_000), 25),
            (1_000, 123_456, 3_751, (1, 5_000), 50),
            (1_000, 9_999, 1, (1, 20_000_000), 100),
            (7, 0, 9_999, (1, 10), 100),
            (MAX_AMOUNT, 0, 600_000_000, (1, 100_000_000_000), 25),
            (MAX_AMOUNT, 1, 9_007_199_254, (1, 100_000_000_000), 99),
            (100, 0, 10_000, (1, 20), 25),
        ];
        for (i, (limit, fixed, rate, tokens, share)) in table.into_iter().enumerate() {
            let lines = [usd(&format!("agent-{i}"), limit)];
            let call = fitted(100 + i as u32, &lines, fixed, rate, tokens, share);
            let need = call.need.clone();
            let held = held(&store, call).await;
            let n = held.fitted.expect("a fitted call");
            let room = need.least().usd.0.max((u128::from(limit) * u128::from(share) / 100) as u64).min(limit);
            assert_eq!(held.amounts, need.at(n), "{name} {i}");
            assert!(held.amounts.usd.0 <= room, "{name} {i}: {n}");
            // Near 2^53 the share itself may be rounded down by less than a hundred.
            let slack = if limit == MAX_AMOUNT { 100 } else { 0 };
            assert!(n == tokens.1 || need.at(n + 1).usd.0 + slack > room, "{name} {i}: {n} is not the largest");
        }
        let lines = [usd("agent-0", 1_000)];
        let refused = short(&store, fitted(200, &lines, 0, 10_000, (751, 2_000), 25)).await;
        assert_eq!((refused.need, refused.cause), (751, Cause::Held), "{name}");
    })
    .await;
}

#[tokio::test]
async fn observation_counts_and_does_not_refuse() {
    on_each(|store, name| async move {
        let seen = held(&store, ask(1, &[observed(usd("a", 100))], 150)).await;
        let would = seen.would_refuse.expect("it would be refused");
        assert_eq!((would.cause, would.need), (Cause::Spent, 150), "{name}");
        assert_eq!(short(&store, ask(2, &[usd("a", 200)], 51)).await.cause, Cause::Held, "{name}");
        assert_eq!(held(&store, ask(3, &[usd("a", 200)], 50)).await.would_refuse, None, "{name}");
    })
    .await;
}

#[tokio::test]
async fn every_end_is_idempotent() {
    on_each(|store, name| async move {
        let lines = [usd("a", 100)];
        let first = held(&store, ask(1, &lines, 60)).await;
        assert_eq!(held(&store, ask(1, &lines, 60)).await.amounts, first.amounts, "{name}");
        assert_eq!(at(&store, &lines[0]).await, (0, 60), "{name}");
        store.renew(id(1)).await.expect("open");
        assert_eq!(store.settle(commit(1, 50, true)).await.expect("committed"), Settled::Done, "{name}");
        assert_eq!(store.settle(commit(1, 50, true)).await.expect("again"), Settled::Again, "{name}");
        assert!(matches!(store.settle(release(1)).await, Err(LedgerError::Hold(..))), "{name}");
        assert!(matches!(store.reserve(ask(1, &lines, 60)).await, Err(LedgerError::Hold(..))), "{name}");
        assert!(matches!(store.settle(commit(9, 1, true)).await, Err(LedgerError::Hold(..))), "{name}");
        assert!(store.renew(id(1)).await.is_err(), "{name}");
        held(&store, ask(2, &lines, 50)).await;
        assert_eq!(store.settle(release(2)).await.expect("released"), Settled::Done, "{name}");
        assert_eq!(store.settle(release(2)).await.expect("again"), Settled::Again, "{name}");
        assert_eq!(at(&store, &lines[0]).await, (50, 0), "{name}");
    })
    .await;
}

#[tokio::test]
async fn a_commit_is_never_refused_for_lack_of_money() {
    on_each(|store, name| async move {
        let lines = [usd("a", 100)];
        held(&store, ask(1, &lines, 60)).await;
        store.settle(commit(1, 170, true)).await.expect("the overrun is recorded");
        assert_eq!(at(&store, &lines[0]).await, (170, 0), "{name}");
        assert_eq!(short(&store, ask(2, &lines, 1)).await.cause, Cause::Spent, "{name}");
        held(&store, ask(3, &[usd("b", 100)], 60)).await;
        store.settle(commit(3, 10, false)).await.expect("committed");
        assert_eq!(at(&store, &usd("b", 0)).await, (60, 0), "{name}: without exact usage the bound is charged");
        held(&store, ask(4, &[usd("c", 100)], 60)).await;
        store.settle_later(commit(4, 7, true));
        let begun = Instant::now();
        while at(&store, &usd("c", 0)).await != (7, 0) {
            assert!(begun.elapsed() < Duration::from_secs(10), "{name}: it is settled soon");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_flag_stops_from_the_moment_that_it_is_set() {
    on_each(|store, name| async move {
        let agent = Flag::Agent { tenant: "default".into(), name: "a".into() };
        let flagged = |n| Reserve { flags: [Flag::Everyone, agent.clone()].into(), ..ask(n, &[usd("a", 10)], 1) };
        let act = Act { actor: "test".to_owned(), reason: None };
        held(&store, flagged(1)).await;
        for flag in [agent.clone(), Flag::Everyone] {
            let set = store.control(Control::Stopped { flag: flag.clone(), act: act.clone() }).await.expect("set");
            assert_eq!(
                store.reserve(flagged(2)).await.expect("it answers"),
                Reservation::Killed(flag.clone()),
                "{name}"
            );
            let cleared = store.control(Control::Restored { flag, act: act.clone() }).await.expect("cleared");
            assert!(cleared > set, "{name}");
        }
        held(&store, flagged(2)).await;
        let denied = store.deny(opening(3)).await.expect("written");
        assert!(denied > 0 && store.trouble().is_none(), "{name}");
        store.flush().await.expect("flushed");
    })
    .await;
}

/// 64 workers, 1,000 calls, a limit of 100: exactly 100 are held.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn a_race_holds_exactly_what_the_limit_admits() {
    on_each(|store, name| async move {
        let lines: Arc<[Line]> = [line("a", Unit::Calls, Window::Total, Some(100)), usd("a", MAX_AMOUNT)].into();
        let next = Arc::new(std::sync::atomic::AtomicU32::new(1));
        let worker = || {
            let (store, next, lines) = (store.clone(), next.clone(), lines.clone());
            tokio::spawn(async move {
                let mut won = 0;
                loop {
                    let n = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if n > 1000 {
                        return won;
                    }
                    match store.reserve(ask(n, &lines, 3)).await.expect("it answers") {
                        Reservation::Held(_) => won += 1,
                        Reservation::Short(_) => {}
                        other => panic!("{other:?}"),
                    }
                }
            })
        };
        let workers: Vec<_> = (0..64).map(|_| worker()).collect();
        let mut won = 0;
        for worker in workers {
            won += worker.await.expect("no panic");
        }
        assert_eq!(
            (won, at(&store, &lines[0]).await, at(&store, &lines[1]).await),
            (100, (0, 100), (0, 300)),
            "{name}"
        );
    })
    .await;
}
