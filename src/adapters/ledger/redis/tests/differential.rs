//! The same seeded random history for the book and for a real Redis: every answer, every event and every account must be the
//! same. A failing seed is printed; `BURSAR_SEED=n cargo test differential` runs that one alone, and tells what it does.

use super::super::Redis;
use super::outside::Outside;
use super::server::Server;
use crate::adapters::audit::AuditStore;
use crate::adapters::ledger::{Ledger, LedgerError};
use crate::rules::ledger::account::Shape;
use crate::rules::ledger::ask::{Checked, Line};
use crate::rules::ledger::book::rig::*;
use crate::rules::ledger::book::simulation::world::{AGENTS, all_shapes, lines_of};
use crate::rules::ledger::book::simulation::{Dice, STEPS, on_seeds};
use crate::rules::ledger::book::{Book, Fault};
use crate::rules::ledger::entry::{Entry, Op};
use crate::units::amount::Unit;
use crate::units::time::Window;

/// Seeds of a normal test run.
const SEEDS: u64 = 120;

#[test]
fn redis_answers_as_the_book_does() {
    on_seeds("differential", SEEDS, Server::stage, |(runtime, server), seed, loud| {
        runtime.block_on(async { World::new(server, seed, loud).await.run(STEPS).await });
    });
}

pub struct World<'a> {
    pub dice: Dice,
    pub rig: Rig,
    outside: Outside<'a>,
    pub one: Redis,
    /// Another node of the same fleet.
    pub two: Redis,
    pub shapes: Vec<Shape>,
    pub next: u32,
    pub loud: bool,
    /// Entries that were compared.
    compared: usize,
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
        let (outside, rig) = (Outside::new(server, format!("seed-{seed}")).await, Rig::new());
        let one = outside.node("one", Some(rig.now)).await;
        let two = outside.node("two", None).await;
        let (dice, shapes) = (Dice(seed), vec![]);
        Self { dice, rig, outside, one, two, shapes, next: 1, loud, compared: 0 }
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
        self.outside.set_clock(self.rig.now).await;
    }

    /// A node starts anew: it forgets the limits of its holds, and knows the ledger by its books alone.
    pub async fn restart(&mut self) {
        self.one = self.outside.node("one", None).await;
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

    /// As far as wanted, but never less than Redis has forgotten.
    async fn project_enough(&mut self, lag: u64) {
        self.project(lag);
        if self.outside.forgotten().await > self.rig.book.seq().saturating_sub(lag) {
            self.project(0);
        }
    }

    fn declaration(&self, shape: &Shape) -> Option<Op> {
        self.rig.book.declare(self.rig.now, shape.clone(), self.sums(shape))
    }

    fn sums(&self, shape: &Shape) -> crate::rules::ledger::book::Sums {
        let start = shape.window.start(self.rig.now.max(self.rig.book.now()));
        let sums = self.outside.books.sums(shape, start).expect("readable");
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
    fn project(&self, lag: u64) {
        self.outside.project(&self.rig.journal, lag);
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
        let of = |agent: &&str| shapes.iter().flat_map(|s| lines_of(agent, s).iter().cloned()).collect::<Vec<_>>();
        let lines = AGENTS.iter().flat_map(of).chain(AGENTS.iter().map(|a| line(a, Unit::Usd, Window::Day)));
        let lines: Vec<Line> = lines.collect();
        let states = self.two.accounts(lines.clone()).await.expect("readable");
        assert_eq!(states, self.rig.book.accounts(self.rig.now, &lines), "redis on the left");
    }

    pub async fn new_events(&mut self) -> Vec<Entry> {
        self.outside.events_after(self.compared as u64).await
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
