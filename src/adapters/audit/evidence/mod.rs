//! Evidence from the books: checkpoints every so many events or so many seconds, exports, proofs, retention. All of it stands
//! beside the path of calls, and follows the books as any reader does. `sealing` makes checkpoints, `key` holds what signs
//! them, `export` and `prove` hand out what `rules::evidence` checks, `anchor` takes checkpoints elsewhere, `walk` reads the
//! books of a folder that nobody serves, `index` compares what no chain covers, `find` has the way to a checkpoint, `wire` what the admin API says of all this.

pub mod anchor;
mod export;
mod find;
pub mod index;
pub mod key;
mod prove;
mod sealing;
#[cfg(test)]
mod tests;
pub mod walk;
pub mod wire;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::key::{KeyFile, SigningKey};
use self::sealing::{Also, Sealing};
use super::tail::Books;
use super::{AuditError, AuditStore};
use crate::rules::evidence::proof::Proof;
use crate::rules::evidence::{PublicKey, Signed};
use crate::units::ids::{CallId, Seq};
use crate::units::time::Timestamp;

pub use export::Export;
pub use wire::{KeyChange, Keys};

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
const NOT_OURS: &str = "another node writes these books, and this one has not the key that it signs them with: let \
    `[audit.checkpoints] key` name the same file on all nodes, or ask the node that writes them";

pub struct Evidence {
    books: Arc<Books>,
    file: KeyFile,
    every: Every,
    /// Opened at first need, and anew after an error: what the store and the key file say is what holds.
    sealing: Mutex<Option<Sealing>>,
    /// The last checkpoint's number.
    sealed: watch::Sender<u64>,
    trouble: Mutex<Option<String>>,
}

/// What a look at the books led to.
enum Step {
    /// A full checkpoint, and there may be more.
    More,
    /// Something is new, and its time has not come.
    DueIn(Duration),
    Done,
}

/// What retention may give up: events up to `to`, which a checkpoint covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    pub from: Seq,
    pub to: Seq,
    pub checkpoint: u64,
}

impl Evidence {
    /// Nothing is read yet: books that were changed must not keep calls from being served. `trouble` says so then.
    pub fn new(books: Arc<Books>, file: KeyFile, every: Every) -> Arc<Self> {
        let (sealing, sealed, trouble) = (Mutex::default(), watch::Sender::new(0), Mutex::default());
        Arc::new(Self { books, file, every, sealing, sealed, trouble })
    }

    /// Makes checkpoints until `stop`. What is new then is for `seal_rest`, or the next start. One process at a time does this.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        // Another one may have signed since it was read.
        *self.sealing.lock() = None;
        let mut projected = self.books.projected();
        let mut pause = Duration::ZERO;
        loop {
            tokio::select! { () = stop.cancelled() => return, () = tokio::time::sleep(pause) => {} }
            projected.mark_unchanged();
            let done = self.work(|this| this.step(false)).await;
            self.tell(done.as_ref().err());
            pause = match done {
                Ok(Step::More) => Duration::ZERO,
                Ok(Step::DueIn(due)) => due.max(PAUSE),
                Ok(Step::Done) => {
                    // Nothing is new; an error means that the books are gone, and `stop` is near.
                    tokio::select! { () = stop.cancelled() => return, _ = projected.changed() => PAUSE }
                }
                Err(_) => RETRY,
            };
        }
    }

    /// Off the async threads.
    async fn work<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Arc<Self>) -> Result<T, AuditError> + Send + 'static,
    ) -> Result<T, AuditError> {
        let this = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&this)).await;
        done.unwrap_or_else(|e| Err(AuditError::Store(e.to_string())))
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

    /// One checkpoint at most, so that a long backlog can be left off: a full one at once, a smaller one when its time has come,
    /// or at once if `all`.
    fn step(&self, all: bool) -> Result<Step, AuditError> {
        self.sealing(|sealing| {
            if sealing.read_until(self.every.events)? {
                sealing.seal(Also::default())?;
                return Ok(Step::More);
            }
            if sealing.unsealed() == 0 {
                return Ok(Step::Done);
            }
            let waited = sealing.waited();
            if !all && waited < self.every.time {
                return Ok(Step::DueIn((self.every.time - waited).min(Duration::from_secs(1))));
            }
            sealing.seal(Also::default())?;
            Ok(Step::Done)
        })
    }

    /// Covers what is there, step by step: it can be left off between two.
    pub async fn seal_rest(self: &Arc<Self>) -> Result<(), AuditError> {
        if !self.books.leads() {
            return Ok(());
        }
        while let Step::More = self.work(|this| this.step(true)).await? {}
        Ok(())
    }

    /// One at a time. After an error everything is read anew: a checkpoint may have been written all the same.
    fn sealing<T>(&self, work: impl FnOnce(&mut Sealing) -> Result<T, AuditError>) -> Result<T, AuditError> {
        let mut slot = self.sealing.lock();
        let mut sealing = match slot.take() {
            Some(sealing) => sealing,
            None => Sealing::open(self.store().clone(), self.file.clone())?,
        };
        let done = work(&mut sealing);
        let number = sealing.last().map_or(0, |l| l.checkpoint.number);
        self.sealed.send_if_modified(|last| std::mem::replace(last, number) != number);
        // Where another process signs, what was read is old by the next time.
        *slot = (done.is_ok() && self.books.leads()).then_some(sealing);
        done
    }

    /// The last checkpoint's number; changes wake whoever follows.
    pub fn sealed(&self) -> watch::Receiver<u64> {
        self.sealed.subscribe()
    }

    pub fn store(&self) -> &Arc<dyn AuditStore> {
        self.books.store()
    }

    pub async fn keys(self: &Arc<Self>) -> Result<Keys, AuditError> {
        self.work(|this| {
            let (key, last_checkpoint) = this.signs_now()?;
            let changes = this.store().checkpoints(1, find::KEYS, true)?;
            Ok(Keys { key, last_checkpoint, changes: changes.iter().filter_map(change).collect() })
        })
        .await
    }

    /// Whose signature counts now, by the last checkpoint, and that one's number.
    fn signs_now(&self) -> Result<(PublicKey, u64), AuditError> {
        let elsewhere = if self.books.leads() { None } else { self.store().last_checkpoint()? };
        match elsewhere {
            Some(last) => Ok((last.checkpoint.signs_next(), last.checkpoint.number)),
            None => self.sealing(|s| Ok((s.key().public(), s.last().map_or(0, |l| l.checkpoint.number)))),
        }
    }

    /// Changes the key: the old one names the new one in a checkpoint.
    pub async fn rotate(self: &Arc<Self>) -> Result<KeyChange, AuditError> {
        self.work(|this| {
            let signed = this.sealing(|s| s.rotate(this.every.events))?;
            change(&signed).ok_or_else(|| AuditError::Store("the checkpoint names no key".to_owned()))
        })
        .await
    }

    /// The last checkpoint, which covers everything that is there; where another process signs, as far as that has come. `None`
    /// if there is none.
    fn covered(&self) -> Result<Option<Signed>, AuditError> {
        if self.books.leads() {
            self.sealing(|s| s.catch_up(self.every.events))
        } else {
            self.store().last_checkpoint()
        }
    }

    /// With the key that signs now. Where another process signs, this one must have the same.
    fn with_key<T>(&self, work: impl FnOnce(&SigningKey) -> Result<T, AuditError>) -> Result<T, AuditError> {
        if self.books.leads() {
            return self.sealing(|s| work(s.key()));
        }
        let signs = self.store().last_checkpoint()?.map(|l| l.checkpoint.signs_next());
        let found = signs.map(|signs| self.file.find(signs)).transpose();
        match found.map_err(|e| AuditError::Unreadable(e.to_string()))?.flatten() {
            Some(key) => work(&key),
            None => Err(AuditError::Elsewhere(NOT_OURS.to_owned())),
        }
    }

    /// Everything from `from` to `to`, whole intervals, to be handed out line by line. `None` of books without events.
    pub async fn export(self: &Arc<Self>, from: Seq, to: Option<Seq>) -> Result<Option<Export>, AuditError> {
        self.work(move |this| {
            let Some(last) = this.covered()? else { return Ok(None) };
            // Whoever cannot sign its end should not begin it.
            this.with_key(|_| Ok(()))?;
            Export::plan(this.clone(), last, from, to).map(Some)
        })
        .await
    }

    /// A proof about one call; `None` if the books have no event of it.
    pub async fn proof(self: &Arc<Self>, call: CallId) -> Result<Option<Proof>, AuditError> {
        self.work(move |this| {
            this.covered()?;
            this.with_key(|key| prove::proof(&**this.store(), key, call))
        })
        .await
    }

    /// What retention may give up: events that were checkpointed before `before`. `None` if there is nothing new.
    pub async fn due(self: &Arc<Self>, before: Timestamp) -> Result<Option<Due>, AuditError> {
        self.work(move |this| {
            let Some(last) = this.store().last_checkpoint()?.map(|l| l.checkpoint) else { return Ok(None) };
            let older = find::last(&**this.store(), last.number, |c| c.checkpoint.at < before)?;
            let due =
                older.map(|c| Due { from: last.pruned_to + 1, to: c.checkpoint.to, checkpoint: c.checkpoint.number });
            Ok(due.filter(|due| due.to >= due.from))
        })
        .await
    }

    /// Gives events up to here up, as far as whole intervals go: first a checkpoint says so, then they are deleted. Gives how
    /// many were.
    pub async fn prune(self: &Arc<Self>, to: Seq) -> Result<u64, AuditError> {
        self.work(move |this| {
            let upto = this.sealing(|s| {
                let newest = s.catch_up(this.every.events)?.map_or(0, |l| l.checkpoint.number);
                let last = find::last(&**this.store(), newest, |c| c.checkpoint.to <= to)?;
                s.give_up(last.map_or(0, |c| c.checkpoint.to))
            })?;
            this.store().prune(upto)
        })
        .await
    }

    /// Compares rows of calls with their events.
    pub async fn compare(self: &Arc<Self>) -> Result<index::Compared, AuditError> {
        self.work(|this| index::check(&**this.store())).await
    }

    /// Deletes what a checkpoint gave up and a crash left behind.
    pub async fn prune_rest(self: &Arc<Self>) -> Result<u64, AuditError> {
        self.work(|this| {
            let last = this.store().last_checkpoint()?;
            last.map_or(Ok(0), |l| this.store().prune(l.checkpoint.pruned_to))
        })
        .await
    }
}

fn change(signed: &Signed) -> Option<KeyChange> {
    let at = &signed.checkpoint;
    Some(KeyChange { checkpoint: at.number, at: at.at, from: at.key, to: at.next_key? })
}
