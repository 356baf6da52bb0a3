//! `[[window]]`: operations that are allowed at given times only.

use super::budgets::operations;
use super::{hours, mode, rules};
use crate::config::raw::Table;
use crate::rules::policy::{Methods, Policy, Rule, Window};

pub(super) fn read(root: &Table<'_>, policy: &Policy) -> Vec<Window> {
    root.tables("window").iter().enumerate().filter_map(|(at, table)| window(at, table, policy)).collect()
}

/// Every key is read before the first one that is wrong ends it, so that all of them are reported.
fn window(at: usize, table: &Table<'_>, policy: &Policy) -> Option<Window> {
    let rule = Rule {
        label: format!("window {}", at + 1).into(),
        vendors: table.get("vendor").map(|node| rules::vendors(&node, policy)).unwrap_or_default(),
        methods: table.get("methods").map_or_else(Methods::all, |node| rules::methods(&node)),
        paths: table.get("paths").map(|node| rules::paths(&node)).unwrap_or_default(),
        tier: None,
        params: Vec::new(),
        mode: mode(table),
    };
    let operations = table.get("operations").map(|node| operations(&node)).unwrap_or_default();
    if table.has("methods") && !table.has("paths") {
        table.wrong("`methods` go with `paths`: name them, or `operations`");
    }
    let open = hours::read(table);
    table.done();
    Some(Window::new(rule, operations, open?))
}
