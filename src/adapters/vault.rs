//! The vendors' real credentials: read from the environment or from files, re-read when a file changes, opened only for a
//! call that holds its worst case (`&Reserved`). Prints none of them; knows no vault key. `gateway::forward` places what it opens.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use ring::hmac;

use super::ledger::hold::Reserved;
use crate::rules::subject::Name;
use crate::rules::vendors::credential::Ready;
use crate::rules::vendors::{Placement, is_test_key};
use crate::rules::watch::scan::Traces;
use crate::units::secret::Secret;
use crate::units::vault_key::VaultKey;

/// Where a credential comes from.
#[derive(Clone, Debug)]
pub enum Source {
    Env(String),
    File(PathBuf),
    /// The sandbox's own.
    Given(Secret),
}

impl Source {
    /// What it gives now.
    pub fn read(&self) -> Result<Secret, Missing> {
        match self {
            Self::Given(secret) => Ok(secret.clone()),
            Self::Env(name) => from_env(name),
            Self::File(path) => from_file(path),
        }
    }
}

/// The credential of a vendor that names none.
pub const DEFAULT: &str = "default";

/// Why a source gives no credential. Names the source, never what it holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    #[error("the environment variable `{0}` is not set")]
    Env(String),
    #[error("the file `{0}` cannot be read: {1}")]
    File(String, String),
    #[error("the credential from {0} is empty, or has characters that no header can carry")]
    Unusable(String),
    /// The shell that an agent's key was pasted into, perhaps.
    #[error("the credential from {0} is a vault key, which opens bursar and no vendor")]
    VaultKey(String),
}

/// A credential as it is used.
pub struct Credential {
    secret: Secret,
    ready: OnceLock<Ready>,
    traces: OnceLock<Arc<Traces>>,
}

impl Credential {
    fn new(secret: Secret) -> Self {
        Self { secret, ready: OnceLock::new(), traces: OnceLock::new() }
    }

    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Made at the first call; a vendor has one placement.
    pub fn ready(&self, placement: &Placement) -> &Ready {
        self.ready.get_or_init(|| Ready::new(placement, &self.secret))
    }
}

struct Entry {
    source: Source,
    current: ArcSwapOption<Credential>,
    /// Of the file when it was read last.
    stamp: parking_lot::Mutex<Option<Stamp>>,
}

/// All credentials, by vendor and name.
#[derive(Default)]
pub struct Vault {
    entries: BTreeMap<Name, BTreeMap<Name, Entry>>,
}

impl Vault {
    /// Reads every source once; says which gave nothing. Those are tried again on `refresh`.
    pub fn new(sources: Vec<(Name, Name, Source)>) -> (Self, Vec<(Name, Name, Missing)>) {
        let mut vault = Self::default();
        let mut missing = Vec::new();
        for (vendor, name, source) in sources {
            let entry = Entry { source, current: ArcSwapOption::empty(), stamp: parking_lot::Mutex::new(None) };
            if let Err(e) = entry.read() {
                missing.push((vendor.clone(), name.clone(), e));
            }
            vault.entries.entry(vendor).or_default().insert(name, entry);
        }
        (vault, missing)
    }

    /// The credential for a call whose hold is taken. `None` if there is none.
    pub fn open(&self, _proof: &Reserved, vendor: &Name, name: Option<&Name>) -> Option<Arc<Credential>> {
        self.entry(vendor, name)?.current.load_full()
    }

    /// Is there one? Asked before anything is held, so that nothing is held for nothing.
    pub fn has(&self, vendor: &Name, name: Option<&Name>) -> bool {
        self.entry(vendor, name).is_some_and(|e| e.current.load().is_some())
    }

    /// Was this message signed (HMAC-SHA1, by the password of `user:password`) with one of the vendor's credentials? Tells nothing
    /// else of them.
    pub fn signed_by(&self, vendor: &Name, message: &[u8], signature: &[u8]) -> bool {
        let own = self.entries.get(vendor).into_iter().flatten();
        let held: Vec<_> = own.filter_map(|(_, entry)| entry.current.load_full()).collect();
        held.iter().any(|held| {
            let secret = held.secret.expose();
            let at = secret.iter().position(|byte| *byte == b':').map_or(0, |at| at + 1);
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &secret[at..]);
            // An empty one would be anybody's.
            at < secret.len() && hmac::verify(&key, message, signature).is_ok()
        })
    }

    /// Does it open the vendor's test mode alone? By the published form of its beginning; nothing else of it is told.
    pub fn is_test(&self, vendor: &Name, name: Option<&Name>) -> bool {
        self.entry(vendor, name)
            .is_some_and(|e| e.current.load().as_ref().is_some_and(|c| is_test_key(c.secret.expose())))
    }

    /// What all of them look like, for answers that are searched for them.
    pub fn traces(&self) -> Vec<Arc<Traces>> {
        let held = self.all().filter_map(|(_, _, entry)| entry.current.load_full());
        held.map(|held| held.traces.get_or_init(|| Arc::new(Traces::of(&held.secret))).clone()).collect()
    }

    /// Names of vendor and credential, and whether it is there. For operators.
    pub fn list(&self) -> Vec<(Name, Name, bool)> {
        let there = |e: &Entry| e.current.load().is_some();
        self.all().map(|(vendor, name, e)| (vendor.clone(), name.clone(), there(e))).collect()
    }

    /// Reads changed files again. A file that vanished or went bad keeps the last good value, and is reported.
    pub fn refresh(&self) -> Vec<(Name, Name, Missing)> {
        let changed = self.all().filter(|(_, _, e)| e.changed());
        changed.filter_map(|(vendor, name, e)| Some((vendor.clone(), name.clone(), e.read().err()?))).collect()
    }

    fn entry(&self, vendor: &Name, name: Option<&Name>) -> Option<&Entry> {
        self.entries.get(vendor)?.get(name.map_or(DEFAULT, |name| name))
    }

    fn all(&self) -> impl Iterator<Item = (&Name, &Name, &Entry)> {
        self.entries.iter().flat_map(|(vendor, own)| own.iter().map(move |(name, entry)| (vendor, name, entry)))
    }
}

impl Entry {
    fn changed(&self) -> bool {
        match &self.source {
            Source::File(path) => stamp(path) != *self.stamp.lock(),
            Source::Env(_) | Source::Given(_) => false,
        }
    }

    fn read(&self) -> Result<(), Missing> {
        let from = match &self.source {
            Source::Given(_) => "the sandbox".to_owned(),
            Source::Env(name) => format!("`{name}`"),
            Source::File(path) => {
                *self.stamp.lock() = stamp(path);
                format!("`{}`", path.display())
            }
        };
        let secret = self.source.read()?;
        if !secret.fits_a_header() {
            return Err(Missing::Unusable(from));
        }
        if std::str::from_utf8(secret.expose()).is_ok_and(|text| VaultKey::parse(text).is_some()) {
            return Err(Missing::VaultKey(from));
        }
        self.current.store(Some(Arc::new(Credential::new(secret))));
        Ok(())
    }
}

/// What tells a file from what it was: written twice within one tick of the clock, it has another length or is another file.
type Stamp = (SystemTime, u64, u64);

fn stamp(path: &Path) -> Option<Stamp> {
    let at = std::fs::metadata(path).ok()?;
    Some((at.modified().ok()?, at.len(), at.ino()))
}

fn from_env(name: &str) -> Result<Secret, Missing> {
    std::env::var(name).map(|v| Secret::new(v.trim().to_owned())).map_err(|_| Missing::Env(name.to_owned()))
}

fn from_file(path: &Path) -> Result<Secret, Missing> {
    let text = std::fs::read_to_string(path).map(zeroize::Zeroizing::new);
    let text = text.map_err(|e| Missing::File(path.display().to_string(), e.kind().to_string()))?;
    Ok(Secret::new(text.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vault_key_never_goes_to_a_vendor() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("key");
        std::fs::write(&path, &*VaultKey::from_random(&[7; 52]).reveal()).expect("written");
        let (vault, missing) = Vault::new(vec![("openai".into(), DEFAULT.into(), Source::File(path))]);
        assert!(matches!(missing.as_slice(), [(_, _, Missing::VaultKey(_))]) && !vault.has(&"openai".into(), None));
    }

    #[test]
    fn a_changed_file_is_read_again_and_a_lost_one_keeps_its_last_value() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("key");
        std::fs::write(&path, "sk-one\n").expect("written");
        let name = |s: &str| Name::from(s);
        let (vault, missing) = Vault::new(vec![(name("openai"), name(DEFAULT), Source::File(path.clone()))]);
        assert!(missing.is_empty() && vault.has(&name("openai"), None) && !vault.has(&name("stripe"), None));
        std::fs::write(&path, "bad\nvalue").expect("written");
        let later = SystemTime::now() + std::time::Duration::from_secs(5);
        std::fs::File::options().write(true).open(&path).and_then(|f| f.set_modified(later)).expect("stamped");
        assert_eq!(vault.refresh().len(), 1);
        assert!(vault.has(&name("openai"), None));
        assert!(vault.refresh().is_empty(), "reported once");
    }
}
