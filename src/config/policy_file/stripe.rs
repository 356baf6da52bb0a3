//! `[stripe]` of a policy: which movements of money count as spend. All do, unless it says otherwise.

use super::super::raw::{Node, Table};
use crate::rules::vendors::{Class, StripeRule};

/// `movements = ["charge", "refund"]` and `test_keys = "free"`.
pub(super) fn read(table: &Table<'_>) -> StripeRule {
    let mut rule = StripeRule::default();
    if let Some(node) = table.get("movements") {
        let words = node.list().unwrap_or_default();
        if words.is_empty() {
            node.wrong("it names no movement, so that nothing would count: name some, or leave it out");
        }
        rule = StripeRule::only(&words.iter().filter_map(class).collect::<Vec<_>>());
    }
    if let Some(node) = table.get("test_keys") {
        rule.test_keys_free = node.word(&[("count", false), ("free", true)]).unwrap_or(false);
    }
    table.done();
    rule
}

fn class(node: &Node<'_>) -> Option<Class> {
    let text = node.text()?;
    let class = Class::parse(text);
    if class.is_none() {
        let known = Class::ALL.map(Class::as_str).join(", ");
        node.wrong(format!("`{text}` is no movement; there are {known}"));
    }
    class
}
