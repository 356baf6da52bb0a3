//! `bursar policy check`: reads a folder as `serve` would, and says every mistake. Needs no server.

use std::path::PathBuf;

use clap::Subcommand;

use super::output::{Columns, GOOD, json, line};
use super::{Failure, Global};
use crate::adapters::policy_store::{Declare, Options, PolicyStore, Reloaded, Sandbox};
use crate::config::{self, Flags, Mistakes};
use crate::rules::policy::Policy;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check the policies of a folder
    Check {
        /// The folder; else what the configuration says
        dir: Option<PathBuf>,
    },
}

pub async fn run(global: &Global, command: Command) -> Result<(), Failure> {
    let Command::Check { dir } = command;
    let flags = Flags { config: global.config.clone(), policies: dir, ..Flags::default() };
    let config = config::load(&flags, &|name| std::env::var(name).ok()).map_err(Failure::refused)?;
    let nobody_to_ask = config.nobody_to_ask();
    let folder = config.server.policies;
    if !folder.is_dir() {
        let what = if folder.exists() {
            "policies are checked together: name their folder"
        } else {
            "there is no such folder"
        };
        return Err(Failure::refused(format!("{}: {what}", folder.display())));
    }
    let vendors = config.vendors.iter().map(|v| v.name.clone()).collect();
    let options = Options { folder, vendors, sandbox: Sandbox::Checked, nobody_to_ask };
    let (store, _) = read(options).await.map_err(Failure::refused)?;
    let set = store.current();
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
    line(format!("{GOOD}good{GOOD:#}  {}: {} policies", store.folder().display(), set.len()))
}

/// As `serve` reads them, with a ledger that takes everything.
async fn read(options: Options) -> Result<(PolicyStore, Reloaded), Mistakes> {
    let declare: Declare = Box::new(|_| Box::pin(std::future::ready(Ok(()))));
    PolicyStore::open(options, Vec::new(), declare).await
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
