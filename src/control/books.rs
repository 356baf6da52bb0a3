//! Questions to the books: rows of calls, and what was spent.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};

use super::ControlState;
use super::problem::Problem;
use crate::adapters::audit::{CallPage, CallQuery, Spend};

type Asked = Result<Query<CallQuery>, QueryRejection>;

pub(super) async fn calls(State(state): State<Arc<ControlState>>, query: Asked) -> Result<Json<CallPage>, Problem> {
    let Query(query) = query?;
    Ok(Json(state.books.ask(move |store| store.calls(&query)).await?))
}

pub(super) async fn spend(State(state): State<Arc<ControlState>>, query: Asked) -> Result<Json<Spend>, Problem> {
    let Query(query) = query?;
    Ok(Json(state.books.ask(move |store| store.spend(&query)).await?))
}
