//! `bursar policy ...`: policies as code. `check` reads a folder as `serve` would and says every mistake; `explain` plays one
//! request, `test` tables of them, `replay` those of the books; `diff` compares two versions. Only `replay` needs a server.

mod check;
mod diff;
mod explain;
mod replay;
mod stage;
mod test;

use std::path::PathBuf;

use clap::Subcommand;

use super::{Failure, Global};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check the policies of a folder
    Check {
        /// The folder; else what the configuration says
        dir: Option<PathBuf>,
    },
    /// What one request would get, and every rule that was looked at
    Explain(Box<explain::Explain>),
    /// Play the tables of requests beside the policies (`NAME.test.toml`)
    Test(test::Test),
    /// What changes from one version of a folder or a file to another
    Diff(diff::Diff),
    /// Play the calls of the books under other policies
    Replay(replay::Replay),
}

pub async fn run(global: &Global, command: Command) -> Result<(), Failure> {
    match command {
        Command::Check { dir } => check::run(global, dir).await,
        Command::Explain(asked) => explain::run(global, *asked).await,
        Command::Test(asked) => test::run(global, asked).await,
        Command::Diff(asked) => diff::run(global, asked).await,
        Command::Replay(asked) => replay::run(global, asked).await,
    }
}
