//! Redis has lost what it had acknowledged: it came back empty, from an old copy, or as a replica that lagged behind. No node
//! admits a call until it is put back. The node that writes the books begins the ledger anew behind their last entry, under a new
//! epoch: revocations first, then what the books say was open, then shape by shape what was spent. Only then every node puts back
//! what it was told was written and the books do not have, idempotent by hold; then all go on. Never a silent reset.
//!
//! `making` names the ledgers before and after, `past` reads the books, `load` writes what they say, `putting` asks again for
//! what was lost.

mod load;
mod making;
mod past;
mod putting;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use redis::streams::StreamRangeReply;
use redis::{Cmd, FromRedisValue};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::making::{BEING_PUT_BACK, DOUBTED};
pub(super) use self::making::{is_open, same_making};
use super::peers::Peers;
use super::scripts::FORMAT;
use super::{Inner, Redis, event};
use crate::adapters::audit::tail::Books;
use crate::adapters::ledger::LedgerError;
use crate::rules::ledger::book::Book;
use crate::rules::subject::Flag;
use crate::units::ids::Seq;
use crate::units::time::Timestamp;

/// How often a node notes who else lives.
const LISTEN_EVERY: Duration = Duration::from_millis(500);
/// How often a node looks whether the ledger is open again.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Every node that lives has noticed by then: each asks for holds that are over once a second.
const NOTICE: Duration = Duration::from_millis(1500);
/// A node that has not put back its part by then does so when it can.
const PATIENCE: Duration = Duration::from_secs(6);
/// How often it is asked whether the books have what this node keeps.
const LET_GO_EVERY: Duration = Duration::from_millis(500);
/// After a failure.
const RETRY: Duration = Duration::from_millis(500);

tokio::task_local! {
    /// While the ledger is lost, only what puts it back may ask.
    static PUTTING_BACK: ();
}

/// Is it recovery that asks?
pub(super) fn putting_back() -> bool {
    PUTTING_BACK.try_with(|()| ()).is_ok()
}

/// What recovery needs of the rest of this node.
pub struct Knows {
    pub books: Arc<Books>,
    /// What is switched off, as this node keeps it on its own disk.
    pub flags: Box<dyn Fn() -> Vec<Flag> + Send + Sync>,
    /// What the other nodes call this one.
    pub me: String,
    /// The nodes that live.
    pub nodes: Box<dyn Fn() -> Vec<String> + Send + Sync>,
}

/// What this node knows of a loss.
struct Loss {
    since: Instant,
    /// Who lived then.
    nodes: Vec<String>,
}

/// How the ledger stands on the server.
#[derive(Debug)]
struct Standing {
    epoch: String,
    seq: Seq,
    /// What the books say is there. Before that, it overwrites what anybody puts back.
    loaded: bool,
}

/// What was put back, for the log.
#[derive(Debug, Default)]
pub struct PutBack {
    /// Taken again, or ended again.
    pub done: usize,
    /// In the books already.
    pub known: usize,
}

impl Redis {
    /// Watches until `stop`, and puts back what is lost.
    pub async fn keep_whole(&self, knows: Arc<Knows>, stop: CancellationToken) {
        let mut projected = knows.books.projected();
        let mut next = tokio::time::Instant::now();
        let peers = Peers::default();
        loop {
            let more = async {
                tokio::time::sleep_until(next).await;
                projected.changed().await.map(|()| *projected.borrow_and_update())
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LISTEN_EVERY) => peers.heard((knows.nodes)()),
                () = self.0.lost.wait() => {
                    let recovered = PUTTING_BACK.scope((), self.recover(&knows, peers.lately()));
                    tokio::select! { () = stop.cancelled() => return, () = recovered => {} }
                }
                upto = more => match upto {
                    Ok(upto) => {
                        self.0.let_go(upto).await;
                        next = tokio::time::Instant::now() + LET_GO_EVERY;
                    }
                    Err(_) => return,
                },
            }
        }
    }

    /// For a start: waits for so long until the ledger is whole.
    ///
    /// # Errors
    /// Why it is not.
    pub async fn whole(&self, patience: Duration) -> Result<(), LedgerError> {
        if tokio::time::timeout(patience, self.0.lost.over()).await.is_ok() {
            return Ok(());
        }
        Err(LedgerError::Down(self.0.lost.why().unwrap_or_default()))
    }

    async fn recover(&self, knows: &Knows, nodes: Vec<String>) {
        tracing::error!("{}", self.0.lost.why().unwrap_or_default());
        let loss = Loss { since: Instant::now(), nodes };
        while self.0.lost.is_lost() {
            let step = match self.0.step(knows, &loss).await {
                Ok(()) => LOOK_EVERY,
                Err(error) => {
                    tracing::warn!(%error, "the ledger could not be put back yet");
                    RETRY
                }
            };
            tokio::time::sleep(step).await;
        }
    }
}

impl Inner {
    async fn step(&self, knows: &Knows, loss: &Loss) -> Result<(), LedgerError> {
        let now = self.standing().await?;
        let own = self.epoch.lock().to_string();
        match now {
            // What another one began and did not end is begun anew.
            Some(now) if now.epoch.ends_with(BEING_PUT_BACK) && !knows.books.leads() => {
                self.join(&knows.me, &now).await
            }
            Some(now) if now.epoch.ends_with(BEING_PUT_BACK) => self.coordinate(knows, Some(now), loss).await,
            Some(now) if !now.epoch.ends_with(DOUBTED) && now.epoch != own.trim_end_matches(BEING_PUT_BACK) => {
                self.take_part(&knows.me, &now).await?;
                self.go_on(&now.epoch, "the ledger was put back without this node, which has put back its part now");
                Ok(())
            }
            Some(now) if own.ends_with(BEING_PUT_BACK) => {
                self.go_on(&now.epoch, "the ledger is whole again");
                Ok(())
            }
            Some(now) if now.epoch == own && self.has_last(&now).await? => {
                self.go_on(&own, "the ledger is as it was: what answered in between was not it");
                Ok(())
            }
            found if knows.books.leads() => self.coordinate(knows, found, loss).await,
            // Whoever writes the books will see to it, once it knows.
            _ => {
                self.doubt(&own).await?;
                self.come_forward(&knows.me, "").await
            }
        }
    }

    async fn doubt(&self, epoch: &str) -> Result<(), LedgerError> {
        let mut call = self.scripts.doubt.prepare_invoke();
        call.key(self.keys.meta()).arg(epoch);
        self.link.run(&call).await.map(drop).map_err(LedgerError::from)
    }

    async fn standing(&self) -> Result<Option<Standing>, LedgerError> {
        let mut ask = redis::cmd("HMGET");
        ask.arg(self.keys.meta()).arg(&["epoch", "seq", "loaded"]);
        let (epoch, seq, loaded): (Option<String>, Option<Seq>, Option<String>) = self.asked(&ask).await?;
        Ok(epoch.zip(seq).map(|(epoch, seq)| Standing { epoch, seq, loaded: loaded.is_some() }))
    }

    pub(super) async fn asked<T: FromRedisValue>(&self, ask: &Cmd) -> Result<T, LedgerError> {
        redis::from_redis_value(self.link.ask(ask).await?).map_err(|_| super::answer::unreadable())
    }

    /// Says that this node lives, and which making of the ledger it has put back its part of.
    async fn come_forward(&self, me: &str, epoch: &str) -> Result<(), LedgerError> {
        let key = self.keys.named("rebuilt");
        let mut ask = redis::cmd("HSET");
        ask.arg(&key).arg(me).arg(epoch);
        self.asked::<redis::Value>(&ask).await?;
        let mut end = redis::cmd("PEXPIRE");
        end.arg(&key).arg(10 * PATIENCE.as_millis() as u64);
        self.asked::<redis::Value>(&end).await.map(drop)
    }

    /// While another node puts it back.
    async fn join(&self, me: &str, now: &Standing) -> Result<(), LedgerError> {
        if now.loaded { self.take_part(me, now).await } else { self.come_forward(me, "").await }
    }

    /// Once for each making: shapes first, whose sums are the books'; then what the books do not have.
    async fn take_part(&self, me: &str, now: &Standing) -> Result<(), LedgerError> {
        if **self.epoch.lock() == *now.epoch {
            return self.come_forward(me, &now.epoch).await;
        }
        self.come_forward(me, "").await?;
        self.begin_anew(&now.epoch, now.seq);
        let done = self.put_back_own(!now.epoch.ends_with(BEING_PUT_BACK)).await;
        if let Err(e) = done {
            // Nothing of it is forgotten: it is tried again from the first, and what is there already stays as it is.
            *self.epoch.lock() = Arc::from("");
            return Err(e);
        }
        self.come_forward(me, &now.epoch).await
    }

    /// `late`: calls are admitted already.
    async fn put_back_own(&self, late: bool) -> Result<PutBack, LedgerError> {
        let own = self.shapes.lock().own().to_vec();
        self.declare(own).await?;
        let kept = self.kept.all();
        let back = putting::put_back(self, &kept).await?;
        if !kept.is_empty() {
            tracing::warn!(back.done, back.known, "this node has put back what Redis had lost");
        }
        if let Some(own) = self.beside.get() {
            own.put_back(late).await?;
        }
        Ok(back)
    }

    /// Does the stream, or do the books, have the last step that this node was told is written? And is it lent what it was?
    pub(super) async fn knows_last_kept(&self) -> Result<bool, LedgerError> {
        if let Some(own) = self.beside.get()
            && !own.is_there().await?
        {
            return Ok(false);
        }
        let Some((seq, redo)) = self.kept.last() else { return Ok(true) };
        let mut ask = redis::cmd("XRANGE");
        ask.arg(self.keys.events()).arg(format!("{seq}-0")).arg(format!("{seq}-0"));
        let found: StreamRangeReply = self.asked(&ask).await?;
        match found.ids.first() {
            Some(item) => Ok(redo.is(&event::entry(item)?)),
            // Trimmed, if it is there.
            None => putting::in_books(&self.books, seq, &redo).await,
        }
    }

    /// Does the ledger have the last entry that this node knows, as it knows it?
    async fn has_last(&self, now: &Standing) -> Result<bool, LedgerError> {
        Ok(now.seq >= self.seen.load(Ordering::Acquire) && self.knows_last_kept().await?)
    }

    /// On the node that writes the books, while it writes nothing.
    async fn coordinate(&self, knows: &Knows, found: Option<Standing>, loss: &Loss) -> Result<(), LedgerError> {
        let _still = knows.books.pause().await;
        let left = putting::left_over(self).await?;
        let book = putting::ask(&self.books, |store| past::read(store, Timestamp::now())).await?;
        let upto = book.seq();
        let making = Uuid::now_v7().to_string();
        let was = found.map(|f| f.epoch).unwrap_or_default();
        if !self.begin_rebuild(&making, &book, &was).await? {
            return Ok(());
        }
        // As its own from here on: an error in between must not lose it.
        left.into_iter().for_each(|(seq, redo)| self.kept.adopt(seq, redo));
        let epoch = format!("{making}{BEING_PUT_BACK}");
        self.begin_anew(&epoch, upto);
        let loaded = load::load(self, &book, &(knows.flags)()).await.inspect_err(|_| self.not_taken_part())?;
        let begun = Instant::now();
        let back = self.put_back_own(false).await.inspect_err(|_| self.not_taken_part())?;
        self.come_forward(&knows.me, &epoch).await?;
        let late = self.wait_for_all(&epoch, loss, begun).await?;
        let opened = self.call(&self.prepare(&self.scripts.reopen)).await?;
        // Of nodes that did not come forward.
        let lent = opened.get(2).map_or("", String::as_str);
        tracing::warn!(
            upto,
            lent,
            loaded.flags,
            loaded.open,
            loaded.remembered,
            loaded.accounts,
            back.done,
            late = late.join(", "),
            "the ledger was put back from the books and the nodes"
        );
        self.go_on(&making, "the ledger is whole again");
        Ok(())
    }

    /// The next look begins it again.
    fn not_taken_part(&self) {
        *self.epoch.lock() = Arc::from("");
    }

    async fn begin_rebuild(&self, making: &str, book: &Book, was: &str) -> Result<bool, LedgerError> {
        let identity = putting::ask(&self.books, |store| store.identity()).await?;
        let mut call = self.scripts.rebuild.prepare_invoke();
        self.keys.all().iter().for_each(|key| {
            call.key(key);
        });
        call.arg(FORMAT).arg(making).arg(book.seq()).arg(was).arg(identity).arg(book.now().0);
        let answer: Vec<String> =
            redis::from_redis_value(self.link.run(&call).await?).map_err(|_| super::answer::unreadable())?;
        Ok(answer.first().is_some_and(|what| what == "done"))
    }

    /// Until everybody who lived, or came forward, has put back their part: each has its time from when all was loaded. Names
    /// those who have not in time.
    async fn wait_for_all(&self, epoch: &str, loss: &Loss, begun: Instant) -> Result<Vec<String>, LedgerError> {
        loop {
            let mut ask = redis::cmd("HGETALL");
            ask.arg(self.keys.named("rebuilt"));
            let mut nodes: BTreeMap<String, String> = self.asked(&ask).await?;
            for node in &loss.nodes {
                nodes.entry(node.clone()).or_default();
            }
            let late: Vec<String> = nodes.into_iter().filter(|(_, at)| at != epoch).map(|(node, _)| node).collect();
            let noticed = loss.since.elapsed() >= NOTICE;
            if noticed && (late.is_empty() || begun.elapsed() >= PATIENCE) {
                return Ok(late);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
