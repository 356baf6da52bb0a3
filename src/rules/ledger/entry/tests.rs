//! Lines are what serde writes, whatever an entry has or lacks.

use std::sync::Arc;

use super::*;
use crate::rules::books::{Basis, CostSource, Made, Outcome, Run, Tier, TokenCounts, Verdict};
use crate::rules::ledger::rates::Moved;
use crate::rules::subject::{Facts, Name, Subject};
use crate::units::ids::{Digest32, KeyId};
use crate::units::money::MicroCents;
use uuid::Uuid;

/// Texts that are written as they stand, and texts that are not.
const TEXTS: [&str; 5] = ["plain", "", "q\"uote \\", "line\n\u{1}\u{7f}", "größe ✓"];

fn amounts() -> Amounts {
    Amounts { usd: MicroCents(31_320), tokens: u64::MAX, calls: 1, risk: 0 }
}

fn subject(text: &str, full: bool) -> Subject {
    let name = || full.then(|| Name::from(text));
    let dimensions = if full { [(Name::from(text), Name::from("v"))].into() } else { [].into() };
    let (workspace, app, workflow, agent, toolset, run) = (name(), name(), name(), name(), name(), name());
    Subject { tenant: text.into(), workspace, app, workflow, agent, toolset, run, dimensions }
}

fn opening(text: &str, full: bool) -> Opening {
    let facts = Facts {
        subject: subject(text, full),
        keys: if full { vec![KeyId(text.into()), KeyId("b".into())] } else { vec![] },
        policy: text.into(),
        vendor: "v".into(),
        operation: text.into(),
        claimed_run: full,
    };
    Opening {
        call: CallId(Uuid::from_u128(7)),
        facts: Some(Arc::new(facts)),
        policy_hash: full.then_some(Digest32([0xab; 32])),
        method: "POST".into(),
        path: text.into(),
        endpoint: full.then(|| text.into()),
        action: full.then(|| text.into()),
        tier: full.then_some(Tier::WriteExternal),
        verdict: Verdict::AllowWithCaps,
        enforced: !full,
        reason: full.then(|| text.into()),
        estimate: amounts(),
        request_hash: full.then_some(Digest32([1; 32])),
        trace_id: full.then(|| text.into()),
        claimed: full,
        approved_by: full.then(|| text.into()),
        repeats: full.then_some(CallId(Uuid::from_u128(u128::MAX))),
        http_status: full.then_some(418),
    }
}

fn closing(text: &str, full: bool) -> Closing {
    let run = Run {
        vendor: text.into(),
        row: full.then(|| text.into()),
        schedule: full.then_some(3),
        model: text.into(),
        tier: full.then(|| text.into()),
        factors: if full { vec![text.into()] } else { vec![] },
        used: if full { [(text.into(), 1), ("z".into(), 2)].into() } else { [].into() },
        fees: if full { [(text.into(), 1)].into() } else { [].into() },
    };
    let priced = Basis { book: Digest32([9; 32]), at: Timestamp(-1), runs: vec![run.clone(), run] };
    Closing {
        call: CallId(Uuid::from_u128(8)),
        outcome: Outcome::VendorError,
        charge: amounts(),
        cost_source: CostSource::Zero,
        tokens: full.then_some(TokenCounts { input: 1, output: 2, cached: 3, reasoning: u64::MAX }),
        http_status: full.then_some(200),
        vendor_request_id: full.then(|| text.into()),
        latency_ms: 5,
        overhead_us: 6,
        error: full.then(|| text.into()),
        flagged: full,
        priced: full.then(|| priced.into()),
        made: full.then(|| Made::named(text).into()),
    }
}

fn entries(text: &str, full: bool) -> [Op; 3] {
    let posting = |unit, window| Posting { account: AccountName(text.into()), unit, window, start: Timestamp(-5) };
    let moved = Moved(AccountName(text.into()), Timestamp(5));
    let reserve = Op::Reserve {
        amounts: amounts(),
        postings: if full {
            [posting(Unit::Usd, Window::Day), posting(Unit::Risk, Window::Total)].into()
        } else {
            [].into()
        },
        lease_until: Timestamp(1_700_000_000_000_010),
        fitted: full.then_some(9),
        replay: full.then_some(ReplayKey(Digest32([2; 32]))),
        moved: if full { [moved].into() } else { [].into() },
        row: Box::new(opening(text, full)),
    };
    let hold = CallId(Uuid::from_u128(3));
    let passed = full.then_some(CallId(Uuid::from_u128(4)));
    let row = || Box::new(closing(text, full));
    let commit = Op::Commit { hold, charge: amounts(), exact: full, passed, row: row() };
    [reserve, commit, Op::Release { hold, kept: None, passed, row: row() }]
}

#[test]
fn a_line_is_what_serde_writes_and_reads() {
    let mut memo = Memo::default();
    for (text, full) in TEXTS.into_iter().flat_map(|text| [(text, false), (text, true)]) {
        // Twice, so that what was kept of the first is written as well.
        for op in entries(text, full).into_iter().flat_map(|op| [op.clone(), op]) {
            let entry = Entry { seq: 12, at: Timestamp(1_763_777_543_120_000), op };
            let mut line = b"before".to_vec();
            entry.write_line(&mut line, &mut memo).expect("plain data");
            let line = std::str::from_utf8(&line).expect("text").strip_prefix("before").expect("what was there");
            assert_eq!(line, serde_json::to_string(&entry).expect("plain data"));
            assert_eq!(serde_json::from_str::<Entry>(line).expect("an entry"), entry);
        }
    }
}
