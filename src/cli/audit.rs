//! `bursar audit`: the books as a stream of events (`tail`), as rows of calls (`query`), and as evidence (`evidence`,
//! `verify`, `against`).

mod against;
mod evidence;
mod tail;
mod verify;

use clap::{Args, Subcommand};

use super::client::Client;
use super::output::{Columns, json, note, or_dash};
use super::when::When;
use super::{Failure, Global};
use crate::adapters::audit::{CallPage, CallQuery, CallRow};
use crate::rules::books::{Outcome, Verdict};
use crate::units::time::Timestamp;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print events as they stand in the books; with --follow, as they happen
    Tail(tail::Tail),
    /// Find calls, newest first
    Query(Query),
    /// Write signed lines for `verify` to standard output
    Export(evidence::Export),
    /// Check an export, a proof or the books themselves; or compare them with an independent count
    Verify(verify::Verify),
    /// Prove that the events of one call stand in the books
    Prove(evidence::Prove),
    /// Delete events under a checkpoint; the chain remains checkable
    Prune(evidence::Prune),
    /// The key that signs checkpoints
    #[command(subcommand)]
    Key(evidence::Key),
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
}

fn some(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "a whole number of 1 or more".to_owned())
}

fn verdict(text: &str) -> Result<Verdict, String> {
    Verdict::parse(text).ok_or_else(|| format!("one of {}", words(Verdict::ALL)))
}

fn outcome(text: &str) -> Result<Outcome, String> {
    Outcome::parse(text).ok_or_else(|| format!("one of {}", words(Outcome::ALL)))
}

fn words(all: &[impl std::fmt::Display]) -> String {
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
            verdict: self.verdict,
            outcome: self.outcome,
            since: self.since.map(|w| w.0),
            until: self.until.map(|w| w.0),
            limit: None,
            before: None,
        }
    }
}

#[derive(Debug, Args)]
pub struct Query {
    #[command(flatten)]
    filter: Filter,
    /// At most so many rows
    #[arg(long, default_value_t = 50, value_parser = some)]
    limit: usize,
    /// Older than this row: the `seq` of the last one that was seen
    #[arg(long, value_name = "SEQ")]
    before: Option<u64>,
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
        Command::Query(query) => self::query(global, &client, query).await,
        Command::Export(export) => evidence::export(&client, export).await,
        Command::Prove(prove) => evidence::prove(&client, prove).await,
        Command::Prune(prune) => evidence::prune(global, &client, prune).await,
        Command::Key(key) => evidence::key(global, &client, key).await,
    }
}

/// Rows that the server gives at a time.
const PAGE: usize = 1000;

async fn query(global: &Global, client: &Client, asked: Query) -> Result<(), Failure> {
    let mut query = CallQuery { before: asked.before, ..asked.filter.query() };
    let mut left = asked.limit;
    let mut rows = Vec::new();
    while left > 0 {
        query.limit = Some(left.min(PAGE));
        let page: CallPage = client.get("/v1/audit/calls", &query).await?;
        left = left.saturating_sub(page.calls.len());
        query.before = page.next;
        match global.json {
            true => page.calls.iter().try_for_each(json)?,
            false => rows.extend(page.calls),
        }
        if page.next.is_none() {
            break;
        }
    }
    if global.json { Ok(()) } else { table(&rows) }
}

fn table(rows: &[CallRow]) -> Result<(), Failure> {
    if rows.is_empty() {
        note("No calls match.");
        return Ok(());
    }
    let names =
        ["seq", "time", "verdict", "outcome", "agent", "run", "vendor", "operation", "status", "cost", "reason"];
    let mut columns = Columns::new(&names);
    columns.right(&[0, 8, 9]);
    for row in rows {
        columns.row([
            row.seq.to_string(),
            to_the_second(row.timestamp_utc),
            row.verdict.to_string(),
            row.outcome.map_or_else(|| "open".to_owned(), |o| o.to_string()),
            or_dash(row.agent_id.as_ref()),
            or_dash(row.run_id.as_ref()),
            or_dash(row.vendor.as_ref()),
            row.endpoint.as_ref().map_or_else(|| format!("{} {}", row.method, row.path), ToString::to_string),
            or_dash(row.http_status),
            row.cost_usd.map_or_else(|| "-".to_owned(), |c| format!("${c}")),
            short(row.reason.as_ref().or(row.error.as_ref()).map_or("", |r| r)),
        ]);
    }
    columns.print()
}

/// A table keeps its shape; `--json` has the whole sentence.
fn short(reason: &str) -> String {
    let mut chars = reason.chars();
    let kept: String = chars.by_ref().take(REASON).collect();
    if chars.next().is_some() { format!("{kept}…") } else { kept }
}

const REASON: usize = 60;

/// `2026-10-01 12:00:00`, in UTC.
pub(super) fn to_the_second(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(..19).map_or_else(|| text.clone(), |t| t.replace('T', " "))
}
