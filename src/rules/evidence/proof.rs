//! A proof about one call: its events, for each the way to the root of its interval, and the signed checkpoints there. It
//! shows that these events stand in the books as they are; not that there are no others. The key that signs when it is made
//! signs it, so that a key that was rotated away, and leaked since, proves nothing.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::anchors::Anchors;
use super::trust::Trust;
use super::{PublicKey, Signature, Signed, VERSION};
use crate::rules::chain;
use crate::rules::ledger::entry::Entry;
use crate::rules::merkle;
use crate::units::ids::{CallId, Digest32};
use crate::units::time::Timestamp;

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
    pub at: Timestamp,
    /// Who signs this.
    pub key: PublicKey,
    pub signature: Signature,
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
    /// The bytes that are signed: the call, and the hashes that all the rest hangs on.
    pub fn text(&self) -> String {
        let mut text = format!("bursar proof {}\ncall {}\n", self.version, self.call_id);
        for checkpoint in self.checkpoints.iter().map(|c| &c.checkpoint) {
            // Writing to a string does not fail.
            let _ = writeln!(text, "checkpoint {} {}", checkpoint.number, checkpoint.hash());
        }
        for member in &self.events {
            let _ = writeln!(text, "event {}", chain::leaf(member.event.get().as_bytes()));
        }
        let _ = write!(text, "at {}\nkey {}\n", self.at, self.key);
        text
    }

    /// Does it hold, given these keys and anchors? Without keys its own is taken. Gives how many checkpoints are anchored.
    ///
    /// # Errors
    /// What does not hold.
    pub fn check(&self, keys: &[PublicKey], anchors: &Anchors) -> Result<u64, String> {
        if self.version != VERSION {
            return Err(format!("it has version {}, which this program does not know", self.version));
        }
        if self.events.is_empty() {
            return Err(format!("it has no event of call {}", self.call_id));
        }
        if !keys.is_empty() && !Trust::reaches(keys, &self.keys, &self.key) {
            return Err(format!("it is signed with {}, which no key of yours has named as its successor", self.key));
        }
        if !self.key.signed(self.text().as_bytes(), &self.signature) {
            return Err("its words are not those that were signed".to_owned());
        }
        if let Some(bad) = self.checkpoints.iter().find(|c| !c.is_genuine()) {
            return Err(format!("checkpoint {} is not signed as it stands", bad.checkpoint.number));
        }
        self.events.iter().try_for_each(|member| self.member(member))?;
        self.anchored(anchors)
    }

    fn anchored(&self, anchors: &Anchors) -> Result<u64, String> {
        let mut count = 0;
        for at in self.checkpoints.iter().map(|c| &c.checkpoint) {
            match anchors.get(at.number) {
                Some(anchor) if anchor.hash != at.hash() => {
                    return Err(format!("an anchor holds another checkpoint {}", at.number));
                }
                Some(_) => count += 1,
                None => {}
            }
        }
        Ok(count)
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
