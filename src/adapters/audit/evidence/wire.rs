//! What the admin API and the command line say to each other about evidence. Values alone.

use serde::{Deserialize, Serialize};

use crate::rules::evidence::PublicKey;
use crate::units::ids::Seq;
use crate::units::time::Timestamp;

/// The key that signs, and those before it, newest last.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Keys {
    pub key: PublicKey,
    pub last_checkpoint: u64,
    pub changes: Vec<KeyChange>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyChange {
    pub checkpoint: u64,
    pub at: Timestamp,
    pub from: PublicKey,
    pub to: PublicKey,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PruneRequest {
    /// Events that were checkpointed before this are given up.
    pub before: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What was given up; nothing if `events` is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruned {
    pub from: Seq,
    pub to: Seq,
    /// It covers the last of them, and stays.
    pub checkpoint: u64,
    pub events: u64,
}
