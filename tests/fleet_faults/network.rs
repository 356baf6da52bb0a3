//! The network between the nodes and Redis: broken for one node, for all, slow, and silent.

use std::time::Duration;

use super::load::{capped, meanwhile, ready, under_load};
use crate::common::bursar::Bursar;
use crate::common::cut::{Cut, Way};
use crate::common::fleet::{Fleet, audit, configuration};

/// Three nodes, each with a network of its own to Redis.
fn fleet() -> (Fleet, Vec<Cut>) {
    let mut fleet = Fleet::new(&[&capped()], 0);
    let cuts: Vec<Cut> = (0..3).map(|_| Cut::before(fleet.redis.port)).collect();
    for (n, cut) in cuts.iter().enumerate() {
        let config = configuration(&fleet.redis.url_at(cut.port), &audit(&fleet.postgres), "");
        fleet.nodes.push(Bursar::start(&fleet.folder(n), fleet.setup(n, &config)));
    }
    (fleet, cuts)
}

/// The others go on.
#[test]
fn one_node_is_cut_off() {
    let (mut fleet, cuts) = fleet();
    under_load(&mut fleet, |fleet, load| {
        cuts[0].refuse();
        load.serves(10);
        cuts[0].mend();
        fleet.nodes.iter().for_each(ready);
        load.serves(5);
    });
}

#[test]
fn every_connection_breaks_again_and_again() {
    let (mut fleet, cuts) = fleet();
    under_load(&mut fleet, |_, load| {
        for _ in 0..10 {
            cuts.iter().for_each(Cut::cut);
            meanwhile(Duration::from_millis(100));
        }
        load.serves(5);
    });
}

#[test]
fn a_slow_network() {
    let (mut fleet, cuts) = fleet();
    under_load(&mut fleet, |_, load| {
        cuts.iter().for_each(|cut| cut.delay(Way::ToClient, Duration::from_millis(40)));
        load.serves(20);
        cuts.iter().for_each(Cut::mend);
    });
}

/// Scripts run, and their answers never come: what was held without anybody's knowledge is given back or charged.
#[test]
fn answers_are_lost() {
    let (mut fleet, cuts) = fleet();
    under_load(&mut fleet, |fleet, load| {
        cuts[1].swallow(Way::ToClient);
        meanwhile(Duration::from_secs(2));
        cuts[1].mend();
        fleet.nodes.iter().for_each(ready);
        load.serves(5);
    });
}
