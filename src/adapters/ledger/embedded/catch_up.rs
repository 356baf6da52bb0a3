//! The start after a loss of power: what the journal lost and the books have. Decides nothing else.

use std::sync::Arc;

use super::OpenError;
use crate::adapters::audit::AuditStore;
use crate::adapters::ledger::journal::{Journal, Record};
use crate::rules::ledger::book::Book;
use crate::units::ids::Seq;

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
