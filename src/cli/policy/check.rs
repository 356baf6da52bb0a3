//! `bursar policy check`: every mistake of a folder, or what its policies are.

use std::path::PathBuf;

use super::stage;
use crate::cli::output::{Columns, GOOD, json, line};
use crate::cli::{Failure, Global};
use crate::rules::policy::Policy;

pub(super) async fn run(global: &Global, dir: Option<PathBuf>) -> Result<(), Failure> {
    let config = stage::config(global, dir)?;
    let folder = &config.server.policies;
    let set = stage::policies(&config).await?;
    if global.json {
        return set.policies().try_for_each(|p| json(&as_json(p)));
    }
    let mut columns = Columns::new(&["policy", "mode", "vendors", "budgets", "rates", "hash"]);
    for p in set.policies() {
        columns.row([
            p.name.to_string(),
            mode(p).to_owned(),
            vendors_of(p),
            p.budgets.len().to_string(),
            p.rates.len().to_string(),
            short_hash(p),
        ]);
    }
    columns.print()?;
    line(format!("{GOOD}good{GOOD:#}  {}: {} policies", folder.display(), set.len()))
}

fn mode(p: &Policy) -> &'static str {
    if p.mode.enforces() { "enforce" } else { "observe" }
}

fn vendors_of(p: &Policy) -> String {
    if p.vendors.is_empty() { "all".to_owned() } else { p.vendors.join(", ") }
}

fn short_hash(p: &Policy) -> String {
    p.hash.to_string().chars().take(12).collect()
}

fn as_json(p: &Policy) -> serde_json::Value {
    serde_json::json!({ "policy": p.name, "hash": p.hash, "mode": mode(p), "vendors": p.vendors })
}
