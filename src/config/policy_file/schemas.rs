//! `[[schema]]`: which calls it is for, and the schema itself: the name of `schemas/NAME.json` beside the policies, or a table.

use std::sync::Arc;

use super::{mode, rules};
use crate::config::raw::{Node, Table};
use crate::config::schema_file;
use crate::rules::policy::{Policy, Rule, SchemaRule};
use crate::rules::schema::Schema;

pub(super) fn read(root: &Table<'_>, policy: &Policy) -> Vec<SchemaRule> {
    let tables = root.tables("schema");
    tables.iter().enumerate().filter_map(|(at, table)| one(&format!("schema {}", at + 1), table, policy)).collect()
}

fn one(label: &str, table: &Table<'_>, policy: &Policy) -> Option<SchemaRule> {
    let node = table.need("schema", "a table, or the name of `schemas/NAME.json` beside the policies");
    let schema = node.and_then(|node| schema(label, &node, policy));
    let named = schema.as_ref().filter(|schema| *schema.name != *label);
    let label = named.map_or_else(|| label.into(), |schema| format!("{label} (`{}`)", schema.name).into());
    let rule = Rule {
        label,
        vendors: rules::of_vendors(table, policy),
        methods: rules::of_methods(table),
        paths: rules::of_paths(table),
        tier: None,
        params: Vec::new(),
        mode: mode(table),
    };
    let redact = table.get("redact").and_then(|node| node.flag()).unwrap_or(false);
    table.done();
    Some(SchemaRule { rule, schema: schema?, redact })
}

fn schema(label: &str, node: &Node<'_>, policy: &Policy) -> Option<Arc<Schema>> {
    if !node.value().is_str() {
        node.table()?;
        return schema_file::inline(node, label).map(Arc::new);
    }
    let name = node.text()?;
    let found = policy.beside.schemas.get(name).cloned();
    if found.is_none() {
        node.wrong(format!("there is no such schema: write it to `schemas/{name}.json` beside the policies"));
    }
    found
}
