//! Persons as the admin API speaks of them and `--json` prints them. Values alone.

use serde::{Deserialize, Serialize};

use crate::rules::subject::Name;
use crate::units::ids::Seq;

/// Who is meant: a name as calls write it, or an alias from the books.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonRequest {
    pub dimension: Name,
    pub name: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PersonView {
    pub dimension: Name,
    pub value: Name,
    pub alias: Name,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Erased {
    pub dimension: Name,
    pub alias: Name,
    /// The event that says so.
    pub seq: Seq,
}
