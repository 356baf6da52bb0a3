//! Keys and flags as the admin API speaks of them and `--json` prints them. Values alone: `control` answers with them, and
//! the command line reads them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{FlagRecord, KeyRecord, Standing};
use crate::adapters::fleet::node::NodeAnswer;
use crate::rules::policy::Overlay;
use crate::rules::subject::{DEFAULT_TENANT, Flag, Name, Subject};
use crate::units::ids::{KeyId, Seq};
use crate::units::time::Timestamp;

/// What a new key shall be.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MintRequest {
    pub policy: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub toolset: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub dimensions: BTreeMap<String, String>,
    /// Narrower rules for this key alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlay: Option<Overlay>,
    /// Mint it from this key: it ends with it, and counts on its accounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<KeyId>,
    /// From now; or `expires_at`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_secs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl MintRequest {
    /// Whom the key stands for; every name that cannot be one is a mistake.
    pub fn subject(&self) -> Result<Subject, Vec<String>> {
        let mut wrong = Vec::new();
        let mut name = |field: &str, value: &Option<String>| -> Option<Name> {
            let value = value.as_deref()?;
            wrong.extend(bad_name(value).map(|why| format!("`{field}` {why}")));
            Some(Name::from(value))
        };
        let subject = Subject {
            tenant: name("tenant", &self.tenant).unwrap_or_else(|| Name::from(DEFAULT_TENANT)),
            workspace: name("workspace", &self.workspace),
            app: name("app", &self.app),
            workflow: name("workflow", &self.workflow),
            agent: name("agent", &self.agent),
            toolset: name("toolset", &self.toolset),
            run: name("run", &self.run),
            dimensions: self.dimensions.iter().map(|(k, v)| (Name::from(&**k), Name::from(&**v))).collect(),
        };
        wrong.extend(self.dimensions.iter().filter_map(|(k, v)| bad_dimension(k, v)));
        if wrong.is_empty() { Ok(subject) } else { Err(wrong) }
    }
}

const LONGEST_NAME: usize = 128;
const MOST_DIMENSIONS: usize = 16;

fn bad_name(name: &str) -> Option<&'static str> {
    match name.chars().count() > LONGEST_NAME {
        true => Some("has more than 128 characters"),
        false => no_name(name),
    }
}

/// Why nothing can bear this name. Names are parts of account names, where `/` and blanks separate.
pub fn no_name(name: &str) -> Option<&'static str> {
    match () {
        () if name.is_empty() => Some("is empty"),
        () if name.contains('/') => Some("has a `/`; names are parts of account names, which `/` separates"),
        () if name.chars().any(|c| c.is_whitespace() || c.is_control()) => Some("has a blank or a control character"),
        () => None,
    }
}

fn bad_dimension(key: &str, value: &str) -> Option<String> {
    let odd = value.is_empty() || value.chars().count() > 256 || value.chars().any(char::is_control);
    match bad_name(key) {
        Some(why) => Some(format!("dimension `{key}` {why}")),
        None => {
            odd.then(|| format!("dimension `{key}` needs a value of 1 to 256 characters without control characters"))
        }
    }
}

impl MintRequest {
    pub fn too_many_dimensions(&self) -> bool {
        self.dimensions.len() > MOST_DIMENSIONS
    }
}

/// One key, without its secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyView {
    #[serde(rename = "key_id")]
    pub id: KeyId,
    #[serde(rename = "policy_id")]
    pub policy: Name,
    pub subject: Subject,
    pub overlay: Option<Overlay>,
    /// Nearest first.
    pub ancestors: Vec<KeyId>,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub label: Option<String>,
    pub note: Option<String>,
    pub by: String,
    pub status: KeyStatus,
    /// The flag that revoked it, on itself or on an ancestor.
    pub revoked: Option<FlagView>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyStatus {
    Good,
    Expired,
    Revoked,
}

impl KeyStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl KeyView {
    pub fn new(key: &KeyRecord, standing: Standing) -> Self {
        let (status, revoked) = match standing {
            Standing::Good => (KeyStatus::Good, None),
            Standing::Expired(_) => (KeyStatus::Expired, None),
            Standing::Revoked(flag) => (KeyStatus::Revoked, Some(FlagView::from(flag))),
        };
        Self {
            id: key.id.clone(),
            policy: key.policy.clone(),
            subject: key.subject.clone(),
            overlay: key.overlay.clone(),
            ancestors: key.ancestors.clone(),
            created_at: key.created_at,
            expires_at: key.expires_at,
            label: key.label.clone(),
            note: key.note.clone(),
            by: key.by.clone(),
            status,
            revoked,
        }
    }
}

/// A key at the one moment when it is shown.
#[derive(Clone, Serialize, Deserialize)]
pub struct Minted {
    #[serde(rename = "key_id")]
    pub id: KeyId,
    pub key: String,
    #[serde(rename = "policy_id")]
    pub policy: Name,
    pub subject: Subject,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
}

/// Without the key.
impl std::fmt::Debug for Minted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Minted").field("id", &self.id).field("policy", &self.policy).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyList {
    pub keys: Vec<KeyView>,
}

/// What to switch off or on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwitchRequest {
    pub flag: Flag,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReasonRequest {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a switch did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Switched {
    pub flag: Flag,
    /// Is it off now?
    pub stopped: bool,
    /// Calls in flight that were ended.
    pub calls_ended: usize,
    /// The event that says so.
    pub seq: Seq,
    pub at: Timestamp,
    /// What every node of the fleet did about it; none where the ledger is one node's alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<NodeAnswer>,
}

/// A flag that is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlagView {
    pub flag: Flag,
    pub at: Timestamp,
    pub actor: String,
    pub reason: Option<String>,
}

impl From<FlagRecord> for FlagView {
    fn from(f: FlagRecord) -> Self {
        Self { flag: f.flag, at: f.at, actor: f.act.actor, reason: f.act.reason }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FlagList {
    pub flags: Vec<FlagView>,
}
