//! The way through the books' database: every node looks there a few times a second, takes what is new and gives what is
//! missing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::keys::take_key;
use super::{Others, note};
use crate::adapters::audit::AuditError;
use crate::adapters::keyring::shared::{Shared, Table};
use crate::adapters::keyring::{FlagRecord, KeyRecord};
use crate::control::ControlState;
use crate::control::switch::{confirm, on_disk, tell};
use crate::rules::books::Control;

/// How often the others' changes are looked for: a part of the second within which a revocation holds everywhere.
const LOOK_EVERY: Duration = Duration::from_millis(200);

type Way = tokio::sync::Mutex<Table>;

/// Looks for ever.
pub(super) async fn follow(state: &Arc<ControlState>, others: &Others, table: &Way) {
    loop {
        let trouble = look(state, others, table).await.err().map(|e| e.to_string());
        note(&others.table_trouble, trouble);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The way is free between two pages, so that a revocation never waits for a long list.
async fn look(state: &Arc<ControlState>, others: &Others, table: &Way) -> Result<(), AuditError> {
    let mut theirs = HashMap::new();
    let mut all = false;
    loop {
        let mut way = table.lock().await;
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
    if !all {
        return Ok(());
    }
    for own in missing(state, &theirs) {
        others.put(&own).await?;
    }
    Ok(())
}

/// What they do not have, or only as it was before: said while they could not be reached, or lost with their server. Flags
/// first.
pub(super) fn missing(state: &ControlState, theirs: &HashMap<String, (i64, bool)>) -> Vec<Shared> {
    let keys = state.keyring.list().into_iter().map(|key| Shared::Key { key: Box::new(KeyRecord::clone(&key)) });
    let flags = state.keyring.all_flags();
    let own = flags.iter().map(Shared::from).chain(keys);
    own.filter(|own| theirs.get(&own.name()).is_none_or(|known| *known < own.order())).collect()
}

async fn take(state: &Arc<ControlState>, change: Shared) -> Result<(), AuditError> {
    let failed = |e: &dyn std::fmt::Display| AuditError::Store(e.to_string());
    match change {
        Shared::Key { key } => take_key(state, *key).await.map_err(|e| failed(&e)),
        Shared::Flag { flag, on, act, at } => {
            let record = FlagRecord { flag, on, act, at, told: false };
            let taken = on_disk(state, move |keyring| keyring.take_flag(record)).await;
            if let Some(record) = taken.map_err(|e| failed(&e))? {
                obey(state, record).await;
            }
            Ok(())
        }
    }
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
    if super::fleet(state).is_some() {
        // A common ledger hears it from the node that said it; should that fail, `keep_telling` tells it.
        return;
    }
    match tell(state, &control).await {
        Ok(_) => confirm(state, record).await,
        Err(why) => tracing::error!(flag = %record.flag, "the ledger does not know yet: {why}"),
    }
}
