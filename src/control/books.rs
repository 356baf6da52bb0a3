//! Questions to the books: rows of calls, and what was spent.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Serialize;

use super::ControlState;
use super::problem::Problem;
use super::veil;
use crate::adapters::audit::groups::{self, Dimension, SpendBy};
use crate::adapters::audit::{CallPage, CallQuery, Spend, find};

/// With `by`, or without.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Sums {
    All(Spend),
    By(SpendBy),
}

type Asked = Result<Query<CallQuery>, QueryRejection>;

pub(super) async fn calls(State(state): State<Arc<ControlState>>, query: Asked) -> Result<Json<CallPage>, Problem> {
    let Query(query) = query?;
    if query.by.is_some() {
        return Err(Problem::Malformed("`by` is for `/v1/spend`".to_owned()));
    }
    let (hide, query) = (query.pseudonyms, veil::asked(&state, query).await?);
    let page = state.books.ask(move |store| find::find(store, &query)).await?;
    veil::page(&state, page, hide).await.map(Json)
}

pub(super) async fn spend(State(state): State<Arc<ControlState>>, query: Asked) -> Result<Json<Sums>, Problem> {
    let Query(query) = query?;
    let (hide, query) = (query.pseudonyms, veil::asked(&state, query).await?);
    let Some(by) = &query.by else {
        if hide {
            return Err(Problem::Malformed("`pseudonyms` needs `by` here: say what to cut the sums by".to_owned()));
        }
        return Ok(Json(Sums::All(state.books.ask(move |store| groups::spend(store, &query)).await?)));
    };
    let by = by.split(',').map(str::parse).collect::<Result<Vec<Dimension>, _>>().map_err(Problem::Malformed)?;
    let cut = by.clone();
    let sums = state.books.ask(move |store| groups::spend_by(store, &query, &cut)).await?;
    Ok(Json(Sums::By(veil::sums(&state, sums, &by, hide).await?)))
}
