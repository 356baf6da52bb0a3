//! Evidence about the books that needs no trust in whoever keeps them: checkpoints signed with Ed25519 over the head of the
//! hash chain and the Merkle root of an interval. `lines` is the format that is handed out, `check` reads it against a public
//! key, `trust` says which keys count, `anchors` are checkpoints that stand elsewhere, `proof` is about one call. Nothing here
//! signs: the private key is `adapters`' alone.
//!
//! # What this proves, and against whom
//!
//! * Whoever can write the database, and has neither the key nor the anchors: any event that a checkpoint covers and that is
//!   changed, dropped, moved or put in, and any checkpoint that is, shows with its number. Not covered are events younger than
//!   the last checkpoint (`[audit.checkpoints]`, a minute by default). Rows cut from the end together with their checkpoints
//!   leave older books that were true once: only an anchor, or an earlier export, shows that they were longer.
//! * Whoever has the key as well can write other books from any point on, and sign them. An anchor that they cannot reach
//!   holds the hash of the true checkpoint, and so shows the first one that was rewritten.
//! * Whoever has the key before an event is anchored can leave it out. Nothing here proves that an event was written at all;
//!   comparing with an independent count does (`audit verify --against`), and invariant 6 says when it is.
//! * A key that leaked and was rotated away signs nothing more that counts with a reader who knows a later one.

pub mod anchors;
pub mod check;
pub mod lines;
pub mod proof;
pub mod trust;

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::units::ids::{Digest32, Seq};
use crate::units::time::Timestamp;

/// Of the signed bytes.
pub const VERSION: u8 = 1;

/// No store counts further. What names a higher number is no part of any books, and sums of such numbers would overflow.
pub const MOST: u64 = i64::MAX as u64;

/// An Ed25519 public key; it is its own id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PublicKey(pub Digest32);

impl PublicKey {
    /// Did the holder of this key sign these bytes?
    pub fn signed(&self, bytes: &[u8], signature: &Signature) -> bool {
        let key = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, self.0.0);
        key.verify(bytes, &signature.0).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for PublicKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| format!("`{text}` is no public key: it has 64 hex digits"))
    }
}

/// An Ed25519 signature, as 128 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Signature(pub [u8; 64]);

impl From<Signature> for String {
    fn from(s: Signature) -> Self {
        let half = |at: usize| Digest32(std::array::from_fn(|i| s.0[at + i]));
        format!("{}{}", half(0), half(32))
    }
}

impl TryFrom<String> for Signature {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (left, right) = text.split_at_checked(64).ok_or("a signature has 128 hex digits")?;
        let (left, right): (Digest32, Digest32) = (left.parse()?, right.parse()?);
        Ok(Self(std::array::from_fn(|i| if i < 32 { left.0[i] } else { right.0[i - 32] })))
    }
}

/// What is said of one interval of the books, and through the head of everything before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    pub version: u8,
    /// 1, 2, 3: a missing one shows.
    pub number: u64,
    /// The interval, both ends in it; empty if `to` is one less than `from`.
    pub from: Seq,
    pub to: Seq,
    /// Fewer than numbers in the interval only where entries never reached the books.
    pub events: u64,
    pub head: Digest32,
    pub root: Digest32,
    pub at: Timestamp,
    /// Who signs.
    pub key: PublicKey,
    /// The hash of the checkpoint before; zeros for the first.
    pub previous: Digest32,
    /// Signs from the next checkpoint on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_key: Option<PublicKey>,
    /// Events up to here were given up by retention; 0 if none was.
    pub pruned_to: Seq,
}

impl Checkpoint {
    /// Whoever gives events up says so in a checkpoint behind them.
    pub fn is_possible(&self) -> bool {
        self.pruned_to < self.from.max(1)
    }

    /// The bytes that are signed: lines of words, so that any tool can make them.
    pub fn text(&self) -> String {
        let Self { version, number, from, to, events, head, root, at, key, previous, next_key, pruned_to } = self;
        let next = next_key.map(|k| format!("next_key {k}\n")).unwrap_or_default();
        format!(
            "bursar checkpoint {version}\nnumber {number}\nfrom {from}\nto {to}\nevents {events}\nhead {head}\nroot {root}\n\
             at {at}\nkey {key}\nprevious {previous}\n{next}pruned_to {pruned_to}\n"
        )
    }

    /// What the next checkpoint, and an anchor, names it by.
    pub fn hash(&self) -> Digest32 {
        Digest32(Sha256::new().chain_update([3]).chain_update(self.text()).finalize().into())
    }

    /// Who signs the next one.
    pub fn signs_next(&self) -> PublicKey {
        self.next_key.unwrap_or(self.key)
    }
}

/// A checkpoint with its signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    #[serde(flatten)]
    pub checkpoint: Checkpoint,
    pub signature: Signature,
}

impl Signed {
    /// As a store keeps it.
    ///
    /// # Errors
    /// It is none, or has numbers that no books can have.
    pub fn read(body: &str) -> Result<Self, String> {
        let read: Self = serde_json::from_str(body).map_err(|e| e.to_string())?;
        if read.is_countable() { Ok(read) } else { Err(format!("its numbers are beyond {MOST}")) }
    }

    /// Has it numbers that books can have?
    pub fn is_countable(&self) -> bool {
        let Checkpoint { number, from, to, events, pruned_to, .. } = &self.checkpoint;
        [number, from, to, events, pruned_to].into_iter().all(|n| *n <= MOST)
    }

    /// By the key that it names; whether that one counts is for `trust`.
    pub fn is_genuine(&self) -> bool {
        self.is_countable() && self.checkpoint.key.signed(self.checkpoint.text().as_bytes(), &self.signature)
    }
}

/// Says that an export is whole: what was asked for, the checkpoint that it ends with, and the hash of all lines before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    #[serde(flatten)]
    pub said: Ending,
    pub signature: Signature,
}

/// What is signed of an end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// The first event that was asked for; the file may begin earlier, at a checkpoint.
    pub from: Seq,
    /// The last one that was asked for, if one was: books may go on behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_to: Option<Seq>,
    pub to: Seq,
    /// Number and hash of the last checkpoint.
    pub number: u64,
    pub last: Digest32,
    /// Given up by retention when this was written; 0 if nothing was.
    pub pruned_to: Seq,
    /// SHA-256 of every byte before this line.
    pub lines: Digest32,
    pub at: Timestamp,
}

impl Ending {
    /// The bytes that are signed.
    pub fn text(&self) -> String {
        let Self { from, asked_to, to, number, last, pruned_to, lines, at } = self;
        let asked = asked_to.map(|seq| format!("asked_to {seq}\n")).unwrap_or_default();
        format!(
            "bursar export {VERSION}\nfrom {from}\n{asked}to {to}\nnumber {number}\nlast {last}\npruned_to {pruned_to}\n\
             lines {lines}\nat {at}\n"
        )
    }
}

impl End {
    pub fn is_by(&self, key: &PublicKey) -> bool {
        let Ending { from, asked_to, to, number, pruned_to, .. } = &self.said;
        let countable = [from, to, number, pruned_to].into_iter().chain(asked_to).all(|n| *n <= MOST);
        countable && key.signed(self.said.text().as_bytes(), &self.signature)
    }
}
