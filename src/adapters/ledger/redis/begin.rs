//! Whether a node may serve a ledger: not one that has lost what the books have, nor one that belongs to other books. Two sets of
//! books for one ledger would each have half of the truth.

use std::sync::Arc;

use super::keys::Keys;
use super::link::{Link, LinkError};
use crate::adapters::audit::{AuditError, AuditStore};
use crate::units::ids::Seq;

/// The books of this node, as its ledger must fit them.
#[derive(Clone, Debug)]
pub struct Books {
    pub identity: String,
    /// How far they go.
    pub seq: Seq,
    /// May several nodes have them?
    pub shared: bool,
}

impl Books {
    /// Asks them, on a thread that may block.
    pub async fn of(store: &Arc<dyn AuditStore>) -> Result<Self, AuditError> {
        let store = store.clone();
        let ask = move || {
            let (identity, seq, shared) = (store.identity()?, store.seen()?.seq, store.is_shared());
            Ok(Self { identity, seq, shared })
        };
        tokio::task::spawn_blocking(ask).await.unwrap_or_else(|e| Err(AuditError::Store(e.to_string())))
    }
}

/// Why the ledger on Redis cannot be served from here.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    #[error("the ledger on Redis cannot be reached: {0}")]
    Redis(#[from] LinkError),
    #[error(transparent)]
    Books(#[from] AuditError),
    #[error("the stream of the ledger cannot be followed: {0}")]
    Thread(#[from] std::io::Error),
    #[error("{0}")]
    Lost(String),
    #[error(
        "the ledger `{0}` on this Redis belongs to other books, of another node. Books in SQLite are one node's alone: for a \
         fleet let `[audit] store` name one PostgreSQL on all nodes, or give this ledger another `[ledger] name`"
    )]
    NotShared(String),
    #[error(
        "the ledger `{0}` on this Redis belongs to other books: let `[audit] store` name the same database and schema on all \
         nodes of the fleet, or give this ledger another `[ledger] name`"
    )]
    OtherBooks(String),
}

/// What stands of it.
pub(super) struct Found {
    /// `None` where there is no ledger.
    pub seq: Option<Seq>,
    /// Whose it is.
    books: Option<String>,
}

pub(super) async fn look(link: &Link, keys: &Keys) -> Result<Found, LinkError> {
    let asked = link.ask(redis::cmd("HMGET").arg(keys.meta()).arg(&["seq", "books"])).await;
    asked.map(|(seq, books)| Found { seq, books })
}

/// Its last entry, if it is of these books and goes as far as they do.
pub(super) fn fits(found: &Found, books: &Books, name: &str) -> Result<Seq, BeginError> {
    if found.books.as_ref().is_some_and(|theirs| *theirs != books.identity) {
        return Err(others(books, name));
    }
    match found.seq {
        Some(seq) if seq >= books.seq => Ok(seq),
        has => Err(lost(has, books, name)),
    }
}

fn others(books: &Books, name: &str) -> BeginError {
    let named = if books.shared { BeginError::OtherBooks } else { BeginError::NotShared };
    named(name.to_owned())
}

/// Redis has less than the books.
fn lost(has: Option<Seq>, books: &Books, name: &str) -> BeginError {
    let end = books.seq;
    let what = match has {
        None => format!("Redis has no ledger `{name}`, and the books go up to entry {end}"),
        Some(seq) => format!("the ledger `{name}` on Redis ends at entry {seq}, and the books go up to entry {end}"),
    };
    BeginError::Lost(format!(
        "{what}: Redis has lost what it had. Nothing is admitted until it is put back from the books"
    ))
}

/// The first books that come are the ledger's, for ever.
pub(super) async fn claim(link: &Link, keys: &Keys, books: &Books, name: &str) -> Result<(), BeginError> {
    let ours = &books.identity;
    let mut ask = redis::pipe();
    ask.cmd("HSETNX").arg(keys.meta()).arg("books").arg(ours);
    ask.cmd("HGET").arg(keys.meta()).arg("books");
    let (_, theirs): (bool, String) = link.ask_all(&ask).await?;
    if theirs == *ours { Ok(()) } else { Err(others(books, name)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_is_served_only_where_it_has_what_its_books_have() {
        let ours = Some("ours".to_owned());
        for (seq, of, books, expected) in [
            (Some(0), None, 0, Some(0)),
            (Some(9), ours.clone(), 9, Some(9)),
            (Some(9), ours.clone(), 4, Some(9)),
            (None, None, 4, None),
            (Some(3), ours, 4, None),
            (Some(9), Some("theirs".to_owned()), 9, None),
        ] {
            let books = Books { identity: "ours".to_owned(), seq: books, shared: true };
            let found = Found { seq, books: of };
            assert_eq!(fits(&found, &books, "bursar").ok(), expected, "{books:?}");
        }
    }
}
