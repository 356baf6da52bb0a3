//! One policy, checked: every field is already what it says. Reads no file; `config::policy_file` makes it, `decide` asks it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::approval::ApprovalRule;
use super::limit::{Per, amount_text};
use super::models::ModelRule;
use super::param::{List, Param};
use super::rates::RateRule;
use super::rule::Rule;
use super::schema::SchemaRule;
use super::switches::Switch;
use super::weights::Weights;
use super::windows::Window;
use crate::rules::books::Tier;
use crate::rules::ledger::account::Shape;
use crate::rules::ledger::ask::Manner;
use crate::rules::ledger::need::Share;
use crate::rules::pattern::OperationPattern;
use crate::rules::schema::Schema;
use crate::rules::subject::Name;
use crate::rules::vendors::{FitRule, StripeRule, UnknownModel};
use crate::units::amount::Unit;
use crate::units::ids::Digest32;
use crate::units::money::MicroCents;
use crate::units::time::Timestamp;

/// The rules that a vault key lives under.
#[derive(Clone, Debug)]
pub struct Policy {
    pub name: Name,
    /// Of the file's bytes.
    pub hash: Digest32,
    /// The file, one setting or rule a line, whatever its layout: two of them are compared by these.
    pub lines: Vec<String>,
    /// Empty in the global policy and in bases alone, where it means all.
    pub vendors: Vec<Name>,
    pub mode: Mode,
    /// Its denials, parameters and limits hold for every key, under whatever policy.
    pub global: bool,
    /// Only for others to extend: no key lives under it.
    pub base: bool,
    /// Policies whose rules and settings it takes over.
    pub extends: Vec<Name>,
    /// The settings that its file names.
    pub said: BTreeSet<Box<str>>,
    pub expires_at: Option<Timestamp>,
    /// In the order of the file. What matches nothing is denied (an empty list in the global policy allows all).
    pub allow: Vec<Rule>,
    pub deny: Vec<Rule>,
    pub params: Vec<Param>,
    /// Shapes that the arguments of some calls must have.
    pub schemas: Vec<SchemaRule>,
    /// Models that may be named, and aliases for them.
    pub models: Vec<ModelRule>,
    /// What stands in files of its own, by name.
    pub beside: Beside,
    pub budgets: Vec<Budget>,
    pub call_limits: Vec<CallLimit>,
    pub rates: Vec<RateRule>,
    /// Times outside which some calls are denied.
    pub windows: Vec<Window>,
    /// What it turns off by itself.
    pub switches: Vec<Switch>,
    pub risk: RiskPoints,
    /// Points of single operations, and what multiplies them.
    pub weights: Weights,
    pub fit: FitRule,
    /// For callers who name no output limit.
    pub max_output_tokens: Option<u64>,
    /// What a call is held at whose bound cannot be known. Without one it is refused.
    pub ceiling: Option<MicroCents>,
    /// How long a call waits when only holds, or a rate, stand in the way.
    pub wait_for_holds: Duration,
    /// What is allowed on a ledger that several nodes share.
    pub manner: Manner,
    /// Does a run that only a header names count for budgets?
    pub trust_headers: bool,
    /// Account-selecting headers (lower case) and the values that they may have.
    pub accounts: BTreeMap<Box<str>, Vec<Box<str>>>,
    /// Which of the vendor's credentials; its only or default one if `None`.
    pub credential: Option<Name>,
    pub delegate: Delegate,
    pub unknown_model: UnknownModel,
    /// May bursar ask the vendor, with the same credential, for what bounds a call?
    pub look_up: bool,
    /// What counts as spend at Stripe.
    pub stripe: StripeRule,
    /// Bodies that are kept word for word.
    pub capture: Option<Capture>,
    /// Calls that a person is asked about.
    pub approval: Option<ApprovalRule>,
}

/// What policies may name: the files below their folder.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    pub lists: Lists,
    pub schemas: Schemas,
}

impl Beside {
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty() && self.schemas.is_empty()
    }
}

/// Lists by name.
pub type Lists = Arc<BTreeMap<Box<str>, Arc<List>>>;
/// Schemas by name.
pub type Schemas = Arc<BTreeMap<Box<str>, Arc<Schema>>>;

/// What is kept of a call's bodies, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capture {
    pub keep: Duration,
    pub requests: bool,
    pub answers: bool,
    /// Bytes of each.
    pub most: usize,
}

impl Policy {
    /// A policy that allows nothing, with every default of the reference.
    pub fn new(name: impl Into<Name>, hash: Digest32) -> Self {
        Self {
            name: name.into(),
            hash,
            lines: Vec::new(),
            vendors: Vec::new(),
            mode: Mode::Enforce,
            global: false,
            base: false,
            extends: Vec::new(),
            said: BTreeSet::new(),
            expires_at: None,
            allow: Vec::new(),
            deny: Vec::new(),
            params: Vec::new(),
            schemas: Vec::new(),
            models: Vec::new(),
            beside: Beside::default(),
            budgets: Vec::new(),
            call_limits: Vec::new(),
            rates: Vec::new(),
            windows: Vec::new(),
            switches: Vec::new(),
            risk: RiskPoints::default(),
            weights: Weights::default(),
            fit: DEFAULT_FIT,
            max_output_tokens: None,
            ceiling: None,
            wait_for_holds: DEFAULT_WAIT,
            manner: Manner::default(),
            trust_headers: false,
            accounts: BTreeMap::new(),
            credential: None,
            delegate: Delegate::default(),
            unknown_model: UnknownModel::Refuse,
            look_up: false,
            stripe: StripeRule::default(),
            capture: None,
            approval: None,
        }
    }

    /// Does a run count on accounts that a header alone may have named?
    pub fn counts_run(&self, claimed: bool) -> bool {
        !claimed || self.trust_headers
    }

    /// Does a rule count the same call again? Then its body is looked at.
    pub fn tells_requests_apart(&self, vendor: &str, operation: &str) -> bool {
        let here = |rate: &&RateRule| covers(rate.vendor.as_ref(), &rate.operations, vendor, operation);
        let told = |switch: &Switch| switch.on.tells_apart() && switch.covers(vendor, operation);
        self.rates.iter().filter(here).any(|rate| rate.same) || self.switches.iter().any(told)
    }

    pub fn covers_vendor(&self, vendor: &str) -> bool {
        ((self.global || self.base) && self.vendors.is_empty()) || self.vendors.iter().any(|v| **v == *vendor)
    }
}

/// How long a call waits for holds to settle, unless the policy says otherwise.
pub const DEFAULT_WAIT: Duration = Duration::from_secs(2);

/// `observe` decides and records, and denies nothing. Of a whole policy, or of one rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    Enforce,
    Observe,
}

impl Mode {
    pub fn enforces(self) -> bool {
        self == Self::Enforce
    }

    /// A rule's own mode under its policy's: one that observes is enough.
    pub fn under(self, policy: Self) -> Self {
        if self.enforces() { policy } else { self }
    }
}

/// A limit on the accounts of one shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    pub shape: Shape,
    pub amount: u64,
    /// As a refusal names it: `refund-agent: 500 USD a day per agent`.
    pub rule: Name,
    pub mode: Mode,
}

/// A limit on every single call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallLimit {
    pub unit: Unit,
    pub amount: u64,
    pub vendor: Option<Name>,
    pub operations: Vec<OperationPattern>,
    pub rule: Name,
    pub mode: Mode,
}

impl CallLimit {
    pub fn covers(&self, vendor: &str, operation: &str) -> bool {
        covers(self.vendor.as_ref(), &self.operations, vendor, operation)
    }
}

/// Does a budget on this vendor and these operations concern a call?
pub(super) fn covers(of: Option<&Name>, operations: &[OperationPattern], vendor: &str, operation: &str) -> bool {
    of.is_none_or(|v| **v == *vendor) && (operations.is_empty() || operations.iter().any(|o| o.matches(operation)))
}

/// The words by which a refusal names a budget.
pub fn rule_text(owner: &str, amount: u64, per: Per, shape: &Shape) -> Name {
    use crate::units::time::Window;
    let amount = amount_text(shape, amount);
    let when = match (per, shape.window) {
        (Per::Call, _) | (_, Window::Total | Window::Flight) => String::new(),
        (_, window) => format!(" a {window}"),
    };
    let mut text = format!("{owner}: {amount}{when} per {}", per.as_str());
    if let Some(vendor) = &shape.vendor {
        text.push_str(&format!(" on {vendor}"));
    }
    for (at, operation) in shape.operations.iter().enumerate() {
        text.push_str(if at == 0 { " for " } else { ", " });
        text.push_str(operation.as_str());
    }
    text.into()
}

/// Points per tier, where the policy says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RiskPoints([Option<u64>; Tier::ALL.len()]);

impl RiskPoints {
    pub fn set(&mut self, tier: Tier, points: u64) {
        self.0[tier as usize] = Some(points);
    }

    pub fn get(&self, tier: Tier) -> Option<u64> {
        self.0[tier as usize]
    }

    /// Where these say nothing, those.
    pub fn or(self, those: Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at].or(those.0[at])))
    }
}

/// Only for callers who name no limit, from a quarter of what is left.
pub const DEFAULT_FIT: FitRule = FitRule { always: false, floor: 256, share: Share(25) };

/// May keys under this policy mint narrower ones, and for how long?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Delegate {
    pub allowed: bool,
    pub max_ttl: Option<Duration>,
}
