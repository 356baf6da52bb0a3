//! Who acts: the levels of a subject and the facts of a call that accounts, kill flags and rows are named by.
//! Does not decide anything. `ledger::account` names accounts from these.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::units::ids::KeyId;

/// A name that many calls share.
pub type Name = Arc<str>;

/// `tenant / workspace / app / workflow / agent / toolset`, plus run and free dimensions.
/// Each value is a name within its tenant; levels between are no part of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    pub tenant: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toolset: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Name>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dimensions: BTreeMap<Name, Name>,
}

impl Default for Subject {
    fn default() -> Self {
        Self {
            tenant: Arc::from(DEFAULT_TENANT),
            workspace: None,
            app: None,
            workflow: None,
            agent: None,
            toolset: None,
            run: None,
            dimensions: BTreeMap::new(),
        }
    }
}

/// The tenant of a key that names none.
pub const DEFAULT_TENANT: &str = "default";

/// All that accounts and kill flags are named by: the subject, the key with its ancestors, policy, vendor, operation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Facts {
    pub subject: Subject,
    /// The key itself first, then its parent, and so on.
    pub keys: Vec<KeyId>,
    pub policy: Name,
    pub vendor: Name,
    /// Method and path template, e.g. `POST /v1/refunds`; the judged path where no template matched.
    pub operation: Name,
    /// The run is only claimed, by a header that the policy does not trust: it names rows and kills, and counts on no account.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub claimed_run: bool,
}

/// What a person can switch off.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Flag {
    Key { id: KeyId },
    Agent { tenant: Name, name: Name },
    Run { tenant: Name, name: Name },
    Tenant { name: Name },
    Policy { name: Name },
    Vendor { name: Name },
    Everyone,
}

impl Flag {
    /// Every flag that would stop a call with these facts.
    pub fn over(facts: &Facts) -> Vec<Self> {
        let tenant = &facts.subject.tenant;
        let mut flags: Vec<Self> = facts.keys.iter().map(|id| Self::Key { id: id.clone() }).collect();
        flags.push(Self::Everyone);
        flags.push(Self::Tenant { name: tenant.clone() });
        flags.push(Self::Policy { name: facts.policy.clone() });
        flags.push(Self::Vendor { name: facts.vendor.clone() });
        flags.extend(facts.subject.agent.iter().map(|name| Self::Agent { tenant: tenant.clone(), name: name.clone() }));
        flags.extend(facts.subject.run.iter().map(|name| Self::Run { tenant: tenant.clone(), name: name.clone() }));
        flags
    }

    /// Does this flag stop a call with these facts?
    pub fn stops(&self, facts: &Facts) -> bool {
        let in_tenant = |t: &Name| *t == facts.subject.tenant;
        match self {
            Self::Key { id } => facts.keys.contains(id),
            Self::Agent { tenant, name } => in_tenant(tenant) && facts.subject.agent.as_ref() == Some(name),
            Self::Run { tenant, name } => in_tenant(tenant) && facts.subject.run.as_ref() == Some(name),
            Self::Tenant { name } => in_tenant(name),
            Self::Policy { name } => *name == facts.policy,
            Self::Vendor { name } => *name == facts.vendor,
            Self::Everyone => true,
        }
    }
}

/// `key vk id`, `agent default/refunds`, `everyone`: as logs and errors name it.
impl std::fmt::Display for Flag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key { id } => write!(f, "key {id}"),
            Self::Agent { tenant, name } => write!(f, "agent {tenant}/{name}"),
            Self::Run { tenant, name } => write!(f, "run {tenant}/{name}"),
            Self::Tenant { name } => write!(f, "tenant {name}"),
            Self::Policy { name } => write!(f, "policy {name}"),
            Self::Vendor { name } => write!(f, "vendor {name}"),
            Self::Everyone => f.write_str("everyone"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            subject: Subject { agent: Some("a".into()), run: Some("r".into()), ..Subject::default() },
            keys: vec![KeyId("child".into()), KeyId("parent".into())],
            policy: "p".into(),
            vendor: "stripe".into(),
            operation: "POST /v1/refunds".into(),
            claimed_run: false,
        }
    }

    #[test]
    fn the_flags_over_a_call_are_those_that_stop_it() {
        let facts = facts();
        let over = Flag::over(&facts);
        assert_eq!(over.len(), 8);
        assert!(over.iter().all(|f| f.stops(&facts)));
        let elsewhere = Flag::Agent { tenant: "other".into(), name: "a".into() };
        assert!(!elsewhere.stops(&facts) && !Flag::Key { id: KeyId("x".into()) }.stops(&facts));
    }
}
