//! Step 7: counters and the log line of an ended call. The books are written before; losing anything here loses no money.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::rules::books::{Closing, Outcome};
use crate::rules::subject::Facts;

/// What the gateway has counted since it started.
#[derive(Default)]
pub struct Meters {
    settled: AtomicU64,
    refused: AtomicU64,
    aborted: AtomicU64,
    estimated: AtomicU64,
    micro_cents: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Counts {
    pub settled: u64,
    pub refused: u64,
    pub aborted: u64,
    /// Settled at the bound, because the vendor did not say what it cost.
    pub estimated: u64,
    pub cost_usd: crate::units::money::MicroCents,
}

impl Meters {
    pub fn settled(&self, facts: &Facts, closing: &Closing) {
        self.settled.fetch_add(1, Ordering::Relaxed);
        self.micro_cents.fetch_add(closing.charge.usd.0, Ordering::Relaxed);
        if closing.outcome == Outcome::Aborted {
            self.aborted.fetch_add(1, Ordering::Relaxed);
        }
        if closing.flagged {
            self.estimated.fetch_add(1, Ordering::Relaxed);
        }
        tracing::debug!(
            call = %closing.call, vendor = %facts.vendor, operation = %facts.operation, policy = %facts.policy,
            outcome = %closing.outcome, cost_usd = %closing.charge.usd, "settled"
        );
    }

    pub fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub fn counts(&self) -> Counts {
        let get = |n: &AtomicU64| n.load(Ordering::Relaxed);
        Counts {
            settled: get(&self.settled),
            refused: get(&self.refused),
            aborted: get(&self.aborted),
            estimated: get(&self.estimated),
            cost_usd: crate::units::money::MicroCents(get(&self.micro_cents)),
        }
    }
}
