//! Calls for benchmarks: each with its own id, six accounts, and the rows that a call to OpenAI has.

#[path = "../../tests/common/calls.rs"]
mod least;

use std::sync::Arc;

use bursar::rules::books::{Closing, Opening, Tier, TokenCounts};
use bursar::rules::ledger::account::{Scope, Shape};
use bursar::rules::ledger::ask::{End, Limit, Line, Reserve, Settle};
use bursar::rules::ledger::need::{Fit, Need, Share};
use bursar::rules::subject::{Facts, Flag, Subject};
use bursar::units::amount::{Amounts, Unit};
use bursar::units::ids::{CallId, Digest32, KeyId};
use bursar::units::money::{MAX_AMOUNT, MicroCents, PicoUsd};
use bursar::units::time::Window;

/// Fifty agents, and a run for each two hundred calls.
fn facts(n: u128) -> Facts {
    Facts {
        subject: Subject {
            agent: Some(format!("agent-{}", n % 50).into()),
            run: Some(format!("run-{}", n / 200).into()),
            ..Subject::default()
        },
        keys: vec![KeyId("0123456789ab".into())],
        policy: "refund-agent".into(),
        vendor: "openai".into(),
        operation: "POST /v1/chat/completions".into(),
        claimed_run: false,
    }
}

/// Two accounts without a limit, four with one.
fn lines(facts: &Facts) -> Arc<[Line]> {
    let shapes = [
        (Scope::Key, Unit::Usd, Window::Day, true),
        (Scope::Agent, Unit::Usd, Window::Day, true),
        (Scope::Agent, Unit::Tokens, Window::Minute, true),
        (Scope::Run, Unit::Calls, Window::Total, false),
        (Scope::Tenant, Unit::Usd, Window::Month, true),
        (Scope::Everyone, Unit::Usd, Window::Day, false),
    ];
    let line = |(scope, unit, window, limited): (_, _, _, bool)| {
        let account = Shape { scope, unit, window, vendor: None, operations: vec![] }.accounts(facts).remove(0);
        let rule = "refund-agent: a limit".into();
        let limit = limited.then_some(Limit { amount: MAX_AMOUNT, rule, enforce: true, hidden: false });
        Line { account, unit, window, limit }
    };
    shapes.map(line).into()
}

fn opening(call: CallId, facts: Facts) -> Opening {
    Opening {
        facts: Some(facts.into()),
        policy_hash: Some(Digest32([7; 32])),
        path: "/v1/chat/completions".into(),
        endpoint: Some("POST /v1/chat/completions".into()),
        action: Some("generate".into()),
        tier: Some(Tier::ReadOnly),
        request_hash: Some(Digest32([9; 32])),
        ..least::opening(call)
    }
}

fn closing(call: CallId) -> Closing {
    Closing {
        tokens: Some(TokenCounts { input: 200, output: 100, cached: 0, reasoning: 0 }),
        vendor_request_id: Some("req_0123456789abcdef".to_owned()),
        latency_ms: 900,
        overhead_us: 80,
        ..least::closing(call)
    }
}

/// One call after the other, each with its own id.
pub struct Calls {
    next: u128,
    facts: Facts,
    lines: Arc<[Line]>,
    flags: Vec<Flag>,
}

impl Calls {
    pub fn new() -> Self {
        let facts = facts(0);
        Self { next: 1, lines: lines(&facts), flags: Flag::over(&facts), facts }
    }

    /// A call by the same caller as the one before.
    pub fn next(&mut self) -> (Reserve, Settle) {
        self.next += 1;
        let hold = CallId(uuid::Uuid::from_u128(self.next));
        let fit = Fit { usd_per_token: PicoUsd(600_000), tokens_per_token: 1, floor: 16, want: 1000, share: Share(25) };
        let need = Need { usd: PicoUsd(30_000_000), tokens: 200, calls: 1, risk: 0, fit: Some(fit) };
        let (lines, flags, opening) = (self.lines.clone(), self.flags.clone(), opening(hold, self.facts.clone()));
        let charge = Amounts { usd: MicroCents(9_000), tokens: 300, calls: 1, risk: 0 };
        let end = End::Commit { charge, exact: true };
        (
            Reserve { lines, need, flags: flags.into(), opening, ..least::ask(hold, &[], 0) },
            Settle { hold, end, closing: closing(hold) },
        )
    }

    /// With ids of their own.
    #[allow(dead_code, reason = "one of the benchmarks has one caller")]
    pub fn starting_at(next: u128) -> Self {
        Self { next, ..Self::new() }
    }

    /// A call by the next of many callers.
    #[allow(dead_code, reason = "one of the benchmarks has one caller")]
    pub fn next_caller(&mut self) -> (Reserve, Settle) {
        self.facts = facts(self.next);
        (self.lines, self.flags) = (lines(&self.facts), Flag::over(&self.facts));
        self.next()
    }
}
