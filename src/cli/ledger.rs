//! `bursar ledger check|rebuild`: the ledger beside the books, and written anew from them. `check` asks the server; `rebuild`
//! works on the data folder itself, while nobody serves.

use clap::Subcommand;

use super::client::{Client, books_of, config_of, data_folder, whoami};
use super::output::{BAD, BOLD, Columns, GOOD, WARN, json, line, note, or_dash};
use super::{Failure, Global};
use crate::adapters::audit::wire::CheckView;
use crate::adapters::ledger::embedded::{FolderLock, Rebuilt, rebuild};
use crate::config::LedgerStore;
use crate::rules::books::Act;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Compare every account with what the books add up to; ends with 1 if they differ
    Check,
    /// Write the ledger anew from the books; the server must not run. The old journal is kept aside
    Rebuild {
        /// Why; it stands in the books
        #[arg(long)]
        reason: Option<String>,
    },
}

pub async fn run(global: &Global, command: Command) -> Result<(), Failure> {
    match command {
        Command::Check => check(global).await,
        Command::Rebuild { reason } => anew(global, reason),
    }
}

async fn check(global: &Global) -> Result<(), Failure> {
    let found: CheckView = Client::new(global)?.get("/v1/ledger/check", &()).await?;
    if global.json {
        json(&found)?;
    } else {
        said(&found)?;
    }
    if found.whole { Ok(()) } else { Err(Failure::refused("the ledger and the books do not agree")) }
}

fn said(found: &CheckView) -> Result<(), Failure> {
    let checked = &found.checked;
    for gap in &found.gaps {
        note(format!("{WARN}missing{WARN:#} events {} to {} never reached the books", gap.from, gap.to));
    }
    if found.whole {
        return line(format!(
            "{GOOD}whole{GOOD:#}: {} accounts are what the books add up to, as of entry {}",
            checked.accounts, checked.upto
        ));
    }
    let mut table = Columns::new(&["account", "since", "ledger", "books"]);
    table.right(&[2, 3]);
    for d in &checked.differences {
        let since = super::audit::to_the_second(d.window_start);
        table.row([d.account.to_string(), since, d.unit.show(d.ledger), d.unit.show(d.books)]);
    }
    table.print()?;
    causes(found)
}

fn causes(found: &CheckView) -> Result<(), Failure> {
    line("")?;
    if found.causes_cut {
        note(format!("{WARN}not all{WARN:#} calls were looked at: older calls of those windows may be behind it too"));
    }
    if found.causes.is_empty() && !found.causes_cut {
        return line(
            "No call explains it: the journal or the snapshot was changed. `bursar ledger rebuild` writes both anew.",
        );
    }
    if found.causes.is_empty() {
        return line("None of the calls that were looked at explains it.");
    }
    let mut table = Columns::new(&["call", "events", "row", "ledger"]);
    table.right(&[1, 2, 3]);
    for c in &found.causes {
        let usd = |amount: Option<_>| or_dash(amount.map(|a: crate::units::money::MicroCents| format!("${a}")));
        table.row([c.call_id.to_string(), usd(c.events_usd), usd(c.row_usd), usd(c.ledger_usd)]);
    }
    table.print()
}

fn anew(global: &Global, reason: Option<String>) -> Result<(), Failure> {
    // What is written here is its owner's alone, as under `serve`.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let folder = data_folder(global)?;
    if !folder.join("lock").exists() {
        return Err(Failure::refused(format!(
            "`{}` is no data folder of bursar: name it with --data",
            folder.display()
        )));
    }
    if config_of(global, &folder)?.ledger.store != LedgerStore::Embedded {
        let why = "the ledger of this configuration stands on Redis, and no data folder has one to be rebuilt";
        return Err(Failure::refused(why.to_owned()));
    }
    let lock = FolderLock::take(&folder).map_err(Failure::refused)?;
    let books = books_of(global, &folder)?;
    let actor = format!("shell:{}", whoami().unwrap_or_else(|| "operator".to_owned()));
    let done = rebuild(&lock, &folder, &*books, Act { actor, reason }).map_err(Failure::refused)?;
    if global.json { json(&done) } else { told(&done) }
}

fn told(done: &Rebuilt) -> Result<(), Failure> {
    line(format!("{GOOD}rebuilt{GOOD:#} from the books up to entry {BOLD}{}{BOLD:#}", done.upto))?;
    for damage in &done.damaged {
        note(format!("{WARN}damaged{WARN:#} {damage}"));
    }
    if done.salvaged > 0 {
        line(format!("{} entries of the old journal were not in the books, and are now", done.salvaged))?;
    }
    for hole in &done.lost {
        line(format!("{BAD}lost{BAD:#} entries {} to {}: nobody has them", hole.from, hole.to))?;
    }
    for orphan in &done.orphans {
        let cost = orphan.charge.usd;
        line(format!("{BAD}uncounted{BAD:#} call {} cost ${cost}, and its beginning is lost", orphan.call_id))?;
    }
    if done.open > 0 {
        line(format!("{} calls were open: their bounds are charged when the server starts", done.open))?;
    }
    if done.reset > 0 {
        line(format!("{} accounts were set to what the rows of calls add up to", done.reset))?;
    }
    if done.accounts_kept {
        line(
            "The books were older than the journal, and the ledger was whole: its accounts are as they were, and \
                `bursar ledger check` shows what the books lost",
        )?;
    }
    line(format!("The old journal and snapshot lie in {}", done.kept.display()))
}
