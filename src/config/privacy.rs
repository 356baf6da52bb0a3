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
}

impl Default for Privacy {
    fn default() -> Self {
        Self { personal: vec!["user".into()], capture_key: None }
    }
}

pub(super) fn read(table: &Table<'_>) -> Privacy {
    let named = table.get("personal").and_then(|node| node.list());
    let personal = named.map(|list| list.iter().filter_map(|node| node.text()).map(Name::from).collect());
    let capture_key = table.get("capture_key").and_then(|node| node.parsed(vendors::source));
    table.done();
    Privacy { personal: personal.unwrap_or(Privacy::default().personal), capture_key }
}
