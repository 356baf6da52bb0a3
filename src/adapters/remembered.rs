//! What responses left behind at their vendor, in tokens, by their ids: so that a call that goes on from one is bounded by what it
//! was, and not by what a model takes at most. In memory alone and of bounded size; what is forgotten, or was answered elsewhere,
//! has the larger bound. Ids are those of one credential and account; of others nothing is told.

use std::collections::HashMap;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

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

    fn key(&self, id: &str) -> Key {
        let hash: [u8; 32] = Sha256::new().chain_update(self.0).chain_update(id).finalize().into();
        let mut key = Key::default();
        key.copy_from_slice(&hash[..16]);
        key
    }
}

impl Remembered {
    pub fn put(&self, place: &Place, id: &str, tokens: u64) {
        let mut halves = self.halves.lock();
        if halves[0].len() >= HALF {
            let [new, old] = &mut *halves;
            std::mem::swap(new, old);
            new.clear();
        }
        halves[0].insert(place.key(id), tokens);
    }

    pub fn get(&self, place: &Place, id: &str) -> Option<u64> {
        let (key, halves) = (place.key(id), self.halves.lock());
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
        memory.put(&place, "first", 7);
        assert_eq!((memory.get(&place, "first"), memory.get(&other, "first")), (Some(7), None));
        for n in 0..HALF {
            memory.put(&place, &n.to_string(), n as u64);
        }
        assert_eq!(memory.get(&place, "first"), Some(7));
        for n in HALF..2 * HALF {
            memory.put(&place, &n.to_string(), n as u64);
        }
        assert_eq!((memory.get(&place, "first"), memory.get(&place, "99999")), (None, Some(99_999)));
        assert!(memory.halves.lock().iter().all(|half| half.len() <= HALF));
    }
}
