//! The ledger as the books know it: what the last day's events left open or may still be asked for. What accounts have spent is
//! not read from events: the books add that up by themselves, shape by shape, when shapes are declared anew.

use crate::adapters::audit::{AuditError, AuditStore};
use crate::rules::ledger::book::Book;
use crate::units::ids::Seq;
use crate::units::time::Timestamp;

/// Nothing that ended longer ago is asked for, nor is anything open that long.
const DAY_SECS: i64 = 25 * 3600;
/// Entries that are read at most. In a busy fleet this is less than a day: what is older is not remembered, so a late word on a
/// call of that time is a correction, and a repeat holds its own money.
const MOST: u64 = 500_000;
const BATCH: usize = 4096;

/// Blocks: the books are read.
pub fn read(books: &dyn AuditStore, now: Timestamp) -> Result<Book, AuditError> {
    // Asked anew: books that were put back may end before what this process remembers of them.
    let end = books.seen()?.seq;
    let oldest = end.saturating_sub(MOST) + 1;
    let from = first_since(books, oldest, end, now.plus_secs(-DAY_SECS))?;
    let mut book = Book::default();
    book.pass_over(from.saturating_sub(1));
    while book.seq() < end {
        let entries = books.entries(book.seq() + 1, BATCH)?;
        if entries.is_empty() {
            break;
        }
        for entry in entries.iter().take_while(|e| e.seq <= end) {
            // A stretch that never reached the books, or was pruned.
            book.pass_over(entry.seq - 1);
            book.apply(entry);
        }
    }
    book.pass_over(end);
    Ok(book)
}

/// The first entry of that time or later. Entries are in the order of time.
fn first_since(books: &dyn AuditStore, from: Seq, end: Seq, since: Timestamp) -> Result<Seq, AuditError> {
    let (mut low, mut high) = (from, end + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        match books.entries(middle, 1)?.first() {
            Some(entry) if entry.at < since => low = entry.seq.max(middle) + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}
