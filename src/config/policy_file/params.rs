//! `[params]`, and `params` of a rule: which parameter must be there, and what it may be.

use std::sync::Arc;

use toml::de::DeValue;

use super::mode;
use crate::config::raw::{Node, Table};
use crate::rules::policy::{Bound, List, Lists, Mode, Param, Presence, Scalar, Target, Test};

/// Where a predicate stands; that says what a missing parameter means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Tested if it is there, unless `required = true`: a policy has many operations, and most lack most parameters.
    Policy,
    /// It must be there, unless `optional = true`.
    Allow,
    /// The rule matches only calls that have it.
    Deny,
}

/// The keys of a predicate.
const KEYS: [&str; 10] =
    ["one_of", "not_one_of", "min", "max", "matches", "required", "optional", "absent", "mode", "redact"];

pub(super) fn read(node: &Node<'_>, side: Side, lists: &Lists) -> Vec<Param> {
    let Some(table) = node.table() else { return Vec::new() };
    table.entries().into_iter().filter_map(|(name, node)| param(name, &node, side, lists)).collect()
}

fn param(name: &str, node: &Node<'_>, side: Side, lists: &Lists) -> Option<Param> {
    if !node.value().is_table() {
        node.wrong("a parameter's rule is a table, such as `{ one_of = [\"usd\"] }` or `{ max = 500 }`");
        return None;
    }
    if let Some(why) = unfindable(name) {
        node.wrong(why);
        return None;
    }
    let table = node.table()?;
    if table.entries().iter().any(|(key, inner)| !KEYS.contains(key) && inner.value().is_table()) {
        node.wrong(format!("a name with dots stands in quotes: `\"{name}.…\" = {{ … }}`"));
        return None;
    }
    let presence = presence(&table, side);
    let tests = tests(&table, lists);
    let redact = table.get("redact").and_then(|node| node.flag()).unwrap_or(false);
    let mode = match side {
        Side::Policy => mode(&table),
        _ => {
            table.refuse("mode", "here the whole rule observes or not: put `mode` beside its `paths`");
            Mode::Enforce
        }
    };
    table.done();
    if presence == Presence::Absent && !tests.is_empty() {
        node.wrong("`absent` goes with no other test: what is not there cannot be tested");
    }
    if table.entries().iter().all(|(key, _)| matches!(*key, "optional" | "mode" | "redact")) {
        node.wrong("it tests nothing: name `one_of`, `not_one_of`, `min`, `max`, `matches`, `required` or `absent`");
    }
    Some(Param { name: Target::parse(name), presence, tests, mode, redact })
}

/// Why no call could have a parameter of this name: the rule would silently say nothing.
fn unfindable(name: &str) -> Option<&'static str> {
    let (pointer, parts) = match name.strip_prefix('/') {
        Some(rest) => (true, rest.split('/').collect::<Vec<_>>()),
        None => (false, name.split('.').collect()),
    };
    match () {
        () if !pointer && name.contains(['[', ']']) => Some("a name has dots for brackets: `items.0.price`"),
        () if parts.first() == Some(&"*") => Some("a name cannot begin with `*`: name the list, as in `items.*.price`"),
        () if !pointer && parts.contains(&"") => Some("a part of the name is empty"),
        () => None,
    }
}

fn presence(table: &Table<'_>, side: Side) -> Presence {
    let flag = |key| table.get(key).and_then(|node| node.flag()).unwrap_or(false);
    let (required, optional, absent) = (flag("required"), flag("optional"), flag("absent"));
    if u8::from(required) + u8::from(optional) + u8::from(absent) > 1 {
        table.wrong("`required`, `optional` and `absent` exclude each other");
    }
    if optional && side == Side::Deny {
        table.wrong("`optional` says nothing in a deny rule: it matches only calls that have the parameter");
    }
    match side {
        _ if absent => Presence::Absent,
        Side::Policy if !required => Presence::Optional,
        Side::Allow if optional => Presence::Optional,
        _ => Presence::Required,
    }
}

fn tests(table: &Table<'_>, lists: &Lists) -> Vec<Test> {
    let bound = |key| table.get(key).and_then(|node| bound(&node));
    let matches = table.get("matches").and_then(|node| node.parsed(Test::matches));
    let found = [
        table.get("one_of").and_then(|node| among(&node, lists, Test::OneOf, Test::InList)),
        table.get("not_one_of").and_then(|node| among(&node, lists, Test::NotOneOf, Test::NotInList)),
        bound("min").map(Test::Min),
        bound("max").map(Test::Max),
        matches,
    ];
    found.into_iter().flatten().collect()
}

/// `["usd", "eur"]`, or `{ list = "customers" }`: the file `lists/customers.txt` beside the policies.
fn among(
    node: &Node<'_>,
    lists: &Lists,
    these: impl FnOnce(Vec<Scalar>) -> Test,
    listed: impl FnOnce(Arc<List>) -> Test,
) -> Option<Test> {
    if !node.value().is_table() {
        return Some(these(scalars(node)));
    }
    let table = node.table()?;
    let name = table.need("list", "the name of a list, such as `customers`");
    table.done();
    let name = name?;
    let found = lists.get(name.text()?);
    if found.is_none() {
        name.wrong(format!("there is no such list: write it to `lists/{}.txt` beside the policies", name.text()?));
    }
    found.cloned().map(listed)
}

fn scalars(node: &Node<'_>) -> Vec<Scalar> {
    let nodes = node.list().unwrap_or_default();
    if nodes.is_empty() && node.value().is_array() {
        node.wrong("the list is empty");
    }
    nodes.iter().filter_map(scalar).collect()
}

fn scalar(node: &Node<'_>) -> Option<Scalar> {
    match node.value() {
        DeValue::String(text) => Some(Scalar::Text((&**text).into())),
        DeValue::Boolean(value) => Some(Scalar::Bool(*value)),
        _ => bound(node).map(Scalar::Number),
    }
}

/// An exact number: whole, with a point, or as a text. What TOML reads as a float is taken by its digits, never as one.
fn bound(node: &Node<'_>) -> Option<Bound> {
    let bound = match node.value() {
        DeValue::Integer(digits) if digits.radix() == 10 => Bound::parse(digits.as_str()),
        DeValue::Float(digits) => Bound::parse(digits.as_str()),
        DeValue::String(text) => Bound::parse(text),
        _ => None,
    };
    if bound.is_none() {
        node.wrong("it must be a plain decimal number, such as `500` or `12.50`");
    }
    bound
}
