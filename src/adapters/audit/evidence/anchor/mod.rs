//! Takes every checkpoint to places that whoever keeps the books cannot rewrite: a file, a webhook. Each place has a cursor of
//! its own and a task of its own, so that one that fails loses nothing and holds up nobody: it is tried again until it takes
//! what is next. `file` and `webhook` are the places.

mod file;
#[cfg(test)]
mod tests;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::Evidence;
use crate::adapters::audit::AuditStore;
use crate::rules::evidence::Signed;
use crate::units::ids::Digest32;

pub use file::AnchorFile;
pub use webhook::{Token, Webhook};

/// Checkpoints read at a time.
const PAGE: usize = 100;
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(300);

pub enum Place {
    File(AnchorFile),
    Webhook(Box<Webhook>),
}

/// The last checkpoint that a place has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub number: u64,
    pub hash: Digest32,
}

/// One place, and how far it is.
pub struct Anchor {
    name: String,
    place: tokio::sync::Mutex<Place>,
    seen: Mutex<Seen>,
}

#[derive(Clone, Debug, Default)]
struct Seen {
    number: u64,
    trouble: Option<String>,
}

/// As `status` shows it.
#[derive(Clone, Debug, Serialize)]
pub struct AnchorState {
    pub name: String,
    /// The last checkpoint that it has.
    pub checkpoint: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

impl Anchor {
    pub fn new(name: &str, place: Place) -> Arc<Self> {
        let (place, seen) = (tokio::sync::Mutex::new(place), Mutex::default());
        Arc::new(Self { name: name.to_owned(), place, seen })
    }

    pub fn state(&self) -> AnchorState {
        let Seen { number, trouble } = self.seen.lock().clone();
        AnchorState { name: self.name.clone(), checkpoint: number, trouble }
    }

    /// Brings it what is new until `stop`.
    pub async fn follow(self: Arc<Self>, evidence: Arc<Evidence>, stop: CancellationToken) {
        let mut sealed = evidence.sealed();
        let mut retry = FIRST_RETRY;
        loop {
            sealed.mark_unchanged();
            let done = tokio::select! { () = stop.cancelled() => return, done = self.bring(&evidence) => done };
            let wait = match &done {
                Ok(()) => {
                    retry = FIRST_RETRY;
                    LAST_RETRY
                }
                Err(_) => {
                    let longer = (retry * 2).min(LAST_RETRY);
                    std::mem::replace(&mut retry, longer)
                }
            };
            let good = self.tell(done);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
                // New checkpoints do not make a place that is down come back sooner.
                _ = sealed.changed(), if good => {}
            }
        }
    }

    fn tell(&self, done: Result<(), String>) -> bool {
        let mut seen = self.seen.lock();
        match (&seen.trouble, &done) {
            (None, Err(why)) => {
                tracing::error!(anchor = %self.name, "checkpoints are not anchored; they wait, and are tried again: {why}");
            }
            (Some(_), Ok(())) => tracing::info!(anchor = %self.name, "checkpoints are anchored again"),
            _ => {}
        }
        seen.trouble = done.err();
        seen.trouble.is_none()
    }

    /// Everything that it does not have yet, one after the other.
    async fn bring(&self, evidence: &Arc<Evidence>) -> Result<(), String> {
        let mut place = self.place.lock().await;
        let cursor = place.cursor().await?;
        let store = evidence.store().clone();
        let mut number = match cursor {
            Some(cursor) => off_thread(move || known(&*store, cursor)).await?,
            None => 0,
        };
        loop {
            self.seen.lock().number = number;
            let store = evidence.store().clone();
            let next = move || store.checkpoints(number + 1, PAGE, false).map_err(|e| e.to_string());
            let page = off_thread(next).await?;
            if page.is_empty() {
                return Ok(());
            }
            for signed in page {
                number = signed.checkpoint.number;
                place.take(&signed).await?;
                self.seen.lock().number = number;
            }
        }
    }
}

/// Books that do not have what was anchored are not the books that were.
fn known(store: &dyn AuditStore, cursor: Cursor) -> Result<u64, String> {
    let found = store.checkpoints(cursor.number, 1, false).map_err(|e| e.to_string())?.pop();
    let hash = found.filter(|c| c.checkpoint.number == cursor.number).map(|c| c.checkpoint.hash());
    if hash == Some(cursor.hash) {
        return Ok(cursor.number);
    }
    let what = if hash.is_some() { "have another one of this number" } else { "do not have it" };
    let number = cursor.number;
    Err(format!(
        "checkpoint {number} was anchored, and the books {what}: they were cut, rewritten, or put back from an older copy. \
         Keep this anchor, run `bursar audit verify`, and name a new place once you know why"
    ))
}

async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| Err(e.to_string()))
}

impl Place {
    async fn cursor(&mut self) -> Result<Option<Cursor>, String> {
        match self {
            Self::File(file) => {
                let file = file.clone();
                off_thread(move || file.cursor()).await
            }
            Self::Webhook(hook) => {
                let at = hook.at.clone();
                off_thread(move || at.read()).await
            }
        }
    }

    /// Returns once it is there to stay. A repeat is taken for one.
    async fn take(&mut self, signed: &Signed) -> Result<(), String> {
        let line = serde_json::to_string(signed).map_err(|e| e.to_string())?;
        let cursor = Cursor { number: signed.checkpoint.number, hash: signed.checkpoint.hash() };
        match self {
            Self::File(file) => {
                let file = file.clone();
                off_thread(move || file.append(&line)).await
            }
            Self::Webhook(hook) => {
                hook.send(cursor.number, line).await?;
                let at = hook.at.clone();
                off_thread(move || at.write(cursor)).await
            }
        }
    }
}
