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
use crate::adapters::policy_store::{Changed, Reloaded};
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
    rates: Vec<Name>,
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
        rates: p.rates.iter().map(|r| r.rule.clone()).collect(),
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
    /// Lines of its file that are new, and that are gone.
    added: Vec<String>,
    removed: Vec<String>,
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
        let loaded = |c: Changed| LoadedPolicy { policy: c.policy, hash: c.hash, added: c.added, removed: c.removed };
        let removed = reloaded.removed.into_iter().map(|(policy, _)| policy).collect();
        Ok(Json(Loaded { loaded: reloaded.loaded.into_iter().map(loaded).collect(), removed, policies }))
    });
    done.await?
}

fn refused(mistakes: Mistakes) -> Problem {
    let mistakes = mistakes.0.iter().map(ToString::to_string).collect();
    Problem::Refused { code: "policies_refused", mistakes }
}

/// Each policy that was loaded or removed stands in the books. The policies hold already: a ledger that is down is said in
/// the log, and admits nothing meanwhile.
pub async fn tell_loaded(ledger: &dyn Ledger, reloaded: &Reloaded, act: &Act) {
    let loaded = reloaded.loaded.iter().cloned().map(|c| {
        let (added, removed, act) = (c.added, c.removed, act.clone());
        Control::PolicyLoaded { policy: c.policy, hash: c.hash, whole: c.whole, added, removed, act }
    });
    let removed = reloaded.removed.iter().cloned();
    let removed = removed.map(|(policy, hash)| Control::PolicyRemoved { policy, hash, act: act.clone() });
    for control in loaded.chain(removed) {
        let about = control.about();
        if let Err(e) = ledger.control(control).await {
            tracing::error!("{about} was loaded or removed, and the books could not be told: {e}");
        }
    }
}

/// What calls are reckoned with stands in the books, from each start on.
pub async fn tell_prices(ledger: &dyn Ledger, hash: Digest32, overrides: Option<String>, act: Act) {
    if let Err(e) = ledger.control(Control::PricesLoaded { hash, overrides, act }).await {
        tracing::error!("prices were loaded, and the books could not be told: {e}");
    }
}
