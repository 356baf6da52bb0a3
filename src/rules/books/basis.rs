//! What a settled row was priced by: the book, the row of each model that ran, and what was counted. With the book at hand the
//! cost can be computed again. Does not compute; `price` does.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::rules::subject::Name;
use crate::units::ids::Digest32;
use crate::units::time::Timestamp;

/// By which book, as of when, and what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    pub book: Digest32,
    /// When the call was admitted: prices of that moment hold.
    pub at: Timestamp,
    pub runs: Vec<Run>,
}

/// One run of one model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The shelf of the book, which is the vendor's name unless its entry says otherwise.
    pub vendor: Name,
    /// The row of the model; none if the book has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<Name>,
    /// Which of the row's schedules, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<u32>,
    /// The model as the answer spells it.
    pub model: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Name>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub factors: Vec<Name>,
    /// By kind: tokens, characters, milliseconds, things.
    #[serde(rename = "use", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub used: BTreeMap<Name, u64>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fees: BTreeMap<Name, u64>,
}
