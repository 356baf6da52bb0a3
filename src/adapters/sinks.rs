//! Sinks: whoever else gets every event of the books. Each has a task and a durable place of its own, so that a slow one
//! holds up nobody and loses nothing: the books keep what it has not got yet. At least once, in the books' order. Delivers
//! only what survives a loss of power, so that no sink ever knows of an event that did not happen.
//!
//! `follow` is the task, `cursor` the place, `file`, `webhook` and `otlp` the targets; `post` is the HTTP under the last two.

mod cursor;
mod file;
mod follow;
mod ocsf;
mod otlp;
mod post;
mod webhook;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::audit::tail::Books;
use super::audit::{AuditError, Event};
use crate::config::{Sink, SinkTarget};
use crate::units::ids::Seq;
use crate::units::time::Timestamp;
use cursor::Cursor;
use follow::Follower;
pub use webhook::Webhook;

/// Why a sink cannot be begun: said at start.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    #[error("sink `{0}`: {1}")]
    Unusable(String, String),
    #[error(transparent)]
    Books(#[from] AuditError),
}

/// Why a delivery failed. It is tried again, whatever the reason: nothing is skipped.
#[derive(Debug, Default)]
struct Failed {
    why: String,
    /// The other side said when to come again.
    wait: Option<Duration>,
    /// It was too much at once.
    too_large: bool,
}

impl From<String> for Failed {
    fn from(why: String) -> Self {
        Self { why, ..Self::default() }
    }
}

/// What was delivered.
#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    /// Events that the other side says it has, and will not keep.
    rejected: u64,
}

/// A closed set: the compiler lists every place that knows them.
enum Target {
    File(file::Lines),
    Webhook(webhook::Webhook),
    Otlp(otlp::Otlp),
}

impl Target {
    fn new(sink: &Sink) -> Result<Self, String> {
        Ok(match &sink.target {
            SinkTarget::File { path, rotate, keep } => Self::File(file::Lines::new(path.clone(), *rotate, *keep)),
            SinkTarget::Webhook { url, secret } => Self::Webhook(webhook::Webhook::new(&sink.name, url, secret)?),
            SinkTarget::Otlp { url, headers } => Self::Otlp(otlp::Otlp::new(url, headers.clone())?),
        })
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Webhook(_) => "webhook",
            Self::Otlp(_) => "otlp",
        }
    }

    /// All of them, or an error. What arrived before an error arrives again.
    async fn deliver(&self, events: Arc<[Event]>) -> Result<Taken, Failed> {
        match self {
            Self::File(lines) => lines.deliver(events).await,
            Self::Webhook(hook) => hook.deliver(&events).await,
            Self::Otlp(otlp) => otlp.deliver(&events).await,
        }
    }
}

/// How a sink is doing.
struct State {
    name: String,
    kind: &'static str,
    /// Everything up to here is delivered.
    seq: AtomicU64,
    delivered: AtomicU64,
    failures: AtomicU64,
    rejected: AtomicU64,
    missed: AtomicU64,
    trouble: Mutex<Option<(String, Timestamp)>>,
}

/// The same, as `status` tells it.
#[derive(Clone, Debug, Serialize)]
pub struct SinkView {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub seq: Seq,
    /// Entries that the books have and this sink does not.
    pub behind: u64,
    /// Since the start: events delivered, deliveries that failed, events that the other side took and would not keep, entries
    /// that were gone from the books before they could be delivered.
    pub delivered: u64,
    pub failures: u64,
    pub rejected: u64,
    pub missed: u64,
    pub trouble: Option<String>,
    pub trouble_since: Option<Timestamp>,
}

impl State {
    fn view(&self, books: Seq) -> SinkView {
        let seq = self.seq.load(Ordering::Acquire);
        let count = |n: &AtomicU64| n.load(Ordering::Acquire);
        let (trouble, since) = self.trouble.lock().clone().unzip();
        SinkView {
            name: self.name.clone(),
            kind: self.kind,
            seq,
            behind: books.saturating_sub(seq),
            delivered: count(&self.delivered),
            failures: count(&self.failures),
            rejected: count(&self.rejected),
            missed: count(&self.missed),
            trouble,
            trouble_since: since,
        }
    }
}

/// All sinks of this bursar.
#[derive(Default)]
pub struct Sinks(Vec<Arc<State>>);

impl Sinks {
    /// Starts them all. Each ends after `stop`, once it has what the books have or at its first failure then.
    pub fn start(
        sinks: &[Sink],
        data: &Path,
        books: &Arc<Books>,
        stop: &CancellationToken,
    ) -> Result<(Self, Vec<JoinHandle<()>>), SinkError> {
        let (mut states, mut tasks) = (Vec::new(), Vec::new());
        for sink in sinks {
            let unusable = |why: String| SinkError::Unusable(sink.name.clone(), why);
            let target = Target::new(sink).map_err(unusable)?;
            let cursor = Cursor::of(books.store(), &data.join("sinks"), sink).map_err(unusable)?;
            let state = Arc::new(State {
                name: sink.name.clone(),
                kind: target.kind(),
                seq: AtomicU64::new(cursor.seq()),
                delivered: AtomicU64::new(0),
                failures: AtomicU64::new(0),
                rejected: AtomicU64::new(0),
                missed: AtomicU64::new(0),
                trouble: Mutex::default(),
            });
            states.push(state.clone());
            let follower = Follower::new(books.clone(), target, (sink.clone(), data.join("sinks")), cursor, state);
            tasks.push(tokio::spawn(follower.run(stop.clone())));
        }
        Ok((Self(states), tasks))
    }

    pub fn views(&self, books: Seq) -> Vec<SinkView> {
        self.0.iter().map(|state| state.view(books)).collect()
    }

    /// Who has not got everything up to here yet, and would miss it if it were deleted: the one that is furthest behind.
    pub fn slowest(&self, upto: Seq) -> Option<SinkView> {
        let slowest = self.0.iter().map(|state| state.view(upto)).min_by_key(|view| view.seq);
        slowest.filter(|view| view.seq < upto)
    }
}
