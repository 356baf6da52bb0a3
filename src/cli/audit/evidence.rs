//! `bursar audit export|prove|prune|key`: what is handed to whoever checks the books, and the key that signs them.

use std::io::Write;

use clap::{Args, Subcommand};
use http_body_util::BodyExt;
use serde::Serialize;

use super::super::client::{Client, segment};
use super::super::output::{BOLD, GOOD, json, line, note};
use super::super::when::When;
use super::super::{Failure, Global};
use crate::adapters::audit::evidence::wire::{KeyChange, Keys, PruneRequest, Pruned};
use crate::units::ids::{CallId, Seq};

#[derive(Debug, Args)]
pub struct Export {
    /// Begin with this event; the file begins at the checkpoint before it
    #[arg(long, value_name = "SEQ", default_value_t = 1)]
    from: Seq,
    /// End with this event; the file ends at the checkpoint behind it
    #[arg(long, value_name = "SEQ")]
    to: Option<Seq>,
}

#[derive(Debug, Args)]
pub struct Prove {
    /// A call's id: `x-bursar-call` of its answer
    call: CallId,
}

#[derive(Debug, Args)]
pub struct Prune {
    /// Events that were signed before this: `90d`, `2026-10-01`, or RFC 3339
    #[arg(long)]
    before: When,
    /// Why; it stands in the books
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Key {
    /// The public key that checkpoints are signed with, and those before it
    Show,
    /// Make a new key; the old one names it in a checkpoint
    Rotate,
}

#[derive(Serialize)]
struct Range {
    from: Seq,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Seq>,
}

/// Bytes as they come: a file that breaks off has no end, and does not pass.
pub async fn export(client: &Client, asked: Export) -> Result<(), Failure> {
    if asked.to.is_some_and(|to| to < asked.from) {
        return Err(Failure::usage("--to lies before --from"));
    }
    let mut body = client.stream("/v1/audit/export", &Range { from: asked.from, to: asked.to }).await?;
    let mut out = std::io::stdout().lock();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| Failure::unreachable(format!("the export broke off, and is not whole: {e}")))?;
        if let Ok(data) = frame.into_data() {
            out.write_all(&data)?;
        }
    }
    Ok(out.flush()?)
}

pub async fn prove(client: &Client, asked: Prove) -> Result<(), Failure> {
    let path = format!("/v1/audit/calls/{}/proof", segment(&asked.call.to_string()));
    // As it was sent: the bytes of its events are what was chained.
    let proof: Box<serde_json::value::RawValue> = client.get(&path, &()).await?;
    line(proof.get())
}

pub async fn prune(global: &Global, client: &Client, asked: Prune) -> Result<(), Failure> {
    let asked = PruneRequest { before: asked.before.0, reason: asked.reason };
    let done: Pruned = client.post("/v1/audit/prune", &asked).await?;
    if global.json {
        return json(&done);
    }
    if done.to == 0 {
        return line(format!("nothing: no checkpoint was made before {}", asked.before));
    }
    let Pruned { from, to, checkpoint, events } = done;
    line(format!(
        "{GOOD}gave up{GOOD:#} events {from} to {to} ({events} rows), which checkpoint {checkpoint} still covers"
    ))
}

pub async fn key(global: &Global, client: &Client, command: Key) -> Result<(), Failure> {
    match command {
        Key::Show => {
            let keys: Keys = client.get("/v1/audit/key", &()).await?;
            if global.json { json(&keys) } else { show(&keys) }
        }
        Key::Rotate => {
            let change: KeyChange = client.post("/v1/audit/key/rotate", &()).await?;
            if global.json { json(&change) } else { rotated(&change) }
        }
    }
}

fn show(keys: &Keys) -> Result<(), Failure> {
    line(format!("{BOLD}{}{BOLD:#}", keys.key))?;
    for KeyChange { checkpoint, at, from, .. } in keys.changes.iter().rev() {
        line(format!("{from}  until checkpoint {checkpoint}, {at}"))?;
    }
    note(
        "Keep it where the keeper of these books cannot change it: `bursar audit verify FILE --key …` needs nothing else.",
    );
    Ok(())
}

fn rotated(change: &KeyChange) -> Result<(), Failure> {
    line(format!("{BOLD}{}{BOLD:#}", change.to))?;
    note(format!("It signs from now on: checkpoint {} names it, signed with {}.", change.checkpoint, change.from));
    Ok(())
}
