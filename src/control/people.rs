//! Persons behind the aliases of the books: who is who, and erasing one. Names travel in bodies, never in a path.

use std::sync::Arc;

use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::{Extension, Json};
use bytes::Bytes;
use http::HeaderMap;

use super::ControlState;
use super::guard::{Via, act};
use super::problem::{Problem, read};
use super::wire::{Erased, PersonRequest, PersonView};
use crate::adapters::people::{People, PeopleError, Person};
use crate::rules::books::{Act, Control};
use crate::units::ids::Seq;

type Body = Result<Bytes, BytesRejection>;

pub(super) async fn find(State(state): State<Arc<ControlState>>, body: Body) -> Result<Json<PersonView>, Problem> {
    let asked: PersonRequest = read(body)?;
    known(&state, &asked).await.map(Json)
}

pub(super) async fn erase(
    State(state): State<Arc<ControlState>>,
    Extension(via): Extension<Via>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Erased>, Problem> {
    let asked: PersonRequest = read(body)?;
    let act = act(via, &headers, asked.reason.clone());
    // In a task of its own: an operator who hangs up leaves no erasure half done.
    tokio::spawn(async move { forget(&state, &asked, act).await }).await?.map(Json)
}

/// The event first: a name that is gone without one could not be accounted for any more.
async fn forget(state: &Arc<ControlState>, asked: &PersonRequest, act: Act) -> Result<Erased, Problem> {
    let _one_at_a_time = state.turns.erase.lock().await;
    let PersonView { dimension, value, alias } = match known(state, asked).await {
        // Perhaps erased a moment ago, and still in the file's log.
        Err(gone @ Problem::NotFound(_)) => return Err(on_disk(state, People::scrub).await.err().unwrap_or(gone)),
        known => known?,
    };
    let event = Control::PersonErased { dimension: dimension.clone(), alias: alias.clone(), act };
    let seq = state.ledger.control(event).await?;
    let person = Person { dimension: dimension.clone(), value };
    let people = state.people.clone();
    let gone = tokio::task::spawn_blocking(move || people.erase(&person)).await?;
    gone.map_err(|e| half_done(seq, &e))?;
    Ok(Erased { dimension, alias, seq })
}

async fn known(state: &Arc<ControlState>, asked: &PersonRequest) -> Result<PersonView, Problem> {
    if !state.people.is_personal(&asked.dimension) {
        let why = format!("`{}` is no personal dimension; `[privacy] personal` names those", asked.dimension);
        return Err(Problem::Refused { code: "not_personal", mistakes: vec![why] });
    }
    let person = Person { dimension: asked.dimension.clone(), value: asked.name.clone() };
    let found = on_disk(state, move |people| match people.find(&person)? {
        Some(alias) => Ok(Some((alias, person))),
        None => Ok(people.whose(&person.value)?.map(|whose| (person.value, whose))),
    });
    let (alias, Person { dimension, value }) = found.await?.ok_or_else(|| unknown(asked))?;
    Ok(PersonView { dimension, value, alias })
}

fn unknown(asked: &PersonRequest) -> Problem {
    Problem::NotFound(format!(
        "no {} has this name or alias: it never called, or was erased. Names are written as the calls wrote them",
        asked.dimension
    ))
}

pub(super) async fn on_disk<T: Send + 'static>(
    state: &Arc<ControlState>,
    work: impl FnOnce(&People) -> Result<T, PeopleError> + Send + 'static,
) -> Result<T, Problem> {
    let people = state.people.clone();
    Ok(tokio::task::spawn_blocking(move || work(&people)).await??)
}

fn half_done(seq: Seq, why: &PeopleError) -> Problem {
    Problem::Partly(format!("event {seq} says that the person is erased, but that failed: {why}. Erase again"))
}
