//! The ledger as operators see it: correcting what an ended call cost, and comparing its accounts with the books; and what the
//! books say of runs and of a month.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::BytesRejection;
use axum::extract::{Query, State};
use axum::{Extension, Json};
use bytes::Bytes;
use http::HeaderMap;

use super::ControlState;
use super::guard::{Via, act};
use super::problem::{Problem, read};
use super::veil;
use super::wire::{AdjustRequest, Adjusted, CheckView, ReportAsked, RunAsked};
use crate::adapters::audit::history::History;
use crate::adapters::audit::report::{self, Report};
use crate::adapters::audit::runs::{self, RunList, RunPage};
use crate::adapters::audit::{CallQuery, history};
use crate::rules::books::{Act, Outcome};
use crate::rules::ledger::ask::Correct;
use crate::rules::subject::DEFAULT_TENANT;
use crate::units::amount::Amounts;

/// For the books to show what was just written.
const SHOWN: Duration = Duration::from_secs(5);

pub(super) async fn adjust(
    State(state): State<Arc<ControlState>>,
    Extension(via): Extension<Via>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Adjusted>, Problem> {
    let asked: AdjustRequest = read(body)?;
    let reason = Some(asked.reason.trim().to_owned()).filter(|r| !r.is_empty());
    let reason = reason.ok_or_else(|| refused("a correction needs a reason: it stands in the books"))?;
    let act = act(via, &headers, Some(reason));
    tokio::spawn(async move { adjust_call(&state, asked, act).await }).await?.map(Json)
}

fn refused(why: impl Into<String>) -> Problem {
    Problem::Refused { code: "not_adjusted", mistakes: vec![why.into()] }
}

/// One at a time, and the books know of it before the next: so nothing is corrected twice unsaid.
async fn adjust_call(state: &Arc<ControlState>, asked: AdjustRequest, act: Act) -> Result<Adjusted, Problem> {
    let _one_at_a_time = state.turns.adjust.lock().await;
    let late = |_| Problem::Down("the books do not follow the journal now; nothing was corrected".to_owned());
    tokio::time::timeout(SHOWN, state.books.level()).await.map_err(late)?;
    let call = asked.call_id;
    let found = state.books.ask(move |store| History::of(store, call)).await?;
    let found = found.ok_or_else(|| Problem::NotFound(format!("the books know no call `{call}`")))?;
    may_be_adjusted(&found, asked.again).map_err(refused)?;
    let was = found.charge;
    let charge = Amounts { usd: asked.cost_usd, tokens: asked.tokens.unwrap_or(was.tokens), ..was };
    let known = found.known();
    let seq = state.ledger.correct(Correct { hold: call, charge, exact: true, act, known }).await?;
    let _ = tokio::time::timeout(SHOWN, state.books.caught_up(seq)).await;
    Ok(Adjusted { call_id: call, seq, was_usd: was.usd, cost_usd: charge.usd, estimate_usd: found.estimate.usd })
}

fn may_be_adjusted(found: &History, again: bool) -> Result<(), String> {
    let Some(outcome) = found.outcome else { return Err("it is still open".to_owned()) };
    if outcome == Outcome::Refused {
        return Err("it never left, and cost nothing".to_owned());
    }
    if let Some((by, at)) = &found.adjusted {
        let why = by.reason.as_deref().unwrap_or("no reason given");
        return if again {
            Ok(())
        } else {
            Err(format!(
                "it was adjusted before, at {at} by {}: {why}; say `again` (--again) to replace that",
                by.actor
            ))
        };
    }
    if !found.flagged && !matches!(outcome, Outcome::Unknown | Outcome::Expired) {
        return Err(format!("its cost is exact, and its outcome is `{outcome}`: nothing is to be corrected"));
    }
    Ok(())
}

pub(super) async fn check(State(state): State<Arc<ControlState>>) -> Result<Json<CheckView>, Problem> {
    let checked = state.ledger.check().await?;
    let view = state.books.ask(move |store| {
        let (causes, causes_cut) = history::causes(store, &checked, history::LOOK)?;
        let gaps = store.gaps()?;
        let whole = checked.differences.is_empty() && causes.is_empty();
        Ok(CheckView { whole, checked, causes, causes_cut, gaps })
    });
    Ok(Json(view.await?))
}

pub(super) async fn report(
    State(state): State<Arc<ControlState>>,
    query: Result<Query<ReportAsked>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Report>, Problem> {
    let Query(ReportAsked { month }) = query?;
    let (from, until) = report::month(&month).map_err(Problem::Malformed)?;
    Ok(Json(state.books.ask(move |store| report::report(store, &month, from, until)).await?))
}

pub(super) async fn runs(
    State(state): State<Arc<ControlState>>,
    query: Result<Query<CallQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<RunList>, Problem> {
    let query = veil::asked(&state, query?.0).await?;
    Ok(Json(state.books.ask(move |store| runs::list(store, &query)).await?))
}

pub(super) async fn run(
    State(state): State<Arc<ControlState>>,
    query: Result<Query<RunAsked>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<RunPage>, Problem> {
    let Query(RunAsked { tenant, run }) = query?;
    let tenant = tenant.unwrap_or_else(|| DEFAULT_TENANT.to_owned());
    let missing = Problem::NotFound(format!("the books know no run `{run}` of tenant `{tenant}`"));
    let page = state.books.ask(move |store| runs::page(store, &tenant, &run)).await?;
    Ok(Json(page.ok_or(missing)?))
}
