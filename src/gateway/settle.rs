//! Step 6: ends the hold with what the call cost, in one step with its row. Runs where the caller cannot cancel it.
//! `record` comes next, and last.

use std::sync::Arc;

use super::Gateway;
use super::capture;
use super::context::Context;
use super::late::{Afterwards, Follow};
use super::memory::Memory;
use super::record::Meters;
use super::watch::{self, Sighting};
use crate::adapters::captures::Taking;
use crate::adapters::ledger::LedgerError;
use crate::adapters::ledger::hold::InFlight;
use crate::adapters::switchboard::Seat;
use crate::rules::books::{Closing, CostSource, Outcome, said};
use crate::rules::subject::Facts;
use crate::rules::vendors::{Charge, Metered, Usage};
use crate::units::amount::Amounts;
use crate::units::money::MicroCents;
use crate::units::time::Timestamp;

/// All that a call in flight owes to the books. Dropped before `finish`, it is charged in full and flagged (`InFlight`).
pub struct Dues {
    pub gateway: Arc<Gateway>,
    pub context: Context,
    pub facts: Arc<Facts>,
    pub hold: InFlight,
    /// Leaves the switchboard when the call has settled.
    pub seat: Seat,
    pub overhead_us: u64,
    pub meters: Arc<Meters>,
    pub taking: Option<Box<Taking>>,
    /// What watches it.
    pub sighting: Option<Arc<Sighting>>,
    /// Asks for a price that comes later.
    pub follow: Option<Box<Follow>>,
    /// Of a call that leaves something at its vendor.
    pub memory: Option<Memory>,
}

/// How a call ended, as far as forwarding and metering saw it.
pub struct Ending {
    pub usage: Metered,
    pub outcome: Outcome,
    pub http_status: Option<u16>,
    pub error: Option<String>,
}

/// What was written, for the headers of a plain answer.
#[derive(Clone, Copy, Debug)]
pub struct Settlement {
    pub cost: MicroCents,
    /// Left on the tightest limited USD account, unless it stands above the tenant.
    pub remaining: Option<MicroCents>,
}

impl Dues {
    /// Commits. Never fails for lack of money; a ledger that is down keeps the row queued, or the lease expires in full. What the
    /// call cost is known before, so nobody waits for a ledger on another machine.
    pub async fn finish(mut self: Box<Self>, mut ending: Ending) -> Settlement {
        if let Some(taking) = self.taking.take() {
            Box::pin(capture::end(taking, &mut ending)).await;
        }
        let (settlement, last) = self.last(ending);
        match last.hold.ends_aside() {
            true => drop(tokio::spawn(last.write(true))),
            false => last.write(false).await,
        }
        settlement
    }

    /// What the call cost, and what is to be written of it.
    fn last(self, mut ending: Ending) -> (Settlement, Last) {
        if let (Some(memory), Some((id, left))) = (&self.memory, &ending.usage.remember) {
            memory.keep(id, left);
        }
        let place = self.memory.as_ref().map(Memory::place);
        if let Some(made) = &mut ending.usage.made {
            made.place = place;
        }
        let held = *self.hold.amounts();
        // The vendor repeated an answer whose money is in the books already.
        let paid = ending.usage.replayed && self.hold.paid();
        let usage = if paid { Usage::ZERO } else { ending.usage.usage };
        let (charge, exact, source) = charge(&usage, &held);
        let closing = self.closing(&ending, charge, exact, source);
        // The money of a repeat stands with the call that it repeats.
        let cost = if self.hold.shares().is_some() { MicroCents::ZERO } else { charge.usd };
        let settlement = Settlement { cost, remaining: self.remaining(&held, cost) };
        self.meters.settled(&self.facts, &closing);
        let first = self.hold.shares().is_none();
        let (usage, follow) = (&mut ending.usage, self.follow);
        let follow = follow.zip(usage.late.take()).filter(|_| first);
        let afterwards = Afterwards { follow, made: closing.made.clone(), due: usage.due.take(), place };
        let seen = self.sighting.map(|sighting| (sighting, (ending.outcome, ending.http_status, cost)));
        let Self { gateway, facts, hold, seat, context, .. } = self;
        let last = Last { gateway, facts, hold, seat, at: context.at, closing, charge, exact, afterwards, seen };
        (settlement, last)
    }

    fn closing(&self, ending: &Ending, charge: Amounts, exact: bool, source: CostSource) -> Closing {
        Closing {
            call: self.context.call,
            outcome: ending.outcome,
            charge,
            cost_source: source,
            tokens: ending.usage.usage.charge().tokens,
            http_status: ending.http_status,
            vendor_request_id: ending.usage.vendor_request_id.clone(),
            latency_ms: self.context.latency_ms(),
            overhead_us: self.overhead_us,
            error: ending.error.clone().map(said),
            flagged: !exact,
            // The money of a repeat stands with the call that it repeats.
            priced: ending.usage.priced.clone().filter(|_| self.hold.shares().is_none()),
            made: ending.usage.made.clone().filter(|_| self.hold.shares().is_none()),
        }
    }

    fn remaining(&self, held: &Amounts, cost: MicroCents) -> Option<MicroCents> {
        let left = self.hold.tightest().filter(|l| !l.hidden)?;
        let others = left.held.saturating_sub(held.usd.0);
        Some(MicroCents(left.limit.saturating_sub(left.spent).saturating_sub(others).saturating_sub(cost.0)))
    }
}

/// How a call ended, with its vendor's status, and what it cost.
type Ended = (Outcome, Option<u16>, MicroCents);

/// The end of a call on its way into the books.
struct Last {
    gateway: Arc<Gateway>,
    facts: Arc<Facts>,
    hold: InFlight,
    seat: Seat,
    at: Timestamp,
    closing: Closing,
    charge: Amounts,
    exact: bool,
    afterwards: Afterwards,
    /// What watches it is told how it ended.
    seen: Option<(Arc<Sighting>, Ended)>,
}

impl Last {
    /// `aside`: nobody waits for it, so that a ledger that is down hears it later.
    async fn write(self, aside: bool) {
        let Self { gateway, facts, hold, seat, at, closing, charge, exact, afterwards, seen } = self;
        let call = closing.call;
        match hold.commit(charge, exact, closing).await {
            Ok(_) => afterwards.begin(&gateway, &facts.vendor, call, at, charge),
            // It is told until the ledger hears it.
            Err(error @ LedgerError::Down(_)) if aside => {
                tracing::warn!(%call, %error, "the end of a call waits for the ledger");
                afterwards.begin(&gateway, &facts.vendor, call, at, charge);
            }
            Err(error) => {
                tracing::error!(%call, %error, "a call could not be settled; its lease will charge it in full");
            }
        }
        drop(seat);
        if let Some((sighting, how)) = seen {
            watch::ended(&gateway, &sighting, how).await;
        }
    }
}

/// Dispatch alone spends `calls` and risk. Money and tokens: what is exact, else the bound, else the larger of both.
fn charge(usage: &Usage, held: &Amounts) -> (Amounts, bool, CostSource) {
    let of = |c: &Charge| Amounts { usd: c.usd, tokens: c.tokens.map_or(0, |t| t.total()), ..*held };
    match usage {
        Usage::Exact(c) => (of(c), true, c.source),
        Usage::AtLeast(c) => (of(c).max(held), false, CostSource::Estimated),
        Usage::Unknown(_) => (*held, false, CostSource::Estimated),
    }
}
