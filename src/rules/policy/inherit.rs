//! `extends`: a policy that takes over what others say. Rules, parameters and limits add up, base first, and nothing that a base
//! denies, tests or limits can be taken away; single settings are the heir's own where it says them. The global policy needs no
//! heirs: it holds for all of them anyway.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::model::{Mode, Policy};
use super::models::ModelRule;
use super::rule::Rule;
use super::schema::SchemaRule;
use super::set::BadSet;
use super::windows::Window;
use crate::rules::subject::Name;
use crate::units::ids::Digest32;

/// Deeper than that nobody can say what holds.
const DEEPEST: usize = 8;

/// All policies with what they inherit.
pub(super) fn resolve(policies: &[Policy]) -> Result<Vec<Policy>, Vec<BadSet>> {
    let by_name: ByName<'_> = policies.iter().map(|p| (&p.name, p)).collect();
    let (mut whole, mut bad) = (Vec::with_capacity(policies.len()), Vec::new());
    for policy in policies {
        match ancestors(policy, &by_name) {
            Ok(ancestors) => whole.push(heir(policy, &ancestors, &by_name)),
            Err(why) => bad.push(why),
        }
    }
    if bad.is_empty() { Ok(whole) } else { Err(bad) }
}

type ByName<'a> = BTreeMap<&'a Name, &'a Policy>;

/// A base, directly or by another one. Each is there once, by however many ways it is reached.
struct Ancestor<'a> {
    policy: &'a Policy,
    /// Vendors of its rules that name none; all of the heir's if empty.
    vendors: Vec<Name>,
}

/// The nearest first, and of several the last one named first: so each stands before what came so far.
fn ancestors<'a>(heir: &'a Policy, all: &ByName<'a>) -> Result<Vec<Ancestor<'a>>, BadSet> {
    let mut found = Vec::new();
    climb(heir, &[], &mut vec![&heir.name], all, &mut found)?;
    Ok(found)
}

fn climb<'a>(
    policy: &'a Policy,
    vendors: &[Name],
    path: &mut Vec<&'a Name>,
    all: &ByName<'a>,
    found: &mut Vec<Ancestor<'a>>,
) -> Result<(), BadSet> {
    for name in policy.extends.iter().rev() {
        let missing = || BadSet::NoBase(policy.name.clone(), name.clone());
        let base = *all.get(name).filter(|base| !base.global).ok_or_else(missing)?;
        if path.contains(&name) || path.len() > DEEPEST {
            return Err(BadSet::Circle(path[0].clone()));
        }
        let vendors = of(&base.vendors, vendors);
        match found.iter_mut().find(|known| known.policy.name == *name) {
            Some(known) if known.vendors.is_empty() => continue,
            Some(known) if !vendors.is_empty() && vendors.iter().all(|v| known.vendors.contains(v)) => continue,
            // Another way to it leads to more vendors.
            Some(known) if vendors.is_empty() => known.vendors.clear(),
            Some(known) => known.vendors.extend(vendors.iter().cloned()),
            None => found.push(Ancestor { policy: base, vendors: vendors.clone() }),
        }
        path.push(name);
        climb(base, &vendors, path, all, found)?;
        path.pop();
    }
    Ok(())
}

fn heir(policy: &Policy, ancestors: &[Ancestor<'_>], all: &ByName<'_>) -> Policy {
    let mut heir = policy.clone();
    let observes = |policy: &Policy| mode(policy, all) == Mode::Observe;
    let enforced = !observes(policy) || ancestors.iter().any(|base| !observes(base.policy));
    if enforced && observes(policy) {
        only_watch(&mut heir);
    }
    for base in ancestors {
        let watched = enforced && observes(policy) && observes(base.policy);
        let mut whole = base.policy.clone();
        if watched {
            only_watch(&mut whole);
        }
        rules(&mut heir, &whole, &base.vendors);
        settings(&mut heir, base.policy);
        heir.hash = both(heir.hash, base.policy.hash);
    }
    heir.mode = if enforced { Mode::Enforce } else { Mode::Observe };
    // It is whole: to resolve it again adds nothing.
    heir.extends.clear();
    heir
}

/// What it says itself, or else the nearest base that says it. A circle has been found before.
fn mode(policy: &Policy, all: &ByName<'_>) -> Mode {
    let says = |policy: &Policy| policy.said.contains("mode");
    if says(policy) {
        return policy.mode;
    }
    let ancestors = ancestors(policy, all).unwrap_or_default();
    ancestors.iter().find(|base| says(base.policy)).map_or(policy.mode, |base| base.policy.mode)
}

/// A policy that observes over a base that enforces: its own rules alone do, one by one. That something must allow a call is the
/// base's rule as well.
fn only_watch(policy: &mut Policy) {
    let rules = policy.allow.iter_mut().chain(&mut policy.deny).map(|rule| &mut rule.mode);
    let shapes = policy.schemas.iter_mut().map(|schema| &mut schema.rule.mode);
    let models = policy.models.iter_mut().map(|rule| &mut rule.mode);
    let params = policy.params.iter_mut().map(|param| &mut param.mode);
    let budgets = policy.budgets.iter_mut().map(|budget| &mut budget.mode);
    let limits = policy.call_limits.iter_mut().map(|limit| &mut limit.mode);
    let rates = policy.rates.iter_mut().map(|rate| &mut rate.mode);
    let windows = policy.windows.iter_mut().map(|window| &mut window.rule.mode);
    let switches = policy.switches.iter_mut().map(|switch| &mut switch.mode);
    let all = rules.chain(shapes).chain(models).chain(params).chain(budgets).chain(limits).chain(rates);
    let all = all.chain(windows).chain(switches);
    all.for_each(|mode| *mode = Mode::Observe);
}

/// What adds up.
fn rules(heir: &mut Policy, base: &Policy, scope: &[Name]) {
    let from = |label: &str| Name::from(format!("{label} from `{}`", base.name));
    let theirs = |rule: &Rule| Rule { label: from(&rule.label), vendors: of(&rule.vendors, scope), ..rule.clone() };
    before(&mut heir.allow, base.allow.iter().map(theirs));
    before(&mut heir.deny, base.deny.iter().map(theirs));
    let shape = |schema: &SchemaRule| SchemaRule { rule: theirs(&schema.rule), ..schema.clone() };
    before(&mut heir.schemas, base.schemas.iter().map(shape));
    let models =
        |rule: &ModelRule| ModelRule { label: from(&rule.label), vendors: of(&rule.vendors, scope), ..rule.clone() };
    before(&mut heir.models, base.models.iter().map(models));
    before(&mut heir.params, base.params.iter().cloned());
    before(&mut heir.budgets, base.budgets.iter().cloned());
    before(&mut heir.call_limits, base.call_limits.iter().cloned());
    before(&mut heir.rates, base.rates.iter().cloned());
    before(&mut heir.windows, base.windows.iter().map(|window| Window::of(theirs(&window.rule), window)));
    before(&mut heir.switches, base.switches.iter().cloned());
    before(&mut heir.weights.operations, base.weights.operations.iter().cloned());
    before(&mut heir.weights.factors, base.weights.factors.iter().cloned());
    let lines = base.lines.iter().map(|line| format!("{}: {line}", base.name));
    before(&mut heir.lines, lines.collect::<Vec<_>>());
    for (header, values) in &base.accounts {
        let own = heir.accounts.entry(header.clone()).or_insert_with(|| values.clone());
        own.retain(|value| values.contains(value));
    }
}

/// A rule of its own vendors does not become one of the heir's.
fn of(vendors: &[Name], scope: &[Name]) -> Vec<Name> {
    if vendors.is_empty() { scope.to_vec() } else { vendors.to_vec() }
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
    if unsaid("fit") {
        heir.fit = base.fit;
    }
    if unsaid("wait_for_holds") {
        heir.wait_for_holds = base.wait_for_holds;
    }
    let (theirs, says) = (base.manner, |key: &str| base.said.contains(key));
    // Neither is a taste: where both say it, the stricter counts.
    heir.manner.lease =
        if unsaid("lease") { theirs.lease } else { heir.manner.lease && (theirs.lease || !says("lease")) };
    heir.manner.down = match (unsaid("store_down"), says("store_down")) {
        (true, _) => theirs.down,
        (false, true) => heir.manner.down.stricter(theirs.down),
        (false, false) => heir.manner.down,
    };
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
