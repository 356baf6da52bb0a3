//! The default ledger: the book in memory, its entries in a local journal, on one machine and in one process. The book and the
//! journal change together under one lock that is never held across an await. `snapshot` keeps the start fast.

mod check;
mod lock;
mod operations;
mod rebuild;
mod shapes;
mod snapshot;
mod start;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::watch;

pub use self::lock::FolderLock;
pub use self::rebuild::{Orphan, Rebuilt, rebuild};
pub use self::start::OpenError;
use self::start::catch_up;
use super::backlog::Backlog;
use super::journal::{Durability, Journal, JournalError, Record};
use super::{Answer, Ledger, LedgerError, Store, Wake};
use crate::adapters::audit::AuditStore;
use crate::adapters::audit::tail::Feed;
use crate::rules::ledger::ask::{Reservation, Reserve, Settle, Settled};
use crate::rules::ledger::book::{Book, Fault, Ops};
use crate::rules::ledger::entry::{Op, Posting};
use crate::rules::subject::Flag;
use crate::units::ids::{CallId, Seq};
use crate::units::time::Timestamp;

/// How long a caller waits for the disk before it is told that the ledger is down.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two questions, where the disk or the books are behind.
const RETRY: Duration = Duration::from_millis(20);
/// Entries between two snapshots: a start reads so many in about a second, and a busy hour writes few.
const SNAPSHOT_EVERY: u64 = 300_000;

/// What to do where the books end before the journal begins.
const TOO_OLD: &str = "the books were put back from a copy that is older than what the journal keeps. Put back a newer copy, or \
    stop bursar and run `bursar ledger rebuild`: it writes what the journal has behind the hole, and the books say what is lost";

/// The ledger of one data folder.
pub struct Embedded {
    folder: PathBuf,
    book: Mutex<Book>,
    journal: Journal,
    books: Arc<dyn AuditStore>,
    backlog: Backlog,
    wake: OnceLock<Wake>,
    /// The last entry that a snapshot covers, and the last that the books keep.
    snapshot: AtomicU64,
    safe: AtomicU64,
    snapping: Mutex<()>,
    declaring: Mutex<()>,
    /// For work that blocks, on a thread of its own.
    me: Weak<Self>,
    /// Held while this process lives.
    _lock: FolderLock,
}

impl Embedded {
    /// Locks the folder, reads snapshot and journal, and charges what was left open and is over.
    pub fn open(folder: &Path, durability: Durability, books: Arc<dyn AuditStore>) -> Result<Arc<Self>, OpenError> {
        Self::open_locked(FolderLock::take(folder)?, folder, durability, books)
    }

    /// The same for whoever took the lock before, to open the books under it.
    pub fn open_locked(
        lock: FolderLock,
        folder: &Path,
        durability: Durability,
        books: Arc<dyn AuditStore>,
    ) -> Result<Arc<Self>, OpenError> {
        let mut book = snapshot::read(folder)?.unwrap_or_default();
        let covered = book.seq();
        let journal_folder = folder.join("journal");
        let journal = Journal::open(&journal_folder, durability, covered, |entry| book.apply(&entry))?;
        let known = catch_up(&mut book, &journal, &*books)?;
        let ledger = Arc::new_cyclic(|me| Self {
            me: me.clone(),
            folder: folder.to_owned(),
            book: Mutex::new(book),
            journal,
            books,
            backlog: Backlog::new(known),
            wake: OnceLock::new(),
            snapshot: AtomicU64::new(covered),
            safe: AtomicU64::new(known),
            snapping: Mutex::new(()),
            declaring: Mutex::new(()),
            _lock: lock,
        });
        ledger.expire_due();
        Ok(ledger)
    }

    fn expire_due(&self) -> usize {
        let due = self.book.lock().due(Timestamp::now());
        let mut freed = Vec::new();
        for hold in &due {
            let mut book = self.book.lock();
            let ops = book.expire(Timestamp::now(), *hold);
            let written = self.write_all(&mut book, ops, &mut freed);
            drop(book);
            if let Err(error) = written {
                tracing::error!(call = %hold, %error, "a hold could not be expired");
                continue;
            }
            tracing::warn!(call = %hold, "a hold that nobody ended was charged in full");
        }
        self.freed(&freed);
        due.len()
    }

    /// Writes a snapshot if enough has happened since the last. Blocks on the disk.
    pub fn snapshot_if_due(&self) {
        let seq = self.book.lock().seq();
        if seq.saturating_sub(self.snapshot.load(Ordering::Acquire)) >= SNAPSHOT_EVERY {
            self.take_snapshot();
        }
    }

    fn take_snapshot(&self) {
        let _one = self.snapping.lock();
        let book = self.book.lock().clone();
        // A snapshot must never say more than the journal keeps, also after a loss of power.
        let written = self.journal_keeps(book.seq()).and_then(|()| snapshot::write(&self.folder, &book));
        match written {
            Ok(()) => {
                self.snapshot.store(book.seq(), Ordering::Release);
                self.trim();
            }
            Err(e) => {
                tracing::warn!(error = %e, "no snapshot of the ledger could be written; the next start takes longer")
            }
        }
    }

    fn journal_keeps(&self, seq: Seq) -> std::io::Result<()> {
        let give_up = Instant::now() + PATIENCE;
        while self.journal.durable() < seq {
            if Instant::now() > give_up {
                return Err(std::io::Error::other("the journal is behind"));
            }
            std::thread::sleep(RETRY);
        }
        self.journal.sync().map_err(std::io::Error::other)
    }

    fn trim(&self) {
        let upto = self.snapshot.load(Ordering::Acquire).min(self.safe.load(Ordering::Acquire));
        if let Err(e) = self.journal.trim(upto) {
            tracing::warn!(error = %e, "old journal files could not be removed");
        }
    }

    /// Applies and journals what was decided, in one step under the book's lock. Gives the last entry.
    ///
    /// # Errors
    /// While the journal cannot be written, only what `must` be kept is taken; nothing is changed otherwise.
    fn write(&self, book: &mut Book, ops: Ops, must: bool) -> Result<Option<Seq>, LedgerError> {
        if !must && ops.iter().any(Option::is_some) {
            self.backlog.refuse(book.seq()).map_err(LedgerError::Down)?;
        }
        let entries = book.entries(Timestamp::now(), ops);
        let records = Record::encode_all(entries).map_err(|e| LedgerError::Down(e.to_string()))?;
        if !records.is_empty() {
            self.journal.append(&records, must).map_err(LedgerError::Down)?;
            records.iter().for_each(|record| book.apply(record.entry()));
        }
        Ok(records.last().map(|record| record.seq))
    }

    /// What ends or changes holds must be kept, in whatever state the disk is.
    fn write_all(&self, book: &mut Book, ops: Ops, freed: &mut Vec<Freed>) -> Result<Option<Seq>, LedgerError> {
        let calls = ops.each_ref().map(|op| op.as_ref().and_then(Op::call));
        let last = self.write(book, ops, true)?;
        freed.extend(calls.into_iter().flatten().filter_map(|call| book.postings(call).cloned()));
        Ok(last)
    }

    fn freed(&self, holds: &[Freed]) {
        if let Some(wake) = self.wake.get() {
            holds.iter().for_each(|postings| wake(postings));
        }
    }

    /// Decides under the lock, writes what was decided, and wakes whoever waits for what was freed.
    fn step<T>(
        &self,
        of: CallId,
        decide: impl FnOnce(&Book) -> Result<(T, Ops), Fault>,
    ) -> Result<(T, Option<Seq>), LedgerError> {
        let mut freed = Vec::new();
        let mut book = self.book.lock();
        let (answer, ops) = decide(&book).map_err(|e| LedgerError::Hold(of, e))?;
        let seq = self.write_all(&mut book, ops, &mut freed)?;
        drop(book);
        self.freed(&freed);
        Ok((answer, seq))
    }

    async fn durably(&self, seq: Option<Seq>) -> Result<(), LedgerError> {
        let Some(seq) = seq else { return Ok(()) };
        if self.journal.durable() >= seq {
            return Ok(());
        }
        let mut durable = self.journal.watch();
        if tokio::time::timeout(PATIENCE, durable.wait_for(|at| *at >= seq)).await.is_ok() {
            return Ok(());
        }
        let why = self.journal.trouble().unwrap_or_else(|| "the disk is too slow".to_owned());
        Err(LedgerError::Down(why))
    }

    async fn reserve_durably(&self, ask: Reserve) -> Result<Reservation, LedgerError> {
        let hold = ask.hold;
        self.brake().await;
        let (answer, seq) = self.reserve_now(ask)?;
        if let Err(e) = self.durably(seq).await {
            // Its row may yet be written, so its end must be too.
            self.settle_later(super::hold::given_up(hold));
            return Err(e);
        }
        Ok(answer)
    }

    /// While the books are far behind, calls come in more slowly.
    async fn brake(&self) {
        let wait = self.backlog.brake(self.journal.durable());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    fn reserve_now(&self, ask: Reserve) -> Result<(Reservation, Option<Seq>), LedgerError> {
        let (hold, lines) = (ask.hold, ask.lines.clone());
        let mut book = self.book.lock();
        let (answer, op) = book.reserve(Timestamp::now(), ask).map_err(|e| LedgerError::Hold(hold, e))?;
        let seq = self.write(&mut book, [op, None], false)?;
        if seq.is_none() {
            return Ok((answer, None));
        }
        if let Reservation::Held(held) = &answer {
            book.remember(hold, lines, held.would_refuse.clone());
        }
        Ok((answer, seq))
    }

    fn settle_now(&self, settle: Settle) -> Result<(Settled, Option<Seq>), LedgerError> {
        let hold = settle.hold;
        self.step(hold, |book| book.settle(Timestamp::now(), settle))
    }
}

/// The accounts of a hold that ended or shrank.
type Freed = Arc<[Posting]>;

#[cfg(test)]
impl Embedded {
    pub fn fill_disk(&self, full: bool) {
        self.journal.fill_disk(full);
    }
}

impl Embedded {
    /// What asks the disk or the books must not hold up the calls of this thread.
    async fn off_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, LedgerError> {
        // Whoever calls a method holds an owner, so this one is alive.
        let me = self.me.upgrade().ok_or_else(|| LedgerError::Down("it is closed".to_owned()))?;
        let done = tokio::task::spawn_blocking(move || work(&me)).await;
        done.map_err(|e| LedgerError::Down(e.to_string()))
    }

    /// One entry that ends no hold.
    fn entry(&self, make: impl FnOnce(&Book) -> Op) -> Result<Option<Seq>, LedgerError> {
        let mut book = self.book.lock();
        let op = make(&book);
        self.write(&mut book, [Some(op), None], true)
    }

    /// An entry that changes no account.
    ///
    /// # Errors
    /// While the disk refuses writes, refused calls are not queued: there is no bound to how many there are.
    fn plain(&self, op: Op, must: bool) -> Answer<'_, Seq> {
        Box::pin(async move {
            if !must {
                self.brake().await;
            }
            let seq = self.write(&mut self.book.lock(), [Some(op), None], must)?;
            self.durably(seq).await?;
            Ok(seq.unwrap_or_default())
        })
    }
}

impl Store for Embedded {
    fn durable(&self) -> watch::Receiver<Seq> {
        self.journal.watch()
    }

    fn flags(&self) -> Answer<'_, Vec<Flag>> {
        let flags = self.book.lock().flags().cloned().collect();
        Box::pin(std::future::ready(Ok(flags)))
    }

    fn expire(&self) -> Answer<'_, usize> {
        Box::pin(std::future::ready(Ok(self.expire_due())))
    }

    fn bound_backlog(&self, entries: u64) {
        self.backlog.bound_to(entries);
    }
}

impl Feed for Embedded {
    fn read_from(&self, seq: Seq, max: usize) -> Result<Vec<Arc<Record>>, String> {
        self.journal.read_from(seq, max).map_err(|e| match e {
            JournalError::Missing { .. } => format!("{e}: {TOO_OLD}"),
            other => other.to_string(),
        })
    }

    fn applied_up_to(&self, seq: Seq) {
        self.backlog.applied(seq);
        self.journal.release(seq);
    }

    fn safe_up_to(&self, seq: Seq) {
        self.safe.fetch_max(seq, Ordering::AcqRel);
        self.snapshot_if_due();
    }

    fn went_back_to(&self, seq: Seq) {
        self.safe.store(seq, Ordering::Release);
        self.backlog.went_back(seq);
    }
}
