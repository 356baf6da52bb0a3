//! The simulation of the book (`rules::ledger::book::simulation`) with two nodes on a real Redis in the book's place: the same
//! steps, the same shadow. `BURSAR_SEED=n cargo test simulation` runs one seed on both.

use tokio::runtime::Runtime;

use super::super::Redis;
use super::outside::Outside;
use super::server::Server;
use crate::adapters::ledger::{Answer, Ledger, LedgerError, Store};
use crate::rules::books::Control;
use crate::rules::ledger::account::Shape;
use crate::rules::ledger::ask::{AccountState, End, Line, Reservation, Reserve, Settle, Settled};
use crate::rules::ledger::book::rig::*;
use crate::rules::ledger::book::simulation::driven::Driven;
use crate::rules::ledger::book::simulation::world::World;
use crate::rules::ledger::book::simulation::{Dice, STEPS, on_seeds};
use crate::rules::ledger::book::{Book, Fault};
use crate::rules::ledger::entry::Entry;
use crate::units::amount::Amounts;
use crate::units::time::Timestamp;

/// Seeds of a normal test run.
const SEEDS: u64 = 120;

#[test]
fn nodes_on_redis_agree_with_the_shadow_of_the_book() {
    on_seeds("simulation", SEEDS, Server::stage, |(runtime, server), seed, loud| {
        World::new(Nodes::new(runtime, server, seed), seed, loud).run(STEPS);
    });
}

/// Two nodes of one ledger.
struct Nodes<'a> {
    runtime: &'a Runtime,
    outside: Outside<'a>,
    /// Which node is asked next. None of the world's own dice: its rolls are the same for every kind of ledger.
    dice: Dice,
    one: Redis,
    two: Redis,
    now: Timestamp,
    journal: Vec<Entry>,
    /// What the events alone make.
    replayed: Book,
}

/// A hold of which the ledger says no is the book's fault in other words.
fn said<T>(answer: Result<T, LedgerError>) -> Result<T, Fault> {
    answer.map_err(|e| match e {
        LedgerError::Hold(_, why) => why,
        other => panic!("{other}"),
    })
}

impl<'a> Nodes<'a> {
    fn new(runtime: &'a Runtime, server: &'a Server, seed: u64) -> Self {
        let (outside, one, two) = runtime.block_on(async {
            let outside = Outside::new(server, format!("simulated-{seed}")).await;
            let one = outside.node("one", Some(NOON)).await;
            let two = outside.node("two", None).await;
            (outside, one, two)
        });
        let (dice, journal, replayed) = (Dice(!seed), Vec::new(), Book::default());
        Self { runtime, outside, dice, one, two, now: NOON, journal, replayed }
    }

    fn any(&mut self) -> Redis {
        if self.dice.roll(2) == 0 { self.one.clone() } else { self.two.clone() }
    }

    /// Asks a node, and reads what that appended. What the events alone make must be sound after each of them.
    fn ask<T>(&mut self, node: Redis, ask: impl FnOnce(&Redis) -> Answer<'_, T>) -> Result<T, Fault> {
        let answer = self.runtime.block_on(ask(&node));
        self.read_on();
        said(answer)
    }

    fn read_on(&mut self) {
        for entry in self.runtime.block_on(self.outside.events_after(self.replayed.seq())) {
            self.replayed.apply(&entry);
            self.replayed.check_invariants().expect("every invariant holds");
            self.journal.push(entry);
        }
    }
}

impl Driven for Nodes<'_> {
    /// They stand on the server.
    const FORGETS_RENEWALS: bool = false;

    fn now(&self) -> Timestamp {
        self.now.max(self.replayed.now())
    }

    fn lease_clock(&self) -> Timestamp {
        self.now()
    }

    fn pass_secs(&mut self, secs: i64) {
        self.now = self.now.plus_secs(secs);
        self.runtime.block_on(self.outside.set_clock(self.now));
    }

    fn reserve(&mut self, ask: Reserve) -> Reservation {
        self.ask(self.one.clone(), |node| node.reserve(ask)).expect("the hold is new or open")
    }

    /// Whoever took a hold knows its limits.
    fn resize(&mut self, n: u32, step: u32, to: Amounts) -> Result<Reservation, Fault> {
        self.ask(self.one.clone(), |node| node.resize(id(n), step, to))
    }

    fn renew(&mut self, n: u32) -> Result<(), Fault> {
        let node = self.any();
        self.ask(node, |node| node.renew(id(n)))
    }

    fn settle(&mut self, n: u32, end: End) -> Result<Settled, Fault> {
        let node = self.any();
        self.ask(node, |node| node.settle(Settle { hold: id(n), end, closing: closing(n) }))
    }

    fn adjust(&mut self, n: u32, step: u32, charge: Amounts, exact: bool) -> Result<(), Fault> {
        let node = self.any();
        self.ask(node, |node| node.adjust(id(n), step, charge, exact, act()))
    }

    fn expire_due(&mut self) -> usize {
        let node = self.any();
        self.ask(node, |node| Store::expire(node)).expect("it answers")
    }

    fn control(&mut self, control: Control) {
        let node = self.any();
        self.ask(node, |node| node.control(control)).expect("it answers");
    }

    fn declare(&mut self, shapes: &[Shape], lag: u64) {
        self.outside.project(&self.journal, lag);
        let node = self.one.clone();
        let declared = self.runtime.block_on(node.declare(shapes.to_vec()));
        if declared.is_err() {
            // Those holds may be forgotten there: then the books must have them.
            self.outside.project(&self.journal, 0);
            self.runtime.block_on(node.declare(shapes.to_vec())).expect("it is declared");
        }
        self.read_on();
    }

    fn accounts(&mut self, lines: &[Line]) -> Vec<AccountState> {
        let node = self.any();
        self.ask(node, |node| node.accounts(lines.to_vec())).expect("it answers")
    }

    fn journal(&self) -> &[Entry] {
        &self.journal
    }

    fn remembers(&self, n: u32) -> bool {
        self.replayed.remembers(self.now, id(n))
    }

    fn open_holds(&self) -> usize {
        self.replayed.open_holds()
    }

    /// The node that takes the holds is gone, and another process opens the ledger, with books that have seen all so far.
    fn crash(&mut self) {
        self.outside.project(&self.journal, 0);
        self.one = self.runtime.block_on(self.outside.node("one", None));
        assert_eq!(self.one.seen(), self.replayed.seq(), "it begins where the ledger stands");
        self.check_replay();
    }

    /// The whole stream again, and the server's accounts beside the rows that were made of it.
    fn check_replay(&mut self) {
        let mut again = Book::default();
        self.runtime.block_on(self.outside.events_after(0)).iter().for_each(|e| again.apply(e));
        assert_eq!(again, self.replayed, "read anew on the left");
        self.outside.project(&self.journal, 0);
        let node = self.any();
        let checked = self.ask(node, |node| node.check()).expect("it is compared");
        assert_eq!(checked.differences, [], "the ledger and its books");
    }
}
