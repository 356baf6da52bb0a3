//! Four hundred calls of a cent on one dollar, over three nodes, with something breaking in the middle: a hundred, whatever it is.
//! Callers ask again when they are told to, as the SDKs do.

use std::time::Duration;

use serde_json::Value;

use super::load::{LIMIT_OF_A_DOLLAR, ready, same_everywhere};
use super::servers::{LEDGER, fleet_on, keeping_all};
use crate::common::books::{admitted, agree, all_closed, flagged, micro, rows};
use crate::common::bursar::Key;
use crate::common::client::{Ask, join_all, spawn_all};
use crate::common::fleet::Fleet;
use crate::common::house::a_dollar;
use crate::common::redis::{Cluster, Watched};

const CALLS: usize = 400;
const APART: Duration = Duration::from_millis(6);
/// How often a caller asks again, and how long it waits in between.
const TRIES: usize = 60;
const RETRY: Duration = Duration::from_millis(500);

/// The last status that a caller saw; 0 where its connection broke.
async fn insist(ask: Ask, port: u16, after: Duration) -> u16 {
    tokio::time::sleep(after).await;
    for _ in 1..TRIES {
        match ask.again().send(port).await.map(|a| a.status) {
            Ok(503) => tokio::time::sleep(RETRY).await,
            Ok(status) => return status,
            Err(_) => return 0,
        }
    }
    503
}

fn a_hundred(fleet: &mut Fleet, fault: impl FnOnce(&mut Fleet)) {
    let key = fleet.mint("capped", "eager");
    let ask = |n: usize| Ask::chat(Some(100)).key(&key).mock(&format!("delay={}", 20 + n % 150));
    let calls = (0..CALLS).map(|n| insist(ask(n), fleet.port(n), APART * n as u32));
    let callers = spawn_all(calls.collect::<Vec<_>>());
    fleet.vendor.wait_for_count(30, crate::common::SOON);
    fault(fleet);
    let statuses = join_all(callers);
    fleet.nodes.iter().for_each(ready);
    let served = statuses.iter().filter(|s| **s == 200).count();
    let broken = statuses.iter().filter(|s| **s == 0).count();
    println!("{served} served, {broken} broken, {} reached the vendor", fleet.vendor.count());
    the_books_say_a_hundred(fleet, &key);
    assert!(served <= 100 && served + broken >= 100, "{statuses:?}");
}

fn the_books_say_a_hundred(fleet: &Fleet, key: &Key) {
    all_closed(&fleet.nodes[0], &["--agent", "eager"], Duration::from_secs(60));
    let through: Vec<Value> = rows(&fleet.nodes[0], &["--agent", "eager"]).into_iter().filter(admitted).collect();
    agree(&fleet.vendor.received(), &through);
    let charged: u64 = through.iter().map(|row| micro(&row["cost_usd"])).sum();
    let bounds = through.iter().filter(|row| flagged(row)).count();
    println!("{} rows, {bounds} of them charged at their bound", through.len());
    assert_eq!(charged, LIMIT_OF_A_DOLLAR);
    assert!(fleet.vendor.count() <= 100 && fleet.vendor.count() + bounds >= 100);
    same_everywhere(fleet, key, LIMIT_OF_A_DOLLAR);
}

#[test]
fn a_hundred_although_a_node_is_killed() {
    a_hundred(&mut Fleet::new(&[&a_dollar()], 3), |fleet| {
        fleet.nodes[1].server.kill();
        fleet.nodes[1].restart();
    });
}

#[test]
fn a_hundred_although_redis_is_started_again_without_data() {
    a_hundred(&mut Fleet::new(&[&a_dollar()], 3), |fleet| fleet.redis.restart_empty());
}

#[test]
fn a_hundred_although_redis_is_started_again() {
    a_hundred(&mut keeping_all(Fleet::new(&[&a_dollar()], 3)), |fleet| fleet.redis.restart());
}

#[test]
fn a_hundred_although_redis_fails_over() {
    let mut watched = Watched::start();
    let mut fleet = fleet_on(&watched.url(), &a_dollar());
    a_hundred(&mut fleet, |_| {
        watched.servers[0].kill();
        watched.wait_for_primary(1);
    });
}

#[test]
fn a_hundred_although_a_cluster_fails_over() {
    let mut cluster = Cluster::start();
    let mut fleet = fleet_on(&cluster.url(), &a_dollar());
    a_hundred(&mut fleet, |_| {
        cluster.kill_primary_of(LEDGER);
    });
}
