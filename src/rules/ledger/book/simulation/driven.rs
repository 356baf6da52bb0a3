//! What the simulation drives: a ledger of any kind, a step at a time. Here the book with the snapshots of one process; the
//! ledger on Redis is driven where its tests are. Judges nothing: `world` does.

use std::collections::BTreeMap;

use crate::rules::books::Control;
use crate::rules::ledger::account::{AccountName, Shape};
use crate::rules::ledger::ask::{AccountState, End, Line, Reservation, Reserve, Settled};
use crate::rules::ledger::book::rig::*;
use crate::rules::ledger::book::{Book, Fault, Sums};
use crate::rules::ledger::entry::{Entry, Op};
use crate::units::amount::Amounts;
use crate::units::time::Timestamp;

/// A ledger whose clock is the test's. Every answer is that of a ledger which is there: that it is away is no part of this.
pub(crate) trait Driven {
    /// Does a crash make it forget that leases were renewed after its last snapshot?
    const FORGETS_RENEWALS: bool;

    /// By which windows begin: never goes back.
    fn now(&self) -> Timestamp;
    /// By which leases end.
    fn lease_clock(&self) -> Timestamp;
    fn pass_secs(&mut self, secs: i64);

    fn reserve(&mut self, ask: Reserve) -> Reservation;
    fn resize(&mut self, n: u32, step: u32, to: Amounts) -> Result<Reservation, Fault>;
    fn renew(&mut self, n: u32) -> Result<(), Fault>;
    fn settle(&mut self, n: u32, end: End) -> Result<Settled, Fault>;
    fn adjust(&mut self, n: u32, step: u32, charge: Amounts, exact: bool) -> Result<(), Fault>;
    fn expire_due(&mut self) -> usize;
    fn control(&mut self, control: Control);
    /// These shapes are declared, whole, while the books have all entries but the last `lag`.
    fn declare(&mut self, shapes: &[Shape], lag: u64);

    fn accounts(&mut self, lines: &[Line]) -> Vec<AccountState>;
    /// Every entry so far.
    fn journal(&self) -> &[Entry];
    fn remembers(&self, n: u32) -> bool;
    fn open_holds(&self) -> usize;

    /// Should it keep some of its own.
    fn take_snapshot(&mut self) {}
    /// Its process is gone, and another one begins where it ended. What lies in no journal is forgotten.
    fn crash(&mut self);
    /// What is made of the entries alone is the same.
    fn check_replay(&mut self);
}

/// The book of one process, with its last snapshot: as text, and the entries in it.
pub(crate) struct OneBook {
    rig: Rig,
    snapshot: (String, usize),
}

impl OneBook {
    pub fn new() -> Self {
        let rig = Rig::new();
        let snapshot = (text(&rig.book), 0);
        Self { rig, snapshot }
    }
}

fn text(book: &Book) -> String {
    serde_json::to_string(book).expect("plain data")
}

impl Driven for OneBook {
    /// They are in no journal: after a restart nobody lives who could renew.
    const FORGETS_RENEWALS: bool = true;

    fn now(&self) -> Timestamp {
        self.rig.now.max(self.rig.book.now())
    }

    /// Beyond the book's own time the wall clock may go back.
    fn lease_clock(&self) -> Timestamp {
        self.rig.now
    }

    fn pass_secs(&mut self, secs: i64) {
        self.rig.pass_secs(secs);
    }

    fn reserve(&mut self, ask: Reserve) -> Reservation {
        self.rig.reserve(ask)
    }

    fn resize(&mut self, n: u32, step: u32, to: Amounts) -> Result<Reservation, Fault> {
        self.rig.resize(n, step, to)
    }

    fn renew(&mut self, n: u32) -> Result<(), Fault> {
        let now = self.now();
        self.rig.book.renew(now, id(n))
    }

    fn settle(&mut self, n: u32, end: End) -> Result<Settled, Fault> {
        self.rig.settle(n, end)
    }

    fn adjust(&mut self, n: u32, step: u32, charge: Amounts, exact: bool) -> Result<(), Fault> {
        self.rig.adjust(n, step, charge, exact)
    }

    fn expire_due(&mut self) -> usize {
        self.rig.expire_due()
    }

    fn control(&mut self, control: Control) {
        self.rig.write([Some(Op::Control { control })]);
    }

    fn declare(&mut self, shapes: &[Shape], lag: u64) {
        let gone = self.rig.book.shapes().iter().filter(|s| !shapes.contains(s)).cloned();
        for shape in gone.collect::<Vec<_>>() {
            let op = self.rig.book.undeclare(shape);
            self.rig.write([Some(op)]);
        }
        let upto = self.rig.book.seq() - lag;
        let new = shapes.iter().filter(|s| !self.rig.book.shapes().contains(s)).cloned();
        for shape in new.collect::<Vec<_>>() {
            let sums = Sums { upto, spent: books(&self.rig.journal, upto, &shape) };
            self.rig.declare(shape, sums);
        }
    }

    fn accounts(&mut self, lines: &[Line]) -> Vec<AccountState> {
        self.rig.book.accounts(self.rig.now, lines)
    }

    fn journal(&self) -> &[Entry] {
        &self.rig.journal
    }

    fn remembers(&self, n: u32) -> bool {
        self.rig.book.remembers(self.rig.now, id(n))
    }

    fn open_holds(&self) -> usize {
        self.rig.book.open_holds()
    }

    fn take_snapshot(&mut self) {
        self.snapshot = (text(&self.rig.book), self.rig.journal.len());
    }

    fn crash(&mut self) {
        let (text, covered) = &self.snapshot;
        let mut book: Book = serde_json::from_str(text).expect("a snapshot reads back");
        self.rig.journal[*covered..].iter().for_each(|entry| {
            let line = serde_json::to_vec(entry).expect("plain data");
            book.apply(&serde_json::from_slice(&line).expect("an entry reads back"));
        });
        assert_eq!(book, self.rig.book, "snapshot and tail give the same book");
        self.rig.book = book;
    }

    fn check_replay(&mut self) {
        self.rig.check_replay();
    }
}

/// What an audit store that has seen the entries up to `upto` says of a shape: the rows' charges, by facts and time.
fn books(journal: &[Entry], upto: u64, shape: &Shape) -> Vec<(AccountName, Timestamp, u64)> {
    let mut rows = BTreeMap::new();
    for entry in journal.iter().filter(|e| e.seq <= upto) {
        match &entry.op {
            Op::Reserve { row, .. } => drop(rows.insert(row.call, (entry.at, row.facts.clone(), 0))),
            Op::Commit { hold, charge, .. } | Op::Expire { hold, charge, .. } | Op::Adjust { hold, charge, .. } => {
                rows.entry(*hold).and_modify(|r| r.2 = charge.of(shape.unit));
            }
            Op::Release { hold, kept, .. } => {
                rows.entry(*hold).and_modify(|r| r.2 = kept.map_or(0, |k| k.money.of(shape.unit)));
            }
            _ => {}
        }
    }
    let mut sums = BTreeMap::new();
    for (at, facts, charge) in rows.into_values() {
        for account in facts.iter().flat_map(|f| shape.accounts(f)) {
            *sums.entry((account, shape.window.start(at))).or_insert(0) += charge;
        }
    }
    sums.into_iter().map(|((account, start), sum)| (account, start, sum)).collect()
}
