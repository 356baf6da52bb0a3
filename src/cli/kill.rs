//! `bursar kill` and `bursar unkill`: exactly one target, and what came of it.

use clap::Args;

use super::client::Client;
use super::output::{BAD, BOLD, GOOD, json, line};
use super::{Failure, Global};
use crate::adapters::keyring::wire::{SwitchRequest, Switched};
use crate::rules::subject::{DEFAULT_TENANT, Flag, Name};
use crate::units::ids::KeyId;

#[derive(Debug, Args)]
pub struct Kill {
    #[command(flatten)]
    target: Target,
    /// Tenant of the agent or run, or the tenant itself
    #[arg(long)]
    tenant: Option<String>,
    /// Why; it stands in the books
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Debug, Args)]
#[group(multiple = false)]
struct Target {
    #[arg(long, value_name = "ID", value_parser = super::key::id)]
    key: Option<String>,
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    #[arg(long, value_name = "NAME")]
    run: Option<String>,
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    #[arg(long, value_name = "NAME")]
    vendor: Option<String>,
    /// All calls of all tenants
    #[arg(long)]
    everyone: bool,
}

impl Kill {
    /// `--tenant` alone is a target; beside `--agent` or `--run` it says whose.
    fn flag(&self) -> Result<Flag, Failure> {
        let name = |n: &str| Name::from(n);
        let tenant = name(self.tenant.as_deref().unwrap_or(DEFAULT_TENANT));
        let t = &self.target;
        let flag = match (&t.key, &t.agent, &t.run, &t.policy, &t.vendor, t.everyone) {
            (Some(id), ..) => Flag::Key { id: KeyId(id.as_str().into()) },
            (_, Some(agent), ..) => return Ok(Flag::Agent { tenant, name: name(agent) }),
            (_, _, Some(run), ..) => return Ok(Flag::Run { tenant, name: name(run) }),
            (_, _, _, Some(policy), ..) => Flag::Policy { name: name(policy) },
            (_, _, _, _, Some(vendor), _) => Flag::Vendor { name: name(vendor) },
            (.., true) => Flag::Everyone,
            _ if self.tenant.is_some() => return Ok(Flag::Tenant { name: tenant }),
            _ => {
                return Err(Failure::usage(
                    "name one of --key, --agent, --run, --tenant, --policy, --vendor, --everyone",
                ));
            }
        };
        match &self.tenant {
            Some(_) => Err(Failure::usage(format!("{flag} belongs to no tenant: leave --tenant out"))),
            None => Ok(flag),
        }
    }
}

pub async fn run(global: &Global, kill: Kill, off: bool) -> Result<(), Failure> {
    let asked = SwitchRequest { flag: kill.flag()?, reason: kill.reason };
    let path = if off { "/v1/kill" } else { "/v1/unkill" };
    let done: Switched = Client::new(global)?.post(path, &asked).await?;
    said(global, &done)
}

/// What a switch did, for this command and for `key revoke`.
pub fn said(global: &Global, done: &Switched) -> Result<(), Failure> {
    if global.json {
        return json(done);
    }
    let flag = super::output::plain(&done.flag.to_string());
    if !done.stopped {
        line(format!("{GOOD}restored{GOOD:#} {BOLD}{flag}{BOLD:#}: its calls are decided by policy again"))?;
        return nodes(done);
    }
    let ended = match done.calls_ended {
        0 => "no call was in flight".to_owned(),
        1 => "1 call in flight was ended".to_owned(),
        n => format!("{n} calls in flight were ended"),
    };
    let here = if done.nodes.is_empty() { "" } else { " on this node" };
    line(format!("{BAD}stopped{BAD:#} {BOLD}{flag}{BOLD:#}: nothing more is admitted, {ended}{here}"))?;
    nodes(done)
}

/// What the nodes of a fleet did about it.
fn nodes(done: &Switched) -> Result<(), Failure> {
    let (heard, silent): (Vec<_>, Vec<_>) = done.nodes.iter().partition(|n| n.acknowledged_ms.is_some());
    if let Some(last) = heard.iter().filter_map(|n| n.acknowledged_ms).max() {
        let count = if heard.len() == 1 { "1 node has".to_owned() } else { format!("{} nodes have", heard.len()) };
        line(format!("{count} carried it out, the last after {last} ms"))?;
    }
    for node in silent {
        let name = super::output::plain(&node.name);
        let since = node.silent_since.map_or(String::new(), |at| format!(" since {at}"));
        line(format!(
            "{BAD}not heard{BAD:#}: {name}, silent{since}; it admits nothing, and learns of this when it is back"
        ))?;
    }
    Ok(())
}
