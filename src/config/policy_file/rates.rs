//! `[[rate]]`: how fast calls may come, per value of a scope; `[[loop]]`: how often the same one may.

use super::budgets::{operations, per};
use super::rules::vendor;
use super::{mode, positive};
use crate::config::raw::{Node, Table};
use crate::rules::ledger::account::Scope;
use crate::rules::policy::{Per, Policy, RateRule, parse_rate};

pub(super) fn read(root: &Table<'_>, policy: &Policy) -> Vec<RateRule> {
    let rates: Vec<_> = root.tables("rate").iter().filter_map(|table| rate(table, policy)).collect();
    let loops: Vec<_> = root.tables("loop").iter().filter_map(|table| same(table, policy)).collect();
    [rates, loops].concat()
}

fn scope(table: &Table<'_>) -> Option<Scope> {
    table.need("per", "whose calls it counts, such as `agent`").and_then(|node| match per(&node)? {
        Per::Scope(scope) => Some(scope),
        Per::Call => {
            node.wrong("one call has no rate: name whose calls it counts, such as `agent`");
            None
        }
    })
}

/// `[[loop]]`: `same = 5`, `within = "10m"`
fn same(table: &Table<'_>, policy: &Policy) -> Option<RateRule> {
    let scope = scope(table);
    let most = table.need("same", "how often the same request may come, such as `5`").and_then(|n| often(&n));
    let within = table.need("within", "in which time, such as `10m`");
    let time = within.as_ref().and_then(|node| Some((node.text()?, node.duration()?)));
    let vendor = table.get("vendor").and_then(|node| vendor(&node, policy));
    let operations = table.get("operations").map(|node| operations(&node)).unwrap_or_default();
    let mode = mode(table);
    table.done();
    let (text, time) = time?;
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let rate = RateRule::of_loops(&policy.name, (most?, micros), text, scope?, vendor, operations);
    if let (None, Some(node)) = (&rate, within.filter(|_| most.is_some())) {
        node.wrong("write at most 31 days");
    }
    rate.map(|rate| RateRule { mode, ..rate })
}

/// Each of them is remembered by itself.
const MOST_SAME: u64 = 100;

fn often(node: &Node<'_>) -> Option<u64> {
    let most = positive(node)?;
    if most > MOST_SAME {
        node.wrong(format!("write at most {MOST_SAME}; for more there is `[[rate]]`"));
        return None;
    }
    Some(most)
}

/// Every key is read before the first one that is wrong ends it, so that all of them are reported.
fn rate(table: &Table<'_>, policy: &Policy) -> Option<RateRule> {
    let scope = scope(table);
    let limit = table.need("limit", "such as `10/s` or `600/min`");
    let parsed = limit.as_ref().and_then(|node| Some((node.text()?, node.parsed(parse_rate)?)));
    let burst = table.get("burst").map(|node| (positive(&node), node));
    let vendor = table.get("vendor").and_then(|node| vendor(&node, policy));
    let operations = table.get("operations").map(|node| operations(&node)).unwrap_or_default();
    let mode = mode(table);
    table.done();
    let (scope, (text, pace)) = (scope?, parsed?);
    let at_once = match &burst {
        Some((burst, _)) => Some((*burst).filter(|b| *b > 0)?),
        None => None,
    };
    let rate = RateRule::new(&policy.name, text.trim(), pace, at_once, scope, vendor, operations);
    if let (None, Some(node)) = (&rate, burst.map(|(_, node)| node).or(limit)) {
        node.wrong("this burst takes longer than 31 days to come again: write a lower one, or a `[[budget]]` in calls");
    }
    rate.map(|rate| RateRule { mode, ..rate })
}
