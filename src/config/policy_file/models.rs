//! `[[models]]`: models that may be named, and aliases for them.

use std::collections::BTreeMap;

use super::{mode, rules};
use crate::config::raw::{Node, Table};
use crate::rules::policy::{ModelPattern, ModelRule, Policy};

pub(super) fn read(root: &Table<'_>, policy: &Policy) -> Vec<ModelRule> {
    root.tables("models").iter().enumerate().map(|(at, table)| one(at, table, policy)).collect()
}

fn one(at: usize, table: &Table<'_>, policy: &Policy) -> ModelRule {
    if policy.global {
        table.refuse("aliases", "the global policy only takes away: put aliases into the policies, or into a base");
    }
    let rule = ModelRule {
        label: format!("models {}", at + 1).into(),
        vendors: rules::of_vendors(table, policy),
        allow: table.get("allow").map(|node| patterns(&node)),
        aliases: table.get("aliases").map(|node| aliases(&node)).unwrap_or_default(),
        mode: mode(table),
    };
    table.done();
    if !table.has("allow") && !table.has("aliases") {
        table.wrong("it says nothing: name `allow`, a list of models, or `aliases`");
    }
    if let Some(node) = table.get("aliases") {
        led_astray(&rule, &node);
    }
    rule
}

fn patterns(node: &Node<'_>) -> Vec<ModelPattern> {
    let nodes = node.one_or_more();
    if nodes.is_empty() {
        node.wrong("it names no model; leave `allow` out for all");
    }
    nodes.iter().filter_map(|node| name(node, node.text()?)).map(ModelPattern::new).collect()
}

fn name<'t>(node: &Node<'_>, text: &'t str) -> Option<&'t str> {
    let good = !text.is_empty() && text.len() <= 200 && !text.contains(|c: char| c.is_control() || c.is_whitespace());
    if !good {
        node.wrong(format!("`{text}` is no name of a model, such as `gpt-4o-mini` or `gpt-4.1*`"));
    }
    good.then_some(text)
}

fn aliases(node: &Node<'_>) -> BTreeMap<Box<str>, Box<str>> {
    let entries = node.table().map(|table| table.entries()).unwrap_or_default();
    let pair =
        |(alias, node): (&str, Node<'_>)| Some((Box::from(name(&node, alias)?), Box::from(name(&node, node.text()?)?)));
    entries.into_iter().filter_map(pair).collect()
}

/// Aliases of which no call could come of what they promise.
fn led_astray(rule: &ModelRule, node: &Node<'_>) {
    for (alias, model) in &rule.aliases {
        if model.contains('*') {
            node.wrong_at(alias, format!("`{model}` is a pattern: name one model"));
        } else if rule.aliases.contains_key(model) {
            node.wrong_at(alias, format!("`{model}` is an alias itself: name the model"));
        } else if !rule.allows(model) {
            node.wrong_at(alias, format!("`{model}` is not among what `allow` names"));
        }
    }
}
