//! The ledger as the gateway uses it: one trait, two stores (`embedded`, `redis`), one contract suite for both.
//! Decides nothing itself: `rules::ledger::book` does. `hold` turns its answers into values that carry the proof.

mod backlog;
pub mod embedded;
pub mod expiry;
pub mod hold;
pub mod journal;
pub mod leased;
pub mod redis;
#[cfg(test)]
mod testing;
pub mod waiting;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::watch;

use crate::adapters::audit::tail::Feed;
use crate::rules::books::{Act, Control, Opening};
use crate::rules::ledger::account::Shape;
use crate::rules::ledger::ask::{AccountState, Checked, Correct, Line, Reservation, Reserve, Settle, Settled};
use crate::rules::ledger::entry::Posting;
use crate::rules::subject::Flag;
use crate::units::amount::Amounts;
use crate::units::ids::{CallId, Seq};

/// Why the ledger did not answer. Never a reason to send a call.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LedgerError {
    /// The journal or the store cannot be written or reached now; it may heal.
    #[error("the ledger cannot be written: {0}")]
    Down(String),
    /// No such hold, or it ended in another way: a bug or a lost store, never silently ignored.
    #[error("hold {0}: {1}")]
    Hold(CallId, &'static str),
    /// This store does not do that (yet); said at start, not in the middle of a call.
    #[error("this ledger store does not support {0}")]
    Unsupported(&'static str),
}

/// A boxed future: the trait is used as `dyn Ledger`.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, LedgerError>> + Send + 'a>>;

/// Called with the accounts of a hold that ended or shrank. It must not block.
pub type Wake = Box<dyn Fn(&[Posting]) + Send + Sync>;

/// Every operation is idempotent by (hold, operation, step) and appends its event to the journal in the same atomic step.
/// Each returns only when its event is durable.
pub trait Ledger: Send + Sync + 'static {
    /// All accounts are checked, then all are written, or none; kill flags are checked in the same step.
    fn reserve(&self, ask: Reserve) -> Answer<'_, Reservation>;
    /// Held amounts from now on: down to a bound that still is one; up is checked like a reserve, and may answer `Short`.
    fn resize(&self, hold: CallId, step: u32, amounts: Amounts) -> Answer<'_, Reservation>;
    /// The lease of a live call begins anew.
    fn renew(&self, hold: CallId) -> Answer<'_, ()>;
    /// Commit or release, with the row that says so. Never refused for lack of money.
    fn settle(&self, settle: Settle) -> Answer<'_, Settled>;
    /// Replaces the charge of an ended hold.
    fn adjust(&self, hold: CallId, step: u32, charge: Amounts, exact: bool, act: Act) -> Answer<'_, ()>;
    /// A person's word on what an ended call cost, also where the ledger remembers it no more.
    fn correct(&self, ask: Correct) -> Answer<'_, Seq> {
        drop(ask);
        Box::pin(std::future::ready(Err(LedgerError::Unsupported("corrections"))))
    }
    /// Compares the accounts with the books.
    fn check(&self) -> Answer<'_, Checked> {
        Box::pin(std::future::ready(Err(LedgerError::Unsupported("being checked"))))
    }
    /// The row of a refused call.
    fn deny(&self, row: Opening) -> Answer<'_, Seq>;
    /// A control change; a flag that it sets stops every later reserve.
    fn control(&self, control: Control) -> Answer<'_, Seq>;
    /// The shapes that the loaded policies declare, whole. A new one starts at what the books say was spent.
    fn declare(&self, shapes: Vec<Shape>) -> Answer<'_, ()>;
    /// The state of the named accounts in their running windows; an account that nobody used yet is all zero.
    fn accounts(&self, names: Vec<Line>) -> Answer<'_, Vec<AccountState>>;
    /// Settle at once, without waiting for durability: for `Drop`, which cannot wait. It is queued and not lost while the
    /// process lives; the lease is the net under that.
    fn settle_later(&self, settle: Settle);
    /// Is the ledger behind a network, so that nobody should wait for it to answer to an end? It then goes on by itself until
    /// the end is told.
    fn ends_aside(&self) -> bool {
        false
    }
    /// Wakes whoever waits for an account: called with the accounts of every hold that ended or shrank.
    fn on_freed(&self, wake: Wake);
    /// How often whoever waits for an account asks again although nothing woke it: holds may end where this process does not
    /// see it. `None` if it sees them all.
    fn recheck(&self) -> Option<Duration> {
        None
    }
    /// `None` if calls can be admitted now; otherwise why not.
    fn trouble(&self) -> Option<String>;
    /// Calls refused since the start because the books were too far behind.
    fn refused_behind(&self) -> u64 {
        0
    }
    /// Everything queued is on disk; for shutdown.
    fn flush(&self) -> Answer<'_, ()>;
}

/// A ledger with what serving needs of it beside the operations: its journal for the books, and what it knew at start.
pub trait Store: Ledger + Feed {
    /// The last entry that is durable in the journal, as it grows.
    fn durable(&self) -> watch::Receiver<Seq>;
    /// The flags that are set.
    fn flags(&self) -> Answer<'_, Vec<Flag>>;
    /// Charges every hold whose lease is over; says how many.
    fn expire(&self) -> Answer<'_, usize>;
    /// From here on the books may be so many entries behind before calls are refused.
    fn bound_backlog(&self, entries: u64);
}
