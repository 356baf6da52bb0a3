//! The hash chain of the books: each event's head covers its bytes, its number and all events before it, so that no row can be
//! changed, dropped, moved or put in without another head. Pure hashing; `adapters::audit` keeps the heads.
//!
//! SHA-256, with one byte in front that says what is hashed: `0` an event, `1` a node of the Merkle tree, `2` a link.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::units::ids::{Digest32, Seq};

/// How far a chain goes: its last event, and the head there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub seq: Seq,
    pub head: Digest32,
}

impl Place {
    /// Before the first event.
    pub const START: Self = Self { seq: 0, head: Digest32([0; 32]) };

    /// After one more event.
    #[must_use]
    pub fn next(self, seq: Seq, body: &[u8]) -> Self {
        Self { seq, head: link(&self.head, seq, &leaf(body)) }
    }
}

/// The hash of an event alone: of its bytes as the journal has them.
pub fn leaf(body: &[u8]) -> Digest32 {
    Digest32(Sha256::new().chain_update([0]).chain_update(body).finalize().into())
}

/// The head after an event.
pub fn link(before: &Digest32, seq: Seq, leaf: &Digest32) -> Digest32 {
    let hash = Sha256::new().chain_update([2]).chain_update(before.0).chain_update(seq.to_be_bytes());
    Digest32(hash.chain_update(leaf.0).finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(bodies: &[&str]) -> Place {
        (1..).zip(bodies).fold(Place::START, |place, (seq, body)| place.next(seq, body.as_bytes()))
    }

    #[test]
    fn every_change_of_a_row_changes_the_head() {
        let whole = chain(&["a", "b", "c"]);
        for other in [&["a", "b", "d"][..], &["a", "x", "c"], &["b", "a", "c"], &["a", "c"], &["a", "b"], &["ab", "c"]]
        {
            assert_ne!(chain(other), whole, "{other:?}");
        }
        assert_ne!(Place::START.next(1, b"a").next(3, b"b").head, chain(&["a", "b"]).head, "a hole shows");
        assert_eq!(chain(&["a", "b", "c"]), whole);
    }
}
