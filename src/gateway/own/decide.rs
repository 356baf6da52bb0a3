//! `POST /bursar/v1/decide`: what would become of a call, without making it. Asks the rules, the estimate and the accounts as a
//! call would; takes no hold, no turn of a rate and no approval, asks no vendor and no person, and leaves no row. By the time
//! that the call is made, others may have spent what is left now.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::myself::budget;
use crate::gateway::Gateway;
use crate::gateway::admit::{Judged, Known, Sendable};
use crate::gateway::approval::Asker;
use crate::gateway::context::Context;
use crate::gateway::identify::Caller;
use crate::gateway::problem::Problem;
use crate::gateway::route;
use crate::rules::books::Verdict;
use crate::rules::ledger::need::Need;
use crate::rules::policy::{Denial, PerCall, Permit};
use crate::rules::vendors::Counted;

/// A call as it would be made.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    method: String,
    /// As it would be called here: `/openai/v1/chat/completions`, with its query.
    path: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// A text is the body as it is; anything else is JSON.
    #[serde(default)]
    body: Option<Box<RawValue>>,
}

pub(super) async fn decide(
    gateway: &Arc<Gateway>,
    context: &Context,
    caller: &Caller,
    asked: Asked,
) -> Result<Value, Problem> {
    let (parts, body) = request(asked)?;
    match tried(gateway, context, caller, &parts, body).await {
        Err(Problem::StoreDown) => Err(Problem::StoreDown),
        Err(problem) => Ok(refusal(&problem, context)),
        decided => decided,
    }
}

fn request(asked: Asked) -> Result<(http::request::Parts, Bytes), Problem> {
    let wrong = |what: &str| Problem::BadQuestion(format!("the `{what}` of the call is not one"));
    let (body, json) = match asked.body {
        None => (Bytes::new(), false),
        Some(raw) => match serde_json::from_str::<String>(raw.get()) {
            Ok(text) => (text.into(), false),
            Err(_) => (raw.get().to_owned().into(), true),
        },
    };
    let mut headers = HeaderMap::new();
    for (name, value) in &asked.headers {
        let name = HeaderName::try_from(name.as_str()).map_err(|_| wrong("headers"))?;
        headers.append(name, HeaderValue::try_from(value.as_str()).map_err(|_| wrong("headers"))?);
    }
    if json && !headers.contains_key(header::CONTENT_TYPE) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if !asked.path.starts_with('/') {
        return Err(wrong("path"));
    }
    let built = Request::builder().method(asked.method.as_str()).uri(asked.path).body(());
    let (mut parts, ()) = built.map_err(|_| wrong("method or path"))?.into_parts();
    parts.headers = headers;
    Ok((parts, body))
}

fn refusal(problem: &Problem, context: &Context) -> Value {
    let told = problem.told(context.call);
    let mut said = json!({"verdict": problem.verdict(), "status": told.status, "message": told.message});
    if let Value::Object(fields) = &mut said {
        fields.extend(told.bursar);
        fields.remove("call");
    }
    said
}

/// Yes, at most how much, and what a rule that only observes says of it.
struct Priced {
    permit: Permit,
    need: Need,
    would_deny: Option<Denial>,
}

async fn tried(
    gateway: &Arc<Gateway>,
    context: &Context,
    caller: &Caller,
    parts: &http::request::Parts,
    body: Bytes,
) -> Result<Value, Problem> {
    let place = route::place(gateway, caller, parts)?;
    let routed = place.vendor.route(parts.method.as_str(), place.path.clone());
    let method = parts.method.as_str();
    let ground = gateway.grounds.of(caller, &place.vendor, routed.operation, method, &routed.path);
    let judged = Judged::new(gateway, context, caller, &place, &routed, parts, ground);
    judged.given_once()?;
    let (policy, operation) = (&judged.facts.policy, judged.routed.operation);
    let renamed = judged.policies.renamed(policy, &judged.facts.vendor, operation, &body);
    let body = Sendable::Whole(renamed.map_or(body, |renamed| renamed.body.into()));
    match asked(&judged, &body).await {
        Err(problem) => Err(judged.advised(problem, &body).await),
        decided => decided,
    }
}

/// Rules, a person, accounts.
async fn asked(judged: &Judged<'_>, body: &Sendable) -> Result<Value, Problem> {
    let Priced { permit, need, would_deny } = judged.priced(body).await?;
    judged.door()?;
    judged.ready(&permit)?;
    let asker = Asker { judged, permit: &permit, need: &need, unbounded: false, body: body.bytes() };
    if let Some(awaited) = asker.look().await? {
        return Err(Problem::Approval(Box::new(awaited)));
    }
    weighed(judged, &permit, &need, would_deny).await
}

/// What the accounts say.
async fn weighed(
    judged: &Judged<'_>,
    permit: &Permit,
    need: &Need,
    would_deny: Option<Denial>,
) -> Result<Value, Problem> {
    let would_deny = permit.would_deny().cloned().or(would_deny);
    let lines = permit.lines();
    let states = judged.gateway.ledger.accounts(lines.to_vec()).await.map_err(|_| Problem::StoreDown)?;
    if let Some(short) = permit.short_of(need, &states) {
        return Err(Problem::Budget(Box::new(short)));
    }
    let whole = need.whole();
    let verdict = match &would_deny {
        Some(_) => Verdict::Deny,
        None if permit.short_of(&whole, &states).is_some() => Verdict::AllowWithCaps,
        None => Verdict::Allow,
    };
    let budgets: Vec<Value> = lines.iter().zip(&states).filter_map(|(line, state)| budget(line, state)).collect();
    Ok(json!({
        "verdict": verdict,
        "enforced": permit.enforced(),
        "message": would_deny.map(|denial| denial.to_string()),
        "vendor": judged.facts.vendor,
        "operation": judged.facts.operation,
        "tier": permit.tier(),
        "estimate_usd": need.wanted().usd,
        "budgets": budgets,
        "rates": permit.rates().iter().map(|rate| &rate.rule).collect::<Vec<_>>(),
    }))
}

impl Judged<'_> {
    /// Yes, and at most how much, by what the request itself says.
    async fn priced(&self, body: &Sendable) -> Result<Priced, Problem> {
        let (mut recalled, mut sought) = (None, false);
        loop {
            let (at, named) = {
                let args = self.args(body)?;
                let permit = self.decide(&args)?;
                let memory = self.memory(&permit);
                let remembered = |id: &str, row: &str| memory.recall(id, row);
                let known = Known {
                    found: &[],
                    recalled: recalled.as_ref(),
                    counted: Counted::Nothing,
                    remembered: &remembered,
                };
                let ask = self.ask(&permit, &args, body.bytes(), known);
                match ask.recalls().filter(|_| !sought) {
                    Some(named) => (memory.place(), named),
                    None => {
                        let (estimate, unpriced) = self.estimate(&permit, ask)?;
                        let PerCall { need, would_deny } = permit.fit_call(&estimate.need).map_err(Problem::Denied)?;
                        let need = Need { risk: permit.risk(), ..need };
                        return Ok(Priced { permit, need, would_deny: unpriced.or(would_deny) });
                    }
                }
            };
            (recalled, sought) = (self.gateway.recall(&self.place.vendor.name, at, &named).await?, true);
        }
    }
}
