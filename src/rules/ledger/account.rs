//! Accounts: named by what they count (scope and its value, unit, window, vendor or operations), never by who limits them.
//! Holds no amounts; `book` does.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::rules::pattern::OperationPattern;
use crate::rules::subject::{Facts, Name, Subject};
use crate::units::amount::Unit;
use crate::units::time::Window;

/// Whose calls an account counts together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    Key,
    Run,
    Toolset,
    Agent,
    Workflow,
    App,
    Workspace,
    Tenant,
    Policy,
    Vendor,
    Everyone,
}

impl Scope {
    pub const ALL: [Self; 11] = [
        Self::Key,
        Self::Run,
        Self::Toolset,
        Self::Agent,
        Self::Workflow,
        Self::App,
        Self::Workspace,
        Self::Tenant,
        Self::Policy,
        Self::Vendor,
        Self::Everyone,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Run => "run",
            Self::Toolset => "toolset",
            Self::Agent => "agent",
            Self::Workflow => "workflow",
            Self::App => "app",
            Self::Workspace => "workspace",
            Self::Tenant => "tenant",
            Self::Policy => "policy",
            Self::Vendor => "vendor",
            Self::Everyone => "everyone",
        }
    }

    /// Does it stand above tenants? Then a denial names no amounts.
    pub fn above_tenants(self) -> bool {
        matches!(self, Self::Policy | Self::Vendor | Self::Everyone)
    }

    /// Is there one account for each value, and not one for all?
    pub fn has_values(self) -> bool {
        self != Self::Everyone
    }

    /// The level of the subject that this scope counts by.
    fn level(self, subject: &Subject) -> Option<&Name> {
        match self {
            Self::Run => subject.run.as_ref(),
            Self::Toolset => subject.toolset.as_ref(),
            Self::Agent => subject.agent.as_ref(),
            Self::Workflow => subject.workflow.as_ref(),
            Self::App => subject.app.as_ref(),
            Self::Workspace => subject.workspace.as_ref(),
            Self::Tenant | Self::Key | Self::Policy | Self::Vendor | Self::Everyone => None,
        }
    }

    /// The names that a call has in this scope: several only for `key` (its ancestors), none if the level is unset.
    pub fn values(self, facts: &Facts) -> Vec<String> {
        let mut values = Vec::new();
        self.each_value(facts, |pieces| values.push(pieces.concat()));
        values
    }

    /// The same, each in pieces.
    fn each_value<'f>(self, facts: &'f Facts, mut give: impl FnMut(&[&'f str])) {
        let tenant = &*facts.subject.tenant;
        match self {
            Self::Key => facts.keys.iter().for_each(|key| give(&[key.as_str()])),
            Self::Tenant => give(&[tenant]),
            Self::Policy => give(&[&facts.policy]),
            Self::Vendor => give(&[&facts.vendor]),
            Self::Everyone => give(&[]),
            Self::Run if facts.claimed_run => {}
            _ => self.level(&facts.subject).into_iter().for_each(|v| give(&[tenant, "/", v])),
        }
    }
}

/// One account without its window start, as text: `agent:default/refunds usd day vendor=stripe`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountName(pub Arc<str>);

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A family of accounts: one for each value of its scope.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Shape {
    pub scope: Scope,
    pub unit: Unit,
    pub window: Window,
    /// Counts this vendor's calls alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<Name>,
    /// Counts these operations alone; all if empty. Sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<OperationPattern>,
}

impl Shape {
    /// The accounts of this shape that a call with these facts counts on.
    pub fn accounts(&self, facts: &Facts) -> Vec<AccountName> {
        if !self.covers(facts) {
            return Vec::new();
        }
        let (mut accounts, mut room) = (Vec::new(), String::new());
        self.each_account(facts, &mut room, |account| accounts.push(account));
        accounts
    }

    /// The accounts of a call that is covered; `room` is where their names are put together.
    pub fn each_account(&self, facts: &Facts, room: &mut String, mut give: impl FnMut(AccountName)) {
        self.scope.each_value(facts, |value| {
            room.clear();
            self.write(value, room);
            give(AccountName(Arc::from(room.as_str())));
        });
    }

    fn covers(&self, facts: &Facts) -> bool {
        self.vendor.as_ref().is_none_or(|v| *v == facts.vendor)
            && (self.operations.is_empty() || self.operations.iter().any(|o| o.matches(&facts.operation)))
    }

    /// Is that account one of this shape?
    pub fn owns(&self, account: &AccountName) -> bool {
        let (head, tail) = self.frame();
        let rest = account.0.strip_prefix(&head);
        rest.is_some_and(|r| *r == tail || (self.scope.has_values() && r.ends_with(&tail)))
    }

    /// What stands before and after the value in the names of its accounts.
    pub fn frame(&self) -> (String, String) {
        let nobody = self.account("");
        let (head, tail) = nobody.0.split_at(self.scope.as_str().len() + usize::from(self.scope.has_values()));
        (head.to_owned(), tail.to_owned())
    }

    /// The account of one value of the scope.
    pub fn account(&self, value: &str) -> AccountName {
        let mut name = String::with_capacity(96);
        self.write(&[value], &mut name);
        AccountName(Arc::from(name))
    }

    fn write(&self, value: &[&str], name: &mut String) {
        let mut add = |words: &[&str]| words.iter().for_each(|word| name.push_str(word));
        add(&[self.scope.as_str()]);
        if self.scope.has_values() {
            add(&[":"]);
            add(value);
        }
        add(&[" ", self.unit.as_str(), " ", self.window.as_str()]);
        if let Some(vendor) = &self.vendor {
            add(&[" vendor=", vendor]);
        }
        for operation in &self.operations {
            add(&[" op=", operation.as_str()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_knows_its_own_accounts() {
        let shape = |scope, vendor: Option<&str>| Shape {
            scope,
            unit: Unit::Usd,
            window: Window::Day,
            vendor: vendor.map(Name::from),
            operations: vec![],
        };
        let all = [
            shape(Scope::Agent, None),
            shape(Scope::Agent, Some("stripe")),
            shape(Scope::Everyone, None),
            shape(Scope::App, None),
        ];
        for (i, one) in all.iter().enumerate() {
            let account = one.account("default/x");
            for (j, other) in all.iter().enumerate() {
                assert_eq!(other.owns(&account), i == j, "{account} of {other:?}");
            }
        }
    }
}
