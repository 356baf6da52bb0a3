//! The ledger of a fleet, on one Redis: one script per operation decides, writes and appends its event to a stream in one
//! atomic step, by the server's time. It answers as `rules::ledger::book` does, and its events are the entries that the book
//! would journal. `keys` and `lua/` say what stands where. Not here: who reads the stream, and what puts back what Redis lost.

mod answer;
mod append;
mod arrival;
mod begin;
pub mod beside;
mod encode;
pub mod event;
mod feed;
mod kept;
pub mod keys;
pub mod lent;
pub mod link;
mod lost;
mod operations;
mod owed;
mod pack;
mod peers;
mod projector;
pub mod recover;
mod scripts;
mod shapes;
#[cfg(test)]
mod tests;
mod together;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use dashmap::{DashMap, DashSet};
use parking_lot::Mutex;
use redis::{Script, ScriptInvocation, Value};
use uuid::Uuid;

use self::arrival::Arrival;
use self::beside::Beside;
use self::feed::Stream;
use self::kept::Kept;
use self::keys::Keys;
use self::link::{Link, LinkError, Options};
use self::lost::Lost;
use self::owed::Owed;
use self::scripts::{FORMAT, Scripts};
use self::shapes::Shapes;
use self::together::Together;
use super::{LedgerError, Wake};
use crate::adapters::audit::AuditStore;
use crate::config::redis::RedisAddress;
use crate::rules::ledger::ask::{Line, Short};
use crate::rules::ledger::entry::Posting;
use crate::units::ids::{CallId, Seq};

/// Holds that end on other nodes wake nobody here, so whoever waits asks again so often.
const RECHECK: Duration = Duration::from_millis(50);

/// One ledger on one Redis. Connects anew by itself.
#[derive(Clone)]
pub struct Redis(Arc<Inner>);

struct Inner {
    /// Itself, for what goes on when nobody waits for it any more.
    own: Weak<Inner>,
    link: Link,
    keys: Keys,
    scripts: Scripts,
    /// The name of this process, the same after a restart: it stands beside the shapes that it declares.
    node: String,
    books: Arc<dyn AuditStore>,
    /// Which making of the ledger this is; empty if there was none when it was opened.
    epoch: Mutex<Arc<str>>,
    /// The last entry that this node has seen: a ledger that does not know it has lost something.
    seen: AtomicU64,
    shapes: Mutex<Arc<Shapes>>,
    /// One at a time.
    declaring: tokio::sync::Mutex<()>,
    asked: DashMap<CallId, Asked>,
    /// Reserves without an answer: Redis may take them late, so their end says that it must not.
    awaited: DashSet<CallId>,
    wake: OnceLock<Wake>,
    trouble: Mutex<Option<String>>,
    /// Set while the ledger there is not the one that this node knows.
    lost: Arc<Lost>,
    arrival: Arrival,
    kept: Kept,
    owed: Owed,
    reserves: Together,
    settles: Together,
    /// As its books read it, once it was joined with them.
    stream: OnceLock<Arc<Stream>>,
    /// What this node was lent, if it spends alone.
    beside: OnceLock<Arc<dyn Beside>>,
}

/// What a reserve of this node said, for an up-size, for the same reserve again, and to wake whoever waits for its end.
struct Asked {
    lines: Arc<[Line]>,
    would_refuse: Option<Short>,
    postings: Arc<[Posting]>,
}

/// Rows and flags are made of strings, numbers and lists of them, which JSON can always hold. The same value is the same text.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// No answer to count on, and whether what was asked may have been done, or be done late, all the same.
#[derive(Clone)]
struct Unheard {
    why: LedgerError,
    may_have_run: bool,
}

impl Unheard {
    fn never_ran(why: LedgerError) -> Self {
        Self { why, may_have_run: false }
    }

    fn may_have_run(why: LedgerError) -> Self {
        Self { why, may_have_run: true }
    }
}

impl From<LinkError> for Unheard {
    fn from(e: LinkError) -> Self {
        Self { may_have_run: e.may_have_run(), why: e.into() }
    }
}

/// A ledger as it stands on the server.
struct Found {
    format: Option<String>,
    epoch: Option<String>,
}

impl Redis {
    /// Connects, and refuses a server that would drop keys when its memory is full. `name` is the ledger's; all its keys lie
    /// in one hash slot. `node` is this process's name, the same after each restart.
    ///
    /// A ledger that is not there is made only if the books are empty too. Otherwise Redis has lost it: it opens, and answers
    /// that it is down until it is put back from the books.
    pub async fn open(url: &str, name: &str, node: &str, books: Arc<dyn AuditStore>) -> Result<Self, LedgerError> {
        Self::open_with(url, name, node, books, (Options::default(), Scripts::new(), None)).await
    }

    /// And with the patience, and so on, of the configuration.
    pub async fn open_on(
        url: &str,
        name: &str,
        node: &str,
        books: Arc<dyn AuditStore>,
        options: Options,
    ) -> Result<Self, LedgerError> {
        Self::open_with(url, name, node, books, (options, Scripts::new(), None)).await
    }

    /// `clock` is a test's own clock, for a ledger that is made now.
    async fn open_with(
        url: &str,
        name: &str,
        node: &str,
        books: Arc<dyn AuditStore>,
        (options, scripts, clock): (Options, Scripts, Option<i64>),
    ) -> Result<Self, LedgerError> {
        let keys = Keys::new(name);
        let link = connect(url, &keys, options).await?;
        let upto = place(&books).await?;
        let found = find(&link, &keys, &scripts, upto, clock).await?;
        if let Some(format) = found.format.filter(|f| f != FORMAT) {
            return Err(LedgerError::Down(unknown_format(name, &format)));
        }
        // One that is being put back, or of which somebody has found that it lacks something, is nobody's yet.
        let epoch = found.epoch.as_ref().filter(|epoch| recover::is_open(epoch)).cloned().unwrap_or_default();
        let why = || found.epoch.map_or_else(|| lost(name, upto, "nothing"), |_| unfinished(name));
        let lost = Arc::new(Lost::new(epoch.is_empty().then(why)));
        let arrival = Arrival::new(link.generation());
        let inner = |own: &Weak<Inner>| Inner {
            own: own.clone(),
            link,
            arrival,
            keys,
            scripts,
            node: node.to_owned(),
            books,
            epoch: Mutex::new(epoch.into()),
            seen: AtomicU64::new(upto),
            shapes: Mutex::default(),
            declaring: tokio::sync::Mutex::default(),
            asked: DashMap::new(),
            awaited: DashSet::new(),
            wake: OnceLock::new(),
            trouble: Mutex::default(),
            lost,
            kept: Kept::default(),
            owed: Owed::default(),
            reserves: Together::default(),
            settles: Together::default(),
            stream: OnceLock::new(),
            beside: OnceLock::new(),
        };
        let inner = Arc::new_cyclic(inner);
        tokio::spawn(owed::pay(Arc::downgrade(&inner)));
        Ok(Self(inner))
    }

    /// The names of its keys.
    pub fn keys(&self) -> &Keys {
        &self.0.keys
    }

    /// The last entry that this node has seen.
    pub fn seen(&self) -> Seq {
        self.0.seen.load(Ordering::Acquire)
    }
}

async fn connect(url: &str, keys: &Keys, options: Options) -> Result<Link, LedgerError> {
    let address = RedisAddress::parse(url).map_err(|e| LedgerError::Down(format!("`[ledger] store`: {e}")))?;
    Ok(Link::open(address, keys.meta(), options).await?)
}

/// The last entry of the books. They are asked on a thread that may block.
async fn place(books: &Arc<dyn AuditStore>) -> Result<Seq, LedgerError> {
    let books = books.clone();
    let asked = tokio::task::spawn_blocking(move || books.seen()).await;
    let place = asked.map_err(|e| LedgerError::Down(e.to_string()))?;
    place.map(|p| p.seq).map_err(|e| LedgerError::Down(e.to_string()))
}

/// The ledger on the server; a new one if there is none, and the books are empty too.
async fn find(
    link: &Link,
    keys: &Keys,
    scripts: &Scripts,
    upto: Seq,
    clock: Option<i64>,
) -> Result<Found, LedgerError> {
    let (format, epoch) = if upto == 0 {
        let mut init = scripts.init.prepare_invoke();
        init.key(keys.meta()).arg(Uuid::now_v7().to_string()).arg(upto).arg(FORMAT);
        if let Some(now) = clock {
            init.arg(now);
        }
        redis::from_redis_value(link.run(&init).await?).map_err(|_| answer::unreadable())?
    } else {
        link.ask::<(Option<String>, Option<String>)>(redis::cmd("HMGET").arg(keys.meta()).arg(&["format", "epoch"]))
            .await?
    };
    Ok(Found { format, epoch })
}

fn unknown_format(name: &str, format: &str) -> String {
    format!(
        "redis: the ledger `{name}` is written in format {format}, which this bursar does not know; run a newer one"
    )
}

fn lost(name: &str, seen: Seq, has: &str) -> String {
    format!(
        "redis: the ledger `{name}` has lost entries: {seen} were seen, and it has {has}. Nothing is admitted until they are put back"
    )
}

fn unfinished(name: &str) -> String {
    format!("redis: the ledger `{name}` has lost entries and is not yet put back. Nothing is admitted until it is")
}

impl Inner {
    /// A call of a script, with all keys and what every script begins with.
    fn prepare<'s>(&self, script: &'s Script) -> ScriptInvocation<'s> {
        self.prepare_for(script, &self.epoch.lock().clone())
    }

    /// For the ledger of this making and no other.
    fn prepare_for<'s>(&self, script: &'s Script, epoch: &str) -> ScriptInvocation<'s> {
        let mut call = script.prepare_invoke();
        for key in self.keys.all() {
            call.key(key);
        }
        call.arg(epoch).arg(self.seen.load(Ordering::Acquire));
        call
    }

    async fn call(&self, call: &ScriptInvocation<'_>) -> Result<Vec<String>, LedgerError> {
        self.may_ask().await?;
        let making = self.epoch.lock().clone();
        self.guarded(self.link.run(call).await?, &making)
    }

    /// As `call`; where the wanted number of replicas does not have what it wrote, that is an error, and it may be done all the same.
    async fn call_kept(&self, call: &ScriptInvocation<'_>) -> Result<Vec<String>, LedgerError> {
        self.may_ask().await?;
        let making = self.epoch.lock().clone();
        let kept = self.link.run_kept(call).await?;
        let answer = self.guarded(kept.value, &making)?;
        kept.lacking.map_or(Ok(answer), |why| Err(LedgerError::Down(why)))
    }

    /// What the link knows of the server is its own trouble to tell; here stands what the ledger on it lacks.
    fn guarded(&self, answer: Value, making: &str) -> Result<Vec<String>, LedgerError> {
        let read = redis::from_redis_value(answer).map_err(|_| answer::unreadable())?;
        if !recover::same_making(making, &self.epoch.lock()) {
            // Its numbers are those of a ledger that is gone, and what it did may be gone with it.
            return Err(LedgerError::Down("redis: the ledger was put back while it was asked".to_owned()));
        }
        let guarded = self.guard(read);
        let failed = guarded.as_ref().err().cloned();
        if *self.trouble.lock() != failed {
            *self.trouble.lock() = failed;
        }
        guarded.map_err(LedgerError::Down)
    }

    /// A script that did nothing, since the ledger is not the one that this node knows.
    fn guard(&self, answer: Vec<String>) -> Result<Vec<String>, String> {
        let name = self.keys.name();
        match answer.as_slice() {
            [what, format] if what == "format" => Err(unknown_format(name, format)),
            [what, epoch, seq] if what == "lost" => {
                let has = if epoch.is_empty() { "nothing".to_owned() } else { format!("{seq} of its making {epoch}") };
                let seen = self.seen.load(Ordering::Acquire);
                let why = lost(name, seen, &has);
                // Unless it was asked with what this node knew before the ledger was put back.
                if **self.epoch.lock() != **epoch || seq.parse().unwrap_or(0) < seen {
                    self.lost.note(why.clone());
                }
                Err(why)
            }
            [_, seq, ..] => {
                let seq = seq.parse().unwrap_or(0);
                self.seen.fetch_max(seq, Ordering::AcqRel);
                self.stream.get().into_iter().for_each(|stream| stream.saw(seq));
                Ok(answer)
            }
            _ => Err("redis: a script gave no answer".to_owned()),
        }
    }
}
