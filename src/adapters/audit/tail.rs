//! The books as they follow the journal, for whoever follows the books. Where several processes have the same books, one of
//! them writes at a time, and the others see what it wrote; what must be done once for all of them is done `while_leading`.
//! `follower` is the task that writes. Does not know what entries mean: `project` does.

mod follower;
#[cfg(test)]
mod tests;

use std::mem::discriminant;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::follower::Follower;
use super::{AuditError, AuditStore};
use crate::adapters::ledger::journal::Record;
use crate::rules::ledger::entry::Entry;
use crate::units::ids::Seq;

/// The journal, as the books see it. Every method may block.
pub trait Feed: Send + Sync + 'static {
    /// Entries from `seq` on that are durable in the journal, in order, at most `max`.
    fn read_from(&self, seq: Seq, max: usize) -> Result<Vec<Arc<Record>>, String>;
    /// The last entry there as it is now, where other processes write as well; `None` where nobody else does.
    ///
    /// # Errors
    /// It cannot be reached.
    fn end(&self) -> Result<Option<Seq>, String> {
        Ok(None)
    }
    /// The books hold everything up to `seq`: nobody will read it again soon.
    fn applied_up_to(&self, seq: Seq) {
        let _ = seq;
    }
    /// The books hold everything up to `seq` and keep it through power loss: the journal may forget it.
    fn safe_up_to(&self, seq: Seq);
    /// The books were put back from a copy and hold no more than this: nothing behind it may be forgotten, whatever was said.
    fn went_back_to(&self, seq: Seq) {
        let _ = seq;
    }
}

/// The books with their follower.
pub struct Books {
    store: Arc<dyn AuditStore>,
    feed: Arc<dyn Feed>,
    projected: watch::Sender<Seq>,
    /// The same, as far as a loss of power would leave it.
    kept: watch::Sender<Seq>,
    journal: watch::Receiver<Seq>,
    /// Is it this process's turn to write them?
    leads: watch::Sender<bool>,
    trouble: Mutex<Option<String>>,
    /// Held for each batch that is written.
    writing: Arc<tokio::sync::Mutex<()>>,
}

impl Books {
    /// Starts to follow. `journal` is the last durable entry there. After `stop` the rest is written; then the task ends.
    pub fn follow(
        store: Arc<dyn AuditStore>,
        feed: Arc<dyn Feed>,
        journal: watch::Receiver<Seq>,
        stop: CancellationToken,
    ) -> Result<(Arc<Self>, JoinHandle<()>), AuditError> {
        let leads = store.lead()?;
        let place = if leads { store.place()? } else { store.seen()? };
        let end = feed.end().map_err(AuditError::Store)?.unwrap_or_else(|| *journal.borrow());
        if place.seq > end {
            // The entries to come would bear numbers that the books know already, and would be passed over.
            let why = format!("they go up to entry {}, and the journal ends at {end}", place.seq);
            return Err(AuditError::Unreadable(why));
        }
        if !same_ledger(&*store, &*feed, place.seq)? {
            let why = format!(
                "their entry {} is not the journal's: they are the books of another ledger, or it was changed",
                place.seq
            );
            return Err(AuditError::Unreadable(why));
        }
        let books = Arc::new(Self {
            store,
            feed,
            projected: watch::Sender::new(place.seq),
            kept: watch::Sender::new(0),
            journal: journal.clone(),
            leads: watch::Sender::new(leads),
            trouble: Mutex::default(),
            writing: Arc::default(),
        });
        let follower = Follower::new(books.clone(), journal, place);
        let task = tokio::spawn(follower.run(stop));
        Ok((books, task))
    }

    pub fn store(&self) -> &Arc<dyn AuditStore> {
        &self.store
    }

    /// Asks the store, off the async threads.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn AuditStore) -> Result<T, AuditError> + Send + 'static,
    ) -> Result<T, AuditError> {
        let store = self.store.clone();
        let asked = tokio::task::spawn_blocking(move || question(&*store)).await;
        asked.unwrap_or_else(|e| Err(AuditError::Store(e.to_string())))
    }

    /// The last entry in the books; changes wake whoever tails.
    pub fn projected(&self) -> watch::Receiver<Seq> {
        self.projected.subscribe()
    }

    /// The last entry in the books that survives also a loss of power.
    pub fn kept(&self) -> watch::Receiver<Seq> {
        self.kept.subscribe()
    }

    /// Entries that the journal has and the books do not have yet.
    pub fn lag(&self) -> u64 {
        self.journal.borrow().saturating_sub(*self.projected.borrow())
    }

    /// Waits until the books hold what the journal has now.
    pub async fn level(&self) {
        let feed = self.feed.clone();
        let asked = tokio::task::spawn_blocking(move || feed.end()).await;
        let elsewhere = asked.ok().and_then(Result::ok).flatten().unwrap_or_default();
        let end = elsewhere.max(*self.journal.borrow());
        self.caught_up(end).await;
    }

    /// Nothing is written into them by this process until the guard is dropped.
    pub async fn pause(&self) -> tokio::sync::OwnedMutexGuard<()> {
        self.writing.clone().lock_owned().await
    }

    /// Is it this process's turn to write them?
    pub fn leads(&self) -> bool {
        *self.leads.borrow()
    }

    /// Until it is this process's turn.
    pub async fn turn(&self) {
        // An error would mean that the sender is gone, and `self` is the sender.
        let _ = self.leads.subscribe().wait_for(|leads| *leads).await;
    }

    /// Until it is not.
    pub async fn turn_over(&self) {
        let _ = self.leads.subscribe().wait_for(|leads| !*leads).await;
    }

    /// Does this while it is this process's turn, until `stop`: begun at each turn, and dropped at its end.
    pub async fn while_leading<F: Future<Output = ()>>(&self, stop: &CancellationToken, mut work: impl FnMut() -> F) {
        loop {
            tokio::select! { () = stop.cancelled() => return, () = self.turn() => {} }
            // What is cancelled ends by itself, in its own way.
            tokio::select! { () = self.turn_over() => {}, () = work() => return }
        }
    }

    /// Why the books do not follow now, if they do not.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }

    /// Waits until the books hold `seq`.
    pub async fn caught_up(&self, seq: Seq) {
        // An error would mean that the sender is gone, and `self` is the sender.
        let _ = self.projected.subscribe().wait_for(|at| *at >= seq).await;
    }
}

/// Is the last entry of the books the journal's? Where one of them has it no more, or it cannot be read, nobody can tell. One
/// that was changed by hand is still of this ledger: calls do not hang on the books' past, and `verify` names it.
fn same_ledger(store: &dyn AuditStore, feed: &dyn Feed, last: Seq) -> Result<bool, AuditError> {
    let here = feed.read_from(last, 1).unwrap_or_default();
    let there = match store.entries(last, 1) {
        Err(AuditError::Unreadable(_)) => return Ok(true),
        read => read?,
    };
    let both = here.first().zip(there.first()).filter(|(here, there)| here.seq == last && there.seq == last);
    let alike = |here: &Entry, there: &Entry| here.at == there.at && discriminant(&here.op) == discriminant(&there.op);
    Ok(both.is_none_or(|(here, there)| alike(here.entry(), there)))
}
