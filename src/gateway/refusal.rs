//! The row of a call that was refused: what was known of it when it was. Strangers' refusals are bounded, so that a scanner
//! cannot fill the disk. Decides nothing; `problem` has the words.

use std::sync::{Arc, LazyLock};

use http::{HeaderValue, Method, Request, Uri, header};
use hyper::body::Incoming;

use super::Gateway;
use super::context::Context;
use super::identify::Caller;
use super::problem::Problem;
use super::route::{self, Place};
use super::watch::{self, Sighting};
use crate::adapters::audit::denials::{DenialBudget, Row};
use crate::adapters::keyring::KeyRecord;
use crate::rules::books::{Opening, Tier, Verdict, said};
use crate::rules::subject::{Facts, Name, Subject};
use crate::rules::vendors::{Envelope, Routed};
use crate::units::amount::Amounts;
use crate::units::ids::{CallId, Digest32};
use crate::units::vault_key::PREFIX;

/// Longest excerpt of a target that could not be read as a path.
const EXCERPT: usize = 200;

/// What is known of a call so far. What a refusal alone needs is put into words when there is one.
pub struct About {
    method: Name,
    /// The address as it came, and its host.
    target: Uri,
    host: Option<HeaderValue>,
    /// Whose call it is; without one it is a stranger's.
    key: Option<Arc<KeyRecord>>,
    /// The subject where headers add to the key's; and does its run count on no account?
    named: Option<(Subject, bool)>,
    policy_hash: Option<Digest32>,
    routed: Option<Known>,
    pub tier: Option<Tier>,
    pub estimate: Amounts,
    pub request_hash: Option<Digest32>,
    claimed: bool,
    /// What was looked up at the vendor to bound it, and by which calls.
    looked_up: Vec<String>,
    /// What watches it.
    pub sighting: Option<Arc<Sighting>>,
    /// The alias by which it named its model, and the model that is sent.
    pub renamed: Option<(Box<str>, Box<str>)>,
    /// What a person said of it, for its row alone.
    pub decision: Option<String>,
    /// Its `admitted` row is written; `settle` writes the other half.
    pub admitted: bool,
}

/// What is known once the vendor and the operation are.
struct Known {
    envelope: Envelope,
    path: Name,
    endpoint: Option<Name>,
    action: Option<Name>,
    facts: Arc<Facts>,
}

/// The methods of nearly all calls, each kept once.
static METHODS: LazyLock<[Name; 5]> = LazyLock::new(|| ["GET", "POST", "PUT", "PATCH", "DELETE"].map(Name::from));

/// Of a method of the caller's own making, the beginning.
fn method_name(method: &Method) -> Name {
    let name = method.as_str();
    let known = METHODS.iter().find(|known| ***known == *name).cloned();
    known.unwrap_or_else(|| name.get(..20).unwrap_or(name).into())
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
    pub fn new(request: &Request<Incoming>) -> Self {
        Self {
            method: method_name(request.method()),
            target: request.uri().clone(),
            host: request.headers().get(header::HOST).cloned(),
            key: None,
            named: None,
            policy_hash: None,
            routed: None,
            tier: None,
            estimate: Amounts::ZERO,
            request_hash: None,
            claimed: false,
            looked_up: Vec::new(),
            sighting: None,
            renamed: None,
            decision: None,
            admitted: false,
        }
    }

    /// The key is somebody's.
    pub fn key(&mut self, key: &Arc<KeyRecord>) {
        self.key = Some(key.clone());
    }

    pub fn caller(&mut self, caller: &Caller) {
        self.policy_hash = Some(caller.policy.hash);
        self.claimed = caller.run_claimed;
        self.named = (caller.subject != caller.key.subject).then(|| (caller.subject.clone(), caller.claimed_run()));
    }

    pub fn routed(&mut self, place: &Place, routed: &Routed<'_>, facts: &Arc<Facts>) {
        self.tier = routed.operation.map(|o| o.tier);
        self.routed = Some(Known {
            envelope: place.vendor.envelope,
            path: routed.path.as_str().into(),
            endpoint: routed.operation.map(|o| o.name.clone()),
            action: routed.operation.map(|o| o.action.clone()),
            facts: facts.clone(),
        });
    }

    /// The vendor's, or of the one that the address most likely means.
    pub fn envelope(&self, gateway: &Gateway) -> Option<Envelope> {
        let likely = || {
            let host = route::authority(&self.target, self.host.as_ref());
            gateway.vendors.envelope(route::name_of(&host), self.target.path())
        };
        self.routed.as_ref().map_or_else(likely, |known| Some(known.envelope))
    }

    pub fn facts(&self) -> Option<Arc<Facts>> {
        let known = self.routed.as_ref().map(|known| known.facts.clone());
        known.or_else(|| self.key.as_deref().map(|key| Arc::new(self.of_key(key))))
    }

    /// No vendor yet.
    fn of_key(&self, key: &KeyRecord) -> Facts {
        let (subject, claimed_run) = self.named.clone().unwrap_or_else(|| (key.subject.clone(), false));
        Facts {
            subject,
            keys: key.chain().cloned().collect(),
            policy: key.policy.clone(),
            vendor: Name::from(""),
            operation: Name::from(""),
            claimed_run,
        }
    }

    pub fn looked_up(&mut self, call: CallId, question: &str) {
        self.looked_up.push(format!("{question} (call {call})"));
    }

    /// The note of an admitted call, if nothing more important is to be said.
    pub fn note(&self) -> Option<String> {
        let looked_up = (!self.looked_up.is_empty()).then(|| format!("look_up: {}", self.looked_up.join(", ")));
        let renamed = self.renamed.as_ref().map(|(alias, model)| format!("model: {alias} -> {model}"));
        let notes: Vec<String> = renamed.into_iter().chain(looked_up).collect();
        (!notes.is_empty()).then(|| notes.join("; "))
    }

    /// The opening half of the row, of an admitted or a refused call.
    pub fn opening(&self, context: &Context, verdict: Verdict, enforced: bool, reason: Option<String>) -> Opening {
        let known = self.routed.as_ref();
        Opening {
            call: context.call,
            facts: self.facts(),
            policy_hash: self.policy_hash,
            method: self.method.clone(),
            path: known.map_or_else(|| excerpt(self.target.path()).into(), |known| known.path.clone()),
            endpoint: known.and_then(|known| known.endpoint.clone()),
            action: known.and_then(|known| known.action.clone()),
            tier: self.tier,
            verdict,
            enforced,
            reason: reason.map(said),
            estimate: self.estimate,
            request_hash: self.request_hash,
            trace_id: context.trace_id.clone(),
            claimed: self.claimed,
            approved_by: None,
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
    if let Some(said) = &about.decision {
        reason.push_str(&format!(" ({said})"));
    }
    if about.key.is_none() {
        match gateway.strangers.ask(context.at) {
            Row::Fold => return,
            Row::Write { folded } => reason.push_str(&DenialBudget::suffix(folded)),
        }
    }
    let mut row = about.opening(context, problem.verdict(), true, Some(reason));
    row.http_status = Some(problem.status());
    warn_if_lost(context.call, gateway.ledger.deny(row).await);
    watch::refused(gateway, context.call, about, problem).await;
}

fn warn_if_lost<T>(call: CallId, written: Result<T, crate::adapters::ledger::LedgerError>) {
    if let Err(error) = written {
        tracing::warn!(%call, %error, "a refusal could not be written");
    }
}
