//! Redis away, hung, or without what it had: calls are refused, the node says so and lives, and what it has lost is never taken
//! for nothing.

use std::time::{Duration, Instant};

use super::caps::{CAPPED, left};
use crate::common::books::settled;
use crate::common::bursar::{Bursar, Key};
use crate::common::client::Ask;
use crate::common::fleet::Fleet;
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
    let fleet = Fleet::new(&[CAPPED], 2);
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

#[test]
fn a_redis_that_lost_everything_admits_nothing_and_no_node_starts_on_it() {
    let mut fleet = Fleet::new(&[CAPPED], 2);
    let key = fleet.mint("capped", "eager");
    assert_eq!(fleet.call(0, &Ask::chat(Some(100)).key(&key)).status, 200);
    for node in &fleet.nodes {
        settled(node, &["--agent", "eager"], 1, SOON);
    }
    fleet.redis.restart_empty();
    is_closed(&fleet, &key);
    assert_eq!(fleet.vendor.count(), 1);
    assert_eq!(fleet.redis.must(&["keys", "*:meta"]), "", "nothing was made anew");
}
