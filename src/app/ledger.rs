//! Opens the ledger that the configuration names: embedded in the data folder, or a fleet's on Redis.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Failure;
use crate::adapters::audit::AuditStore;
use crate::adapters::audit::tail::Books;
use crate::adapters::fleet::Fleet;
use crate::adapters::keyring::Keyring;
use crate::adapters::ledger::Store;
use crate::adapters::ledger::embedded::{Embedded, FolderLock};
use crate::adapters::ledger::journal::Durability;
use crate::adapters::ledger::leased::Leased;
use crate::adapters::ledger::redis::Redis;
use crate::adapters::ledger::redis::link::{Options, Patience};
use crate::adapters::ledger::redis::recover::Knows;
use crate::config::{self, Config, CredentialSource, LedgerStore, RedisUrl};

/// How long a start waits for a ledger that Redis has lost to be put back.
const WHOLE: Duration = Duration::from_secs(60);

pub struct Opened {
    pub store: Arc<dyn Store>,
    /// The same, where it is a fleet's.
    pub redis: Option<Redis>,
    /// Of the data folder, where the ledger does not keep it.
    pub lock: Option<FolderLock>,
}

pub async fn open(
    config: &Config,
    lock: FolderLock,
    books: &Arc<dyn AuditStore>,
    fleet: Option<Arc<Fleet>>,
) -> Result<Opened, Failure> {
    match &config.ledger.store {
        LedgerStore::Embedded => {
            let store = Embedded::open_locked(lock, &config.server.data, durability(config), books.clone())?;
            Ok(Opened { store, redis: None, lock: None })
        }
        LedgerStore::Redis { url, password } => {
            let redis = redis(config, url, password.clone(), books).await?;
            let right = move || fleet.as_ref().is_none_or(|fleet| fleet.may_admit_alone());
            let leased = Leased::open(redis.clone(), &config.server.data, durability(config), Box::new(right))?;
            Ok(Opened { store: Arc::new(leased), redis: Some(redis), lock: Some(lock) })
        }
    }
}

impl Opened {
    /// A fleet's ledger is watched from here on, and put back where Redis has lost it; waits until it is whole.
    pub async fn keep_whole(
        &self,
        books: &Arc<Books>,
        keyring: &Arc<Keyring>,
        fleet: Option<Arc<Fleet>>,
        stop: CancellationToken,
    ) -> Result<(), Failure> {
        let Some(redis) = self.redis.clone() else { return Ok(()) };
        let (books, keyring) = (books.clone(), keyring.clone());
        let flags = Box::new(move || keyring.flags().into_iter().map(|record| record.flag).collect());
        let me = fleet.as_ref().map(|f| f.id().to_owned()).unwrap_or_default();
        let live = move || fleet.as_ref().map(|f| f.live()).unwrap_or_default();
        let (knows, watched) = (Arc::new(Knows { books, flags, me, nodes: Box::new(live) }), redis.clone());
        tokio::spawn(async move { watched.keep_whole(knows, stop).await });
        Ok(redis.whole(WHOLE).await?)
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
