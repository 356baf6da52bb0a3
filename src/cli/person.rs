//! `bursar person find|erase`: who stands behind an alias of the books, and ending that.

use clap::{Args, Subcommand};

use super::client::Client;
use super::output::{BOLD, GOOD, json, line, plain};
use super::{Failure, Global};
use crate::adapters::people::wire::{Erased, PersonRequest, PersonView};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Whose alias this is, or the alias of a person
    Find(Who),
    /// Delete the one row that says whom an alias means; the chain of the books stays whole
    Erase {
        #[command(flatten)]
        who: Who,
        /// Why; it stands in the books
        #[arg(long)]
        reason: Option<String>,
    },
}

#[derive(Debug, Args)]
pub struct Who {
    /// The name as calls write it, or an alias (`person-…`)
    name: String,
    /// The personal dimension
    #[arg(long, default_value = "user")]
    dimension: String,
}

impl Who {
    fn asked(self, reason: Option<String>) -> PersonRequest {
        PersonRequest { dimension: self.dimension.into(), name: self.name.into(), reason }
    }
}

pub async fn run(global: &Global, command: Command) -> Result<(), Failure> {
    let client = Client::new(global)?;
    match command {
        Command::Find(who) => find(global, &client, who).await,
        Command::Erase { who, reason } => erase(global, &client, who, reason).await,
    }
}

async fn find(global: &Global, client: &Client, who: Who) -> Result<(), Failure> {
    let found: PersonView = client.post("/v1/people/find", &who.asked(None)).await?;
    if global.json {
        return json(&found);
    }
    line(format!("{} {BOLD}{}{BOLD:#} is {}", plain(&found.dimension), plain(&found.value), plain(&found.alias)))
}

async fn erase(global: &Global, client: &Client, who: Who, reason: Option<String>) -> Result<(), Failure> {
    let done: Erased = client.post("/v1/people/erase", &who.asked(reason)).await?;
    if global.json {
        return json(&done);
    }
    line(format!(
        "{GOOD}erased{GOOD:#}: nobody can say any more whom {BOLD}{}{BOLD:#} means (event {})",
        plain(&done.alias),
        done.seq
    ))
}
