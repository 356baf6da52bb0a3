//! `bursar policy test`: plays every table beside the policies, each case on an empty ledger. Ends with 1 if one case gets
//! another verdict than it expects.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::stage;
use crate::cli::output::{BAD, GOOD, json as print_json, line, plain};
use crate::cli::{Failure, Global};
use crate::config::policy_tests::{self, Case, ENDING};

#[derive(Debug, Args)]
pub struct Test {
    /// The folder of policies; else what the configuration says
    dir: Option<PathBuf>,
    /// This table alone, wherever it lies
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
    /// Also cases that are as they should be
    #[arg(long)]
    all: bool,
}

pub(super) async fn run(global: &Global, asked: Test) -> Result<(), Failure> {
    let config = stage::config(global, asked.dir)?;
    let tables = match asked.table {
        Some(table) => vec![table],
        None => tables(&config.server.policies)?,
    };
    let policies = stage::policies(&config).await?;
    let mut rehearsal = stage::rehearsal(&config, policies)?;
    let (mut cases, mut bad) = (0, 0);
    for path in &tables {
        for case in read(path)? {
            cases += 1;
            let wrong = case.wrong(&mut rehearsal);
            bad += usize::from(wrong.is_some());
            tell(global, path, &case, wrong, asked.all)?;
        }
    }
    if cases == 0 {
        let folder = config.server.policies.display();
        return Err(Failure::refused(format!("{folder}: no table there: write NAME{ENDING} beside NAME.toml")));
    }
    if !global.json {
        let colour = if bad == 0 { GOOD } else { BAD };
        line(format!("{colour}{}{colour:#} of {cases} cases in {} tables", cases - bad, tables.len()))?;
    }
    if bad == 0 { Ok(()) } else { Err(Failure { code: 1, message: String::new() }) }
}

fn tables(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let shown = folder.display();
    let entries = std::fs::read_dir(folder).map_err(|e| Failure::refused(format!("{shown}: {e}")))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(ENDING)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn read(path: &Path) -> Result<Vec<Case>, Failure> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|e| Failure::refused(format!("{shown}: {e}")))?;
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    policy_tests::read(&shown, &text, name.strip_suffix(ENDING).unwrap_or(&name)).map_err(Failure::refused)
}

fn tell(global: &Global, path: &Path, case: &Case, wrong: Option<String>, all: bool) -> Result<(), Failure> {
    let file = path.display().to_string();
    if global.json {
        let passed = wrong.is_none();
        return print_json(&json!({
            "file": file, "line": case.line, "case": case.name, "passed": passed, "why": wrong,
        }));
    }
    match wrong {
        Some(why) => line(format!("{BAD}wrong{BAD:#}  {file}:{}: {}: {}", case.line, plain(&case.name), plain(&why))),
        None if all => line(format!("{GOOD}good{GOOD:#}   {file}:{}: {}", case.line, plain(&case.name))),
        None => Ok(()),
    }
}
