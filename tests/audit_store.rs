//! The contract of `AuditStore`: what every store of the books must do. The next store is one line in `stores!`. What is
//! particular to one store is tested beside it, or in `audit_postgres.rs`.

mod common;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use bursar::adapters::audit::condition::Conditions;
use bursar::adapters::audit::evidence::index::{self, Compared};
use bursar::adapters::audit::find::find;
use bursar::adapters::audit::groups::{ByLine, spend_by};
use bursar::adapters::audit::history::{History, LOOK, causes};
use bursar::adapters::audit::made;
use bursar::adapters::audit::postgres::PostgresBooks;
use bursar::adapters::audit::sqlite::SqliteBooks;
use bursar::adapters::audit::{AuditStore, CallQuery, Chained, report, runs};
use bursar::adapters::ledger::journal::Record;
use bursar::rules::books::{Act, Closing, Control, CostSource, Kind, Made, Opening, Outcome, TokenCounts, Verdict};
use bursar::rules::chain::Place;
use bursar::rules::evidence::{Checkpoint, PublicKey, Signature, Signed};
use bursar::rules::ledger::account::{Scope, Shape};
use bursar::rules::ledger::ask::{Checked, Difference};
use bursar::rules::ledger::entry::{Entry, Op};
use bursar::rules::subject::{Facts, Flag, Subject};
use bursar::units::amount::{Amounts, Unit};
use bursar::units::ids::{CallId, Digest32, KeyId, Seq};
use bursar::units::money::MicroCents;
use bursar::units::time::{Timestamp, Window};
use common::postgres::Postgres;
use uuid::Uuid;

/// As the journal has them.
fn records(entries: &[Entry]) -> Vec<Chained> {
    Chained::after(Place::START, Record::encode_all(entries.iter().cloned()).expect("plain data")).0
}

/// A store, and what keeps its place alive.
type Opened = (Box<dyn AuditStore>, Box<dyn Any>);

fn sqlite() -> Opened {
    let dir = tempfile::tempdir().expect("a folder");
    (Box::new(SqliteBooks::open(dir.path()).expect("new books")), Box::new(dir))
}

fn postgres() -> Opened {
    let server = Postgres::start();
    (Box::new(PostgresBooks::open(&server.url("postgres"), None).expect("new books")), Box::new(server))
}

macro_rules! stores {
    ($($store:ident),+) => { $(mod $store {
        #[test] fn rows_follow_their_events() { super::rows_follow_their_events(&*super::$store().0); }
        #[test] fn a_replay_changes_nothing() { super::a_replay_changes_nothing(&*super::$store().0); }
        #[test] fn a_tail_sees_every_event_once_and_in_order() { super::a_tail_sees_every_event(&*super::$store().0); }
        #[test] fn filters_and_pages_find_the_same_rows() { super::filters_and_pages(&*super::$store().0); }
        #[test] fn sums_are_what_the_rules_say() { super::sums_are_what_the_rules_say(&*super::$store().0); }
        #[test] fn spend_adds_up() { super::spend_adds_up(&*super::$store().0); }
        #[test] fn sums_by_any_dimension_add_up() { super::sums_by_any_dimension(&*super::$store().0); }
        #[test] fn any_column_can_be_asked_for() { super::any_column_can_be_asked_for(&*super::$store().0); }
        #[test] fn late_changes_reach_the_row() { super::late_changes_reach_the_row(&*super::$store().0); }
        #[test] fn a_character_zero_stops_nothing() { super::a_character_zero_stops_nothing(&*super::$store().0); }
        #[test] fn what_calls_made_is_found() { super::what_calls_made_is_found(&*super::$store().0); }
        #[test] fn changes_are_found_apart_from_calls() { super::changes_are_found(&*super::$store().0); }
        #[test] fn a_call_is_found_with_its_entries() { super::a_call_with_its_entries(&*super::$store().0); }
        #[test] fn runs_are_listed_and_shown() { super::runs_are_listed(&*super::$store().0); }
        #[test] fn a_month_is_reported() { super::a_month_is_reported(&*super::$store().0); }
        #[test] fn a_report_says_what_it_leaves_out() { super::a_report_says_what_it_leaves_out(&*super::$store().0); }
        #[test] fn who_calls_often_or_seldom_is_found() { super::who_calls_often_or_seldom_is_found(&*super::$store().0); }
        #[test] fn a_hole_is_said() { super::a_hole_is_said(&*super::$store().0); }
        #[test] fn events_are_given_as_they_were_chained() { super::events_are_given_as_they_were_chained(&*super::$store().0); }
        #[test] fn checkpoints_are_kept_in_order() { super::checkpoints_are_kept_in_order(&*super::$store().0); }
        #[test] fn rows_of_what_was_given_up_tell_no_lie() { super::rows_of_what_was_given_up_tell_no_lie(&*super::$store().0); }
        #[test] fn what_is_pruned_still_counts() { super::what_is_pruned_still_counts(&*super::$store().0); }
    })+ };
}
stores!(sqlite, postgres);

const START: i64 = 1_790_000_000_000_000;

fn call(n: u128) -> CallId {
    CallId(Uuid::from_u128(n))
}

fn at(seq: Seq) -> Timestamp {
    Timestamp(START + seq as i64 * 1_000_000)
}

fn entry(seq: Seq, op: Op) -> Entry {
    Entry { seq, at: at(seq), op }
}

fn facts(agent: &str, run: &str, vendor: &str) -> Facts {
    let mut subject = Subject { agent: Some(agent.into()), run: Some(run.into()), ..Subject::default() };
    subject.dimensions.insert("ticket".into(), run.into());
    Facts {
        subject,
        keys: vec![KeyId(format!("key-{agent}").into()), KeyId("parent".into())],
        policy: "refunds".into(),
        vendor: vendor.into(),
        operation: "POST /v1/refunds".into(),
        claimed_run: false,
    }
}

fn opening(n: u128, facts: Option<Facts>, verdict: Verdict) -> Box<Opening> {
    Box::new(Opening {
        call: call(n),
        facts: facts.map(Arc::new),
        policy_hash: None,
        method: "POST".into(),
        path: "/v1/refunds".into(),
        endpoint: Some("/v1/refunds".into()),
        action: Some("refund".into()),
        tier: None,
        verdict,
        enforced: true,
        reason: (verdict == Verdict::Deny).then(|| "budget_spent: 5 USD a day".into()),
        estimate: usd(900),
        request_hash: None,
        trace_id: None,
        claimed: false,
        approved_by: None,
        repeats: None,
        http_status: (verdict == Verdict::Deny).then_some(403),
    })
}

fn usd(n: u64) -> Amounts {
    Amounts { usd: MicroCents(n), tokens: n / 10, calls: 1, risk: 20 }
}

fn closing(n: u128, charge: Amounts, outcome: Outcome) -> Box<Closing> {
    Box::new(Closing {
        call: call(n),
        outcome,
        charge,
        cost_source: CostSource::Usage,
        tokens: Some(TokenCounts { input: 7, output: 3, cached: 2, reasoning: 1 }),
        http_status: Some(200),
        vendor_request_id: Some("req_1".into()),
        latency_ms: 12,
        overhead_us: 340,
        error: None,
        flagged: false,
        priced: None,
        made: None,
    })
}

fn reserve(n: u128, facts: Facts) -> Op {
    Op::Reserve {
        amounts: usd(900),
        postings: Arc::new([]),
        lease_until: at(0),
        fitted: None,
        replay: None,
        moved: [].into(),
        row: opening(n, Some(facts), Verdict::Allow),
    }
}

fn commit(n: u128, charge: u64) -> Op {
    let charge = usd(charge);
    Op::Commit { hold: call(n), charge, exact: true, passed: None, row: closing(n, charge, Outcome::Ok) }
}

fn act() -> Act {
    Act { actor: "socket:ann".into(), reason: Some("a test".into()) }
}

/// Two settled calls of two agents, one open, one refused, one stranger, and what is no call.
fn story() -> Vec<Entry> {
    let ops = vec![
        reserve(1, facts("a", "r1", "stripe")),
        Op::Control { control: Control::Stopped { flag: Flag::Everyone, act: act() } },
        reserve(2, facts("b", "r2", "openai")),
        commit(1, 500),
        Op::Resize { hold: call(2), step: 1, amounts: usd(100) },
        commit(2, 70),
        reserve(3, facts("a", "r3", "stripe")),
        Op::Deny { row: opening(4, Some(facts("a", "r1", "stripe")), Verdict::Deny) },
        Op::Deny { row: opening(5, None, Verdict::Deny) },
    ];
    (1..).zip(ops).map(|(seq, op)| entry(seq, op)).collect()
}

fn query() -> CallQuery {
    CallQuery::default()
}

fn rows_follow_their_events(store: &dyn AuditStore) {
    assert_eq!(store.place().expect("a place").seq, 0);
    assert_eq!(store.apply(&records(&story()), false).expect("written"), 9);
    let rows = store.calls(&query()).expect("rows").calls;
    assert_eq!(rows.iter().map(|r| r.seq).collect::<Vec<_>>(), [9, 8, 7, 3, 1]);
    let settled = serde_json::to_value(&rows[4]).expect("json");
    for (field, value) in [
        ("cost_usd", "0.000005"),
        ("estimate_usd", "0.000009"),
        ("outcome", "ok"),
        ("verdict", "allow"),
        ("agent_id", "a"),
        ("run_id", "r1"),
        ("key_id", "key-a"),
        ("policy_id", "refunds"),
        ("vendor_request_id", "req_1"),
        ("timestamp_utc", "2026-09-21T14:13:21Z"),
    ] {
        assert_eq!(settled[field], value, "{field}");
    }
    assert_eq!((settled["tokens_in"].as_u64(), settled["tokens_cached"].as_u64()), (Some(7), Some(2)));
    let names = "seq call_id run_id agent_id subject key_id policy_id policy_hash timestamp_utc vendor endpoint method path \
        action tier verdict enforced reason http_status vendor_request_id estimate_usd cost_usd cost_source tokens_in \
        tokens_out tokens_cached tokens_reasoning outcome approved_by latency_ms overhead_us request_hash trace_id error \
        flagged priced";
    let object = settled.as_object().expect("an object");
    assert!(
        names.split_whitespace().all(|n| object.contains_key(n)) && object.len() == names.split_whitespace().count()
    );
    let open = &rows[2];
    assert_eq!((open.cost_usd, open.outcome), (None, None));
    let refused = &rows[1];
    assert_eq!((refused.outcome, refused.http_status), (Some(Outcome::Refused), Some(403)));
    assert!(rows[0].agent_id.is_none() & rows[0].subject.is_none());
}

fn a_replay_changes_nothing(store: &dyn AuditStore) {
    let story = story();
    store.apply(&records(&story[..4]), false).expect("written");
    store.apply(&records(&story[2..]), true).expect("written again, and on");
    let once = (store.calls(&query()).expect("rows"), store.events(0, 100).expect("events"));
    store.apply(&records(&story), false).expect("all again");
    store.apply(&[], true).expect("nothing, but durable");
    assert_eq!(once, (store.calls(&query()).expect("rows"), store.events(0, 100).expect("events")));
    assert_eq!(store.place().expect("a place").seq, 9);
    assert!(store.gaps().expect("gaps").is_empty());
}

fn a_tail_sees_every_event(store: &dyn AuditStore) {
    store.apply(&records(&story()), false).expect("written");
    let (mut seen, mut from) = (Vec::new(), 1);
    loop {
        let page = store.events(from, 2).expect("events");
        let Some(last) = page.last() else { break };
        from = last.seq + 1;
        seen.extend(page);
    }
    assert_eq!(seen.iter().map(|e| e.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 6, 7, 8, 9], "5 concerns the ledger alone");
    assert_eq!((seen[1].kind, seen[1].call), (Some(Kind::Killed), None));
    assert_eq!(store.entries(1, 100).expect("entries"), story(), "the ledger's own steps are kept too");
    assert_eq!(store.entries(4, 2).expect("entries"), story()[3..5]);
    for (event, entry) in seen.iter().zip(story().into_iter().filter(|e| e.seq != 5)) {
        let body: serde_json::Value = serde_json::from_str(&event.body).expect("json");
        assert_eq!(body["kind"].as_str(), event.kind.map(Kind::as_str));
        assert_eq!(body["call_id"].as_str().map(str::to_owned), event.call.map(|c| c.to_string()));
        assert_eq!(serde_json::from_str::<Entry>(&event.body).expect("an entry"), entry, "nothing is lost");
    }
}

fn filters_and_pages(store: &dyn AuditStore) {
    store.apply(&records(&story()), false).expect("written");
    let seqs = |q: CallQuery| store.calls(&q).expect("rows").calls.iter().map(|r| r.seq).collect::<Vec<_>>();
    let named = |s: &str| Some(s.to_owned());
    assert_eq!(seqs(CallQuery { agent: named("a"), ..query() }), [8, 7, 1]);
    assert_eq!(seqs(CallQuery { run: named("r1"), vendor: named("stripe"), ..query() }), [8, 1]);
    assert_eq!(seqs(CallQuery { key: named("key-b"), ..query() }), [3]);
    assert_eq!(seqs(CallQuery { key: named("parent"), ..query() }), [0; 0]);
    assert_eq!(seqs(CallQuery { tenant: named("default"), policy: named("refunds"), ..query() }), [8, 7, 3, 1]);
    assert_eq!(seqs(CallQuery { verdict: Some(Verdict::Deny), ..query() }), [9, 8]);
    assert_eq!(seqs(CallQuery { outcome: Some(Outcome::Ok), agent: named("a"), ..query() }), [1]);
    assert_eq!(seqs(CallQuery { since: Some(at(3)), until: Some(at(8)), ..query() }), [7, 3]);
    assert_eq!(seqs(CallQuery { since: Some(Timestamp(at(3).0 + 1)), agent: named("a"), ..query() }), [8, 7]);
    assert_eq!(seqs(CallQuery { since: Some(at(99)), ..query() }), [0; 0]);
    assert_eq!(seqs(CallQuery { agent: named("' OR 1=1"), ..query() }), [0; 0]);
    assert_eq!(seqs(CallQuery { agent: named("a"), verdict: Some(Verdict::Deny), ..query() }), [8]);
    assert_eq!(seqs(CallQuery { agent: named("a"), limit: Some(1), until: Some(at(7)), ..query() }), [1]);
    assert_eq!(seqs(CallQuery { agent: named("a"), limit: Some(1), before: Some(8), ..query() }), [7]);
    for agent in [None, named("a")] {
        let whole = seqs(CallQuery { agent: agent.clone(), ..query() });
        let (mut paged, mut before) = (Vec::new(), None);
        loop {
            let page =
                store.calls(&CallQuery { agent: agent.clone(), limit: Some(2), before, ..query() }).expect("a page");
            paged.extend(page.calls.iter().map(|r| r.seq));
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(paged, whole);
    }
}

fn sums_are_what_the_rules_say(store: &dyn AuditStore) {
    store.apply(&records(&story()), false).expect("written");
    let shape = |scope, unit| Shape { scope, unit, window: Window::Day, vendor: None, operations: Vec::new() };
    let sums = |shape: &Shape, start| {
        let sums = store.sums(shape, start).expect("sums");
        assert_eq!(sums.upto, 9);
        sums.accounts.into_iter().map(|(name, n)| (name.to_string(), n)).collect::<Vec<_>>()
    };
    let day = Window::Day.start(at(1));
    let agents = sums(&shape(Scope::Agent, Unit::Usd), day);
    assert_eq!(agents, [("agent:default/a usd day".to_owned(), 500), ("agent:default/b usd day".to_owned(), 70)]);
    assert_eq!(sums(&shape(Scope::Everyone, Unit::Calls), day), [("everyone calls day".to_owned(), 2)]);
    assert_eq!(sums(&shape(Scope::Key, Unit::Risk), day).len(), 3, "each key and their common parent");
    assert_eq!(sums(&shape(Scope::Agent, Unit::Usd), at(2)).len(), 1, "the first call lies before");
    let stripe = Shape { vendor: Some("stripe".into()), ..shape(Scope::Tenant, Unit::Tokens) };
    assert_eq!(sums(&stripe, day), [("tenant:default tokens day vendor=stripe".to_owned(), 50)]);
}

fn spend_adds_up(store: &dyn AuditStore) {
    store.apply(&records(&story()), false).expect("written");
    let all = store.spend(&query()).expect("sums");
    let t = all.total;
    assert_eq!((t.calls, t.refused, t.open, t.cost_usd, t.tokens), (3, 2, 1, MicroCents(570), 57));
    assert_eq!(
        all.by_vendor.iter().map(|l| (&*l.name, l.sum.calls)).collect::<Vec<_>>(),
        [("stripe", 2), ("openai", 1)]
    );
    assert_eq!(all.by_operation[0].name, "stripe POST /v1/refunds");
    let run = store.spend(&CallQuery { run: Some("r2".into()), ..query() }).expect("sums");
    assert_eq!((run.total.calls, run.total.cost_usd, run.by_agent.len()), (1, MicroCents(70), 1));
    assert_eq!(store.spend(&CallQuery { since: Some(at(4)), ..query() }).expect("sums").total.cost_usd, MicroCents(0));
}

fn sums_by_any_dimension(store: &dyn AuditStore) {
    let mut story = story();
    let (door, mut nowhere) = (story.len() as Seq + 1, facts("a", "r1", ""));
    nowhere.operation = "".into();
    story.push(entry(door, Op::Deny { row: opening(6, Some(nowhere), Verdict::Deny) }));
    store.apply(&records(&story), false).expect("written");
    let all = store.spend(&query()).expect("sums");
    assert_eq!((all.total.refused, all.by_vendor.len(), all.by_operation.len()), (3, 2, 2), "no line without a name");
    let by = |words: &str, q: &CallQuery| {
        let by: Vec<_> = words.split(',').map(|w| w.parse().expect("a dimension")).collect();
        let sums = spend_by(store, q, &by).expect("sums");
        let total =
            sums.lines.iter().fold((0, 0, 0), |t, l| (t.0 + l.sum.calls, t.1 + l.sum.refused, t.2 + l.sum.cost_usd.0));
        assert_eq!(total, (sums.total.calls, sums.total.refused, sums.total.cost_usd.0), "the lines add up");
        let name = |l: &ByLine, n: &str| l.group[n].clone().unwrap_or_default();
        let names = |l: &ByLine| words.split(',').map(|n| name(l, n)).collect::<Vec<_>>().join(" ");
        sums.lines.iter().map(|l| (names(l), l.sum.calls, l.sum.cost_usd.0)).collect::<Vec<_>>()
    };
    let line = |name: &str, calls, cost| (name.to_owned(), calls, cost);
    let usual = [line("a", 2, 500), line("b", 1, 70), line("", 0, 0)];
    assert_eq!(by("agent", &query()), usual);
    let walked = CallQuery { wheres: "seq>0".parse_into(), ..query() };
    assert_eq!(by("agent", &walked), usual);
    let day = [line("2026-09-21 openai", 1, 70), line("2026-09-21 stripe", 2, 500), line("2026-09-21 ", 0, 0)];
    assert_eq!(by("day,vendor", &query()), [day[1].clone(), day[0].clone(), day[2].clone()]);
    assert_eq!(by("month", &query()), [line("2026-09", 3, 570)]);
    assert_eq!(
        by("hour,tenant", &CallQuery { agent: Some("b".into()), ..query() }),
        [line("2026-09-21T14 default", 1, 70)]
    );
    let tags = [line("r1", 1, 500), line("r2", 1, 70), line("r3", 1, 0), line("", 0, 0)];
    assert_eq!(by("tag.ticket", &query()), tags);
    let dear = CallQuery { wheres: "cost_usd>0".parse_into(), ..query() };
    assert_eq!(by("key,policy", &dear), [line("key-a refunds", 1, 500), line("key-b refunds", 1, 70)]);
}

/// As it comes over the wire.
trait ParseInto {
    fn parse_into(&self) -> Conditions;
}

impl ParseInto for str {
    fn parse_into(&self) -> Conditions {
        serde_json::from_value(serde_json::json!(self)).expect("conditions")
    }
}

fn any_column_can_be_asked_for(store: &dyn AuditStore) {
    store.apply(&records(&story()), false).expect("written");
    let seqs = |q: CallQuery| find(store, &q).expect("rows").calls.iter().map(|r| r.seq).collect::<Vec<_>>();
    let such = |text: &str| seqs(CallQuery { wheres: text.parse_into(), ..query() });
    assert_eq!(such("http_status=200"), [3, 1]);
    assert_eq!(such(r#"["http_status=403","reason~BUDGET"]"#), [9, 8]);
    assert_eq!(such("agent_id="), [9]);
    assert_eq!(such("subject.dimensions.ticket=r3"), [7]);
    assert_eq!(such("cost_usd>0.000001"), [1]);
    assert_eq!(such("outcome="), [7], "it is open");
    for column in bursar::adapters::audit::row::COLUMNS {
        such(&format!("{column}="));
    }
    assert_eq!(seqs(CallQuery { call: Some(call(2)), ..query() }), [3]);
    assert_eq!(seqs(CallQuery { operation: Some("POST /v1/refunds".into()), limit: Some(1), ..query() }), [8]);
    let first =
        find(store, &CallQuery { wheres: "agent_id=a".parse_into(), limit: Some(2), ..query() }).expect("a page");
    assert_eq!(first.calls.iter().map(|r| r.seq).collect::<Vec<_>>(), [8, 7]);
    let rest = CallQuery { wheres: "agent_id=a".parse_into(), before: first.next, ..query() };
    assert_eq!(seqs(rest), [1]);
}

fn adjust(n: u128, step: u32, charge: u64, row: Option<Box<Closing>>) -> Op {
    let (charge, act) = (usd(charge), act());
    Op::Adjust { hold: call(n), step, charge, exact: true, heard: None, passed: None, row, past: None, act }
}

fn late_changes_reach_the_row(store: &dyn AuditStore) {
    store.apply(&records(&story()), false).expect("written");
    let adjust = |step, charge, row| adjust(3, step, charge, row);
    assert_eq!(flagged(store), [0; 0]);
    let row = |store: &dyn AuditStore| {
        store.calls(&CallQuery { run: Some("r3".into()), ..query() }).expect("rows").calls.remove(0)
    };
    store
        .apply(&records(&[entry(10, Op::Expire { hold: call(3), charge: usd(900), exact: false })]), false)
        .expect("written");
    let expired = row(store);
    assert_eq!((expired.outcome, expired.cost_usd), (Some(Outcome::Expired), Some(MicroCents(900))));
    assert_eq!(expired.cost_source, Some(CostSource::Estimated));
    assert_eq!(store.spend(&query()).expect("sums").total.flagged, 1);
    assert_eq!(flagged(store), [7]);
    store
        .apply(&records(&[entry(11, adjust(0, 300, Some(closing(3, usd(300), Outcome::Ok))))]), false)
        .expect("written");
    let late = row(store);
    assert!(expired.flagged && !late.flagged);
    assert_eq!((late.outcome, late.cost_usd, late.http_status), (Some(Outcome::Ok), Some(MicroCents(300)), Some(200)));
    store.apply(&records(&[entry(12, adjust(1, 310, None))]), false).expect("written");
    let adjusted = row(store);
    assert_eq!((adjusted.outcome, adjusted.cost_usd), (Some(Outcome::Ok), Some(MicroCents(310))));
    assert!(adjusted.error.expect("a word").contains("a test"));
    let total = store.spend(&query()).expect("sums").total;
    assert_eq!((total.flagged, total.cost_usd, total.open), (0, MicroCents(880), 0));
}

/// A batch, its results, and a message whose price comes later; by name, and with what became of their charges.
fn what_calls_made_is_found(store: &dyn AuditStore) {
    let made = |object: &str, of: Option<&str>, ask: Option<&str>| {
        let (of, ask) = (of.map(Into::into), ask.map(str::to_owned));
        Some(Box::new(Made { of, ask, place: Some(Digest32([1; 32])), ..Made::named(object) }))
    };
    let ended = |n: u128, charge: u64, made: Option<Box<Made>>| {
        let (charge, row) = (usd(charge), Box::new(Closing { made, ..*closing(n, usd(charge), Outcome::Ok) }));
        Op::Commit { hold: call(n), charge, exact: false, passed: None, row }
    };
    let entries = [
        reserve(1, facts("a", "r", "openai")),
        ended(1, 900, made("batch_1", None, None)),
        reserve(2, facts("b", "r", "openai")),
        ended(2, 0, made("file-out", Some("batch_1"), None)),
        reserve(3, facts("a", "r", "twilio")),
        ended(3, 500, made("SM1", None, Some("/x/SM1.json"))),
        reserve(4, facts("a", "r", "openai")),
        ended(4, 10, None),
    ];
    let entries: Vec<Entry> = (1..).zip(entries).map(|(seq, op)| entry(seq, op)).collect();
    store.apply(&records(&entries), false).expect("written");
    let at = |place: u8, vendor: &str, object: &str| {
        made::recall(store, vendor, Digest32([place; 32]), object).expect("an answer")
    };
    let recall = |vendor: &str, object: &str| at(1, vendor, object);
    assert!(at(2, "openai", "batch_1").is_none() && at(2, "openai", "file-out").is_none(), "another account's");
    let batch = recall("openai", "batch_1").expect("it was made");
    assert_eq!((batch.call, batch.charge, batch.settled), (call(1), usd(900), false));
    let results = recall("openai", "file-out").expect("they are a batch's");
    assert_eq!((&*results.made.object, results.call, results.charge), ("file-out", call(1), usd(900)));
    assert!(recall("anthropic", "batch_1").is_none() && recall("openai", "batch_2").is_none());
    let unpriced = |since: i64| {
        let found = made::unpriced(store, Timestamp(since)).expect("an answer");
        found.iter().map(|making| making.opening.call).collect::<Vec<_>>()
    };
    assert_eq!((unpriced(0), unpriced(i64::MAX)), (vec![call(3)], vec![]));
    store
        .apply(&records(&[entry(9, adjust(1, 1, 70, None)), entry(10, adjust(3, 1, 80, None))]), false)
        .expect("written");
    let batch = recall("openai", "file-out").expect("still there");
    assert_eq!((batch.charge, batch.settled), (usd(70), true));
    assert_eq!(unpriced(0), []);
}

/// PostgreSQL cannot read JSON with a character zero in it, which a caller may have written: the row is kept all the same, and
/// the others are found.
fn a_character_zero_stops_nothing(store: &dyn AuditStore) {
    let ended = |n: u128, unbounded: &str| {
        let made = Made { unbounded: Some(unbounded.to_owned()), ..Made::named(&format!("file-{n}")) };
        let row = Box::new(Closing { made: Some(Box::new(made)), ..*closing(n, usd(1), Outcome::Ok) });
        Op::Commit { hold: call(n), charge: usd(1), exact: true, passed: None, row }
    };
    let ops =
        [reserve(1, facts("a", "r", "openai")), ended(1, "x\0"), reserve(2, facts("a", "r", "openai")), ended(2, "x")];
    let entries: Vec<Entry> = (1..).zip(ops).map(|(seq, op)| entry(seq, op)).collect();
    store.apply(&records(&entries), false).expect("written");
    assert_eq!(store.entries(1, 9).expect("readable"), entries);
    assert_eq!(store.made("file-2").expect("an answer"), [call(2)]);
    store.made_since(Timestamp(0)).expect("an answer");
}

fn flagged(store: &dyn AuditStore) -> Vec<Seq> {
    let asked = |flagged| store.calls(&CallQuery { flagged: Some(flagged), ..query() }).expect("rows").calls;
    assert_eq!(asked(true).len() + asked(false).len(), store.calls(&query()).expect("rows").calls.len());
    asked(true).iter().map(|r| r.seq).collect()
}

/// The story, and what became of it later.
fn long_story() -> Vec<Entry> {
    let minted = Control::KeyMinted {
        key: KeyId("key-a".into()),
        policy: "refunds".into(),
        parent: None,
        expires_at: None,
        minting: None,
        act: act(),
    };
    let loaded = Control::PolicyLoaded {
        policy: "refunds".into(),
        hash: Digest32([7; 32]),
        whole: true,
        added: vec!["mode = \"observe\"".into()],
        removed: Vec::new(),
        act: act(),
    };
    let correct = Op::Adjust {
        hold: call(3),
        step: 1,
        charge: usd(200),
        exact: true,
        heard: None,
        passed: None,
        row: None,
        past: None,
        act: act(),
    };
    let later = [
        Op::Expire { hold: call(3), charge: usd(900), exact: false },
        correct,
        Op::Control { control: minted },
        Op::Control { control: loaded },
        Op::Control { control: Control::Stopped { flag: Flag::Key { id: KeyId("key-a".into()) }, act: act() } },
        Op::Control { control: Control::Restored { flag: Flag::Everyone, act: act() } },
        Op::Resize { hold: call(9), step: 1, amounts: usd(1) },
    ];
    let later = (10..).zip(later).map(|(seq, op)| entry(seq, op));
    story().into_iter().chain(later).collect()
}

fn changes_are_found(store: &dyn AuditStore) {
    store.apply(&records(&long_story()), false).expect("written");
    let seqs = |from, limit| store.changes(from, limit).expect("events").iter().map(|e| e.seq).collect::<Vec<_>>();
    assert_eq!(seqs(1, 100), [2, 10, 11, 12, 13, 14, 15]);
    assert_eq!((seqs(3, 2), seqs(16, 5)), (vec![10, 11], Vec::new()));
    assert_eq!(store.changes(2, 1).expect("events"), store.events(2, 1).expect("events"), "as a tail shows them");
}

fn a_call_with_its_entries(store: &dyn AuditStore) {
    store.apply(&records(&long_story()), false).expect("written");
    let seqs = |n| store.entries_of(call(n)).expect("entries").iter().map(|e| e.seq).collect::<Vec<_>>();
    assert_eq!((seqs(1), seqs(3), seqs(4), seqs(99)), (vec![1, 4], vec![7, 10, 11], vec![8], Vec::new()));
    let history = History::of(store, call(3)).expect("entries").expect("a call");
    assert_eq!((history.outcome, history.charge, history.flagged), (Some(Outcome::Expired), usd(200), false));
    assert!(history.adjusted.is_some_and(|(by, _)| by == act()) && history.step == 1);
    let day = Shape { scope: Scope::Everyone, unit: Unit::Usd, window: Window::Day, vendor: None, operations: vec![] };
    let odd = Difference {
        account: day.account(""),
        unit: day.unit,
        window: day.window,
        window_start: at(0),
        ledger: 1,
        books: 2,
    };
    let remembered = vec![(call(1), usd(500)), (call(2), usd(71))];
    let checked = Checked { differences: vec![odd], remembered, ..Checked::default() };
    let hurried = causes(store, &checked, Duration::ZERO).expect("causes");
    let (causes, cut) = causes(store, &checked, LOOK).expect("causes");
    assert!(!cut && !hurried.1, "one page has them all");
    assert_eq!(causes.iter().map(|c| (c.call_id, c.ledger_usd)).collect::<Vec<_>>(), [(call(2), Some(MicroCents(71)))]);
}

fn runs_are_listed(store: &dyn AuditStore) {
    store.apply(&records(&long_story()), false).expect("written");
    let names = |q: CallQuery| {
        let found = runs::list(store, &q).expect("runs").runs;
        found.iter().map(|r| r.run_id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(query()), ["r3", "r2", "r1"]);
    assert_eq!(names(CallQuery { agent: Some("a".into()), ..query() }), ["r3", "r1"]);
    assert_eq!(names(CallQuery { since: Some(at(5)), ..query() }), ["r3", "r1"], "r1 was refused then");
    let first = runs::list(store, &CallQuery { limit: Some(2), ..query() }).expect("runs");
    let rest = runs::list(store, &CallQuery { limit: Some(2), before: first.next, ..query() }).expect("runs");
    assert_eq!((first.runs.len(), rest.runs.len(), &*rest.runs[0].run_id, rest.next), (2, 1, "r1", None));
    let page = runs::page(store, "default", "r1").expect("a page").expect("a run");
    assert_eq!((page.line.sum.calls, page.line.sum.refused, page.line.sum.cost_usd), (1, 1, MicroCents(500)));
    assert_eq!(page.timeline.iter().map(|r| r.seq).collect::<Vec<_>>(), [1, 8]);
    assert_eq!((page.refusals[0].reason.as_str(), page.refusals[0].count), ("budget_spent", 1));
    let expired = runs::page(store, "default", "r3").expect("a page").expect("a run");
    assert_eq!(expired.changes.iter().map(|c| &c["kind"]).collect::<Vec<_>>(), ["expired", "adjusted"]);
    assert!(runs::page(store, "other", "r1").expect("no page").is_none());
}

fn a_month_is_reported(store: &dyn AuditStore) {
    store.apply(&records(&long_story()), false).expect("written");
    let (from, until) = report::month("2026-09").expect("a month");
    let september = report::report(store, "2026-09", from, until).expect("a report");
    assert_eq!((september.sums.calls, september.sums.refused, september.books_seq), (3, 2, 16));
    let kinds: Vec<_> = september.changes.iter().map(|c| c.kind.as_str()).collect();
    assert_eq!(kinds, ["killed", "key_minted", "policy_loaded", "revoked", "restored"]);
    assert!(september.keys.len() == 1 && september.keys[0].revoked_by == Some(act()));
    assert_eq!((&*september.exceptions.observing[0], september.stopped.len()), ("refunds", 1));
    assert_eq!(september.exceptions.corrected[0].cost_usd, Some(MicroCents(200)));
    assert_eq!(september.exceptions.expired.calls.len(), 1);
    assert_eq!(september.exceptions.refusals.iter().map(|r| r.count).sum::<u64>(), 2);
    let (from, until) = report::month("2026-10").expect("a month");
    let october = report::report(store, "2026-10", from, until).expect("a report");
    assert_eq!((october.sums.calls, october.changes.len(), october.keys.len(), october.policies.len()), (0, 0, 0, 1));
}

fn a_report_says_what_it_leaves_out(store: &dyn AuditStore) {
    let killed = || Op::Control { control: Control::Stopped { flag: Flag::Everyone, act: act() } };
    let asked = |n: u64| Op::Deny { row: opening(n.into(), Some(facts("a", "r", "stripe")), Verdict::Escalate) };
    let few = (1..=3).map(|seq| entry(seq, if seq < 3 { asked(seq) } else { killed() })).collect::<Vec<_>>();
    store.apply(&records(&few), false).expect("written");
    let (from, until) = report::month("2026-09").expect("a month");
    let told = || report::report(store, "2026-09", from, until).expect("a report");
    let few = told();
    assert_eq!((few.approvals.len(), few.approvals_cut, few.changes_cut, few.pruned_to), (2, false, false, 0));
    let many = (1..=10_300).map(|seq| entry(seq, if seq <= 250 { asked(seq) } else { killed() })).collect::<Vec<_>>();
    // The first three are passed over: they are there.
    store.apply(&records(&many), false).expect("written");
    store
        .seal(&Signed {
            checkpoint: Checkpoint { pruned_to: 2, ..signed(1, 2, false).checkpoint },
            ..signed(1, 2, false)
        })
        .expect("sealed");
    let many = told();
    assert_eq!((many.approvals.len(), many.approvals_cut, many.changes_cut, many.pruned_to), (200, true, true, 2));
}

/// The same rows, whether they lie among the newest or far behind them, page by page.
fn who_calls_often_or_seldom_is_found(store: &dyn AuditStore) {
    let whose = |seq: u64| if seq % 1000 == 7 { "seldom" } else { "often" };
    let row = |seq: u64| {
        let vendor = if seq <= 40 { "early" } else { "stripe" };
        entry(seq, Op::Deny { row: opening(seq.into(), Some(facts(whose(seq), "r", vendor)), Verdict::Allow) })
    };
    let all: Vec<Entry> = (1..=52_000).map(row).collect();
    store.apply(&records(&all), false).expect("written");
    let pages = |query: CallQuery| {
        let (mut query, mut found) = (CallQuery { limit: Some(30), ..query }, Vec::new());
        loop {
            let page = store.calls(&query).expect("a page");
            found.extend(page.calls.iter().map(|row| row.seq));
            query.before = page.next;
            if page.next.is_none() || found.len() > 500 {
                return found;
            }
        }
    };
    let seldom = pages(CallQuery { agent: Some("seldom".into()), ..CallQuery::default() });
    assert_eq!(seldom, (0..52).rev().map(|n| n * 1000 + 7).collect::<Vec<_>>());
    let early = pages(CallQuery { vendor: Some("early".into()), ..CallQuery::default() });
    assert_eq!(early, (1..=40).rev().collect::<Vec<_>>());
    let until = CallQuery { policy: Some("refunds".into()), until: Some(at(50)), ..CallQuery::default() };
    assert_eq!(pages(until), (1..50).rev().collect::<Vec<_>>());
}

fn a_hole_is_said(store: &dyn AuditStore) {
    let story = story();
    store.apply(&records(&story[..2]), false).expect("written");
    store.apply(&records(&story[5..]), false).expect("written");
    let gaps = store.gaps().expect("gaps");
    assert_eq!(gaps.iter().map(|g| (g.from, g.to)).collect::<Vec<_>>(), [(3, 5)]);
    assert_eq!(store.place().expect("a place").seq, 9);
}

fn events_are_given_as_they_were_chained(store: &dyn AuditStore) {
    let chained = records(&story());
    store.apply(&chained, false).expect("written");
    let linked = store.linked(1, 100).expect("events");
    assert_eq!(linked.len(), chained.len(), "those that are no events of a call too");
    for (is, was) in linked.iter().zip(&chained) {
        assert_eq!((is.seq, is.head, is.body.as_bytes()), (was.record.seq, was.head, was.record.json()));
    }
    assert_eq!(store.linked(4, 2).expect("events").iter().map(|e| e.seq).collect::<Vec<_>>(), [4, 5]);
    for (n, seqs) in [(1, &[1, 4][..]), (2, &[3, 5, 6]), (3, &[7]), (5, &[9]), (77, &[])] {
        assert_eq!(store.seqs_of(call(n)).expect("events"), seqs, "call {n}");
    }
}

fn signed(number: u64, to: Seq, next_key: bool) -> Signed {
    let key = PublicKey(Digest32([7; 32]));
    let checkpoint = Checkpoint {
        version: 1,
        number,
        from: to,
        to,
        events: 1,
        head: Digest32([1; 32]),
        root: Digest32([2; 32]),
        at: at(number),
        key,
        previous: Digest32::default(),
        next_key: next_key.then_some(key),
        pruned_to: 0,
    };
    Signed { checkpoint, signature: Signature([9; 64]) }
}

fn checkpoints_are_kept_in_order(store: &dyn AuditStore) {
    assert!(store.last_checkpoint().expect("none").is_none());
    let all: Vec<Signed> = (1..=5).map(|n| signed(n, n, n % 2 == 0)).collect();
    all.iter().for_each(|c| store.seal(c).expect("written"));
    assert!(store.seal(&all[2]).is_err(), "a number is given once");
    assert_eq!(store.last_checkpoint().expect("there").as_ref(), all.last());
    assert_eq!(store.checkpoints(2, 2, false).expect("there"), all[1..3]);
    let numbers = |from| store.checkpoints(from, 9, true).expect("there").iter().map(|c| c.checkpoint.number).collect();
    let (all, some): (Vec<u64>, Vec<u64>) = (numbers(1), numbers(3));
    assert_eq!((all, some), (vec![2, 4], vec![4]), "those that name a key");
}

fn what_is_pruned_still_counts(store: &dyn AuditStore) {
    let story = story();
    store.apply(&records(&story), false).expect("written");
    let before = store.spend(&CallQuery::default()).expect("sums");
    assert_eq!(store.prune(4).expect("pruned"), 4);
    assert_eq!(store.prune(4).expect("pruned"), 0);
    assert_eq!(store.linked(1, 100).expect("events")[0].seq, 5);
    assert_eq!(store.spend(&CallQuery::default()).expect("sums"), before);
    let since = CallQuery { since: Some(at(0)), ..CallQuery::default() };
    assert_eq!(store.spend(&since).expect("sums"), before, "times are found without the events");
    assert_eq!(store.seqs_of(call(2)).expect("events"), [5, 6], "what is left of it");
    let shape =
        Shape { scope: Scope::Agent, unit: Unit::Usd, window: Window::Total, vendor: None, operations: Vec::new() };
    let spent: u64 = store.sums(&shape, Timestamp(0)).expect("sums").accounts.iter().map(|(_, n)| n).sum();
    assert_eq!(spent, 570);
}

fn rows_of_what_was_given_up_tell_no_lie(store: &dyn AuditStore) {
    store.apply(&records(&story()), false).expect("written");
    store.apply(&records(&[entry(10, adjust(1, 0, 400, None))]), false).expect("written");
    let compared = || index::check(store).expect("read");
    assert_eq!(compared(), Compared { events: 10, lie: None });
    // The end of the first call is gone, and its adjustment is not.
    let mut last = signed(1, 10, false);
    last.checkpoint.pruned_to = 4;
    store.seal(&last).expect("written");
    assert_eq!(store.prune(4).expect("pruned"), 4);
    assert_eq!(compared(), Compared { events: 6, lie: None });
}

/// Run by hand: `cargo test --release --test audit_store -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn what_a_call_costs_the_books() {
    let (store, _dir) = sqlite();
    let calls = 200_000;
    let agents: Vec<String> = (0..50).map(|n| format!("agent-{n}")).collect();
    let both = |n: u64| {
        let facts = facts(&agents[n as usize % 50], &format!("run-{}", n / 200), "stripe");
        [entry(2 * n + 1, reserve(n.into(), facts)), entry(2 * n + 2, commit(n.into(), 500))]
    };
    let mut writing = std::time::Duration::ZERO;
    for first in (0..calls).step_by(1000) {
        let batch: Vec<Entry> = (first..first + 1000).flat_map(both).collect();
        let began = std::time::Instant::now();
        store.apply(&records(&batch), false).expect("written");
        writing += began.elapsed();
    }
    println!("{:.1} us a call", writing.as_micros() as f64 / calls as f64);
    let asked = |what: &str, q: &CallQuery| {
        let began = std::time::Instant::now();
        let rows = store.calls(q).expect("rows").calls.len();
        println!("{what}: {rows} rows in {:?}", began.elapsed());
    };
    asked("newest", &query());
    asked("one agent", &CallQuery { agent: Some("agent-7".into()), ..query() });
    asked("one run", &CallQuery { run: Some("run-3".into()), ..query() });
    asked("one agent since", &CallQuery { agent: Some("agent-7".into()), since: Some(at(300_000)), ..query() });
    let began = std::time::Instant::now();
    store.spend(&query()).expect("sums");
    println!("spend over all: {:?}", began.elapsed());
    let began = std::time::Instant::now();
    store.spend(&CallQuery { run: Some("run-3".into()), ..query() }).expect("sums");
    println!("spend of a run: {:?}", began.elapsed());
}
