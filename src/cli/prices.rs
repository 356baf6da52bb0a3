//! `bursar prices show|update`: what a model costs and why, and newer price lists. Reads and writes the data folder; needs no
//! server, which takes new prices as soon as they are there.

mod show;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::output::{BAD, Columns, GOOD, WARN, json, line, note};
use super::when::When;
use super::{Failure, Global};
use crate::adapters::price_store::{PriceFiles, Upto};
use crate::config::{self, Flags};
use crate::rules::price::{Change, Update, update};
use crate::units::time::Timestamp;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// What a model costs: rates by tier and context, hours, fees, limits, with source and date
    Show(Show),
    /// Take prices from a file: our own form, genai-prices v2, LiteLLM's or OpenRouter's JSON
    Update(From),
}

#[derive(Debug, Args)]
pub struct Show {
    /// The model, as a request or an answer spells it
    pub model: String,
    /// At this time: `2026-12-01`, RFC 3339, or `2h` (ago)
    #[arg(long)]
    pub at: Option<When>,
    /// At this vendor alone
    #[arg(long)]
    pub vendor: Option<String>,
}

#[derive(Debug, Args)]
pub struct From {
    /// The price list
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Also prices that more than double, fall below half, become zero, or are gone
    #[arg(long)]
    yes: bool,
    /// Say what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
}

pub fn run(global: &Global, command: Command) -> Result<(), Failure> {
    let files = files(global)?;
    match command {
        Command::Show(asked) => show::run(global, &files, &asked),
        Command::Update(asked) => take(global, &files, &asked),
    }
}

/// The price files of this configuration.
pub(super) fn files(global: &Global) -> Result<PriceFiles, Failure> {
    let flags = Flags { config: global.config.clone(), data: global.data.clone(), ..Flags::default() };
    let config = config::load(&flags, &|name| std::env::var(name).ok()).map_err(Failure::refused)?;
    Ok(PriceFiles::new(&config.server.data, config.prices.overrides.as_deref()))
}

fn take(global: &Global, files: &PriceFiles, asked: &From) -> Result<(), Failure> {
    let name = asked.from.display().to_string();
    let text = std::fs::read_to_string(&asked.from).map_err(|e| Failure::refused(format!("{name}: {e}")))?;
    let book = files.load(Upto::Updates).map_err(Failure::refused)?;
    let listed = |mistakes: Vec<_>| mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let found = update(&book, &name, &text, Timestamp::now()).map_err(|list| Failure::refused(listed(list)))?;
    print(global, &found)?;
    let large = found.changes.iter().filter(|change| change.large).count();
    if large > 0 && !asked.yes && !asked.dry_run {
        return Err(Failure::refused(format!(
            "{large} prices more than double, fall below half, become zero or are gone: nothing was changed. Look at them, then add --yes."
        )));
    }
    if found.changes.is_empty() || asked.dry_run {
        note(format!("{name} ({}): {} prices differ; nothing was written.", found.form, found.changes.len()));
        return Ok(());
    }
    let path = files.add(&found.lines).map_err(Failure::refused)?;
    // With the operator's own file on top it must still be a book.
    files.load(Upto::Overrides).map_err(Failure::refused)?;
    note(format!("{name} ({}): {} prices written to {}.", found.form, found.changes.len(), path.display()));
    note("Your own file (`[prices] overrides`) stays on top. A running `bursar serve` takes them within a second.");
    Ok(())
}

fn print(global: &Global, found: &Update) -> Result<(), Failure> {
    if global.json {
        return found.changes.iter().try_for_each(json);
    }
    if found.changes.is_empty() {
        return line(format!("{GOOD}good{GOOD:#}  no price differs"));
    }
    let mut columns = Columns::new(&["vendor", "model", "tier", "above", "what", "was", "is", "from", ""]);
    columns.right(&[3, 5, 6]);
    found.changes.iter().for_each(|change| columns.row(cells(change)));
    columns.print()?;
    let large = found.changes.iter().filter(|change| change.large).count();
    if large > 0 {
        line(format!("{BAD}{large}{BAD:#} of {} are large {WARN}(!){WARN:#}", found.changes.len()))?;
    }
    Ok(())
}

fn cells(change: &Change) -> [String; 9] {
    [
        change.vendor.clone(),
        change.model.clone(),
        change.tier.clone(),
        if change.above == 0 { String::new() } else { change.above.to_string() },
        change.kind.to_owned(),
        change.old.clone().unwrap_or_else(|| "-".to_owned()),
        change.new.clone(),
        change.from.clone().unwrap_or_default(),
        if change.large { "!".to_owned() } else { String::new() },
    ]
}
