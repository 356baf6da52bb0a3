//! `bursar policy replay`: the calls of the books, played again under other policies, in their order, at their own times and at
//! what they cost. Says what would have been refused and saved. Bodies are not in the books, so rules on parameters are taken to
//! pass, and such calls are counted apart.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::stage;
use crate::adapters::audit::{CallPage, CallQuery, CallRow};
use crate::cli::client::Client;
use crate::cli::output::{BAD, Columns, GOOD, json as print_json, line, note};
use crate::cli::when::When;
use crate::cli::{Failure, Global};
use crate::rules::books::Outcome;
use crate::rules::path::{CanonicalPath, Target};
use crate::rules::policy::PolicySet;
use crate::rules::rehearsal::{Actor, Past, Played, Rehearsal, Request};
use crate::rules::subject::Name;
use crate::units::money::MicroCents;
use crate::units::time::Timestamp;

#[derive(Debug, Args)]
pub struct Replay {
    /// From here on: `7d`, `2026-11-01`, RFC 3339
    #[arg(long, default_value = "7d")]
    since: When,
    #[arg(long)]
    until: Option<When>,
    /// This file in the place of the policy of its name; all others stay
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The folder of policies; else what the configuration says
    #[arg(long, value_name = "DIR")]
    policies: Option<PathBuf>,
    /// Also each call that comes out otherwise
    #[arg(long)]
    calls: bool,
}

/// Rows that the server gives at a time.
const PAGE: usize = 1000;

/// Calls that come out otherwise under one rule.
#[derive(Debug, Default)]
struct Tally {
    calls: u64,
    saved: MicroCents,
}

#[derive(Debug, Default)]
struct Count {
    calls: u64,
    cost: MicroCents,
    refused: BTreeMap<String, Tally>,
    /// Refused then, and let pass now.
    released: u64,
    /// A rule of theirs reads parameters, which nobody kept.
    undecided: u64,
    /// Of strangers, or at vendors that are gone.
    passed_over: u64,
}

pub(super) async fn run(global: &Global, asked: Replay) -> Result<(), Failure> {
    let config = stage::config(global, asked.policies.clone())?;
    let mut policies = stage::policies(&config).await?;
    if let Some(path) = &asked.policy {
        let changed = policies.with(stage::one(&config, path)?).map_err(|bad| stage::bad_set(path, &bad))?;
        policies = changed.into();
    }
    let mut rehearsal = stage::rehearsal(&config, policies.without_params().into())?;
    let rows = rows(&Client::new(global)?, &asked).await?;
    let mut count = Count::default();
    for row in rows.iter().rev() {
        play(global, &policies, row, &mut rehearsal, &mut count, asked.calls)?;
    }
    tell(global, &count)
}

/// Newest first, as the server gives them.
async fn rows(client: &Client, asked: &Replay) -> Result<Vec<CallRow>, Failure> {
    let until = asked.until.as_ref().map(|when| when.0);
    let mut query = CallQuery { since: Some(asked.since.0), until, limit: Some(PAGE), ..CallQuery::default() };
    let mut rows = Vec::new();
    loop {
        let page: CallPage = client.get("/v1/audit/calls", &query).await?;
        rows.extend(page.calls);
        query.before = page.next;
        if page.next.is_none() {
            return Ok(rows);
        }
    }
}

fn play(
    global: &Global,
    whole: &PolicySet,
    row: &CallRow,
    rehearsal: &mut Rehearsal,
    count: &mut Count,
    calls: bool,
) -> Result<(), Failure> {
    let Some(past) = past(row) else {
        count.passed_over += 1;
        return Ok(());
    };
    let Ok(played) = rehearsal.play_past(row.timestamp_utc, &past) else {
        count.passed_over += 1;
        return Ok(());
    };
    count.calls += 1;
    let cost = row.cost_usd.unwrap_or(row.estimate_usd);
    count.cost.0 += cost.0;
    count.undecided += u64::from(reads(whole, row));
    let went = row.outcome != Some(Outcome::Refused);
    if went == played.goes() {
        return Ok(());
    }
    if went {
        let tally = count.refused.entry(played.rule.as_deref().unwrap_or("-").to_owned()).or_default();
        tally.calls += 1;
        tally.saved.0 += cost.0;
    } else {
        count.released += 1;
    }
    if calls { one(global, row, &played, cost) } else { Ok(()) }
}

/// What is known of a call of the books.
fn past(row: &CallRow) -> Option<Past> {
    let vendor = row.vendor.as_ref().filter(|vendor| !vendor.is_empty())?;
    let mut actor = Actor::under(row.policy_id.clone()?);
    actor.subject = row.subject.clone()?;
    actor.keys = vec![row.key_id.clone()?];
    let request = Request::parse(&format!("{} /{vendor}{}", row.method, row.path)).ok()?;
    let cost = row.cost_usd.unwrap_or(row.estimate_usd);
    let tokens = row.tokens_in.unwrap_or(0).saturating_add(row.tokens_out.unwrap_or(0));
    Some(Past { actor, request, held: row.estimate_usd.max(cost), cost, tokens })
}

fn reads(whole: &PolicySet, row: &CallRow) -> bool {
    let (Some(policy), Some(vendor)) = (&row.policy_id, &row.vendor) else { return false };
    let operation = row.endpoint.as_deref().unwrap_or_default();
    let reads = |target: Target| whole.reads_args(policy, vendor, &row.method, &target.path, operation);
    CanonicalPath::parse(&*row.path).is_ok_and(reads)
}

fn one(global: &Global, row: &CallRow, played: &Played, cost: MicroCents) -> Result<(), Failure> {
    let at: Timestamp = row.timestamp_utc;
    if global.json {
        return print_json(&json!({
            "call_id": row.call_id, "timestamp_utc": at, "agent_id": row.agent_id, "vendor": row.vendor,
            "endpoint": row.endpoint, "was": row.verdict, "is": played.verdict, "code": played.code,
            "rule": played.rule, "cost_usd": cost,
        }));
    }
    let name = |name: &Option<Name>| name.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
    let operation = row.endpoint.as_ref().map_or_else(|| format!("{} {}", row.method, row.path), ToString::to_string);
    let who = name(&row.agent_id);
    line(format!("{at}  {who}  {operation}  {} -> {}  ${cost}  {}", row.verdict, played.word(), name(&played.rule)))
}

fn tell(global: &Global, count: &Count) -> Result<(), Failure> {
    let refused: u64 = count.refused.values().map(|tally| tally.calls).sum();
    let saved = MicroCents(count.refused.values().map(|tally| tally.saved.0).sum());
    if global.json {
        let rules =
            count.refused.iter().map(|(rule, t)| json!({ "rule": rule, "calls": t.calls, "saved_usd": t.saved }));
        return print_json(&json!({
            "calls": count.calls, "cost_usd": count.cost, "refused": refused, "saved_usd": saved,
            "released": count.released, "undecided": count.undecided, "passed_over": count.passed_over,
            "rules": rules.collect::<Vec<_>>(),
        }));
    }
    if !count.refused.is_empty() {
        let mut columns = Columns::new(&["refused", "saved", "rule"]);
        columns.right(&[0, 1]);
        for (rule, tally) in &count.refused {
            columns.row([tally.calls.to_string(), format!("${}", tally.saved), rule.clone()]);
        }
        columns.print()?;
    }
    let colour = if refused == 0 { GOOD } else { BAD };
    line(format!(
        "{colour}{refused}{colour:#} of {} calls would have been refused, saving ${saved} of ${}; {} that were refused would go",
        count.calls, count.cost, count.released
    ))?;
    if count.undecided > 0 {
        note(format!(
            "{} calls have rules on parameters, which the books do not keep: those rules were taken to pass.",
            count.undecided
        ));
    }
    if count.passed_over > 0 {
        note(format!("{} rows were passed over: no key, or no such vendor.", count.passed_over));
    }
    Ok(())
}
