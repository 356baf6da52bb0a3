//! The `[privacy]` table: which dimensions name persons.

use super::raw::Table;
use crate::rules::subject::Name;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Privacy {
    /// The books have an alias in the place of their values.
    pub personal: Vec<Name>,
}

impl Default for Privacy {
    fn default() -> Self {
        Self { personal: vec!["user".into()] }
    }
}

pub(super) fn read(table: &Table<'_>) -> Privacy {
    let named = table.get("personal").and_then(|node| node.list());
    let personal = named.map(|list| list.iter().filter_map(|node| node.text()).map(Name::from).collect());
    table.done();
    personal.map_or_else(Privacy::default, |personal| Privacy { personal })
}
