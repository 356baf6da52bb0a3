//! `bursar approval list|show|approve|reject`: calls that wait for a person's word.

use clap::{Args, Subcommand};

use super::client::{Client, segment};
use super::output::{BAD, BOLD, Columns, GOOD, json, line, or_dash, plain};
use super::{Failure, Global};
use crate::adapters::approvals::wire::{ApprovalList, ApprovalQuery, Decided, State};
use crate::adapters::approvals::{Decision, Record};
use crate::adapters::keyring::wire::ReasonRequest;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Calls that wait for a person's word
    List {
        /// Also those that are decided
        #[arg(long)]
        all: bool,
    },
    /// One request: who asks for what, why, and what was said
    Show { id: String },
    /// Let the call through, once
    Approve(Word),
    /// Refuse it, also before it was approved by enough
    Reject(Word),
}

#[derive(Debug, Args)]
pub struct Word {
    /// `ap_…`, as the refusal and the list name it
    id: String,
    /// Why; it stands in the books, and the agent reads it after a no
    #[arg(long)]
    reason: Option<String>,
}

pub async fn run(global: &Global, command: Command) -> Result<(), Failure> {
    let client = Client::new(global)?;
    match command {
        Command::List { all } => list(global, &client, all).await,
        Command::Show { id } => show(global, &client, &id).await,
        Command::Approve(word) => decide(global, &client, word, "approve").await,
        Command::Reject(word) => decide(global, &client, word, "reject").await,
    }
}

async fn list(global: &Global, client: &Client, all: bool) -> Result<(), Failure> {
    let found: ApprovalList = client.get("/v1/approvals", &ApprovalQuery { all }).await?;
    if global.json {
        return found.approvals.iter().try_for_each(json);
    }
    let mut columns = Columns::new(&["approval", "state", "until", "agent", "operation", "at most", "said", "because"]);
    for record in &found.approvals {
        let request = &record.request;
        columns.row([
            record.id.to_string(),
            record.state.as_str().to_owned(),
            record.open_until.to_string(),
            or_dash(request.subject.agent.as_ref()),
            format!("{} {} at {}", request.method, request.path, request.vendor),
            format!("{} USD", request.estimate_usd),
            format!("{} of {}", record.decisions.iter().filter(|d| d.yes).count(), request.people),
            request.because.join(", "),
        ]);
    }
    columns.print()
}

async fn show(global: &Global, client: &Client, id: &str) -> Result<(), Failure> {
    let record: Record = client.get(&format!("/v1/approvals/{}", segment(id)), &()).await?;
    if global.json {
        return json(&record);
    }
    let request = &record.request;
    line(format!("{BOLD}{}{BOLD:#} {}", record.id, record.state.as_str()))?;
    let agent = or_dash(request.subject.agent.as_ref());
    let what = format!("{} {} at {}", request.method, request.path, request.vendor);
    let used = or_dash(record.used_by.as_ref());
    for (name, text) in [
        ("call", what),
        ("at most", format!("{} USD", request.estimate_usd)),
        ("because", request.because.join(", ")),
        ("agent", agent),
        ("key", request.key.to_string()),
        ("policy", request.policy.to_string()),
        ("body", or_dash(request.request_hash)),
        ("asked", record.asked_at.to_string()),
        ("until", record.open_until.to_string()),
        ("used by", used),
    ] {
        line(format!("  {name:<8} {}", plain(&text)))?;
    }
    record.decisions.iter().try_for_each(said)
}

fn said(decision: &Decision) -> Result<(), Failure> {
    let Decision { actor, yes, at, reason } = decision;
    let (actor, reason) = (plain(actor), plain(&or_dash(reason.as_ref())));
    match yes {
        true => line(format!("  {GOOD}approved{GOOD:#} by {actor} at {at}: {reason}")),
        false => line(format!("  {BAD}rejected{BAD:#} by {actor} at {at}: {reason}")),
    }
}

async fn decide(global: &Global, client: &Client, word: Word, what: &str) -> Result<(), Failure> {
    let asked = ReasonRequest { reason: word.reason };
    let done: Decided = client.post(&format!("/v1/approvals/{}/{what}", segment(&word.id)), &asked).await?;
    if global.json {
        return json(&done);
    }
    let (id, seq) = (&done.approval.id, done.seq);
    match done.approval.state {
        State::Rejected => line(format!("{BAD}rejected{BAD:#} {id} (event {seq})")),
        State::Pending => {
            let people = done.approval.request.people;
            line(format!(
                "{GOOD}heard{GOOD:#} {id}: {people} persons are needed, and somebody is still to approve it (event {seq})"
            ))
        }
        _ => {
            let until = or_dash(done.approval.valid_until.as_ref());
            line(format!("{GOOD}approved{GOOD:#} {id}: the same request passes once, until {until} (event {seq})"))
        }
    }
}
