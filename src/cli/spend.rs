//! `bursar spend`: sums over calls, in all and by dimension.

use clap::Args;

use super::audit::Filter;
use super::client::Client;
use super::output::{BOLD, Columns, DIM, json, line};
use super::{Failure, Global};
use crate::adapters::audit::CallQuery;
use crate::adapters::audit::groups::{Dimension, SpendBy};
use crate::adapters::audit::query::{Spend as Sums, SpendLine, Sum};

#[derive(Debug, Args)]
pub struct Spend {
    #[command(flatten)]
    filter: Filter,
    /// One table by these: tenant, workspace, app, workflow, agent, toolset, run, key, policy, vendor, operation, hour, day,
    /// month, `tag.NAME`
    #[arg(long, value_delimiter = ',', value_name = "DIMENSION")]
    by: Vec<Dimension>,
}

pub async fn run(global: &Global, asked: Spend) -> Result<(), Failure> {
    let (client, query) = (Client::new(global)?, asked.filter.query());
    if !asked.by.is_empty() {
        return by(global, &client, query, &asked.by).await;
    }
    let sums: Sums = client.get("/v1/spend", &query).await?;
    if global.json {
        return json(&sums);
    }
    total(&sums.total)?;
    for (what, lines) in [
        ("operation", &sums.by_operation),
        ("agent", &sums.by_agent),
        ("run", &sums.by_run),
        ("vendor", &sums.by_vendor),
    ] {
        table(what, lines)?;
    }
    Ok(())
}

async fn by(global: &Global, client: &Client, query: CallQuery, by: &[Dimension]) -> Result<(), Failure> {
    let names: Vec<String> = by.iter().map(ToString::to_string).collect();
    let sums: SpendBy = client.get("/v1/spend", &CallQuery { by: Some(names.join(",")), ..query }).await?;
    if global.json {
        return json(&sums);
    }
    total(&sums.total)?;
    line("")?;
    let mut head: Vec<&str> = names.iter().map(String::as_str).collect();
    head.extend(["calls", "refused", "tokens", "cost"]);
    let mut columns = Columns::new(&head);
    columns.right(&(by.len()..by.len() + 4).collect::<Vec<_>>());
    for l in &sums.lines {
        let name = |n: &String| l.group.get(n).cloned().flatten().unwrap_or_else(|| "(none)".to_owned());
        columns.row(names.iter().map(name).chain(numbers(&l.sum)));
    }
    if let Some(others) = &sums.others {
        columns.row(names.iter().map(|_| "(others)".to_owned()).chain(numbers(others)));
    }
    columns.print()
}

fn numbers(s: &Sum) -> [String; 4] {
    [s.calls.to_string(), s.refused.to_string(), s.tokens.to_string(), format!("${}", s.cost_usd)]
}

fn total(t: &Sum) -> Result<(), Failure> {
    line(format!("{BOLD}${}{BOLD:#} for {} calls, {} tokens", t.cost_usd, t.calls, t.tokens))?;
    let asides = [("refused", t.refused), ("still open", t.open), ("to look at", t.flagged)];
    let asides: Vec<_> = asides.iter().filter(|(_, n)| *n > 0).map(|(what, n)| format!("{n} {what}")).collect();
    if !asides.is_empty() {
        line(format!("{DIM}{}{DIM:#}", asides.join(", ")))?;
    }
    Ok(())
}

fn table(what: &str, lines: &[SpendLine]) -> Result<(), Failure> {
    if lines.is_empty() {
        return Ok(());
    }
    line("")?;
    let mut columns = Columns::new(&[what, "calls", "refused", "tokens", "cost"]);
    columns.right(&[1, 2, 3, 4]);
    for l in lines {
        columns.row(std::iter::once(l.name.clone()).chain(numbers(&l.sum)));
    }
    columns.print()
}
