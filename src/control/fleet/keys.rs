//! Keys and flags as other nodes share them on Redis: one by one as they are named on the bell, and all of them at start and
//! whenever something was missed. What Redis lost is given back, flags first.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::table::missing;
use super::{Others, obey};
use crate::adapters::fleet::Fleet;
use crate::adapters::keyring::shared::Shared;
use crate::adapters::keyring::{FlagRecord, KeyRecord, KeyringError};
use crate::control::ControlState;
use crate::control::keys::{count_budgets, make_known};
use crate::control::switch::on_disk;
use crate::rules::books::Act;

/// Before a look that failed is tried again.
const AGAIN: Duration = Duration::from_millis(500);

/// Looks at all whenever that is wanted, for ever.
pub(super) async fn follow(state: &Arc<ControlState>, others: &Others, fleet: &Fleet) {
    loop {
        others.look.notified().await;
        while let Err(why) = look(state, fleet).await {
            tracing::warn!("the keys that nodes share cannot be read, those that are known hold: {why}");
            tokio::time::sleep(AGAIN).await;
        }
    }
}

async fn look(state: &Arc<ControlState>, fleet: &Fleet) -> Result<(), String> {
    let (upto, changes) = fleet.all_shared().await.map_err(|e| e.to_string())?;
    let theirs: HashMap<_, _> = changes.iter().map(|c| (c.name(), c.order())).collect();
    for change in changes {
        take(state, change).await.map_err(|e| e.to_string())?;
    }
    for own in missing(state, &theirs) {
        fleet.share(&own).await.map_err(|e| e.to_string())?;
    }
    fleet.knows(upto);
    Ok(())
}

/// One that was named.
pub(super) async fn named(state: &Arc<ControlState>, fleet: &Fleet, name: &str) -> Result<(), String> {
    match fleet.shared(name).await.map_err(|e| e.to_string())? {
        Some(change) => take(state, change).await.map_err(|e| e.to_string()),
        None => Ok(()),
    }
}

async fn take(state: &Arc<ControlState>, change: Shared) -> Result<(), KeyringError> {
    match change {
        Shared::Key { key } => take_key(state, *key).await,
        Shared::Flag { flag, on, act, at } => {
            obey::take(state, FlagRecord { flag, on, act, at, told: false }).await.map(|_| ())
        }
    }
}

/// Good here from now on. Where each node has books of its own its event stands in them, too.
pub(super) async fn take_key(state: &Arc<ControlState>, key: KeyRecord) -> Result<(), KeyringError> {
    let record = key.clone();
    if on_disk(state, move |keyring| keyring.take_key(key)).await? {
        let common = super::fleet(state).is_some();
        let act = Act { actor: record.by.clone(), reason: Some("minted at another node".to_owned()) };
        let known = if common { count_budgets(state, &record).await } else { make_known(state, &record, act).await };
        // The key is good already; the node that minted it has the event, too.
        if let Err(why) = known {
            tracing::error!(key = %record.id, "a key of another node is good here, and this is missing: {why}");
        }
    }
    Ok(())
}
