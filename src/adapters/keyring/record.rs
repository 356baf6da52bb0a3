//! What the keyring knows of a key and of a flag, and how a new key is made from what was asked. No disk, no clock.

use serde::{Deserialize, Serialize};

use super::{KeyringError, MAX_DEPTH, MAX_TEXT};
use crate::rules::books::Act;
use crate::rules::policy::Overlay;
use crate::rules::subject::{Flag, Name, Subject};
use crate::units::ids::{Digest32, KeyId};
use crate::units::time::Timestamp;
use crate::units::vault_key::VaultKey;

/// One vault key: everything but its secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyRecord {
    pub id: KeyId,
    /// Of the secret; `VaultKey::matches` compares it in constant time.
    pub hash: Digest32,
    pub subject: Subject,
    pub policy: Name,
    /// Narrows the policy for this key alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlay: Option<Overlay>,
    /// The keys it was minted from, nearest first; empty for an operator's key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ancestors: Vec<KeyId>,
    pub created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// A short name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Who minted it.
    pub by: String,
}

impl KeyRecord {
    pub fn parent(&self) -> Option<&KeyId> {
        self.ancestors.first()
    }

    /// The key itself, then its ancestors: what `Facts.keys` holds.
    pub fn chain(&self) -> impl Iterator<Item = &KeyId> {
        std::iter::once(&self.id).chain(&self.ancestors)
    }
}

/// What is asked of `mint`. Whether the overlay only narrows is the caller's to check: it has the policy.
#[derive(Clone, Debug)]
pub struct NewKey {
    pub subject: Subject,
    pub policy: Name,
    pub overlay: Option<Overlay>,
    pub parent: Option<KeyId>,
    pub expires_at: Option<Timestamp>,
    pub label: Option<String>,
    pub note: Option<String>,
    pub by: String,
}

impl NewKey {
    pub(super) fn record(
        self,
        key: &VaultKey,
        parent: Option<&KeyRecord>,
        now: Timestamp,
    ) -> Result<KeyRecord, KeyringError> {
        self.check_texts()?;
        if let Some(end) = self.expires_at.filter(|end| *end <= now) {
            return Err(KeyringError::Past(end));
        }
        let expires_at = parent.map_or(Ok(self.expires_at), |p| self.beneath(p))?;
        Ok(KeyRecord {
            id: key.id.clone(),
            hash: key.hash(),
            subject: self.subject,
            policy: self.policy,
            overlay: self.overlay,
            ancestors: parent.map(|p| p.chain().cloned().collect()).unwrap_or_default(),
            created_at: now,
            expires_at,
            label: self.label,
            note: self.note,
            by: self.by,
        })
    }

    /// A child stays where its parent is, and ends no later. Answers when it ends.
    fn beneath(&self, parent: &KeyRecord) -> Result<Option<Timestamp>, KeyringError> {
        if parent.ancestors.len() >= MAX_DEPTH {
            return Err(KeyringError::TooDeep(parent.id.clone()));
        }
        if self.policy != parent.policy || self.subject.tenant != parent.subject.tenant {
            return Err(KeyringError::LeavesParent(format!("{} in {}", parent.policy, parent.subject.tenant)));
        }
        match (self.expires_at, parent.expires_at) {
            (Some(own), Some(end)) if own > end => Err(KeyringError::OutlivesParent(end)),
            (own, end) => Ok(own.or(end)),
        }
    }

    fn check_texts(&self) -> Result<(), KeyringError> {
        let long = |t: &Option<String>| t.as_ref().is_some_and(|t| t.chars().count() > MAX_TEXT);
        match () {
            () if long(&self.label) => Err(KeyringError::TooLong("the label")),
            () if long(&self.note) => Err(KeyringError::TooLong("the note")),
            () => Ok(()),
        }
    }
}

/// Whether a key that was found may be used.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    Good,
    Expired(Timestamp),
    /// The flag names the key itself or the ancestor that was revoked.
    Revoked(FlagRecord),
}

/// One kill flag: who set (or cleared) it, when and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FlagRecord {
    pub flag: Flag,
    /// False once it was cleared; such a record stays only for its history and until the ledger was told.
    pub on: bool,
    #[serde(flatten)]
    pub act: Act,
    pub at: Timestamp,
    /// Has the ledger confirmed it?
    #[serde(skip)]
    pub told: bool,
}

/// Why a flag is set that only the ledger knew of.
pub const ADOPTED: &str = "the ledger knew of it";

impl FlagRecord {
    /// Nobody is known who set it.
    pub fn adopted(&self) -> bool {
        self.act.reason.as_deref() == Some(ADOPTED)
    }
}
