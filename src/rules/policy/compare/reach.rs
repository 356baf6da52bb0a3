//! Which operations a policy lets its keys reach at all, and whether only with certain parameters. Under the global policy's
//! rules, as a call is judged.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Found;
use crate::rules::policy::model::Policy;
use crate::rules::policy::overlay::samples;
use crate::rules::policy::set::{Plan, PolicySet};
use crate::rules::vendors::Vendor;

/// How far a call of an operation may come by the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Never,
    /// With some parameters.
    Some,
    Always,
}

/// Methods that stand for all, where a rule names none.
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

pub(super) fn compare(old: &PolicySet, new: &PolicySet, vendors: &[Arc<Vendor>], found: &mut Found) {
    let name = found.policy.clone();
    let sides = [old, new].map(|set| set.plan(&name));
    let policies: Vec<&Policy> = sides.iter().flatten().map(|plan| &*plan.policy).collect();
    for (vendor, method, path, shown) in calls(&policies, vendors) {
        let [before, after] = [(old, sides[0]), (new, sides[1])]
            .map(|(set, plan)| plan.map_or(Reach::Never, |plan| reach(set, plan, &vendor, &method, &path)));
        let operation = format!("{method} {shown} at {vendor}");
        match (before, after) {
            (Reach::Never, Reach::Some) => found.widens(format!("newly allowed, with parameters: {operation}")),
            (Reach::Never, Reach::Always) => found.widens(format!("newly allowed: {operation}")),
            (Reach::Some, Reach::Always) => found.widens(format!("allowed without a look at parameters: {operation}")),
            (Reach::Some | Reach::Always, Reach::Never) => found.narrows(format!("no longer allowed: {operation}")),
            (Reach::Always, Reach::Some) => found.narrows(format!("only with some parameters: {operation}")),
            _ => {}
        }
    }
}

type Asked = (String, String, String, String);

/// Vendor, method, path, and how it is shown: every operation of the catalogue, and what rules name beside it.
fn calls(policies: &[&Policy], vendors: &[Arc<Vendor>]) -> BTreeSet<Asked> {
    let mut calls = BTreeSet::new();
    let names: BTreeSet<&str> = policies.iter().flat_map(|p| &p.vendors).map(|v| &**v).collect();
    let any = policies.iter().any(|p| p.vendors.is_empty());
    for vendor in vendors.iter().filter(|vendor| any || names.contains(&*vendor.name)) {
        for operation in &vendor.operations {
            let template = format!("/{}", operation.template.join("/"));
            let path = operation.template.iter().map(|part| format!("/{}", filled(part))).collect();
            calls.insert((vendor.name.to_string(), operation.method.to_string(), path, template));
        }
    }
    for policy in policies {
        for rule in policy.allow.iter().chain(&policy.deny) {
            let of_rule = if rule.vendors.is_empty() { &policy.vendors } else { &rule.vendors };
            let methods: Vec<&str> =
                rule.methods.names().map_or(METHODS.to_vec(), |n| n.iter().map(|m| &**m).collect());
            for (path, shown) in
                rule.paths.iter().flat_map(|p| samples(p.as_str()).into_iter().map(|s| (s, p.as_str())))
            {
                for (vendor, method) in of_rule.iter().flat_map(|v| methods.iter().map(move |m| (v, m))) {
                    calls.insert((vendor.to_string(), (*method).to_owned(), path.clone(), shown.to_owned()));
                }
            }
        }
    }
    calls
}

/// `{id}` is `x`; `{model}:generateContent` keeps its verb.
fn filled(part: &str) -> String {
    match part.split_once('}') {
        Some((before, after)) if before.starts_with('{') => format!("x{after}"),
        _ => part.to_owned(),
    }
}

fn reach(set: &PolicySet, own: &Plan, vendor: &str, method: &str, path: &str) -> Reach {
    let one = |plan: &Plan| of(plan, own.policy.global, vendor, method, path);
    set.judging(own).into_iter().flatten().map(one).min().unwrap_or(Reach::Never)
}

fn of(plan: &Plan, own_is_global: bool, vendor: &str, method: &str, path: &str) -> Reach {
    let policy = &plan.policy;
    if !policy.covers_vendor(vendor) {
        return Reach::Never;
    }
    if !policy.mode.enforces() {
        return Reach::Always;
    }
    let catching: Vec<_> = plan.catching(vendor, method, path).into_iter().filter(|r| r.mode.enforces()).collect();
    if catching.iter().any(|rule| rule.params.is_empty()) {
        return Reach::Never;
    }
    let open = policy.global && policy.allow.is_empty() && !own_is_global;
    let matching = plan.matching(vendor, method, path);
    let free = open || matching.iter().any(|rule| rule.params.is_empty() || !rule.mode.enforces());
    let shaped = plan.shaping(vendor, method, path).iter().any(|shape| shape.rule.mode.enforces());
    match (open || !matching.is_empty(), free && catching.is_empty() && !shaped) {
        (false, _) => Reach::Never,
        (true, true) => Reach::Always,
        (true, false) => Reach::Some,
    }
}
