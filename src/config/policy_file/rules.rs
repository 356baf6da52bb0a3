//! `[[allow]]` and `[[deny]]`.

use super::mode;
use super::params::{self, Side};
use crate::config::raw::{Node, Table};
use crate::rules::books::Tier;
use crate::rules::policy::{Methods, Policy, Rule, RulePath};
use crate::rules::subject::Name;

pub(super) fn read(root: &Table<'_>, key: &'static str, policy: &Policy) -> Vec<Rule> {
    root.tables(key).iter().enumerate().map(|(at, table)| rule(at, key, table, policy)).collect()
}

fn rule(at: usize, key: &'static str, table: &Table<'_>, policy: &Policy) -> Rule {
    let side = if key == "allow" { Side::Allow } else { Side::Deny };
    let tier = match side {
        Side::Allow => table.get("tier").and_then(|node| tier(&node)),
        _ => {
            table.refuse("tier", "a deny rule needs no tier: leave it out");
            None
        }
    };
    let rule = Rule {
        label: format!("{key} rule {}", at + 1).into(),
        vendors: of_vendors(table, policy),
        methods: of_methods(table),
        paths: of_paths(table),
        tier,
        params: table.get("params").map(|node| params::read(&node, side, &policy.beside.lists)).unwrap_or_default(),
        mode: mode(table),
    };
    table.done();
    rule
}

pub(super) fn of_vendors(table: &Table<'_>, policy: &Policy) -> Vec<Name> {
    table.get("vendor").map(|node| vendors(&node, policy)).unwrap_or_default()
}

pub(super) fn of_methods(table: &Table<'_>) -> Methods {
    table.get("methods").map_or_else(Methods::all, |node| methods(&node))
}

pub(super) fn of_paths(table: &Table<'_>) -> Vec<RulePath> {
    let paths = table.need("paths", "a list such as `[\"/v1/refunds\"]`; `[\"/**\"]` is every path");
    paths.map(|node| self::paths(&node)).unwrap_or_default()
}

pub(super) fn tier(node: &Node<'_>) -> Option<Tier> {
    let words: Vec<(&str, Tier)> = Tier::ALL.iter().map(|t| (t.as_str(), *t)).collect();
    node.word(&words)
}

/// `vendor = "stripe"`, or several: two vendors of a policy may have the same path.
pub(super) fn vendors(node: &Node<'_>, policy: &Policy) -> Vec<Name> {
    let nodes = node.one_or_more();
    if nodes.is_empty() {
        node.wrong("it names no vendor; leave `vendor` out for all");
    }
    nodes.iter().filter_map(|node| vendor(node, policy)).collect()
}

/// One of the policy's own vendors.
pub(super) fn vendor(node: &Node<'_>, policy: &Policy) -> Option<Name> {
    let text = node.text()?;
    if !policy.covers_vendor(text) {
        node.wrong(format!("`{text}` is not among the policy's `vendors`"));
    }
    Some(text.into())
}

pub(super) fn methods(node: &Node<'_>) -> Methods {
    let nodes = node.one_or_more();
    if nodes.is_empty() {
        node.wrong("it names no method; leave `methods` out for all");
    }
    let texts = nodes.iter().filter_map(|node| Some((node, node.text()?)));
    for (node, text) in texts.clone().filter(|(_, text)| !Methods::is_name(text)) {
        node.wrong(format!("`{text}` is no method: write capitals, such as `POST`"));
    }
    Methods::only(texts.map(|(_, text)| text.into()).collect::<Vec<_>>())
}

pub(super) fn paths(node: &Node<'_>) -> Vec<RulePath> {
    let nodes = node.one_or_more();
    if nodes.is_empty() {
        node.wrong("it names no path");
    }
    nodes.iter().filter_map(path).collect()
}

fn path(node: &Node<'_>) -> Option<RulePath> {
    let path = node.parsed(RulePath::parse)?;
    let text = path.as_str();
    let braces = text.split('/').any(|s| s.contains('{') && !s.contains(','));
    let why = match () {
        () if braces => "`{…}` is a template and matches no path: write `*` for any one segment",
        () if text.contains('%') => "rules are matched against decoded paths: write the character itself",
        () if text.contains("//") => "paths have no empty segments: write one `/`",
        () if text.split('/').any(|s| s == "." || s == "..") => {
            "paths have no `.` or `..` segments: write where it leads"
        }
        () if text.contains(['?', '#']) => "a path ends before its `?` or `#`: use `params` for what is in the query",
        () => return Some(path),
    };
    node.wrong(format!("`{text}`: {why}"));
    None
}
