//! `[risk]`: points per tier and per operation, and `[[risk.factor]]`, what multiplies them.

use super::budgets::operations;
use super::rules::vendor;
use crate::config::raw::{Node, Table};
use crate::rules::args::Decimal;
use crate::rules::books::Tier;
use crate::rules::pattern::OperationPattern;
use crate::rules::policy::{Bound, Factor, Kind, Policy, RiskPoints, Target, Times, Weights};
use crate::rules::price::Hours;

pub(super) fn read(root: &Table<'_>, policy: &mut Policy) {
    let Some(table) = root.get("risk").and_then(|node| node.table()) else { return };
    policy.risk = points(&table);
    let operations = table.get("operations").and_then(|node| node.table()).map(|t| of_operations(&t));
    let factors = table.tables("factor").iter().filter_map(|factor| self::factor(factor, policy)).collect();
    policy.weights = Weights { operations: operations.unwrap_or_default(), factors };
}

/// `mutation = 30`
fn points(table: &Table<'_>) -> RiskPoints {
    let mut points = RiskPoints::default();
    let others = ["operations", "factor"];
    for (name, node) in table.entries().into_iter().filter(|(name, _)| !others.contains(name)) {
        match Tier::parse(name) {
            Some(tier) => points.set(tier, node.count().unwrap_or_default()),
            None => {
                let known: Vec<&str> = Tier::ALL.iter().map(|t| t.as_str()).collect();
                node.wrong(format!("no such tier; there are {}, and `operations`, `factor`", known.join(", ")));
            }
        }
    }
    points
}

/// `operations = { "POST /v1/refunds" = 40 }`
fn of_operations(table: &Table<'_>) -> Vec<(OperationPattern, u64)> {
    let one = |(name, node): (&str, Node<'_>)| match OperationPattern::parse(name) {
        Ok(pattern) => Some((pattern, node.count()?)),
        Err(why) => {
            node.wrong(why.to_string());
            None
        }
    };
    table.entries().into_iter().filter_map(one).collect()
}

/// Every key is read before the first one that is wrong ends it, so that all of them are reported.
fn factor(table: &Table<'_>, policy: &Policy) -> Option<Factor> {
    let vendor = table.get("vendor").and_then(|node| vendor(&node, policy));
    let operations = table.get("operations").map(|node| operations(&node)).unwrap_or_default();
    let kinds = [count(table), steps(table), test_mode(table), hours(table)];
    table.done();
    let named = ["count", "param", "test_mode", "utc"].iter().filter(|key| table.has(key)).count();
    if named != 1 {
        table.wrong("a factor is one of `count`, `param` with `steps`, `test_mode`, or `utc` with `times`");
        return None;
    }
    let kind = kinds.into_iter().flatten().next()?;
    if matches!(kind, Kind::Count(_) | Kind::Steps(..)) && operations.is_empty() {
        table.wrong(
            "name the `operations` whose parameters these are: others do not have them, and would weigh the most",
        );
    }
    Some(Factor { vendor, operations, kind })
}

/// `count = ["to", "cc"]`
fn count(table: &Table<'_>) -> Option<Kind> {
    let node = table.get("count")?;
    let names: Vec<Target> = node.one_or_more().iter().filter_map(|n| n.text().map(Target::parse)).collect();
    if names.is_empty() {
        node.wrong("it names no parameter");
    }
    Some(Kind::Count(names))
}

/// `param = "amount"`, `steps = { "10_000" = 2, "100_000" = 5 }`
fn steps(table: &Table<'_>) -> Option<Kind> {
    let param = table.get("param")?;
    let steps = table.need("steps", "from which value on, and times what: `{ 10_000 = 2 }`")?;
    let mut found: Vec<(Bound, Times)> = Vec::new();
    for (from, node) in steps.table()?.entries() {
        match Bound::parse(&from.replace('_', "")) {
            Some(bound) => found.push((bound, times(&node)?)),
            None => node.wrong(format!("`{from}` is no plain decimal number")),
        }
    }
    found.sort_by_key(|(bound, _)| bound.value());
    Some(Kind::Steps(Target::parse(param.text()?), found))
}

/// `test_mode = 0.1`
fn test_mode(table: &Table<'_>) -> Option<Kind> {
    Some(Kind::TestMode(times(&table.get("test_mode")?)?))
}

/// `utc = ["22:00-24:00"]`, `days = "mon-fri"`, `times = 3`
fn hours(table: &Table<'_>) -> Option<Kind> {
    let days = table.get("days").and_then(|node| node.text());
    let node = table.get("utc")?;
    let utc: Vec<&str> = node.one_or_more().iter().filter_map(Node::text).collect();
    let by = table.need("times", "times what in these hours").and_then(|node| times(&node));
    let hours = Hours::of_week(days, &utc);
    if hours.is_none() {
        node.wrong("write hours as `01:00-04:00`, the earlier first, and days as `mon-fri`, or `sat,sun`");
    }
    Some(Kind::At(Box::new(hours?), by?))
}

/// Up to a thousand, with three decimals.
fn times(node: &Node<'_>) -> Option<Times> {
    let digits = match node.value() {
        toml::de::DeValue::Integer(digits) => digits.as_str(),
        toml::de::DeValue::Float(digits) => digits.as_str(),
        _ => "",
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let padded = format!("{}{part:0<3}", whole.replace('_', ""));
    let times = Decimal::parse(digits).and(padded.parse().ok()).filter(|n| part.len() <= 3 && *n <= 1_000_000);
    if times.is_none() {
        node.wrong("write a number up to 1000, with at most three decimals: `2`, `1.5`, `0.1`");
    }
    times.map(Times)
}
