//! bursar's own pages for an agent, under `/bursar/`: what may I do, what is left, until when. Costs nothing and reaches no
//! vendor. The paths are reserved before any vendor is looked for.

use std::sync::Arc;

use http::header;
use http::request::Parts;
use http::{HeaderValue, Method, Response};
use serde_json::{Value, json};

use super::Gateway;
use super::body::Reply;
use super::context::{self, Context};
use super::identify::Caller;
use super::problem::Problem;
use super::route;
use crate::rules::ledger::ask::{AccountState, Line};
use crate::rules::policy::{Mode, Policy, RateRule};
use crate::rules::subject::{Facts, Name};

/// Pages that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    Myself,
    Missing,
}

/// The page that is asked for; `None` if the address is a vendor's.
pub fn page(parts: &Parts) -> Option<Page> {
    let target = route::target(parts);
    let path = target.split('?').next().unwrap_or_default();
    let own = path.starts_with("/bursar/") || path.starts_with("/-/") || path == "/bursar" || path == "/-";
    own.then_some(match (&parts.method, path) {
        (&Method::GET, "/bursar/v1/self") => Page::Myself,
        _ => Page::Missing,
    })
}

pub async fn answer(
    gateway: &Gateway,
    context: &Context,
    caller: &Caller,
    page: Page,
) -> Result<Response<Reply>, Problem> {
    let body = match page {
        Page::Missing => return Err(Problem::NoSuchPage),
        Page::Myself => myself(gateway, caller).await?,
    };
    let mut response = Response::new(Reply::whole(body.to_string()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    context::stamp(response.headers_mut(), context.call);
    Ok(response)
}

async fn myself(gateway: &Gateway, caller: &Caller) -> Result<Value, Problem> {
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
    let owners = [Some(&caller.policy), caller.policies.global().filter(|global| global.name != caller.policy.name)];
    let vendors = caller.vendors();
    let rates = owners.into_iter().flatten().flat_map(|policy| policy.rates.iter().map(move |rate| (policy, rate)));
    let ours = rates.filter(|(_, rate)| rate.vendor.as_ref().is_none_or(|v| vendors.contains(v)));
    let view = |(policy, rate): (&Arc<Policy>, &RateRule)| {
        let enforced = policy.mode.enforces();
        json!({"rule": rate.rule, "limit": rate.limit, "burst": rate.burst, "enforced": enforced})
    };
    ours.map(view).collect()
}

/// Of accounts above the tenant the rule alone.
fn budget(line: &Line, state: &AccountState) -> Option<Value> {
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
