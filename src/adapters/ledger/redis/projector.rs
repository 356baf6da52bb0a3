//! What serving needs of the ledger on Redis beside its operations: the stream as the books' feed, the flags that are set, and
//! how far the books may fall behind before calls are refused. Which node writes the books, the books themselves decide.

use std::sync::Arc;

use tokio::sync::watch;

use super::begin::{self, BeginError, Books};
use super::feed::Stream;
use super::{Inner, Redis};
use crate::adapters::audit::AuditStore;
use crate::adapters::audit::tail::Feed;
use crate::adapters::ledger::journal::Record;
use crate::adapters::ledger::{Answer, LedgerError, Store};
use crate::rules::subject::Flag;
use crate::units::ids::Seq;

const NOT_JOINED: &str = "redis: this ledger was not joined with its books";

impl Redis {
    /// Joins the ledger with these books, to serve it. From here on the stream is looked at.
    pub async fn join(&self, books: &Arc<dyn AuditStore>) -> Result<(), BeginError> {
        let (inner, books) = (&self.0, Books::of(books).await?);
        let (link, keys) = (&inner.link, &inner.keys);
        let end = match begin::fits(&begin::look(link, keys).await?, &books, keys.name()) {
            // It is put back as soon as whoever writes the books can.
            Err(BeginError::Lost(why)) => {
                inner.lost.note(why);
                books.seq
            }
            other => {
                let end = other?;
                begin::claim(link, keys, &books, keys.name()).await?;
                end
            }
        };
        let epoch = inner.epoch.lock().to_string();
        let stream = Arc::new(Stream::new(link.clone(), keys, epoch, end, books.seq, inner.lost.clone())?);
        tokio::spawn(Stream::keep_looking(Arc::downgrade(&stream)));
        // A second join would be a mistake in the wiring, and the first stays.
        let _ = inner.stream.set(stream);
        Ok(())
    }

    fn stream(&self) -> Result<&Stream, String> {
        self.0.stream.get().map(|s| &**s).ok_or_else(|| NOT_JOINED.to_owned())
    }
}

impl Inner {
    /// Waits a little where the books are far behind, and refuses where they are too far.
    pub(super) async fn room(&self) -> Result<(), LedgerError> {
        let Some(stream) = self.stream.get() else { return Ok(()) };
        let wait = stream.backlog.brake(stream.seen());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        stream.backlog.refuse(stream.seen()).map_err(LedgerError::Down)
    }

    /// Why no call can be admitted, as far as the stream and the books go.
    pub(super) fn stream_trouble(&self) -> Option<String> {
        let stream = self.stream.get()?;
        stream.trouble().or_else(|| stream.backlog.full(stream.seen()))
    }

    async fn flags(&self) -> Result<Vec<Flag>, LedgerError> {
        let asked: Vec<String> = self.link.ask(redis::cmd("SMEMBERS").arg(self.keys.flags())).await?;
        let read = |text: &String| serde_json::from_str(text).map_err(|_| super::answer::unreadable());
        asked.iter().map(read).collect()
    }
}

impl Store for Redis {
    fn durable(&self) -> watch::Receiver<Seq> {
        self.stream().map_or_else(|_| watch::channel(0).1, Stream::durable)
    }

    fn flags(&self) -> Answer<'_, Vec<Flag>> {
        Box::pin(self.0.flags())
    }

    fn expire(&self) -> Answer<'_, usize> {
        Box::pin(self.expire_due())
    }

    fn bound_backlog(&self, entries: u64) {
        if let Ok(stream) = self.stream() {
            stream.backlog.bound_to(entries);
        }
    }
}

impl Feed for Redis {
    fn read_from(&self, seq: Seq, max: usize) -> Result<Vec<Arc<Record>>, String> {
        self.stream()?.read_from(seq, max)
    }

    fn end(&self) -> Result<Option<Seq>, String> {
        // What is lost has no end until it is put back.
        if self.0.lost.is_lost() { Ok(None) } else { self.stream()?.end().map(Some) }
    }

    fn applied_up_to(&self, seq: Seq) {
        if let Ok(stream) = self.stream() {
            stream.backlog.applied(seq);
        }
    }

    fn safe_up_to(&self, seq: Seq) {
        if let Ok(stream) = self.stream() {
            stream.trim(seq);
        }
    }

    fn went_back_to(&self, seq: Seq) {
        if let Ok(stream) = self.stream() {
            stream.backlog.went_back(seq);
        }
    }
}
