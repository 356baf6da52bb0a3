//! Opens the ledger that the configuration names: embedded in the data folder, or a fleet's on Redis.

use std::sync::Arc;

use super::Failure;
use crate::adapters::audit::AuditStore;
use crate::adapters::ledger::Store;
use crate::adapters::ledger::embedded::{Embedded, FolderLock};
use crate::adapters::ledger::journal::Durability;
use crate::adapters::ledger::redis::Redis;
use crate::config::{self, Config, LedgerStore, RedisUrl};

/// The lock of the data folder comes back where the ledger does not keep it.
pub async fn open(
    config: &Config,
    lock: FolderLock,
    books: &Arc<dyn AuditStore>,
) -> Result<(Arc<dyn Store>, Option<FolderLock>), Failure> {
    match &config.ledger.store {
        LedgerStore::Embedded => {
            let ledger = Embedded::open_locked(lock, &config.server.data, durability(config), books.clone())?;
            Ok((ledger, None))
        }
        LedgerStore::Redis { url, .. } => Ok((Arc::new(redis(config, url, books).await?), Some(lock))),
    }
}

async fn redis(config: &Config, url: &RedisUrl, books: &Arc<dyn AuditStore>) -> Result<Redis, Failure> {
    let (url, ledger) = (std::str::from_utf8(url.expose())?, &config.ledger);
    let node = crate::adapters::keyring::secrets::own_name(&config.server.data)?;
    let redis = Redis::open(url, &ledger.name, &node, books.clone()).await?;
    redis.join(books).await?;
    Ok(redis)
}

fn durability(config: &Config) -> Durability {
    match config.ledger.durability {
        config::Durability::Process => Durability::Process,
        config::Durability::Power => Durability::Power,
    }
}
