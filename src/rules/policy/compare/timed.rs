//! Change windows and switches of one policy in two versions. Each only narrows, so one that is gone lets more pass; of one that
//! is changed both halves are said.

use std::collections::BTreeSet;

use super::Found;
use crate::rules::policy::model::Policy;

pub(super) fn compare(old: &Policy, new: &Policy, found: &mut Found) {
    let windows = |policy: &Policy| policy.windows.iter().map(|window| window.words()).collect();
    differ("window", &windows(old), &windows(new), found);
    let switches = |policy: &Policy| {
        let mode = |enforces: bool| if enforces { "" } else { ", only observed" };
        policy.switches.iter().map(|s| format!("{}{}", s.rule, mode(s.mode.enforces()))).collect()
    };
    differ("switch", &switches(old), &switches(new), found);
}

fn differ(what: &str, old: &BTreeSet<String>, new: &BTreeSet<String>, found: &mut Found) {
    old.difference(new).for_each(|gone| found.widens(format!("a {what} is gone: {gone}")));
    new.difference(old).for_each(|added| found.narrows(format!("a new {what}: {added}")));
}
