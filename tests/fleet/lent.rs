//! Nodes that spend alone, when Redis forgets what it had lent them, and when it is away: the cap, the books, the emergency stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::caps::{USD, left};
use super::half::{CALL, ready};
use super::lost::{lose, making};
use crate::common::books::{admitted, agree, all_closed, micro, rows, spend};
use crate::common::bursar::Key;
use crate::common::client::{Ask, join_all, send_all, spawn_all};
use crate::common::fleet::Fleet;
use crate::common::house::pennies;
use crate::common::redis::Redis;
use crate::common::{SOON, wait_for};

fn ask(key: &Key) -> Ask {
    Ask::chat(Some(100)).key(key)
}

/// How many slices nodes have of accounts, as Redis says it.
fn slices(fleet: &Fleet) -> usize {
    let fields = fleet.redis.cli(&["hkeys", "{bursar}:slices"]).unwrap_or_default();
    fields.lines().filter(|field| !field.starts_with(['#', '@', '!', '+']) && field.contains("usd")).count()
}

/// Callers on every node, one call after the other, until they are stopped.
fn load(fleet: &Fleet, key: &Key, stop: &Arc<AtomicBool>) -> Vec<tokio::task::JoinHandle<()>> {
    let caller = |n: usize| {
        let (port, ask, stop) = (fleet.port(n), ask(key).mock(&format!("delay={}", 5 + 10 * n)), stop.clone());
        async move {
            while !stop.load(Ordering::SeqCst) {
                let _ = ask.again().send(port).await;
                tokio::time::sleep(Duration::from_millis(60)).await;
            }
        }
    };
    spawn_all((0..3).map(caller).collect::<Vec<_>>())
}

fn spend_the_rest(fleet: &Fleet, key: &Key) {
    let spent = |n: usize| {
        let answers = send_all(fleet.port(n), (0..6).map(|_| ask(key)).collect());
        answers.iter().all(|a| a.code() == "budget_spent").then_some(())
    };
    (0..fleet.nodes.len()).for_each(|n| wait_for("everything to be spent", 3 * SOON, || spent(n)));
}

fn all_is_spent_once(fleet: &Fleet, key: &Key) {
    spend_the_rest(fleet, key);
    all_closed(&fleet.nodes[0], &["--agent", "eager"], 60 * Duration::from_secs(1));
    let through: Vec<Value> = rows(&fleet.nodes[0], &["--agent", "eager"]).into_iter().filter(admitted).collect();
    let charged: u64 = through.iter().map(|row| micro(&row["cost_usd"])).sum();
    println!("{} at the vendor, {} rows, {charged} charged", fleet.vendor.count(), through.len());
    agree(&fleet.vendor.received(), &through);
    assert_eq!(charged, USD, "all is spent, and no more");
    assert!(fleet.vendor.count() <= 100);
    for node in &fleet.nodes {
        assert_eq!(micro(&spend(node, &["--agent", "eager"])["cost_usd"]), USD);
        wait_for("nothing to be held", SOON, || (left(node, key) == (USD, 0)).then_some(()));
    }
    let checked = fleet.nodes[0].json(&["ledger", "check"]).swap_remove(0);
    assert_eq!(checked["differences"].as_array().map(Vec::len), Some(0), "{checked}");
    fleet.nodes[0].ok(&["audit", "verify"]);
}

#[test]
fn the_cap_holds_over_a_redis_that_forgets_what_it_lent() {
    let mut fleet = Fleet::patient(&[&pennies("lent", "1 USD", "lease = true")], 3, "");
    let key = fleet.mint("lent", "eager");
    let stop = Arc::new(AtomicBool::new(false));
    let callers = load(&fleet, &key, &stop);
    wait_for("nodes to be lent something", SOON, || (slices(&fleet) >= 2 && fleet.vendor.count() > 12).then_some(()));
    println!("{} slices, {} calls, and Redis forgets", slices(&fleet), fleet.vendor.count());
    lose(&mut fleet, Redis::restart_empty);
    println!("{} slices, {} calls when it is whole again", slices(&fleet), fleet.vendor.count());
    stop.store(true, Ordering::SeqCst);
    join_all(callers);
    all_is_spent_once(&fleet, &key);
}

/// What it spent alone nobody knows, and what it was lent is known to Redis alone: others may not have it.
#[test]
fn what_a_dead_node_was_lent_stays_held_although_the_ledger_is_put_back() {
    let alone = pennies("lent", "1 USD", "lease = true\n\n[store_down]\nledger = \"leased\"\nfor = \"60s\"");
    let mut fleet = Fleet::patient(&[&alone], 2, "");
    let key = fleet.mint("lent", "eager");
    wait_for("a slice", SOON, || {
        assert_eq!(fleet.call(1, &ask(&key)).status, 200);
        (slices(&fleet) > 0).then_some(())
    });
    fleet.redis.hang();
    let serves = || (fleet.call(1, &ask(&key)).status == 200).then_some(());
    wait_for("a call from the slice", SOON, serves);
    fleet.nodes[1].server.kill();
    fleet.redis.go_on();
    let before = making(&fleet).expect("a ledger");
    fleet.redis.must(&["hset", "{bursar}:meta", "epoch", &format!("{before}?")]);
    wait_for("the ledger to be put back", 3 * SOON, || {
        making(&fleet).filter(|now| !now.starts_with(&before)).map(drop)
    });
    ready(&fleet.nodes[0]);
    assert!(slices(&fleet) > 0, "it is still lent");
    let (spent, held) = wait_for("the other node to have spent all that is left", SOON, || {
        let refused = fleet.call(0, &ask(&key)).status != 200;
        let (spent, held) = left(&fleet.nodes[0], &key);
        // Less than a call may be left.
        (refused && spent + held > USD - CALL).then_some((spent, held))
    });
    println!("{spent} spent, {held} held for the node that is dead");
    assert!(held > 0);
    fleet.nodes[1].restart();
    all_is_spent_once(&fleet, &key);
}

#[test]
fn a_stop_that_redis_does_not_hear_holds_on_its_own_node() {
    let alone = pennies("alone", "100 USD", "lease = true\n\n[store_down]\nledger = \"leased\"\nfor = \"60s\"");
    let mut fleet = Fleet::new(&[&alone], 1);
    let key = fleet.mint("alone", "eager");
    wait_for("a slice", SOON, || {
        assert_eq!(fleet.call(0, &ask(&key)).status, 200);
        (slices(&fleet) > 0).then_some(())
    });
    // What only Redis and this process know dies with both.
    let known = || rows(&fleet.nodes[0], &["--agent", "eager"]).len() == fleet.vendor.count();
    wait_for("the books to have it all", SOON, || known().then_some(()));
    fleet.redis.kill();
    let serves = || (fleet.call(0, &ask(&key)).status == 200).then_some(());
    wait_for("a call from the slice", SOON, serves);
    let said = fleet.nodes[0].cli(&["kill", "--agent", "eager", "--reason", "it runs away"]);
    println!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    let answer = fleet.call(0, &ask(&key));
    assert_eq!(answer.status, 403, "{}", answer.text());
    let before = fleet.vendor.count();
    // It is on this node's own disk.
    fleet.nodes[0].server.kill();
    fleet.redis.restart();
    fleet.nodes[0].restart();
    let flags = || fleet.redis.cli(&["scard", "{bursar}:flags"]).unwrap_or_default();
    let whole = || fleet.call(0, &ask(&key)).status == 403 && flags() == "1";
    wait_for("the ledger to know of the stop", 3 * SOON, || whole().then_some(()));
    assert_eq!(fleet.vendor.count(), before, "nothing went through meanwhile");
    let through = || rows(&fleet.nodes[0], &["--agent", "eager"]).into_iter().filter(admitted).collect::<Vec<_>>();
    wait_for("every call to be told", SOON, || (through().len() == before).then_some(()));
    all_closed(&fleet.nodes[0], &["--agent", "eager"], SOON);
    agree(&fleet.vendor.received(), &through());
}
