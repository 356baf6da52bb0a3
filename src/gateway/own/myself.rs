//! `GET /bursar/v1/self`: what may I do, what is left, until when, and whom do I wait for.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::adapters::approvals::Record;
use crate::gateway::Gateway;
use crate::gateway::identify::Caller;
use crate::gateway::problem::Problem;
use crate::rules::books::Request;
use crate::rules::ledger::ask::{AccountState, Line};
use crate::rules::policy::{
    ApprovalRule, CallLimit, Mode, ModelPattern, ModelRule, Policy, RateRule, Rule, Switch, Window,
};
use crate::rules::subject::{Facts, Name};
use crate::units::time::Timestamp;

pub async fn myself(gateway: &Gateway, caller: &Caller) -> Result<Value, Problem> {
    let lines = limited(caller);
    let states = gateway.ledger.accounts(lines.clone()).await.map_err(|_| Problem::StoreDown)?;
    let budgets: Vec<Value> = lines.iter().zip(&states).filter_map(|(line, state)| budget(line, state)).collect();
    let expires_at = [caller.key.expires_at, caller.policy.expires_at].into_iter().flatten().min();
    Ok(json!({
        "key_id": caller.key.id,
        "policy": caller.policy.name,
        "mode": if caller.policy.mode == Mode::Observe { "observe" } else { "enforce" },
        "vendors": caller.vendors(),
        "subject": caller.subject,
        "expires_at": expires_at,
        "budgets": budgets,
        "rates": rates(caller),
        "rules": rules(caller),
        "key_rules": caller.overlays().into_iter().map(|(id, overlay)| json!({"key_id": id, "narrower": overlay})).collect::<Vec<_>>(),
        "approvals": approvals(gateway, caller).await?,
        "delegate": delegate(caller),
    }))
}

/// The limited accounts of any call by this key, over all its vendors, each once.
fn limited(caller: &Caller) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for vendor in caller.vendors() {
        let facts = facts(caller, vendor);
        let found = caller.policies.lines(&facts, &caller.overlays());
        for line in found.into_iter().filter(|l| l.limit.is_some()) {
            if !lines.iter().any(|l| l.account == line.account) {
                lines.push(line);
            }
        }
    }
    lines
}

fn facts(caller: &Caller, vendor: Name) -> Facts {
    Facts {
        subject: caller.subject.clone(),
        keys: caller.key_chain(),
        policy: caller.policy.name.clone(),
        vendor,
        operation: Arc::from(""),
        claimed_run: false,
    }
}

/// What its own policy and the global one state, on any of its vendors.
fn rates(caller: &Caller) -> Vec<Value> {
    let vendors = caller.vendors();
    let rates = owners(caller).flat_map(|policy| policy.rates.iter().map(move |rate| (policy, rate)));
    let ours = rates.filter(|(_, rate)| rate.vendor.as_ref().is_none_or(|v| vendors.contains(v)));
    let view = |(policy, rate): (&Arc<Policy>, &RateRule)| {
        let enforced = policy.mode.enforces();
        json!({"rule": rate.rule, "limit": rate.limit, "burst": rate.burst, "enforced": enforced})
    };
    ours.map(view).collect()
}

/// Of accounts above the tenant the rule alone.
pub fn budget(line: &Line, state: &AccountState) -> Option<Value> {
    let limit = line.limit.as_ref()?;
    let resets_at = line.window.end(state.window_start);
    if limit.hidden {
        return Some(json!({"rule": limit.rule, "unit": line.unit, "window": line.window, "resets_at": resets_at}));
    }
    let left = limit.amount.saturating_sub(state.spent).saturating_sub(state.held);
    let show = |n| line.unit.bare(n);
    Some(json!({
        "rule": limit.rule, "account": line.account, "unit": line.unit, "window": line.window,
        "limit": show(limit.amount), "spent": show(state.spent), "held": show(state.held),
        "remaining": show(left), "resets_at": resets_at,
    }))
}

/// Its own policy, and the global one, which nobody loosens.
fn owners(caller: &Caller) -> impl Iterator<Item = &Arc<Policy>> {
    let global = caller.policies.global().filter(|global| global.name != caller.policy.name);
    [Some(&caller.policy), global].into_iter().flatten()
}

/// What is allowed, denied, limited for each call, and asked about, under the names that refusals use.
fn rules(caller: &Caller) -> Vec<Value> {
    let view = |policy: &Arc<Policy>| {
        let name = &policy.name;
        let rule = |rule: &Rule| {
            let paths: Vec<&str> = rule.paths.iter().map(|p| p.as_str()).collect();
            let params: Vec<&str> = rule.params.iter().map(|p| p.name.as_str()).collect();
            json!({
                "rule": format!("{name}: {}", rule.label), "vendors": rule.vendors, "methods": rule.methods.names(),
                "paths": paths, "params": params,
            })
        };
        json!({
            "policy": name,
            "allow": policy.allow.iter().map(rule).collect::<Vec<_>>(),
            "deny": policy.deny.iter().map(rule).collect::<Vec<_>>(),
            "params": policy.params.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(),
            "schemas": policy.schemas.iter().map(|schema| rule(&schema.rule)).collect::<Vec<_>>(),
            "models": policy.models.iter().map(|models| self::models(name, models)).collect::<Vec<_>>(),
            "call_limits": policy.call_limits.iter().map(call_limit).collect::<Vec<_>>(),
            "windows": policy.windows.iter().map(|window| self::window(name, window)).collect::<Vec<_>>(),
            "switches": policy.switches.iter().map(switch).collect::<Vec<_>>(),
            "approval": policy.approval.as_ref().map(asks),
        })
    };
    owners(caller).map(view).collect()
}

/// Open now, or when next.
fn window(policy: &str, window: &Window) -> Value {
    let (now, open) = (Timestamp::now(), &window.open);
    json!({
        "rule": format!("{policy}: {}", window.rule.label), "allows": window.words(), "open": open.cover(now),
        "opens_at": if open.cover(now) { None } else { open.next(now) },
    })
}

fn switch(switch: &Switch) -> Value {
    json!({"rule": switch.rule, "on": switch.on.as_str(), "per": switch.per.as_str(), "do": switch.deed.as_str()})
}

fn models(policy: &str, rule: &ModelRule) -> Value {
    let allow = rule.allow.as_ref().map(|list| list.iter().map(ModelPattern::as_str).collect::<Vec<_>>());
    json!({
        "rule": format!("{policy}: {}", rule.label), "vendors": rule.vendors, "allow": allow, "aliases": rule.aliases,
    })
}

fn call_limit(limit: &CallLimit) -> Value {
    json!({"rule": limit.rule, "unit": limit.unit, "limit": limit.unit.bare(limit.amount)})
}

fn asks(rule: &ApprovalRule) -> Value {
    let operations: Vec<&str> = rule.operations.iter().map(|o| o.as_str()).collect();
    let params: Vec<&str> = rule.params.iter().map(|p| p.name.as_str()).collect();
    json!({
        "over": over(&rule.over), "tiers": rule.tiers, "operations": operations,
        "params": params, "at_percent": rule.at.map(|at| at.0), "first_use": rule.first_use,
        "wait_secs": rule.terms.wait.as_secs(), "people": rule.terms.people,
    })
}

/// One amount, the smallest of each unit; a policy and its bases may name several.
fn over(limits: &[CallLimit]) -> Value {
    let smallest = |limit: &&CallLimit| limits.iter().all(|o| o.unit != limit.unit || o.amount >= limit.amount);
    let mut shown: Vec<String> = limits.iter().filter(smallest).map(|limit| limit.unit.show(limit.amount)).collect();
    shown.sort();
    shown.dedup();
    match shown.as_slice() {
        [] => Value::Null,
        _ => json!(shown.join(", ")),
    }
}

/// Its requests that wait for a person, or that a person let through and that it may send again.
async fn approvals(gateway: &Gateway, caller: &Caller) -> Result<Vec<Value>, Problem> {
    // Where nobody is asked, nothing waits, and the place where requests lie may be away.
    if !caller.policies.may_ask(&caller.policy.name) {
        return Ok(Vec::new());
    }
    let key = caller.key.id.clone();
    let open = gateway.approvals.open_of(key, Timestamp::now()).await.map_err(|_| Problem::StoreDown)?;
    let view = |r: &Record| {
        let Request { method, path, vendor, .. } = &r.request;
        json!({
            "id": r.id, "state": r.state, "method": method, "path": path, "vendor": vendor, "open_until": r.open_until,
            "valid_until": r.valid_until,
        })
    };
    Ok(open.iter().map(view).collect())
}

fn delegate(caller: &Caller) -> Value {
    let delegate = caller.policy.delegate;
    json!({"allowed": delegate.allowed, "max_ttl_secs": delegate.max_ttl.map(|ttl| ttl.as_secs())})
}
