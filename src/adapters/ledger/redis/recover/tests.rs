//! How nodes put a lost ledger back together, step by step, on a real Redis: who may write when, and what was lent to whom.

use std::sync::Arc;

use super::super::Redis;
use super::super::kept::Redo;
use super::super::lent::Wanted;
use super::super::tests::server::Server;
use super::{PUTTING_BACK, event, load, putting};
use crate::adapters::audit::sqlite::SqliteBooks;
use crate::adapters::ledger::Ledger;
use crate::rules::ledger::ask::{End, Reservation, Settle};
use crate::rules::ledger::book::Book;
use crate::rules::ledger::book::rig::{NOON, act, amounts, ask, closing, id, keyed, usd};
use crate::rules::ledger::entry::{Entry, Op, Past};
use crate::rules::ledger::slices::SliceKey;
use crate::units::time::{Timestamp, Window};

/// The making that is begun.
const MAKING: &str = "anew";

struct Scene {
    server: Server,
    books: Arc<SqliteBooks>,
    /// Puts the ledger back.
    one: Redis,
}

impl Scene {
    async fn new() -> Self {
        let server = Server::start().await;
        let books = server.books("ledger");
        let one = Redis::open(&server.url, "ledger", "one", books.clone()).await.expect("it opens");
        Self { server, books, one }
    }

    async fn node(&self, name: &str) -> Redis {
        Redis::open(&self.server.url, "ledger", name, self.books.clone()).await.expect("it opens")
    }

    async fn ask<T: redis::FromRedisValue>(&self, command: &[&str]) -> T {
        let mut asked = redis::cmd(command[0]);
        asked.arg(&command[1..]);
        asked.query_async(&mut self.server.connection().await).await.expect("it answers")
    }

    async fn begin(&self, was: &str) {
        assert!(self.one.0.begin_rebuild(MAKING, &Book::default(), was).await.expect("it answers"));
        self.one.0.begin_anew(&format!("{MAKING}!"), 0);
    }

    async fn load(&self) {
        load::load(&self.one.0, &Book::default(), &[]).await.expect("loaded");
    }

    /// Puts back what a node knows.
    async fn put_back(&self, node: &Redis) -> usize {
        node.0.begin_anew(&format!("{MAKING}!"), 0);
        let kept = node.0.kept.all();
        PUTTING_BACK.scope((), putting::put_back(&node.0, &kept)).await.expect("put back").done
    }

    async fn reopen(&self) {
        self.one.0.call(&self.one.0.prepare(&self.one.0.scripts.reopen)).await.expect("opened");
        self.one.0.go_on(MAKING, "the test says so");
    }

    async fn at(&self, limit: u64) -> (u64, u64) {
        let state = self.one.accounts(vec![usd("a", limit)]).await.expect("it answers").remove(0);
        (state.spent, state.held)
    }
}

/// What is still to be loaded would overwrite it.
#[tokio::test]
async fn nobody_puts_back_into_a_ledger_before_its_books_are_loaded() {
    let scene = Scene::new().await;
    let two = scene.node("two").await;
    assert!(matches!(two.reserve(ask(1, &[usd("a", 100)], 60)).await, Ok(Reservation::Held(_))));
    let _: () = scene.ask(&["FLUSHALL"]).await;
    scene.begin("").await;
    let put_back = async || {
        let now = two.0.standing().await.expect("it answers").expect("a ledger");
        PUTTING_BACK.scope((), two.0.join("two", &now)).await.expect("it answers");
        let part: String = scene.ask(&["HGET", "{ledger}:rebuilt", "two"]).await;
        (part, scene.ask::<u64>(&["HLEN", "{ledger}:holds"]).await)
    };
    assert_eq!(put_back().await, (String::new(), 0), "it is there, and waits");
    scene.load().await;
    assert_eq!(put_back().await, (format!("{MAKING}!"), 1));
    scene.reopen().await;
    assert_eq!(scene.at(100).await, (0, 60));
    // The next making begins from the first again.
    scene.begin(MAKING).await;
    assert!(!scene.one.0.standing().await.expect("it answers").expect("a ledger").loaded);
}

/// A node that only asks who it is has put back nothing of what it was lent.
#[tokio::test]
async fn what_was_lent_stays_held_until_its_node_puts_it_back() {
    for (puts_back, held) in [(false, 30), (true, 10)] {
        let scene = Scene::new().await;
        let key = SliceKey { account: usd("a", 100).account, start: Timestamp(0), limit: 100 };
        let wanted = |target| [Wanted { key: key.clone(), window: Window::Total, target }];
        let first = scene.one.hello("n", 0).await.expect("it answers").number;
        scene.one.look("n", first + 1, 0, 0, &wanted(30)).await.expect("it answers");
        let was: String = scene.ask(&["HGET", "{ledger}:meta", "epoch"]).await;
        scene.begin(&was).await;
        scene.load().await;
        let again = scene.one.hello("n", 0).await.expect("it answers");
        assert_eq!(again.lent, []);
        if puts_back {
            scene.one.put_back("n", again.number + 1, 0, &wanted(10)).await.expect("put back");
        }
        scene.reopen().await;
        let lent = scene.one.hello("n", 0).await.expect("it answers").lent;
        assert_eq!(lent, [(key, held)], "puts back: {puts_back}");
        let total = [(0, held)];
        let mut line = usd("a", 100);
        line.window = Window::Total;
        let state = scene.one.accounts(vec![line]).await.expect("it answers").remove(0);
        assert_eq!([(state.spent, state.held)], total);
    }
}

/// Each node puts back its own part, in whatever order.
#[tokio::test]
async fn a_repeat_that_is_put_back_before_its_first_call_shares_its_money() {
    let scene = Scene::new().await;
    let two = scene.node("two").await;
    let line = [usd("a", 100)];
    assert!(matches!(scene.one.reserve(keyed(ask(1, &line, 60), 1)).await, Ok(Reservation::Held(_))));
    for n in [2, 3] {
        let repeat = two.reserve(keyed(ask(n, &line, 60), 1)).await;
        assert!(matches!(repeat, Ok(Reservation::Held(held)) if held.shares == Some(id(1))));
    }
    let _: () = scene.ask(&["FLUSHALL"]).await;
    scene.begin("").await;
    scene.load().await;
    assert_eq!((scene.put_back(&two).await, scene.put_back(&scene.one).await), (2, 1));
    scene.reopen().await;
    assert_eq!(scene.at(100).await, (0, 60));
    let end = |n, end| Settle { hold: id(n), end, closing: closing(n) };
    scene.one.settle(end(1, End::Release)).await.expect("it goes over to a repeat");
    assert_eq!(scene.at(100).await, (0, 60));
    scene.one.settle(end(3, End::Commit { charge: amounts(40, 0, 1, 0), exact: true })).await.expect("it says more");
    scene.one.settle(end(2, End::Commit { charge: amounts(0, 0, 1, 0), exact: false })).await.expect("committed");
    assert_eq!(scene.at(100).await, (40, 0));
}

/// Its node may be gone, and its limits with it.
#[tokio::test]
async fn a_hold_that_grew_is_put_back_as_large_as_it_was() {
    let scene = Scene::new().await;
    assert!(matches!(scene.one.reserve(ask(1, &[usd("a", 100)], 10)).await, Ok(Reservation::Held(_))));
    let grown = scene.one.resize(id(1), 1, amounts(60, 0, 1, 0)).await;
    assert!(matches!(grown, Ok(Reservation::Held(_))));
    scene.one.forget(id(1));
    let _: () = scene.ask(&["FLUSHALL"]).await;
    scene.begin("").await;
    scene.load().await;
    assert_eq!(scene.put_back(&scene.one).await, 2);
    scene.reopen().await;
    assert_eq!(scene.at(100).await, (0, 60));
}

/// It stood in the stream alone, and the ledger had forgotten the call before.
#[tokio::test]
async fn a_correction_of_a_forgotten_call_is_put_back() {
    let scene = Scene::new().await;
    let _: () = scene.ask(&["FLUSHALL"]).await;
    scene.begin("").await;
    scene.load().await;
    let past = Past { charge: amounts(100, 0, 1, 0), postings: [].into(), taken: NOON, facts: None };
    let op = Op::Adjust {
        hold: id(1),
        step: 3,
        charge: amounts(20, 0, 1, 0),
        exact: true,
        heard: None,
        passed: None,
        row: None,
        past: Some(Box::new(past)),
        act: act(),
    };
    let redo = Redo::of(Entry { seq: 1, at: NOON, op: op.clone() }).expect("it is put back");
    scene.one.0.kept.adopt(1, Arc::new(redo));
    assert_eq!(scene.put_back(&scene.one).await, 1);
    let all: redis::streams::StreamRangeReply = scene.ask(&["XRANGE", "{ledger}:events", "-", "+"]).await;
    let entries: Vec<Entry> = all.ids.iter().map(|item| event::entry(item).expect("it reads back")).collect();
    assert_eq!(entries.iter().map(|entry| &entry.op).collect::<Vec<_>>(), [&op]);
}
