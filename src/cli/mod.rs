//! The command line: one file per command. Commands other than `serve` speak the admin API and hold no state. Exit codes: 0
//! done, 1 refused or not found, 2 wrong usage, 3 cannot reach the server. `client` is the way there, `output` the way out.

mod adjust;
mod approval;
mod audit;
mod client;
mod config;
mod credential;
pub mod fx;
mod key;
mod kill;
mod ledger;
mod output;
mod person;
mod policy;
mod prices;
mod report;
mod runs;
pub mod serve;
mod sheet;
mod spend;
mod when;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::units::secret::Secret;
pub use output::Failure;

/// A reverse proxy in front of vendor APIs for AI agents: vault keys, budgets, and books for every call.
#[derive(Debug, Parser)]
#[command(name = "bursar", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Where bursar is, and how to print.
#[derive(Clone, Debug, Default, Args)]
pub struct Global {
    /// Configuration file (`bursar.toml` if it is there)
    #[arg(long, global = true, env = "BURSAR_CONFIG", value_name = "FILE", help_heading = "Where")]
    pub config: Option<PathBuf>,
    /// Data folder; the admin socket lies in it
    #[arg(long, global = true, env = "BURSAR_DATA", value_name = "DIR", help_heading = "Where")]
    pub data: Option<PathBuf>,
    /// Admin API to speak to, instead of the socket in the data folder
    #[arg(long, global = true, env = "BURSAR_ADMIN_URL", value_name = "URL", help_heading = "Where")]
    pub server: Option<String>,
    /// Admin token for `--server`
    #[arg(
        long,
        global = true,
        env = "BURSAR_ADMIN_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN",
        value_parser = secret,
        help_heading = "Where"
    )]
    pub token: Option<Secret>,
    /// Print JSON: one object, or one object a line
    #[arg(long, global = true)]
    pub json: bool,
}

/// Without the line's end that a file or a variable may bring along.
fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text.trim().to_owned()))
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the gateway and the admin API
    Serve(serve::Serve),
    /// Mint, list, show, revoke and restore vault keys
    #[command(subcommand)]
    Key(key::Command),
    /// Stop everything that a key, agent, run, tenant, policy or vendor does, at once
    Kill(kill::Kill),
    /// Undo a kill
    Unkill(kill::Kill),
    /// Calls that wait for a person's word: list, approve, reject
    #[command(subcommand, visible_alias = "approvals")]
    Approval(approval::Command),
    /// Read the books: follow them, or ask for calls
    #[command(subcommand)]
    Audit(audit::Command),
    /// What was spent: calls and cost, by operation, agent, run and vendor
    Spend(spend::Spend),
    /// Who stands behind an alias of the books, and erasing a person
    #[command(subcommand)]
    Person(person::Command),
    /// What runs did: a list of them, or one page about one
    Runs(runs::Runs),
    /// Say what a call really cost, where only its bound could be charged
    Adjust(adjust::Adjust),
    /// Compare the ledger with the books, or write it anew from them
    #[command(subcommand)]
    Ledger(ledger::Command),
    /// A month for an auditor: who could do what, who changed it, who approved, exceptions; as Markdown, or JSON
    Report(report::ReportArgs),
    /// Check policies
    #[command(subcommand)]
    Policy(policy::Command),
    /// What models cost, and newer price lists
    #[command(subcommand)]
    Prices(prices::Command),
    /// Print the default configuration, or check one
    #[command(subcommand)]
    Config(config::Command),
    /// What currencies are worth, and newer rates
    #[command(subcommand)]
    Fx(fx::Command),
    /// Which vendors have a credential
    #[command(subcommand)]
    Credential(credential::Command),
}

/// Runs every command but `serve`, which `main` hands to `app`.
pub async fn run(global: &Global, command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(_) => Err(Failure::usage("`serve` runs by itself")),
        Command::Key(command) => key::run(global, command).await,
        Command::Kill(kill) => kill::run(global, kill, true).await,
        Command::Unkill(kill) => kill::run(global, kill, false).await,
        Command::Approval(command) => approval::run(global, command).await,
        Command::Audit(command) => audit::run(global, command).await,
        Command::Spend(spend) => spend::run(global, spend).await,
        Command::Person(command) => person::run(global, command).await,
        Command::Runs(asked) => runs::run(global, asked).await,
        Command::Adjust(adjust) => adjust::run(global, adjust).await,
        Command::Ledger(command) => ledger::run(global, command).await,
        Command::Report(asked) => report::run(global, asked).await,
        Command::Policy(command) => policy::run(global, command).await,
        Command::Prices(command) => prices::run(global, command),
        Command::Config(command) => config::run(global, command),
        Command::Fx(command) => fx::run(global, command),
        Command::Credential(command) => credential::run(global, command).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_meant_is_wrong_usage() {
        for wrong in [
            "key list --status revokd",
            "key show vk_",
            "key mint --policy p --ttl 500ms",
            "key mint --policy p --parent vk_",
            "kill --key vk_",
            "audit query --limit 0",
            "audit query --since -1h",
            "serve --listen nowhere",
            "serve --admin 127.0.0.1:99999",
        ] {
            let parsed = Cli::try_parse_from(["bursar"].into_iter().chain(wrong.split(' ')));
            assert_eq!(parsed.expect_err(wrong).exit_code(), 2, "{wrong}");
        }
        assert!(Cli::try_parse_from(["bursar", "key", "show", ""]).is_err(), "an unset variable is no id");
    }

    #[test]
    fn the_token_is_not_printed() {
        let told = Cli::try_parse_from(["bursar", "--token", "bat_0123456789\n", "key", "list"]).expect("well-formed");
        assert!(!format!("{told:?}").contains("0123"));
        assert_eq!(told.global.token, Some(Secret::new("bat_0123456789".to_owned())));
    }
}
