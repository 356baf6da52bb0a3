//! The hold of step 3: asks the ledger, waits where only other holds or a rate stand in the way. What comes out
//! is reserved on all accounts, or refused with the account that stood in the way. Sends nothing.

use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;
use sha2::{Digest, Sha256};

use super::admit::Judged;
use super::approval::{Asker as PersonAsker, Awaited, Word, Yes};
use super::grip::Grip;
use super::late::Follow;
use super::look_up::Asker;
use super::memory::Memory;
use super::problem::{Problem, stopped};
use super::refusal::About;
use crate::adapters::approvals::Claimed;
use crate::adapters::ledger::LedgerError;
use crate::adapters::ledger::hold::{Answered, Reserved};
use crate::adapters::ledger::waiting::Waited;
use crate::adapters::switchboard::{Cause, Seat};
use crate::rules::books::{Opening, Verdict};
use crate::rules::ledger::ask::{ReplayKey, Reserve};
use crate::rules::ledger::need::Need;
use crate::rules::ledger::rates;
use crate::rules::policy::{Denial, PerCall, Permit};
use crate::rules::vendors::{Estimate, Plan};
use crate::units::ids::Digest32;

/// What is asked of the ledger.
pub struct Asking<'a> {
    pub permit: &'a Permit,
    pub estimate: Estimate,
    /// In `observe` mode: why the call has no bound.
    pub unpriced: Option<Denial>,
    pub body: Option<&'a Bytes>,
    /// May it wait, for holds or for a person?
    pub patient: bool,
    /// Its place among the calls in flight.
    pub seat: Seat,
}

/// The end of all waiting, over all attempts of a call.
#[derive(Default)]
pub struct Ends {
    /// For holds, or for the turn of a rate.
    pub holds: Option<Instant>,
    /// For a person's word.
    pub person: Option<Instant>,
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
    /// It was judged as a call in the vendor's test mode.
    pub test_mode: bool,
    /// The person's yes that it leaves with.
    pub yes: Option<Yes>,
}

/// How an attempt ended, if not refused.
pub enum Attempt {
    Held(Box<HeldCall>),
    /// The policies changed while it waited: it is to be decided anew.
    Again,
}

pub async fn reserve(
    judged: &Judged<'_>,
    asking: Asking<'_>,
    ends: &mut Ends,
    about: &mut About,
) -> Result<Attempt, Problem> {
    let PerCall { need, would_deny } = asking.permit.fit_call(&asking.estimate.need).map_err(Problem::Denied)?;
    let need = Need { risk: asking.permit.risk(), ..need };
    about.estimate = need.least();
    let Asking { permit, body, ref unpriced, .. } = asking;
    let asker = PersonAsker { judged, permit, need: &need, unbounded: unpriced.is_some(), body };
    let mut past = None;
    loop {
        let word = match asker.word(past.as_ref()).await? {
            Ok(word) => word,
            Err(because) if !asking.patient => return Err(Problem::Approval(Box::new(Awaited::unasked(because)))),
            Err(because) => return Box::pin(asker.ask(because, &asking.seat, ends, about)).await,
        };
        let would = permit.would_deny().or(unpriced.as_ref()).or(would_deny.as_ref());
        let answered = answered(judged, &asking, (&word, would, &*about), ends).await;
        let answered = match answered {
            Ok(Waited::Answered(Answered::Held(hold))) => {
                return Ok(held(judged, asking, (hold, word.claimed), &need, about));
            }
            Ok(Waited::Answered(answered)) => Ok(answered),
            Ok(Waited::Interrupted(why)) => Err(why.map_or(Ok(Attempt::Again), |cause| Err(stopped(&cause)))),
            Err(problem) => Err(Err(problem)),
        };
        let below = word.below;
        if word.claimed.is_some() {
            Box::pin(word.give_back()).await;
        }
        match answered {
            Err(ended) => return ended,
            Ok(Answered::Short(short)) if below => match permit.past_fraction(*short) {
                Ok(rule) => past = Some(rule),
                Err(short) => return Err(Problem::Budget(Box::new(short))),
            },
            Ok(answered) => return Err(refusal(judged, answered)),
        }
    }
}

fn ask(judged: &Judged<'_>, asking: &Asking<'_>, word: &Word, opening: Opening) -> Reserve {
    let Asking { permit, estimate, body, .. } = asking;
    Reserve {
        hold: judged.context.call,
        lines: word.lines.clone(),
        need: word.need.clone(),
        rates: rates::of_request(permit.rates(), || which(judged, *body)),
        flags: judged.ground.flags.clone(),
        replay: replay_key(judged, permit, &estimate.plan, *body),
        manner: permit.manner(),
        opening,
    }
}

type Interrupted = Option<Cause>;

async fn answered(
    judged: &Judged<'_>,
    asking: &Asking<'_>,
    (word, would, about): (&Word, Option<&Denial>, &About),
    ends: &mut Ends,
) -> Result<Waited<Interrupted>, Problem> {
    let Asking { permit, seat, .. } = asking;
    let (gateway, now) = (judged.gateway, Instant::now());
    let end = *ends.holds.get_or_insert_with(|| now + permit.wait_for_holds());
    // A call that a better count may let through does not wait for others to end.
    let deadline = if asking.patient { end } else { now };
    let interrupted = || async {
        tokio::select! {
            () = gateway.policies.replaced(&judged.policies) => None,
            () = seat.stopped() => seat.stopped_by().cloned(),
        }
    };
    let ask = || ask(judged, asking, word, opening(judged, permit, would, word, about));
    gateway.waiting.reserve(permit, ask, deadline, interrupted).await.map_err(down)
}

fn refusal(judged: &Judged<'_>, answered: Answered) -> Problem {
    match answered {
        Answered::Short(short) => Problem::Budget(short),
        Answered::Limited(limited) => Problem::Rate(limited),
        Answered::Killed(flag) => {
            let record = judged.gateway.keyring.flag(&flag);
            Problem::off(flag, record.as_ref())
        }
        // It is no refusal, and the caller has taken it out before.
        Answered::Held(_) => Problem::StoreDown,
    }
}

fn held(
    judged: &Judged<'_>,
    asking: Asking<'_>,
    (mut hold, yes): (Reserved, Option<Yes>),
    need: &Need,
    about: &About,
) -> Attempt {
    let Asking { permit, estimate, seat, .. } = asking;
    hold.under(permit.lines());
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
    let test_mode = permit.test_mode();
    Attempt::Held(Box::new(HeldCall { plan, hold, seat, granted, caps, follow, grip, memory, test_mode, yes }))
}

fn down(error: LedgerError) -> Problem {
    tracing::error!(%error, "no call can be admitted");
    Problem::StoreDown
}

/// In `observe` mode the verdict is what enforcement would have said.
fn opening(judged: &Judged<'_>, permit: &Permit, would_deny: Option<&Denial>, word: &Word, about: &About) -> Opening {
    let (verdict, reason) = match (would_deny, &word.noted, &word.claimed) {
        (Some(denial), ..) => (Verdict::Deny, Some(denial.to_string())),
        (None, Some(rule), _) => (Verdict::Escalate, Some(format!("approval_required: {rule}"))),
        (None, None, Some(yes)) => (Verdict::Allow, Some(approved(&yes.claimed, about))),
        (None, None, None) => (Verdict::Allow, about.note()),
    };
    // Under a policy that enforces, a single rule may only observe.
    let enforced = permit.enforced() && would_deny.is_none();
    let mut opening = about.opening(judged.context, verdict, enforced, reason);
    opening.facts = Some(judged.facts.clone());
    opening.policy_hash = Some(permit.policy_hash());
    opening.tier = Some(permit.tier());
    opening.action = permit.action().cloned().or(opening.action);
    opening.approved_by = word.claimed.as_ref().map(|yes| yes.claimed.by.as_str().into());
    opening
}

/// What a loop is known by, on every node of a fleet.
pub fn which(judged: &Judged<'_>, body: Option<&Bytes>) -> String {
    let (vendor, method) = (&judged.place.vendor.name, judged.parts.method.as_str());
    let query = judged.place.query.as_deref().unwrap_or_default();
    rates::which(&[vendor, method, judged.routed.path.as_str(), query], body.map_or(&[], |body| body))
}

/// Why, as whoever approved it said.
fn approved(yes: &Claimed, about: &About) -> String {
    let why = yes.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
    let note = about.note().map(|note| format!("; {note}")).unwrap_or_default();
    format!("approved: {}{why}{note}", yes.id)
}

/// The same for every repeat of one request under one idempotency key, and for nothing else; or for every call that buys the
/// same thing. Without a body that was read there is none: two different uploads may bear one key.
fn replay_key(judged: &Judged<'_>, permit: &Permit, plan: &Plan, body: Option<&Bytes>) -> Option<ReplayKey> {
    let (key, body): (&str, &[u8]) = match plan.dedupe() {
        Some(bought) => (bought, b""),
        None if judged.parts.method != http::Method::POST => return None,
        None => (plan.idempotency_key()?, body?),
    };
    let exact = plan.dedupe().is_none();
    Some(ReplayKey(identity(judged, permit.credential().map(|c| &**c), exact, [key.as_bytes(), body])))
}

/// A hash over what makes a request the same: where it goes, with which account, and what it says. `exact`: its query and
/// content type, too.
pub fn identity(judged: &Judged<'_>, credential: Option<&str>, exact: bool, said: [&[u8]; 2]) -> Digest32 {
    let vendor = &judged.place.vendor;
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(vendor.name.as_bytes());
    part(credential.map_or(&b""[..], str::as_bytes));
    account(&judged.parts.headers, &vendor.account_headers).for_each(&mut part);
    part(judged.parts.method.as_str().as_bytes());
    part(judged.routed.path.as_str().as_bytes());
    if exact {
        part(judged.place.query.as_deref().unwrap_or_default().as_bytes());
        part(judged.content_type.as_deref().unwrap_or_default().as_bytes());
    }
    said.into_iter().for_each(part);
    Digest32(hash.finalize().into())
}

fn account<'h>(headers: &'h HeaderMap, names: &'h [Box<str>]) -> impl Iterator<Item = &'h [u8]> {
    names.iter().flat_map(|n| headers.get_all(&**n)).map(http::HeaderValue::as_bytes)
}
