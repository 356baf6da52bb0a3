//! Opens the ledger that the configuration names: embedded in the data folder, or a fleet's on Redis.

use std::sync::Arc;

use super::Failure;
use crate::adapters::audit::AuditStore;
use crate::adapters::ledger::Store;
use crate::adapters::ledger::embedded::{Embedded, FolderLock};
use crate::adapters::ledger::journal::Durability;
use crate::adapters::ledger::redis::Redis;
use crate::adapters::ledger::redis::link::{Options, Patience};
use crate::config::{self, Config, CredentialSource, LedgerStore, RedisUrl};

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
        LedgerStore::Redis { url, password } => {
            Ok((Arc::new(redis(config, url, password.clone(), books).await?), Some(lock)))
        }
    }
}

async fn redis(
    config: &Config,
    url: &RedisUrl,
    password: Option<CredentialSource>,
    books: &Arc<dyn AuditStore>,
) -> Result<Redis, Failure> {
    let (url, ledger) = (std::str::from_utf8(url.expose())?, &config.ledger);
    let node = crate::adapters::keyring::secrets::own_name(&config.server.data)?;
    // A connection takes more than one answer.
    let patience = Patience { connect: ledger.patience * 2, answer: ledger.patience };
    let options = Options { patience, wait_replicas: ledger.wait_replicas as u16, password };
    let redis = Redis::open_on(url, &ledger.name, &node, books.clone(), options).await?;
    redis.join(books).await?;
    Ok(redis)
}

fn durability(config: &Config) -> Durability {
    match config.ledger.durability {
        config::Durability::Process => Durability::Process,
        config::Durability::Power => Durability::Power,
    }
}
