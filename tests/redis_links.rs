//! The ledger on every kind of Redis, and on one that breaks: plain, TLS, passwords, sockets, Sentinel, Cluster, Valkey.

mod common;

use common::redis::{Cluster, Redis, Watched};

#[test]
fn the_harness_starts_each_kind_and_survives_what_is_done_to_it() {
    let mut redis = Redis::durable();
    redis.must(&["set", "a", "1"]);
    let old = redis.snapshot();
    redis.must(&["set", "a", "2"]);
    redis.restart();
    assert_eq!(redis.must(&["get", "a"]), "2");
    redis.restart_from(&old);
    assert_eq!(redis.must(&["get", "a"]), "1");
    redis.restart_empty();
    assert_eq!(redis.must(&["get", "a"]), "");
    assert_eq!(Redis::with_tls().must(&["ping"]), "PONG");
    assert_eq!(Redis::with_password("hunter2").must(&["ping"]), "PONG");
    let watched = Watched::start();
    assert_eq!(watched.primary(), Some(0));
    let cluster = Cluster::start();
    assert!(cluster.primary_of("{bursar}:meta").is_some());
    println!("{} {}", watched.url(), cluster.url());
}
