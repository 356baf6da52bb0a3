//! The operators' side: an admin API on loopback TCP (bearer token) and on a `0600` socket in the data folder (no token).
//! Knows nothing of the gateway; both meet in `app`, and share the stores.
//!
//! `serve` has the listeners, `guard` who may come in, `door` what of that stands in the books, `switch` turns things off and
//! on, `fleet` goes on with that on other nodes, `approvals` hears persons (`asking` tells them, `link` lets them answer, `approvers` knows them),
//! `keys`, `books`, `evidence`, `ledger`, `policies`, `status` and `metrics` answer, `wire` has what goes over the wire (the CLI reads
//! the same types), `problem` what is refused and how.

mod approvals;
mod approvers;
mod asking;
mod bodies;
mod books;
mod door;
mod evidence;
mod fleet;
mod guard;
pub mod keys;
mod ledger;
mod link;
mod metrics;
mod people;
pub mod policies;
pub mod problem;
mod serve;
mod status;
mod stream;
pub mod switch;
mod trip;
mod veil;
pub mod wire;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use tokio_util::sync::CancellationToken;

use crate::adapters::approvals::Approvals;
use crate::adapters::audit::evidence::Evidence;
use crate::adapters::audit::evidence::anchor::Anchor;
use crate::adapters::audit::pseudonyms::Pseudonyms;
use crate::adapters::audit::tail::Books;
use crate::adapters::captures::Captures;
use crate::adapters::keyring::Keyring;
use crate::adapters::keyring::secrets::AdminToken;
use crate::adapters::ledger::Ledger;
use crate::adapters::people::People;
use crate::adapters::policy_store::PolicyStore;
use crate::adapters::sinks::Sinks;
use crate::adapters::switchboard::Switchboard;
use crate::adapters::vault::Vault;
use crate::rules::subject::Name;
use crate::units::time::Timestamp;

pub use approvals::keep_time;
pub use approvers::Approvers;
pub use asking::keep_asking;
pub use door::Door;
pub use evidence::keep_retention;
pub use fleet::{Others, follow};
pub use guard::Names;
pub use keys::mint_key;
pub use policies::{tell_loaded, tell_prices};
pub use serve::{listen, serve_socket, serve_tcp};
pub use switch::keep_telling;
pub use trip::{Trips, trip};
pub use wire::Minted;

/// What the admin API works with. Made once, by `app`.
pub struct ControlState {
    pub keyring: Arc<Keyring>,
    /// Other nodes that share the keys.
    pub others: Option<Arc<Others>>,
    pub people: Arc<People>,
    pub captures: Arc<Captures>,
    pub approvals: Arc<Approvals>,
    pub approvers: Approvers,
    pub pseudonyms: Arc<Pseudonyms>,
    pub ledger: Arc<dyn Ledger>,
    pub books: Arc<Books>,
    pub sinks: Arc<Sinks>,
    pub evidence: Arc<Evidence>,
    pub anchors: Vec<Arc<Anchor>>,
    pub policies: Arc<PolicyStore>,
    pub switchboard: Arc<Switchboard>,
    pub vault: Arc<Vault>,
    /// Names of the vendors that the gateway serves.
    pub vendors: Vec<Name>,
    pub token: AdminToken,
    /// Host names under which the TCP listener may be called, beside loopback.
    pub names: Names,
    pub about: About,
    /// Ends what follows the books for ever.
    pub stop: CancellationToken,
    pub turns: Turns,
    pub trips: Trips,
    pub door: Door,
}

/// What is done one at a time.
#[derive(Default)]
pub struct Turns {
    /// So that keyring and ledger see the changes of one flag in the same order.
    switch: tokio::sync::Mutex<()>,
    /// So that the budgets of all keys are counted, whoever is minted last.
    mint: tokio::sync::Mutex<()>,
    /// So that nothing is given up twice.
    prune: tokio::sync::Mutex<()>,
    /// So that nobody is erased twice at once.
    erase: tokio::sync::Mutex<()>,
    /// So that two words on one call are heard one after the other.
    approve: tokio::sync::Mutex<()>,
    /// So that nothing is corrected twice unsaid.
    adjust: tokio::sync::Mutex<()>,
}

/// What `status` says of this process.
#[derive(Clone, Debug, serde::Serialize)]
pub struct About {
    pub version: &'static str,
    pub started_at: Timestamp,
    pub listen: String,
    pub admin: String,
    pub data: String,
    pub sandbox: bool,
}

/// Requests are small: a key's overlay at most.
const BODY_LIMIT: usize = 64 * 1024;

fn routes() -> Router<Arc<ControlState>> {
    Router::new()
        .route("/v1/keys", get(keys::list).post(keys::mint))
        .route("/v1/keys/{id}", get(keys::show))
        .route("/v1/keys/{id}/revoke", post(switch::revoke))
        .route("/v1/keys/{id}/restore", post(switch::restore))
        .route("/v1/kill", post(switch::kill))
        .route("/v1/unkill", post(switch::unkill))
        .route("/v1/flags", get(switch::flags))
        .route("/v1/audit/events", get(stream::events))
        .route("/v1/audit/calls", get(books::calls))
        .route("/v1/audit/calls/{id}/proof", get(evidence::proof))
        .route("/v1/audit/check", get(evidence::check))
        .route("/v1/audit/export", get(evidence::export))
        .route("/v1/audit/key", get(evidence::keys))
        .route("/v1/audit/key/rotate", post(evidence::rotate))
        .route("/v1/audit/prune", post(evidence::prune))
        .route("/v1/spend", get(books::spend))
        .route("/v1/audit/bodies/read", post(bodies::read_one))
        .route("/v1/people/find", post(people::find))
        .route("/v1/people/erase", post(people::erase))
        .route("/v1/approvals", get(approvals::list))
        .route("/v1/approvals/{id}", get(approvals::show))
        .route("/v1/approvals/{id}/approve", post(approvals::approve))
        .route("/v1/approvals/{id}/reject", post(approvals::reject))
        .route("/v1/runs", get(ledger::runs))
        .route("/v1/run", get(ledger::run))
        .route("/v1/adjust", post(ledger::adjust))
        .route("/v1/report", get(ledger::report))
        .route("/v1/ledger/check", get(ledger::check))
        .route("/v1/policies", get(policies::list))
        .route("/v1/policies/reload", post(policies::reload))
        .route("/v1/vendors", get(status::vendors))
        .route("/v1/status", get(status::status))
        .route("/metrics", get(metrics::metrics))
        .fallback(problem::no_such_page)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
}
