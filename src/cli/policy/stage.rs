//! What a play needs: the policies of a folder as `serve` would load them, the configured vendors, and the prices of today.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::adapters::policy_store::{Declare, Options, PolicyStore, Sandbox, beside};
use crate::adapters::price_store::{PriceFiles, Upto};
use crate::cli::{Failure, Global};
use crate::config::{self, Config, Flags, policy_file};
use crate::rules::policy::{BadSet, Policy, PolicySet};
use crate::rules::rehearsal::Rehearsal;

pub(super) fn config(global: &Global, policies: Option<PathBuf>) -> Result<Config, Failure> {
    let flags = Flags { config: global.config.clone(), data: global.data.clone(), policies, ..Flags::default() };
    config::load(&flags, &|name| std::env::var(name).ok()).map_err(Failure::refused)
}

/// As `serve` reads them, with a ledger that takes everything.
pub(super) async fn policies(config: &Config) -> Result<Arc<PolicySet>, Failure> {
    let folder = config.server.policies.clone();
    if !folder.is_dir() {
        let what =
            if folder.exists() { "policies are read together: name their folder" } else { "there is no such folder" };
        return Err(Failure::refused(format!("{}: {what}", folder.display())));
    }
    let vendors = config.vendors.iter().map(|v| v.name.clone()).collect();
    let declare: Declare = Box::new(|_| Box::pin(std::future::ready(Ok(()))));
    let options = Options { folder, vendors, sandbox: Sandbox::Checked };
    let (store, _) = PolicyStore::open(options, Vec::new(), declare).await.map_err(Failure::refused)?;
    Ok(store.current())
}

pub(super) fn rehearsal(config: &Config, policies: Arc<PolicySet>) -> Result<Rehearsal, Failure> {
    let files = PriceFiles::new(&config.server.data, config.prices.overrides.as_deref());
    let prices = files.load(Upto::Overrides).map_err(Failure::refused)?;
    Ok(Rehearsal::new(policies, config.vendors.clone(), Arc::new(prices)))
}

/// One policy's file.
pub(super) fn one(config: &Config, path: &Path) -> Result<Policy, Failure> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|e| Failure::refused(format!("{shown}: {e}")))?;
    let vendors: Vec<_> = config.vendors.iter().map(|v| v.name.clone()).collect();
    let near = path.parent().map(beside).transpose().map_err(Failure::refused)?.unwrap_or_default();
    let folder = &config.server.policies;
    // A file that lies elsewhere means the lists and schemas of the folder that it is for.
    let near = if near.is_empty() && folder.is_dir() { beside(folder).map_err(Failure::refused)? } else { near };
    policy_file::read_with(&shown, &text, Some(&vendors), &near).map_err(Failure::refused)
}

/// Why the policies do not go together.
pub(super) fn bad_set(path: &Path, bad: &[BadSet]) -> Failure {
    let list: Vec<String> = bad.iter().map(|b| format!("{}: {b}", path.display())).collect();
    Failure::refused(list.join("\n"))
}
