//! `bursar runs` and `bursar runs show RUN`: what a run did, on one page.

use clap::{Args, Subcommand};

use super::audit::to_the_second;
use super::client::Client;
use super::output::{BAD, BOLD, Columns, DIM, WARN, json, line, note, or_dash, plain};
use super::when::When;
use super::{Failure, Global};
use crate::adapters::audit::runs::{RunLine, RunList, RunPage};
use crate::adapters::audit::wire::RunAsked;
use crate::adapters::audit::{CallQuery, CallRow};
use crate::rules::books::Outcome;
use crate::rules::subject::DEFAULT_TENANT;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Runs {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// One page about one run: calls, cost, refusals, approvals, timeline
    Show {
        run: String,
        #[arg(long)]
        tenant: Option<String>,
    },
}

#[derive(Debug, Args)]
pub struct List {
    #[arg(long)]
    agent: Option<String>,
    #[arg(long)]
    tenant: Option<String>,
    #[arg(long)]
    policy: Option<String>,
    #[arg(long)]
    vendor: Option<String>,
    /// `2h`, `2026-10-01`, or RFC 3339
    #[arg(long)]
    since: Option<When>,
    /// Before this
    #[arg(long)]
    until: Option<When>,
    /// At most so many runs
    #[arg(long, default_value_t = 50, value_parser = super::audit::some)]
    limit: usize,
    /// Where the page before ended
    #[arg(long)]
    before: Option<u64>,
}

pub async fn run(global: &Global, runs: Runs) -> Result<(), Failure> {
    let client = Client::new(global)?;
    match runs.command {
        Some(Command::Show { run, tenant }) => {
            let page: RunPage = client.get("/v1/run", &RunAsked { run, tenant }).await?;
            if global.json { json(&page) } else { show(&page) }
        }
        None => list(global, &client, runs.list).await,
    }
}

async fn list(global: &Global, client: &Client, asked: List) -> Result<(), Failure> {
    let query = CallQuery {
        agent: asked.agent,
        tenant: asked.tenant,
        policy: asked.policy,
        vendor: asked.vendor,
        since: asked.since.map(|w| w.0),
        until: asked.until.map(|w| w.0),
        limit: Some(asked.limit),
        before: asked.before,
        ..CallQuery::default()
    };
    let found: RunList = client.get("/v1/runs", &query).await?;
    if global.json {
        found.runs.iter().try_for_each(json)?;
    } else if found.runs.is_empty() {
        note("No runs match.");
    } else {
        table(&found.runs)?;
    }
    if let Some(next) = found.next {
        note(format!("There may be more: --before {next}"));
    }
    Ok(())
}

fn table(runs: &[RunLine]) -> Result<(), Failure> {
    let mut columns =
        Columns::new(&["run", "agents", "first", "last", "calls", "refused", "open", "to look at", "cost"]);
    columns.right(&[4, 5, 6, 7, 8]);
    for run in runs {
        columns.row([
            named(run),
            listed(&run.agents),
            to_the_second(run.first_utc),
            to_the_second(run.last_utc),
            run.sum.calls.to_string(),
            run.sum.refused.to_string(),
            run.sum.open.to_string(),
            run.sum.flagged.to_string(),
            format!("${}", run.sum.cost_usd),
        ]);
    }
    columns.print()
}

fn named(run: &RunLine) -> String {
    if &*run.tenant == DEFAULT_TENANT { run.run_id.to_string() } else { format!("{}/{}", run.tenant, run.run_id) }
}

fn listed(names: &std::collections::BTreeSet<impl ToString>) -> String {
    or_dash(Some(names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")).filter(|l| !l.is_empty()))
}

fn show(page: &RunPage) -> Result<(), Failure> {
    let (run, sum) = (&page.line, &page.line.sum);
    line(format!(
        "{BOLD}run {}{BOLD:#}  ${} for {} calls, {} tokens",
        plain(&named(run)),
        sum.cost_usd,
        sum.calls,
        sum.tokens
    ))?;
    for (name, value) in [
        ("from", to_the_second(run.first_utc)),
        ("to", to_the_second(run.last_utc)),
        ("agents", listed(&run.agents)),
        ("vendors", listed(&run.vendors)),
        ("policies", listed(&page.policies)),
        ("keys", listed(&page.keys)),
        ("refused", sum.refused.to_string()),
        ("open", sum.open.to_string()),
        ("look at", sum.flagged.to_string()),
        ("approvals", page.approvals.len().to_string()),
    ] {
        line(format!("  {DIM}{name:<9}{DIM:#} {}", plain(&value)))?;
    }
    operations(page)?;
    if !page.refusals.is_empty() {
        line("")?;
        let mut columns = Columns::new(&["refused because", "times"]);
        columns.right(&[1]);
        page.refusals.iter().for_each(|r| columns.row([r.reason.clone(), r.count.to_string()]));
        columns.print()?;
    }
    if !page.changes.is_empty() {
        line("")?;
        let mut shown = super::audit::Show::default();
        for change in &page.changes {
            line(shown.event(&serde_json::to_vec(change)?))?;
        }
    }
    if page.changes_cut {
        note("There are more changes: bursar audit tail --from 1");
    }
    line("")?;
    if page.more {
        note(format!("Older calls: bursar audit query --run {}", plain(&run.run_id)));
    }
    page.timeline.iter().try_for_each(moment)
}

fn operations(page: &RunPage) -> Result<(), Failure> {
    line("")?;
    let mut columns = Columns::new(&["operation", "calls", "refused", "tokens", "cost"]);
    columns.right(&[1, 2, 3, 4]);
    for o in &page.operations {
        let s = &o.sum;
        let cells = [s.calls.to_string(), s.refused.to_string(), s.tokens.to_string(), format!("${}", s.cost_usd)];
        columns.row(std::iter::once(format!("{} {}", o.vendor, o.operation)).chain(cells));
    }
    columns.print()
}

/// One call as a line of the timeline.
fn moment(row: &CallRow) -> Result<(), Failure> {
    let ended = row.outcome.map_or_else(|| "open".to_owned(), |o| o.to_string());
    let style = match row.outcome {
        Some(Outcome::Ok) => super::output::GOOD,
        Some(Outcome::Refused) => BAD,
        _ => WARN,
    };
    let what = row.endpoint.as_ref().map_or_else(|| format!("{} {}", row.method, row.path), ToString::to_string);
    let cost = row.cost_usd.map_or_else(|| format!("≤${}", row.estimate_usd), |c| format!("${c}"));
    let why = row.reason.as_ref().or(row.error.as_ref()).map_or("", |r| r);
    let text = format!(
        "{DIM}{}{DIM:#} {style}{ended:<12}{style:#} {:<34} {cost:>12} {}",
        to_the_second(row.timestamp_utc),
        plain(&format!("{} {what}", row.vendor.as_deref().unwrap_or("-"))),
        plain(&super::audit::short(why))
    );
    line(text.trim_end())
}
