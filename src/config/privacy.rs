//! The `[privacy]` table: which dimensions name persons.

use super::checked::CredentialSource;
use super::raw::Table;
use super::vendors;
use crate::rules::subject::Name;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Privacy {
    /// The books have an alias in the place of their values.
    pub personal: Vec<Name>,
    /// What captured bodies are encrypted with, if it does not lie in the data folder.
    pub capture_key: Option<CredentialSource>,
    /// What bodies are hashed with, if it does not lie in the data folder.
    pub hash_key: Option<CredentialSource>,
}

impl Default for Privacy {
    fn default() -> Self {
        Self { personal: vec!["user".into()], capture_key: None, hash_key: None }
    }
}

pub(super) fn read(table: &Table<'_>) -> Privacy {
    let named = table.get("personal").and_then(|node| node.list());
    let personal = named.map(|list| list.iter().filter_map(|node| node.text()).map(Name::from).collect());
    let source = |key| table.get(key).and_then(|node| node.parsed(vendors::source));
    let (capture_key, hash_key) = (source("capture_key"), source("hash_key"));
    table.done();
    Privacy { personal: personal.unwrap_or(Privacy::default().personal), capture_key, hash_key }
}
