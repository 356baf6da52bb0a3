//! Would an overlay ask for more than the policy, or the parent key, gives? For honest errors when a key is minted. It tries
//! sample paths where two patterns cannot be compared: what slips through widens nothing, because `decide` asks both.

use super::{Overlay, OverlayBudget, OverlayRule};
use crate::rules::policy::limit::{Per, amount_text};
use crate::rules::policy::model::Policy;
use crate::units::time::Timestamp;
use std::fmt;

/// One field of an overlay that asks for more than it may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Widening {
    /// `allow[0].paths`, `budgets[1]`, …
    pub field: String,
    pub why: String,
}

impl fmt::Display for Widening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.field, self.why)
    }
}

/// What an overlay is held against.
struct Outer<'a> {
    /// `policy refund-agent`, `the parent key`.
    name: String,
    vendor: &'a dyn Fn(&str) -> bool,
    /// A method of `None` asks for any.
    path: &'a dyn Fn(Option<&str>, &str) -> bool,
    /// The tightest limit on the same kind of account.
    limit: &'a dyn Fn(&OverlayBudget) -> Option<u64>,
    expires_at: Option<Timestamp>,
}

impl Overlay {
    /// Every field that would widen `policy`. Empty if the overlay is narrower, as it must be.
    pub fn narrows(&self, policy: &Policy) -> Vec<Widening> {
        self.within(&Outer {
            name: format!("policy {}", policy.name),
            vendor: &|vendor| policy.covers_vendor(vendor),
            path: &|method, path| policy_allows(policy, method, path),
            limit: &|budget| policy_limit(policy, budget),
            expires_at: policy.expires_at,
        })
    }

    /// The same for a child key's overlay, held against its parent's.
    pub fn narrows_parent(&self, parent: &Overlay) -> Vec<Widening> {
        self.within(&Outer {
            name: "the parent key".to_owned(),
            vendor: &|vendor| parent.covers_vendor(vendor),
            path: &|method, path| parent_allows(parent, method, path),
            limit: &|budget| parent_limit(parent, budget),
            expires_at: parent.expires_at,
        })
    }

    fn within(&self, outer: &Outer<'_>) -> Vec<Widening> {
        let mut found = Vec::new();
        for vendor in self.vendors.iter().flatten().filter(|v| !(outer.vendor)(v)) {
            found.push(widening("vendors", format!("`{vendor}` is not a vendor of {}", outer.name)));
        }
        for (at, rule) in self.allow.iter().enumerate() {
            rule_within(at, rule, outer, &mut found);
        }
        for (at, budget) in self.budgets.iter().enumerate() {
            found.extend(budget_within(at, budget, outer));
        }
        found.extend(end_within(self.expires_at, outer));
        found
    }
}

fn widening(field: impl Into<String>, why: String) -> Widening {
    Widening { field: field.into(), why }
}

fn rule_within(at: usize, rule: &OverlayRule, outer: &Outer<'_>, found: &mut Vec<Widening>) {
    let methods: Vec<Option<&str>> = match rule.methods.names() {
        Some(names) => names.iter().map(|m| Some(&**m)).collect(),
        None => vec![None],
    };
    for path in &rule.paths {
        for method in &methods {
            let refused = samples(path.as_str()).into_iter().find(|sample| !(outer.path)(*method, sample));
            if let Some(sample) = refused {
                let method = method.map(|m| format!("{m} ")).unwrap_or_default();
                let why =
                    format!("`{method}{}` would allow `{method}{sample}`, and {} does not", path.as_str(), outer.name);
                found.push(widening(format!("allow[{at}].paths"), why));
            }
        }
    }
}

fn budget_within(at: usize, budget: &OverlayBudget, outer: &Outer<'_>) -> Option<Widening> {
    let limit = (outer.limit)(budget).filter(|limit| budget.amount > *limit)?;
    let show = |amount| amount_text(&budget.shape, amount);
    let why = format!("{} is more than the {} of {}", show(budget.amount), show(limit), outer.name);
    Some(widening(format!("budgets[{at}]"), why))
}

fn end_within(end: Option<Timestamp>, outer: &Outer<'_>) -> Option<Widening> {
    let (end, limit) = (end?, outer.expires_at?);
    (end > limit).then(|| widening("expires_at", format!("{end} is later than {limit}, when {} ends", outer.name)))
}

/// Methods that stand for all, where a rule names none.
const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];

fn policy_allows(policy: &Policy, method: Option<&str>, path: &str) -> bool {
    let one = |method: &str| {
        let denied = policy.deny.iter().any(|r| r.params.is_empty() && r.vendors.is_empty() && r.covers(method, path));
        !denied && policy.allow.iter().any(|r| r.covers(method, path))
    };
    any_method(method, one)
}

fn parent_allows(parent: &Overlay, method: Option<&str>, path: &str) -> bool {
    any_method(method, |method| parent.allows(method, path))
}

fn any_method(method: Option<&str>, allowed: impl Fn(&str) -> bool) -> bool {
    match method {
        Some(method) => allowed(method),
        None => METHODS.iter().any(|method| allowed(method)),
    }
}

fn policy_limit(policy: &Policy, budget: &OverlayBudget) -> Option<u64> {
    if budget.per == Per::Call {
        let same = policy.call_limits.iter().filter(|l| l.unit == budget.shape.unit);
        return same.filter(|l| l.vendor.is_none() && l.operations.is_empty()).map(|l| l.amount).min();
    }
    policy.budgets.iter().filter(|b| b.shape == budget.shape).map(|b| b.amount).min()
}

fn parent_limit(parent: &Overlay, budget: &OverlayBudget) -> Option<u64> {
    let same = parent.budgets.iter().filter(|b| b.per == budget.per && b.shape == budget.shape);
    same.map(|b| b.amount).min()
}

/// Paths that a pattern matches: the one that it names, or some for each way in which a wildcard can be filled.
pub fn samples(pattern: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    for segment in pattern.split('/').skip(1) {
        let fillings: Vec<String> = match segment {
            "**" => vec![String::new(), "/x".to_owned(), "/x/x".to_owned()],
            _ => alternatives(segment).iter().map(|s| format!("/{}", s.replace(['*', '?'], "x"))).collect(),
        };
        let longer = |path: &String| fillings.iter().map(move |f| format!("{path}{f}")).collect::<Vec<_>>();
        found = found.iter().flat_map(longer).take(MAX_SAMPLES).collect();
    }
    found.into_iter().map(|path| if path.is_empty() { "/".to_owned() } else { path }).collect()
}

/// A pattern with many wildcards is sampled, not searched.
const MAX_SAMPLES: usize = 64;

/// `{a,b}c` is `ac` and `bc`.
fn alternatives(segment: &str) -> Vec<String> {
    let parts = segment.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)));
    match parts {
        Some((before, (inner, after))) => inner.split(',').map(|one| format!("{before}{one}{after}")).collect(),
        None => vec![segment.to_owned()],
    }
}
