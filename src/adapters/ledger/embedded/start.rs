//! What a start of the embedded ledger may find: errors that say what to do, and a journal that lost its end to the books.

use std::sync::Arc;

use crate::adapters::audit::AuditStore;
use crate::adapters::ledger::journal::{Journal, JournalError, Record};
use crate::rules::ledger::book::Book;
use crate::units::ids::Seq;

/// Why the ledger of a data folder cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("another bursar serves the data folder `{0}`; stop it, or name another folder with `--data`")]
    Taken(String),
    #[error("the data folder `{0}` cannot be used: {1}")]
    Folder(String, String),
    #[error(
        "{0}. Put it back from a copy, or write the ledger anew from the books: `bursar ledger rebuild`; nothing was changed"
    )]
    Journal(#[from] JournalError),
    #[error(
        "the snapshot of the ledger cannot be read: {0}. Put it back from a copy, or write the ledger anew from the books: `bursar ledger rebuild`; nothing was changed"
    )]
    Snapshot(String),
    #[error(
        "the books go up to entry {books}, and the journal ends at {journal}: a file of the journal was removed or put back from an older copy. `bursar ledger rebuild` writes the ledger anew from the books"
    )]
    Behind { books: Seq, journal: Seq },
}

/// After a loss of power the books may hold entries that the journal lost: they are put back, in their order. Gives the last
/// entry of the books.
pub(super) fn catch_up(book: &mut Book, journal: &Journal, books: &dyn AuditStore) -> Result<Seq, OpenError> {
    let failed = |e: String| OpenError::Folder("books".to_owned(), e);
    let known = books.place().map(|p| p.seq).map_err(|e| failed(e.to_string()))?;
    let ends = book.seq();
    while book.seq() < known {
        let lost = books.entries(book.seq() + 1, 1000).map_err(|e| failed(e.to_string()))?;
        let whole =
            lost.first().is_some_and(|e| e.seq == book.seq() + 1) && lost.windows(2).all(|p| p[0].seq + 1 == p[1].seq);
        if !whole {
            return Err(OpenError::Behind { books: known, journal: ends });
        }
        for entry in lost {
            let record = Arc::new(Record::encode(entry).map_err(|e| failed(e.to_string()))?);
            journal.append(std::slice::from_ref(&record), true).map_err(failed)?;
            book.apply(record.entry());
        }
    }
    if known > ends {
        tracing::warn!(
            from = ends + 1,
            to = known,
            "the journal had lost its last entries, and the books put them back"
        );
    }
    Ok(known)
}
