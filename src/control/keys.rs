//! Minting, listing and showing vault keys. A key is shown once, and only after its event is in the journal.

use std::sync::Arc;

use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::{Extension, Json};
use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;

use super::ControlState;
use super::fleet;
use super::guard::{Via, act};
use super::problem::{Problem, read};
use super::switch::on_disk;
use super::wire::{KeyList, KeyStatus, KeyView, MintRequest, Minted};
use crate::adapters::keyring::{KeyRecord, NewKey};
use crate::rules::books::{Act, Control, Minting};
use crate::units::ids::KeyId;
use crate::units::time::Timestamp;

/// Which keys to list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Filter {
    agent: Option<String>,
    tenant: Option<String>,
    policy: Option<String>,
    status: Option<KeyStatus>,
}

impl Filter {
    fn takes(&self, key: &KeyView) -> bool {
        let named = |asked: &Option<String>, is: Option<&str>| asked.as_deref().is_none_or(|a| is == Some(a));
        named(&self.agent, key.subject.agent.as_deref())
            && named(&self.tenant, Some(&key.subject.tenant))
            && named(&self.policy, Some(&key.policy))
            && self.status.is_none_or(|s| s == key.status)
    }
}

fn view(state: &ControlState, key: &KeyRecord, now: Timestamp) -> Result<KeyView, Problem> {
    let mut view = KeyView::new(key, state.keyring.standing(key, now));
    state.people.unveil(&mut view.subject)?;
    Ok(view)
}

pub(super) async fn list(
    State(state): State<Arc<ControlState>>,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<KeyList>, Problem> {
    let (Query(filter), now) = (filter?, Timestamp::now());
    let all = state.keyring.list();
    let keys = all.iter().map(|key| view(&state, key, now));
    let keys = keys.filter(|key| key.as_ref().map_or(true, |key| filter.takes(key))).collect::<Result<_, _>>()?;
    Ok(Json(KeyList { keys }))
}

pub(super) async fn show(
    State(state): State<Arc<ControlState>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<KeyView>, Problem> {
    let Path(id) = id?;
    let named = KeyId(id.as_str().into());
    let key = match state.keyring.find(&named) {
        Some(key) => Some(key),
        None => on_disk(&state, move |keyring| keyring.recall(&named)).await?.map(Arc::new),
    };
    let key =
        key.ok_or_else(|| Problem::NotFound(format!("there is no key `{id}`; `bursar key list` has them all")))?;
    view(&state, &key, Timestamp::now()).map(Json)
}

pub(super) async fn mint(
    State(state): State<Arc<ControlState>>,
    Extension(via): Extension<Via>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Minted>, Problem> {
    let asked: MintRequest = read(body)?;
    let act = act(via, &headers, asked.note.clone());
    // In a task of its own: a caller who hangs up leaves no key without its event.
    tokio::spawn(async move { mint_key(&state, asked, act).await }).await?.map(Json)
}

/// Mints, tells the ledger and the books, and only then reveals the key. `app` mints the sandbox's key with it.
pub async fn mint_key(state: &Arc<ControlState>, asked: MintRequest, act: Act) -> Result<Minted, Problem> {
    let mut new = checked(state, asked, &act)?;
    state.people.veil(&mut new.subject).await?;
    let _one_at_a_time = state.turns.mint.lock().await;
    let (key, record) = on_disk(state, move |keyring| keyring.mint(new, Timestamp::now())).await?;
    let known = match fleet::key_minted(state, &record).await {
        Ok(()) => make_known(state, &record, act).await,
        told => told,
    };
    if let Err(why) = known {
        // Nobody has seen it, so nobody can have used it.
        let id = record.id.clone();
        on_disk(state, move |keyring| keyring.forget(&id)).await?;
        return Err(Problem::Down(format!("no key was minted: {why}")));
    }
    let mut subject = record.subject.clone();
    state.people.unveil(&mut subject)?;
    Ok(Minted {
        id: record.id.clone(),
        key: key.reveal().to_string(),
        policy: record.policy.clone(),
        subject,
        created_at: record.created_at,
        expires_at: record.expires_at,
    })
}

/// Its budgets are counted, and its event is durable.
pub(super) async fn make_known(state: &ControlState, record: &KeyRecord, act: Act) -> Result<(), String> {
    count_budgets(state, record).await?;
    let minted = Control::KeyMinted {
        key: record.id.clone(),
        policy: record.policy.clone(),
        parent: record.parent().cloned(),
        expires_at: record.expires_at,
        minting: Some(Box::new(Minting { subject: record.subject.clone(), narrower: narrower(record) })),
        act,
    };
    state.ledger.control(minted).await.map(|_| ()).map_err(|e| e.to_string())
}

/// The key's own budgets are counted from here on.
pub(super) async fn count_budgets(state: &ControlState, record: &KeyRecord) -> Result<(), String> {
    match record.overlay.as_ref().is_some_and(|o| o.shapes().next().is_some()) {
        true => state.policies.count_for_keys(state.keyring.shapes(Timestamp::now())).await,
        false => Ok(()),
    }
}

fn narrower(record: &KeyRecord) -> Option<String> {
    // Plain data, which always becomes text.
    record.overlay.as_ref().and_then(|overlay| serde_json::to_string(overlay).ok())
}

/// All mistakes at once.
fn checked(state: &ControlState, asked: MintRequest, act: &Act) -> Result<NewKey, Problem> {
    let mut mistakes = Vec::new();
    let subject = asked.subject().unwrap_or_else(|wrong| {
        mistakes.extend(wrong);
        Default::default()
    });
    if asked.too_many_dimensions() {
        mistakes.push("a key has at most 16 dimensions".to_owned());
    }
    let expires_at = expiry(&asked, &mut mistakes);
    check_rules(state, &asked, &mut mistakes);
    if !mistakes.is_empty() {
        return Err(Problem::Refused { code: "key_refused", mistakes });
    }
    Ok(NewKey {
        subject,
        policy: asked.policy.into(),
        overlay: asked.overlay,
        parent: asked.parent,
        expires_at,
        label: asked.label,
        note: asked.note,
        by: act.actor.clone(),
    })
}

/// Ten years: no sum of times overflows.
const LONGEST_TTL: u64 = 3653 * 86_400;

fn expiry(asked: &MintRequest, mistakes: &mut Vec<String>) -> Option<Timestamp> {
    match (asked.ttl_secs, asked.expires_at) {
        (Some(_), Some(_)) => mistakes.push("`ttl_secs` or `expires_at`, not both".to_owned()),
        (Some(0), None) => mistakes.push("`ttl_secs` is 0: the key would never be good".to_owned()),
        (Some(ttl), None) if ttl > LONGEST_TTL => mistakes.push("`ttl_secs` is more than ten years".to_owned()),
        (Some(ttl), None) => return Some(Timestamp::now().plus_secs(ttl as i64)),
        (None, end) => return end,
    }
    None
}

/// The policy is there, and the overlay only narrows it (and the parent's).
fn check_rules(state: &ControlState, asked: &MintRequest, mistakes: &mut Vec<String>) {
    let policies = state.policies.current();
    let Some(policy) = policies.get(&asked.policy) else {
        let names: Vec<&str> = policies.policies().map(|p| &*p.name).collect();
        return mistakes.push(format!("there is no policy `{}`; there are: {}", asked.policy, names.join(", ")));
    };
    let Some(overlay) = &asked.overlay else { return };
    mistakes.extend(overlay.narrows(policy).iter().map(ToString::to_string));
    let parent = asked.parent.as_ref().and_then(|id| state.keyring.find(id));
    if let Some(parent) = parent.as_ref().and_then(|p| p.overlay.as_ref()) {
        mistakes.extend(overlay.narrows_parent(parent).iter().map(ToString::to_string));
    }
}
