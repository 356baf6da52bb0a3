//! Which keys count: those that the reader brought, and those that a key which counts has named as its successor.

use super::{PublicKey, Signed};

/// Keys that a checkpoint may be signed with.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// What the reader brought. Empty: the first key that is met is taken as it is, and said to be unconfirmed.
    given: Vec<PublicKey>,
    /// Signs now, by the chain of keys.
    current: Option<PublicKey>,
    /// Signed before, and named a successor. They may be in wrong hands by now.
    retired: Vec<PublicKey>,
    vouched: bool,
}

impl Trust {
    pub fn new(given: Vec<PublicKey>) -> Self {
        Self { given, ..Self::default() }
    }

    /// May this key sign the next checkpoint? The first one may always; `is_vouched` says at the end whether a key that the
    /// reader brought stands behind it, before it or after: checkpoints are chained, so a later one vouches for earlier ones.
    pub fn admits(&self, key: &PublicKey) -> bool {
        self.current.is_none_or(|current| current == *key) || (self.given.contains(key) && !self.retired.contains(key))
    }

    /// A genuine checkpoint in the chain of keys.
    pub fn follow(&mut self, signed: &Signed) {
        let at = &signed.checkpoint;
        self.vouched |= self.given.contains(&at.key);
        self.retired.extend(at.next_key.is_some().then_some(at.key));
        self.current = Some(at.signs_next());
    }

    /// The key that signs now.
    pub fn current(&self) -> Option<PublicKey> {
        self.current
    }

    /// A key that the reader brought has signed; without any, there is nothing to compare with.
    pub fn is_vouched(&self) -> bool {
        self.vouched || self.given.is_empty()
    }

    pub fn is_confirmed(&self) -> bool {
        self.vouched
    }

    /// Does a chain of changes lead from a given key to this one? A later key does not vouch for an earlier one here.
    pub fn reaches(given: &[PublicKey], changes: &[Signed], key: &PublicKey) -> bool {
        let mut known = given.to_vec();
        for change in changes.iter().filter(|c| c.is_genuine()) {
            if let (true, Some(next)) = (known.contains(&change.checkpoint.key), change.checkpoint.next_key) {
                known.push(next);
            }
        }
        known.contains(key)
    }
}
