//! How a node joins the ledger of its fleet: it makes one where there is none and never was, and refuses one that has lost what
//! the books have, or that belongs to other books. Two sets of books for one ledger would each have half of the truth.

use redis::RedisResult;
use redis::aio::ConnectionManager;

use super::keys::Keys;
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

/// Why the ledger on Redis cannot be served from here.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    #[error("the ledger on Redis cannot be reached: {0}")]
    Redis(#[from] redis::RedisError),
    #[error("{0}")]
    Recover(String),
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
}

pub(super) async fn look(connection: &mut ConnectionManager, keys: &Keys) -> RedisResult<Found> {
    let seq = redis::cmd("HGET").arg(keys.meta()).arg("seq").query_async(connection).await?;
    Ok(Found { seq })
}

/// Does what is there go as far as the books? `None`: a new one may be made.
pub(super) fn fits(found: &Found, books: &Books, name: &str) -> Result<Option<Seq>, BeginError> {
    match found.seq {
        Some(seq) if seq >= books.seq => Ok(Some(seq)),
        None if books.seq == 0 => Ok(None),
        lost => recover(lost, books, name).map(Some),
    }
}

/// Redis has less than the books. What is missing stands there; putting it back belongs here, and is not done by itself: a
/// ledger that began at nothing would let everything be spent again.
fn recover(lost: Option<Seq>, books: &Books, name: &str) -> Result<Seq, BeginError> {
    let end = books.seq;
    let what = match lost {
        None => format!("Redis has no ledger `{name}`, and the books go up to entry {end}"),
        Some(seq) => format!("the ledger `{name}` on Redis ends at entry {seq}, and the books go up to entry {end}"),
    };
    Err(BeginError::Recover(format!(
        "{what}: Redis has lost what it had, or it is another one. Nothing is served, and nothing was changed. Put its data back \
         (an AOF or a replica), or name the right one in `[ledger] store`"
    )))
}

/// The first books that come are the ledger's, for ever.
pub(super) async fn claim(connection: &mut ConnectionManager, keys: &Keys, books: &Books, name: &str) -> Result<(), BeginError> {
    let ours = &books.identity;
    let mut ask = redis::pipe();
    ask.cmd("HSETNX").arg(keys.meta()).arg("books").arg(ours).ignore();
    ask.cmd("HGET").arg(keys.meta()).arg("books");
    let (theirs,): (String,) = ask.query_async(connection).await?;
    match theirs == *ours {
        true => Ok(()),
        false if books.shared => Err(BeginError::OtherBooks(name.to_owned())),
        false => Err(BeginError::NotShared(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_is_made_only_where_the_books_are_empty_and_served_only_where_it_has_what_they_have() {
        for (found, books, expected) in [
            (None, 0, Some(None)),
            (Some(0), 0, Some(Some(0))),
            (Some(9), 9, Some(Some(9))),
            (Some(9), 4, Some(Some(9))),
            (None, 4, None),
            (Some(3), 4, None),
        ] {
            let books = Books { identity: "a".to_owned(), seq: books, shared: true };
            assert_eq!(fits(&Found { seq: found }, &books, "bursar").ok(), expected, "{found:?} {books:?}");
        }
    }
}
