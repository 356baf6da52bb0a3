//! Calls as a ledger is asked for them: the least that a reserve and an end need. A test gives what it is about on top.
#![allow(dead_code, reason = "each test crate uses its own part of this")]

use bursar::rules::books::{Closing, CostSource, Opening, Outcome, Verdict};
use bursar::rules::ledger::account::{Scope, Shape};
use bursar::rules::ledger::ask::{End, Limit, Line, Manner, Reserve, Settle};
use bursar::rules::ledger::need::Need;
use bursar::units::amount::{Amounts, Unit};
use bursar::units::ids::CallId;
use bursar::units::money::MicroCents;
use bursar::units::time::Window;
use uuid::Uuid;

/// What names a call: its id, or a number that stands for one.
pub trait Names {
    fn call(self) -> CallId;
}

impl Names for CallId {
    fn call(self) -> CallId {
        self
    }
}

impl Names for u32 {
    fn call(self) -> CallId {
        id(self)
    }
}

pub fn id(n: u32) -> CallId {
    CallId(Uuid::from_u128(u128::from(n)))
}

/// The account of an agent.
pub fn line(agent: &str, unit: Unit, window: Window, limit: Option<u64>) -> Line {
    let account = Shape { scope: Scope::Agent, unit, window, vendor: None, operations: vec![] }.account(agent);
    let rule = format!("{account} {limit:?}").into();
    Line { account, unit, window, limit: limit.map(|amount| Limit { amount, rule, enforce: true, hidden: false }) }
}

pub fn opening(call: impl Names) -> Opening {
    Opening {
        call: call.call(),
        facts: None,
        policy_hash: None,
        method: "POST".into(),
        path: "/v1/x".into(),
        endpoint: None,
        action: None,
        tier: None,
        verdict: Verdict::Allow,
        enforced: true,
        reason: None,
        estimate: Amounts::ZERO,
        request_hash: None,
        trace_id: None,
        claimed: false,
        approved_by: None,
        repeats: None,
        http_status: None,
    }
}

pub fn closing(call: impl Names) -> Closing {
    Closing {
        call: call.call(),
        outcome: Outcome::Ok,
        charge: Amounts::ZERO,
        cost_source: CostSource::Usage,
        tokens: None,
        http_status: Some(200),
        vendor_request_id: None,
        latency_ms: 1,
        overhead_us: 1,
        error: None,
        flagged: false,
        priced: None,
        made: None,
    }
}

/// One call that needs so much money on these accounts.
pub fn ask(call: impl Names, lines: &[Line], usd: u64) -> Reserve {
    let hold = call.call();
    Reserve {
        hold,
        lines: lines.into(),
        need: Need::fixed(MicroCents(usd).into(), 0),
        rates: [].into(),
        flags: [].into(),
        replay: None,
        manner: Manner::default(),
        opening: opening(hold),
    }
}

/// One call that cost so much.
pub fn charge(usd: u64) -> Amounts {
    Amounts { usd: MicroCents(usd), tokens: 0, calls: 1, risk: 0 }
}

pub fn settle(call: impl Names, end: End) -> Settle {
    let hold = call.call();
    Settle { hold, end, closing: closing(hold) }
}

pub fn commit(call: impl Names, usd: u64, exact: bool) -> Settle {
    settle(call, End::Commit { charge: charge(usd), exact })
}

pub fn release(call: impl Names) -> Settle {
    settle(call, End::Release)
}
