//! `bursar config default|check`: needs no server.

use clap::Subcommand;

use super::output::{GOOD, json, line};
use super::{Failure, Global};
use crate::config::{self, Flags};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print the default configuration, with what each value does
    Default,
    /// Check a configuration; every mistake is said at once
    Check {
        /// The file; else --config, or `bursar.toml`
        file: Option<std::path::PathBuf>,
    },
}

pub fn run(global: &Global, command: Command) -> Result<(), Failure> {
    match command {
        Command::Default => line(config::DEFAULT.trim_end()),
        Command::Check { file } => check(global, file),
    }
}

fn check(global: &Global, file: Option<std::path::PathBuf>) -> Result<(), Failure> {
    let flags = Flags { config: file.or_else(|| global.config.clone()), data: global.data.clone(), ..Flags::default() };
    let config = config::load(&flags, &|name| std::env::var(name).ok()).map_err(Failure::refused)?;
    let file = config.file.as_ref().map_or_else(|| "the defaults".to_owned(), |f| f.display().to_string());
    if global.json {
        return json(&serde_json::json!({ "file": config.file, "ok": true, "vendors": config.vendors.len() }));
    }
    line(format!("{GOOD}good{GOOD:#}  {file}: {} vendors", config.vendors.len()))
}
