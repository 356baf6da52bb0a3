//! The stream of a fleet's ledger, as the books read it: from any entry on, in order and without a hole, or not at all. Knows
//! how far it goes, whoever wrote last, and forgets what the books keep. What an event means is for `event`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use redis::streams::StreamRangeReply;
use tokio::sync::watch;

use super::event;
use super::keys::Keys;
use super::link::{Link, LinkError};
use super::lost::Lost;
use super::recover::same_making;
use crate::adapters::bridge::Bridge;
use crate::adapters::ledger::LedgerError;
use crate::adapters::ledger::backlog::Backlog;
use crate::adapters::ledger::journal::Record;
use crate::units::ids::Seq;

/// How often the stream is looked at: what another node wrote is seen so late. One read of two fields; soon after something
/// happened, and less often while nothing does.
const SOON: Duration = Duration::from_millis(4);
const IDLE: Duration = Duration::from_millis(25);
/// After an error.
const AWAY: Duration = Duration::from_millis(250);

pub(super) struct Stream {
    link: Link,
    meta: String,
    events: String,
    /// The ledger that this process joined; another one under the same name is not its own.
    epoch: Mutex<String>,
    bridge: Bridge,
    durable: watch::Sender<Seq>,
    trimmed: AtomicU64,
    pub(super) backlog: Backlog,
    trouble: Mutex<Option<String>>,
    lost: Arc<Lost>,
}

/// Epoch and last entry.
type Meta = (Option<String>, Option<Seq>);

impl Stream {
    /// `end` is its last entry, `known` the last one that the books have.
    pub(super) fn new(
        link: Link,
        keys: &Keys,
        epoch: String,
        end: Seq,
        known: Seq,
        lost: Arc<Lost>,
    ) -> std::io::Result<Self> {
        Ok(Self {
            link,
            meta: keys.meta().to_owned(),
            events: keys.events().to_owned(),
            epoch: Mutex::new(epoch),
            bridge: Bridge::new("stream", 1)?,
            durable: watch::Sender::new(end),
            trimmed: AtomicU64::new(0),
            backlog: Backlog::new(known),
            trouble: Mutex::default(),
            lost,
        })
    }

    pub(super) fn durable(&self) -> watch::Receiver<Seq> {
        self.durable.subscribe()
    }

    /// The last entry that this process knows of.
    pub(super) fn seen(&self) -> Seq {
        *self.durable.borrow()
    }

    /// An answer said that the stream goes so far.
    pub(super) fn saw(&self, seq: Seq) {
        self.durable.send_if_modified(|at| {
            let more = seq > *at;
            *at = seq.max(*at);
            more
        });
    }

    /// The ledger was begun anew behind this entry: what was seen after it has no number any more.
    pub(super) fn begin_anew(&self, epoch: &str, end: Seq) {
        epoch.clone_into(&mut self.epoch.lock());
        self.durable.send_replace(end);
        self.trimmed.store(0, Ordering::Release);
    }

    /// The same ledger, now under the name that it keeps.
    pub(super) fn reopened(&self, epoch: &str) {
        epoch.clone_into(&mut self.epoch.lock());
        *self.trouble.lock() = None;
    }

    /// Why it cannot be looked at, if so.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }

    /// Looks at it as long as it lives.
    pub(super) async fn keep_looking(this: std::sync::Weak<Self>) {
        let mut pause = SOON;
        while let Some(stream) = this.upgrade() {
            let before = stream.seen();
            let looked = stream.look().await;
            pause = match &looked {
                Err(_) => AWAY,
                Ok(()) if stream.seen() > before => SOON,
                Ok(()) => (pause * 2).min(IDLE),
            };
            stream.tell(looked.err());
            drop(stream);
            tokio::time::sleep(pause).await;
        }
    }

    async fn look(&self) -> Result<(), String> {
        let seen = self.seen();
        let asked = self.link.ask(redis::cmd("HMGET").arg(&self.meta).arg(&["epoch", "seq"])).await;
        let end = self.own(asked.map_err(|e| e.to_string())?, seen)?;
        self.saw(end);
        Ok(())
    }

    /// Its end, if it is still the ledger that it was: `seen` is what was known of it before it was asked.
    fn own(&self, meta: Meta, seen: Seq) -> Result<Seq, String> {
        let (Some(epoch), Some(end)) = meta else {
            return Err(self.lost("redis has lost the ledger: no call is admitted before it is put back".to_owned()));
        };
        if !same_making(&epoch, &self.epoch.lock()) || end < seen {
            let why = format!("redis has lost entries of the ledger: it ends at {end}, and this node has seen {seen}");
            return Err(self.lost(why));
        }
        Ok(end)
    }

    fn lost(&self, why: String) -> String {
        self.lost.note(why.clone());
        why
    }

    fn tell(&self, error: Option<String>) {
        let mut trouble = self.trouble.lock();
        match (&*trouble, &error) {
            (None, Some(why)) => tracing::error!("the ledger cannot be read: {why}"),
            (Some(_), None) => tracing::info!("the ledger can be read again"),
            _ => {}
        }
        *trouble = error;
    }

    /// On the runtime of its own, since whoever asks may block the one that it stands on.
    fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, LinkError>> + Send + 'static,
    ) -> Result<T, String> {
        let done = self.bridge.wait(work).ok_or("redis: the question was dropped")?;
        done.map_err(|e| e.to_string())
    }

    pub(super) fn end(&self) -> Result<Seq, String> {
        let (link, mut ask) = (self.link.clone(), redis::cmd("HMGET"));
        ask.arg(&self.meta).arg(&["epoch", "seq"]);
        let seen = self.seen();
        let end = self.own(self.wait(async move { link.ask(&ask).await })?, seen)?;
        self.saw(end);
        Ok(end)
    }

    pub(super) fn read_from(&self, seq: Seq, max: usize) -> Result<Vec<Arc<Record>>, String> {
        let (link, mut ask) = (self.link.clone(), redis::pipe());
        // In this order: what is appended in between is read as well.
        ask.cmd("HMGET").arg(&self.meta).arg(&["epoch", "seq"]);
        ask.cmd("XRANGE").arg(&self.events).arg(format!("{seq}-0")).arg("+").arg("COUNT").arg(max);
        let seen = self.seen();
        let (meta, found): (Meta, StreamRangeReply) = self.wait(async move { link.ask_all(&ask).await })?;
        let end = self.own(meta, seen)?;
        let entries = found.ids.iter().map(event::entry).collect::<Result<Vec<_>, LedgerError>>();
        let entries = entries.map_err(|e| e.to_string())?;
        let whole = (seq..).zip(&entries).all(|(expected, entry)| entry.seq == expected);
        if !whole || (entries.is_empty() && seq <= end) {
            return Err(format!("redis has lost entries of its stream that the books do not have: {seq} is not there"));
        }
        if seq > end + 1 {
            return Err(format!("redis has lost entries: its stream ends at {end}, and the books at {}", seq - 1));
        }
        Record::encode_all(entries).map_err(|e| e.to_string())
    }

    /// The books keep everything up to here, so it may go from memory. The last one stays, to be compared with theirs.
    pub(super) fn trim(&self, kept: Seq) {
        if kept == 0 || self.trimmed.fetch_max(kept, Ordering::AcqRel) >= kept {
            return;
        }
        let (link, mut ask) = (self.link.clone(), redis::cmd("XTRIM"));
        ask.arg(&self.events).arg("MINID").arg(format!("{kept}-0"));
        if let Err(error) = self.wait::<u64>(async move { link.ask(&ask).await }) {
            tracing::debug!(error, "the stream was not trimmed; it is next time");
        }
    }
}
