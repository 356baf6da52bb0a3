//! Keys and flags of several nodes: what is changed here goes to the others, and what they change holds here within a moment,
//! also for calls in flight. While the table is away every node goes on with what it knows, and catches up afterwards.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::ControlState;
use super::keys::make_known;
use super::problem::Problem;
use super::switch::{confirm, on_disk, tell};
use crate::adapters::audit::AuditError;
use crate::adapters::keyring::shared::{Fleet, Shared};
use crate::adapters::keyring::{FlagRecord, KeyRecord};
use crate::rules::books::{Act, Control};

/// How often the others' changes are looked for: a part of the second within which a revocation holds everywhere.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The way to the other nodes.
pub struct Others {
    way: tokio::sync::Mutex<Fleet>,
    trouble: parking_lot::Mutex<Option<String>>,
}

impl Others {
    pub fn new(fleet: Fleet) -> Self {
        Self { way: tokio::sync::Mutex::new(fleet), trouble: parking_lot::Mutex::default() }
    }

    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }
}

/// A new key is good on every node, or on none.
pub(super) async fn key_minted(state: &ControlState, key: &KeyRecord) -> Result<(), String> {
    let Some(others) = &state.others else { return Ok(()) };
    let change = Shared::Key { key: Box::new(key.clone()) };
    others.way.lock().await.put(&change).await.map_err(|e| format!("the other nodes cannot be told: {e}"))
}

/// It holds here in any case; what the others could not be told, they are told later.
pub(super) async fn flag_changed(state: &ControlState, flag: &FlagRecord) -> Result<(), Problem> {
    let Some(others) = &state.others else { return Ok(()) };
    others.way.lock().await.put(&Shared::from(flag)).await.map_err(|e| {
        let what = if flag.on { "switched off" } else { "restored" };
        Problem::Partly(format!(
            "{} is {what} on this node, and the others do not know yet: {e}. They are told as soon as that heals; until \
             then switch it on each",
            flag.flag
        ))
    })
}

/// Looks until `stop`. `app` runs it.
pub async fn follow(state: Arc<ControlState>, others: Arc<Others>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let trouble = look(&state, &others).await.err().map(|e| e.to_string());
        note(&others, trouble);
        tokio::select! { () = tokio::time::sleep(LOOK_EVERY) => {}, () = stop.cancelled() => {} }
    }
}

/// Once when it begins, and once when it ends.
fn note(others: &Others, trouble: Option<String>) {
    let mut known = others.trouble.lock();
    match (&*known, &trouble) {
        (None, Some(why)) => tracing::error!("changes of keys by other nodes are not seen, what is known holds: {why}"),
        (Some(_), None) => tracing::info!("changes of keys by other nodes are seen again"),
        _ => {}
    }
    *known = trouble;
}

/// The way is free between two pages, so that a revocation never waits for a long list.
async fn look(state: &Arc<ControlState>, others: &Others) -> Result<(), AuditError> {
    let mut theirs = HashMap::new();
    let mut all = false;
    loop {
        let mut way = others.way.lock().await;
        let look = way.look().await?;
        all |= look.from_the_first;
        if all {
            theirs.extend(look.changes.iter().map(|c| (c.name(), c.order())));
        }
        for change in look.changes.iter().cloned() {
            take(state, change).await?;
        }
        way.seen(&look);
        if !look.full() {
            break;
        }
    }
    if all { give_missing(state, others, &theirs).await } else { Ok(()) }
}

/// What they do not have, or only as it was before: said while they could not be reached, or lost with their server. Flags
/// first.
async fn give_missing(
    state: &ControlState,
    others: &Others,
    theirs: &HashMap<String, (i64, bool)>,
) -> Result<(), AuditError> {
    let keys = state.keyring.list().into_iter().map(|key| Shared::Key { key: Box::new(KeyRecord::clone(&key)) });
    let flags = state.keyring.all_flags();
    for own in flags.iter().map(Shared::from).chain(keys) {
        if theirs.get(&own.name()).is_none_or(|known| *known < own.order()) {
            others.way.lock().await.put(&own).await?;
        }
    }
    Ok(())
}

async fn take(state: &Arc<ControlState>, change: Shared) -> Result<(), AuditError> {
    let failed = |e: &dyn std::fmt::Display| AuditError::Store(e.to_string());
    match change {
        Shared::Key { key } => take_key(state, *key).await,
        Shared::Flag { flag, on, act, at } => {
            let taken = on_disk(state, move |keyring| keyring.take_flag(flag, on, act, at)).await;
            if let Some(record) = taken.map_err(|e| failed(&e))? {
                obey(state, record).await;
            }
            Ok(())
        }
    }
}

async fn take_key(state: &Arc<ControlState>, key: KeyRecord) -> Result<(), AuditError> {
    let failed = |e: &dyn std::fmt::Display| AuditError::Store(e.to_string());
    let record = key.clone();
    if on_disk(state, move |keyring| keyring.take_key(key)).await.map_err(|e| failed(&e))? {
        let act = Act { actor: record.by.clone(), reason: Some("minted at another node".to_owned()) };
        // The key is good already; the node that minted it has the event, too.
        if let Err(why) = make_known(state, &record, act).await {
            tracing::error!(key = %record.id, "a key of another node is good here, and its event could not be written: {why}");
        }
    }
    Ok(())
}

/// The calls in flight first. What the ledger cannot be told now, it is told again until it knows.
async fn obey(state: &Arc<ControlState>, record: FlagRecord) {
    let (flag, act) = (record.flag.clone(), record.act.clone());
    let control = if record.on {
        let ended = state.switchboard.stop(&flag);
        tracing::warn!(%flag, by = %act.actor, ended, "switched off by another node");
        Control::Stopped { flag, act }
    } else {
        Control::Restored { flag, act }
    };
    match tell(state, &control).await {
        Ok(_) => confirm(state, record).await,
        Err(why) => tracing::error!(flag = %record.flag, "the ledger does not know yet: {why}"),
    }
}
