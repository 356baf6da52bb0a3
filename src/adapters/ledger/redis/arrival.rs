//! What stands behind a new connection may be another server, or the same one with less data: a replica that was promoted, a
//! copy that was started. Before a node asks anything there, it looks whether the ledger has the last step that it was told is
//! written. Then it is still for a moment, so that every node can do the same before any admits a call. Puts nothing back:
//! `recover` does.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::{Inner, recover};
use crate::adapters::ledger::LedgerError;

/// Nodes connect anew within so long of each other, more or less.
const STILL: Duration = Duration::from_millis(200);

pub struct Arrival {
    generation: watch::Receiver<u64>,
    /// The connection behind which the ledger was looked at.
    checked: AtomicU64,
    /// One looks, the others wait for it.
    checking: tokio::sync::Mutex<()>,
}

impl Arrival {
    /// The first connection is looked at when the ledger is joined.
    pub fn new(generation: watch::Receiver<u64>) -> Self {
        let checked = AtomicU64::new(*generation.borrow());
        Self { generation, checked, checking: tokio::sync::Mutex::default() }
    }

    fn news(&self) -> Option<u64> {
        let now = *self.generation.borrow();
        (self.checked.load(Ordering::Acquire) != now).then_some(now)
    }
}

impl Inner {
    /// Is the ledger there the one that this node knows?
    pub(super) async fn may_ask(&self) -> Result<(), LedgerError> {
        if recover::putting_back() {
            return Ok(());
        }
        if self.arrival.news().is_some() && !self.lost.is_lost() {
            self.arrive().await?;
        }
        self.lost.why().map_or(Ok(()), |why| Err(LedgerError::Down(why)))
    }

    async fn arrive(&self) -> Result<(), LedgerError> {
        let _one = self.arrival.checking.lock().await;
        let Some(now) = self.arrival.news() else { return Ok(()) };
        if !self.knows_last_kept().await? {
            let name = self.keys.name();
            let why = format!(
                "redis: the ledger `{name}` has lost what it had told this node is written. Nothing is admitted until it is put back"
            );
            self.lost.note(why);
            return Ok(());
        }
        tokio::time::sleep(STILL).await;
        self.arrival.checked.store(now, Ordering::Release);
        Ok(())
    }

    /// The ledger was put back: what stands behind this connection is known.
    pub(super) fn arrived(&self) {
        self.arrival.checked.store(*self.arrival.generation.borrow(), Ordering::Release);
    }
}
