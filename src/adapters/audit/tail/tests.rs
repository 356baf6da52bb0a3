//! The follower against a journal in memory and books that fail: nothing is skipped, nothing written twice.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::follower::BATCH;
use super::*;
use crate::adapters::audit::evidence::index::Indexed;
use crate::adapters::audit::sqlite::SqliteBooks;
use crate::adapters::audit::{CallPage, CallQuery, Chained, Event, Gap, Linked, RunName, Spend, Sums};
use crate::rules::books::{Act, Control};
use crate::rules::chain::Place;
use crate::rules::evidence::Signed;
use crate::rules::ledger::account::Shape;
use crate::rules::ledger::entry::{Entry, Op};
use crate::rules::subject::Flag;
use crate::units::ids::CallId;
use crate::units::time::Timestamp;

struct Journal {
    records: Mutex<Vec<Arc<Record>>>,
    grown: watch::Sender<Seq>,
    safe: AtomicU64,
}

impl Journal {
    fn new() -> Arc<Self> {
        Arc::new(Self { records: Mutex::default(), grown: watch::Sender::new(0), safe: AtomicU64::new(0) })
    }

    fn add(&self, count: usize) {
        let mut records = self.records.lock();
        for _ in 0..count {
            let seq = records.len() as Seq + 1;
            let act = Act { actor: "socket:ann".into(), reason: None };
            let op = Op::Control { control: Control::Stopped { flag: Flag::Everyone, act } };
            let entry = Entry { seq, at: Timestamp(seq as i64), op };
            records.push(Arc::new(Record::encode(entry).expect("plain data")));
        }
        self.grown.send_replace(records.len() as Seq);
    }
}

impl Feed for Journal {
    fn read_from(&self, seq: Seq, max: usize) -> Result<Vec<Arc<Record>>, String> {
        Ok(self.records.lock().iter().filter(|e| e.seq >= seq).take(max).cloned().collect())
    }

    fn safe_up_to(&self, seq: Seq) {
        self.safe.fetch_max(seq, Ordering::AcqRel);
    }

    fn went_back_to(&self, seq: Seq) {
        self.safe.store(seq, Ordering::Release);
    }
}

/// Books whose disk is full, or that say that they were put back from a copy, when told so.
struct Fragile {
    books: SqliteBooks,
    full: AtomicBool,
    back: Mutex<Option<Place>>,
    /// Another process writes these books.
    taken: AtomicBool,
}

impl AuditStore for Fragile {
    fn place(&self) -> Result<Place, AuditError> {
        self.back.lock().map_or_else(|| self.books.place(), Ok)
    }
    fn lead(&self) -> Result<bool, AuditError> {
        Ok(!self.taken.load(Ordering::Acquire))
    }
    fn is_shared(&self) -> bool {
        true
    }
    fn resign(&self) {
        self.taken.store(true, Ordering::Release);
    }
    fn identity(&self) -> Result<String, AuditError> {
        self.books.identity()
    }
    fn apply(&self, events: &[Chained], durable: bool) -> Result<Seq, AuditError> {
        match self.full.load(Ordering::Acquire) {
            true => Err(AuditError::Store("the disk is full".to_owned())),
            false => self.books.apply(events, durable),
        }
    }
    fn events(&self, from: Seq, limit: usize) -> Result<Vec<Event>, AuditError> {
        self.books.events(from, limit)
    }
    fn entries(&self, from: Seq, limit: usize) -> Result<Vec<Entry>, AuditError> {
        self.books.entries(from, limit)
    }
    fn changes(&self, from: Seq, limit: usize) -> Result<Vec<Event>, AuditError> {
        self.books.changes(from, limit)
    }
    fn entries_of(&self, call: CallId) -> Result<Vec<Entry>, AuditError> {
        self.books.entries_of(call)
    }
    fn made(&self, object: &str) -> Result<Vec<CallId>, AuditError> {
        self.books.made(object)
    }
    fn made_since(&self, since: Timestamp) -> Result<Vec<CallId>, AuditError> {
        self.books.made_since(since)
    }
    fn runs(&self, query: &CallQuery) -> Result<Vec<RunName>, AuditError> {
        self.books.runs(query)
    }
    fn calls(&self, query: &CallQuery) -> Result<CallPage, AuditError> {
        self.books.calls(query)
    }
    fn spend(&self, query: &CallQuery) -> Result<Spend, AuditError> {
        self.books.spend(query)
    }
    fn sums(&self, shape: &Shape, start: Timestamp) -> Result<Sums, AuditError> {
        self.books.sums(shape, start)
    }
    fn gaps(&self) -> Result<Vec<Gap>, AuditError> {
        self.books.gaps()
    }
    fn linked(&self, from: Seq, limit: usize) -> Result<Vec<Linked>, AuditError> {
        self.books.linked(from, limit)
    }
    fn indexed(&self, from: Seq, limit: usize) -> Result<Vec<Indexed>, AuditError> {
        self.books.indexed(from, limit)
    }
    fn rows_between(&self, from: Seq, to: Seq) -> Result<u64, AuditError> {
        self.books.rows_between(from, to)
    }
    fn seqs_of(&self, call: CallId) -> Result<Vec<Seq>, AuditError> {
        self.books.seqs_of(call)
    }
    fn seal(&self, signed: &Signed) -> Result<(), AuditError> {
        self.books.seal(signed)
    }
    fn checkpoints(&self, from: u64, limit: usize, keys: bool) -> Result<Vec<Signed>, AuditError> {
        self.books.checkpoints(from, limit, keys)
    }
    fn last_checkpoint(&self) -> Result<Option<Signed>, AuditError> {
        self.books.last_checkpoint()
    }
    fn prune(&self, upto: Seq) -> Result<u64, AuditError> {
        self.books.prune(upto)
    }
}

struct Rig {
    dir: tempfile::TempDir,
    journal: Arc<Journal>,
    stop: CancellationToken,
}

impl Rig {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a folder"), journal: Journal::new(), stop: CancellationToken::new() }
    }

    fn follow(&self, full: bool) -> (Arc<Fragile>, Arc<Books>, JoinHandle<()>) {
        self.follow_as(full, false)
    }

    fn follow_as(&self, full: bool, taken: bool) -> (Arc<Fragile>, Arc<Books>, JoinHandle<()>) {
        let books = SqliteBooks::open(self.dir.path()).expect("books");
        let (full, taken) = (AtomicBool::new(full), AtomicBool::new(taken));
        let store = Arc::new(Fragile { books, full, back: Mutex::default(), taken });
        let (journal, stop) = (self.journal.clone(), self.stop.child_token());
        let (books, task) =
            Books::follow(store.clone(), journal, self.journal.grown.subscribe(), stop).expect("a follower");
        (store, books, task)
    }
}

const SOON: Duration = Duration::from_secs(20);

async fn reached(books: &Books, seq: Seq) {
    tokio::time::timeout(SOON, books.caught_up(seq)).await.expect("in time");
}

#[tokio::test]
async fn it_catches_up_follows_and_tells_the_journal_what_is_safe() {
    let rig = Rig::new();
    rig.journal.add(BATCH * 2 + 5);
    let (store, books, task) = rig.follow(false);
    reached(&books, BATCH as u64 * 2 + 5).await;
    rig.journal.add(3);
    reached(&books, BATCH as u64 * 2 + 8).await;
    assert_eq!((books.lag(), books.trouble()), (0, None));
    let forced = async {
        while rig.journal.safe.load(Ordering::Acquire) < BATCH as u64 * 2 + 8 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, forced).await.expect("forced within a second or so");
    assert!(store.gaps().expect("gaps").is_empty());
    rig.stop.cancel();
    task.await.expect("no panic");
}

#[tokio::test]
async fn a_full_disk_loses_nothing_and_holds_the_journal() {
    let rig = Rig::new();
    rig.journal.add(10);
    let (store, books, task) = rig.follow(true);
    let troubled = async {
        while books.trouble().is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(SOON, troubled).await.expect("it says so");
    rig.journal.add(5);
    assert_eq!((books.lag(), rig.journal.safe.load(Ordering::Acquire)), (15, 0));
    store.full.store(false, Ordering::Release);
    reached(&books, 15).await;
    assert_eq!(books.trouble(), None);
    let seqs: Vec<_> = store.events(0, 100).expect("events").iter().map(|e| e.seq).collect();
    assert_eq!(seqs, (1..=15).collect::<Vec<_>>());
    rig.stop.cancel();
    task.await.expect("no panic");
}

#[tokio::test]
async fn books_that_went_back_hold_the_journal_again() {
    let rig = Rig::new();
    rig.journal.add(10);
    let (store, books, task) = rig.follow(false);
    reached(&books, 10).await;
    let safe = |is: Seq| {
        let journal = rig.journal.clone();
        async move {
            while journal.safe.load(Ordering::Acquire) != is {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    };
    tokio::time::timeout(SOON, safe(10)).await.expect("all is safe");
    *store.back.lock() = Some(Place::START);
    store.full.store(true, Ordering::Release);
    rig.journal.add(1);
    tokio::time::timeout(SOON, safe(0)).await.expect("the journal keeps what they lost");
    rig.stop.cancel();
    task.await.expect("no panic");
}

#[tokio::test]
async fn a_stop_writes_the_rest_and_a_restart_goes_on() {
    let rig = Rig::new();
    let (_, _, task) = rig.follow(false);
    rig.journal.add(7);
    rig.stop.cancel();
    task.await.expect("no panic");
    assert_eq!(rig.journal.safe.load(Ordering::Acquire), 7, "all of it is forced at the end");
    let rig = Rig { stop: CancellationToken::new(), ..rig };
    rig.journal.add(2);
    let (store, books, task) = rig.follow(false);
    reached(&books, 9).await;
    let journal: Vec<Entry> = rig.journal.records.lock().iter().map(|r| r.entry().clone()).collect();
    assert_eq!(store.entries(0, 100).expect("entries"), journal);
    rig.stop.cancel();
    task.await.expect("no panic");
}

#[tokio::test]
async fn books_ahead_of_their_journal_are_refused() {
    let rig = Rig::new();
    rig.journal.add(3);
    let (_, books, task) = rig.follow(false);
    reached(&books, 3).await;
    rig.stop.cancel();
    task.await.expect("no panic");
    let books = Arc::new(SqliteBooks::open(rig.dir.path()).expect("books"));
    let shorter = watch::Sender::new(2);
    let followed = Books::follow(books, Journal::new(), shorter.subscribe(), CancellationToken::new());
    assert!(matches!(followed.map(|_| ()), Err(AuditError::Unreadable(_))));
}

#[tokio::test]
async fn the_books_of_another_ledger_are_refused() {
    let (rig, other) = (Rig::new(), Journal::new());
    rig.journal.add(3);
    let (_, books, task) = rig.follow(false);
    reached(&books, 3).await;
    rig.stop.cancel();
    task.await.expect("no panic");
    other.add(5);
    let follow = |journal: &Arc<Journal>| {
        let books = Arc::new(SqliteBooks::open(rig.dir.path()).expect("books"));
        let (ended, grown) = (CancellationToken::new(), journal.grown.subscribe());
        ended.cancel();
        Books::follow(books, journal.clone(), grown, ended).map(|(_, task)| task)
    };
    follow(&other).expect("the same entries").await.expect("no panic");
    let (foreign, op) = (Journal::new(), Op::Undeclare { shape: everyone() });
    foreign.add(4);
    foreign.records.lock().push(Arc::new(Record::encode(Entry { seq: 5, at: Timestamp(5), op }).expect("plain data")));
    foreign.add(3);
    let refused = follow(&foreign).map(|_| ()).expect_err("another's");
    assert!(refused.to_string().contains("another ledger"), "{refused}");
}

fn everyone() -> Shape {
    use crate::rules::ledger::account::Scope;
    use crate::units::amount::Unit;
    use crate::units::time::Window;
    Shape { scope: Scope::Everyone, unit: Unit::Usd, window: Window::Day, vendor: None, operations: Vec::new() }
}

#[tokio::test]
async fn while_another_process_writes_it_sees_what_that_one_wrote_and_then_its_turn_comes() {
    let rig = Rig::new();
    rig.journal.add(3);
    let (store, books, task) = rig.follow_as(false, true);
    assert!(!books.leads());
    // The other one.
    let written = rig.journal.read_from(1, 2).expect("entries");
    store.books.apply(&Chained::after(Place::START, written).0, true).expect("written");
    reached(&books, 2).await;
    let (began, ended) = (Arc::new(AtomicU64::new(0)), CancellationToken::new());
    let (follower, counted, stop) = (books.clone(), began.clone(), ended.clone());
    let once = tokio::spawn(async move {
        let work = || {
            let (stop, _) = (stop.clone(), counted.fetch_add(1, Ordering::AcqRel));
            async move { stop.cancelled().await }
        };
        follower.while_leading(&stop, work).await;
    });
    assert_eq!(began.load(Ordering::Acquire), 0, "what is done once is done by whoever writes");
    store.taken.store(false, Ordering::Release);
    reached(&books, 3).await;
    assert!(books.leads());
    tokio::time::timeout(SOON, books.turn()).await.expect("its turn");
    while began.load(Ordering::Acquire) == 0 {
        tokio::task::yield_now().await;
    }
    // It hangs, and is put aside.
    store.taken.store(true, Ordering::Release);
    tokio::time::timeout(SOON, books.turn_over()).await.expect("the turn of another");
    store.taken.store(false, Ordering::Release);
    tokio::time::timeout(SOON, books.turn()).await.expect("its turn again");
    while began.load(Ordering::Acquire) < 2 {
        tokio::task::yield_now().await;
    }
    ended.cancel();
    once.await.expect("it ends");
    rig.stop.cancel();
    task.await.expect("it ends");
}

#[tokio::test]
async fn whoever_cannot_write_for_long_lets_another_try() {
    let rig = Rig::new();
    let (store, books, task) = rig.follow(true);
    rig.journal.add(1);
    tokio::time::timeout(SOON, books.turn_over()).await.expect("it resigns");
    assert!(store.taken.load(Ordering::Acquire));
    rig.stop.cancel();
    task.await.expect("it ends");
}
