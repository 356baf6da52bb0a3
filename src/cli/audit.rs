//! `bursar audit`: the books as a stream of events (`tail`), as rows of calls (`query`), and as evidence (`evidence`,
//! `verify`, `against`).

mod against;
mod body;
mod evidence;
mod query;
mod reprice;
mod tail;
mod verify;

pub(super) use query::short;
pub(super) use tail::Show;

use clap::{Args, Subcommand};

use super::client::Client;
use super::when::When;
use super::{Failure, Global};
use crate::adapters::audit::CallQuery;
use crate::adapters::audit::condition::{Condition, Conditions};
use crate::rules::books::{Outcome, Verdict};
use crate::units::ids::CallId;
use crate::units::time::Timestamp;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print events as they stand in the books; with --follow, as they happen
    Tail(tail::Tail),
    /// Find calls, newest first
    Query(query::Query),
    /// Write signed lines for `verify` to standard output
    Export(evidence::Export),
    /// Check an export, a proof or the books themselves; or compare them with an independent count
    Verify(verify::Verify),
    /// Compute the cost of settled calls again, from what their rows say; a difference is the exit code
    Reprice(reprice::Reprice),
    /// Prove that the events of one call stand in the books
    Prove(evidence::Prove),
    /// Delete events under a checkpoint; the chain remains checkable
    Prune(evidence::Prune),
    /// The key that signs checkpoints
    #[command(subcommand)]
    Key(evidence::Key),
    /// Print a body that a policy captured; that somebody looked is an event
    Body(body::Body),
}

/// Which calls.
#[derive(Debug, Default, Args)]
pub struct Filter {
    #[arg(long)]
    agent: Option<String>,
    #[arg(long)]
    run: Option<String>,
    #[arg(long)]
    tenant: Option<String>,
    /// A key's id
    #[arg(long, value_parser = super::key::id)]
    key: Option<String>,
    #[arg(long)]
    policy: Option<String>,
    #[arg(long)]
    vendor: Option<String>,
    /// Method and template: `POST /v1/refunds`
    #[arg(long)]
    operation: Option<String>,
    /// A call's id: `x-bursar-call` of its answer
    #[arg(long, value_name = "ID")]
    call: Option<CallId>,
    /// `allow`, `allow_with_caps`, `deny`, `escalate` or `rate_limited`
    #[arg(long, value_parser = verdict)]
    verdict: Option<Verdict>,
    /// `ok`, `vendor_error`, `refused`, `unreachable`, `unknown`, `aborted` or `expired`
    #[arg(long, value_parser = outcome)]
    outcome: Option<Outcome>,
    /// `2h`, `2026-10-01`, or RFC 3339
    #[arg(long)]
    since: Option<When>,
    /// Before this
    #[arg(long)]
    until: Option<When>,
    /// Charged with a bound, not with what the vendor said: for a person to look at
    #[arg(long)]
    flagged: bool,
    /// On any column: `http_status>=500`, `reason~budget`, `subject.app=shop`, `run_id=` (none); may be given again
    #[arg(long = "where", value_name = "CONDITION")]
    wheres: Vec<Condition>,
    /// Pseudonyms in the place of all that names somebody, to hand on; `spend` needs `--by` for it
    #[arg(long)]
    pseudonyms: bool,
}

pub(super) fn some(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "a whole number of 1 or more".to_owned())
}

pub(super) fn verdict(text: &str) -> Result<Verdict, String> {
    Verdict::parse(text).ok_or_else(|| format!("one of {}", words(Verdict::ALL)))
}

fn outcome(text: &str) -> Result<Outcome, String> {
    Outcome::parse(text).ok_or_else(|| format!("one of {}", words(Outcome::ALL)))
}

pub(super) fn words(all: &[impl std::fmt::Display]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Filter {
    pub fn query(self) -> CallQuery {
        CallQuery {
            agent: self.agent,
            run: self.run,
            tenant: self.tenant,
            key: self.key,
            policy: self.policy,
            vendor: self.vendor,
            operation: self.operation,
            call: self.call,
            verdict: self.verdict,
            outcome: self.outcome,
            since: self.since.map(|w| w.0),
            until: self.until.map(|w| w.0),
            flagged: self.flagged.then_some(true),
            wheres: Conditions(self.wheres),
            pseudonyms: self.pseudonyms,
            ..CallQuery::default()
        }
    }
}

pub async fn run(global: &Global, command: Command) -> Result<(), Failure> {
    // An export is checked where there is no server.
    if let Command::Verify(verify) = command {
        return verify::run(global, verify).await;
    }
    let client = Client::new(global)?;
    match command {
        Command::Verify(_) => Ok(()),
        Command::Tail(tail) => tail::run(global, &client, &tail).await,
        Command::Body(body) => body::run(global, &client, body).await,
        Command::Query(query) => query::run(global, &client, query).await,
        Command::Reprice(reprice) => reprice::run(global, &client, reprice).await,
        Command::Export(export) => evidence::export(&client, export).await,
        Command::Prove(prove) => evidence::prove(&client, prove).await,
        Command::Prune(prune) => evidence::prune(global, &client, prune).await,
        Command::Key(key) => evidence::key(global, &client, key).await,
    }
}

/// `2026-10-01 12:00:00`, in UTC.
pub(super) fn to_the_second(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(..19).map_or_else(|| text.clone(), |t| t.replace('T', " "))
}
