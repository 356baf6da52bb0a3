//! Evidence for whoever does not trust the keeper of the books: exports, proofs, the signing key, and what retention gives up.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use bytes::Bytes;
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use serde::Deserialize;

use super::ControlState;
use super::fleet;
use super::guard::{Via, act};
use super::problem::{Problem, read};
use super::wire::{PruneRequest, Pruned};
use crate::adapters::audit::AuditError;
use crate::adapters::audit::evidence::index::Compared;
use crate::adapters::audit::evidence::{Export, KeyChange, Keys};
use crate::rules::books::{Act, Control};
use crate::rules::evidence::proof::Proof;
use crate::units::ids::{CallId, Seq};
use crate::units::time::Timestamp;

/// How long the books may take to follow the journal.
const BOOKS: Duration = Duration::from_secs(30);
/// How often retention looks, and how long after a start it begins.
const LOOK: Duration = Duration::from_secs(3600);
const SETTLE_IN: Duration = Duration::from_secs(60);

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Range {
    from: Option<Seq>,
    to: Option<Seq>,
}

pub(super) async fn export(
    State(state): State<Arc<ControlState>>,
    range: Result<Query<Range>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(range) = range?;
    let from = range.from.unwrap_or(1);
    if range.to.is_some_and(|to| to < from) {
        return Err(Problem::Malformed("`to` lies before `from`".to_owned()));
    }
    fleet::have_signed(&state).await;
    let export = state.evidence.export(from, range.to).await?;
    let export = export.ok_or_else(|| Problem::NotFound("the books have no event yet".to_owned()))?;
    let body = Body::from_stream(stream::unfold(Some(export), piece));
    let kind = (CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    Ok(([kind, (CACHE_CONTROL, HeaderValue::from_static("no-store"))], body).into_response())
}

/// After an error the answer is cut, and its end is missing: whoever verifies it sees that.
async fn piece(export: Option<Export>) -> Option<(Result<Bytes, AuditError>, Option<Export>)> {
    let mut export = export?;
    let read = tokio::task::spawn_blocking(move || (export.piece(), export)).await;
    match read {
        Ok((Ok(piece), export)) => Some((Ok(piece?.into()), Some(export))),
        Ok((Err(e), _)) => Some((Err(e), None)),
        Err(e) => Some((Err(AuditError::Store(e.to_string())), None)),
    }
}

pub(super) async fn proof(
    State(state): State<Arc<ControlState>>,
    Path(call): Path<String>,
) -> Result<Json<Proof>, Problem> {
    let id: CallId = call.parse().map_err(|_| Problem::Malformed(format!("`{call}` is no call's id")))?;
    fleet::have_signed(&state).await;
    let proof = state.evidence.proof(id).await?;
    proof.map(Json).ok_or_else(|| Problem::NotFound(format!("the books have no event of call {id}")))
}

/// Rows of calls beside their events. A pass over everything, beside the calls.
pub(super) async fn check(State(state): State<Arc<ControlState>>) -> Result<Json<Compared>, Problem> {
    Ok(Json(state.evidence.compare().await?))
}

pub(super) async fn keys(State(state): State<Arc<ControlState>>) -> Result<Json<Keys>, Problem> {
    Ok(Json(state.evidence.keys().await?))
}

pub(super) async fn rotate(
    State(state): State<Arc<ControlState>>,
    Extension(via): Extension<Via>,
    headers: HeaderMap,
) -> Result<Json<KeyChange>, Problem> {
    fleet::only_where_books_are_written(&state, "a new signing key")?;
    let act = act(via, &headers, None);
    let done = tokio::spawn(async move {
        let change = state.evidence.rotate().await?;
        let (checkpoint, from, to) = (change.checkpoint, change.from.0, change.to.0);
        let told = state.ledger.control(Control::SigningKeyRotated { checkpoint, from, to, act }).await;
        let untold = |e| {
            Problem::Partly(format!("the key is {}, and the books could not be told who changed it: {e}", change.to))
        };
        told.map_err(untold)?;
        Ok(Json(change))
    });
    done.await?
}

pub(super) async fn prune(
    State(state): State<Arc<ControlState>>,
    Extension(via): Extension<Via>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Pruned>, Problem> {
    let asked: PruneRequest = read(body)?;
    fleet::only_where_books_are_written(&state, "giving events up")?;
    let act = act(via, &headers, asked.reason);
    tokio::spawn(async move { give_up(&state, asked.before, act).await }).await?.map(Json)
}

/// First the books say it, as an event of their own; then a checkpoint does; then the events go.
async fn give_up(state: &ControlState, before: Timestamp, act: Act) -> Result<Pruned, Problem> {
    let _one_at_a_time = state.turns.prune.lock().await;
    state.evidence.prune_rest().await?;
    let Some(due) = state.evidence.due(before).await? else { return Ok(Pruned::default()) };
    let (from, to, checkpoint) = (due.from, due.to, due.checkpoint);
    if let Some(slowest) = state.sinks.slowest(to) {
        let (name, has) = (&slowest.name, slowest.seq);
        let why =
            format!("sink `{name}` has events up to {has} only, and would miss those up to {to}; nothing was deleted");
        return Err(Problem::Down(format!("{why}: repair it, or take it out of the configuration")));
    }
    let seq = state.ledger.control(Control::Pruned { from, to, checkpoint, act }).await?;
    let late = |_| Problem::Down("the books do not follow the journal now; nothing was deleted".to_owned());
    tokio::time::timeout(BOOKS, state.books.caught_up(seq)).await.map_err(late)?;
    let events = state.evidence.prune(to).await?;
    Ok(Pruned { from, to, checkpoint, events })
}

/// Gives up what is older than `keep`, for ever.
pub async fn keep_retention(state: Arc<ControlState>, keep: Duration) {
    tokio::time::sleep(SETTLE_IN).await;
    keep_on(&state, keep, LOOK).await;
}

pub(super) async fn keep_on(state: &ControlState, keep: Duration, look: Duration) {
    let keep = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
    loop {
        let act = Act { actor: "bursar".to_owned(), reason: Some("retention".to_owned()) };
        match give_up(state, Timestamp::now().plus_millis(-keep), act).await {
            Ok(Pruned { events: 0, .. }) => {}
            Ok(done) => tracing::info!(from = done.from, to = done.to, "retention gave events up"),
            Err(why) => tracing::error!("retention could not give events up: {why:?}"),
        }
        tokio::time::sleep(look).await;
    }
}
