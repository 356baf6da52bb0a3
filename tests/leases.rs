//! What nodes of a fleet do alone, against a real Redis: the cap over three nodes, a node that dies, Redis that hangs, dies and
//! comes back, messages that arrive twice, and slices that are wanted back.

use std::collections::HashMap;
use std::future::Future;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bursar::adapters::audit::AuditStore;
use bursar::adapters::audit::sqlite::SqliteBooks;
use bursar::adapters::ledger::journal::Durability;
use bursar::adapters::ledger::leased::Leased;
use bursar::adapters::ledger::redis::Redis;
use bursar::adapters::ledger::redis::event;
use bursar::adapters::ledger::redis::lent::{Telling, Wanted};
use bursar::adapters::ledger::{Ledger, LedgerError};
use bursar::rules::books::{Act, Closing, Control, CostSource, Opening, Outcome, Verdict};
use bursar::rules::ledger::account::{Scope, Shape};
use bursar::rules::ledger::ask::{Cause, Down, End, Limit, Line, Manner, Reservation, Reserve, Settle};
use bursar::rules::ledger::entry::{Entry, Op, Posting};
use bursar::rules::ledger::need::{Fit, Need, Share};
use bursar::rules::ledger::slices::{Item, Part, SliceKey};
use bursar::rules::subject::Flag;
use bursar::units::amount::{Amounts, Unit};
use bursar::units::ids::CallId;
use bursar::units::money::MicroCents;
use bursar::units::time::{Timestamp, Window};
use tempfile::TempDir;
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(60);
const LEASE: Manner = Manner { lease: true, down: Down::Closed };
const LEASED: Manner = Manner { lease: true, down: Down::Leased { secs: 60 } };
const OPEN: Manner = Manner { lease: false, down: Down::Open { secs: 60 } };

// ---- a server and nodes

/// A redis-server that keeps what it acknowledged. Ends with the test, by its own id.
struct Server {
    child: Child,
    port: u16,
    dir: TempDir,
}

impl Server {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        let dir = TempDir::new().expect("a folder");
        Self { child: spawn(port, &dir), port, dir }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(name).arg(self.child.id().to_string()).status();
        assert!(sent.expect("kill runs").success());
    }

    fn kill(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).expect("it was running");
    }

    fn again(&mut self) {
        self.child = spawn(self.port, &self.dir);
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).map(drop).unwrap_or_default();
    }
}

fn spawn(port: u16, dir: &TempDir) -> Child {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"]);
    command.args(["--appendfsync", "everysec", "--dir"]).arg(dir.path());
    command.stdout(Stdio::null()).spawn().expect("redis-server is installed (tests/run does it)")
}

async fn until<F: Future<Output = bool>>(what: &str, fact: impl Fn() -> F) {
    let begun = Instant::now();
    while !fact().await {
        assert!(begun.elapsed() < SOON, "it takes too long: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn redis(server: &Server, dir: &TempDir) -> Redis {
    let books: Arc<dyn AuditStore> = Arc::new(SqliteBooks::open(dir.path()).expect("books"));
    let begun = Instant::now();
    loop {
        match Redis::open(&server.url(), "bursar", "node", books.clone()).await {
            Ok(store) => return store,
            Err(e) if begun.elapsed() > SOON => panic!("{e}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

struct Node {
    ledger: Leased,
    dir: TempDir,
}

impl Node {
    async fn start(server: &Server) -> Self {
        let dir = TempDir::new().expect("a folder");
        Self { ledger: open(server, &dir).await, dir }
    }

    /// Dies without a word, and starts anew on the same folder.
    async fn die_and_start(self, server: &Server) -> Self {
        let Self { ledger, dir } = self;
        drop(ledger);
        Self { ledger: open(server, &dir).await, dir }
    }
}

/// The folder is free once the last message of an earlier life has been given up.
async fn open(server: &Server, dir: &TempDir) -> Leased {
    let begun = Instant::now();
    loop {
        let store = redis(server, dir).await;
        match Leased::open(store, dir.path(), Durability::Process, Box::new(|_| true)) {
            Ok(ledger) => return ledger,
            Err(e) if begun.elapsed() > SOON => panic!("{e}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

// ---- calls

static NEXT: AtomicU32 = AtomicU32::new(1);

fn fresh() -> CallId {
    CallId(Uuid::from_u128(u128::from(NEXT.fetch_add(1, Ordering::Relaxed))))
}

fn line(limit: u64) -> Line {
    let shape = Shape { scope: Scope::Agent, unit: Unit::Usd, window: Window::Total, vendor: None, operations: vec![] };
    let account = shape.account("default/a");
    let limit = Some(Limit { amount: limit, rule: "the rule".into(), enforce: true, hidden: false });
    Line { account, unit: Unit::Usd, window: Window::Total, limit }
}

fn opening(call: CallId) -> Opening {
    Opening {
        call,
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

fn ask(limit: u64, usd: u64, manner: Manner) -> Reserve {
    let hold = fresh();
    Reserve {
        hold,
        lines: [line(limit)].into(),
        need: Need::fixed(MicroCents(usd).into(), 0),
        rates: [].into(),
        flags: [Flag::Everyone].into(),
        replay: None,
        manner,
        opening: opening(hold),
    }
}

fn cost(usd: u64) -> Amounts {
    Amounts { usd: MicroCents(usd), tokens: 0, calls: 1, risk: 0 }
}

async fn commit(ledger: &Leased, hold: CallId, usd: u64) {
    let end = End::Commit { charge: cost(usd), exact: true };
    ledger.settle(Settle { hold, end, closing: closing(hold) }).await.expect("an end is never refused");
}

/// Reserves; `None` if what is spent leaves no room. What is only held is waited for.
async fn reserve(ledger: &Leased, limit: u64, usd: u64, manner: Manner) -> Option<CallId> {
    let ask = ask(limit, usd, manner);
    let begun = Instant::now();
    loop {
        match ledger.reserve(ask.clone()).await {
            Ok(Reservation::Held(_)) => return Some(ask.hold),
            Ok(Reservation::Short(short)) if short.cause == Cause::Spent => return None,
            // The same call again, as an SDK repeats it: a busy machine answers late.
            Ok(Reservation::Short(_)) | Err(LedgerError::Down(_)) => assert!(begun.elapsed() < SOON, "for ever"),
            answered => panic!("{answered:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Spent and held on the account.
async fn account(ledger: &impl Ledger) -> (u64, u64) {
    let states = ledger.accounts(vec![line(0)]).await.expect("it answers");
    (states[0].spent, states[0].held)
}

/// Small calls until the node has slices to serve the next ones from. Gives what they cost.
async fn warm_up(server: &Server, node: &Node, limit: u64, manner: Manner) -> u64 {
    let mut spent = 0;
    while lent(server).await < 20 {
        let hold = reserve(&node.ledger, limit, 1, manner).await.expect("there is room");
        commit(&node.ledger, hold, 1).await;
        spent += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    spent
}

async fn ask_server<T: redis::FromRedisValue>(server: &Server, command: &[&str]) -> T {
    let client = redis::Client::open(server.url()).expect("an address");
    let mut connection = client.get_multiplexed_async_connection().await.expect("it listens");
    let mut asked = redis::cmd(command[0]);
    for part in &command[1..] {
        asked.arg(part);
    }
    asked.query_async(&mut connection).await.expect("it answers")
}

/// What is lent to all nodes together.
async fn lent(server: &Server) -> u64 {
    let all: HashMap<String, String> = ask_server(server, &["HGETALL", "{bursar}:slices"]).await;
    let slices = all.iter().filter(|(field, _)| !field.starts_with(['#', '@', '!']));
    slices.map(|(_, amount)| amount.parse::<u64>().expect("a number")).sum()
}

async fn events(server: &Server) -> Vec<Entry> {
    let all: redis::streams::StreamRangeReply = ask_server(server, &["XRANGE", "{bursar}:events", "-", "+"]).await;
    all.ids.iter().map(|item| event::entry(item).expect("it reads back")).collect()
}

async fn told(node: &Node) {
    until("everything is told", || async { node.ledger.untold() == 0 }).await;
}

// ---- the cap

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn four_hundred_calls_over_three_nodes_spend_the_limit_and_no_more() {
    let server = Server::start();
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(Arc::new(Node::start(&server).await));
    }
    let tasks: Vec<_> = (0..400)
        .map(|n| {
            let node = nodes[n % 3].clone();
            tokio::spawn(async move {
                let held = reserve(&node.ledger, 100, 1, LEASE).await;
                let Some(hold) = held else { return 0 };
                tokio::time::sleep(Duration::from_millis(n as u64 % 20)).await;
                commit(&node.ledger, hold, 1).await;
                1
            })
        })
        .collect();
    let mut served = 0;
    for task in tasks {
        served += task.await.expect("no panic");
    }
    assert_eq!(served, 100);
    for node in &nodes {
        node.ledger.flush().await.expect("told and given back");
    }
    assert_eq!((account(nodes[0].ledger.redis()).await, lent(&server).await), ((100, 0), 0));
    let all = events(&server).await;
    let of = |which: fn(&Op) -> bool| all.iter().filter(|e| which(&e.op)).count();
    assert_eq!(of(|op| matches!(op, Op::Reserve { .. })), 100);
    assert_eq!(of(|op| matches!(op, Op::Commit { .. })), 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn most_calls_are_served_without_asking() {
    let server = Server::start();
    let node = Node::start(&server).await;
    let before = warm_up(&server, &node, 1_000_000, LEASE).await;
    let scripts = || async {
        let info: String = ask_server(&server, &["INFO", "commandstats"]).await;
        let line = info.lines().find(|l| l.starts_with("cmdstat_evalsha:")).unwrap_or_default().to_owned();
        let calls = line.split(['=', ',']).nth(1).and_then(|n| n.parse::<u64>().ok());
        calls.unwrap_or(0)
    };
    let begun = scripts().await;
    for _ in 0..1000 {
        let hold = reserve(&node.ledger, 1_000_000, 1, LEASE).await.expect("there is room");
        commit(&node.ledger, hold, 1).await;
    }
    let asked = scripts().await - begun;
    assert!(asked < 1000, "{asked} scripts for 2,000 steps");
    node.ledger.flush().await.expect("told");
    assert_eq!(account(node.ledger.redis()).await, (before + 1000, 0));
}

#[tokio::test]
async fn a_slice_never_lowers_an_answer_that_redis_would_not_lower() {
    let server = Server::start();
    let node = Node::start(&server).await;
    warm_up(&server, &node, 1_000_000, LEASE).await;
    let mut long = ask(1_000_000, 1, LEASE);
    let rate = MicroCents(1).into();
    long.need.fit = Some(Fit { usd_per_token: rate, tokens_per_token: 1, floor: 1, want: 5000, share: Share(25) });
    let Reservation::Held(held) = node.ledger.reserve(long).await.expect("it answers") else { panic!("it fits") };
    assert_eq!(held.fitted, Some(5000));
}

// ---- recall and revocation

#[tokio::test]
async fn what_one_node_does_not_use_another_one_gets() {
    let server = Server::start();
    let (one, two) = (Node::start(&server).await, Node::start(&server).await);
    let spent = warm_up(&server, &one, 1000, LEASED).await;
    let hold = reserve(&two.ledger, 1000, 1000 - spent, Manner::default()).await.expect("all that is left");
    commit(&two.ledger, hold, 1000 - spent).await;
    assert_eq!(reserve(&one.ledger, 1000, 1, LEASED).await, None, "and nothing is left");
    told(&one).await;
    assert_eq!((account(one.ledger.redis()).await, lent(&server).await), ((1000, 0), 0));
}

#[tokio::test]
async fn a_stop_on_one_node_stops_what_another_one_does_alone() {
    let server = Server::start();
    let (one, two) = (Node::start(&server).await, Node::start(&server).await);
    warm_up(&server, &one, 1_000_000, LEASE).await;
    let act = Act { actor: "test".to_owned(), reason: None };
    two.ledger.control(Control::Stopped { flag: Flag::Everyone, act }).await.expect("written");
    tokio::time::sleep(Duration::from_millis(750)).await;
    let answer = one.ledger.reserve(ask(1_000_000, 1, LEASE)).await.expect("it answers");
    assert!(matches!(answer, Reservation::Killed(Flag::Everyone)), "{answer:?}");
}

// ---- Redis is away

#[tokio::test]
async fn while_redis_hangs_each_policy_does_what_it_says_and_afterwards_all_is_told() {
    let server = Server::start();
    let node = Node::start(&server).await;
    let mut spent = warm_up(&server, &node, 1_000_000, LEASED).await;
    told(&node).await;
    server.signal("-STOP");
    let lent_then = 20;
    let closed = node.ledger.reserve(ask(1_000_000, 1, LEASE)).await;
    let early = matches!(&closed, Ok(Reservation::Held(_)));
    assert!(early || matches!(closed, Err(LedgerError::Down(_))), "{closed:?}");
    until("it notices", || async {
        matches!(node.ledger.reserve(ask(1_000_000, 1, Manner::default())).await, Err(LedgerError::Down(_)))
    })
    .await;
    // Until then it may admit as if Redis were well: what it heard last still holds.
    tokio::time::sleep(bursar::adapters::ledger::leased::FRESH).await;
    let mut held = Vec::new();
    for _ in 0..lent_then / 2 {
        held.push(reserve(&node.ledger, 1_000_000, 1, LEASED).await.expect("from the slice"));
    }
    let too_much = node.ledger.reserve(ask(1_000_000, 500_000, LEASED)).await;
    assert!(matches!(too_much, Err(LedgerError::Down(_))), "no more than what is lent: {too_much:?}");
    let open = reserve(&node.ledger, 1_000_000, 5000, OPEN).await.expect("without looking");
    commit(&node.ledger, open, 4000).await;
    spent += 4000;
    for hold in &held {
        commit(&node.ledger, *hold, 1).await;
        spent += 1;
    }
    assert!(node.ledger.untold() > 0, "nobody could be told");
    server.signal("-CONT");
    told(&node).await;
    node.ledger.flush().await.expect("told and given back");
    let all = events(&server).await;
    let row = |hold: CallId| {
        let mut rows = all.iter().filter_map(|e| match &e.op {
            Op::Reserve { row, .. } if row.call == hold => Some(row.clone()),
            _ => None,
        });
        rows.next().expect("it has a row")
    };
    assert!(row(open).reason.is_some_and(|r| r.contains("without looking")), "each row says so");
    assert!(row(held[0]).reason.is_some_and(|r| r.contains("slices")));
    let flagged = all.iter().filter(|e| matches!(&e.op, Op::Commit { row, .. } if row.flagged)).count();
    assert_eq!(flagged, held.len() + 1);
    // A reserve that was given up may have been taken by the server all the same; its hold is the lease's to end.
    let (now, _) = account(node.ledger.redis()).await;
    assert_eq!((now, lent(&server).await), (spent, 0));
}

#[tokio::test]
async fn redis_killed_and_back_with_what_it_had() {
    let mut server = Server::start();
    let node = Node::start(&server).await;
    let mut spent = warm_up(&server, &node, 1_000_000, LEASED).await;
    let there = reserve(&node.ledger, 1_000_000, 700, Manner::default()).await.expect("a hold that Redis has");
    told(&node).await;
    server.kill();
    for n in 0..5 {
        let hold = reserve(&node.ledger, 1_000_000, 1, LEASED).await.expect("from the slice");
        if n < 4 {
            commit(&node.ledger, hold, 1).await;
            spent += 1;
        } else {
            let end = End::Release;
            node.ledger.settle(Settle { hold, end, closing: closing(hold) }).await.expect("released");
        }
    }
    commit(&node.ledger, there, 300).await;
    spent += 300;
    server.again();
    told(&node).await;
    // The client keeps the end that it could not say as well, until it has said it again.
    until("told and given back", || async { node.ledger.flush().await.is_ok() }).await;
    assert_eq!((account(node.ledger.redis()).await, lent(&server).await), ((spent, 0), 0));
}

#[tokio::test]
async fn a_node_that_dies_tells_when_it_lives_again() {
    let server = Server::start();
    let node = Node::start(&server).await;
    let spent = warm_up(&server, &node, 1_000_000, LEASED).await;
    told(&node).await;
    server.signal("-STOP");
    until("it notices", || async {
        matches!(node.ledger.reserve(ask(1_000_000, 1, Manner::default())).await, Err(LedgerError::Down(_)))
    })
    .await;
    let ended = reserve(&node.ledger, 1_000_000, 5, LEASED).await.expect("from the slice");
    commit(&node.ledger, ended, 2).await;
    let lost = reserve(&node.ledger, 1_000_000, 6, LEASED).await.expect("from the slice");
    let name = node.ledger.node().to_owned();
    server.signal("-CONT");
    let node = node.die_and_start(&server).await;
    assert_eq!(node.ledger.node(), name);
    until("it is told and given back", || async {
        node.ledger.untold() == 0 && lent(&server).await == 0 && account(node.ledger.redis()).await.0 == spent + 8
    })
    .await;
    let expired = |e: &Entry| matches!(&e.op, Op::Expire { hold, .. } if *hold == lost);
    until("in full", || async { events(&server).await.iter().any(expired) }).await;
}

// ---- messages

/// What was given up before Redis heard of it is not taken when it comes late after all.
#[tokio::test]
async fn a_reserve_that_comes_after_its_end_takes_nothing() {
    let server = Server::start();
    let dir = TempDir::new().expect("a folder");
    let store = redis(&server, &dir).await;
    let hello = store.hello("n", 0).await.expect("it answers");
    let late = ask(100, 10, Manner::default());
    let row = Box::new(closing(late.hold));
    let end = Entry { seq: 1, at: Timestamp(0), op: Op::Release { hold: late.hold, kept: None, passed: None, row } };
    let item = Item::End { call: late.hold, ended: 1 };
    let telling = [Telling { item: &item, begun: None, ended: Some(&end) }];
    store.ship("n", hello.number + 1, 1, &telling, &[]).await.expect("told");
    assert!(matches!(store.reserve(late).await, Err(LedgerError::Hold(..))), "it has ended");
    assert_eq!((account(&store).await, events(&server).await.len()), ((0, 0), 0));
}

/// The same where the server hung: whichever of the two it runs first.
#[tokio::test]
async fn a_reserve_that_was_not_answered_leaves_no_hold() {
    let server = Server::start();
    let dir = TempDir::new().expect("a folder");
    let store = redis(&server, &dir).await;
    server.signal("-STOP");
    let lost = ask(100, 10, Manner::default());
    let hold = lost.hold;
    assert!(matches!(store.reserve(lost).await, Err(LedgerError::Down(_))));
    server.signal("-CONT");
    let given_up = || Settle { hold, end: End::Release, closing: closing(hold) };
    let heard = || async { !matches!(store.settle_once(given_up()).await, Err(LedgerError::Down(_))) };
    until("it is told", heard).await;
    assert_eq!(account(&store).await, (0, 0));
    let open: u64 = ask_server(&server, &["ZCARD", "{bursar}:leases"]).await;
    assert_eq!(open, 0);
}

#[tokio::test]
async fn a_message_that_arrives_twice_or_late_changes_nothing() {
    let server = Server::start();
    let dir = TempDir::new().expect("a folder");
    let store = redis(&server, &dir).await;
    let hello = store.hello("n", 0).await.expect("it answers");
    let key = SliceKey { account: line(0).account, start: Timestamp(0), limit: 100 };
    let wanted = |target| [Wanted { key: key.clone(), window: Window::Total, target }];
    let look = store.look("n", hello.number + 1, 0, 0, &wanted(30)).await.expect("it answers");
    assert_eq!((look.slices[0].lent, account(&store).await), (30, (0, 30)));
    let hold = fresh();
    let posting = Posting { account: line(0).account, unit: Unit::Usd, window: Window::Total, start: Timestamp(0) };
    let row = Box::new(opening(hold));
    let begun = Op::Reserve {
        amounts: cost(10),
        postings: [posting].into(),
        lease_until: Timestamp(0),
        fitted: None,
        replay: None,
        moved: [].into(),
        row,
    };
    let row = Box::new(closing(hold));
    let ended = Op::Commit { hold, charge: cost(7), exact: true, passed: None, row };
    let [begun, ended] = [(1, begun), (2, ended)].map(|(seq, op)| Entry { seq, at: Timestamp(0), op });
    let takes = vec![Part { slice: key.clone(), amount: 7 }];
    let item = Item::Whole { call: hold, begun: 1, ended: 2, takes };
    let telling = || [Telling { item: &item, begun: Some(&begun), ended: Some(&ended) }];
    let keys = [key.clone()];
    let told = store.ship("n", hello.number + 2, 2, &telling(), &keys).await.expect("told");
    assert_eq!((told.mark, told.lent, account(&store).await), (2, vec![23], (7, 23)));
    let before = events(&server).await.len();
    assert!(store.ship("n", hello.number + 2, 2, &telling(), &keys).await.is_err(), "the same again");
    assert!(store.look("n", hello.number + 1, 0, 0, &wanted(0)).await.is_err(), "an earlier one, late");
    assert_eq!((account(&store).await, events(&server).await.len()), ((7, 23), before));
    let again = store.hello("n", 0).await.expect("a new life");
    assert!(again.number > hello.number + 2 && again.mark == 2);
    assert_eq!(again.lent, [(key.clone(), 23)]);
    store.look("n", again.number + 1, 2, 0, &wanted(0)).await.expect("given back");
    assert_eq!(account(&store).await, (7, 0));
}
