//! `bursar fx show|update`: the table of exchange rates. `update` reads the European Central Bank's CSV and writes `fx.toml` in
//! the data folder, which goes on top of the shipped table; a running server takes it within a second. Needs no server.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::output::{Columns, GOOD, json, line};
use super::{Failure, Global};
use crate::adapters::price_store::{self, PriceFiles, Upto};
use crate::config::{self, Config, Flags};
use crate::rules::price::{Fx, Rate, decimals, ecb};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print what each currency is worth in USD, and of which day that is
    Show {
        /// Only these
        codes: Vec<String>,
    },
    /// Put newer rates on top, from the European Central Bank's CSV (eurofxref.csv, or its history)
    Update(Update),
}

#[derive(Debug, Args)]
pub struct Update {
    /// The bank's file
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Take over a rate that more than doubled or halved, and a day older than the table's
    #[arg(long)]
    yes: bool,
}

pub fn run(global: &Global, command: Command) -> Result<(), Failure> {
    let flags = Flags { config: global.config.clone(), data: global.data.clone(), ..Flags::default() };
    let config = config::load(&flags, &|name| std::env::var(name).ok()).map_err(Failure::refused)?;
    let files = PriceFiles::new(&config.server.data, config.prices.overrides.as_deref());
    let fx = files.load(Upto::Overrides).map_err(Failure::refused)?.fx;
    match command {
        Command::Show { codes } => show(global, &fx, &codes),
        Command::Update(update) => self::update(global, &config, &fx, &update),
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|e| Failure::refused(format!("{}: {e}", path.display())))
}

fn show(global: &Global, fx: &Fx, codes: &[String]) -> Result<(), Failure> {
    let mut columns = Columns::new(&["currency", "usd_per_unit", "decimals", "as_of"]);
    for (code, rate) in fx.rates() {
        if !codes.is_empty() && !codes.iter().any(|wanted| wanted.eq_ignore_ascii_case(code)) {
            continue;
        }
        let (rate, places) = (rate.to_string(), decimals(code));
        if global.json {
            let day = fx.day(code);
            json(&serde_json::json!({ "currency": code, "usd_per_unit": rate, "decimals": places, "as_of": day }))?;
        } else {
            columns.row([code.to_owned(), rate, places.to_string(), fx.day(code).to_owned()]);
        }
    }
    let unknown = codes.iter().find(|code| !fx.knows(code));
    if let Some(code) = unknown {
        return Err(Failure::refused(format!("`{code}` is not in the table: an amount in it is refused")));
    }
    if global.json {
        return Ok(());
    }
    line(format!("as of {}; a hold in another currency than USD has a margin of {} %", fx.as_of, fx.margin_percent()))?;
    columns.print()
}

fn update(global: &Global, config: &Config, fx: &Fx, update: &Update) -> Result<(), Failure> {
    let day = ecb::newest(&read(&update.from)?);
    let day = day.map_err(|why| Failure::refused(format!("{}: {why}", update.from.display())))?;
    let old: BTreeMap<&str, Rate> = fx.rates().collect();
    let mut doubts = Vec::new();
    if day.date < fx.as_of {
        doubts.push(format!("it is of {}, and the table is of {}", day.date, fx.as_of));
    }
    let lost = brought(&config.server.data)?.into_keys().filter(|code| !day.rates.contains_key(code));
    doubts.extend(lost.map(|code| format!("it has no `{code}`, which an earlier update brought")));
    let mut columns = Columns::new(&["currency", "was", "is"]);
    for (code, new) in day.rates.iter().filter_map(|(code, text)| Some((code, Rate::parse(text)?))) {
        let was = old.get(code.as_str()).copied();
        if was == Some(new) {
            continue;
        }
        if let Some(was) = was.filter(|was| new.is_far_from(*was)) {
            doubts.push(format!("`{code}` goes from {was} to {new}"));
        }
        columns.row([code.clone(), was.map_or_else(|| "-".to_owned(), |was| was.to_string()), new.to_string()]);
    }
    if !global.json {
        columns.print()?;
    }
    if !doubts.is_empty() && !update.yes {
        let doubts = doubts.join("; ");
        return Err(Failure::refused(format!(
            "nothing was changed: {doubts}. Look at the file; `--yes` takes it all the same"
        )));
    }
    write(&config.server.data, &written(&day))?;
    if global.json {
        return json(&serde_json::json!({ "as_of": day.date, "currencies": day.rates.len() }));
    }
    line(format!(
        "{GOOD}good{GOOD:#}  {} rates of {}; a running server takes them within a second",
        day.rates.len(),
        day.date
    ))
}

/// What an earlier update wrote.
fn brought(folder: &Path) -> Result<BTreeMap<String, toml::Value>, Failure> {
    let path = folder.join(price_store::FX);
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let table: toml::Table = read(&path)?.parse().map_err(|e| Failure::refused(format!("{}: {e}", path.display())))?;
    let rates = table.get("usd_per_unit").and_then(toml::Value::as_table).cloned();
    Ok(rates.into_iter().flatten().collect())
}

fn written(day: &ecb::Day) -> String {
    let rates: String = day.rates.iter().map(|(code, rate)| format!("{code} = \"{rate}\"\n")).collect();
    format!(
        "# USD per unit of a currency, as dollars and units for one euro, by `bursar fx update` from the European Central Bank's file.\nas_of = \"{}\"\n\n\
         [usd_per_unit]\n{rates}",
        day.date
    )
}

/// Beside the old one first, so that no half of a file is ever read.
fn write(folder: &Path, text: &str) -> Result<(), Failure> {
    let (path, new) = (folder.join(price_store::FX), folder.join("fx.toml.new"));
    let failed = |e: std::io::Error| Failure::refused(format!("{}: {e}", path.display()));
    std::fs::create_dir_all(folder).map_err(failed)?;
    std::fs::write(&new, text).map_err(failed)?;
    std::fs::rename(&new, &path).map_err(failed)
}
