//! `bursar policy diff OLD NEW`: what the new policies let pass that the old ones did not, and what they no longer do. Ends with
//! 1 if anything widens, so that a review in CI can ask for a second look.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::stage;
use crate::cli::output::{BAD, GOOD, json as print_json, line, plain};
use crate::cli::{Failure, Global};
use crate::rules::policy::{PolicySet, compare};

#[derive(Debug, Args)]
pub struct Diff {
    /// A folder, or one policy's file
    old: PathBuf,
    new: PathBuf,
}

pub(super) async fn run(global: &Global, asked: Diff) -> Result<(), Failure> {
    let old = load(global, &asked.old).await?;
    let new = load(global, &asked.new).await?;
    let changes = compare(&old, &new, &stage::config(global, None)?.vendors);
    for change in &changes {
        if global.json {
            print_json(&json!({ "policy": change.policy, "widens": change.widens, "what": change.what }))?;
            continue;
        }
        let (colour, word) = if change.widens { (BAD, "wider   ") } else { (GOOD, "narrower") };
        line(format!("{colour}{word}{colour:#}  {}: {}", change.policy, plain(&change.what)))?;
    }
    let wider = changes.iter().filter(|change| change.widens).count();
    if !global.json {
        let colour = if wider == 0 { GOOD } else { BAD };
        line(format!("{colour}{wider}{colour:#} of {} changes let more pass than before", changes.len()))?;
    }
    if wider == 0 { Ok(()) } else { Err(Failure { code: 1, message: String::new() }) }
}

async fn load(global: &Global, path: &Path) -> Result<Arc<PolicySet>, Failure> {
    let config = stage::config(global, Some(path.to_owned()))?;
    if path.is_dir() {
        return stage::policies(&config).await;
    }
    let policy = stage::one(&config, path)?;
    PolicySet::new(vec![policy], Vec::new()).map(Arc::new).map_err(|bad| stage::bad_set(path, &bad))
}
