//! `[[budget]]`: limits on accounts, and limits per call.

use super::mode;
use super::rules::vendor;
use crate::config::raw::{Node, Table};
use crate::rules::ledger::account::{Scope, Shape};
use crate::rules::pattern::OperationPattern;
use crate::rules::policy::{Budget, CallLimit, Per, Policy, parse_amount, rule_text};
use crate::units::amount::Unit;
use crate::units::time::Window;

pub(super) fn read(root: &Table<'_>, policy: &Policy) -> (Vec<Budget>, Vec<CallLimit>) {
    let (mut budgets, mut calls) = (Vec::new(), Vec::new());
    for table in root.tables("budget") {
        match budget(&table, policy) {
            Some(Kind::Account(budget)) => budgets.push(budget),
            Some(Kind::Call(limit)) => calls.push(limit),
            None => {}
        }
    }
    (budgets, calls)
}

enum Kind {
    Account(Budget),
    Call(CallLimit),
}

/// Every key is read before the first one that is wrong ends it, so that all of them are reported.
fn budget(table: &Table<'_>, policy: &Policy) -> Option<Kind> {
    let per = table.need("per", "whose calls it counts, such as `agent`, or `call`").and_then(|node| per(&node));
    let limit = table.need("limit", "such as `500 USD` or `200 calls`");
    let parsed = limit.as_ref().and_then(|node| node.parsed(parse_amount));
    let window = table.get("window").map(|node| (window(&node), node));
    let vendor = table.get("vendor").and_then(|node| vendor(&node, policy));
    let operations = table.get("operations").map(|node| operations(&node)).unwrap_or_default();
    let mode = mode(table);
    table.done();
    let (per, (unit, amount, at_once)) = (per?, parsed?);
    if let (Some(_), Some((_, node))) = (at_once, &window) {
        node.wrong("calls at once are counted while they last: leave the window out");
    }
    if per == Per::Call {
        refuse_on_calls(unit, limit.as_ref(), window.as_ref().map(|(_, node)| node));
    }
    let window = at_once.map_or_else(|| window.map_or(Some(Window::Total), |(window, _)| window), Some)?;
    let scope = match per {
        Per::Scope(scope) => scope,
        // Only for the words: a limit per call has no account.
        Per::Call => Scope::Key,
    };
    let shape = Shape { scope, unit, window, vendor, operations };
    let rule = rule_text(&policy.name, amount, per, &shape);
    Some(match per {
        Per::Scope(_) => Kind::Account(Budget { shape, amount, rule, mode }),
        Per::Call => {
            let Shape { vendor, operations, .. } = shape;
            Kind::Call(CallLimit { unit, amount, vendor, operations, rule, mode })
        }
    })
}

fn refuse_on_calls(unit: Unit, limit: Option<&Node<'_>>, window: Option<&Node<'_>>) {
    if let Some(node) = window {
        node.wrong("a limit per call has no window: leave it out");
    }
    if let (Unit::Calls, Some(node)) = (unit, limit) {
        node.wrong("one call is one call: limit it in USD, tokens or risk points");
    }
}

pub(super) fn per(node: &Node<'_>) -> Option<Per> {
    let text = node.text()?;
    let per = Per::parse(text);
    if per.is_none() {
        let scopes: Vec<&str> = Scope::ALL.iter().map(|s| s.as_str()).collect();
        node.wrong(format!("`{text}` is none of {}, call", scopes.join(", ")));
    }
    per
}

fn window(node: &Node<'_>) -> Option<Window> {
    let words: Vec<(&str, Window)> = Window::named().map(|w| (w.as_str(), w)).collect();
    node.word(&words)
}

/// Sorted, so that two policies that list the same operations count on the same account.
pub(super) fn operations(node: &Node<'_>) -> Vec<OperationPattern> {
    let nodes = node.one_or_more();
    if nodes.is_empty() {
        node.wrong("it names no operation; leave `operations` out for all");
    }
    let mut patterns: Vec<_> = nodes.iter().filter_map(|n| n.parsed(OperationPattern::parse)).collect();
    patterns.sort();
    patterns.dedup();
    patterns
}
