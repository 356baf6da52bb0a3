//! What responses left behind at their vendor, in tokens, by their ids: so that a call that goes on from one is bounded by what it
//! was, and not by what a model takes at most. In memory alone and of bounded size; what is forgotten, or was answered elsewhere,
//! has the larger bound. Ids are those of one credential and account, and count for the model that answered; of others nothing is
//! told.

use std::collections::HashMap;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use crate::units::ids::Digest32;

/// Ids in each half. When one is full the older one goes.
const HALF: usize = 50_000;

type Key = [u8; 16];

/// Totals by id.
#[derive(Default)]
pub struct Remembered {
    halves: Mutex<[HashMap<Key, u64>; 2]>,
}

/// Whose ids they are: a vendor's, of one credential and account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place([u8; 32]);

impl Place {
    pub fn of<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// Names it in the books.
    pub fn digest(&self) -> Digest32 {
        Digest32(self.0)
    }

    fn key(&self, id: &str, row: &str) -> Key {
        let hash = Sha256::new().chain_update(self.0).chain_update((id.len() as u64).to_le_bytes());
        let hash: [u8; 32] = hash.chain_update(id).chain_update(row).finalize().into();
        let mut key = Key::default();
        key.copy_from_slice(&hash[..16]);
        key
    }
}

impl Remembered {
    pub fn put(&self, place: &Place, id: &str, row: &str, tokens: u64) {
        let mut halves = self.halves.lock();
        if halves[0].len() >= HALF {
            let [new, old] = &mut *halves;
            std::mem::swap(new, old);
            new.clear();
        }
        halves[0].insert(place.key(id, row), tokens);
    }

    pub fn get(&self, place: &Place, id: &str, row: &str) -> Option<u64> {
        let (key, halves) = (place.key(id, row), self.halves.lock());
        halves.iter().find_map(|half| half.get(&key).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_and_others_see_nothing() {
        let (memory, place, other) =
            (Remembered::default(), Place::of([&b"a"[..], b"b"]), Place::of([&b"ab"[..], b""]));
        let get = |place: &Place, id: &str| memory.get(place, id, "m");
        memory.put(&place, "first", "m", 7);
        assert_eq!((get(&place, "first"), get(&other, "first")), (Some(7), None));
        assert_eq!(memory.get(&place, "first", "another"), None, "another model counts otherwise");
        for n in 0..HALF {
            memory.put(&place, &n.to_string(), "m", n as u64);
        }
        assert_eq!(get(&place, "first"), Some(7));
        for n in HALF..2 * HALF {
            memory.put(&place, &n.to_string(), "m", n as u64);
        }
        assert_eq!((get(&place, "first"), get(&place, "99999")), (None, Some(99_999)));
        assert!(memory.halves.lock().iter().all(|half| half.len() <= HALF));
    }
}
