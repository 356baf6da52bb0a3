//! The task of one sink: reads a page of the books, delivers it, keeps its place, and tries again for ever with ever longer
//! pauses when the other side fails. Holds one page, whatever the other side's speed. Where several processes have the books,
//! it delivers while it is this one's turn to write them. Does not know what the other side is.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::cursor::Cursor;
use super::{Failed, State, Target};
use crate::adapters::audit::tail::Books;
use crate::adapters::audit::{AuditError, Event};
use crate::config::Sink;
use crate::units::ids::Seq;
use crate::units::time::Timestamp;

const FIRST_RETRY: Duration = Duration::from_millis(250);
const LAST_RETRY: Duration = Duration::from_secs(30);
/// What the other side may ask for at most.
const LONGEST_ASKED: Duration = Duration::from_secs(600);

pub(super) struct Follower {
    books: Arc<Books>,
    target: Target,
    /// To find its place anew at each turn, in the books or in this folder.
    sink: (Sink, PathBuf),
    cursor: Option<Cursor>,
    seq: Seq,
    state: Arc<State>,
    /// Smaller than `batch` after the other side said that it was too much.
    want: usize,
    retry: Duration,
}

impl From<AuditError> for Failed {
    fn from(e: AuditError) -> Self {
        e.to_string().into()
    }
}

impl Follower {
    pub(super) fn new(
        books: Arc<Books>,
        target: Target,
        sink: (Sink, PathBuf),
        cursor: Cursor,
        state: Arc<State>,
    ) -> Self {
        let (seq, want) = (cursor.seq(), sink.0.batch);
        Self { books, target, sink, cursor: Some(cursor), seq, state, want, retry: FIRST_RETRY }
    }

    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut kept = self.books.kept();
        loop {
            if !self.books.leads() {
                self.cursor = None;
                tokio::select! { () = self.books.turn() => {}, () = stop.cancelled() => return }
            }
            let stopping = stop.is_cancelled();
            if let Err(failed) = self.find_place().await {
                if stopping {
                    return;
                }
                self.failed(failed, &stop).await;
                continue;
            }
            // Before reading: what is kept meanwhile wakes us at once.
            let upto = *kept.borrow_and_update();
            match self.step(upto).await {
                Ok(true) => self.retry = FIRST_RETRY,
                Ok(false) if stopping => return,
                Ok(false) => self.wait(&mut kept, &stop).await,
                Err(_) if stopping => return,
                Err(failed) => self.failed(failed, &stop).await,
            }
        }
    }

    async fn wait(&self, kept: &mut watch::Receiver<Seq>, stop: &CancellationToken) {
        let turn_over = self.books.turn_over();
        tokio::select! { _ = kept.changed() => {}, () = stop.cancelled() => {}, () = turn_over => {} }
    }

    /// After another process had the turn, the place is not where it was.
    async fn find_place(&mut self) -> Result<(), Failed> {
        if self.cursor.is_some() {
            return Ok(());
        }
        let (books, (sink, folder)) = (self.books.store().clone(), self.sink.clone());
        let found = tokio::task::spawn_blocking(move || Cursor::of(&books, &folder, &sink)).await;
        let cursor = found.map_err(|e| e.to_string())??;
        self.seq = cursor.seq();
        self.state.seq.store(self.seq, Ordering::Release);
        self.cursor = Some(cursor);
        Ok(())
    }

    /// Delivers one page. `true` if something was delivered.
    async fn step(&mut self, upto: Seq) -> Result<bool, Failed> {
        let (from, want) = (self.seq + 1, self.want);
        if from > upto {
            return Ok(false);
        }
        let mut events = self.books.ask(move |store| store.events(from, want)).await?;
        let whole = events.len() == want;
        events.retain(|e| e.seq <= upto);
        let odd = events.first().is_none_or(|e| e.seq != from);
        let missed = if odd { self.look_for_loss(from).await? } else { 0 };
        let Some(last) = events.last().map(|e| e.seq) else {
            self.lost(from, missed);
            self.pass(upto);
            return Ok(false);
        };
        self.deliver(events).await?;
        self.lost(from, missed);
        // After a page that was not full there is nothing more up to `upto`.
        self.save(if whole { last } else { upto }).await?;
        Ok(true)
    }

    async fn deliver(&mut self, events: Vec<Event>) -> Result<(), Failed> {
        let count = events.len();
        let taken = self.target.deliver(events.into()).await.map_err(|mut failed| {
            // One event cannot be halved: that is a failure like any other.
            failed.too_large &= count > 1;
            self.want = if failed.too_large { count / 2 } else { self.want };
            failed
        })?;
        self.want = self.want.saturating_mul(2).min(self.sink.0.batch);
        self.state.delivered.fetch_add(count as u64, Ordering::AcqRel);
        if taken.rejected > 0 {
            self.state.rejected.fetch_add(taken.rejected, Ordering::AcqRel);
            tracing::error!(sink = %self.state.name, events = taken.rejected, "the other side took events and will not keep them");
        }
        if self.state.trouble.lock().take().is_some() {
            tracing::info!(sink = %self.state.name, "the sink delivers again");
        }
        Ok(())
    }

    fn pass(&mut self, seq: Seq) {
        self.seq = seq;
        if let Some(cursor) = &mut self.cursor {
            cursor.pass(seq);
        }
        self.state.seq.store(seq, Ordering::Release);
    }

    async fn save(&mut self, seq: Seq) -> Result<(), Failed> {
        // It is only away while the disk is asked, and that is awaited here.
        let Some(mut cursor) = self.cursor.take() else { return Err("its place is lost".to_owned().into()) };
        let saved = tokio::task::spawn_blocking(move || {
            let saved = cursor.save(seq);
            (cursor, saved)
        });
        let (cursor, saved) = saved.await.map_err(|e| e.to_string())?;
        self.cursor = Some(cursor);
        saved?;
        self.seq = seq;
        self.state.seq.store(seq, Ordering::Release);
        Ok(())
    }

    /// The page does not begin where it should. Entries that concern the ledger alone are passed over; entries that are no more
    /// in the books are a loss, which is said.
    async fn look_for_loss(&self, from: Seq) -> Result<u64, AuditError> {
        let first = self.books.ask(move |store| store.entries(from, 1)).await?;
        Ok(first.first().map_or(0, |e| e.seq.saturating_sub(from)))
    }

    /// Said once, when the page behind it is delivered.
    fn lost(&self, from: Seq, missed: u64) {
        if missed > 0 {
            self.state.missed.fetch_add(missed, Ordering::AcqRel);
            tracing::error!(sink = %self.state.name, from, to = from + missed - 1, "these entries were gone from the books before the sink got them");
        }
    }

    async fn failed(&mut self, failed: Failed, stop: &CancellationToken) {
        self.state.failures.fetch_add(1, Ordering::AcqRel);
        {
            let mut trouble = self.state.trouble.lock();
            let since = trouble.as_ref().map(|(_, since)| *since);
            if since.is_none() {
                tracing::warn!(sink = %self.state.name, "the sink does not deliver, the books keep what it misses: {}", failed.why);
            }
            *trouble = Some((failed.why, since.unwrap_or_else(Timestamp::now)));
        }
        let asked = failed.wait.map(|wait| wait.min(LONGEST_ASKED));
        let wait = if failed.too_large { Duration::ZERO } else { asked.unwrap_or_else(|| jittered(self.retry)) };
        if !failed.too_large {
            self.retry = (self.retry * 2).min(LAST_RETRY);
        }
        tokio::select! { () = tokio::time::sleep(wait) => {}, () = stop.cancelled() => {} }
    }
}

/// Half of it to all of it, so that many bursars do not come back at once.
fn jittered(wait: Duration) -> Duration {
    let dice = getrandom::u32().map_or(0, |n| n % 1000);
    wait / 2 + wait / 2 * dice / 1000
}
