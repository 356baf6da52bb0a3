//! Thirty times `kill -9` under mixed load, on one data folder: whatever the vendor received has exactly one call in the books,
//! no refusal that a caller was told is missing, and nothing was charged below its true cost. And a disk that is full.

mod common;

use std::collections::HashSet;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::books::{LEASES, admitted, agree, all_closed, by_trace, flagged, micro, number, rows, text};
use common::bursar::Key;
use common::client::{Ask, Failed, join_all, spawn_all};
use common::dice::Dice;
use common::house::House;
use common::{SOON, http_get, wait_for};
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

const ROUNDS: u64 = 30;
const CALLERS: u64 = 10;

/// What callers were told: the call's id, and whether it was refused.
type Told = Vec<(String, bool)>;

#[test]
fn the_books_survive_thirty_kills() {
    let mut house = House::new(&[BUSY]);
    let key = house.mint("busy", "worker");
    house.bursar.server.kill();
    let mut told = Told::new();
    let mut dice = Dice(2026);
    for round in 0..ROUNDS {
        told.extend(one_round(&mut house, &key, round, dice.between(1, 60)));
    }
    house.bursar.restart();
    let sums = all_closed(&house.bursar, &["--agent", "worker"], LEASES);
    let books = rows(&house.bursar, &["--agent", "worker"]);
    assert!(house.vendor.count() > 300, "the load was {} requests: too little to show anything", house.vendor.count());
    every_request_is_one_call(&house, &books);
    every_answer_is_in_the_books(&told, &books);
    the_accounts_are_whole(&house, &key, &books, &sums);
}

#[test]
fn nothing_leaves_when_the_books_cannot_be_written() {
    let mut house = House::new(&[BUSY]);
    let key = house.mint("busy", "worker");
    house.bursar.restart_with_log("/dev/null");
    fill_the_disk(&house, &key);
    files_may_grow_to(&house, "unlimited");
    wait_for("calls to be let through again", SOON, || {
        (house.call(&Ask::chat(Some(200)).key(&key)).status == 200).then_some(())
    });
    assert_eq!(http_get(house.port(), "/-/ready").map(|(status, _)| status), Some(200));
    fill_the_disk(&house, &key);
    house.crash();
    all_closed(&house.bursar, &["--agent", "worker"], LEASES);
    agree(&house.vendor.received(), &rows(&house.bursar, &["--agent", "worker"]));
}

/// Calls until one is refused because its row cannot be written. None of those that are refused reaches the vendor.
fn fill_the_disk(house: &House, key: &Key) {
    let journal = fs::read_dir(house.bursar.data.join("journal")).expect("a journal").flatten();
    let size = journal.filter_map(|file| file.metadata().ok()).map(|m| m.len()).max().expect("a file");
    files_may_grow_to(house, &(size + 4000).to_string());
    let (before, mut served) = (house.vendor.count(), 0);
    let refused = (0..100).find_map(|_| {
        let answer = house.call(&Ask::chat(Some(200)).key(key));
        served += usize::from(answer.status == 200);
        (answer.status != 200).then_some(answer)
    });
    let refused = refused.expect("a full disk refuses calls");
    assert_eq!(refused.said(), (503, "store_down".to_owned()));
    assert_eq!(house.vendor.count() - before, served);
    assert_eq!(http_get(house.port(), "/-/ready").map(|(status, _)| status), Some(503));
}

fn files_may_grow_to(house: &House, bytes: &str) {
    let pid = house.bursar.server.id().to_string();
    let done = Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={bytes}:")]).status();
    assert!(done.is_ok_and(|status| status.success()), "the limit cannot be set");
}

/// Load on a bursar that starts, and is killed once the vendor has received so many requests more.
fn one_round(house: &mut House, key: &Key, round: u64, requests: u64) -> Told {
    let over = Arc::new(AtomicBool::new(false));
    let callers = (0..CALLERS).map(|n| caller(ask_of(key, Dice(round * 100 + n)), house.port(), over.clone()));
    let callers = spawn_all(callers);
    let before = house.vendor.count();
    house.bursar.restart();
    wait_for("requests at the vendor", SOON, || {
        let received = house.vendor.count() - before >= usize::try_from(requests).expect("a count");
        (received || callers.iter().all(JoinHandle::is_finished)).then_some(())
    });
    over.store(true, Ordering::SeqCst);
    house.bursar.server.kill();
    join_all(callers).into_iter().flatten().collect()
}

/// Calls as long as the round lasts, and keeps what it is told.
async fn caller(mut next: impl FnMut() -> Ask + Send, port: u16, over: Arc<AtomicBool>) -> Told {
    let mut told = Told::new();
    while !over.load(Ordering::SeqCst) {
        match next().send(port).await {
            Ok(answer) => told.extend(answer.call().map(|call| (call.to_owned(), answer.status == 403))),
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
    for (call, refused) in told {
        let there = if *refused { denied.contains(&**call) } else { let_through.contains(&**call) };
        assert!(there, "call {call} was answered (refused: {refused}), and is not in the books");
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
