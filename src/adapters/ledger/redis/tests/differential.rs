//! The same seeded random history for the book and for a real Redis: every answer, every event and every account must be the
//! same. A failing seed is printed; `BURSAR_SEED=n cargo test differential` runs that one alone, and tells what it does.

use std::sync::Arc;

use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use redis::streams::StreamRangeReply;

use super::super::{Redis, event};
use super::server::Server;
use crate::adapters::audit::sqlite::SqliteBooks;
use crate::adapters::audit::{AuditStore, Chained};
use crate::adapters::ledger::journal::Record;
use crate::adapters::ledger::{Ledger, LedgerError};
use crate::rules::ledger::account::{Scope, Shape};
use crate::rules::ledger::ask::{Checked, Line};
use crate::rules::ledger::book::rig::*;
use crate::rules::ledger::book::simulation::Dice;
use crate::rules::ledger::book::{Book, Fault};
use crate::rules::ledger::entry::{Entry, Op};
use crate::units::amount::Unit;
use crate::units::ids::Seq;
use crate::units::time::Window;

/// Seeds of a normal test run, and steps of each.
const SEEDS: u64 = 120;
const STEPS: u32 = 40;

pub const AGENTS: [&str; 2] = ["a", "b"];

#[test]
fn redis_answers_as_the_book_does() {
    let one = std::env::var("BURSAR_SEED").ok().and_then(|s| s.parse::<u64>().ok());
    let halves = match one {
        Some(seed) => [seed..seed + 1, 0..0],
        None => [0..SEEDS / 2, SEEDS / 2..SEEDS],
    };
    std::thread::scope(|s| {
        let runs: Vec<_> = halves.into_iter().map(|seeds| s.spawn(move || run(seeds, one.is_some()))).collect();
        assert!(runs.into_iter().map(|r| r.join()).all(|r| r.is_ok()), "a seed failed");
    });
}

/// One server for many seeds: each has a ledger of its own.
fn run(seeds: std::ops::Range<u64>, loud: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let server = runtime.block_on(Server::start());
    for seed in seeds {
        let world = || runtime.block_on(async { World::new(&server, seed, loud).await.run(STEPS).await });
        let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(world));
        assert!(run.is_ok(), "seed {seed} failed: BURSAR_SEED={seed} cargo test differential");
    }
}

pub struct World<'a> {
    pub dice: Dice,
    pub rig: Rig,
    server: &'a Server,
    name: String,
    pub one: Redis,
    /// Another node of the same fleet.
    pub two: Redis,
    pub connection: MultiplexedConnection,
    pub books: Arc<SqliteBooks>,
    pub shapes: Vec<Shape>,
    pub next: u32,
    pub loud: bool,
    /// Entries that were compared.
    compared: usize,
}

pub fn all_shapes() -> Vec<Shape> {
    vec![
        shape(Scope::Agent, Unit::Usd, Window::Minute),
        shape(Scope::Agent, Unit::Usd, Window::Total),
        shape(Scope::Tenant, Unit::Usd, Window::Day),
        shape(Scope::Agent, Unit::Tokens, Window::Hour),
        shape(Scope::Agent, Unit::Calls, Window::Hour),
        shape(Scope::Everyone, Unit::Risk, Window::Month),
    ]
}

/// What the book says, as the ledger says it.
pub fn same<T: std::fmt::Debug + PartialEq>(redis: Result<T, LedgerError>, book: Result<T, Fault>) {
    let redis = redis.map_err(|e| match e {
        LedgerError::Hold(_, why) => why,
        other => panic!("{other}"),
    });
    assert_eq!(redis, book, "redis on the left, the book on the right");
}

impl<'a> World<'a> {
    async fn new(server: &'a Server, seed: u64, loud: bool) -> Self {
        let (name, rig) = (format!("seed-{seed}"), Rig::new());
        let books = server.books(&name);
        let one = server.ledger(&name, "one", books.clone(), Some(rig.now.0)).await;
        let two = server.ledger(&name, "two", books.clone(), None).await;
        let connection = server.connection().await;
        let (dice, shapes) = (Dice(seed), vec![]);
        Self { dice, rig, server, name, one, two, connection, books, shapes, next: 1, loud, compared: 0 }
    }

    async fn run(mut self, steps: u32) {
        for shape in all_shapes() {
            if self.dice.roll(3) > 0 {
                self.declare(shape).await;
            }
        }
        for _ in 0..steps {
            self.step().await;
            self.compare().await;
        }
        self.end_all().await;
        self.compare().await;
    }

    pub fn say(&self, what: impl FnOnce() -> String) {
        if self.loud {
            println!("{} {}", self.rig.now, what());
        }
    }

    /// Either node.
    pub fn any(&mut self) -> Redis {
        if self.dice.roll(2) == 0 { self.one.clone() } else { self.two.clone() }
    }

    pub async fn pass_secs(&mut self, secs: i64) {
        self.rig.pass_secs(secs);
        let meta = self.one.keys().meta().to_owned();
        let _: () = self.connection.hset(meta, "test_now", self.rig.now.0).await.expect("it answers");
    }

    /// A node starts anew: it forgets the limits of its holds, and knows the ledger by its books alone.
    pub async fn restart(&mut self) {
        self.one = self.server.ledger(&self.name, "one", self.books.clone(), None).await;
        let text = serde_json::to_string(&self.rig.book).expect("plain data");
        self.rig.book = serde_json::from_str(&text).expect("a snapshot reads back");
    }

    pub async fn declare(&mut self, shape: Shape) {
        self.shapes.push(shape.clone());
        self.say(|| format!("declare {shape:?}"));
        let lag = self.dice.roll(6);
        self.project_enough(lag).await;
        let op = match self.declaration(&shape) {
            Some(op) => op,
            None => {
                self.project(0);
                self.declaration(&shape).expect("the books are whole")
            }
        };
        self.rig.write([Some(op)]);
        let (one, shapes) = (self.one.clone(), self.shapes.clone());
        one.declare(shapes).await.expect("it is declared");
    }

    /// As far as wanted, but never less than Redis has forgotten: it would wait for the books. It sweeps where the book writes
    /// no entry, and how much depends on which calls went together, so it may have forgotten more than the book has.
    async fn project_enough(&mut self, lag: u64) {
        self.project(lag);
        let meta = self.one.keys().meta().to_owned();
        let forgotten: Option<Seq> = self.connection.hget(meta, "forgotten").await.expect("it answers");
        if forgotten.unwrap_or(0) > self.rig.book.seq().saturating_sub(lag) {
            self.project(0);
        }
    }

    fn declaration(&self, shape: &Shape) -> Option<Op> {
        self.rig.book.declare(self.rig.now, shape.clone(), self.sums(shape))
    }

    fn sums(&self, shape: &Shape) -> crate::rules::ledger::book::Sums {
        let start = shape.window.start(self.rig.now.max(self.rig.book.now()));
        let sums = self.books.sums(shape, start).expect("readable");
        let spent = sums.accounts.into_iter().map(|(account, sum)| (account, start, sum)).collect();
        crate::rules::ledger::book::Sums { upto: sums.upto, spent }
    }

    pub async fn undeclare(&mut self, shape: Shape) {
        self.shapes.retain(|s| *s != shape);
        self.say(|| format!("undeclare {shape:?}"));
        let op = self.rig.book.undeclare(shape);
        self.rig.write([Some(op)]);
        self.one.declare(self.shapes.clone()).await.expect("it is undeclared");
    }

    /// The books have all entries but the last few.
    pub fn project(&self, lag: u64) {
        let place = self.books.place().expect("readable");
        let upto: Seq = self.rig.book.seq().saturating_sub(lag);
        let new = self.rig.journal.iter().filter(|e| e.seq > place.seq && e.seq <= upto);
        let records = new.map(|e| Arc::new(Record::encode(e.clone()).expect("plain data")));
        let (chained, _) = Chained::after(place, records.collect::<Vec<_>>());
        self.books.apply(&chained, false).expect("written");
    }

    /// The ledger beside the books: both find the same differences, mostly none.
    pub async fn check(&mut self) {
        let lag = self.dice.roll(3);
        self.project_enough(lag).await;
        let mut expected = Checked::default();
        for shape in self.rig.book.shapes() {
            if self.rig.book.check(self.rig.now, shape, self.sums(shape), &mut expected).is_none() {
                return;
            }
        }
        let mut found = self.two.check().await.expect("it is compared");
        let by_name = |c: &mut Checked| c.differences.sort_by(|a, b| a.account.cmp(&b.account));
        by_name(&mut expected);
        by_name(&mut found);
        self.say(|| format!("check: {found:?}"));
        assert_eq!(found.differences, expected.differences);
        // Redis forgets later, so that a new shape may have made accounts of zero for calls that the book knows no more.
        assert!(found.accounts >= expected.accounts, "{} {}", found.accounts, expected.accounts);
        assert_eq!(found.upto, self.rig.book.seq());
    }

    // Judgement.

    /// Every event since the last time is the book's entry, and every account says the same.
    async fn compare(&mut self) {
        let entries = self.new_events().await;
        assert_eq!(entries, self.rig.journal[self.compared..], "redis on the left, the book on the right");
        self.compared = self.rig.journal.len();
        let shapes = all_shapes();
        let of = |agent: &&str| shapes.iter().flat_map(|s| lines_of(agent, s)).collect::<Vec<_>>();
        let lines = AGENTS.iter().flat_map(of).chain(AGENTS.iter().map(|a| line(a, Unit::Usd, Window::Day)));
        let lines: Vec<Line> = lines.collect();
        let states = self.two.accounts(lines.clone()).await.expect("readable");
        assert_eq!(states, self.rig.book.accounts(self.rig.now, &lines), "redis on the left");
    }

    pub async fn new_events(&mut self) -> Vec<Entry> {
        let (events, from) = (self.one.keys().events().to_owned(), format!("({}-0", self.compared));
        let reply: StreamRangeReply = self.connection.xrange(events, from, "+").await.expect("it answers");
        reply.ids.iter().map(|item| event::entry(item).expect("an event reads back")).collect()
    }

    /// Nothing is held in the end, and the book that is made from the events alone is the book.
    async fn end_all(&mut self) {
        self.pass_secs(25 * 3600).await;
        self.expire().await;
        assert_eq!(self.rig.book.open_holds(), 0);
        self.rig.check_replay();
        let mut again = Book::default();
        self.compared = 0;
        self.new_events().await.iter().for_each(|e| again.apply(e));
        assert_eq!(again, self.rig.book, "replayed from redis on the left");
        self.compared = self.rig.journal.len();
    }
}

pub fn lines_of(agent: &str, shape: &Shape) -> Vec<Line> {
    let line = |account| Line { account, unit: shape.unit, window: shape.window, limit: None };
    shape.accounts(&facts(agent)).into_iter().map(line).collect()
}
