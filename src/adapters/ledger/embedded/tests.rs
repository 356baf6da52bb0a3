//! The embedded ledger on a real folder: restarts, locks, snapshots, a full disk, shapes that begin late.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tempfile::TempDir;

use super::rebuild::complete;
use super::{Embedded, FolderLock, OpenError, Rebuilt, rebuild};
use crate::adapters::audit::sqlite::SqliteBooks;
use crate::adapters::audit::tail::{Books, Feed};
use crate::adapters::ledger::journal::{Durability, Journal, Record};
use crate::adapters::ledger::testing::{House, house, open};
use crate::adapters::ledger::{Ledger, LedgerError, Store};
use crate::rules::books::{Control, Outcome};
use crate::rules::ledger::account::Scope;
use crate::rules::ledger::ask::{End, Line, Reservation, Settle, Settled};
use crate::rules::ledger::book::rig::{self, act, amounts, ask, closing, fitted, id, line, opening, shape, usd};
use crate::rules::ledger::entry::Op;
use crate::rules::subject::Flag;
use crate::units::amount::{Amounts, Unit};
use crate::units::time::{Timestamp, Window};

async fn at(ledger: &Embedded, line: &Line) -> (u64, u64) {
    let states = ledger.accounts(vec![line.clone()]).await.expect("readable");
    (states[0].spent, states[0].held)
}

fn commit(n: u32, usd: u64) -> Settle {
    Settle { hold: id(n), end: End::Commit { charge: amounts(usd, 0, 1, 0), exact: true }, closing: closing(n) }
}

fn is_held(answer: Result<Reservation, LedgerError>) -> bool {
    matches!(answer.expect("it answers"), Reservation::Held(_))
}

#[tokio::test]
async fn a_second_ledger_on_one_folder_is_refused_by_name() {
    let House { dir, ledger } = house();
    let books = Arc::new(SqliteBooks::open(dir.path()).expect("books"));
    let second = Embedded::open(dir.path(), Durability::Process, books).err().expect("refused");
    assert!(
        matches!(second, OpenError::Taken(_)) && second.to_string().contains(&dir.path().display().to_string()),
        "{second}"
    );
    drop(ledger);
    open(&dir, Durability::Process);
}

#[tokio::test]
async fn a_restart_knows_everything_with_and_without_a_snapshot() {
    for (durability, snapshot) in [
        (Durability::Process, false),
        (Durability::Process, true),
        (Durability::Power, false),
        (Durability::Power, true),
    ] {
        let dir = TempDir::new().expect("a folder");
        let ledger = open(&dir, durability);
        let lines = [usd("a", 100)];
        assert!(is_held(ledger.reserve(ask(1, &lines, 30)).await));
        ledger.settle(commit(1, 20)).await.expect("settled");
        assert!(is_held(ledger.reserve(ask(2, &lines, 40)).await));
        let flag = Flag::Tenant { name: "other".into() };
        ledger.control(Control::Stopped { flag, act: act() }).await.expect("written");
        if snapshot {
            ledger.flush().await.expect("flushed");
        }
        assert!(is_held(ledger.reserve(ask(3, &lines, 15)).await));
        let before = ledger.book.lock().clone();
        drop(ledger);
        let again = open(&dir, durability);
        assert_eq!(*again.book.lock(), before);
        assert_eq!(at(&again, &lines[0]).await, (20, 55));
        assert_eq!(again.settle(commit(2, 40)).await.expect("still open"), Settled::Done);
    }
}

#[tokio::test]
async fn books_that_went_back_count_as_behind_and_hold_the_journal() {
    let House { dir: _dir, ledger } = house();
    ledger.bound_backlog(3);
    let stopped = |n: u32| Control::Stopped { flag: Flag::Tenant { name: n.to_string().as_str().into() }, act: act() };
    for n in 0..5 {
        ledger.control(stopped(n)).await.expect("written");
        ledger.applied_up_to(u64::from(n) + 1);
    }
    ledger.safe_up_to(5);
    assert_eq!(ledger.trouble(), None);
    ledger.went_back_to(1);
    assert!(ledger.trouble().is_some_and(|why| why.contains("4 entries behind")), "{:?}", ledger.trouble());
    assert_eq!(ledger.safe.load(std::sync::atomic::Ordering::Acquire), 1);
}

/// The books come from a copy older than the journal keeps: the journal says what to do, and a rebuild leaves what was spent.
#[tokio::test]
async fn a_rebuild_beside_old_books_forgets_no_money() {
    let House { dir, ledger } = house();
    let lines = [usd("a", 100)];
    assert!(is_held(ledger.reserve(ask(1, &lines, 30)).await));
    ledger.settle(commit(1, 20)).await.expect("settled");
    ledger.flush().await.expect("flushed");
    let seq = ledger.book.lock().seq();
    drop(ledger);
    // As if the files before the snapshot had been trimmed, and the books were new.
    std::fs::remove_dir_all(dir.path().join("journal")).expect("removed");
    let journal = Journal::begin(&dir.path().join("journal"), Durability::Process, seq + 1).expect("a journal");
    let op = Op::Control { control: Control::Stopped { flag: Flag::Everyone, act: act() } };
    let entry = crate::rules::ledger::entry::Entry { seq: seq + 1, at: Timestamp::now(), op };
    journal.append(&[Arc::new(Record::encode(entry).expect("plain"))], true).expect("written");
    drop(journal);
    let ledger = open(&dir, Durability::Process);
    let told = ledger.read_from(1, 10).expect_err("it has none");
    assert!(told.contains("bursar ledger rebuild") && told.contains("older than what the journal keeps"), "{told}");
    drop(ledger);
    let books = SqliteBooks::open(dir.path()).expect("books");
    let lock = super::FolderLock::take(dir.path()).expect("nobody serves");
    let done = super::rebuild(&lock, dir.path(), &books, act()).expect("rebuilt");
    assert!(done.accounts_kept && done.salvaged == 1 && done.lost.len() == 1, "{done:?}");
    drop((lock, books));
    let ledger = open(&dir, Durability::Process);
    assert_eq!(at(&ledger, &lines[0]).await, (20, 0), "nobody spends it again");
    assert_eq!(ledger.flags().await.expect("known"), [Flag::Everyone]);
}

#[tokio::test]
async fn what_was_left_open_is_charged_once_its_lease_is_over() {
    let dir = TempDir::new().expect("a folder");
    let lines = [line("a", Unit::Usd, Window::Total)];
    let journal = Journal::open(&dir.path().join("journal"), Durability::Process, 0, |_| {}).expect("a journal");
    let mut book = crate::rules::ledger::book::Book::default();
    let long_ago = Timestamp::now().plus_secs(-60);
    let (_, op) = book.reserve(long_ago, ask(1, &lines, 30)).expect("new");
    let entries: Vec<_> = book.entries(long_ago, [op, None]).collect();
    for entry in entries {
        book.apply(&entry);
        journal.append(&[Arc::new(Record::encode(entry).expect("plain"))], true).expect("written");
    }
    drop(journal);
    let ledger = open(&dir, Durability::Process);
    assert_eq!(at(&ledger, &lines[0]).await, (30, 0));
    assert_eq!(ledger.settle(commit(1, 10)).await.expect("late"), Settled::Adjusted);
    assert_eq!(at(&ledger, &lines[0]).await, (10, 0));
}

#[tokio::test]
async fn a_full_disk_stops_admission_and_loses_no_end() {
    for durability in [Durability::Process, Durability::Power] {
        let dir = TempDir::new().expect("a folder");
        let ledger = open(&dir, durability);
        let lines = [usd("a", 100)];
        assert!(is_held(ledger.reserve(ask(1, &lines, 30)).await));
        ledger.journal.fill_disk(true);
        let down = ledger.reserve(ask(2, &lines, 30)).await;
        assert!(matches!(down, Err(LedgerError::Down(_))), "{down:?}");
        assert!(ledger.trouble().is_some());
        assert!(ledger.deny(opening(3)).await.is_err());
        ledger.settle_later(commit(1, 20));
        assert!(
            ledger.settle(Settle { hold: id(1), ..commit(1, 20) }).await.is_ok(),
            "it was applied before, and writes nothing"
        );
        ledger.journal.fill_disk(false);
        ledger.flush().await.expect("healed");
        tokio::time::timeout(Duration::from_secs(5), async {
            while ledger.trouble().is_some() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .expect("it heals");
        assert!(is_held(ledger.reserve(ask(4, &lines, 80)).await), "the refused one holds nothing");
        drop(ledger);
        assert_eq!(at(&open(&dir, durability), &lines[0]).await, (20, 80), "{durability:?}");
    }
}

#[tokio::test]
async fn the_books_open_a_new_shape_while_calls_run() {
    let dir = TempDir::new().expect("a folder");
    let store = Arc::new(SqliteBooks::open(dir.path()).expect("books"));
    let ledger = Embedded::open(dir.path(), Durability::Process, store.clone()).expect("it opens");
    let (books, _task) =
        Books::follow(store, ledger.clone(), ledger.durable(), Default::default()).expect("it follows");
    let lines = [usd("a", 1000)];
    for n in 1..=3 {
        assert!(is_held(ledger.reserve(ask(n, &lines, 30)).await));
        ledger.settle(commit(n, u64::from(n))).await.expect("settled");
    }
    books.caught_up(6).await;
    assert!(is_held(ledger.reserve(ask(4, &lines, 40)).await));
    ledger.settle(commit(4, 4)).await.expect("settled, and perhaps not in the books yet");
    assert!(is_held(ledger.reserve(ask(5, &lines, 50)).await));
    let shapes = vec![shape(Scope::Agent, Unit::Usd, Window::Month), shape(Scope::Tenant, Unit::Calls, Window::Total)];
    ledger.declare(shapes.clone()).await.expect("declared");
    ledger.declare(shapes).await.expect("nothing new");
    assert_eq!(at(&ledger, &line("a", Unit::Usd, Window::Month)).await, (10, 50));
    let tenant = shape(Scope::Tenant, Unit::Calls, Window::Total).account("default");
    let calls = Line { account: tenant, unit: Unit::Calls, window: Window::Total, limit: None };
    assert_eq!(at(&ledger, &calls).await, (4, 1));
}

#[tokio::test]
async fn whoever_waits_is_told_of_what_is_freed() {
    let House { dir: _dir, ledger } = house();
    let told = Arc::new(Mutex::new(0));
    ledger.on_freed(Box::new({
        let told = told.clone();
        move |postings| *told.lock() += postings.len()
    }));
    let lines = [usd("a", 100), line("a", Unit::Calls, Window::Day)];
    assert!(is_held(ledger.reserve(fitted(1, &lines, 10, 1, 100)).await));
    assert_eq!(*told.lock(), 0);
    ledger.resize(id(1), 1, amounts(5, 0, 1, 0)).await.expect("smaller");
    assert_eq!(*told.lock(), 2);
    ledger.settle(commit(1, 5)).await.expect("settled");
    assert_eq!(*told.lock(), 4);
}

#[tokio::test]
async fn every_entry_can_be_followed() {
    use crate::adapters::audit::tail::Feed;
    let House { dir: _dir, ledger } = house();
    assert!(is_held(ledger.reserve(ask(1, &[usd("a", 100)], 30)).await));
    let seq = ledger.deny(opening(2)).await.expect("written");
    ledger.settle(Settle { hold: id(1), end: End::Release, closing: rig::closing(1) }).await.expect("released");
    let entries = ledger.read_from(1, 10).expect("readable");
    assert_eq!((entries.len(), seq, *ledger.durable().borrow()), (3, 2, 3));
    assert!(matches!(&entries[0].op, Op::Reserve { amounts, .. } if *amounts == rig::amounts(30, 0, 1, 0)));
    assert!(
        matches!(&entries[2].op, Op::Release { row, .. } if row.charge == Amounts::ZERO && row.outcome == Outcome::Ok)
    );
}

/// The books are from an old copy, and what was spent since stands in the ledger alone: also when its rebuild is broken off once
/// the books are filled.
#[tokio::test]
async fn a_rebuild_that_is_begun_again_keeps_what_the_ledger_alone_knows() {
    let House { dir, ledger } = house();
    let lines = [usd("a", 100)];
    assert!(is_held(ledger.reserve(ask(1, &lines, 60)).await));
    ledger.settle(commit(1, 60)).await.expect("settled");
    ledger.flush().await.expect("a snapshot");
    let last = ledger.book.lock().seq();
    drop(ledger);
    // What is older than the snapshot was trimmed, since the books had it.
    let journal = dir.path().join("journal");
    std::fs::remove_dir_all(&journal).expect("removed");
    drop(Journal::begin(&journal, Durability::Process, last + 1).expect("a journal"));
    let ledger = open(&dir, Durability::Process);
    assert!(is_held(ledger.reserve(ask(2, &lines, 5)).await));
    ledger.settle(commit(2, 5)).await.expect("settled");
    drop(ledger);
    let books = SqliteBooks::open(dir.path()).expect("books");
    complete(dir.path(), &books, &mut Rebuilt::default()).expect("the books are filled, and no more");
    let lock = FolderLock::take(dir.path()).expect("nobody serves");
    let done = rebuild(&lock, dir.path(), &books, act()).expect("rebuilt");
    drop((lock, books));
    assert!(done.accounts_kept, "{done:?}");
    assert_eq!(at(&open(&dir, Durability::Process), &lines[0]).await, (65, 0));
    assert!(!dir.path().join("ledger.kept").exists(), "nothing is left of it");
}
