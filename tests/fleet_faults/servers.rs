//! Redis itself: killed, hung, emptied, put back from an old copy, failed over, without its scripts, without memory, read-only.

use std::time::Duration;

use super::load::{Load, capped, meanwhile, ready, under_load};
use crate::common::bursar::Bursar;
use crate::common::fleet::{Fleet, audit, patient_configuration};
use crate::common::redis::{Cluster, Redis, Watched};
use crate::common::{SOON, wait_for};

/// A key of the ledger: all of them lie together.
pub const LEDGER: &str = "{bursar}:meta";

fn fleet() -> Fleet {
    Fleet::new(&[&capped()], 3)
}

/// Three nodes on another Redis than the fleet's own.
pub fn fleet_on(url: &str, policy: &str) -> Fleet {
    let mut fleet = Fleet::new(&[policy], 0);
    let config = patient_configuration(url, &audit(&fleet.postgres));
    for n in 0..3 {
        fleet.nodes.push(Bursar::start(&fleet.folder(n), fleet.setup(n, &config)));
    }
    fleet
}

/// Redis keeps whatever it acknowledges.
pub fn keeping_all(fleet: Fleet) -> Fleet {
    fleet.redis.must(&["config", "set", "appendonly", "yes"]);
    fleet.redis.must(&["config", "set", "appendfsync", "always"]);
    let saved = || fleet.redis.info("aof_rewrite_in_progress").filter(|n| n == "0").map(drop);
    wait_for("the log to be begun", SOON, saved);
    fleet
}

#[test]
fn killed_and_started_again_with_its_data() {
    let mut fleet = keeping_all(fleet());
    under_load(&mut fleet, |fleet, load| {
        fleet.redis.restart();
        fleet.nodes.iter().for_each(ready);
        load.serves(5);
    });
}

#[test]
fn hung_for_a_while() {
    under_load(&mut fleet(), |fleet, load| {
        fleet.redis.hang();
        let before = load.served();
        meanwhile(Duration::from_secs(2));
        assert!(load.served() <= before + 6, "what was under way may end; nothing begins");
        fleet.redis.go_on();
        fleet.nodes.iter().for_each(ready);
        load.serves(5);
    });
}

#[test]
fn started_again_without_data() {
    under_load(&mut fleet(), |fleet, load| {
        fleet.redis.restart_empty();
        load.serves(5);
    });
}

#[test]
fn started_again_from_an_old_copy() {
    under_load(&mut fleet(), |fleet, load| {
        let early = fleet.redis.snapshot();
        load.serves(10);
        fleet.redis.restart_from(&early);
        load.serves(5);
    });
}

/// The replica may lack what was acknowledged last: that is put back from the nodes.
#[test]
fn failed_over_to_its_replica() {
    let mut watched = Watched::start();
    let mut fleet = fleet_on(&watched.url(), &capped());
    under_load(&mut fleet, |_, load| {
        watched.servers[0].kill();
        watched.wait_for_primary(1);
        load.serves(5);
    });
}

/// It had missed what was written last, and all of that is put back.
#[test]
fn failed_over_to_a_replica_that_lacks_the_last_writes() {
    const EPOCH: [&str; 3] = ["hget", "{bursar}:meta", "epoch"];
    let mut watched = Watched::start();
    let mut fleet = fleet_on(&watched.url(), &capped());
    under_load(&mut fleet, |_, load| {
        // The sentinels would mend that after five seconds.
        watched.servers[1].must(&["replicaof", "127.0.0.1", "1"]);
        load.serves(12);
        let before = watched.servers[0].must(&EPOCH);
        watched.servers[0].kill();
        watched.wait_for_primary(1);
        load.serves(10);
        assert_ne!(watched.servers[1].must(&EPOCH), before, "the ledger was begun anew");
    });
}

/// The same in a cluster of three primaries; the one that comes back follows its heir.
#[test]
fn failed_over_in_a_cluster() {
    let mut cluster = Cluster::start();
    let mut fleet = fleet_on(&cluster.url(), &capped());
    under_load(&mut fleet, |_, load| {
        let killed = cluster.kill_primary_of(LEDGER);
        load.serves(10);
        cluster.servers[killed].restart();
        load.serves(5);
    });
}

#[test]
fn its_scripts_forgotten_again_and_again() {
    under_load(&mut fleet(), |fleet, load| {
        for _ in 0..20 {
            fleet.redis.must(&["script", "flush"]);
            meanwhile(Duration::from_millis(20));
        }
        load.serves(5);
    });
}

/// Ends of calls and revocations go through; new calls do not.
#[test]
fn out_of_memory() {
    under_load(&mut fleet(), |fleet, load| {
        fleet.redis.must(&["config", "set", "maxmemory", "1"]);
        let before = load.served();
        meanwhile(Duration::from_secs(1));
        assert!(load.served() <= before + 6, "what was under way may end; nothing begins");
        fleet.redis.must(&["config", "set", "maxmemory", "0"]);
        load.serves(5);
    });
}

#[test]
fn made_a_read_only_replica_and_a_primary_again() {
    let other = Redis::start();
    under_load(&mut fleet(), |fleet, load| read_only(fleet, load, &other));
}

fn read_only(fleet: &Fleet, load: &Load, other: &Redis) {
    // Of a primary that is down, so that it keeps its data and takes no write.
    other.hang();
    fleet.redis.must(&["replicaof", "127.0.0.1", &other.port.to_string()]);
    let before = load.served();
    meanwhile(Duration::from_secs(1));
    assert!(load.served() <= before + 6, "what was under way may end; nothing begins");
    fleet.redis.must(&["replicaof", "no", "one"]);
    other.go_on();
    load.serves(5);
}
