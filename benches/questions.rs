//! How long questions to the books take on many rows. Fills SQLite through the store's own writer, then asks each question
//! some times and prints the first and the middle time. `QUESTIONS_ROWS` says how many calls (200,000 if unsaid; the figures
//! in README are of 10,000,000, about 15 GB), `QUESTIONS_DIR` where; books that are there already are asked as they are.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bursar::adapters::audit::groups::spend_by;
use bursar::adapters::audit::history::History;
use bursar::adapters::audit::sqlite::SqliteBooks;
use bursar::adapters::audit::{AuditStore, CallQuery, Chained, find::find, runs};
use bursar::adapters::ledger::journal::Record;
use bursar::rules::books::{Act, Closing, Control, CostSource, Opening, Outcome, Verdict};
use bursar::rules::ledger::account::{Scope, Shape};
use bursar::rules::ledger::entry::{Entry, Op};
use bursar::rules::subject::{Facts, Flag, Subject};
use bursar::units::amount::{Amounts, Unit};
use bursar::units::ids::{CallId, KeyId};
use bursar::units::money::MicroCents;
use bursar::units::time::{Timestamp, Window};
use uuid::Uuid;

const START: i64 = 1_790_000_000_000_000;
/// Ten million calls are a month.
const STEP: i64 = 260_000;
const AGENTS: u64 = 1000;
const RUN: u64 = 200;
const BATCH: u64 = 2000;
const TIMES: usize = 7;

fn main() {
    let rows = std::env::var("QUESTIONS_ROWS").ok().and_then(|n| n.parse().ok()).unwrap_or(200_000);
    let aside = tempfile::tempdir().expect("a folder");
    let dir = std::env::var_os("QUESTIONS_DIR").map_or_else(|| aside.path().to_owned(), PathBuf::from);
    std::fs::create_dir_all(&dir).expect("a folder");
    let store = SqliteBooks::open(&dir).expect("books");
    if store.place().expect("a place").seq == 0 {
        fill(&store, rows);
    }
    ask(&store, rows);
}

fn fill(store: &SqliteBooks, rows: u64) {
    let (mut place, mut seq, mut writing) = (store.place().expect("a place"), 0, Duration::ZERO);
    for first in (0..rows).step_by(BATCH as usize) {
        let mut entries = Vec::new();
        for n in first..rows.min(first + BATCH) {
            for op in call(n) {
                seq += 1;
                entries.push(Entry { seq, at: at(n), op });
            }
        }
        let (chained, next) = Chained::after(place, Record::encode_all(entries).expect("plain data"));
        let began = Instant::now();
        place = next;
        store.apply(&chained, false).expect("written");
        writing += began.elapsed();
        if first % 1_000_000 == 0 && first > 0 {
            eprintln!("{first} calls, {} us each", writing.as_micros() / u128::from(first));
        }
    }
    store.apply(&[], true).expect("on the disk");
    println!("written: {rows} calls, {} us each", writing.as_micros() / u128::from(rows.max(1)));
}

fn at(n: u64) -> Timestamp {
    Timestamp(START + n as i64 * STEP)
}

/// A mixed number, the same at each run.
fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 20
}

fn id(n: u64) -> CallId {
    CallId(Uuid::from_u128((u128::from(at(n).0 as u64 / 1000) << 80) | u128::from(mix(n)) << 20 | u128::from(n)))
}

fn amounts(usd: u64) -> Amounts {
    Amounts { usd: MicroCents(usd), tokens: usd / 100, calls: 1, risk: 0 }
}

fn call(n: u64) -> Vec<Op> {
    let run = n / (RUN * 50) * 50 + n % 50;
    let agent = mix(run) % AGENTS;
    let (vendor, operation) =
        [("openai", "POST /v1/chat/completions"), ("stripe", "POST /v1/charges")][(mix(n) % 2) as usize];
    let facts = Facts {
        subject: Subject {
            agent: Some(format!("agent-{agent}").into()),
            run: Some(format!("run-{run}").into()),
            ..Subject::default()
        },
        keys: vec![KeyId(format!("key{agent:09}").into())],
        policy: "shop".into(),
        vendor: vendor.into(),
        operation: operation.into(),
        claimed_run: false,
    };
    let dice = mix(n.wrapping_mul(31)) % 10_000;
    let refused = dice < 100;
    let opening = Box::new(Opening {
        call: id(n),
        facts: Some(Arc::new(facts)),
        policy_hash: None,
        method: "POST".into(),
        path: operation[5..].into(),
        endpoint: Some(operation.into()),
        action: None,
        tier: None,
        verdict: if refused { Verdict::Deny } else { Verdict::Allow },
        enforced: true,
        reason: refused.then(|| "budget_spent: 5 USD a day per agent".to_owned()),
        estimate: amounts(90_000),
        request_hash: None,
        trace_id: None,
        claimed: false,
        approved_by: None,
        repeats: None,
        http_status: refused.then_some(403),
    });
    if refused {
        return vec![Op::Deny { row: opening }];
    }
    let open = Op::Reserve {
        amounts: amounts(90_000),
        postings: Arc::new([]),
        lease_until: at(n),
        fitted: None,
        replay: None,
        moved: [].into(),
        row: opening,
    };
    let mut ops = vec![open];
    if n.is_multiple_of(50_000) {
        let act = Act { actor: "socket:ann".to_owned(), reason: None };
        ops.push(Op::Control { control: Control::Stopped { flag: Flag::Everyone, act } });
    }
    ops.push(end(n, dice));
    ops
}

fn end(n: u64, dice: u64) -> Op {
    if dice == 100 {
        return Op::Expire { hold: id(n), charge: amounts(90_000), exact: false };
    }
    let (outcome, flagged) = match dice {
        101..=110 => (Outcome::Unknown, true),
        111..=210 => (Outcome::VendorError, false),
        _ => (Outcome::Ok, false),
    };
    let charge = amounts(1000 + mix(n) % 50_000);
    let row = Box::new(Closing {
        call: id(n),
        outcome,
        charge,
        cost_source: CostSource::Usage,
        tokens: None,
        http_status: Some(if outcome == Outcome::Ok { 200 } else { 502 }),
        vendor_request_id: None,
        latency_ms: 12,
        overhead_us: 340,
        error: None,
        flagged,
        priced: None,
        made: None,
    });
    Op::Commit { hold: id(n), charge, exact: !flagged, passed: None, row }
}

/// Asks some times; prints how much came back, the first time, and the middle one.
fn time(what: &str, question: impl Fn() -> usize) {
    let one = || {
        let began = Instant::now();
        (question(), began.elapsed())
    };
    let (count, first) = one();
    let mut times: Vec<_> = (1..TIMES).map(|_| one().1).collect();
    times.sort();
    println!("{what:<48} {count:>7} {:>10} us {:>10} us", first.as_micros(), times[times.len() / 2].as_micros());
}

fn ask(store: &SqliteBooks, rows: u64) {
    let run = rows / 2 / (RUN * 50) * 50 + 7;
    let number = mix(run) % AGENTS;
    let (agent, run) = (Some(format!("agent-{number}")), Some(format!("run-{run}")));
    let (day, end) = (Some(at(rows / 2)), Some(at(rows / 2 + rows / 30)));
    let q = CallQuery::default;
    println!("{:<48} {:>7} {:>13} {:>13}", "question", "answers", "first", "middle");
    let calls = |what: &str, query: CallQuery| time(what, || find(store, &query).expect("rows").calls.len());
    calls("newest calls", q());
    calls("newest of an agent", CallQuery { agent: agent.clone(), ..q() });
    calls("an agent on a day", CallQuery { agent: agent.clone(), since: day, until: end, ..q() });
    calls("a run", CallQuery { run: run.clone(), ..q() });
    calls("a key", CallQuery { key: Some(format!("key{number:09}")), ..q() });
    calls("one call by its id", CallQuery { call: Some(id(rows / 3)), ..q() });
    calls("a day, from the middle", CallQuery { since: day, until: end, ..q() });
    calls("refused", CallQuery { verdict: Some(Verdict::Deny), ..q() });
    calls("refused, on a day", CallQuery { verdict: Some(Verdict::Deny), since: day, until: end, ..q() });
    calls("refused, of an agent", CallQuery { verdict: Some(Verdict::Deny), agent: agent.clone(), ..q() });
    calls("outcome unknown", CallQuery { outcome: Some(Outcome::Unknown), ..q() });
    calls("outcome expired", CallQuery { outcome: Some(Outcome::Expired), ..q() });
    calls("to look at", CallQuery { flagged: Some(true), ..q() });
    calls("to look at, of an agent", CallQuery { flagged: Some(true), agent: agent.clone(), ..q() });
    calls("of a policy that all have", CallQuery { policy: Some("shop".to_owned()), ..q() });
    calls("to look at, of that policy", CallQuery { flagged: Some(true), policy: Some("shop".to_owned()), ..q() });
    calls("a page far back", CallQuery { before: Some(rows / 2), ..q() });
    time("events from the middle (tail)", || store.events(rows, 500).expect("events").len());
    time("changes by operators", || store.changes(1, 1000).expect("events").len());
    time("the events of a call", || usize::from(History::of(store, id(rows / 3)).expect("events").is_some()));
    time("latest runs", || runs::list(store, &q()).expect("runs").runs.len());
    time("latest runs of an agent", || {
        runs::list(store, &CallQuery { agent: agent.clone(), limit: Some(20), ..q() }).expect("runs").runs.len()
    });
    let run_name = run.clone().unwrap_or_default();
    time("the page of a run", || {
        runs::page(store, "default", &run_name).expect("a page").map_or(0, |p| p.timeline.len())
    });
    let spend = |what: &str, query: CallQuery| time(what, || store.spend(&query).expect("sums").total.calls as usize);
    spend("spend of a run", CallQuery { run, ..q() });
    spend("spend of an agent on a day", CallQuery { agent: agent.clone(), since: day, until: end, ..q() });
    spend("spend of an agent, ever", CallQuery { agent: agent.clone(), ..q() });
    let hour = Some(at(rows / 2 + rows / 720));
    spend("spend of all in an hour", CallQuery { since: day, until: hour, ..q() });
    time("spend of an agent on a day, by hour", || {
        let query = CallQuery { agent: agent.clone(), since: day, until: end, ..q() };
        spend_by(store, &query, &["hour".parse().expect("a dimension")]).expect("sums").lines.len()
    });
    println!("not indexed:");
    spend("spend of all on a day", CallQuery { since: day, until: end, ..q() });
    let where_502 = serde_json::from_value(serde_json::json!("http_status=502")).expect("a condition");
    calls("http_status=502", CallQuery { wheres: where_502, ..q() });
    let shape = Shape { scope: Scope::Agent, unit: Unit::Usd, window: Window::Day, vendor: None, operations: vec![] };
    time("a new budget per agent and day", || store.sums(&shape, at(rows - rows / 30)).expect("sums").accounts.len());
    if std::env::var_os("QUESTIONS_SLOW").is_some() {
        spend("spend of all, ever", q());
    }
}
