//! Keys and flags of several nodes: what is changed here goes to the others, and what they change holds here within a moment,
//! also for calls in flight. There are two ways, and both may be there: the books' database (`table`), which keeps all of it
//! durably, and the Redis of a common ledger (`obey`, `keys`), which is at once. While a way is gone every node goes on with
//! what it knows, and catches up afterwards. `alive` says that this node lives, and ends its calls when it is cut off.

mod alive;
mod keys;
mod obey;
mod table;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::ControlState;
use super::problem::Problem;
use crate::adapters::audit::AuditError;
use crate::adapters::fleet::node::NodeAnswer;
use crate::adapters::fleet::{Fleet, FleetView};
use crate::adapters::keyring::shared::{Shared, Table};
use crate::adapters::keyring::{FlagRecord, KeyRecord};
use crate::rules::subject::Flag;
use crate::units::ids::Seq;

/// The durable copy is written first; a stop waits no longer for it before it goes out. It does before it says that it is done.
const HEAD_START: Duration = Duration::from_millis(50);

/// The ways to the other nodes.
pub struct Others {
    table: Option<tokio::sync::Mutex<Table>>,
    /// There if the ledger is common to all nodes.
    fleet: Option<Arc<Fleet>>,
    table_trouble: parking_lot::Mutex<Option<String>>,
    /// Wanted: a look at all keys that are shared on Redis.
    look: tokio::sync::Notify,
}

impl Others {
    /// `None` for a node that shares nothing.
    pub fn new(table: Option<Table>, fleet: Option<Arc<Fleet>>) -> Option<Arc<Self>> {
        if table.is_none() && fleet.is_none() {
            return None;
        }
        let (table, table_trouble) = (table.map(tokio::sync::Mutex::new), parking_lot::Mutex::default());
        Some(Arc::new(Self { table, fleet, table_trouble, look: tokio::sync::Notify::new() }))
    }

    /// What is wrong, if something is.
    pub fn trouble(&self) -> Option<String> {
        let table = self.table_trouble.lock().clone();
        table.or_else(|| self.fleet.as_ref().and_then(|fleet| fleet.trouble()))
    }

    pub fn view(&self) -> Option<FleetView> {
        self.fleet.as_ref().map(|fleet| fleet.view())
    }

    async fn put(&self, change: &Shared) -> Result<(), AuditError> {
        match &self.table {
            Some(table) => table.lock().await.put(change).await,
            None => Ok(()),
        }
    }
}

/// The other nodes of a common ledger.
pub(super) fn fleet(state: &ControlState) -> Option<&Arc<Fleet>> {
    state.others.as_ref().and_then(|others| others.fleet.as_ref())
}

/// How long the books may take to have what the ledger has now, and whoever writes them to sign it.
const SIGNED: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(20);

/// The books have what the ledger has now, so that evidence covers a call that just ended; where another node writes them, that
/// one signs it. What is not done in time is not waited for: then what was signed before has to do.
pub(super) async fn have_signed(state: &ControlState) {
    let begun = Instant::now();
    let _ = tokio::time::timeout(SIGNED, state.books.level()).await;
    let Some(fleet) = fleet(state).filter(|_| !state.books.leads()) else { return };
    // As the books have it, which this node may not have seen yet.
    let Ok(end) = state.books.ask(|store| store.seen()).await.map(|place| place.seq) else { return };
    if covered(state).await >= end {
        return;
    }
    if let Err(why) = fleet.ask_to_sign().await {
        return tracing::warn!("the node that writes the books could not be asked for a checkpoint: {why}");
    }
    while covered(state).await < end && begun.elapsed() < SIGNED {
        tokio::time::sleep(LOOK).await;
    }
}

/// The last event that a checkpoint covers.
async fn covered(state: &ControlState) -> Seq {
    let last = state.books.ask(|store| store.last_checkpoint()).await;
    last.ok().flatten().map_or(0, |last| last.checkpoint.to)
}

/// What the node that writes the books does alone. Any other one says where that is.
pub(super) fn only_where_books_are_written(state: &ControlState, what: &str) -> Result<(), Problem> {
    if state.books.leads() {
        return Ok(());
    }
    let writer = fleet(state).and_then(|fleet| fleet.writer());
    let who = writer.map_or_else(
        || {
            "which is none that is heard now; `writes_books` in `GET /v1/status` of a node says whether it does"
                .to_owned()
        },
        |name| format!("and that is {name}: say it on that machine, or to its admin API with `--server`"),
    );
    Err(Problem::Elsewhere(format!("{what} is for the node that writes the books, {who}")))
}

/// Lets calls in flight on the other nodes end while the flag is still being written down. Nobody waits for it.
pub(super) fn stopping(state: &ControlState, flag: &Flag) {
    let Some(fleet) = fleet(state).cloned() else { return };
    let flag = flag.clone();
    tokio::spawn(async move {
        if let Err(why) = fleet.stopping(&flag).await {
            tracing::debug!(%flag, "the other nodes hear of it with the flag alone: {why}");
        }
    });
}

/// A new key is good on every node, or on none.
pub(super) async fn key_minted(state: &ControlState, key: &KeyRecord) -> Result<(), String> {
    let Some(others) = &state.others else { return Ok(()) };
    let change = Shared::Key { key: Box::new(key.clone()) };
    let untold = |e: &dyn std::fmt::Display| format!("the other nodes cannot be told: {e}");
    others.put(&change).await.map_err(|e| untold(&e))?;
    match &others.fleet {
        Some(fleet) => fleet.share(&change).await.map(|_| ()).map_err(|e| untold(&e)),
        None => Ok(()),
    }
}

/// A change on its way into the durable table.
pub(super) enum Keeping {
    Done(Result<(), String>),
    Pending(JoinHandle<Result<(), String>>),
}

/// Begins to write a change where it outlasts Redis. Answers when that is done, or has had its head start.
pub(super) async fn keep(state: &ControlState, flag: &FlagRecord) -> Keeping {
    let Some(others) = state.others.clone().filter(|others| others.table.is_some()) else {
        return Keeping::Done(Ok(()));
    };
    let (change, waits) = (Shared::from(flag), others.fleet.is_some());
    let mut putting = tokio::spawn(async move { others.put(&change).await.map_err(|e| e.to_string()) });
    if !waits {
        return Keeping::Pending(putting);
    }
    match timeout(HEAD_START, &mut putting).await {
        Ok(done) => Keeping::Done(done.unwrap_or_else(|e| Err(e.to_string()))),
        Err(_) => Keeping::Pending(putting),
    }
}

impl Keeping {
    /// It holds here in any case; what could not be kept is given later.
    pub(super) async fn done(self, flag: &FlagRecord, common: bool) -> Result<(), Problem> {
        let kept = match self {
            Self::Done(kept) => kept,
            Self::Pending(putting) => putting.await.unwrap_or_else(|e| Err(e.to_string())),
        };
        kept.map_err(|e| {
            let what = if flag.on { "switched off" } else { "restored" };
            Problem::Partly(match common {
                true => format!(
                    "{} is {what} on every node that the ledger reaches, and not yet written where the books are: {e}. It is \
                     as soon as that heals",
                    flag.flag
                ),
                false => format!(
                    "{} is {what} on this node, and the others do not know yet: {e}. They are told as soon as that heals; \
                     until then switch it on each",
                    flag.flag
                ),
            })
        })
    }
}

/// Who said it, when and why, before the ledger's own flag: others ask for it when they hear of that. `false` if somebody has
/// said something later; that is known here then, too.
pub(super) async fn share(state: &Arc<ControlState>, flag: &FlagRecord) -> Result<bool, String> {
    let Some(fleet) = fleet(state) else { return Ok(true) };
    let stands = fleet.share(&Shared::from(flag)).await.map_err(|e| e.to_string())?;
    if !stands {
        keys::named(state, fleet, &Shared::from(flag).name()).await?;
    }
    Ok(stands)
}

/// Does the common ledger have the flag as it should be? `false` where there is none to ask.
pub(super) async fn stands(state: &ControlState, flag: &FlagRecord) -> Result<bool, String> {
    let Some(fleet) = fleet(state) else { return Ok(false) };
    fleet.flags().await.map(|flags| flags.set.contains(&flag.flag) == flag.on).map_err(|e| e.to_string())
}

/// Waits until every live node has carried out what the ledger was told, or may admit nothing more.
pub(super) async fn acknowledged(state: &ControlState, made: Instant) -> Result<Vec<NodeAnswer>, String> {
    let Some(fleet) = fleet(state) else { return Ok(Vec::new()) };
    let waited = async { fleet.acknowledged(fleet.flags().await?.flagged, made).await };
    waited.await.map_err(|e| e.to_string())
}

/// Goes on until `stop`. `app` runs it.
pub async fn follow(state: Arc<ControlState>, others: Arc<Others>, stop: CancellationToken) {
    let table = async {
        if let Some(table) = &others.table {
            table::follow(&state, &others, table).await;
        }
    };
    let fleet = async {
        if let Some(fleet) = &others.fleet {
            tokio::join!(
                alive::beat(&state, fleet),
                alive::fly(fleet),
                obey::listen(&state, &others, fleet),
                keys::follow(&state, &others, fleet)
            );
        }
    };
    tokio::select! { () = stop.cancelled() => {}, _ = async { tokio::join!(table, fleet) } => {} }
    if let Some(fleet) = &others.fleet {
        // One that cannot say so is silent, and soon known to be.
        let _ = fleet.leave().await;
    }
}

/// Once when it begins, and once when it ends.
fn note(known: &parking_lot::Mutex<Option<String>>, trouble: Option<String>) {
    let mut known = known.lock();
    match (&*known, &trouble) {
        (None, Some(why)) => tracing::error!("changes of keys by other nodes are not seen, what is known holds: {why}"),
        (Some(_), None) => tracing::info!("changes of keys by other nodes are seen again"),
        _ => {}
    }
    *known = trouble;
}
