//! Approvals as operators see and decide them. Whose word counts: nobody approves a call of their own key, and nobody counts
//! twice. The event comes first, so that no yes is without one; then the call that waits is woken, on whichever node.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::{Extension, Json};
use bytes::Bytes;
use http::HeaderMap;

use super::ControlState;
use super::guard::{Via, act};
use super::problem::{Problem, read};
use super::wire::{ApprovalList, ApprovalQuery, Decided, ReasonRequest};
use crate::adapters::approvals::{ApprovalError, Decision, Record, person};
use crate::adapters::people::Person;
use crate::rules::books::{Act, Control};
use crate::rules::subject::{Name, Subject};
use crate::units::ids::ApprovalId;
use crate::units::time::Timestamp;

type Body = Result<Bytes, BytesRejection>;
type Id = Result<Path<String>, PathRejection>;

pub(super) async fn list(
    State(state): State<Arc<ControlState>>,
    query: Result<Query<ApprovalQuery>, QueryRejection>,
) -> Result<Json<ApprovalList>, Problem> {
    let Query(query) = query?;
    let mut approvals = state.approvals.list(query.all, Timestamp::now()).await?;
    for record in &mut approvals {
        state.people.unveil(&mut record.request.subject)?;
    }
    Ok(Json(ApprovalList { approvals }))
}

pub(super) async fn show(State(state): State<Arc<ControlState>>, id: Id) -> Result<Json<Record>, Problem> {
    let mut record = find(&state, &named(id)?).await?;
    state.people.unveil(&mut record.request.subject)?;
    Ok(Json(record))
}

pub(super) async fn approve(
    State(state): State<Arc<ControlState>>,
    Extension(via): Extension<Via>,
    id: Id,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Decided>, Problem> {
    let asked: ReasonRequest = read(body)?;
    decide(state, named(id)?, act(via, &headers, asked.reason), true).await.map(Json)
}

pub(super) async fn reject(
    State(state): State<Arc<ControlState>>,
    Extension(via): Extension<Via>,
    id: Id,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Decided>, Problem> {
    let asked: ReasonRequest = read(body)?;
    decide(state, named(id)?, act(via, &headers, asked.reason), false).await.map(Json)
}

fn named(id: Id) -> Result<ApprovalId, Problem> {
    Ok(ApprovalId(id?.0.into()))
}

pub(super) async fn find(state: &Arc<ControlState>, id: &ApprovalId) -> Result<Record, Problem> {
    Ok(state.approvals.find(id.clone(), Timestamp::now()).await?)
}

/// In a task of its own: whoever hangs up leaves no word half heard.
pub(super) async fn decide(state: Arc<ControlState>, id: ApprovalId, act: Act, yes: bool) -> Result<Decided, Problem> {
    tokio::spawn(async move { said(&state, id, act, yes).await }).await?
}

async fn said(state: &Arc<ControlState>, id: ApprovalId, act: Act, yes: bool) -> Result<Decided, Problem> {
    let _one_at_a_time = state.turns.approve.lock().await;
    let record = find(state, &id).await?;
    // A no is anybody's.
    let owners = if yes { owners(state, &record)? } else { Vec::new() };
    record.may(&act.actor, yes, &owners).map_err(ApprovalError::Refused)?;
    let (approval, told) = (id.clone(), act.clone());
    let event = match yes {
        true => Control::Approved { approval, enough: record.is_last(), act: told },
        false => Control::Rejected { approval, act: told },
    };
    let seq = state.ledger.control(event).await?;
    let decision = Decision { actor: act.actor, yes, at: Timestamp::now(), reason: act.reason };
    let decided = state.approvals.decide(id, decision).await;
    let mut approval =
        decided.map_err(|why| Problem::Partly(format!("event {seq} has this word, but it does not count: {why}")))?;
    state.people.unveil(&mut approval.request.subject)?;
    Ok(Decided { approval, seq })
}

/// Whose key it is: the user whom it or the call names, or else whoever minted it. The same of every key above it.
fn owners(state: &ControlState, record: &Record) -> Result<Vec<String>, Problem> {
    let mut owners: Vec<String> = user(state, &record.request.subject)?.into_iter().collect();
    let key = state.keyring.find(&record.request.key);
    let above = key.iter().flat_map(|key| &key.ancestors).filter_map(|id| state.keyring.find(id));
    for key in key.iter().cloned().chain(above) {
        owners.push(user(state, &key.subject)?.unwrap_or_else(|| person(&key.by)));
    }
    Ok(owners)
}

fn user(state: &ControlState, subject: &Subject) -> Result<Option<String>, Problem> {
    let mut subject = subject.clone();
    state.people.unveil(&mut subject)?;
    let Some(user) = subject.dimensions.get("user") else { return Ok(None) };
    if state.others.is_some() && state.people.is_personal("user") && state.people.find(&named_user(user))?.is_none() {
        return Err(ApprovalError::Refused(format!(
            "whose call this is, is known to another node alone (`{user}`), so nobody can say here that it is somebody else's: \
             approve it on the node where the key was minted, or where the call came in if that named the user"
        ))
        .into());
    }
    Ok(Some(person(user)))
}

fn named_user(user: &Name) -> Person {
    Person { dimension: "user".into(), value: user.clone() }
}

/// How often is looked for requests whose time is over.
const LOOK: Duration = Duration::from_secs(1);

/// A request that nobody decided in time is a no, which the books say. `app` runs it.
pub async fn keep_time(state: Arc<ControlState>) {
    loop {
        match state.approvals.expire(Timestamp::now()).await {
            Ok(over) => tell_over(&state, over).await,
            Err(error) => tracing::error!(?error, "requests for approval could not be looked through"),
        }
        tokio::select! { () = tokio::time::sleep(LOOK) => {}, () = state.stop.cancelled() => return }
    }
}

async fn tell_over(state: &ControlState, over: Vec<Record>) {
    for record in over {
        let act = Act { actor: "bursar".to_owned(), reason: Some("nobody decided in time".to_owned()) };
        let (approval, id) = (record.id.clone(), record.id);
        if let Err(error) = state.ledger.control(Control::Rejected { approval, act }).await {
            tracing::error!(%id, %error, "nobody decided this request in time, and the books could not be told");
        }
    }
}
