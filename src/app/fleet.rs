//! The way to the nodes that share this one's keys, as the configuration has it: through the books' PostgreSQL, through the
//! Redis of a common ledger, or both.

use std::sync::Arc;

use super::Failure;
use crate::adapters::fleet::Fleet;
use crate::adapters::keyring::shared::Table;
use crate::config::{AuditStore, Config, CredentialSource, LedgerStore};
use crate::control::Others;

/// The nodes that share the ledger.
pub async fn nodes(config: &Config) -> Result<Option<Arc<Fleet>>, Failure> {
    let ledger = &config.ledger;
    let LedgerStore::Redis { url, password } = &ledger.store else { return Ok(None) };
    let admin = config.server.admin.to_string();
    Ok(Some(Fleet::open(url.expose(), password.clone(), &ledger.name, &admin, ledger.max_silence).await?))
}

/// What a fleet has in common beside its ledger.
pub struct Common<'c> {
    pub url: &'c str,
    pub password: Option<&'c CredentialSource>,
    /// Of the fleet.
    pub name: &'c str,
}

/// `None` for a node that has no other beside it: books in SQLite are one node's alone.
pub fn common(config: &Config) -> Option<Common<'_>> {
    // A common ledger is a fleet, whether it has a name of its own or not.
    let shared = matches!(config.ledger.store, LedgerStore::Redis { .. }).then_some(&*config.ledger.name);
    match (config.audit.fleet.as_deref().or(shared), &config.audit.store) {
        (Some(name), AuditStore::Postgres { url, password }) => {
            Some(Common { url: url.expose(), password: password.as_ref(), name })
        }
        _ => None,
    }
}

/// The way to the nodes that share the keys, where there are some.
pub fn others(config: &Config, fleet: Option<Arc<Fleet>>) -> Result<Option<Arc<Others>>, Failure> {
    let table = common(config).map(|c| Table::new(c.url, c.password, c.name)).transpose()?;
    Ok(Others::new(table, fleet))
}
