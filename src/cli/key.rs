//! `bursar key mint|list|show|revoke|restore`.

mod mint;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::client::{Client, segment};
use super::output::{BAD, BOLD, Columns, DIM, GOOD, json, line, note, or_dash};
use super::{Failure, Global};
use crate::adapters::keyring::wire::{KeyList, KeyStatus, KeyView, ReasonRequest, Switched};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Mint a vault key; it is printed once
    Mint(Box<mint::Mint>),
    /// List keys, newest first, without those that expired over 30 days ago
    List(List),
    /// Show one key
    Show {
        /// The key's id: the part between `vk_` and the next `_`
        #[arg(value_parser = id)]
        id: String,
    },
    /// Revoke a key and every key minted from it; its calls in flight end
    Revoke(Turn),
    /// Undo a revocation
    Restore(Turn),
}

#[derive(Debug, Args, Serialize)]
pub struct List {
    /// Keys of this agent
    #[arg(long)]
    agent: Option<String>,
    #[arg(long)]
    tenant: Option<String>,
    #[arg(long)]
    policy: Option<String>,
    /// `good`, `expired` or `revoked`
    #[arg(long, value_parser = status)]
    status: Option<KeyStatus>,
}

#[derive(Debug, Args)]
pub struct Turn {
    /// The key's id: the part between `vk_` and the next `_`
    #[arg(value_parser = id)]
    id: String,
    /// Why; it stands in the books
    #[arg(long)]
    reason: Option<String>,
}

pub async fn run(global: &Global, command: Command) -> Result<(), Failure> {
    let client = Client::new(global)?;
    match command {
        Command::Mint(mint) => mint::run(global, &client, *mint).await,
        Command::List(filter) => list(global, &client, &filter).await,
        Command::Show { id } => show(global, &client, &id).await,
        Command::Revoke(turn) => switch(global, &client, turn, "revoke").await,
        Command::Restore(turn) => switch(global, &client, turn, "restore").await,
    }
}

fn status(text: &str) -> Result<KeyStatus, String> {
    let all = [KeyStatus::Good, KeyStatus::Expired, KeyStatus::Revoked];
    all.into_iter().find(|s| s.as_str() == text).ok_or_else(|| "one of good, expired, revoked".to_owned())
}

/// What an unset variable leaves is no id.
pub(super) fn id(text: &str) -> Result<String, &'static str> {
    Some(id_of(text))
        .filter(|id| !id.is_empty())
        .map(str::to_owned)
        .ok_or("a key's id is missing; `bursar key list` has them")
}

/// People paste whole keys. Only the id leaves this process then.
fn id_of(text: &str) -> &str {
    let rest = text.strip_prefix("vk_").unwrap_or(text);
    rest.split('_').next().unwrap_or(rest)
}

async fn list(global: &Global, client: &Client, filter: &List) -> Result<(), Failure> {
    let found: KeyList = client.get("/v1/keys", filter).await?;
    if global.json {
        return found.keys.iter().try_for_each(json);
    }
    if found.keys.is_empty() {
        let all =
            filter.agent.is_none() && filter.tenant.is_none() && filter.policy.is_none() && filter.status.is_none();
        note(if all { "No keys. Mint one: bursar key mint --policy NAME --agent NAME" } else { "No keys match." });
        return Ok(());
    }
    let mut columns = Columns::new(&["id", "status", "policy", "tenant", "agent", "run", "created", "expires", "note"]);
    for key in &found.keys {
        let s = &key.subject;
        columns.row([
            key.id.to_string(),
            key.status.as_str().to_owned(),
            key.policy.to_string(),
            s.tenant.to_string(),
            or_dash(s.agent.as_ref()),
            or_dash(s.run.as_ref()),
            super::audit::to_the_second(key.created_at),
            key.expires_at.map_or_else(|| "never".to_owned(), super::audit::to_the_second),
            key.label.as_ref().or(key.note.as_ref()).cloned().unwrap_or_default(),
        ]);
    }
    columns.print()
}

async fn show(global: &Global, client: &Client, id: &str) -> Result<(), Failure> {
    let key: KeyView = client.get(&format!("/v1/keys/{}", segment(id)), &()).await?;
    if global.json {
        return json(&key);
    }
    let status = match key.status {
        KeyStatus::Good => format!("{GOOD}good{GOOD:#}"),
        other => format!("{BAD}{}{BAD:#}", other.as_str()),
    };
    line(format!("{BOLD}{}{BOLD:#}  {status}", key.id))?;
    for (name, value) in facts(&key)? {
        line(format!("  {DIM}{name:<9}{DIM:#} {}", super::output::plain(&value)))?;
    }
    Ok(())
}

fn facts(key: &KeyView) -> Result<Vec<(&'static str, String)>, Failure> {
    let s = &key.subject;
    let levels = [("tenant", Some(&s.tenant)), ("workspace", s.workspace.as_ref()), ("app", s.app.as_ref())];
    let more = [
        ("workflow", s.workflow.as_ref()),
        ("agent", s.agent.as_ref()),
        ("toolset", s.toolset.as_ref()),
        ("run", s.run.as_ref()),
    ];
    let mut facts = vec![("policy", key.policy.to_string())];
    facts.extend(levels.into_iter().chain(more).filter_map(|(name, value)| Some((name, value?.to_string()))));
    facts.extend(s.dimensions.iter().map(|(k, v)| ("dimension", format!("{k}={v}"))));
    if let Some(overlay) = &key.overlay {
        facts.push(("narrower", serde_json::to_string(overlay)?));
    }
    facts.extend(key.ancestors.iter().map(|id| ("from", id.to_string())));
    facts.push(("created", format!("{} by {}", key.created_at, key.by)));
    facts.push(("expires", key.expires_at.map_or_else(|| "never".to_owned(), |t| t.to_string())));
    facts.extend(key.label.iter().map(|label| ("label", label.clone())));
    facts.extend(key.note.iter().map(|note| ("note", note.clone())));
    if let Some(off) = &key.revoked {
        let why = off.reason.as_deref().unwrap_or("no reason given");
        facts.push(("revoked", format!("{} by {}: {why} ({})", off.at, off.actor, off.flag)));
    }
    Ok(facts)
}

async fn switch(global: &Global, client: &Client, turn: Turn, what: &str) -> Result<(), Failure> {
    let path = format!("/v1/keys/{}/{what}", segment(&turn.id));
    let done: Switched = client.post(&path, &ReasonRequest { reason: turn.reason }).await?;
    super::kill::said(global, &done)
}
