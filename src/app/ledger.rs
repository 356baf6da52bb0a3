//! Opens the ledger that the configuration names: embedded in the data folder, or a fleet's on Redis.

use std::sync::Arc;

use super::Failure;
use super::parts::source;
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
    let Some(url) = address(config)? else {
        let ledger = Embedded::open_locked(lock, &config.server.data, durability(config), books.clone())?;
        return Ok((ledger, None));
    };
    Ok((Arc::new(redis(config, &url, books).await?), Some(lock)))
}

/// The address of the fleet's Redis, with its password.
pub fn address(config: &Config) -> Result<Option<RedisUrl>, Failure> {
    let LedgerStore::Redis { url, password } = &config.ledger.store else { return Ok(None) };
    let Some(password) = password else { return Ok(Some(url.clone())) };
    let password = source(password).read().map_err(|why| format!("[ledger] password: {why}"))?;
    let password = percent_encoding::percent_encode(password.expose(), percent_encoding::NON_ALPHANUMERIC);
    let text = std::str::from_utf8(url.expose())?;
    let (scheme, rest) = text.split_once("://").unwrap_or(("redis", text));
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let user = login.split(':').next().unwrap_or_default();
    Ok(Some(RedisUrl::new(format!("{scheme}://{user}:{password}@{hosts}{path}"))))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{CredentialSource, Ledger};

    #[test]
    fn a_password_stands_in_the_address_and_is_never_shown() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("password");
        std::fs::write(&file, "p@ss/1\n").expect("written");
        for (url, expected) in [
            ("redis://h:6379/0", "redis://:p%40ss%2F1@h:6379/0"),
            ("rediss://ann@h/2?ca=/a@b", "rediss://ann:p%40ss%2F1@h/2?ca=/a@b"),
            ("redis+sentinel://:old@a,b/m", "redis+sentinel://:p%40ss%2F1@a,b/m"),
        ] {
            let (url, password) = (RedisUrl::new(url.to_owned()), Some(CredentialSource::File(file.clone())));
            let ledger = Ledger { store: LedgerStore::Redis { url, password }, ..Default::default() };
            let made = address(&Config { ledger, ..Default::default() }).expect("read").expect("an address");
            assert_eq!(made.expose(), expected.as_bytes());
            assert_eq!(format!("{made:?}"), "redis://…");
        }
    }
}
