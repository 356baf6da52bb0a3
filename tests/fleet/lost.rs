//! Redis comes back with less than it had acknowledged: empty, or as it was a while ago. What was spent, what is held and what
//! is switched off is put back before any call is admitted, and no row is lost or doubled.

use std::time::Instant;

use serde_json::Value;

use super::caps::{USD, left};
use crate::common::books::{admitted, agree, micro, settled, spend};
use crate::common::bursar::Key;
use crate::common::client::{Ask, join_all, spawn_all};
use crate::common::fleet::Fleet;
use crate::common::house::a_dollar;
use crate::common::redis::Redis;
use crate::common::{SOON, http_get, wait_for};

/// A cent.
const CALL: u64 = USD / 100;

pub fn ask(key: &Key) -> Ask {
    Ask::chat(Some(100)).key(key)
}

pub fn making(fleet: &Fleet) -> Option<String> {
    fleet.redis.cli(&["hget", "{bursar}:meta", "epoch"]).filter(|epoch| !epoch.is_empty() && !epoch.ends_with('!'))
}

/// Does that to Redis, and waits until all nodes admit calls again.
pub fn lose(fleet: &mut Fleet, what: impl FnOnce(&mut Redis)) {
    let before = making(fleet).expect("a ledger");
    what(&mut fleet.redis);
    let began = Instant::now();
    let begun_anew = || making(fleet).filter(|epoch| *epoch != before).map(drop);
    wait_for("the ledger to be put back", 3 * SOON, begun_anew);
    for node in &fleet.nodes {
        let ready = || http_get(node.gateway, "/-/ready").is_some_and(|(status, _)| status == 200).then_some(());
        wait_for("a node to admit calls", SOON, ready);
    }
    println!("whole again after {:?}", began.elapsed());
}

/// The vendor's count, the rows, the sums and the accounts say the same on every node.
pub fn all_agree(fleet: &Fleet, key: &Key, calls: usize) {
    accounts_agree(fleet, key, calls);
    fleet.nodes[fleet.writer()].ok(&["audit", "verify"]);
}

/// The same, whoever signed.
pub fn accounts_agree(fleet: &Fleet, key: &Key, calls: usize) {
    for node in &fleet.nodes {
        let rows = settled(node, &["--agent", "eager"], calls, SOON);
        let through: Vec<Value> = rows.iter().filter(|row| admitted(row)).cloned().collect();
        assert_eq!(agree(&fleet.vendor.received(), &through), 0);
        let spent = micro(&spend(node, &["--agent", "eager"])["cost_usd"]);
        assert_eq!(left(node, key), (spent, 0));
    }
    let checked = fleet.nodes[0].json(&["ledger", "check"]).swap_remove(0);
    assert_eq!(checked["differences"].as_array().map(Vec::len), Some(0), "{checked}");
}

#[test]
fn what_an_emptied_redis_had_is_put_back() {
    let mut fleet = Fleet::new(&[&a_dollar()], 3);
    let (key, stopped) = (fleet.mint("capped", "eager"), fleet.mint("capped", "stopped"));
    for n in 0..6 {
        assert_eq!(fleet.call(n % 3, &ask(&key)).status, 200);
    }
    fleet.nodes[1].ok(&["kill", "--agent", "stopped"]);
    for node in &fleet.nodes {
        settled(node, &["--agent", "eager"], 6, SOON);
    }
    lose(&mut fleet, Redis::restart_empty);
    let told = |log: &str| {
        log.contains("the ledger was put back from the books and the nodes") && log.contains("loaded.flags=1")
    };
    assert!(fleet.nodes.iter().any(|node| told(&node.server.output())), "whoever put it back says what");
    for node in &fleet.nodes {
        assert_eq!(left(node, &key), (6 * CALL, 0));
        assert_eq!(ask(&stopped).now(node.gateway).status, 403);
    }
    assert_eq!(fleet.redis.must(&["scard", "{bursar}:flags"]), "1");
    assert_eq!(fleet.call(2, &ask(&key)).status, 200);
    all_agree(&fleet, &key, 7);
}

#[test]
fn what_an_old_copy_lacks_is_put_back() {
    let mut fleet = Fleet::new(&[&a_dollar()], 2);
    let key = fleet.mint("capped", "eager");
    assert_eq!(fleet.call(0, &ask(&key)).status, 200);
    let early = fleet.redis.snapshot();
    for n in 0..4 {
        assert_eq!(fleet.call(n % 2, &ask(&key)).status, 200);
    }
    lose(&mut fleet, |redis| redis.restart_from(&early));
    assert_eq!(fleet.call(1, &ask(&key)).status, 200);
    all_agree(&fleet, &key, 6);
}

/// Also where no node lived to see it.
#[test]
fn a_start_puts_back_what_is_lost() {
    let mut fleet = Fleet::new(&[&a_dollar()], 1);
    let key = fleet.mint("capped", "eager");
    for _ in 0..3 {
        assert_eq!(fleet.call(0, &ask(&key)).status, 200);
    }
    settled(&fleet.nodes[0], &["--agent", "eager"], 3, SOON);
    fleet.nodes[0].server.kill();
    fleet.redis.restart_empty();
    fleet.nodes[0].restart();
    assert_eq!(left(&fleet.nodes[0], &key), (3 * CALL, 0));
    all_agree(&fleet, &key, 3);
}

/// A hundred calls of a dollar, whatever Redis forgets in the middle: calls in flight end with what they cost, and nothing is
/// spent twice.
#[test]
fn the_cap_holds_over_a_redis_that_forgets_under_load() {
    let mut fleet = Fleet::patient(&[&a_dollar()], 3, "");
    let key = fleet.mint("capped", "eager");
    let crowd = |many: usize| {
        let asks = (0..many).map(|n| (n, ask(&key).mock(&format!("delay={}", 20 + n % 200))));
        asks.map(|(n, ask)| ask.send(fleet.port(n))).collect::<Vec<_>>()
    };
    let first = spawn_all(crowd(60));
    fleet.vendor.wait_for_count(20, SOON);
    lose(&mut fleet, Redis::restart_empty);
    let answers = join_all(first);
    let asks = (0..200).map(|n| (n, ask(&key)));
    let second = join_all(spawn_all(asks.map(|(n, ask)| ask.send(fleet.port(n)))));
    let all: Vec<_> = answers.iter().chain(&second).flatten().collect();
    let served = all.iter().filter(|a| a.status == 200).count();
    println!("{served} served, {} reached the vendor", fleet.vendor.count());
    assert_eq!(fleet.vendor.count(), 100);
    all_agree(&fleet, &key, all.len());
}
