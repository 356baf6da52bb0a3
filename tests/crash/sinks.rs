//! Sinks that are slow, refuse or are away, while bursar is killed under load: each sees every event in order, at least once.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{BUSY, Load, Told, rounds, the_books_are_right};
use crate::common::books::number;
use crate::common::dice::Dice;
use crate::common::house::House;
use crate::common::sinkhole::Sinkhole;
use crate::common::{SOON, wait_for};

#[test]
fn slow_sinks_and_kills_lose_nothing() {
    let mut hook = Sinkhole::start();
    let sink = format!(
        "[[sink]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"http://127.0.0.1:{}/in\"\nsecret = \"env:TEST_STRIPE\"\nbatch = 100\n",
        hook.port
    );
    let mut house = House::with(&[BUSY], |_| sink);
    let key = house.mint("busy", "worker");
    house.bursar.server.kill();
    let (mut told, mut dice) = (Told::new(), Dice(77));
    for round in 0..rounds() {
        let fault = dice.between(0, 3);
        match fault {
            0 => hook.slow(Duration::from_millis(dice.between(1, 400))),
            1 => hook.answers(500),
            2 => hook.away(),
            _ => {}
        }
        let load = Load::begin(&house, &key, round);
        let tried = hook.tried();
        house.bursar.restart();
        load.until(&house, dice.between(1, 60));
        if fault != 2 {
            // Killed while the sink is at work, not before.
            wait_for("a delivery", SOON, || (hook.tried() > tried).then_some(()));
        }
        told.extend(load.end_with_a_kill(&mut house));
        hook.slow(Duration::ZERO);
        hook.answers(200);
        hook.away();
        hook.back();
    }
    house.bursar.restart();
    the_books_are_right(&house, &key, &told);
    wait_for("the sink to have everything", SOON, || {
        let said = house.bursar.admin("/v1/status");
        (said["sinks"][0]["behind"] == 0 && said["books_behind"] == 0).then_some(())
    });
    let all: Vec<u64> = house.bursar.json(&["audit", "tail", "--from", "1"]).iter().map(|e| number(e, "seq")).collect();
    let (mut known, events) = (BTreeSet::new(), hook.events());
    let first: Vec<u64> = events.iter().map(|e| number(e, "seq")).filter(|seq| known.insert(*seq)).collect();
    assert!(first == all, "the sink saw {} events of {} in order", first.len(), all.len());
    println!("{} events, {} of them repeated", all.len(), events.len() - all.len());
}
