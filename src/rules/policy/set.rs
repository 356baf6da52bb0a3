//! All loaded policies at one moment: by name, with the global one, the union of their account shapes and one hash over
//! all. Immutable; a reload makes another, and calls in flight keep theirs. `decide` asks it.

use super::index::RuleIndex;
use super::inherit;
use super::lines::LinePlan;
use super::model::{CallLimit, Capture, Policy};
use super::permit::CallBound;
use super::rates::RatePlan;
use super::rule::Rule;
use super::schema::SchemaRule;
use super::switches::SwitchPlan;
use crate::rules::ledger::account::Shape;
use crate::rules::ledger::ask::Down;
use crate::rules::subject::Name;
use crate::units::amount::Unit;
use crate::units::ids::Digest32;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// An immutable snapshot, shared behind an `Arc`.
#[derive(Clone, Debug, Default)]
pub struct PolicySet {
    plans: BTreeMap<Name, Arc<Plan>>,
    global: Option<Arc<Policy>>,
    /// As they were read, bases too, before any was given what it inherits.
    sources: Arc<Vec<Policy>>,
    /// Sorted: narrow scopes first, which is the order in which a refusal is reported.
    shapes: Vec<Shape>,
    /// Of the keys' own budgets.
    extra: Vec<Shape>,
    hash: Option<Digest32>,
}

/// One policy with what can be prepared before any call.
#[derive(Debug)]
pub(super) struct Plan {
    pub policy: Arc<Policy>,
    pub lines: Vec<LinePlan>,
    pub call_limits: Vec<CallBound>,
    pub rates: Vec<RatePlan>,
    pub switches: Vec<SwitchPlan>,
    pub allow: RuleIndex,
    /// In small letters.
    pub deny: RuleIndex,
    /// In small letters.
    pub schemas: RuleIndex,
}

/// Why policies that are each sound are no set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSet {
    #[error("two policies are called `{0}`; a name is given once")]
    TwoOfAName(Name),
    #[error("`{0}` extends `{1}`, and no such policy is there to be extended")]
    NoBase(Name, Name),
    #[error("`{0}` extends itself, or a chain of policies that is too long to follow")]
    Circle(Name),
    #[error("both `{0}` and `{1}` say `global = true`; there is one global policy at most")]
    TwoGlobals(Name, Name),
}

impl PolicySet {
    /// `extra` are the shapes of keys' own budgets, which count beside the policies'.
    pub fn new(policies: Vec<Policy>, extra: Vec<Shape>) -> Result<Self, Vec<BadSet>> {
        let bad = conflicts(&policies);
        if !bad.is_empty() {
            return Err(bad);
        }
        let whole = inherit::resolve(&policies)?.into_iter();
        // No key lives under a base.
        let whole = whole.filter(|policy| !policy.base).map(Arc::new).collect();
        Ok(Self { sources: policies.into(), ..Self::build(whole, extra) })
    }

    /// The same with one policy in the place of another of its name, or beside the rest; its heirs inherit from it.
    pub fn with(&self, policy: Policy) -> Result<Self, Vec<BadSet>> {
        let others = self.sources.iter().filter(|other| other.name != policy.name).cloned();
        let policies = others.chain([policy.clone()]).collect();
        Self::new(policies, self.extra.clone())
    }

    /// The same without any rule that reads a parameter: what is left can be decided of a call whose body nobody kept.
    pub fn without_params(&self) -> Self {
        let bare = |policy: &Arc<Policy>| {
            let mut policy = Policy::clone(policy);
            policy.params.clear();
            policy.schemas.clear();
            policy.models.clear();
            policy.weights.forget_params();
            policy.allow.iter_mut().for_each(|rule| rule.params.clear());
            policy.deny.retain(|rule| rule.params.is_empty());
            // Whether it is the same call again, only its body says.
            policy.rates.retain(|rate| !rate.same);
            policy.switches.clear();
            policy.approval.iter_mut().for_each(|approval| approval.params.clear());
            Arc::new(policy)
        };
        Self::build(self.policies().map(bare).collect(), self.extra.clone())
    }

    /// The same policies with other shapes of keys' own budgets.
    pub fn with_extra(&self, extra: Vec<Shape>) -> Self {
        Self { sources: self.sources.clone(), ..Self::build(self.policies().cloned().collect(), extra) }
    }

    fn build(policies: Vec<Arc<Policy>>, extra: Vec<Shape>) -> Self {
        let declared = policies.iter().flat_map(|p| &p.budgets).map(|b| &b.shape);
        let mut shapes: Vec<Shape> = declared.chain(&extra).cloned().collect();
        shapes.sort();
        shapes.dedup();
        let global = policies.iter().find(|p| p.global).cloned();
        let hash = Some(hash(&policies));
        let plan = |policy: Arc<Policy>| (policy.name.clone(), Arc::new(Plan::new(policy, global.as_deref(), &shapes)));
        let plans = policies.into_iter().map(plan).collect();
        Self { plans, global, sources: Arc::default(), shapes, extra, hash }
    }

    pub fn get(&self, name: &str) -> Option<&Arc<Policy>> {
        self.plan(name).map(|plan| &plan.policy)
    }

    /// By name.
    pub fn policies(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.plans.values().map(|plan| &plan.policy)
    }

    /// The longest, in seconds, that any policy lets a node go on while its ledger is away.
    pub fn longest_alone(&self) -> u32 {
        let alone = self.policies().map(|policy| match policy.manner.down {
            Down::Closed => 0,
            Down::Leased { secs } | Down::Open { secs } => secs,
        });
        alone.max().unwrap_or(0)
    }

    /// What is kept of the bodies of this policy's calls; the global policy may ask for it, too.
    pub fn capture(&self, name: &str) -> Option<Capture> {
        let own = self.get(name).and_then(|policy| policy.capture);
        own.or_else(|| self.global.as_ref().and_then(|policy| policy.capture))
    }

    pub fn global(&self) -> Option<&Arc<Policy>> {
        self.global.as_ref()
    }

    /// What the ledger is to declare: of all policies, and of the keys' own budgets.
    pub fn shapes(&self) -> &[Shape] {
        &self.shapes
    }

    pub fn extra_shapes(&self) -> &[Shape] {
        &self.extra
    }

    /// Over names and hashes of all policies; nodes of a fleet compare it.
    pub fn hash(&self) -> Digest32 {
        self.hash.unwrap_or_else(|| hash(&[]))
    }

    pub fn len(&self) -> usize {
        self.plans.len()
    }

    pub fn is_empty(&self) -> bool {
        self.plans.is_empty()
    }

    pub(super) fn plan(&self, name: &str) -> Option<&Arc<Plan>> {
        self.plans.get(name)
    }

    /// Whose rules judge a call under this plan: the global policy's first, then its own.
    pub(super) fn judging<'s>(&'s self, own: &'s Plan) -> [Option<&'s Plan>; 2] {
        let global = self.global.as_ref().filter(|_| !own.policy.global);
        [global.and_then(|global| self.plan(&global.name)).map(|plan| &**plan), Some(own)]
    }
}

impl Plan {
    /// The allow rules that match, in the order of the file.
    pub fn matching(&self, vendor: &str, method: &str, path: &str) -> Vec<&Rule> {
        let candidates = self.allow.candidates(path).into_iter().map(|at| &self.policy.allow[at]);
        candidates.filter(|rule| rule.matches(vendor, method, path)).collect()
    }

    /// The deny rules that do, in any letter case.
    pub fn catching(&self, vendor: &str, method: &str, path: &str) -> Vec<&Rule> {
        let small = path.to_ascii_lowercase();
        let candidates = self.deny.candidates(&small).into_iter().map(|at| &self.policy.deny[at]);
        candidates.filter(|rule| rule.catches(vendor, method, path)).collect()
    }

    /// The schemas that it has to fit, in any letter case as well.
    pub fn shaping(&self, vendor: &str, method: &str, path: &str) -> Vec<&SchemaRule> {
        if self.policy.schemas.is_empty() {
            return Vec::new();
        }
        let candidates = self.schemas.candidates(&path.to_ascii_lowercase()).into_iter();
        let candidates = candidates.map(|at| &self.policy.schemas[at]);
        candidates.filter(|schema| schema.rule.catches(vendor, method, path)).collect()
    }

    fn new(policy: Arc<Policy>, global: Option<&Policy>, shapes: &[Shape]) -> Self {
        // The global policy's own keys are not counted twice.
        let owners: Vec<&Policy> = [Some(&*policy), global.filter(|_| !policy.global)].into_iter().flatten().collect();
        let mut lines: Vec<LinePlan> = shapes.iter().map(|shape| LinePlan::new(shape, &owners)).collect();
        // The first account that is short is the one that a refusal names, and risk is asked before money.
        lines.sort_by_key(|line| line.shape.unit != Unit::Risk);
        let bound = |owner: &&Policy| {
            let enforce = |limit: &CallLimit| limit.mode.under(owner.mode).enforces();
            let bound = |limit: &CallLimit| CallBound { limit: limit.clone(), enforce: enforce(limit) };
            owner.call_limits.iter().map(bound).collect::<Vec<_>>()
        };
        let call_limits = owners.iter().flat_map(bound).collect();
        let rates = owners.iter().flat_map(|owner| RatePlan::of(owner)).collect();
        let switches = owners.iter().flat_map(|owner| SwitchPlan::of(owner)).collect();
        let allow = RuleIndex::new(&policy.allow, |plain| plain.into());
        let deny = RuleIndex::new(&policy.deny, |plain| plain.to_ascii_lowercase().into());
        let schemas = policy.schemas.iter().map(|schema| &schema.rule);
        let schemas = RuleIndex::new(schemas, |plain| plain.to_ascii_lowercase().into());
        Self { lines, call_limits, rates, switches, allow, deny, schemas, policy }
    }
}

fn conflicts(policies: &[Policy]) -> Vec<BadSet> {
    let mut bad = Vec::new();
    let mut names = BTreeSet::new();
    bad.extend(policies.iter().filter(|p| !names.insert(&p.name)).map(|p| BadSet::TwoOfAName(p.name.clone())));
    let globals: Vec<&Name> = policies.iter().filter(|p| p.global).map(|p| &p.name).collect();
    bad.extend(globals.windows(2).map(|pair| BadSet::TwoGlobals(pair[0].clone(), pair[1].clone())));
    bad
}

fn hash(policies: &[Arc<Policy>]) -> Digest32 {
    let sorted: BTreeMap<&Name, Digest32> = policies.iter().map(|p| (&p.name, p.hash)).collect();
    let mut hasher = Sha256::new();
    for (name, hash) in sorted {
        hasher.update(name.as_bytes());
        hasher.update(b"\0");
        hasher.update(hash.0);
    }
    Digest32(hasher.finalize().into())
}
