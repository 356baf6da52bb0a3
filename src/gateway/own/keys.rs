//! `POST /bursar/v1/keys`: an agent mints a narrower key for a part of its work, if its policy allows delegation. The child has its
//! parent's policy and subject, ends no later, and counts on its parent's accounts. Who mints, and writes the event, is told by
//! `app`.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::adapters::keyring::wire::{MintRequest, Minted};
use crate::gateway::Gateway;
use crate::gateway::identify::Caller;
use crate::gateway::problem::Problem;
use crate::rules::books::Act;
use crate::rules::policy::Overlay;
use crate::rules::subject::{Facts, Flag, Name, Subject};
use crate::units::time::Timestamp;

/// Why there is no key.
#[derive(Clone, Debug)]
pub enum Unminted {
    /// What is asked for is more than the parent has, or is no key.
    Refused(Vec<String>),
    Down,
}

/// Mints, and tells the books.
pub type Minter =
    Arc<dyn Fn(MintRequest, Act) -> Pin<Box<dyn Future<Output = Result<Minted, Unminted>> + Send>> + Send + Sync>;

/// What an agent may ask for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Child {
    ttl_secs: Option<u64>,
    /// If the parent names none, and the policy trusts the agent to.
    run: Option<String>,
    overlay: Option<Overlay>,
    label: Option<String>,
}

/// May this key mint others at all? Asked before anything that it sends is read.
pub(super) fn allowed(gateway: &Gateway, caller: &Caller) -> Result<(), Problem> {
    if !caller.policy.delegate.allowed {
        let why = "keys under this policy mint no others; ask the operator for a narrower key".to_owned();
        return Err(Problem::NotMinted { rule: rule(caller), why });
    }
    if caller.policy.expires_at.is_some_and(|end| end <= Timestamp::now()) {
        let why = "the policy has expired; ask the operator to renew it".to_owned();
        return Err(Problem::NotMinted { rule: format!("{}: expires_at", caller.policy.name), why });
    }
    match gateway.keyring.stopped(&whose(caller)).map(|record| record.flag) {
        None => Ok(()),
        Some(Flag::Key { .. }) => Err(Problem::Revoked),
        Some(wider) => Err(Problem::Stopped(wider)),
    }
}

/// The caller at no vendor.
fn whose(caller: &Caller) -> Facts {
    Facts {
        subject: caller.subject.clone(),
        keys: caller.key_chain(),
        policy: caller.policy.name.clone(),
        vendor: Name::from(""),
        operation: Name::from(""),
        claimed_run: caller.claimed_run(),
    }
}

fn rule(caller: &Caller) -> String {
    format!("{}: delegate", caller.policy.name)
}

pub(super) async fn mint(gateway: &Gateway, caller: &Caller, child: Child) -> Result<Value, Problem> {
    let (delegate, rule) = (caller.policy.delegate, rule(caller));
    let minter = gateway.minter.get().ok_or(Problem::StoreDown)?;
    let own = subject(gateway, caller).await?;
    let asked =
        request(caller, own, child, delegate.max_ttl).map_err(|why| Problem::NotMinted { rule: rule.clone(), why })?;
    let act = Act { actor: format!("key:{}", caller.key.id), reason: asked.label.clone() };
    match minter(asked, act).await {
        Ok(minted) => Ok(json!({
            "key_id": minted.id, "key": minted.key, "policy": minted.policy,
            "expires_at": minted.expires_at, "parent": caller.key.id,
        })),
        Err(Unminted::Refused(mistakes)) => Err(Problem::NotMinted { rule, why: mistakes.join("; ") }),
        Err(Unminted::Down) => Err(Problem::StoreDown),
    }
}

fn request(caller: &Caller, own: Subject, child: Child, most: Option<Duration>) -> Result<MintRequest, String> {
    let text = |name: Option<Name>| name.map(|name| name.to_string());
    let run = run(caller, own.run, child.run)?;
    Ok(MintRequest {
        policy: caller.policy.name.to_string(),
        tenant: Some(own.tenant.to_string()),
        workspace: text(own.workspace),
        app: text(own.app),
        workflow: text(own.workflow),
        agent: text(own.agent),
        toolset: text(own.toolset),
        run,
        dimensions: own.dimensions.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        overlay: child.overlay,
        parent: Some(caller.key.id.clone()),
        ttl_secs: None,
        expires_at: expiry(caller, child.ttl_secs, most)?,
        label: child.label,
        note: None,
    })
}

/// A run that the agent chose for itself would be counted on accounts of its own, so it must be trusted to name one.
fn run(caller: &Caller, own: Option<Name>, asked: Option<String>) -> Result<Option<String>, String> {
    match (own, asked) {
        (Some(own), Some(asked)) if *own != *asked => Err(format!("the parent's run is `{own}`; leave `run` out")),
        (None, Some(_)) if !caller.policy.trust_headers => {
            Err("`run` may only be named under a policy with `trust_headers`; ask for a key that names it".to_owned())
        }
        (Some(own), _) => Ok(Some(own.to_string())),
        (None, asked) => Ok(asked),
    }
}

/// Whom the parent stands for, under their names: minting puts the aliases back.
async fn subject(gateway: &Gateway, caller: &Caller) -> Result<Subject, Problem> {
    let (people, mut subject) = (gateway.people.clone(), caller.key.subject.clone());
    let read = tokio::task::spawn_blocking(move || people.unveil(&mut subject).map(|()| subject)).await;
    read.ok().and_then(Result::ok).ok_or(Problem::StoreDown)
}

/// Not later than the policy lets it, nor than the parent's end.
fn expiry(caller: &Caller, asked: Option<u64>, most: Option<Duration>) -> Result<Option<Timestamp>, String> {
    let most = most.map(|most| most.as_secs());
    let secs = match (asked, most) {
        (Some(0), _) => return Err("`ttl_secs` is 0: the key would never be good".to_owned()),
        (Some(asked), Some(most)) if asked > most => {
            return Err(format!("`ttl_secs` is {asked}, and a child key lives {most} seconds at most"));
        }
        (asked, most) => asked.or(most),
    };
    let own = secs.and_then(|secs| Some(Timestamp::now().plus_secs(i64::try_from(secs).ok()?)));
    match (own, caller.key.expires_at) {
        (Some(own), Some(parents)) if asked.is_some() && own > parents => {
            Err(format!("the parent key ends at {parents}, and a child no later"))
        }
        (Some(own), Some(parents)) => Ok(Some(own.min(parents))),
        (own, parents) => Ok(own.or(parents)),
    }
}
