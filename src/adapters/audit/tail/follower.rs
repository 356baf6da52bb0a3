//! The task that writes the journal into the books. Keeps its place in the store itself, so that a crash repeats a batch and
//! never skips one. An error loses nothing: the batch is tried again until it is written, and the journal keeps its entries
//! meanwhile. While another process writes, it reads how far that one is, and asks every second whether its turn has come.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Books, Feed};
use crate::adapters::audit::{AuditError, AuditStore, Chained};
use crate::rules::chain::Place;
use crate::units::ids::Seq;

/// Entries of one transaction.
pub(super) const BATCH: usize = 4096;
/// How long a batch may grow before it is written, by what the last one had at least: a tail is late by so much, and a busy
/// hour costs few transactions, each of which writes a page of every index that it touches.
const LINGER: Duration = Duration::from_millis(5);
const LINGERS: [(usize, Duration); 2] = [(256, Duration::from_millis(100)), (64, Duration::from_millis(25))];
/// How often what was written is forced to the disk, and the journal told.
const FORCE_EVERY: Duration = Duration::from_secs(1);
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);
/// How often it is asked whose turn it is to write; whoever has it says by that that it lives.
const TURN_EVERY: Duration = Duration::from_secs(1);
/// A writer that cannot write for so long lets another one try, and asks again only after as long.
const RESIGN_AFTER: Duration = Duration::from_secs(5);
/// How often the books of another writer are looked at while something is on its way into them; ever less often if it stays out.
/// While somebody else wants them to stand still.
const PAUSED: Duration = Duration::from_millis(20);
const FIRST_LOOK: Duration = Duration::from_millis(15);
const LAST_LOOK: Duration = Duration::from_millis(250);

pub(super) struct Follower {
    books: Arc<Books>,
    journal: watch::Receiver<Seq>,
    forced_at: Instant,
    /// Something was written that may not survive power loss; true at first, when nobody knows.
    unforced: bool,
    linger: Duration,
    /// The chain goes on from here.
    place: Place,
    /// When to ask again whose turn it is.
    turn_at: Instant,
    look: Duration,
    failing: Option<Instant>,
    /// Told to stop, it writes so far, where others go on: they never end.
    leave_at: Option<Seq>,
}

struct Batch {
    place: Place,
    read: usize,
}

impl Follower {
    pub(super) fn new(books: Arc<Books>, journal: watch::Receiver<Seq>, place: Place) -> Self {
        let (now, look) = (Instant::now(), FIRST_LOOK);
        let (turn_at, failing, leave_at) = (now + TURN_EVERY, None, None);
        let (forced_at, unforced, linger) = (now, true, LINGER);
        Self { books, journal, forced_at, unforced, linger, place, turn_at, look, failing, leave_at }
    }

    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut retry = FIRST_RETRY;
        loop {
            let stopping = stop.is_cancelled();
            match self.turn_or_step(stopping).await {
                Ok(more) => {
                    (retry, self.failing) = (FIRST_RETRY, None);
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
                    self.resign_if_stuck().await;
                    self.ask_again();
                    tokio::select! { () = tokio::time::sleep(retry) => {}, () = stop.cancelled() => {} }
                    retry = (retry * 2).min(LAST_RETRY);
                }
            }
        }
    }

    async fn turn_or_step(&mut self, stopping: bool) -> Result<bool, AuditError> {
        if Instant::now() >= self.turn_at {
            self.turn().await?;
        }
        match (self.books.leads(), stopping) {
            (true, _) => {
                let writing = self.books.writing.clone();
                let Ok(_one) = writing.try_lock() else {
                    tokio::time::sleep(PAUSED).await;
                    return Ok(stopping);
                };
                self.step(stopping).await
            }
            (false, true) => Ok(false),
            (false, false) => self.look().await.map(|()| false),
        }
    }

    /// Asks whose turn it is.
    async fn turn(&mut self) -> Result<(), AuditError> {
        let leads = self.ask(|store, _| store.lead()).await?;
        self.turn_at = Instant::now() + TURN_EVERY;
        if leads == self.books.leads() {
            // The turn may have been taken anew, on a server that lost what it had not forced to its disk.
            if self.books.store.is_shared() {
                self.ask_again();
            }
            return Ok(());
        }
        if leads {
            self.place = self.books.store.place()?;
            (self.unforced, self.linger) = (true, LINGER);
            tracing::info!(from = self.place.seq + 1, "this process writes the books now");
        } else {
            tracing::info!("another process writes the books now");
        }
        self.books.leads.send_replace(leads);
        Ok(())
    }

    /// Off the async threads.
    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn AuditStore, &dyn Feed) -> Result<T, AuditError> + Send + 'static,
    ) -> Result<T, AuditError> {
        let books = self.books.clone();
        let done = tokio::task::spawn_blocking(move || work(&*books.store, &*books.feed)).await;
        done.unwrap_or_else(|e| Err(AuditError::Store(e.to_string())))
    }

    /// Until there is something to write or to see, something to force, or an end.
    async fn wait(&mut self, stop: &CancellationToken) {
        let turn = tokio::time::sleep_until(self.turn_at.into());
        if !self.books.leads() {
            let on_its_way = *self.journal.borrow_and_update() > self.place.seq;
            tokio::select! {
                () = stop.cancelled() => {}
                () = turn => {}
                () = tokio::time::sleep(self.look), if on_its_way => self.look = (self.look * 2).min(LAST_LOOK),
                gone = self.journal.changed(), if !on_its_way => if gone.is_err() { tokio::time::sleep(LAST_LOOK).await },
            }
            return;
        }
        let force_in = FORCE_EVERY.saturating_sub(self.forced_at.elapsed());
        tokio::select! {
            () = stop.cancelled() => return,
            () = turn => return,
            () = tokio::time::sleep(force_in), if self.unforced => return,
            gone = self.journal.changed() => if gone.is_err() { tokio::time::sleep(FORCE_EVERY).await },
        }
        tokio::time::sleep(self.linger).await;
    }

    /// Reads and writes one batch. `true` if there may be more.
    async fn step(&mut self, stopping: bool) -> Result<bool, AuditError> {
        let force = self.unforced && (stopping || self.forced_at.elapsed() >= FORCE_EVERY);
        let (place, end) = (self.place, stopping && self.leave_at.is_none());
        let (Batch { place, read }, end) = self
            .ask(move |store, feed| {
                let end = if end { feed.end().map_err(AuditError::Store)? } else { None };
                Ok((batch(store, feed, place, force)?, end))
            })
            .await?;
        self.leave_at = self.leave_at.or(end);
        self.place = place;
        self.unforced |= read > 0;
        self.linger = LINGERS.iter().find(|(many, _)| read >= *many).map_or(LINGER, |(_, linger)| *linger);
        if force {
            (self.unforced, self.forced_at) = (false, Instant::now());
            self.books.kept.send_if_modified(|at| std::mem::replace(at, place.seq) != place.seq);
        }
        self.tell(place);
        let enough = self.leave_at.is_some_and(|last| place.seq >= last);
        Ok((read == BATCH || stopping && read > 0) && !enough || stopping && self.unforced)
    }

    /// How far the process is that writes.
    async fn look(&mut self) -> Result<(), AuditError> {
        let before = self.place.seq;
        let place = self
            .ask(move |store, feed| {
                let place = store.seen()?;
                let tell: fn(&dyn Feed, Seq) =
                    if place.seq < before { Feed::went_back_to } else { Feed::applied_up_to };
                tell(feed, place.seq);
                Ok(place)
            })
            .await?;
        if place.seq != before {
            self.look = FIRST_LOOK;
        }
        self.place = place;
        self.tell(place);
        Ok(())
    }

    fn tell(&self, place: Place) {
        *self.books.trouble.lock() = None;
        self.books.projected.send_if_modified(|at| std::mem::replace(at, place.seq) != place.seq);
    }

    /// Whoever can write the books no more lets another try: it may be the way from here alone that is broken.
    async fn resign_if_stuck(&mut self) {
        let since = *self.failing.get_or_insert_with(Instant::now);
        if !self.books.leads() || !self.books.store.is_shared() || since.elapsed() < RESIGN_AFTER {
            return;
        }
        let resigned = self.ask(|store, _| {
            store.resign();
            Ok(())
        });
        if resigned.await.is_ok() {
            tracing::warn!("this process leaves writing the books to another one, if there is one");
            self.books.leads.send_replace(false);
            (self.turn_at, self.failing) = (Instant::now() + RESIGN_AFTER, None);
        }
    }

    /// A server that was put back from a copy knows less than it did.
    fn ask_again(&mut self) {
        if !self.books.leads() {
            return;
        }
        let place = self.books.store.place().unwrap_or(self.place);
        if place.seq < self.place.seq {
            self.books.feed.went_back_to(place.seq);
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
