//! For tests: a book that journals what it does and checks its invariants after every step, and short ways to say things.

use std::sync::Arc;

use uuid::Uuid;

use super::{Book, Fault, Ops, Sums};
use crate::rules::books::{Act, Closing, Control, CostSource, Opening, Outcome, Verdict};
use crate::rules::ledger::account::{AccountName, Scope, Shape};
use crate::rules::ledger::ask::{
    End, Held, Limit, Line, Manner, ReplayKey, Reservation, Reserve, Settle, Settled, Short,
};
use crate::rules::ledger::entry::{Entry, Op};
use crate::rules::ledger::need::{Fit, Need, Share};
use crate::rules::subject::{Facts, Flag, Subject};
use crate::units::amount::{Amounts, Unit};
use crate::units::ids::{CallId, Digest32};
use crate::units::money::{MicroCents, PicoUsd};
use crate::units::time::{Timestamp, Window};

/// 2026-03-10T12:00:00Z
pub const NOON: Timestamp = Timestamp(1_773_144_000_000_000);

pub struct Rig {
    pub book: Book,
    pub journal: Vec<Entry>,
    pub now: Timestamp,
}

impl Rig {
    pub fn new() -> Self {
        Self { book: Book::default(), journal: Vec::new(), now: NOON }
    }

    pub fn write(&mut self, ops: impl Into<Vec<Option<Op>>>) {
        let mut ops = ops.into().into_iter();
        let ops: Ops = [ops.next().flatten(), ops.next().flatten()];
        let entries: Vec<Entry> = self.book.entries(self.now, ops).collect();
        for entry in entries {
            self.book.apply(&entry);
            self.journal.push(entry);
        }
        self.book.check_invariants().expect("every invariant holds");
    }

    pub fn reserve(&mut self, ask: Reserve) -> Reservation {
        self.try_reserve(ask).expect("the hold is new or open")
    }

    pub fn try_reserve(&mut self, ask: Reserve) -> Result<Reservation, Fault> {
        let (hold, lines) = (ask.hold, ask.lines.clone());
        let (answer, op) = self.book.reserve(self.now, ask)?;
        let new = op.is_some();
        self.write([op]);
        if let (true, Reservation::Held(held)) = (new, &answer) {
            self.book.remember(hold, lines, held.would_refuse.clone());
        }
        Ok(answer)
    }

    pub fn held(&mut self, ask: Reserve) -> Held {
        match self.reserve(ask) {
            Reservation::Held(held) => held,
            other => panic!("{other:?}"),
        }
    }

    pub fn short(&mut self, ask: Reserve) -> Short {
        match self.reserve(ask) {
            Reservation::Short(short) => short,
            other => panic!("{other:?}"),
        }
    }

    pub fn settle(&mut self, n: u32, end: End) -> Result<Settled, Fault> {
        let (settled, ops) = self.book.settle(self.now, Settle { hold: id(n), end, closing: closing(n) })?;
        self.write(ops);
        Ok(settled)
    }

    pub fn commit(&mut self, n: u32, usd: u64) -> Settled {
        self.settle(n, End::Commit { charge: amounts(usd, 0, 1, 0), exact: true }).expect("it can be committed")
    }

    pub fn commit_bound(&mut self, n: u32) -> Settled {
        self.settle(n, End::Commit { charge: Amounts::ZERO, exact: false }).expect("it can be committed")
    }

    pub fn release(&mut self, n: u32) -> Settled {
        self.settle(n, End::Release).expect("it can be released")
    }

    pub fn expire_due(&mut self) -> usize {
        let due = self.book.due(self.now);
        for hold in &due {
            let ops: Ops = self.book.expire(self.now, *hold);
            self.write(ops);
        }
        due.len()
    }

    pub fn resize(&mut self, n: u32, step: u32, to: Amounts) -> Result<Reservation, Fault> {
        let (answer, op) = self.book.resize(self.now, id(n), step, to)?;
        self.write([op]);
        Ok(answer)
    }

    pub fn adjust(&mut self, n: u32, step: u32, charge: Amounts, exact: bool) -> Result<(), Fault> {
        let ops = self.book.adjust(self.now, id(n), step, charge, exact, act())?;
        self.write(ops);
        Ok(())
    }

    pub fn stop(&mut self, flag: Flag) {
        self.write([Some(Op::Control { control: Control::Stopped { flag, act: act() } })]);
    }

    pub fn restore(&mut self, flag: Flag) {
        self.write([Some(Op::Control { control: Control::Restored { flag, act: act() } })]);
    }

    pub fn declare(&mut self, shape: Shape, sums: Sums) {
        let op = self.book.declare(self.now, shape, sums);
        assert!(op.is_some(), "the books are recent");
        self.write([op]);
    }

    pub fn pass_secs(&mut self, secs: i64) {
        self.now = self.now.plus_secs(secs);
    }

    /// Spent and held of an account in its running window.
    pub fn at(&self, line: &Line) -> (u64, u64) {
        let state = &self.book.accounts(self.now, std::slice::from_ref(line))[0];
        (state.spent, state.held)
    }

    /// A book made from the entries alone is the same book.
    pub fn check_replay(&self) {
        let mut again = Book::default();
        self.journal.iter().for_each(|e| again.apply(e));
        assert_eq!(again, self.book);
    }
}

impl Book {
    pub fn is_open(&self, hold: CallId) -> bool {
        self.open.contains_key(&hold)
    }

    /// Open, or ended so lately that it can still be asked for.
    pub fn remembers(&self, at: Timestamp, hold: CallId) -> bool {
        self.is_open(hold) || self.past(at, hold).is_some()
    }
}

pub fn id(n: u32) -> CallId {
    CallId(Uuid::from_u128(u128::from(n)))
}

pub fn amounts(usd: u64, tokens: u64, calls: u64, risk: u64) -> Amounts {
    Amounts { usd: MicroCents(usd), tokens, calls, risk }
}

pub fn act() -> Act {
    Act { actor: "test".to_owned(), reason: None }
}

pub fn facts(agent: &str) -> Facts {
    Facts {
        subject: Subject { agent: Some(agent.into()), ..Subject::default() },
        keys: vec![],
        policy: "p".into(),
        vendor: "v".into(),
        operation: "POST /v1/x".into(),
        claimed_run: false,
    }
}

pub fn opening(n: u32) -> Opening {
    Opening {
        call: id(n),
        facts: Some(facts("a").into()),
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

pub fn closing(n: u32) -> Closing {
    Closing {
        call: id(n),
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

pub fn shape(scope: Scope, unit: Unit, window: Window) -> Shape {
    Shape { scope, unit, window, vendor: None, operations: vec![] }
}

/// An account of an agent, as a shape names it.
pub fn line(agent: &str, unit: Unit, window: Window) -> Line {
    let account = shape(Scope::Agent, unit, window).account(&format!("default/{agent}"));
    Line { account, unit, window, limit: None }
}

pub fn usd(agent: &str, limit: u64) -> Line {
    limited(line(agent, Unit::Usd, Window::Day), limit)
}

pub fn limited(line: Line, amount: u64) -> Line {
    let rule = format!("{} {amount}", line.account).into();
    Line { limit: Some(Limit { amount, rule, enforce: true, hidden: false }), ..line }
}

pub fn observed(mut line: Line) -> Line {
    line.limit.as_mut().expect("a limit to observe").enforce = false;
    line
}

/// One call that needs so much money on these accounts.
pub fn ask(n: u32, lines: &[Line], usd: u64) -> Reserve {
    let need = Need::fixed(PicoUsd::from(MicroCents(usd)), 0);
    Reserve {
        hold: id(n),
        lines: Arc::from(lines),
        need,
        rates: [].into(),
        flags: [].into(),
        replay: None,
        manner: Manner::default(),
        opening: opening(n),
    }
}

/// One micro-cent a token: `fixed + n`.
pub fn fitted(n: u32, lines: &[Line], fixed: u64, floor: u64, want: u64) -> Reserve {
    let mut ask = ask(n, lines, fixed);
    ask.need.fit =
        Some(Fit { usd_per_token: MicroCents(1).into(), tokens_per_token: 1, floor, want, share: Share::default() });
    ask
}

pub fn keyed(mut ask: Reserve, key: u8) -> Reserve {
    ask.replay = Some(ReplayKey(Digest32([key; 32])));
    ask
}

pub fn name(line: &Line) -> AccountName {
    line.account.clone()
}
