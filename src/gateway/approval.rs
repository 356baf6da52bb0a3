//! Between the rules and the hold of step 3: a call that a policy asks a person about has a yes that it claims, or asks for one
//! and waits, or is refused with the request's id. Holds no money while it waits, and is decided anew after that. `awaited` has
//! what the caller is told. Whose word counts, `control` knows.

mod awaited;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::admit::Judged;
use super::problem::{Problem, stopped};
use super::refusal::About;
use super::reserve::{Attempt, Ends, identity};
use crate::adapters::approvals::{self, ApprovalError, Approvals, Asked, Claimed, Extent, Record, State, Wanted};
use crate::adapters::ledger::Ledger;
use crate::adapters::switchboard::Seat;
use crate::rules::books::{Act, Control, Request, said};
use crate::rules::ledger::ask::{Cause, Line};
use crate::rules::ledger::need::Need;
use crate::rules::policy::Permit;
use crate::rules::subject::Name;
use crate::units::ids::{ApprovalId, CallId, Digest32};
use crate::units::time::Timestamp;

pub use awaited::Awaited;

/// What the rules and persons let a call reserve.
pub struct Word {
    pub need: Need,
    pub lines: Arc<[Line]>,
    /// The yes that it has taken for itself.
    pub claimed: Option<Yes>,
    /// May the ledger still answer that a fraction of a budget asks?
    pub below: bool,
    /// In `observe` mode: the rule that would have asked.
    pub noted: Option<Name>,
}

/// A yes that a call has taken: given back, unless the call leaves with it.
pub struct Yes {
    pub claimed: Claimed,
    approvals: Arc<Approvals>,
    call: CallId,
    spent: bool,
}

impl Yes {
    /// The call leaves.
    pub fn spend(mut self) {
        self.spent = true;
    }

    async fn give_back(mut self) {
        self.spent = true;
        given_back(self.approvals.clone(), self.claimed.id.clone(), self.call).await;
    }
}

impl Drop for Yes {
    fn drop(&mut self) {
        if self.spent {
            return;
        }
        // Without a runtime bursar ends, and the yes with it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(given_back(self.approvals.clone(), self.claimed.id.clone(), self.call));
        }
    }
}

async fn given_back(approvals: Arc<Approvals>, id: ApprovalId, call: CallId) {
    if let Err(error) = approvals.give_back(id, call).await {
        tracing::warn!(%error, "an approval was claimed by a call that did not leave, and is lost");
    }
}

/// A call at the point where a person may be asked.
pub struct Asker<'a> {
    pub judged: &'a Judged<'a>,
    pub permit: &'a Permit,
    pub need: &'a Need,
    /// Nobody can say what it costs.
    pub unbounded: bool,
    pub body: Option<&'a Bytes>,
}

impl Asker<'_> {
    /// Goes on, or the rules that ask for a yes that there is not. `past`: what the ledger has answered before.
    pub async fn word(&self, past: Option<&Name>) -> Result<Result<Word, Vec<Name>>, Problem> {
        let Self { permit, need, .. } = *self;
        let full =
            |claimed| Word { need: need.clone(), lines: permit.lines().clone(), claimed, below: false, noted: None };
        if !permit.may_ask() {
            return Ok(Ok(full(None)));
        }
        let mut asked = permit.asked(need, self.unbounded, self.is_new().await?);
        asked.because.extend(past.cloned());
        if !asked.because.is_empty() {
            return Ok(self.claim().await?.map(|claimed| full(Some(claimed))).ok_or(asked.because));
        }
        let noted = match asked.noted.into_iter().next() {
            None if permit.observes_fraction() => self.observed().await?,
            noted => noted,
        };
        let below = permit.unasked_lines();
        Ok(Ok(Word {
            need: asked.need,
            below: below.is_some(),
            lines: below.unwrap_or_else(|| permit.lines().clone()),
            claimed: None,
            noted,
        }))
    }

    /// Only looks: what the caller would be told, if a person's word is needed that is not there.
    pub async fn look(&self) -> Result<Option<Awaited>, Problem> {
        let Self { permit, need, .. } = *self;
        if !permit.may_ask() {
            return Ok(None);
        }
        let mut because = permit.asked(need, self.unbounded, self.is_new().await?).because;
        if because.is_empty()
            && let Some(lines) = permit.unasked_lines()
        {
            let states = self.judged.gateway.ledger.accounts(lines.to_vec()).await.map_err(|_| Problem::StoreDown)?;
            because.extend(permit.past_now(need, &lines, &states));
        }
        if because.is_empty() {
            return Ok(None);
        }
        let now = Timestamp::now();
        let found = self.judged.gateway.approvals.peek(self.fingerprint(), now).await.map_err(down)?;
        Ok(match found {
            Some(record) if record.covers(&self.extent()) => None,
            Some(record) if record.state == State::Approved => Some(Awaited::unasked(because)),
            Some(record) => Some(Awaited::of(&record)),
            None => Some(Awaited::unasked(because)),
        })
    }

    async fn is_new(&self) -> Result<bool, Problem> {
        if !self.permit.asks_first_use() {
            return Ok(false);
        }
        let of = approvals::use_of(&self.request(Vec::new()));
        self.judged.gateway.approvals.has_used(of).await.map(|used| !used).map_err(down)
    }

    async fn claim(&self) -> Result<Option<Yes>, Problem> {
        let (approvals, call) = (self.judged.gateway.approvals.clone(), self.judged.context.call);
        let (fingerprint, extent) = (self.fingerprint(), self.extent());
        // In a task of its own: a caller who leaves meanwhile leaves no yes taken.
        let taken = tokio::spawn(async move {
            let claimed = approvals.claim(fingerprint, extent, call, Timestamp::now()).await?;
            Ok(claimed.map(|claimed| Yes { claimed, approvals, call, spent: false }))
        });
        taken.await.map_err(|_| Problem::StoreDown)?.map_err(down)
    }

    fn extent(&self) -> Extent {
        let (wanted, people) = (self.need.wanted(), self.permit.terms().people);
        Extent { usd: wanted.usd, tokens: wanted.tokens, risk: wanted.risk, people }
    }

    async fn observed(&self) -> Result<Option<Name>, Problem> {
        let states = self.judged.gateway.ledger.accounts(self.permit.lines().to_vec()).await;
        Ok(self.permit.observed_fraction(self.need, &states.map_err(|_| Problem::StoreDown)?))
    }

    /// The same for every repeat of this request by this key, and for nothing else. No idempotency key counts: SDKs make a new
    /// one each time.
    fn fingerprint(&self) -> Digest32 {
        let key = self.judged.caller.key.id.as_str().as_bytes();
        identity(self.judged, None, true, [key, self.body.map_or(&b""[..], |b| b)])
    }

    fn request(&self, because: Vec<Name>) -> Request {
        let (Judged { facts, gateway, context, parts, routed, .. }, extent) = (self.judged, self.extent());
        Request {
            call: context.call,
            key: self.judged.caller.key.id.clone(),
            subject: facts.subject.clone(),
            policy: facts.policy.clone(),
            vendor: facts.vendor.clone(),
            operation: facts.operation.clone(),
            method: parts.method.as_str().into(),
            path: routed.path.as_str().into(),
            request_hash: self.body.filter(|b| !b.is_empty()).map(|b| gateway.hasher.hash(b)),
            query: self.judged.place.query.as_deref().map(|query| said(query).into()),
            accounts: self.judged.account_headers_shown(),
            estimate_usd: extent.usd,
            tokens: extent.tokens,
            risk: extent.risk,
            because,
            people: extent.people,
        }
    }

    /// Asks, and waits as long as the policy says. What comes out is decided anew.
    pub async fn ask(
        &self,
        because: Vec<Name>,
        seat: &Seat,
        ends: &mut Ends,
        about: &mut About,
    ) -> Result<Attempt, Problem> {
        let terms = self.permit.terms();
        self.affordable().await?;
        let wanted = Wanted { fingerprint: self.fingerprint(), request: self.request(because), terms };
        let approvals = &self.judged.gateway.approvals;
        let mut changes = approvals.changes();
        // In a task of its own: a caller who leaves meanwhile leaves no question that nobody hears of.
        let asked = tokio::spawn(asked(approvals.clone(), self.judged.gateway.ledger.clone(), wanted));
        let record = asked.await.map_err(|_| Problem::StoreDown)??;
        let end = *ends.person.get_or_insert_with(|| Instant::now() + terms.wait);
        loop {
            let now = Timestamp::now();
            changes.borrow_and_update();
            let record = match approvals.find(record.id.clone(), now).await {
                // What was asked waits there all the same, and is told of when it can be read again.
                Err(ApprovalError::Store(_)) => record.clone().at(now),
                found => found.map_err(down)?,
            };
            match record.state {
                State::Pending => {}
                State::Rejected | State::TimedOut => return Err(said_no(&record, about)),
                State::Approved | State::Used | State::Lapsed | State::Superseded => {
                    // Waiting for a person is not waiting for holds.
                    ends.holds = None;
                    return Ok(Attempt::Again);
                }
            }
            let left = u64::try_from(record.open_until.0.saturating_sub(now.0)).unwrap_or(0);
            let over = end.min(Instant::now() + std::time::Duration::from_micros(left));
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return Err(Problem::StoreDown) },
                () = tokio::time::sleep_until(over.into()) => match over < end {
                    // The request's own time is over, which the next look tells.
                    true => {}
                    false => return Err(Problem::Approval(Box::new(Awaited::of(&record)))),
                },
                () = self.judged.gateway.policies.replaced(&self.judged.policies) => return Ok(Attempt::Again),
                () = seat.stopped() => return Err(seat.stopped_by().map_or(Problem::Revoked, stopped)),
            }
        }
    }

    /// Nobody is asked about a call that a spent budget refuses.
    async fn affordable(&self) -> Result<(), Problem> {
        let states = self.judged.gateway.ledger.accounts(self.permit.lines().to_vec()).await;
        let states = states.map_err(|_| Problem::StoreDown)?;
        match self.permit.short_of(self.need, &states).filter(|short| short.cause == Cause::Spent) {
            Some(short) => Err(Problem::Budget(Box::new(short))),
            None => Ok(()),
        }
    }
}

/// The request that speaks for the call, with its event in the books.
async fn asked(approvals: Arc<Approvals>, ledger: Arc<dyn Ledger>, wanted: Wanted) -> Result<Record, Problem> {
    let Asked { record, untold, instead_of } = approvals.ask(wanted, Timestamp::now()).await.map_err(refused)?;
    let unwritten = |error| {
        tracing::error!(%error, "a request for approval cannot be written");
        Problem::StoreDown
    };
    let by = |reason: Option<String>| Act { actor: "bursar".to_owned(), reason };
    if let Some(approval) = instead_of {
        let act = by(Some(format!("the same call wants more, which {} asks for", record.id)));
        ledger.control(Control::Rejected { approval, act }).await.map_err(unwritten)?;
    }
    if untold {
        let (approval, request) = (record.id.clone(), Box::new(record.request.clone()));
        ledger.control(Control::Escalated { approval, request, act: by(None) }).await.map_err(unwritten)?;
        approvals.noted(record.id.clone()).await.map_err(down)?;
    }
    Ok(record)
}

impl Word {
    /// The call does not leave after all: another one may.
    pub async fn give_back(self) {
        if let Some(yes) = self.claimed {
            yes.give_back().await;
        }
    }
}

/// A no stands in the row with whose it is.
fn said_no(record: &Record, about: &mut About) -> Problem {
    about.decision = record.rejecter().map(|who| format!("rejected by {who}"));
    Problem::Approval(Box::new(Awaited::of(record)))
}

fn refused(error: ApprovalError) -> Problem {
    match error {
        ApprovalError::TooMany => Problem::Approval(Box::new(Awaited::crowd())),
        error => down(error),
    }
}

fn down(error: ApprovalError) -> Problem {
    tracing::error!(%error, "no call that needs a person's word can be admitted");
    Problem::StoreDown
}
