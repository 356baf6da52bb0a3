//! `bursar report --soc2 --month 2026-10`: the server's report as Markdown, or as it comes.

mod markdown;

use std::path::PathBuf;

use clap::Args;

use super::client::Client;
use super::output::{json, line, note};
use super::{Failure, Global};
use crate::adapters::audit::report::Report;
use crate::adapters::audit::wire::ReportAsked;

#[derive(Debug, Args)]
pub struct ReportArgs {
    /// What an auditor for SOC 2 asks of access and change; the only report so far
    #[arg(long, required = true)]
    soc2: bool,
    /// Such as `2026-10`; UTC
    #[arg(long)]
    month: String,
    /// Into this file, not to standard output
    #[arg(long, short)]
    output: Option<PathBuf>,
}

pub async fn run(global: &Global, asked: ReportArgs) -> Result<(), Failure> {
    let ReportArgs { month, output, .. } = asked;
    let report: Report = Client::new(global)?.get("/v1/report", &ReportAsked { month }).await?;
    let Some(path) = output else {
        return if global.json { json(&report) } else { line(markdown::text(&report).trim_end()) };
    };
    let text = if global.json { serde_json::to_string(&report)? + "\n" } else { markdown::text(&report) };
    std::fs::write(&path, text).map_err(|e| Failure::refused(format!("{}: {e}", path.display())))?;
    note(format!("written to {}", path.display()));
    Ok(())
}
