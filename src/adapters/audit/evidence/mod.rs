//! Evidence from the books: checkpoints every so many events or so many seconds, exports, proofs, retention. All of it stands
//! beside the path of calls, and follows the books as any reader does. `sealing` makes checkpoints, `key` holds what signs
//! them, `export` and `prove` hand out what `rules::evidence` checks.

mod export;
pub mod key;
mod prove;
mod sealing;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::key::KeyFile;
use self::sealing::{Also, Sealing};
use super::tail::Books;
use super::{AuditError, AuditStore};
use crate::rules::evidence::proof::Proof;
use crate::rules::evidence::{PublicKey, Signed};
use crate::units::ids::{CallId, Seq};
use crate::units::time::Timestamp;

pub use export::Export;

/// How often checkpoints are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Every {
    pub events: u64,
    pub time: Duration,
}

/// Batches of the books come every few milliseconds in a busy hour; reading them in larger pieces costs less.
const PAUSE: Duration = Duration::from_millis(250);
/// After an error.
const RETRY: Duration = Duration::from_secs(5);

pub struct Evidence {
    books: Arc<Books>,
    sealing: Mutex<Sealing>,
    every: Every,
    /// The last checkpoint's number.
    sealed: watch::Sender<u64>,
    trouble: Mutex<Option<String>>,
}

/// What retention gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Pruned {
    /// Events up to here are gone; the chain is checked from the one behind it.
    pub pruned_to: Seq,
    pub events: u64,
}

impl Evidence {
    /// Reads the last checkpoint, and the key or makes it.
    pub fn open(books: Arc<Books>, file: KeyFile, every: Every) -> Result<Arc<Self>, AuditError> {
        let sealing = Sealing::open(books.store().clone(), file)?;
        let sealed = watch::Sender::new(sealing.last().map_or(0, |l| l.checkpoint.number));
        Ok(Arc::new(Self { books, sealing: Mutex::new(sealing), every, sealed, trouble: Mutex::default() }))
    }

    /// Makes checkpoints until `stop`. What is new then is the next start's.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut projected = self.books.projected();
        let mut pause = PAUSE;
        loop {
            tokio::select! { () = stop.cancelled() => return, () = tokio::time::sleep(pause) => {} }
            projected.mark_unchanged();
            pause = match self.work(Self::keep_up).await {
                Ok(Some(due)) => due.max(PAUSE),
                Ok(None) => {
                    // Nothing is new; an error means that the books are gone, and `stop` is near.
                    tokio::select! { () = stop.cancelled() => return, _ = projected.changed() => PAUSE }
                }
                Err(_) => RETRY,
            };
        }
    }

    /// Off the async threads, and with its errors told.
    async fn work<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, AuditError> + Send + 'static,
    ) -> Result<T, AuditError> {
        let this = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&this)).await;
        let done = done.unwrap_or_else(|e| Err(AuditError::Store(e.to_string())));
        self.tell(done.as_ref().err());
        done
    }

    fn tell(&self, error: Option<&AuditError>) {
        let mut trouble = self.trouble.lock();
        if let (None, Some(e)) = (&*trouble, error) {
            tracing::error!("no checkpoint can be made: {e}");
        }
        *trouble = error.map(ToString::to_string);
    }

    /// Why no checkpoint is made, if so.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }

    /// Full checkpoints at once, and a smaller one when its time has come. Gives how long until then; `None` if nothing is new.
    fn keep_up(&self) -> Result<Option<Duration>, AuditError> {
        let mut sealing = self.sealing.lock();
        while sealing.read_until(self.every.events)? {
            sealing.seal(Also::default())?;
            self.told(&sealing);
        }
        if sealing.unsealed() == 0 {
            return Ok(None);
        }
        let since = sealing.last().map_or(Timestamp(0), |l| l.checkpoint.at);
        let waited = Duration::from_millis(Timestamp::now().millis_since(since));
        if waited < self.every.time {
            return Ok(Some((self.every.time - waited).min(Duration::from_secs(1))));
        }
        sealing.seal(Also::default())?;
        self.told(&sealing);
        Ok(None)
    }

    fn told(&self, sealing: &Sealing) {
        self.sealed.send_replace(sealing.last().map_or(0, |l| l.checkpoint.number));
    }

    /// A change that needs everything sealed, or seals more.
    fn sealing<T>(&self, work: impl FnOnce(&mut Sealing) -> Result<T, AuditError>) -> Result<T, AuditError> {
        let mut sealing = self.sealing.lock();
        let done = work(&mut sealing);
        self.told(&sealing);
        done
    }

    /// The last checkpoint's number; changes wake whoever follows.
    pub fn sealed(&self) -> watch::Receiver<u64> {
        self.sealed.subscribe()
    }

    pub fn store(&self) -> &Arc<dyn AuditStore> {
        self.books.store()
    }

    /// Who signs now.
    pub fn public_key(&self) -> PublicKey {
        self.sealing.lock().key().public()
    }

    /// Changes the key: the old one names the new one in a checkpoint.
    pub async fn rotate(self: &Arc<Self>) -> Result<PublicKey, AuditError> {
        self.work(|this| this.sealing(|s| s.rotate(this.every.events))).await
    }

    /// Covers all events that are there, and gives the last checkpoint.
    pub async fn seal_all(self: &Arc<Self>) -> Result<Option<Signed>, AuditError> {
        self.work(|this| this.sealing(|s| s.catch_up(this.every.events))).await
    }

    /// Everything from `from` to `to`, whole intervals, to be handed out line by line.
    pub async fn export(self: &Arc<Self>, from: Seq, to: Option<Seq>) -> Result<Export, AuditError> {
        self.work(move |this| {
            let every = this.every.events;
            this.sealing(|s| {
                let last = s.catch_up(every)?;
                Export::plan(this.store().clone(), s.key(), last, from, to)
            })
        })
        .await
    }

    /// A proof about one call; `None` if the books have no event of it.
    pub async fn proof(self: &Arc<Self>, call: CallId) -> Result<Option<Proof>, AuditError> {
        self.seal_all().await?;
        self.work(move |this| prove::proof(&**this.store(), call)).await
    }

    /// Gives up events that were checkpointed before `before`, and says so in a checkpoint first.
    pub async fn prune(self: &Arc<Self>, before: Timestamp) -> Result<Pruned, AuditError> {
        self.work(move |this| {
            let pruned_to = this.sealing(|s| give_up(this, s, before))?;
            Ok(Pruned { pruned_to, events: this.store().prune(pruned_to)? })
        })
        .await
    }
}

fn give_up(this: &Evidence, sealing: &mut Sealing, before: Timestamp) -> Result<Seq, AuditError> {
    let Some(last) = sealing.last().map(|l| l.checkpoint.clone()) else { return Ok(0) };
    let older = find(&**this.store(), last.number, |c| c.checkpoint.at < before)?;
    let to = older.map_or(0, |c| c.checkpoint.to);
    if to <= last.pruned_to {
        return Ok(last.pruned_to);
    }
    sealing.catch_up(this.every.events)?;
    sealing.seal(Also { pruned_to: Some(to), ..Also::default() })?;
    Ok(to)
}

/// The last checkpoint of which `early` holds, among numbers up to `last`; it holds of all before it.
fn find(store: &dyn AuditStore, last: u64, early: impl Fn(&Signed) -> bool) -> Result<Option<Signed>, AuditError> {
    let (mut low, mut high, mut found) = (1, last + 1, None);
    while low < high {
        let middle = low + (high - low) / 2;
        match store.checkpoints(middle, 1, false)?.pop() {
            Some(checkpoint) if early(&checkpoint) => {
                low = checkpoint.checkpoint.number.max(middle) + 1;
                found = Some(checkpoint);
            }
            _ => high = middle,
        }
    }
    Ok(found)
}
