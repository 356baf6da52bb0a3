//! A proof about one call: its events, for each the way to the root of its interval, and the signed checkpoints there. It
//! shows that these events stand in the books as they are; not that there are no others.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::trust::Trust;
use super::{PublicKey, Signed};
use crate::rules::chain;
use crate::rules::ledger::entry::Entry;
use crate::rules::merkle;
use crate::units::ids::{CallId, Digest32};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    pub version: u8,
    pub call_id: CallId,
    pub events: Vec<Member>,
    /// Those that the events stand in.
    pub checkpoints: Vec<Signed>,
    /// Changes of the signing key, in order.
    pub keys: Vec<Signed>,
}

/// One event and its place in the tree of its interval.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its exact bytes.
    pub event: Box<RawValue>,
    pub checkpoint: u64,
    pub index: u64,
    pub path: Vec<Digest32>,
}

impl Proof {
    /// Does it hold, given these keys? Without any, the checkpoints' own are taken.
    ///
    /// # Errors
    /// What does not hold.
    pub fn check(&self, keys: &[PublicKey]) -> Result<(), String> {
        if self.events.is_empty() {
            return Err(format!("it has no event of call {}", self.call_id));
        }
        if let Some(bad) = self.checkpoints.iter().find(|c| !Trust::holds(keys, &self.keys, c)) {
            let why = if bad.is_genuine() { "signed with an unknown key" } else { "not signed as it stands" };
            return Err(format!("checkpoint {} is {why}", bad.checkpoint.number));
        }
        self.events.iter().try_for_each(|member| self.member(member))
    }

    fn member(&self, member: &Member) -> Result<(), String> {
        let body = member.event.get();
        let entry: Entry = serde_json::from_str(body).map_err(|e| format!("an event cannot be read: {e}"))?;
        if entry.op.call() != Some(self.call_id) {
            return Err(format!("event {} is not about call {}", entry.seq, self.call_id));
        }
        let at = self.checkpoints.iter().map(|s| &s.checkpoint).find(|c| c.number == member.checkpoint);
        let at = at.ok_or_else(|| format!("event {} stands in no checkpoint that is here", entry.seq))?;
        let leaf = chain::leaf(body.as_bytes());
        match merkle::climb(leaf, member.index, at.events, &member.path) {
            Some(root) if root == at.root => Ok(()),
            _ => Err(format!("event {} is not part of checkpoint {}", entry.seq, at.number)),
        }
    }
}
