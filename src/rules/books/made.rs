//! What a call made at its vendor that is priced by another answer than its own: a batch, a file to run, a message whose price
//! comes later. By it, later answers find the call whose charge they replace, also after a restart. Pure data.

use serde::{Deserialize, Serialize};

use crate::rules::subject::Name;
use crate::units::ids::Digest32;
use crate::units::money::MicroCents;

/// One thing at the vendor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// As the vendor names it. First: stores find it there.
    pub object: Name,
    /// Whose credential and account it lies under; its name says nothing under another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Digest32>,
    /// It is a part of this one: the results of a batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<Name>,
    /// What it costs at most to run it, of a file that was uploaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<MadeBound>,
    /// The one operation that all of the file's lines ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Name>,
    /// Some of a batch's items ask for a place that costs more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub geo: Option<Name>,
    /// Why nothing bounds that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unbounded: Option<String>,
    /// The path at which its price is to be asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask: Option<String>,
}

/// A bound, and the book that it was computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeBound {
    pub usd: MicroCents,
    pub tokens: u64,
    pub book: Digest32,
}

impl Made {
    /// Of this name, and nothing else known.
    pub fn named(object: &str) -> Self {
        let object = object.into();
        Self { object, place: None, of: None, bound: None, endpoint: None, geo: None, unbounded: None, ask: None }
    }
}
