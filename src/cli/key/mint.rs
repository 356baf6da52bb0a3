//! `bursar key mint`: from flags to a request, and the key on standard output, alone, so that a script can take it.

use std::collections::BTreeMap;

use clap::Args;

use super::super::client::Client;
use super::super::output::{BOLD, DIM, json, line, note};
use super::super::when::Length;
use super::super::{Failure, Global};
use crate::adapters::keyring::wire::{MintRequest, Minted};
use crate::rules::policy::{Overlay, parse_budget};
use crate::rules::subject::DEFAULT_TENANT;
use crate::units::ids::KeyId;

#[derive(Debug, Args)]
pub struct Mint {
    /// The policy that the key lives under
    #[arg(long)]
    policy: String,
    /// The agent that holds it
    #[arg(long)]
    agent: Option<String>,
    /// One run; the key can name no other
    #[arg(long)]
    run: Option<String>,
    #[arg(long)]
    tenant: Option<String>,
    #[arg(long)]
    workspace: Option<String>,
    #[arg(long)]
    app: Option<String>,
    #[arg(long)]
    workflow: Option<String>,
    #[arg(long)]
    toolset: Option<String>,
    /// Anything else to attribute to, such as `user=ann`; may be given several times
    #[arg(long = "dimension", value_name = "NAME=VALUE", value_parser = pair)]
    dimensions: Vec<(String, String)>,
    /// How long it is good: `1h`, `30m`, `2d`; for ever if unsaid
    #[arg(long)]
    ttl: Option<Length>,
    /// A budget of its own, such as `50 USD/day`; may be given several times
    #[arg(long = "budget", value_name = "LIMIT/WINDOW")]
    budgets: Vec<String>,
    /// These paths alone, such as `/v1/refunds,/v1/charges/**`
    #[arg(long, value_delimiter = ',')]
    paths: Vec<String>,
    /// These methods alone
    #[arg(long, value_delimiter = ',')]
    methods: Vec<String>,
    /// These vendors alone
    #[arg(long, value_delimiter = ',')]
    vendors: Vec<String>,
    /// Mint it from this key: it ends with it, and counts on its budgets
    #[arg(long, value_name = "ID", value_parser = super::id)]
    parent: Option<String>,
    /// A short name for people
    #[arg(long)]
    label: Option<String>,
    #[arg(long)]
    note: Option<String>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let split = text.split_once('=').filter(|(name, value)| !name.is_empty() && !value.is_empty());
    split.map(|(k, v)| (k.to_owned(), v.to_owned())).ok_or_else(|| format!("`{text}`: write `name=value`"))
}

impl Mint {
    fn request(self) -> Result<MintRequest, Failure> {
        let overlay = self.overlay()?;
        Ok(MintRequest {
            policy: self.policy,
            tenant: self.tenant,
            workspace: self.workspace,
            app: self.app,
            workflow: self.workflow,
            agent: self.agent,
            toolset: self.toolset,
            run: self.run,
            dimensions: self.dimensions.into_iter().collect::<BTreeMap<_, _>>(),
            overlay,
            parent: self.parent.map(|id| KeyId(id.into())),
            ttl_secs: self.ttl.map(|t| t.0),
            expires_at: None,
            label: self.label,
            note: self.note,
        })
    }

    /// In the overlay's own wire form, so that its own checks speak.
    fn overlay(&self) -> Result<Option<Overlay>, Failure> {
        if self.budgets.is_empty() && self.paths.is_empty() && self.methods.is_empty() && self.vendors.is_empty() {
            return Ok(None);
        }
        let budgets = self.budgets.iter().map(|b| budget(b)).collect::<Result<Vec<_>, _>>()?;
        let mut raw = serde_json::json!({ "budgets": budgets });
        if !self.vendors.is_empty() {
            raw["vendors"] = self.vendors.clone().into();
        }
        if !self.paths.is_empty() || !self.methods.is_empty() {
            let methods: Vec<String> = self.methods.iter().map(|m| m.trim().to_ascii_uppercase()).collect();
            let methods = if methods.is_empty() { serde_json::Value::Null } else { methods.into() };
            raw["allow"] = serde_json::json!([{ "methods": methods, "paths": self.paths }]);
        }
        serde_json::from_value(raw).map(Some).map_err(Failure::usage)
    }
}

/// `50 USD/day`, `200 calls/hour per run`, `5 USD per call`.
fn budget(text: &str) -> Result<serde_json::Value, Failure> {
    let (limit, per) = text.split_once(" per ").map_or((text, "key"), |(limit, per)| (limit, per.trim()));
    let (_, _, window) = parse_budget(limit.trim()).map_err(Failure::usage)?;
    let amount = limit.split_once('/').map_or(limit, |(amount, _)| amount).trim();
    Ok(serde_json::json!({ "per": per, "window": window, "limit": amount }))
}

pub async fn run(global: &Global, client: &Client, mint: Mint) -> Result<(), Failure> {
    let minted: Minted = client.post("/v1/keys", &mint.request()?).await?;
    if global.json {
        return json(&minted);
    }
    let until = minted.expires_at.map_or_else(|| "until it is revoked".to_owned(), |t| format!("until {t}"));
    note(format!(
        "Vault key {BOLD}{}{BOLD:#}{} under policy {BOLD}{}{BOLD:#}, good {until}",
        minted.id,
        for_whom(&minted),
        minted.policy
    ));
    line(&minted.key)?;
    note(format!("{DIM}It is shown this once. Turn it off: bursar key revoke {}{DIM:#}", minted.id));
    Ok(())
}

fn for_whom(minted: &Minted) -> String {
    let s = &minted.subject;
    let tenant = if &*s.tenant == DEFAULT_TENANT { String::new() } else { format!("{}/", s.tenant) };
    s.agent.as_ref().map_or_else(String::new, |agent| format!(" for agent {tenant}{agent}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_read_with_window_and_scope() {
        for (text, per, window, limit) in [
            ("50 USD/day", "key", "day", "50 USD"),
            ("5 USD", "key", "total", "5 USD"),
            ("200 calls/hour per run", "run", "hour", "200 calls"),
            ("1 USD per call", "call", "total", "1 USD"),
            ("2 calls at once", "key", "flight", "2 calls at once"),
        ] {
            let read = budget(text).expect(text);
            assert_eq!((&read["per"], &read["window"], &read["limit"]), (&per.into(), &window.into(), &limit.into()));
        }
        assert!(budget("50 EUR/day").is_err() && budget("50 USD/fortnight").is_err());
    }
}
