//! Redis away, hung, or without what it had: calls are refused, the node says so and lives, and what it has lost is never taken
//! for nothing.

use std::time::{Duration, Instant};

use super::caps::left;
use crate::common::books::settled;
use crate::common::bursar::{Bursar, Key};
use crate::common::client::Ask;
use crate::common::cut::{Cut, Way};
use crate::common::fleet::{Fleet, configuration};
use crate::common::house::a_dollar;
use crate::common::{SOON, http_get, wait_for};

fn status(node: &Bursar, path: &str) -> u16 {
    http_get(node.gateway, path).map_or(0, |(status, _)| status)
}

fn is_closed(fleet: &Fleet, key: &Key) {
    for node in &fleet.nodes {
        let began = Instant::now();
        let refused = Ask::chat(Some(100)).key(key).now(node.gateway);
        assert_eq!(refused.status, 503, "{}", refused.text());
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        wait_for("a node to say that it is not ready", SOON, || (status(node, "/-/ready") == 503).then_some(()));
        assert_eq!(status(node, "/-/live"), 200);
    }
}

#[test]
fn while_redis_hangs_calls_are_refused_and_then_go_on() {
    let fleet = Fleet::ledger(&[&a_dollar()], 2, "patience = \"1s\"");
    let key = fleet.mint("capped", "eager");
    assert_eq!(fleet.call(0, &Ask::chat(Some(100)).key(&key)).status, 200);
    settled(&fleet.nodes[1], &["--agent", "eager"], 1, SOON);
    fleet.redis.hang();
    is_closed(&fleet, &key);
    let seen = fleet.vendor.count();
    assert_eq!(seen, 1);
    fleet.redis.go_on();
    for node in &fleet.nodes {
        wait_for("a node to be ready again", SOON, || (status(node, "/-/ready") == 200).then_some(()));
    }
    assert_eq!(fleet.call(1, &Ask::chat(Some(100)).key(&key)).status, 200);
    // What the refused calls may have held is given back.
    for node in &fleet.nodes {
        wait_for("nothing to be held", SOON, || (left(node, &key) == (2_000_000, 0)).then_some(()));
    }
}

const FAR: Duration = Duration::from_millis(150);

/// The second round trip is nobody's to wait for, and yet no row is lost.
#[test]
fn a_call_waits_for_a_redis_that_is_far_away_once() {
    let fleet = Fleet::new(&[&a_dollar()], 0);
    let network = Cut::before(fleet.redis.port);
    let far = configuration(&fleet.redis.url_at(network.port), "store = \"sqlite\"", "");
    let node = Bursar::start(&fleet.folder(0), fleet.setup(0, &far));
    let key = node.mint("capped", "eager", &[]);
    let ask = Ask::chat(Some(100)).key(&key);
    assert_eq!(ask.now(node.gateway).status, 200);
    network.delay(Way::ToServer, FAR);
    let mut took: Vec<Duration> = Vec::new();
    for _ in 0..8 {
        let began = Instant::now();
        let answer = ask.again().now(node.gateway);
        took.push(began.elapsed());
        assert_eq!((answer.status, answer.header("x-bursar-cost-usd")), (200, Some("0.01")));
    }
    took.sort();
    println!("Redis is {FAR:?} away: a call takes {:?} to {:?}", took[0], took[7]);
    assert!((FAR..FAR * 2).contains(&took[0]), "{took:?}");
    settled(&node, &["--agent", "eager"], 9, SOON);
    wait_for("nothing to be held", SOON, || (left(&node, &key) == (9_000_000, 0)).then_some(()));
}
