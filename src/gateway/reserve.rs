//! The hold of step 3: asks the ledger, waits where only other holds or a rate stand in the way. What comes out
//! is reserved on all accounts, or refused with the account that stood in the way. Sends nothing.

use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;
use sha2::{Digest, Sha256};

use super::admit::Judged;
use super::grip::Grip;
use super::late::Follow;
use super::look_up::Asker;
use super::memory::Memory;
use super::problem::{Problem, stopped};
use super::refusal::About;
use crate::adapters::ledger::LedgerError;
use crate::adapters::ledger::hold::{Answered, Reserved};
use crate::adapters::ledger::waiting::Waited;
use crate::adapters::switchboard::Seat;
use crate::rules::books::{Opening, Verdict};
use crate::rules::ledger::ask::{ReplayKey, Reserve};
use crate::rules::ledger::need::Need;
use crate::rules::ledger::rates;
use crate::rules::policy::{Denial, PerCall, Permit};
use crate::rules::subject::Flag;
use crate::rules::vendors::{Estimate, Plan};
use crate::units::ids::Digest32;

/// What is asked of the ledger.
pub struct Asking<'a> {
    pub permit: &'a Permit,
    pub estimate: Estimate,
    /// In `observe` mode: why the call has no bound.
    pub unpriced: Option<Denial>,
    pub body: Option<&'a Bytes>,
    /// The end of all waiting, over all attempts of this call.
    pub deadline: Instant,
    /// Its place among the calls in flight.
    pub seat: Seat,
}

/// A call that holds its worst case.
pub struct HeldCall {
    pub plan: Plan,
    pub hold: Reserved,
    pub seat: Seat,
    /// The output limit that was granted, for a fitted call.
    pub granted: Option<u64>,
    /// The same, where it is lower than what was wanted.
    pub caps: Option<u64>,
    /// Asks for a price that comes later.
    pub follow: Option<Box<Follow>>,
    /// Of a stream, whose hold changes while it runs.
    pub grip: Option<Box<Grip>>,
    /// Keeps what its answer leaves behind.
    pub memory: Option<Memory>,
}

/// How an attempt ended, if not refused.
pub enum Attempt {
    Held(Box<HeldCall>),
    /// The policies changed while it waited: it is to be decided anew.
    Again,
}

pub async fn reserve(judged: &Judged<'_>, asking: Asking<'_>, about: &mut About) -> Result<Attempt, Problem> {
    let Asking { permit, estimate, unpriced, body, deadline, seat } = asking;
    let PerCall { need, would_deny } = permit.fit_call(&estimate.need).map_err(Problem::Denied)?;
    let need = Need { risk: permit.risk(), ..need };
    about.estimate = need.least();
    let gateway = judged.gateway;
    let ask = Reserve {
        hold: judged.context.call,
        lines: permit.lines().clone(),
        need: need.clone(),
        rates: rates::of_request(permit.rates(), || which(judged, body)),
        flags: Flag::over(&judged.facts).into(),
        replay: replay_key(judged, permit, &estimate.plan, body),
        manner: permit.manner(),
        opening: opening(judged, permit, permit.would_deny().or(unpriced.as_ref()).or(would_deny.as_ref()), about),
    };
    let interrupted = async {
        tokio::select! {
            () = gateway.policies.replaced(&judged.policies) => None,
            () = seat.stopped() => seat.stopped_by().cloned(),
        }
    };
    let answered = match gateway.waiting.reserve(permit, ask, deadline, interrupted).await.map_err(down)? {
        Waited::Answered(answered) => answered,
        Waited::Interrupted(None) => return Ok(Attempt::Again),
        Waited::Interrupted(Some(cause)) => return Err(stopped(&cause)),
    };
    match answered {
        Answered::Held(hold) => {
            let granted = hold.fitted();
            let want = need.fit.as_ref().map(|f| f.want);
            let caps = granted.filter(|n| Some(*n) < want);
            let later = !estimate.plan.late_waits().is_empty();
            let follow = later.then(|| Asker::new(judged, permit, about));
            let follow = follow.map(|asker| Box::new(Follow { asker, plan: estimate.plan.clone() }));
            let streams = estimate.plan.streams() && hold.shares().is_none();
            let grip = streams.then(|| Box::new(Grip::new(permit.clone(), &estimate.plan)));
            let memory = estimate.plan.is_remembered().then(|| judged.memory(permit));
            let plan = estimate.plan;
            Ok(Attempt::Held(Box::new(HeldCall { plan, hold, seat, granted, caps, follow, grip, memory })))
        }
        Answered::Short(short) => Err(Problem::Budget(short)),
        Answered::Limited(limited) => Err(Problem::Rate(limited)),
        Answered::Killed(Flag::Key { .. }) => Err(Problem::Revoked),
        Answered::Killed(wider) => Err(Problem::Stopped(wider)),
    }
}

fn down(error: LedgerError) -> Problem {
    tracing::error!(%error, "no call can be admitted");
    Problem::StoreDown
}

/// In `observe` mode the verdict is what enforcement would have said.
fn opening(judged: &Judged<'_>, permit: &Permit, would_deny: Option<&Denial>, about: &About) -> Opening {
    let (verdict, reason) = match would_deny {
        Some(denial) => (Verdict::Deny, Some(denial.to_string())),
        None => (Verdict::Allow, about.note()),
    };
    // Under a policy that enforces, a single rule may only observe.
    let enforced = permit.enforced() && would_deny.is_none();
    let mut opening = about.opening(judged.context, verdict, enforced, reason);
    opening.facts = Some(judged.facts.clone());
    opening.policy_hash = Some(permit.policy_hash());
    opening.tier = Some(permit.tier());
    opening.action = permit.action().cloned().or(opening.action);
    opening
}

/// What a loop is known by, on every node of a fleet.
fn which(judged: &Judged<'_>, body: Option<&Bytes>) -> String {
    let (vendor, method) = (&judged.place.vendor.name, judged.parts.method.as_str());
    let query = judged.place.query.as_deref().unwrap_or_default();
    rates::which(&[vendor, method, judged.routed.path.as_str(), query], body.map_or(&[], |body| body))
}

/// The same for every repeat of one request under one idempotency key, and for nothing else; or for every call that buys the
/// same thing. Without a body that was read there is none: two different uploads may bear one key.
fn replay_key(judged: &Judged<'_>, permit: &Permit, plan: &Plan, body: Option<&Bytes>) -> Option<ReplayKey> {
    let (key, body): (&str, &[u8]) = match plan.dedupe() {
        Some(bought) => (bought, b""),
        None if judged.parts.method != http::Method::POST => return None,
        None => (plan.idempotency_key()?, body?),
    };
    let vendor = &judged.place.vendor;
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(vendor.name.as_bytes());
    part(permit.credential().map_or(&b""[..], |c| c.as_bytes()));
    account(&judged.parts.headers, &vendor.account_headers).for_each(&mut part);
    part(judged.parts.method.as_str().as_bytes());
    part(judged.routed.path.as_str().as_bytes());
    if plan.dedupe().is_none() {
        part(judged.place.query.as_deref().unwrap_or_default().as_bytes());
        part(judged.content_type.as_deref().unwrap_or_default().as_bytes());
    }
    part(key.as_bytes());
    part(body);
    Some(ReplayKey(Digest32(hash.finalize().into())))
}

fn account<'h>(headers: &'h HeaderMap, names: &'h [Box<str>]) -> impl Iterator<Item = &'h [u8]> {
    names.iter().flat_map(|n| headers.get_all(&**n)).map(http::HeaderValue::as_bytes)
}
