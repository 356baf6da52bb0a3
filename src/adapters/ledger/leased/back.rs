//! Redis has lost what it was told or what it lent. Before the others go on, this node puts back its part: its slices are held
//! again, whether or not there is room, and the rest of its journal is told. So nothing is lent twice. A node that comes when
//! the others have gone on already gives up what it has not used; what it used meanwhile is charged all the same, so an account
//! may be overspent by at most what was lent to such nodes.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use super::talk::BATCH;
use super::{Inner, Life, State};
use crate::adapters::ledger::redis::beside::Beside;
use crate::adapters::ledger::redis::lent::Wanted;
use crate::adapters::ledger::{Answer, LedgerError};
use crate::rules::ledger::slices::SliceKey;
use crate::units::ids::CallId;

/// Does not keep the node's ledger alive.
pub(super) struct Back(Weak<Inner>);

impl Back {
    pub(super) fn of(ledger: &Arc<Inner>) -> Arc<Self> {
        Arc::new(Self(Arc::downgrade(ledger)))
    }
}

impl Beside for Back {
    fn is_there(&self) -> Answer<'_, bool> {
        Box::pin(async move {
            let Some(me) = self.0.upgrade() else { return Ok(true) };
            let (by, none) = {
                let state = me.state.lock();
                (state.lent_by, state.slices.keys().next().is_none())
            };
            if none || by == 0 { Ok(true) } else { me.redis.has_message(me.home.node(), by).await }
        })
    }

    fn put_back(&self, late: bool) -> Answer<'_, ()> {
        Box::pin(async move {
            let Some(me) = self.0.upgrade() else { return Ok(()) };
            let _one = me.talking.lock().await;
            let done = me.put_back(late).await;
            me.state.lock().unsure |= done.is_err();
            done
        })
    }
}

impl Inner {
    async fn put_back(&self, late: bool) -> Result<(), LedgerError> {
        if self.state.lock().life == Life::New {
            // A folder that cannot be used is this node's trouble alone: the others go on.
            if let Err(error) = self.meet().await {
                tracing::warn!(%error, "what this node did alone before it started could not be told yet");
                return Ok(());
            }
        }
        let flown = self.state.lock().slices.flying();
        let found = self.redis.in_books(flown).await?;
        let (number, told, slices) = self.state.lock().back(&found, late);
        self.redis.put_back(self.home.node(), number, told, &slices).await?;
        let batches = {
            let mut state = self.state.lock();
            (state.lent_by, state.unsure) = (number, false);
            slices.iter().for_each(|s| state.slices.lent(&s.key, s.target));
            state.slices.untold().div_ceil(BATCH)
        };
        for _ in 0..batches {
            self.tell().await?;
        }
        let held: u64 = slices.iter().map(|s| s.target).sum();
        tracing::warn!(slices = slices.len(), held, late, "this node's slices are held again");
        Ok(())
    }
}

impl State {
    /// What is put back: all that this node may still spend; late, what is used already.
    fn back(&mut self, found: &HashMap<CallId, bool>, late: bool) -> (u64, u64, Vec<Wanted>) {
        self.slices.put_back(|call| found.get(&call).copied());
        self.forget(self.slices.mark());
        let keys: Vec<SliceKey> = self.slices.keys().cloned().collect();
        let mut slices = Vec::with_capacity(keys.len());
        for key in keys {
            let target = if late { self.slices.lower(&key, 0) } else { self.slices.usable(&key) };
            // One that an earlier life was lent: nobody spends of it, and its window is not known.
            if let Some(window) = self.windows.get(&key).copied() {
                slices.push(Wanted { key, window, target });
            }
        }
        self.number += 1;
        (self.number, self.slices.mark(), slices)
    }
}
