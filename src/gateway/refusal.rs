//! The row of a call that was refused: what was known of it when it was. Strangers' refusals are bounded, so that a scanner
//! cannot fill the disk. Decides nothing; `problem` has the words.

use std::sync::Arc;

use http::Request;
use hyper::body::Incoming;

use super::Gateway;
use super::context::Context;
use super::identify::Caller;
use super::problem::Problem;
use super::route::{self, Place};
use crate::adapters::audit::denials::{DenialBudget, Row};
use crate::adapters::keyring::KeyRecord;
use crate::rules::books::{Opening, Tier, Verdict};
use crate::rules::subject::{Facts, Name};
use crate::rules::vendors::{Envelope, Routed};
use crate::units::amount::Amounts;
use crate::units::ids::{CallId, Digest32};
use crate::units::vault_key::PREFIX;

/// Longest excerpt of a target that could not be read as a path.
const EXCERPT: usize = 200;

/// What is known of a call so far.
pub struct About {
    pub envelope: Option<Envelope>,
    pub facts: Option<Arc<Facts>>,
    policy_hash: Option<Digest32>,
    method: Name,
    path: Name,
    endpoint: Option<Name>,
    action: Option<Name>,
    pub tier: Option<Tier>,
    pub estimate: Amounts,
    pub request_hash: Option<Digest32>,
    claimed: bool,
    /// What was looked up at the vendor to bound it, and by which calls.
    looked_up: Vec<String>,
    /// Its `admitted` row is written; `settle` writes the other half.
    pub admitted: bool,
}

/// Of a method of the caller's own making, the beginning.
fn method_name(method: &http::Method) -> Name {
    method.as_str().get(..20).unwrap_or(method.as_str()).into()
}

/// Printable, bounded, and without anything that looks like a vault key.
fn excerpt(path: &str) -> String {
    let plain: String = path.chars().filter(|c| !c.is_control()).take(EXCERPT).collect();
    match plain.split_once(PREFIX) {
        Some((before, _)) => format!("{before}{PREFIX}…"),
        None => plain,
    }
}

impl About {
    pub fn new(gateway: &Gateway, request: &Request<Incoming>) -> Self {
        let host = route::authority(request.uri(), request.headers());
        let path = request.uri().path();
        Self {
            envelope: gateway.vendors.envelope(route::name_of(&host), path),
            facts: None,
            policy_hash: None,
            method: method_name(request.method()),
            path: excerpt(path).into(),
            endpoint: None,
            action: None,
            tier: None,
            estimate: Amounts::ZERO,
            request_hash: None,
            claimed: false,
            looked_up: Vec::new(),
            admitted: false,
        }
    }

    /// The key is somebody's.
    pub fn key(&mut self, key: &KeyRecord) {
        self.facts = Some(Arc::new(Facts {
            subject: key.subject.clone(),
            keys: key.chain().cloned().collect(),
            policy: key.policy.clone(),
            vendor: Name::from(""),
            operation: Name::from(""),
            claimed_run: false,
        }));
    }

    pub fn caller(&mut self, caller: &Caller) {
        self.policy_hash = Some(caller.policy.hash);
        self.claimed = caller.run_claimed;
        if let Some(facts) = &mut self.facts {
            let facts = Arc::make_mut(facts);
            (facts.subject, facts.claimed_run) = (caller.subject.clone(), caller.claimed_run());
        }
    }

    pub fn routed(&mut self, place: &Place, routed: &Routed<'_>, facts: &Arc<Facts>) {
        self.envelope = Some(place.vendor.envelope);
        self.path = routed.path.as_str().into();
        self.endpoint = routed.operation.map(|o| o.name.clone());
        self.action = routed.operation.map(|o| o.action.clone());
        self.tier = routed.operation.map(|o| o.tier);
        self.facts = Some(facts.clone());
    }

    pub fn looked_up(&mut self, call: CallId, question: &str) {
        self.looked_up.push(format!("{question} (call {call})"));
    }

    /// The note of an admitted call, if nothing more important is to be said.
    pub fn note(&self) -> Option<String> {
        (!self.looked_up.is_empty()).then(|| format!("look_up: {}", self.looked_up.join(", ")))
    }

    /// The opening half of the row, of an admitted or a refused call.
    pub fn opening(&self, context: &Context, verdict: Verdict, enforced: bool, reason: Option<String>) -> Opening {
        Opening {
            call: context.call,
            facts: self.facts.clone(),
            policy_hash: self.policy_hash,
            method: self.method.clone(),
            path: self.path.clone(),
            endpoint: self.endpoint.clone(),
            action: self.action.clone(),
            tier: self.tier,
            verdict,
            enforced,
            reason,
            estimate: self.estimate,
            request_hash: self.request_hash,
            trace_id: context.trace_id.clone(),
            claimed: self.claimed,
            repeats: None,
            http_status: None,
        }
    }
}

/// Writes the row of a refusal. That it cannot be written changes nothing for the caller: nothing was sent.
pub async fn record(gateway: &Gateway, context: &Context, about: &About, problem: &Problem) {
    if about.admitted {
        return;
    }
    gateway.meters.refused();
    let mut reason = format!("{}: {}", problem.code(), problem.sentence());
    if about.facts.is_none() {
        match gateway.strangers.ask(context.at) {
            Row::Fold => return,
            Row::Write { folded } => reason.push_str(&DenialBudget::suffix(folded)),
        }
    }
    let mut row = about.opening(context, problem.verdict(), true, Some(reason));
    row.http_status = Some(problem.status());
    warn_if_lost(context.call, gateway.ledger.deny(row).await);
}

fn warn_if_lost<T>(call: CallId, written: Result<T, crate::adapters::ledger::LedgerError>) {
    if let Err(error) = written {
        tracing::warn!(%call, %error, "a refusal could not be written");
    }
}
