//! `extends`: a policy that takes over what others say. Rules, parameters and limits add up, base first, and nothing that a base
//! denies, tests or limits can be taken away; single settings are the heir's own where it says them. The global policy needs no
//! heirs: it holds for all of them anyway.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::model::Policy;
use super::rule::Rule;
use super::schema::SchemaRule;
use super::set::BadSet;
use crate::rules::subject::Name;
use crate::units::ids::Digest32;

/// Deeper than that nobody can say what holds.
const DEEPEST: usize = 8;

/// All policies with what they inherit.
pub(super) fn resolve(policies: Vec<Policy>) -> Result<Vec<Policy>, Vec<BadSet>> {
    let by_name: BTreeMap<&Name, &Policy> = policies.iter().map(|p| (&p.name, p)).collect();
    let (mut whole, mut bad) = (Vec::with_capacity(policies.len()), Vec::new());
    for policy in &policies {
        match heir(policy, &by_name, 0) {
            Ok(policy) => whole.push(policy),
            Err(why) => bad.push(why),
        }
    }
    if bad.is_empty() { Ok(whole) } else { Err(bad) }
}

fn heir(policy: &Policy, all: &BTreeMap<&Name, &Policy>, depth: usize) -> Result<Policy, BadSet> {
    if depth > DEEPEST {
        return Err(BadSet::Circle(policy.name.clone()));
    }
    let mut heir = policy.clone();
    // The last one first: each stands before what came so far.
    for name in policy.extends.iter().rev() {
        let missing = || BadSet::NoBase(policy.name.clone(), name.clone());
        let base = all.get(name).filter(|base| !base.global).ok_or_else(missing)?;
        let base = self::heir(base, all, depth + 1)?;
        rules(&mut heir, &base);
        settings(&mut heir, &base);
        heir.hash = both(heir.hash, base.hash);
    }
    // It is whole: to resolve it again adds nothing.
    heir.extends.clear();
    Ok(heir)
}

/// What adds up.
fn rules(heir: &mut Policy, base: &Policy) {
    let theirs = |rule: &Rule| from_base(rule, base);
    before(&mut heir.allow, base.allow.iter().map(theirs));
    before(&mut heir.deny, base.deny.iter().map(theirs));
    let shape = |schema: &SchemaRule| SchemaRule { rule: theirs(&schema.rule), ..schema.clone() };
    before(&mut heir.schemas, base.schemas.iter().map(shape));
    before(&mut heir.params, base.params.iter().cloned());
    before(&mut heir.budgets, base.budgets.iter().cloned());
    before(&mut heir.call_limits, base.call_limits.iter().cloned());
    before(&mut heir.rates, base.rates.iter().cloned());
    before(&mut heir.weights.operations, base.weights.operations.iter().cloned());
    before(&mut heir.weights.factors, base.weights.factors.iter().cloned());
    let lines = base.lines.iter().map(|line| format!("{}: {line}", base.name));
    before(&mut heir.lines, lines.collect::<Vec<_>>());
    for (header, values) in &base.accounts {
        let own = heir.accounts.entry(header.clone()).or_insert_with(|| values.clone());
        own.retain(|value| values.contains(value));
    }
}

fn from_base(rule: &Rule, base: &Policy) -> Rule {
    Rule {
        label: format!("{} from `{}`", rule.label, base.name).into(),
        // A rule of its own vendors does not become one of the heir's.
        vendors: if rule.vendors.is_empty() { base.vendors.clone() } else { rule.vendors.clone() },
        ..rule.clone()
    }
}

fn before<T>(list: &mut Vec<T>, others: impl IntoIterator<Item = T>) {
    list.splice(0..0, others);
}

/// The heir's where it says them. It never lasts longer than its base.
fn settings(heir: &mut Policy, base: &Policy) {
    let said = std::mem::take(&mut heir.said);
    let unsaid = |key: &str| !said.contains(key);
    let inherited = base.clone();
    heir.risk = heir.risk.or(base.risk);
    heir.expires_at = [heir.expires_at, base.expires_at].into_iter().flatten().min();
    heir.max_output_tokens = heir.max_output_tokens.or(base.max_output_tokens);
    heir.ceiling = heir.ceiling.or(base.ceiling);
    heir.credential = heir.credential.take().or(inherited.credential);
    heir.capture = heir.capture.or(base.capture);
    heir.approval = match (heir.approval.take(), &base.approval) {
        (Some(own), Some(base)) => Some(own.and(base)),
        (own, base) => own.or_else(|| base.clone()),
    };
    if unsaid("mode") {
        heir.mode = base.mode;
    }
    if unsaid("fit") {
        heir.fit = base.fit;
    }
    if unsaid("wait_for_holds") {
        heir.wait_for_holds = base.wait_for_holds;
    }
    if unsaid("lease") && unsaid("store_down") {
        heir.manner = base.manner;
    }
    if unsaid("trust_headers") {
        heir.trust_headers = base.trust_headers;
    }
    if unsaid("delegate") {
        heir.delegate = base.delegate;
    }
    if unsaid("unknown_model") {
        heir.unknown_model = base.unknown_model;
    }
    if unsaid("look_up") {
        heir.look_up = base.look_up;
    }
    if unsaid("stripe") {
        heir.stripe = base.stripe;
    }
    heir.said = said.union(&base.said).cloned().collect();
}

fn both(own: Digest32, base: Digest32) -> Digest32 {
    let mut hasher = Sha256::new();
    hasher.update(own.0);
    hasher.update(base.0);
    Digest32(hasher.finalize().into())
}
