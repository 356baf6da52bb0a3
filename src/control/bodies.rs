//! Captured bodies, one at a time: who looked is an event, written before anything is shown.

use std::sync::Arc;

use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::{Extension, Json};
use bytes::Bytes;
use http::HeaderMap;

use super::ControlState;
use super::guard::{Via, act};
use super::problem::{Problem, read};
use super::wire::{BodyRequest, BodyView};
use crate::rules::books::Control;
use crate::units::time::Timestamp;

pub(super) async fn read_one(
    State(state): State<Arc<ControlState>>,
    Extension(via): Extension<Via>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<BodyView>, Problem> {
    let BodyRequest { call, part, reason } = read(body)?;
    let captures = state.captures.clone();
    let found = tokio::task::spawn_blocking(move || captures.read(call, part, Timestamp::now())).await??;
    let found = found.ok_or_else(|| {
        Problem::NotFound(format!(
            "no {} of call {call} is kept: its policy asked for none, its time is over, or there is no such call",
            part.as_str()
        ))
    })?;
    let event = Control::BodyRead { call, part: part.as_str().into(), act: act(via, &headers, reason) };
    state.ledger.control(event).await?;
    Ok(Json(found.into()))
}
