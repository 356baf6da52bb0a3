//! The way to the nodes that share this one's keys, as the configuration has it: through the books' PostgreSQL, through the
//! Redis of a common ledger, or both.

use std::sync::Arc;

use super::Failure;
use crate::adapters::fleet::Fleet;
use crate::adapters::keyring::shared::Table;
use crate::config::{AuditStore, Config, LedgerStore};
use crate::control::Others;

/// The nodes that share the ledger.
pub async fn nodes(config: &Config) -> Result<Option<Arc<Fleet>>, Failure> {
    let ledger = &config.ledger;
    let LedgerStore::Redis { url, password } = &ledger.store else { return Ok(None) };
    let admin = config.server.admin.to_string();
    Ok(Some(Fleet::open(url.expose(), password.clone(), &ledger.name, &admin, ledger.max_silence).await?))
}

/// The way to the nodes that share the keys, where there are some.
pub fn others(config: &Config, fleet: Option<Arc<Fleet>>) -> Result<Option<Arc<Others>>, Failure> {
    let ledger = &config.ledger;
    // A common ledger is a fleet, whether it has a name of its own or not.
    let name = config.audit.fleet.as_deref().or(fleet.as_ref().map(|_| &*ledger.name));
    let table = match (name, &config.audit.store) {
        (Some(name), AuditStore::Postgres { url, password }) => {
            Some(Table::new(url.expose(), password.as_ref(), name)?)
        }
        _ => None,
    };
    Ok(Others::new(table, fleet))
}
