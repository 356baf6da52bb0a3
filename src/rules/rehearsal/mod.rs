//! A call played without anybody being called: the same judge, the same bounds and the same ledger as a real one, on values
//! alone. `bursar policy explain`, `test` and `replay` stand on it. Looks nothing up at a vendor, and knows no kill flags.
//!
//! `request` is what was asked, by whom; `play` takes it through the steps in their order, `ledgered` through the last ones;
//! `played` is what came of it.

mod ledgered;
mod play;
mod played;
mod request;

pub use played::{Played, Wanted};
pub use request::{Actor, Past, Request, Unplayable};

use std::sync::Arc;

use crate::rules::books::{Closing, CostSource, Outcome};
use crate::rules::ledger::ask::{End, Reservation, Reserve, Settle};
use crate::rules::ledger::book::Book;
use crate::rules::policy::PolicySet;
use crate::rules::price::PriceBook;
use crate::rules::vendors::Vendor;
use crate::units::amount::Amounts;
use crate::units::ids::CallId;
use crate::units::time::Timestamp;

/// Policies, vendors and prices, and a ledger of its own that begins empty.
pub struct Rehearsal {
    pub policies: Arc<PolicySet>,
    pub vendors: Vec<Arc<Vendor>>,
    pub prices: Arc<PriceBook>,
    book: Book,
    calls: u128,
}

impl Rehearsal {
    pub fn new(policies: Arc<PolicySet>, vendors: Vec<Arc<Vendor>>, prices: Arc<PriceBook>) -> Self {
        Self { policies, vendors, prices, book: Book::default(), calls: 0 }
    }

    /// Forgets what was spent.
    pub fn clear(&mut self) {
        self.book = Book::default();
    }

    fn next_call(&mut self) -> CallId {
        self.calls += 1;
        CallId(uuid::Uuid::from_u128(self.calls))
    }

    /// A new hold cannot be one that has ended: each has a number of its own.
    fn reserve(&mut self, at: Timestamp, ask: Reserve) -> Option<Reservation> {
        let (answer, op) = self.book.reserve(at, ask).ok()?;
        self.write(at, [op, None]);
        Some(answer)
    }

    /// What a played call really cost, where that is known.
    pub fn settle(&mut self, at: Timestamp, played: &Played, charge: Amounts) {
        let Some(hold) = played.hold else { return };
        let settle = Settle { hold, end: End::Commit { charge, exact: true }, closing: closing(hold) };
        if let Ok((_, ops)) = self.book.settle(at, settle) {
            self.write(at, ops);
        }
    }

    fn write(&mut self, at: Timestamp, ops: crate::rules::ledger::book::Ops) {
        let entries: Vec<_> = self.book.entries(at, ops).collect();
        entries.iter().for_each(|entry| self.book.apply(entry));
    }
}

fn closing(call: CallId) -> Closing {
    Closing {
        call,
        outcome: Outcome::Ok,
        charge: Amounts::ZERO,
        cost_source: CostSource::Usage,
        tokens: None,
        http_status: None,
        vendor_request_id: None,
        latency_ms: 0,
        overhead_us: 0,
        error: None,
        flagged: false,
        priced: None,
        made: None,
    }
}
