//! The loaded policies: listing them and reading the folder again, whole or not at all.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use http::HeaderMap;
use serde::Serialize;

use super::ControlState;
use super::guard::{Via, act};
use super::problem::Problem;
use crate::adapters::ledger::Ledger;
use crate::adapters::policy_store::Reloaded;
use crate::config::Mistakes;
use crate::rules::books::{Act, Control};
use crate::rules::policy::PolicySet;
use crate::rules::subject::Name;
use crate::units::ids::Digest32;
use crate::units::time::Timestamp;

#[derive(Serialize)]
pub(super) struct PolicyList {
    /// Over all of them.
    hash: Digest32,
    policies: Vec<PolicyView>,
}

#[derive(Serialize)]
struct PolicyView {
    policy: Name,
    hash: Digest32,
    vendors: Vec<Name>,
    enforced: bool,
    global: bool,
    expires_at: Option<Timestamp>,
    budgets: Vec<Name>,
}

fn view(set: &PolicySet) -> PolicyList {
    let one = |p: &Arc<crate::rules::policy::Policy>| PolicyView {
        policy: p.name.clone(),
        hash: p.hash,
        vendors: p.vendors.clone(),
        enforced: p.mode.enforces(),
        global: p.global,
        expires_at: p.expires_at,
        budgets: p.budgets.iter().map(|b| b.rule.clone()).collect(),
    };
    PolicyList { hash: set.hash(), policies: set.policies().map(one).collect() }
}

pub(super) async fn list(State(state): State<Arc<ControlState>>) -> Json<PolicyList> {
    Json(view(&state.policies.current()))
}

#[derive(Serialize)]
pub(super) struct Loaded {
    /// New or different.
    loaded: Vec<LoadedPolicy>,
    /// Keys under these are refused from now on.
    removed: Vec<Name>,
    /// How many there are now.
    policies: usize,
}

#[derive(Serialize)]
struct LoadedPolicy {
    policy: Name,
    hash: Digest32,
}

/// Reads the folder again. Whole or not at all: with a mistake anywhere, everything stays as it was.
pub(super) async fn reload(
    State(state): State<Arc<ControlState>>,
    Extension(via): Extension<Via>,
    headers: HeaderMap,
) -> Result<Json<Loaded>, Problem> {
    let act = act(via, &headers, None);
    let done = tokio::spawn(async move {
        let reloaded = state.policies.reload().await.map_err(refused)?;
        tell_loaded(&*state.ledger, &reloaded, &act).await;
        let policies = state.policies.current().len();
        let loaded = reloaded.loaded.into_iter().map(|(policy, hash)| LoadedPolicy { policy, hash }).collect();
        Ok(Json(Loaded { loaded, removed: reloaded.removed, policies }))
    });
    done.await?
}

fn refused(mistakes: Mistakes) -> Problem {
    let mistakes = mistakes.0.iter().map(ToString::to_string).collect();
    Problem::Refused { code: "policies_refused", mistakes }
}

/// Each policy that was loaded stands in the books. The policies hold already: a ledger that is down is said in the log,
/// and admits nothing meanwhile.
pub async fn tell_loaded(ledger: &dyn Ledger, reloaded: &Reloaded, act: &Act) {
    for (policy, hash) in &reloaded.loaded {
        let control = Control::PolicyLoaded { policy: policy.clone(), hash: *hash, act: act.clone() };
        if let Err(e) = ledger.control(control).await {
            tracing::error!(%policy, "a policy was loaded, and the books could not be told: {e}");
        }
    }
}
