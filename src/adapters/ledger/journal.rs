//! The local journal: entries appended to segment files, read back at start and by the audit store. Nothing is acknowledged
//! before it is written, nothing acknowledged is lost, and a disk that is full is waited for. Does not know what entries
//! mean: `embedded` applies them to the book.

mod active;
mod frame;
mod read;
mod record;
mod salvage;
mod segment;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

use self::active::Active;
use self::read::Place;
pub use self::record::Record;
pub use self::salvage::salvage;
use crate::rules::ledger::entry::Entry;
use crate::units::ids::Seq;

/// When an entry counts as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Durability {
    /// The kernel has it: it survives the death of this process, also `kill -9`.
    #[default]
    Process,
    /// The disk has it: it survives a loss of power. Entries that arrive together share one flush.
    Power,
}

/// A segment that is larger than this is followed by a new one.
const SEGMENT_BYTES: u64 = 64 << 20;
/// Records kept in memory, so that a reader that keeps up need not read files.
const RECENT: usize = 16_384;
const RECENT_BYTES: usize = 16 << 20;

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path} is damaged at byte {offset}: {what}")]
    Damaged { path: PathBuf, offset: u64, what: String },
    #[error("{dir}: the journal has no entry {wanted} (it {has})")]
    Missing { dir: PathBuf, wanted: Seq, has: String },
}

impl JournalError {
    fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}

/// An append-only journal in one folder. One process writes it: the caller holds the folder's lock.
pub struct Journal {
    core: Arc<Core>,
    writer: Option<JoinHandle<()>>,
}

/// What appenders, the writer thread and readers share.
struct Core {
    dir: PathBuf,
    durability: Durability,
    inner: Mutex<Inner>,
    /// Locked after `inner` if both are needed, and by the writer thread alone while it works.
    active: Mutex<Active>,
    work: Condvar,
    durable: watch::Sender<Seq>,
    trouble: watch::Sender<Option<String>>,
    /// Where the last reader of files stopped.
    place: Mutex<Option<Place>>,
}

struct Inner {
    /// Accepted, and not written yet: in order, the oldest first. The writer removes them once they are.
    queue: VecDeque<Arc<Record>>,
    recent: VecDeque<Arc<Record>>,
    recent_bytes: usize,
    closing: bool,
}

impl Journal {
    /// Opens or makes the journal, cuts a torn tail off, and hands over every entry after `from`.
    pub fn open(
        dir: &Path,
        durability: Durability,
        from: Seq,
        mut each: impl FnMut(Entry),
    ) -> Result<Self, JournalError> {
        std::fs::create_dir_all(dir).map_err(JournalError::io(dir))?;
        let (active, last) = segment::recover(dir, from, &mut each)?;
        let inner = Inner { queue: VecDeque::new(), recent: VecDeque::new(), recent_bytes: 0, closing: false };
        let core = Arc::new(Core {
            dir: dir.to_owned(),
            durability,
            inner: Mutex::new(inner),
            active: Mutex::new(active),
            work: Condvar::new(),
            durable: watch::channel(last).0,
            trouble: watch::channel(None).0,
            place: Mutex::new(None),
        });
        let writer = std::thread::Builder::new().name("journal".to_owned()).spawn({
            let core = core.clone();
            move || core.run()
        });
        Ok(Self { core, writer: Some(writer.map_err(JournalError::io(dir))?) })
    }

    /// A new journal whose first entry will be `first`.
    ///
    /// # Errors
    /// There is one already.
    pub fn begin(dir: &Path, durability: Durability, first: Seq) -> Result<Self, JournalError> {
        std::fs::create_dir_all(dir).map_err(JournalError::io(dir))?;
        drop(Active::create(dir, first)?);
        Self::open(dir, durability, first.saturating_sub(1), |_| {})
    }

    /// Appends the records of one step. They count as accepted when this returns, and as written when `durable` says so,
    /// which without trouble and with `Durability::Process` is at once.
    ///
    /// # Errors
    /// While the disk refuses writes, only what `must` be kept is accepted.
    pub fn append(&self, records: &[Arc<Record>], must: bool) -> Result<(), String> {
        self.core.append(records, must)
    }

    /// Everything up to this entry is written.
    pub fn durable(&self) -> Seq {
        *self.core.durable.borrow()
    }

    /// Tells of every change of `durable`. To follow the journal, wait here and then read.
    pub fn watch(&self) -> watch::Receiver<Seq> {
        self.core.durable.subscribe()
    }

    /// Why nothing can be written now.
    pub fn trouble(&self) -> Option<String> {
        self.core.trouble.borrow().clone()
    }

    pub fn watch_trouble(&self) -> watch::Receiver<Option<String>> {
        self.core.trouble.subscribe()
    }

    /// Written entries from `seq` on, about `max` of them; none if it is not written yet.
    pub fn read_from(&self, seq: Seq, max: usize) -> Result<Vec<Arc<Record>>, JournalError> {
        self.core.read_from(seq, max)
    }

    /// The records up to `upto` are not kept in memory any more; the files have them.
    pub fn release(&self, upto: Seq) {
        let released = self.core.inner.lock().release(upto);
        // Dropped here, on the reader's thread and outside the lock.
        drop(released);
    }

    /// Deletes whole segments in which no entry after `upto` stands.
    pub fn trim(&self, upto: Seq) -> Result<(), JournalError> {
        segment::trim(&self.core.dir, upto)
    }

    /// Puts everything that is written so far on the disk. Blocks.
    pub fn sync(&self) -> Result<(), JournalError> {
        segment::sync_all(&self.core.dir)
    }
}

#[cfg(test)]
impl Journal {
    /// From now on the disk is full, or has room again.
    pub fn fill_disk(&self, full: bool) {
        self.core.active.lock().full = full;
    }
}

impl Core {
    fn append(&self, records: &[Arc<Record>], must: bool) -> Result<(), String> {
        let mut inner = self.inner.lock();
        let trouble = self.trouble.borrow().clone();
        if let Some(why) = trouble.as_ref().filter(|_| !must) {
            return Err(why.clone());
        }
        let idle = inner.queue.is_empty() && trouble.is_none();
        if self.durability == Durability::Process && idle {
            match self.active.lock().write(records) {
                Ok(()) => {
                    inner.remember(records);
                    self.written(records);
                    return Ok(());
                }
                Err(e) => self.fail(&e),
            }
            if !must {
                self.work.notify_one();
                return Err(self.trouble.borrow().clone().unwrap_or_default());
            }
        }
        inner.queue.extend(records.iter().cloned());
        inner.remember(records);
        self.work.notify_one();
        Ok(())
    }

    fn written(&self, records: &[Arc<Record>]) {
        if let Some(last) = records.last() {
            self.durable.send_replace(last.seq);
        }
    }

    fn fail(&self, e: &std::io::Error) {
        let why = format!("{}: {e}", self.dir.display());
        if self.trouble.borrow().is_none() {
            tracing::error!("the journal cannot be written: {why}");
        }
        self.trouble.send_replace(Some(why));
    }
}

impl Inner {
    fn release(&mut self, upto: Seq) -> Vec<Arc<Record>> {
        let known = self.recent.iter().take_while(|r| r.seq <= upto).count();
        let released: Vec<_> = self.recent.drain(..known).collect();
        self.recent_bytes -= released.iter().map(|r| r.json().len()).sum::<usize>();
        released
    }

    fn remember(&mut self, records: &[Arc<Record>]) {
        for record in records {
            self.recent_bytes += record.json().len();
            self.recent.push_back(record.clone());
        }
        while self.recent.len() > RECENT || self.recent_bytes > RECENT_BYTES {
            let Some(oldest) = self.recent.pop_front() else { break };
            self.recent_bytes -= oldest.json().len();
        }
    }
}

/// Writes what is queued, unless the disk refuses.
impl Drop for Journal {
    fn drop(&mut self) {
        self.core.inner.lock().closing = true;
        self.core.work.notify_one();
        if let Some(writer) = self.writer.take() {
            let _ = writer.join(); // it does not panic; if it did, there is nothing left to save here
        }
    }
}
