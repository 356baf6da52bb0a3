//! `[approval]`: which calls a person is asked about, how long the call waits, and how many must say yes.

use std::time::Duration;

use toml::de::DeValue;

use super::budgets::operations;
use super::params::{self, Side};
use super::rules::tier;
use crate::config::raw::{Node, Table};
use crate::rules::ledger::need::Share;
use crate::rules::policy::{ApprovalRule, CallLimit, Mode, Policy, Terms, parse_limit};
use crate::units::amount::Unit;

/// A call holds its connection meanwhile, and SDKs give up after ten minutes themselves.
const LONGEST_WAIT: Duration = Duration::from_secs(600);
const LONGEST_OPEN: Duration = Duration::from_secs(31 * 86_400);
const MOST_PEOPLE: u64 = 10;
const TRIGGERS: [&str; 5] = ["over", "tiers", "operations", "params", "at"];

pub(super) fn read(table: &Table<'_>, policy: &Policy) -> ApprovalRule {
    let rule = ApprovalRule {
        over: table.get("over").and_then(|n| over(&n, policy)).into_iter().collect(),
        tiers: table.get("tiers").map(|n| n.one_or_more().iter().filter_map(tier).collect()).unwrap_or_default(),
        operations: table.get("operations").map(|n| operations(&n)).unwrap_or_default(),
        params: table.get("params").map(|n| params::read(&n, Side::Deny, &policy.beside.lists)).unwrap_or_default(),
        at: table.get("at").and_then(|n| fraction(&n)),
        first_use: table.get("first_use").and_then(|n| n.flag()).unwrap_or(false),
        terms: terms(table),
    };
    table.done();
    let asks = |key: &str| TRIGGERS.contains(&key) || (key == "first_use" && rule.first_use);
    if !table.entries().iter().any(|(key, _)| asks(key)) {
        table.wrong("it asks about no call: name `over`, `tiers`, `operations`, `params`, `at` or `first_use`");
    }
    rule
}

fn over(node: &Node<'_>, policy: &Policy) -> Option<CallLimit> {
    let (unit, amount) = node.parsed(parse_limit)?;
    if unit == Unit::Calls {
        node.wrong("one call is one call: name an amount in USD, tokens or risk points");
    }
    let rule = format!("{}: approval over {}", policy.name, unit.show(amount)).into();
    Some(CallLimit { unit, amount, vendor: None, operations: Vec::new(), rule, mode: Mode::Enforce })
}

fn terms(table: &Table<'_>) -> Terms {
    let usual = Terms::default();
    let time = |key, usual, least: Duration, most: Duration| {
        let Some(node) = table.get(key) else { return usual };
        let time = node.duration().unwrap_or(usual);
        if time < least || time > most {
            node.wrong(format!("it must be {} to {} seconds", least.as_secs(), most.as_secs()));
        }
        time
    };
    let second = Duration::from_secs(1);
    Terms {
        wait: time("wait", usual.wait, Duration::ZERO, LONGEST_WAIT),
        open: time("open", usual.open, second, LONGEST_OPEN),
        valid: time("valid", usual.valid, second, LONGEST_OPEN),
        people: table.get("people").and_then(|n| people(&n)).unwrap_or(usual.people),
    }
}

fn people(node: &Node<'_>) -> Option<u32> {
    let count = node.count()?;
    if !(1..=MOST_PEOPLE).contains(&count) {
        node.wrong(format!("it must be 1 to {MOST_PEOPLE}"));
    }
    u32::try_from(count).ok()
}

/// `at = 0.9`: read as it is written, not as the machine rounds it.
fn fraction(node: &Node<'_>) -> Option<Share> {
    let share = match node.value() {
        DeValue::Float(written) => hundredths(written.as_str()),
        _ => None,
    };
    if share.is_none() {
        node.wrong("a part of a budget is written such as `0.9`: 0.01 to 0.99");
    }
    share
}

fn hundredths(text: &str) -> Option<Share> {
    let digits = text.strip_prefix("0.")?;
    let whole = match digits.len() {
        1 => format!("{digits}0"),
        2 => digits.to_owned(),
        _ => return None,
    };
    whole.parse().ok().filter(|n| *n > 0).map(Share)
}
