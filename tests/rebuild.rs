//! A ledger written anew from its books, on each store: books from an older copy than the journal keeps, what retention gave
//! up, books whose end was taken out. What a person sees of it is in `mended.rs`.

mod common;

use std::path::Path;
use std::sync::Arc;

use bursar::adapters::audit::postgres::PostgresBooks;
use bursar::adapters::audit::sqlite::SqliteBooks;
use bursar::adapters::audit::{AuditStore, Chained};
use bursar::adapters::ledger::Store;
use bursar::adapters::ledger::embedded::{Embedded, FolderLock, Rebuilt, rebuild};
use bursar::adapters::ledger::journal::{Durability, Journal, Record};
use bursar::rules::books::{Act, Control, Hole};
use bursar::rules::chain::Place;
use bursar::rules::evidence::{Checkpoint, PublicKey, Signature, Signed};
use bursar::rules::ledger::entry::{Entry, Op};
use bursar::rules::subject::Flag;
use bursar::units::ids::{Digest32, Seq};
use bursar::units::time::Timestamp;
use common::postgres::Postgres;
use common::{SOON, wait_for};
use tempfile::TempDir;

const START: i64 = 1_790_000_000_000_000;

fn act() -> Act {
    Act { actor: "shell:ann".into(), reason: Some("the books are old".into()) }
}

fn records(first: Seq, last: Seq) -> Vec<Arc<Record>> {
    let stopped = |seq: Seq| {
        let flag = Flag::Tenant { name: format!("t{seq}").as_str().into() };
        let op = Op::Control { control: Control::Stopped { flag, act: act() } };
        Arc::new(Record::encode(Entry { seq, at: Timestamp(START + seq as i64 * 1000), op }).expect("plain data"))
    };
    (first..=last).map(stopped).collect()
}

fn journal(dir: &Path, first: Seq, last: Seq) {
    let journal = Journal::begin(&dir.join("journal"), Durability::Process, first).expect("a journal");
    journal.append(&records(first, last), true).expect("written");
}

fn fill(books: &dyn AuditStore, last: Seq) {
    books.apply(&Chained::after(Place::START, records(1, last)).0, true).expect("written");
}

fn rebuilt(dir: &Path, books: &dyn AuditStore) -> Rebuilt {
    let lock = FolderLock::take(dir).expect("nobody serves");
    rebuild(&lock, dir, books, act()).expect("rebuilt")
}

/// The ledger opens on it, and its next entry has the number behind all that were given.
fn serves(dir: &Path, books: Arc<dyn AuditStore>, after: Seq) {
    let ledger = Embedded::open(dir, Durability::Process, books).expect("it opens");
    assert_eq!(*ledger.durable().borrow(), after);
}

fn each_store(test: fn(&Path, Arc<dyn AuditStore>)) {
    let dir = TempDir::new().expect("a folder");
    test(dir.path(), Arc::new(SqliteBooks::open(dir.path()).expect("books")));
    let (dir, server) = (TempDir::new().expect("a folder"), Postgres::start());
    test(dir.path(), Arc::new(PostgresBooks::open(&server.url("postgres"), None).expect("books")));
}

#[test]
fn books_older_than_the_journal_are_filled_and_the_hole_is_said() {
    each_store(|dir, books| {
        fill(&*books, 10);
        journal(dir, 500, 520);
        let done = rebuilt(dir, &*books);
        assert_eq!(
            (done.lost.as_slice(), done.salvaged, done.upto),
            ([Hole { from: 11, to: 499 }].as_slice(), 21, 520)
        );
        assert!(!done.accounts_kept, "there was no snapshot to know better");
        let gaps = books.gaps().expect("gaps");
        assert!(gaps.len() == 1 && (gaps[0].from, gaps[0].to) == (11, 499), "{gaps:?}");
        serves(dir, books, 521);
    });
}

fn given_up(to: Seq) -> Signed {
    let key = PublicKey(Digest32([7; 32]));
    let checkpoint = Checkpoint {
        version: 1,
        number: 1,
        from: 1,
        to,
        events: to,
        head: Digest32([1; 32]),
        root: Digest32([2; 32]),
        at: Timestamp(START),
        key,
        previous: Digest32::default(),
        next_key: None,
        pruned_to: to,
    };
    Signed { checkpoint, signature: Signature([9; 64]) }
}

#[test]
fn what_retention_gave_up_is_not_lost() {
    each_store(|dir, books| {
        fill(&*books, 20);
        books.seal(&given_up(5)).expect("sealed");
        assert_eq!(books.prune(5).expect("pruned"), 5);
        let done = rebuilt(dir, &*books);
        assert_eq!((done.lost.as_slice(), done.upto), ([].as_slice(), 20));
        serves(dir, books, 21);
    });
}

#[test]
fn numbers_of_events_that_were_taken_out_are_given_to_no_other() {
    let (dir, server) = (TempDir::new().expect("a folder"), Postgres::start());
    let books: Arc<dyn AuditStore> = Arc::new(PostgresBooks::open(&server.url("postgres"), None).expect("books"));
    fill(&*books, 20);
    server.must("DELETE FROM events WHERE seq > 15");
    let done = rebuilt(dir.path(), &*books);
    assert_eq!((done.lost.as_slice(), done.upto), ([Hole { from: 16, to: 20 }].as_slice(), 20));
    serves(dir.path(), books.clone(), 21);
    drop(books);
    wait_for("the books to be let go", SOON, || PostgresBooks::open(&server.url("postgres"), None).ok());
}
