//! Follows the journal into the books, and wakes whoever follows the books. Keeps its place in the store itself, so that a
//! crash repeats a batch and never skips one. An error loses nothing: the batch is tried again until it is written, and the
//! journal keeps its entries meanwhile. Does not know what entries mean: `project` does.

#[cfg(test)]
mod tests;

use std::mem::discriminant;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{AuditError, AuditStore, Chained};
use crate::adapters::ledger::journal::Record;
use crate::rules::chain::Place;
use crate::rules::ledger::entry::Entry;
use crate::units::ids::Seq;

/// The journal, as the books see it. Every method may block.
pub trait Feed: Send + Sync + 'static {
    /// Entries from `seq` on that are durable in the journal, in order, at most `max`.
    fn read_from(&self, seq: Seq, max: usize) -> Result<Vec<Arc<Record>>, String>;
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

/// Entries of one transaction.
const BATCH: usize = 4096;
/// How long a batch may grow before it is written: a tail is late by so much, and a busy hour costs few transactions.
const LINGER: Duration = Duration::from_millis(5);
const LINGER_BUSY: Duration = Duration::from_millis(25);
/// A batch of so many says that it is a busy hour.
const BUSY: usize = 64;
/// How often what was written is forced to the disk, and the journal told.
const FORCE_EVERY: Duration = Duration::from_secs(1);
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);

/// The books with their follower.
pub struct Books {
    store: Arc<dyn AuditStore>,
    projected: watch::Sender<Seq>,
    /// The same, as far as a loss of power would leave it.
    kept: watch::Sender<Seq>,
    journal: watch::Receiver<Seq>,
    trouble: Mutex<Option<String>>,
}

impl Books {
    /// Starts to follow. `journal` is the last durable entry there. After `stop` the rest is written; then the task ends.
    pub fn follow(
        store: Arc<dyn AuditStore>,
        feed: Arc<dyn Feed>,
        journal: watch::Receiver<Seq>,
        stop: CancellationToken,
    ) -> Result<(Arc<Self>, JoinHandle<()>), AuditError> {
        let (place, end) = (store.place()?, *journal.borrow());
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
        let projected = watch::Sender::new(place.seq);
        let books = Arc::new(Self {
            store,
            projected,
            kept: watch::Sender::new(0),
            journal: journal.clone(),
            trouble: Mutex::default(),
        });
        let (forced_at, unforced, linger) = (Instant::now(), true, LINGER);
        let follower = Follower { books: books.clone(), feed, journal, forced_at, unforced, linger, place };
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
        let end = *self.journal.borrow();
        self.caught_up(end).await;
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

struct Follower {
    books: Arc<Books>,
    feed: Arc<dyn Feed>,
    journal: watch::Receiver<Seq>,
    forced_at: Instant,
    /// Something was written that may not survive power loss; true at first, when nobody knows.
    unforced: bool,
    linger: Duration,
    /// The chain goes on from here.
    place: Place,
}

impl Follower {
    async fn run(mut self, stop: CancellationToken) {
        let mut retry = FIRST_RETRY;
        loop {
            let stopping = stop.is_cancelled();
            match self.step(stopping).await {
                Ok(more) => {
                    retry = FIRST_RETRY;
                    if !more && stopping {
                        return;
                    }
                    if !more {
                        self.wait(&stop).await;
                    }
                }
                // Stopping with a store that is down: the journal keeps the rest for the next start.
                Err(e) if stopping => return tracing::error!("the books end behind the journal: {e}"),
                Err(e) => {
                    self.report(e);
                    self.ask_again();
                    tokio::select! { () = tokio::time::sleep(retry) => {}, () = stop.cancelled() => {} }
                    retry = (retry * 2).min(LAST_RETRY);
                }
            }
        }
    }

    /// Until there is something to write, something to force, or an end.
    async fn wait(&mut self, stop: &CancellationToken) {
        let force_in = FORCE_EVERY.saturating_sub(self.forced_at.elapsed());
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(force_in), if self.unforced => return,
            gone = self.journal.changed() => if gone.is_err() { tokio::time::sleep(FORCE_EVERY).await },
        }
        tokio::time::sleep(self.linger).await;
    }

    /// Reads and writes one batch. `true` if there may be more.
    async fn step(&mut self, stopping: bool) -> Result<bool, AuditError> {
        let force = self.unforced && (stopping || self.forced_at.elapsed() >= FORCE_EVERY);
        let (store, feed) = (self.books.store.clone(), self.feed.clone());
        let place = self.place;
        let step = tokio::task::spawn_blocking(move || batch(&*store, &*feed, place, force)).await;
        let Batch { place, read } = step.unwrap_or_else(|e| Err(AuditError::Store(e.to_string())))?;
        self.place = place;
        self.unforced |= read > 0;
        self.linger = if read >= BUSY { LINGER_BUSY } else { LINGER };
        if force {
            (self.unforced, self.forced_at) = (false, Instant::now());
            self.books.kept.send_if_modified(|at| std::mem::replace(at, place.seq) != place.seq);
        }
        *self.books.trouble.lock() = None;
        self.books.projected.send_if_modified(|at| std::mem::replace(at, place.seq) != place.seq);
        Ok(read == BATCH || (stopping && (read > 0 || self.unforced)))
    }

    /// A server that was put back from a copy knows less than it did.
    fn ask_again(&mut self) {
        let place = self.books.store.place().unwrap_or(self.place);
        if place.seq < self.place.seq {
            self.feed.went_back_to(place.seq);
        }
        self.place = place;
    }

    fn report(&self, e: AuditError) {
        let mut trouble = self.books.trouble.lock();
        if trouble.is_none() {
            tracing::error!("the books do not follow the journal, which keeps what is missing: {e}");
        }
        *trouble = Some(e.to_string());
    }
}

struct Batch {
    place: Place,
    read: usize,
}

fn batch(store: &dyn AuditStore, feed: &dyn Feed, place: Place, force: bool) -> Result<Batch, AuditError> {
    let records = feed.read_from(place.seq + 1, BATCH).map_err(|e| AuditError::Store(format!("journal: {e}")))?;
    let (events, place) = Chained::after(place, records);
    if !events.is_empty() || force {
        store.apply(&events, force)?;
        feed.applied_up_to(place.seq);
    }
    if force {
        feed.safe_up_to(place.seq);
    }
    Ok(Batch { place, read: events.len() })
}
