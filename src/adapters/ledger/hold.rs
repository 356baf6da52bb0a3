//! Holds as values that carry the proof: `Reserved` is made by a reserve alone, which takes a `Permit`; only a `Reserved` can be
//! dispatched; what is `InFlight` cannot be released. Dropped without an end, each queues the end that is safe. A shared task
//! renews the leases of all that live. Decides nothing: the ledger does.

#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dashmap::DashMap;
use futures_util::StreamExt;

use super::{Answer, Ledger, LedgerError};
use crate::rules::books::{Closing, CostSource, Outcome};
use crate::rules::ledger::ask::{End, Held, Left, Line, RENEW_SECS, Reservation, Reserve, Settle, Settled, Short};
use crate::rules::ledger::rates::Limited;
use crate::rules::policy::Permit;
use crate::rules::subject::Flag;
use crate::units::amount::Amounts;
use crate::units::ids::CallId;
use crate::units::table::Hashing;

/// Leases that are renewed side by side.
const RENEWED_AT_ONCE: usize = 64;

/// The answer to a reserve, as a value to go on with.
pub enum Answered {
    Held(Reserved),
    Short(Box<Short>),
    Killed(Flag),
    Limited(Limited),
}

/// All holds of this process that have not ended.
pub struct Holds {
    ledger: Arc<dyn Ledger>,
    live: DashMap<CallId, Instant, Hashing>,
}

impl Holds {
    /// Starts to renew, until the value is gone.
    pub fn new(ledger: Arc<dyn Ledger>) -> Arc<Self> {
        let holds = Arc::new(Self { ledger, live: DashMap::default() });
        tokio::spawn(renew(Arc::downgrade(&holds)));
        holds
    }

    pub fn ledger(&self) -> &Arc<dyn Ledger> {
        &self.ledger
    }

    /// How many are open.
    pub fn open(&self) -> usize {
        self.live.len()
    }

    /// Asks once. The permit is the proof that the rules said yes.
    pub fn reserve(
        self: &Arc<Self>,
        _proof: &Permit,
        ask: Reserve,
    ) -> impl Future<Output = Result<Answered, LedgerError>> + Send {
        // The question goes straight into its answer's box: kept here as well, it would make every future above this one larger.
        let hold = ask.hold;
        let answer = self.ledger.reserve(ask);
        async move {
            let mut unanswered = Unanswered { ledger: &*self.ledger, hold: Some(hold) };
            let answer = answer.await;
            // A store that is down may have taken the hold all the same.
            if !matches!(answer, Err(LedgerError::Down(_))) {
                unanswered.hold = None;
            }
            Ok(match answer? {
                Reservation::Held(held) => Answered::Held(Reserved(Core::new(self.clone(), hold, held))),
                Reservation::Short(short) => Answered::Short(Box::new(short)),
                Reservation::Killed(flag) => Answered::Killed(flag),
                Reservation::Limited(limited) => Answered::Limited(limited),
            })
        }
    }
}

/// Whoever asked is gone before the answer: a hold that was taken meanwhile is given back.
struct Unanswered<'a> {
    ledger: &'a dyn Ledger,
    hold: Option<CallId>,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(hold) = self.hold {
            self.ledger.settle_later(given_up(hold));
        }
    }
}

/// What both states know.
struct Core {
    holds: Arc<Holds>,
    hold: CallId,
    held: Held,
    /// The last resize.
    step: u32,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Reserved,
    InFlight,
    /// Its end was given.
    Ended,
}

impl Core {
    /// Boxed: it goes from step to step.
    fn new(holds: Arc<Holds>, hold: CallId, held: Held) -> Box<Self> {
        holds.live.insert(hold, Instant::now());
        Box::new(Self { holds, hold, held, step: 0, state: State::Reserved })
    }

    fn settle(&mut self, end: End, closing: Closing) -> Answer<'_, Settled> {
        self.state = State::Ended;
        self.holds.ledger.settle(Settle { hold: self.hold, end, closing })
    }

    /// The end that is safe for whoever was dropped without one.
    fn lost(&self) -> Option<(End, Closing)> {
        match self.state {
            State::Ended => None,
            State::Reserved => Some((End::Release, unsent(self.hold))),
            State::InFlight => {
                let charge = self.held.amounts;
                let closing = Closing {
                    outcome: Outcome::Unknown,
                    charge,
                    cost_source: CostSource::Estimated,
                    error: Some("the call was lost inside bursar".to_owned()),
                    flagged: true,
                    ..unsent(self.hold)
                };
                Some((End::Commit { charge, exact: false }, closing))
            }
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if let Some((end, closing)) = self.lost() {
            self.holds.ledger.settle_later(Settle { hold: self.hold, end, closing });
        }
        self.holds.live.remove(&self.hold);
    }
}

/// Held on every account, and nothing sent yet.
pub struct Reserved(Box<Core>);

/// Bytes may have left: nothing is handed back unless the usage is exact.
pub struct InFlight(Box<Core>);

impl Reserved {
    /// The output limit that was granted, for a fitted call.
    pub fn fitted(&self) -> Option<u64> {
        self.0.held.fitted
    }

    /// What is left is said under these limits, whatever lower ones it was reserved under.
    pub fn under(&mut self, lines: &[Line]) {
        let Some(left) = &mut self.0.held.tightest else { return };
        let limit = lines.iter().find(|line| line.account == left.account).and_then(|line| line.limit.as_ref());
        left.limit = limit.map_or(left.limit, |limit| limit.amount);
    }

    /// The call that this one repeats, whose money it shares.
    pub fn shares(&self) -> Option<CallId> {
        self.0.held.shares
    }

    /// Whoever ends it need not wait for the ledger's answer.
    pub fn ends_aside(&self) -> bool {
        self.0.holds.ledger.ends_aside()
    }

    pub fn dispatch(mut self) -> InFlight {
        self.0.state = State::InFlight;
        InFlight(self.0)
    }

    /// The call never left.
    pub async fn release(mut self, closing: Closing) -> Result<Settled, LedgerError> {
        self.0.settle(End::Release, closing).await
    }
}

impl InFlight {
    /// As for `Reserved`.
    pub fn ends_aside(&self) -> bool {
        self.0.holds.ledger.ends_aside()
    }

    pub fn amounts(&self) -> &Amounts {
        &self.0.held.amounts
    }

    /// The limited USD account with the least left after this hold.
    pub fn tightest(&self) -> Option<&Left> {
        self.0.held.tightest.as_ref()
    }

    /// The call that this one repeats, whose money it shares.
    pub fn shares(&self) -> Option<CallId> {
        self.0.held.shares
    }

    /// The money of an earlier call under the same replay key is in the books already.
    pub fn paid(&self) -> bool {
        self.0.held.paid
    }

    /// Asks for other amounts, and waits for nobody: the answer goes into `resized`. Growth is checked like a reserve; who asks for
    /// less vouches that it still is a bound.
    pub fn resize(&mut self, to: Amounts) -> impl Future<Output = Result<Reservation, LedgerError>> + Send + 'static {
        let core = &mut self.0;
        core.step += 1;
        let (holds, hold, step) = (core.holds.clone(), core.hold, core.step);
        async move { holds.ledger.resize(hold, step, to).await }
    }

    /// What is held from now on, if the answer says so.
    pub fn resized(&mut self, answer: &Reservation) {
        if let Reservation::Held(held) = answer {
            self.0.held.amounts = held.amounts;
        }
    }

    /// Ends the hold with what was spent. Never refused for lack of money.
    pub async fn commit(mut self, charge: Amounts, exact: bool, closing: Closing) -> Result<Settled, LedgerError> {
        self.0.settle(End::Commit { charge, exact }, closing).await
    }
}

/// The end of a hold whose caller never learned of it.
pub(super) fn given_up(hold: CallId) -> Settle {
    Settle { hold, end: End::Release, closing: unsent(hold) }
}

/// The row of a call that never left.
fn unsent(call: CallId) -> Closing {
    Closing {
        call,
        outcome: Outcome::Refused,
        charge: Amounts::ZERO,
        cost_source: CostSource::Zero,
        tokens: None,
        http_status: None,
        vendor_request_id: None,
        latency_ms: 0,
        overhead_us: 0,
        error: Some("it was given up before it left".to_owned()),
        flagged: false,
        priced: None,
        made: None,
    }
}

/// One task for all leases.
async fn renew(holds: std::sync::Weak<Holds>) {
    let age = Duration::from_secs(RENEW_SECS);
    loop {
        tokio::time::sleep(age / 2).await;
        let Some(holds) = holds.upgrade() else { return };
        let due: Vec<CallId> = holds.live.iter().filter(|h| h.elapsed() >= age / 2).map(|h| *h.key()).collect();
        renew_each(due, |hold| holds.ledger.renew(hold)).await;
    }
}

/// Side by side: one after the other they could take longer than a lease lasts.
async fn renew_each<F>(due: Vec<CallId>, renew: impl Fn(CallId) -> F)
where
    F: Future<Output = Result<(), LedgerError>>,
{
    let each = |hold| {
        let renewed = renew(hold);
        async move {
            if let Err(error) = renewed.await {
                tracing::warn!(call = %hold, %error, "a lease could not be renewed");
            }
        }
    };
    futures_util::stream::iter(due).for_each_concurrent(RENEWED_AT_ONCE, each).await;
}
