//! What the ledger costs a call: reserve and commit on six accounts, in the book alone and on a journal.

use std::hint::black_box;
use std::sync::Arc;

use bursar::adapters::audit::sqlite::SqliteBooks;
use bursar::adapters::ledger::Ledger;
use bursar::adapters::ledger::embedded::Embedded;
use bursar::adapters::ledger::journal::{Durability, Record};
use bursar::rules::books::{Closing, CostSource, Opening, Outcome, Tier, TokenCounts, Verdict};
use bursar::rules::ledger::account::{Scope, Shape};
use bursar::rules::ledger::ask::{End, Limit, Line, Reserve, Settle};
use bursar::rules::ledger::book::Book;
use bursar::rules::ledger::need::{Fit, Need, Share};
use bursar::rules::subject::{Facts, Flag, Subject};
use bursar::units::amount::{Amounts, Unit};
use bursar::units::ids::{CallId, Digest32, KeyId};
use bursar::units::money::{MAX_AMOUNT, MicroCents, PicoUsd};
use bursar::units::time::{Timestamp, Window};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

fn facts() -> Facts {
    Facts {
        subject: Subject { agent: Some("refunds".into()), run: Some("run-4711".into()), ..Subject::default() },
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
        call,
        facts: Some(facts.into()),
        policy_hash: Some(Digest32([7; 32])),
        method: "POST".into(),
        path: "/v1/chat/completions".into(),
        endpoint: Some("POST /v1/chat/completions".into()),
        action: Some("generate".into()),
        tier: Some(Tier::ReadOnly),
        verdict: Verdict::Allow,
        enforced: true,
        reason: None,
        estimate: Amounts::ZERO,
        request_hash: Some(Digest32([9; 32])),
        trace_id: None,
        claimed: false,
        repeats: None,
        http_status: None,
    }
}

fn closing(call: CallId) -> Closing {
    Closing {
        call,
        outcome: Outcome::Ok,
        charge: Amounts::ZERO,
        cost_source: CostSource::Usage,
        tokens: Some(TokenCounts { input: 200, output: 100, cached: 0, reasoning: 0 }),
        http_status: Some(200),
        vendor_request_id: Some("req_0123456789abcdef".to_owned()),
        latency_ms: 900,
        overhead_us: 80,
        error: None,
        flagged: false,
    }
}

/// One call after the other, each with its own id.
struct Calls {
    next: u128,
    facts: Facts,
    lines: Arc<[Line]>,
    flags: Vec<Flag>,
}

impl Calls {
    fn new() -> Self {
        let facts = facts();
        Self { next: 1, lines: lines(&facts), flags: Flag::over(&facts), facts }
    }

    fn next(&mut self) -> (Reserve, Settle) {
        self.next += 1;
        let hold = CallId(uuid::Uuid::from_u128(self.next));
        let fit = Fit { usd_per_token: PicoUsd(600_000), tokens_per_token: 1, floor: 16, want: 1000, share: Share(25) };
        let need = Need { usd: PicoUsd(30_000_000), tokens: 200, calls: 1, risk: 0, fit: Some(fit) };
        let (lines, flags, opening) = (self.lines.clone(), self.flags.clone(), opening(hold, self.facts.clone()));
        let charge = Amounts { usd: MicroCents(9_000), tokens: 300, calls: 1, risk: 0 };
        let end = End::Commit { charge, exact: true };
        (
            Reserve { hold, lines, need, flags: flags.into(), replay: None, opening },
            Settle { hold, end, closing: closing(hold) },
        )
    }
}

fn book(c: &mut Criterion) {
    let (mut book, mut calls) = (Book::default(), Calls::new());
    let mut now = Timestamp::now();
    let write =
        |book: &mut Book, now, ops| book.entries(now, ops).collect::<Vec<_>>().iter().for_each(|e| book.apply(e));
    c.bench_function("ledger/book: reserve and commit", |b| {
        b.iter_batched(
            || calls.next(),
            |(ask, settle)| {
                now = now.plus_millis(1);
                let (answer, op) = book.reserve(now, ask).expect("a new hold");
                write(&mut book, now, [op, None]);
                let (settled, ops) = book.settle(now, settle).expect("an open hold");
                write(&mut book, now, ops);
                (answer, settled)
            },
            BatchSize::SmallInput,
        );
    });
}

fn encode(c: &mut Criterion) {
    let (book, mut calls) = (Book::default(), Calls::new());
    let (_, op) = book.reserve(Timestamp::now(), calls.next().0).expect("a new hold");
    let entry = book.entries(Timestamp::now(), [op, None]).next().expect("one entry");
    let bytes = Record::encode(entry.clone()).expect("plain data").json().len();
    c.bench_function(&format!("ledger/encode a reserve ({bytes} bytes)"), |b| {
        b.iter_batched(|| entry.clone(), |e| Record::encode(black_box(e)), BatchSize::SmallInput);
    });
}

fn embedded(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for (name, durability) in [("process", Durability::Process), ("power", Durability::Power)] {
        let dir = tempfile::TempDir::new().expect("a folder");
        let books = Arc::new(SqliteBooks::open(dir.path()).expect("books"));
        let ledger = Embedded::open(dir.path(), durability, books).expect("a ledger");
        let mut calls = Calls::new();
        c.bench_function(&format!("ledger/embedded, {name}: reserve and commit"), |b| {
            b.iter_batched(
                || calls.next(),
                |(ask, settle)| {
                    runtime.block_on(async {
                        ledger.reserve(ask).await.expect("an answer");
                        ledger.settle(settle).await.expect("an answer")
                    })
                },
                BatchSize::SmallInput,
            );
        });
    }
}

criterion_group!(ledger, book, encode, embedded);
criterion_main!(ledger);
