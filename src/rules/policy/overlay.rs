//! What a key carries beside its policy: fewer vendors, fewer paths, an earlier end, budgets of its own. Always narrower:
//! `decide` asks the policy and every overlay of the key and its ancestors, so that none can widen anything. `narrows` says
//! so to whoever mints a key, field by field, instead of letting them hope.

mod narrows;
mod text;

pub use narrows::Widening;
pub(super) use narrows::samples;

use super::limit::Per;
use super::model::rule_text;
use super::rule::{Methods, RulePath};
use crate::rules::ledger::account::{Scope, Shape};
use crate::rules::subject::Name;
use crate::units::amount::Unit;
use crate::units::time::{Timestamp, Window};
use serde::{Deserialize, Serialize};

/// Narrower rules of one key. The empty one narrows nothing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "text::Raw", into = "text::Raw")]
pub struct Overlay {
    /// These alone; `None` for all that the policy names.
    pub vendors: Option<Vec<Name>>,
    /// One of them must match beside the policy's own; none narrows nothing.
    pub allow: Vec<OverlayRule>,
    pub budgets: Vec<OverlayBudget>,
    pub expires_at: Option<Timestamp>,
}

/// Methods and paths that a key is kept to.
#[derive(Clone, Debug)]
pub struct OverlayRule {
    pub methods: Methods,
    /// All paths if empty.
    pub paths: Vec<RulePath>,
}

impl OverlayRule {
    pub fn matches(&self, method: &str, path: &str) -> bool {
        self.methods.contains(method) && (self.paths.is_empty() || self.paths.iter().any(|p| p.matches(path)))
    }
}

/// A limit per key, per run or per call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverlayBudget {
    per: Per,
    shape: Shape,
    amount: u64,
    rule: Name,
}

impl OverlayBudget {
    /// `None` for a scope that is not the key's own to limit.
    pub fn new(per: Per, unit: Unit, amount: u64, window: Window) -> Option<Self> {
        let scope = match per {
            Per::Scope(scope @ (Scope::Key | Scope::Run)) => scope,
            // Never looked at: a limit per call has no account.
            Per::Call => Scope::Key,
            Per::Scope(_) => return None,
        };
        let shape = Shape { scope, unit, window, vendor: None, operations: Vec::new() };
        let rule = rule_text("key", amount, per, &shape);
        Some(Self { per, shape, amount, rule })
    }

    pub fn per(&self) -> Per {
        self.per
    }

    pub fn amount(&self) -> u64 {
        self.amount
    }

    /// As a refusal names it: `key: 50 USD a day per key`.
    pub fn rule(&self) -> &Name {
        &self.rule
    }

    pub fn unit(&self) -> Unit {
        self.shape.unit
    }

    /// The account's shape; `None` for a limit per call.
    pub fn shape(&self) -> Option<&Shape> {
        (self.per != Per::Call).then_some(&self.shape)
    }
}

impl Overlay {
    /// The shapes that its budgets count on, to be declared beside the policies' own.
    pub fn shapes(&self) -> impl Iterator<Item = &Shape> {
        self.budgets.iter().filter_map(OverlayBudget::shape)
    }

    pub fn covers_vendor(&self, vendor: &str) -> bool {
        self.vendors.as_ref().is_none_or(|list| list.iter().any(|v| **v == *vendor))
    }

    pub fn allows(&self, method: &str, path: &str) -> bool {
        self.allow.is_empty() || self.allow.iter().any(|rule| rule.matches(method, path))
    }
}
