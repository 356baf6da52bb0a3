//! Rounds of `kill -9`, full disks, a PostgreSQL that dies, and slow sinks, under mixed load on one data folder: whatever the
//! vendor received has exactly one call in the books, no refusal that a caller was told is missing, and nothing was charged
//! below its true cost. `BURSAR_CRASH_ROUNDS` says how many rounds; a few by default.

mod common;
#[path = "crash/disk.rs"]
mod disk;
#[path = "crash/postgres.rs"]
mod postgres;
#[path = "crash/sinks.rs"]
mod sinks;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::books::{LEASES, admitted, agree, all_closed, by_trace, flagged, micro, number, rows, text};
use common::bursar::Key;
use common::client::{Ask, Failed, join_all, spawn_all};
use common::dice::Dice;
use common::house::House;
use common::{SOON, wait_for};
use serde_json::Value;
use tokio::task::JoinHandle;

const BUSY: &str = r#"
name = "busy"
vendors = ["openai", "stripe"]
fit = { floor = 100 }

[[allow]]
methods = ["POST"]
paths = ["/v1/chat/completions", "/v1/charges"]
[[allow]]
methods = ["GET"]
paths = ["/v1/models/*"]

[[budget]]
per = "agent"
limit = "100_000 USD"
[[budget]]
per = "agent"
limit = "1_000_000 calls"
"#;

const CALLERS: u64 = 10;

/// What callers were told: the call's id, and the answer's status.
type Told = Vec<(String, u16)>;

/// A policy said no.
const REFUSED: u16 = 403;

fn rounds() -> u64 {
    let said = std::env::var("BURSAR_CRASH_ROUNDS").ok();
    said.map_or(10, |n| n.parse().expect("BURSAR_CRASH_ROUNDS is a number"))
}

#[test]
fn the_books_survive_kills() {
    let mut house = House::new(&[BUSY]);
    let key = house.mint("busy", "worker");
    house.bursar.server.kill();
    let mut told = Told::new();
    let mut dice = Dice(2026);
    for round in 0..rounds() {
        told.extend(one_round(&mut house, &key, round, dice.between(1, 60)));
    }
    house.bursar.restart();
    the_books_are_right(&house, &key, &told);
}

/// Of a house that was under load and is served again.
fn the_books_are_right(house: &House, key: &Key, told: &Told) {
    let sums = all_closed(&house.bursar, &["--agent", "worker"], LEASES);
    let books = rows(&house.bursar, &["--agent", "worker"]);
    let (count, least) = (house.vendor.count(), 10 * rounds() as usize);
    assert!(count > least, "the load was {count} requests: too little to show anything");
    every_request_is_one_call(house, &books);
    every_answer_is_in_the_books(told, &books);
    the_accounts_are_whole(house, key, &books, &sums);
    println!("{} rounds: {count} requests at the vendor, {} rows, all agree", rounds(), books.len());
}

/// Load on a bursar that starts, and is killed once the vendor has received so many requests more.
fn one_round(house: &mut House, key: &Key, round: u64, requests: u64) -> Told {
    let load = Load::begin(house, key, round);
    house.bursar.restart();
    load.until(house, requests);
    load.end_with_a_kill(house)
}

/// Callers that go on whatever happens.
struct Load {
    over: Arc<AtomicBool>,
    callers: Vec<JoinHandle<Told>>,
    /// Requests at the vendor when it began.
    before: usize,
}

impl Load {
    fn begin(house: &House, key: &Key, round: u64) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let callers = (0..CALLERS).map(|n| caller(ask_of(key, Dice(round * 100 + n)), house.port(), over.clone()));
        Self { callers: spawn_all(callers), over, before: house.vendor.count() }
    }

    /// Waits until the vendor has received so many requests since the beginning.
    fn until(&self, house: &House, requests: u64) {
        wait_for("requests at the vendor", SOON, || {
            let received = house.vendor.count() - self.before >= usize::try_from(requests).expect("a count");
            (received || self.callers.iter().all(JoinHandle::is_finished)).then_some(())
        });
    }

    fn end_with_a_kill(self, house: &mut House) -> Told {
        self.over.store(true, Ordering::SeqCst);
        house.bursar.server.kill();
        self.end()
    }

    /// What its callers were told.
    fn end(self) -> Told {
        self.over.store(true, Ordering::SeqCst);
        join_all(self.callers).into_iter().flatten().collect()
    }
}

/// Calls as long as the round lasts, and keeps what it is told.
async fn caller(mut next: impl FnMut() -> Ask + Send, port: u16, over: Arc<AtomicBool>) -> Told {
    let mut told = Told::new();
    while !over.load(Ordering::SeqCst) {
        match next().send(port).await {
            // Not let in at all: the store was down, and there is no row.
            Ok(answer) if answer.status == 503 => {}
            Ok(answer) => told.extend(answer.call().map(|call| (call.to_owned(), answer.status))),
            Err(Failed::NotConnected(_)) => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(Failed::Broken(_)) => {}
        }
    }
    told
}

/// Plain chats and streams, with and without a limit; charges with and without a key of their own; reads; refusals.
fn ask_of(key: &Key, mut dice: Dice) -> impl FnMut() -> Ask + Send + use<> {
    let bearer = format!("Bearer {}", key.key);
    move || {
        let cents = dice.between(1, 5000);
        let ask = match dice.between(0, 12) {
            0..=2 => Ask::chat(Some(200)).mock("delay=3"),
            3 => Ask::chat(None).mock("delay=3 tokens=90"),
            4..=6 => Ask::stream(150).mock("events=8 every=4"),
            7 => Ask::charge(cents).mock("delay=2"),
            8 => {
                let ask = Ask::charge(cents).mock("delay=2");
                let order = format!("order-{}", ask.trace);
                ask.header("idempotency-key", &order)
            }
            9 => Ask::get(format!("/openai/v1/models/m{cents}")),
            10 => Ask::chat(Some(200)).mock("status=500"),
            _ => Ask::get("/openai/v1/files"),
        };
        ask.header("authorization", &bearer)
    }
}

fn every_request_is_one_call(house: &House, books: &[Value]) {
    let received = house.vendor.received();
    let flagged = agree(&received, books);
    assert!(flagged < received.len() / 2, "{flagged} of {} calls are flagged: most ends are known", received.len());
    let doubled = by_trace(books).into_iter().filter(|(trace, rows)| !trace.is_empty() && rows.len() > 1).count();
    assert_eq!(doubled, 0, "calls that stand twice in the books");
}

/// A whole answer is given only when the call is in the books: as admitted, or as denied.
fn every_answer_is_in_the_books(told: &Told, books: &[Value]) {
    let ids = |keep: fn(&Value) -> bool| {
        books.iter().filter(|row| keep(row)).map(|row| text(row, "call_id")).collect::<HashSet<_>>()
    };
    let (let_through, denied) = (ids(admitted), ids(|row| text(row, "verdict") == "deny"));
    assert!(!denied.is_empty(), "the load has refusals");
    for (call, status) in told {
        let there = if *status == REFUSED { denied.contains(&**call) } else { let_through.contains(&**call) };
        let rows = || books.iter().filter(|row| text(row, "call_id") == call).collect::<Vec<_>>();
        assert!(there, "call {call} was answered with {status}, and the books say {:?}", rows());
    }
}

fn the_accounts_are_whole(house: &House, key: &Key, books: &[Value], sums: &Value) {
    let cost: u64 = books.iter().map(|row| micro(&row["cost_usd"])).sum();
    let calls = books.iter().filter(|row| admitted(row)).count() as u64;
    assert_eq!((micro(&sums["cost_usd"]), number(sums, "calls")), (cost, calls));
    assert_eq!(number(sums, "flagged"), books.iter().filter(|row| flagged(row)).count() as u64);
    assert!(cost >= house.vendor.billed(), "{cost} in the books, and the vendor bills {}", house.vendor.billed());
    let told = house.myself(key);
    let budget = |at: usize, field: &str| told["budgets"][at][field].clone();
    assert_eq!((micro(&budget(0, "spent")), micro(&budget(0, "held"))), (cost, 0), "{told}");
    // A call that was given up before it left has spent none of the calls.
    let left = books.iter().filter(|row| admitted(row) && text(row, "outcome") != "refused").count();
    assert_eq!(budget(1, "spent"), Value::String(left.to_string()), "{told}");
}
