//! Two versions of the same policies: what the new one allows that the old one did not, which limits are higher or gone, which
//! tests are looser. Asks of every operation of the catalogue, and of every path that a rule names. Decides no call.

mod limits;
mod params;
mod reach;
mod timed;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::model::Policy;
use super::set::PolicySet;
use crate::rules::subject::Name;
use crate::rules::vendors::Vendor;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    pub policy: Name,
    /// It lets more pass than before.
    pub widens: bool,
    pub what: String,
}

/// All differences, those that widen first.
pub fn compare(old: &PolicySet, new: &PolicySet, vendors: &[Arc<Vendor>]) -> Vec<Change> {
    let mut found = Found { policy: "".into(), changes: BTreeSet::new() };
    let names: BTreeSet<&Name> = old.policies().chain(new.policies()).map(|p| &p.name).collect();
    for name in names {
        found.policy = name.clone();
        reach::compare(old, new, vendors, &mut found);
        match (old.get(name), new.get(name)) {
            (Some(old), Some(new)) => both(old, new, &mut found),
            (None, Some(new)) if new.global => found.narrows("a global policy that was not there".to_owned()),
            (None, Some(_)) => found.widens("a policy that was not there".to_owned()),
            (Some(old), None) if old.global => found.widens("the global policy is gone".to_owned()),
            (Some(_), None) => found.narrows("gone: its keys are refused".to_owned()),
            (None, None) => {}
        }
    }
    let mut changes: Vec<Change> = found.changes.into_iter().collect();
    changes.sort_by_key(|change| !change.widens);
    changes
}

fn both(old: &Policy, new: &Policy, found: &mut Found) {
    if old.hash == new.hash {
        return;
    }
    limits::compare(old, new, found);
    params::compare(old, new, found);
    timed::compare(old, new, found);
    unweighed(old, new, found);
}

/// Settings that nobody weighs: whoever reads the differences must.
const UNWEIGHED: [&str; 8] = [
    "risk.operations",
    "risk.factor",
    "fit",
    "max_output_tokens",
    "lease",
    "store_down",
    "wait_for_holds",
    "delegate.",
];

fn unweighed(old: &Policy, new: &Policy, found: &mut Found) {
    let of = |line: &&String| UNWEIGHED.iter().any(|key| line.trim_start_matches("[[").starts_with(key));
    for line in new.lines.iter().filter(of).filter(|line| !old.lines.contains(line)) {
        found.widens(format!("may let more pass: `{line}` is new"));
    }
    for line in old.lines.iter().filter(of).filter(|line| !new.lines.contains(line)) {
        found.widens(format!("may let more pass: `{line}` is gone"));
    }
    for header in old.accounts.keys().filter(|header| new.global && !new.accounts.contains_key(*header)) {
        found.widens(format!("`{header}` is no longer looked at"));
    }
}

/// Differences as they are found.
struct Found {
    policy: Name,
    changes: BTreeSet<Change>,
}

impl Found {
    fn widens(&mut self, what: String) {
        self.changes.insert(Change { policy: self.policy.clone(), widens: true, what });
    }

    fn narrows(&mut self, what: String) {
        self.changes.insert(Change { policy: self.policy.clone(), widens: false, what });
    }

    fn say(&mut self, widens: bool, what: String) {
        if widens { self.widens(what) } else { self.narrows(what) }
    }
}
