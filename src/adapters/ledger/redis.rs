//! The ledger of a fleet, on one Redis: one script per operation decides, writes and appends its event to a stream in one
//! atomic step, by the server's time. It answers as `rules::ledger::book` does, and its events are the entries that the book
//! would journal. `keys` and `lua/` say what stands where. Not here: who reads the stream, and what puts back what Redis lost.

mod answer;
mod begin;
mod encode;
pub mod event;
mod feed;
pub mod keys;
pub mod link;
mod operations;
mod projector;
mod scripts;
mod shapes;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dashmap::DashMap;
use parking_lot::Mutex;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, ErrorKind, RedisError, RedisResult, Script, ScriptInvocation, ServerErrorKind};
use uuid::Uuid;

use self::feed::Stream;
use self::keys::Keys;
use self::scripts::{FORMAT, Scripts};
use self::shapes::Shapes;
use super::{LedgerError, Wake};
use crate::adapters::audit::AuditStore;
use crate::rules::ledger::ask::{Line, Short};
use crate::rules::ledger::entry::Posting;
use crate::units::ids::{CallId, Seq};

/// How long a command may take, and a connection.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often a script is loaded anew for one call, should the server forget it again and again.
const LOADS: u32 = 5;
/// Holds that end on other nodes wake nobody here, so whoever waits asks again so often.
const RECHECK: Duration = Duration::from_millis(50);

/// One ledger on one Redis. Connects anew by itself.
#[derive(Clone)]
pub struct Redis(Arc<Inner>);

struct Inner {
    connection: ConnectionManager,
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
    wake: OnceLock<Wake>,
    trouble: Mutex<Option<String>>,
    /// As its books read it, once it was joined with them.
    stream: OnceLock<Arc<Stream>>,
}

/// What a reserve of this node said, for an up-size, for the same reserve again, and to wake whoever waits for its end.
struct Asked {
    lines: Arc<[Line]>,
    would_refuse: Option<Short>,
    postings: Arc<[Posting]>,
}

fn down(e: &RedisError) -> LedgerError {
    LedgerError::Down(format!("redis: {e}"))
}

/// Rows and flags are made of strings, numbers and lists of them, which JSON can always hold. The same value is the same text.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
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
        Self::open_with(url, name, node, books, None).await
    }

    /// `clock` is a test's own clock, for a ledger that is made now.
    async fn open_with(
        url: &str,
        name: &str,
        node: &str,
        books: Arc<dyn AuditStore>,
        clock: Option<i64>,
    ) -> Result<Self, LedgerError> {
        let mut connection = connect(url).await?;
        check_eviction(&mut connection).await?;
        let (keys, scripts) = (Keys::new(name), Scripts::new());
        let upto = place(&books).await?;
        let found = find(&mut connection, &keys, &scripts, upto, clock).await?;
        if let Some(format) = found.format.filter(|f| f != FORMAT) {
            return Err(LedgerError::Down(unknown_format(name, &format)));
        }
        let epoch = found.epoch.unwrap_or_default();
        let trouble = epoch.is_empty().then(|| lost(name, upto, "nothing"));
        let inner = Inner {
            connection,
            keys,
            scripts,
            node: node.to_owned(),
            books,
            epoch: Mutex::new(epoch.into()),
            seen: AtomicU64::new(upto),
            shapes: Mutex::default(),
            declaring: tokio::sync::Mutex::default(),
            asked: DashMap::new(),
            wake: OnceLock::new(),
            trouble: Mutex::new(trouble),
            stream: OnceLock::new(),
        };
        Ok(Self(Arc::new(inner)))
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

async fn connect(url: &str) -> Result<ConnectionManager, LedgerError> {
    let client = Client::open(url).map_err(|e| down(&e))?;
    let config =
        ConnectionManagerConfig::new().set_connection_timeout(Some(PATIENCE)).set_response_timeout(Some(PATIENCE));
    ConnectionManager::new_with_config(client, config).await.map_err(|e| down(&e))
}

async fn check_eviction(connection: &mut ConnectionManager) -> Result<(), LedgerError> {
    let asked: RedisResult<Vec<String>> =
        redis::cmd("CONFIG").arg("GET").arg("maxmemory-policy").query_async(connection).await;
    match asked.as_deref() {
        Ok([_, policy]) if policy != "noeviction" => {
            let why =
                format!("redis: `maxmemory-policy` is `{policy}`, so it may drop accounts; set it to `noeviction`");
            Err(LedgerError::Down(why))
        }
        Ok(_) => Ok(()),
        Err(e) => {
            tracing::warn!("redis does not tell its `maxmemory-policy` ({e}); make sure that it is `noeviction`");
            Ok(())
        }
    }
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
    connection: &mut ConnectionManager,
    keys: &Keys,
    scripts: &Scripts,
    upto: Seq,
    clock: Option<i64>,
) -> Result<Found, LedgerError> {
    let asked: RedisResult<(Option<String>, Option<String>)> = if upto == 0 {
        let mut init = scripts.init.prepare_invoke();
        init.key(keys.meta()).arg(Uuid::now_v7().to_string()).arg(upto).arg(FORMAT);
        if let Some(now) = clock {
            init.arg(now);
        }
        init.invoke_async(connection).await
    } else {
        redis::cmd("HMGET").arg(keys.meta()).arg("format").arg("epoch").query_async(connection).await
    };
    let (format, epoch) = asked.map_err(|e| down(&e))?;
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

impl Inner {
    /// A call of a script, with all keys and what every script begins with.
    fn prepare<'s>(&self, script: &'s Script) -> ScriptInvocation<'s> {
        let mut call = script.prepare_invoke();
        for key in self.keys.all() {
            call.key(key);
        }
        call.arg(&**self.epoch.lock()).arg(self.seen.load(Ordering::Acquire));
        call
    }

    async fn call(&self, call: &ScriptInvocation<'_>) -> Result<Vec<String>, LedgerError> {
        let answered = self.ask(call).await.map_err(|e| format!("redis: {e}")).and_then(|answer| self.guard(answer));
        let failed = answered.as_ref().err().cloned();
        if *self.trouble.lock() != failed {
            *self.trouble.lock() = failed;
        }
        answered.map_err(LedgerError::Down)
    }

    /// The client loads a script that the server does not know; one that is flushed meanwhile is loaded once more.
    async fn ask(&self, call: &ScriptInvocation<'_>) -> RedisResult<Vec<String>> {
        let mut connection = self.connection.clone();
        for _ in 1..LOADS {
            match call.invoke_async(&mut connection).await {
                Err(e) if e.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {}
                answered => return answered,
            }
        }
        call.invoke_async(&mut connection).await
    }

    /// A script that did nothing, since the ledger is not the one that this node knows.
    fn guard(&self, answer: Vec<String>) -> Result<Vec<String>, String> {
        let name = self.keys.name();
        match answer.as_slice() {
            [what, format] if what == "format" => Err(unknown_format(name, format)),
            [what, epoch, seq] if what == "lost" => {
                let has = if epoch.is_empty() { "nothing".to_owned() } else { format!("{seq} of its making {epoch}") };
                Err(lost(name, self.seen.load(Ordering::Acquire), &has))
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
