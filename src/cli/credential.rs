//! `bursar credential list`: names, and whether there is one. Never the credential: the server does not tell it either.

use clap::Subcommand;
use serde::{Deserialize, Serialize};

use super::client::Client;
use super::output::{Columns, json};
use super::{Failure, Global};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List vendors and whether each has its credential
    List,
}

#[derive(Deserialize)]
struct Found {
    vendors: Vec<Vendor>,
}

#[derive(Serialize, Deserialize)]
struct Vendor {
    vendor: String,
    credentials: Vec<Credential>,
}

#[derive(Serialize, Deserialize)]
struct Credential {
    name: String,
    there: bool,
}

pub async fn run(global: &Global, command: Command) -> Result<(), Failure> {
    let Command::List = command;
    let found: Found = Client::new(global)?.get("/v1/vendors", &()).await?;
    if global.json {
        return found.vendors.iter().try_for_each(json);
    }
    let mut columns = Columns::new(&["vendor", "credential", "there"]);
    for vendor in &found.vendors {
        if vendor.credentials.is_empty() {
            columns.row([vendor.vendor.clone(), "-".to_owned(), "no".to_owned()]);
        }
        for c in &vendor.credentials {
            let there = if c.there { "yes" } else { "no" };
            columns.row([vendor.vendor.clone(), c.name.clone(), there.to_owned()]);
        }
    }
    columns.print()
}
