//! Ends of calls that Redis could not be told: asked again until it hears them, in their order, as long as this process lives.
//! A hold whose lease is over meanwhile was charged in full; its true end then replaces that.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Inner;
use crate::adapters::ledger::LedgerError;
use crate::rules::ledger::ask::Settle;

const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(1);

#[derive(Default)]
pub struct Owed {
    ends: Mutex<VecDeque<Settle>>,
    /// A new one came, or the last one was heard.
    changed: Notify,
}

impl Owed {
    pub fn push(&self, settle: Settle) {
        self.ends.lock().push_back(settle);
        // Kept if nobody listens at this moment.
        self.changed.notify_one();
    }

    pub fn count(&self) -> usize {
        self.ends.lock().len()
    }

    fn first(&self) -> Option<Settle> {
        self.ends.lock().front().cloned()
    }

    /// Until all are heard.
    pub async fn over(&self) {
        while self.count() > 0 {
            tokio::time::sleep(FIRST_RETRY).await;
        }
    }
}

/// Pays as long as the ledger lives.
pub async fn pay(ledger: Weak<Inner>) {
    let mut pause = FIRST_RETRY;
    while let Some(inner) = ledger.upgrade() {
        let Some(settle) = inner.owed.first() else {
            wait(inner).await;
            continue;
        };
        pause = match inner.settle(settle).await {
            Err(LedgerError::Down(_)) => (pause * 2).min(LAST_RETRY),
            // Heard; or it was never taken, or has ended: nothing is owed.
            _ => {
                inner.owed.ends.lock().pop_front();
                FIRST_RETRY
            }
        };
        drop(inner);
        if pause > FIRST_RETRY {
            tokio::time::sleep(pause).await;
        }
    }
}

/// So long that the ledger is not kept alive by this alone.
async fn wait(inner: Arc<Inner>) {
    let _ = tokio::time::timeout(LAST_RETRY, inner.owed.changed.notified()).await;
}
