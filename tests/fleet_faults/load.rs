//! The load, and what must be true after it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinHandle;

use crate::common::books::{admitted, agree, all_closed, flagged, micro, rows};
use crate::common::bursar::{Bursar, Key};
use crate::common::client::{Ask, join_all, runtime, send_all, spawn_all};
use crate::common::fleet::Fleet;
use crate::common::house::pennies;
use crate::common::{SOON, http_get, wait_for};

/// Three hundred calls of a cent.
pub fn capped() -> String {
    pennies("capped", "3 USD", "")
}

const LIMIT: u64 = 300_000_000;
pub const LIMIT_OF_A_DOLLAR: u64 = 100_000_000;
/// Calls of one cent that it affords.
const AFFORDED: usize = 300;
/// Callers at once, and how long each waits between two calls.
const CALLERS: usize = 6;
/// Of what is left, so many calls at once.
const AT_ONCE: usize = 10;
const PAUSE: Duration = Duration::from_millis(120);

/// Callers that go on until they are stopped.
pub struct Load {
    stop: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
    callers: Vec<JoinHandle<()>>,
}

impl Load {
    pub fn start(fleet: &Fleet, key: &Key) -> Self {
        let (stop, served): (Arc<AtomicBool>, Arc<AtomicUsize>) = Default::default();
        let caller = |n: usize| {
            let (port, ask) = (fleet.port(n), Ask::chat(Some(100)).key(key).mock(&format!("delay={}", 10 + 15 * n)));
            let (stop, served) = (stop.clone(), served.clone());
            async move {
                while !stop.load(Ordering::SeqCst) {
                    let answer = ask.again().send(port).await;
                    served.fetch_add(usize::from(answer.is_ok_and(|a| a.status == 200)), Ordering::SeqCst);
                    tokio::time::sleep(PAUSE).await;
                }
            }
        };
        let callers = spawn_all((0..CALLERS).map(caller).collect::<Vec<_>>());
        Self { stop, served, callers }
    }

    /// Until so many more calls were served than now.
    pub fn serves(&self, more: usize) {
        let before = self.served();
        wait_for("calls to be served", 3 * SOON, || (self.served() >= before + more).then_some(()));
    }

    pub fn served(&self) -> usize {
        self.served.load(Ordering::SeqCst)
    }

    pub fn stop(self) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        join_all(self.callers);
        self.served.load(Ordering::SeqCst)
    }
}

/// Breaks something under load, and goes on until all is spent. Whoever breaks it mends it.
pub fn under_load(fleet: &mut Fleet, fault: impl FnOnce(&mut Fleet, &Load)) {
    let key = fleet.mint("capped", "eager");
    let load = Load::start(fleet, &key);
    load.serves(5);
    fault(fleet, &load);
    fleet.nodes.iter().for_each(ready);
    let served = load.stop();
    println!("{served} calls were served when it was over");
    spend_the_rest(fleet, &key);
    all_agree(fleet, &key);
}

pub fn ready(node: &Bursar) {
    let ready = || http_get(node.gateway, "/-/ready").is_some_and(|(status, _)| status == 200).then_some(());
    wait_for("a node to admit calls", 3 * SOON, ready);
}

fn spend_the_rest(fleet: &Fleet, key: &Key) {
    // Holds of what died come to their end first.
    all_closed(&fleet.nodes[0], &["--agent", "eager"], Duration::from_secs(60));
    let few = |n: usize| send_all(fleet.port(n), (0..AT_ONCE).map(|_| Ask::chat(Some(100)).key(key)).collect());
    let refused = |n: usize| few(n).iter().all(|a| a.status == 403).then_some(());
    for n in 0..3 {
        wait_for("everything to be spent", 3 * SOON, || refused(n));
    }
}

/// The vendor's count, the rows, the sums and the accounts.
fn all_agree(fleet: &Fleet, key: &Key) {
    all_closed(&fleet.nodes[0], &["--agent", "eager"], SOON);
    let rows = rows(&fleet.nodes[0], &["--agent", "eager"]);
    let through: Vec<Value> = rows.into_iter().filter(admitted).collect();
    let charged: u64 = through.iter().map(|row| micro(&row["cost_usd"])).sum();
    let bounds = through.iter().filter(|row| flagged(row)).count();
    println!("{} at the vendor, {} rows, {bounds} of them charged at their bound", fleet.vendor.count(), through.len());
    agree(&fleet.vendor.received(), &through);
    assert_eq!(charged, LIMIT, "all is spent, and no more");
    // A call that was charged at its bound may not have reached the vendor.
    assert!(fleet.vendor.count() <= AFFORDED && fleet.vendor.count() + bounds >= AFFORDED);
    same_everywhere(fleet, key, LIMIT);
}

/// Each node says that so much is spent and nothing is held, and accounts, rows and the chain agree.
pub fn same_everywhere(fleet: &Fleet, key: &Key, spent: u64) {
    for node in &fleet.nodes {
        // Slices that nobody uses go back after a second.
        wait_for("nothing to be held", SOON, || (left(node, key).1 == 0).then_some(()));
        assert_eq!(left(node, key), (spent, 0));
    }
    let checked = fleet.nodes[0].json(&["ledger", "check"]).swap_remove(0);
    assert_eq!(checked["differences"].as_array().map(Vec::len), Some(0), "{checked}");
    // Whoever writes the books signs what is exported.
    fleet.nodes[fleet.writer()].ok(&["audit", "verify"]);
}

/// Spent and held on the key's only budget, as this node says it.
fn left(node: &Bursar, key: &Key) -> (u64, u64) {
    let told = Ask::get("/bursar/v1/self").key(key).now(node.gateway);
    assert_eq!(told.status, 200, "{}", told.text());
    let budget = &told.json()["budgets"][0];
    (micro(&budget["spent"]), micro(&budget["held"]))
}

/// So long nothing is done, while the callers go on.
pub fn meanwhile(length: Duration) {
    runtime().block_on(async { tokio::time::sleep(length).await });
}
