//! Writes the ledger anew from the books, while nobody serves: what is still whole in the old journal goes into the books first,
//! then every event of theirs is applied to an empty book. The old journal and snapshot are kept aside. It may be broken off
//! and begun again at any place.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{FolderLock, OpenError, snapshot};
use crate::adapters::audit::{AuditError, AuditStore, Chained};
use crate::adapters::ledger::journal::{Durability, Journal, Record, salvage};
use crate::rules::books::{Act, Control, Hole};
use crate::rules::ledger::ask::Checked;
use crate::rules::ledger::book::{Book, Sums};
use crate::rules::ledger::entry::{Entry, Op};
use crate::units::amount::Amounts;
use crate::units::ids::{CallId, Seq};
use crate::units::time::Timestamp;

/// Entries read or written at a time.
const BATCH: usize = 4096;

/// What a rebuild found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Rebuilt {
    /// The last entry of the books.
    pub upto: Seq,
    /// Entries that the old journal had and the books had not.
    pub salvaged: u64,
    /// Entries that nobody has any more.
    pub lost: Vec<Hole>,
    /// Where the old journal is damaged.
    pub damaged: Vec<String>,
    /// Calls that ended and whose beginning is lost: what they cost is on no account.
    pub orphans: Vec<Orphan>,
    /// Calls that were open; their bounds are charged once their leases are over.
    pub open: usize,
    /// Accounts that the events alone did not explain: they were set to what the rows of calls add up to.
    pub reset: usize,
    /// The books were put back from a copy that is too old, and the ledger was whole: its accounts stay as they were, since it
    /// alone knows what was spent in between.
    pub accounts_kept: bool,
    /// Where the old journal and snapshot lie.
    pub kept: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Orphan {
    pub call_id: CallId,
    pub seq: Seq,
    pub charge: Amounts,
}

/// Whoever calls holds the lock on the folder.
pub fn rebuild(_: &FolderLock, folder: &Path, books: &dyn AuditStore, act: Act) -> Result<Rebuilt, OpenError> {
    let mut done = Rebuilt::default();
    complete(folder, books, &mut done)?;
    let mut book = fold(books, &mut done)?;
    if let Some(whole) = kept_ledger(folder, books)?.filter(|old| old.seq() == book.seq()) {
        (book, done.accounts_kept) = (whole, true);
        done.orphans.clear();
    }
    done.open = book.open_holds();
    let fresh = folder.join("journal.new");
    if fresh.exists() {
        std::fs::remove_dir_all(&fresh).map_err(|e| of(&fresh, &e))?;
    }
    let stamp = Timestamp::now().to_string().replace(':', "-");
    done.kept = folder.join(format!("replaced-{stamp}"));
    {
        let journal = Journal::begin(&fresh, Durability::Power, book.seq() + 1)?;
        if !done.accounts_kept {
            resets(&mut book, books, &journal, &mut done)?;
        }
        let (lost, kept) = (done.lost.clone(), done.kept.display().to_string());
        write(&mut book, &journal, Op::Control { control: Control::LedgerRebuilt { lost, kept, act } })?;
        // Dropped here: what is queued is on the disk then.
    }
    swap(folder, &fresh, &done.kept)?;
    snapshot::write(folder, &book).map_err(|e| of(folder, &e))?;
    snapshot::drop_kept(folder).map_err(|e| of(folder, &e))?;
    Ok(done)
}

fn of(path: &Path, e: &std::io::Error) -> OpenError {
    OpenError::Folder(path.display().to_string(), e.to_string())
}

fn unread(e: AuditError) -> OpenError {
    OpenError::Folder("books".to_owned(), e.to_string())
}

/// What the old journal still has goes into the books. Where it begins behind their end, the ledger alone knows what was spent in
/// between: it is set aside before anything is changed, since afterwards the books end where the journal does.
pub(super) fn complete(folder: &Path, books: &dyn AuditStore, done: &mut Rebuilt) -> Result<(), OpenError> {
    let mut place = books.place().map_err(unread)?;
    let (from, mut salvaged) = (place.seq, 0);
    let mut batch: Vec<Arc<Record>> = Vec::new();
    let mut put = |batch: &mut Vec<Arc<Record>>| {
        let (chained, next) = Chained::after(place, batch.drain(..));
        place = next;
        books.apply(&chained, true).map_err(unread).map(|_| ())
    };
    done.damaged = salvage(&folder.join("journal"), from, &mut |record| {
        if salvaged == 0 && record.seq > from + 1 {
            keep_ledger(folder)?;
        }
        batch.push(Arc::new(record));
        salvaged += 1;
        if batch.len() >= BATCH { put(&mut batch) } else { Ok(()) }
    })?;
    put(&mut batch)?;
    done.salvaged = salvaged;
    Ok(())
}

fn keep_ledger(folder: &Path) -> Result<(), OpenError> {
    let Some(old) = old_ledger(folder) else { return Ok(()) };
    snapshot::keep(folder, &old).map_err(|e| of(folder, &e))
}

/// The ledger that was set aside, by this rebuild or by one that was broken off, with what the books have since.
fn kept_ledger(folder: &Path, books: &dyn AuditStore) -> Result<Option<Book>, OpenError> {
    let Some(mut book) = snapshot::kept(folder)? else { return Ok(None) };
    loop {
        let entries = books.entries(book.seq() + 1, BATCH).map_err(unread)?;
        if entries.is_empty() {
            return Ok(Some(book));
        }
        for entry in entries {
            if entry.seq != book.seq() + 1 {
                return Ok(None);
            }
            book.apply(&entry);
        }
    }
}

/// As a start would read it. `None` if that is not possible: then the books say all there is.
fn old_ledger(folder: &Path) -> Option<Book> {
    let mut book = snapshot::read(folder).ok().flatten()?;
    let covered = book.seq();
    Journal::open(&folder.join("journal"), Durability::Process, covered, |entry| book.apply(&entry)).ok()?;
    Some(book)
}

/// Every event of the books, applied to an empty book.
fn fold(books: &dyn AuditStore, done: &mut Rebuilt) -> Result<Book, OpenError> {
    let mut book = Book::default();
    // Given up by retention, and not lost.
    let given_up = books.last_checkpoint().map_err(unread)?.map_or(0, |last| last.checkpoint.pruned_to);
    let mut pass = |book: &mut Book, to: Seq| {
        let from = book.seq().max(given_up) + 1;
        done.lost.extend((from <= to).then_some(Hole { from, to }));
        book.pass_over(to);
    };
    loop {
        let entries = books.entries(book.seq() + 1, BATCH).map_err(unread)?;
        if entries.is_empty() {
            // Where the last events were taken out, those to come must not bear their numbers.
            pass(&mut book, books.place().map_err(unread)?.seq);
            done.upto = book.seq();
            return Ok(book);
        }
        for entry in entries {
            pass(&mut book, entry.seq - 1);
            done.orphans.extend(orphan(&book, &entry));
            book.apply(&entry);
        }
    }
}

/// The end of a call of which the book knows nothing.
fn orphan(book: &Book, entry: &Entry) -> Option<Orphan> {
    let (call_id, charge) = match &entry.op {
        Op::Commit { hold, charge, .. } | Op::Expire { hold, charge, .. } => (*hold, *charge),
        _ => return None,
    };
    book.postings(call_id).is_none().then_some(Orphan { call_id, seq: entry.seq, charge })
}

/// Where events are missing, or were deleted after their time, the rows of calls still say what was spent.
fn resets(book: &mut Book, books: &dyn AuditStore, journal: &Journal, done: &mut Rebuilt) -> Result<(), OpenError> {
    for shape in book.shapes().to_vec() {
        let now = Timestamp::now().max(book.now());
        let start = shape.window.start(now);
        let said = books.sums(&shape, start).map_err(unread)?;
        let spent = said.accounts.into_iter().map(|(account, sum)| (account, start, sum)).collect();
        // The books are whole up to here, whatever was appended since.
        let sums = Sums { upto: said.upto.max(book.seq()), spent };
        let mut found = Checked::default();
        let known = book.check(now, &shape, sums.clone(), &mut found);
        if known.is_none() || found.differences.is_empty() {
            continue;
        }
        done.reset += found.differences.len();
        if let Some(op) = book.declare(now, shape, sums) {
            write(book, journal, op)?;
        }
    }
    Ok(())
}

fn write(book: &mut Book, journal: &Journal, op: Op) -> Result<(), OpenError> {
    let entry = book.entry(Timestamp::now(), op);
    let failed = |e: String| OpenError::Folder("journal.new".to_owned(), e);
    let record = Arc::new(Record::encode(entry).map_err(|e| failed(e.to_string()))?);
    journal.append(std::slice::from_ref(&record), true).map_err(failed)?;
    book.apply(record.entry());
    Ok(())
}

fn swap(folder: &Path, fresh: &Path, kept: &Path) -> Result<(), OpenError> {
    std::fs::create_dir(kept).map_err(|e| of(kept, &e))?;
    for name in ["ledger.snapshot", "journal"] {
        let old = folder.join(name);
        if old.exists() {
            std::fs::rename(&old, kept.join(name)).map_err(|e| of(&old, &e))?;
        }
    }
    std::fs::rename(fresh, folder.join("journal")).map_err(|e| of(fresh, &e))?;
    std::fs::File::open(folder).and_then(|f| f.sync_all()).map_err(|e| of(folder, &e))
}
