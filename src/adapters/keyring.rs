//! Vault keys and kill flags: written to disk first (`DIR/keys.db`), then held in memory for look-up. Does not decide calls:
//! the ledger checks the same flags in its own atomic step, and whoever changes a flag here tells the ledger next.
//! `record` has the values, `wire` their public form, `store` the disk, `shared` what several nodes share, `secrets` the files that hold one secret each.

pub mod record;
pub mod secrets;
pub mod shared;
mod store;
pub mod wire;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;
use parking_lot::Mutex;

use crate::rules::books::Act;
use crate::rules::ledger::account::Shape;
use crate::rules::policy::Overlay;
use crate::rules::subject::{Facts, Flag};
use crate::units::ids::KeyId;
use crate::units::table::Hashing;
use crate::units::time::Timestamp;
use crate::units::vault_key::VaultKey;

pub use record::{FlagRecord, KeyRecord, NewKey, Standing};

/// A key may have so many ancestors.
pub const MAX_DEPTH: usize = 4;
/// How many keys below one may be good at once: they stay in memory, and an agent mints them.
pub const MAX_CHILDREN: usize = 1_000;
/// So long after its end a key is still told from an unknown one; then only the file knows it.
pub const REMEMBERED_SECS: i64 = 30 * 86_400;
/// Characters of a note or a label.
pub const MAX_TEXT: usize = 500;

/// Why the keyring refused, or could not.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    #[error("the keyring does not work: {0}")]
    Store(String),
    #[error("there is no key `{0}`")]
    NoSuchKey(KeyId),
    #[error("key `{0}` has ended: nothing can be minted from it")]
    ParentEnded(KeyId),
    #[error("a key minted from `{0}` would have more than {MAX_DEPTH} ancestors")]
    TooDeep(KeyId),
    #[error(
        "`{0}` has {MAX_CHILDREN} keys that were minted from it, directly or not, and have not ended; no more until some end"
    )]
    TooMany(KeyId),
    #[error("a key ends no later than the one it is minted from, and that one ends {0}")]
    OutlivesParent(Timestamp),
    #[error("a key minted from another lives under the same policy and tenant: `{0}`")]
    LeavesParent(String),
    #[error("the expiry {0} has passed")]
    Past(Timestamp),
    #[error("{0} has more than {MAX_TEXT} characters")]
    TooLong(&'static str),
    /// The flag holds in this process and is lost with it.
    #[error("the flag on {0} holds now, but could not be written and ends with this process; repeat it: {1}")]
    NotDurable(Flag, String),
}

/// All vault keys and kill flags. Look-ups touch memory alone; changes block on the disk, so call them off the async threads.
pub struct Keyring {
    keys: DashMap<KeyId, Arc<KeyRecord>, Hashing>,
    flags: DashMap<Flag, FlagRecord, Hashing>,
    /// Flags on anything wider than a key; zero is the usual case, and costs one load per call.
    wide: AtomicUsize,
    /// Held for the whole of a change, so that memory and disk change in one order.
    store: Mutex<store::Store>,
}

impl Keyring {
    /// Opens or makes `dir/keys.db`.
    pub fn open(dir: &Path) -> Result<Self, KeyringError> {
        let path = dir.join("keys.db");
        let store = store::Store::open(&path)?;
        let keys = store.keys()?.into_iter().map(|k| (k.id.clone(), Arc::new(k))).collect();
        let flags: DashMap<_, _, Hashing> = store.flags()?.into_iter().map(|f| (f.flag.clone(), f)).collect();
        let wide = flags.iter().filter(|f| f.on && !is_key(&f.flag)).count();
        Ok(Self { keys, flags, wide: AtomicUsize::new(wide), store: Mutex::new(store) })
    }

    pub fn find(&self, id: &KeyId) -> Option<Arc<KeyRecord>> {
        self.keys.get(id).map(|k| Arc::clone(&k))
    }

    /// Is this key good now? Revoked comes before expired: it is the stronger word.
    pub fn standing(&self, key: &KeyRecord, now: Timestamp) -> Standing {
        let revoked = key.chain().find_map(|id| self.flag(&Flag::Key { id: id.clone() }));
        match (revoked, key.expires_at) {
            (Some(flag), _) => Standing::Revoked(flag),
            (None, Some(end)) if end <= now => Standing::Expired(end),
            _ => Standing::Good,
        }
    }

    /// The flag that is set on exactly this.
    pub fn flag(&self, flag: &Flag) -> Option<FlagRecord> {
        self.flags.get(flag).filter(|f| f.on).map(|f| f.clone())
    }

    /// The first flag that stops a call with these facts. The ledger asks again when it reserves.
    pub fn stopped(&self, facts: &Facts) -> Option<FlagRecord> {
        if self.wide.load(Ordering::Acquire) == 0 {
            return facts.keys.iter().find_map(|id| self.flag(&Flag::Key { id: id.clone() }));
        }
        Flag::over(facts).iter().find_map(|flag| self.flag(flag))
    }

    /// A key that `forget_ended` took out of memory, from the file.
    pub fn recall(&self, id: &KeyId) -> Result<Option<KeyRecord>, KeyringError> {
        self.store.lock().key(id)
    }

    /// Takes keys that ended long ago out of memory, with their flags; says how many. The file keeps them, and the books
    /// their calls. A key ends no later than the one it was minted from, so no key loses an ancestor that it still needs.
    pub fn forget_ended(&self, now: Timestamp) -> usize {
        let store = self.store.lock();
        let (before, long_ago) = (self.keys.len(), now.plus_secs(-REMEMBERED_SECS));
        self.keys.retain(|_, key| key.expires_at.is_none_or(|end| end > long_ago));
        let of_nobody = |flag: &Flag| matches!(flag, Flag::Key { id } if !self.keys.contains_key(id));
        self.flags.retain(|flag, record| !record.told || !of_nobody(flag));
        drop(store);
        before.saturating_sub(self.keys.len())
    }

    /// Every key, newest first; without those that ended long ago.
    pub fn list(&self) -> Vec<Arc<KeyRecord>> {
        let mut all: Vec<_> = self.keys.iter().map(|k| Arc::clone(&k)).collect();
        all.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
        all
    }

    /// Every flag that is set, newest first.
    pub fn flags(&self) -> Vec<FlagRecord> {
        self.records(|f| f.on)
    }

    /// Changes that the ledger has not confirmed: to be told again at start.
    pub fn untold(&self) -> Vec<FlagRecord> {
        self.records(|f| !f.told)
    }

    fn records(&self, keep: impl Fn(&FlagRecord) -> bool) -> Vec<FlagRecord> {
        let mut found: Vec<_> = self.flags.iter().filter(|f| keep(f)).map(|f| f.clone()).collect();
        found.sort_by(|a, b| (b.at, &a.flag).cmp(&(a.at, &b.flag)));
        found
    }

    /// The shapes of the keys' own budgets, to be counted beside the policies'. Those of ended keys need no counting.
    pub fn shapes(&self, now: Timestamp) -> Vec<Shape> {
        let live = self.keys.iter().filter(|k| k.expires_at.is_none_or(|end| end > now));
        let shapes = |k: &KeyRecord| k.overlay.iter().flat_map(Overlay::shapes).cloned().collect::<Vec<_>>();
        live.flat_map(|k| shapes(&k)).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// A new key. The `VaultKey` is the only copy of its secret: show it once.
    pub fn mint(&self, new: NewKey, now: Timestamp) -> Result<(VaultKey, Arc<KeyRecord>), KeyringError> {
        let parent = new
            .parent
            .as_ref()
            .map(|id| self.find(id).ok_or_else(|| KeyringError::NoSuchKey(id.clone())))
            .transpose()?;
        if let Some(parent) = &parent
            && !matches!(self.standing(parent, now), Standing::Good)
        {
            return Err(KeyringError::ParentEnded(parent.id.clone()));
        }
        let store = self.store.lock();
        if let Some(parent) = &parent {
            self.room_below(parent, now)?;
        }
        let secret = random_key(|id| self.keys.contains_key(id))?;
        let record = Arc::new(new.record(&secret, parent.as_deref(), now)?);
        store.insert(&record)?;
        self.keys.insert(record.id.clone(), Arc::clone(&record));
        Ok((secret, record))
    }

    /// Goes over all keys: a child is minted rarely beside how often one is used.
    fn room_below(&self, parent: &KeyRecord, now: Timestamp) -> Result<(), KeyringError> {
        let root = parent.ancestors.last().unwrap_or(&parent.id);
        let lives = |key: &KeyRecord| key.expires_at.is_none_or(|end| end > now) && key.ancestors.contains(root);
        match self.keys.iter().filter(|key| lives(key)).count() < MAX_CHILDREN {
            true => Ok(()),
            false => Err(KeyringError::TooMany(root.clone())),
        }
    }

    /// Unmakes a key that was never shown to anybody, because its event could not be written.
    pub fn forget(&self, id: &KeyId) -> Result<(), KeyringError> {
        let store = self.store.lock();
        self.keys.remove(id);
        store.forget(id)
    }

    /// Sets a flag. On `NotDurable` it holds in memory all the same: a stop is never weaker than it can be.
    pub fn stop(&self, flag: &Flag, act: &Act, now: Timestamp) -> Result<FlagRecord, KeyringError> {
        let store = self.store.lock();
        let record =
            FlagRecord { flag: flag.clone(), on: true, act: act.clone(), at: self.after(flag, now), told: false };
        // In memory first: a slow disk delays the answer, and not the stop.
        self.remember(record.clone());
        match store.put_flag(&record) {
            Ok(()) => Ok(record),
            Err(e) => Err(KeyringError::NotDurable(flag.clone(), e.to_string())),
        }
    }

    /// Clears a flag; `None` if it was not set.
    pub fn restore(&self, flag: &Flag, act: &Act, now: Timestamp) -> Result<Option<FlagRecord>, KeyringError> {
        let store = self.store.lock();
        if self.flag(flag).is_none() {
            return Ok(None);
        }
        let at = self.after(flag, now);
        let record = FlagRecord { flag: flag.clone(), on: false, act: act.clone(), at, told: false };
        store.put_flag(&record)?;
        self.remember(record.clone());
        Ok(Some(record))
    }

    /// Later than what is known of this flag, whatever the clock of the node that said it.
    fn after(&self, flag: &Flag, now: Timestamp) -> Timestamp {
        self.flags.get(flag).map_or(now, |known| now.max(Timestamp(known.at.0.saturating_add(1))))
    }

    /// A key that another node minted. `false` if it is known here.
    pub fn take_key(&self, key: KeyRecord) -> Result<bool, KeyringError> {
        let store = self.store.lock();
        if self.keys.contains_key(&key.id) || store.key(&key.id)?.is_some() {
            return Ok(false);
        }
        store.insert(&key)?;
        self.keys.insert(key.id.clone(), Arc::new(key));
        Ok(true)
    }

    /// A flag as another node changed it. `None` if what is known here is as late or later.
    pub fn take_flag(&self, record: FlagRecord) -> Result<Option<FlagRecord>, KeyringError> {
        let store = self.store.lock();
        if self.flags.get(&record.flag).is_some_and(|known| (known.at, known.on) >= (record.at, record.on)) {
            return Ok(None);
        }
        if record.on {
            // In memory first: a slow disk delays no stop.
            self.remember(record.clone());
        }
        store.put_flag(&record)?;
        self.remember(record.clone());
        Ok(Some(record))
    }

    /// Every flag that was ever changed, set or not.
    pub fn all_flags(&self) -> Vec<FlagRecord> {
        self.records(|_| true)
    }

    /// What is known of this flag, set or not.
    pub fn known(&self, flag: &Flag) -> Option<FlagRecord> {
        self.flags.get(flag).map(|f| f.clone())
    }

    /// The ledger has confirmed this change. Losing this mark is harmless: the ledger is told once more.
    pub fn told(&self, record: &FlagRecord) -> Result<(), KeyringError> {
        self.mark(record, true)
    }

    /// The ledger does not know this change (any more): it is to be told again.
    pub fn doubt(&self, record: &FlagRecord) -> Result<(), KeyringError> {
        self.mark(record, false)
    }

    fn mark(&self, record: &FlagRecord, told: bool) -> Result<(), KeyringError> {
        let store = self.store.lock();
        // A later change, made meanwhile, has a mark of its own.
        if self.known(&record.flag).is_some_and(|known| (known.at, known.on) != (record.at, record.on)) {
            return Ok(());
        }
        let marked = FlagRecord { told, ..record.clone() };
        store.put_flag(&marked)?;
        self.remember(marked);
        Ok(())
    }

    /// Flags that the ledger knows and this file does not, because it was put back from an older copy: they hold here too,
    /// so that the door and the ledger agree and an operator can clear them. Says which.
    pub fn adopt(&self, known: &[Flag], now: Timestamp) -> Result<Vec<Flag>, KeyringError> {
        let act = Act { actor: "bursar".to_owned(), reason: Some(record::ADOPTED.to_owned()) };
        let missing = known.iter().filter(|flag| self.flags.get(*flag).is_none_or(|f| !f.on && f.told));
        let missing: Vec<Flag> = missing.cloned().collect();
        let store = self.store.lock();
        for flag in &missing {
            let record = FlagRecord { flag: flag.clone(), on: true, act: act.clone(), at: now, told: true };
            store.put_flag(&record)?;
            self.remember(record);
        }
        Ok(missing)
    }

    fn remember(&self, record: FlagRecord) {
        let (wider, on) = (!is_key(&record.flag), record.on);
        let was = self.flags.insert(record.flag.clone(), record).is_some_and(|f| f.on);
        match (wider, was, on) {
            (true, false, true) => self.wide.fetch_add(1, Ordering::AcqRel),
            (true, true, false) => self.wide.fetch_sub(1, Ordering::AcqRel),
            _ => 0,
        };
    }
}

fn is_key(flag: &Flag) -> bool {
    matches!(flag, Flag::Key { .. })
}

/// A key whose id is nobody's yet.
fn random_key(taken: impl Fn(&KeyId) -> bool) -> Result<VaultKey, KeyringError> {
    loop {
        let mut bytes = zeroize::Zeroizing::new([0; 52]);
        getrandom::fill(bytes.as_mut()).map_err(|e| KeyringError::Store(format!("no random bytes: {e}")))?;
        let key = VaultKey::from_random(&bytes);
        if !taken(&key.id) {
            return Ok(key);
        }
    }
}
