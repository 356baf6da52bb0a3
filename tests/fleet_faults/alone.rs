//! Redis hangs, and policies let the nodes go on without it: from their slices, or without looking.

use std::time::Duration;

use serde_json::Value;

use super::load::{Load, meanwhile, ready, same_everywhere, under_load};
use crate::common::books::{admitted, agree, all_closed, micro, rows, text};
use crate::common::fleet::Fleet;
use crate::common::house::pennies;

/// Three hundred calls of a cent, from slices; and without Redis as `down` says.
fn going_on(down: &str) -> Fleet {
    let more = format!("lease = true\n\n[store_down]\nledger = \"{down}\"\nfor = \"60s\"");
    Fleet::new(&[&pennies("capped", "3 USD", &more)], 3)
}

/// For so long, and at least some calls go on.
fn hung(fleet: &Fleet, load: &Load, length: Duration) {
    fleet.redis.hang();
    let before = load.served();
    meanwhile(length);
    let alone = load.served() - before;
    println!("{alone} calls while redis hung");
    // Each of six callers may have had an answer on its way.
    assert!(alone > 6, "{alone}");
}

#[test]
fn hung_while_slices_last() {
    under_load(&mut going_on("leased"), |fleet, load| {
        load.serves(40);
        hung(fleet, load, Duration::from_secs(3));
        fleet.redis.go_on();
        fleet.nodes.iter().for_each(ready);
        load.serves(5);
    });
}

#[test]
fn hung_while_slices_last_and_a_node_is_killed() {
    under_load(&mut going_on("leased"), |fleet, load| {
        load.serves(40);
        hung(fleet, load, Duration::from_secs(2));
        fleet.nodes[1].server.kill();
        fleet.redis.go_on();
        fleet.nodes[1].restart();
        fleet.nodes.iter().for_each(ready);
        load.serves(5);
    });
}

/// What may be overspent is what was called in that time; every call has its row, which says so.
#[test]
fn hung_while_nobody_looks() {
    let fleet = going_on("open");
    let key = fleet.mint("capped", "eager");
    let load = Load::start(&fleet, &key);
    load.serves(20);
    hung(&fleet, &load, Duration::from_secs(3));
    fleet.redis.go_on();
    fleet.nodes.iter().for_each(ready);
    load.stop();
    all_closed(&fleet.nodes[0], &["--agent", "eager"], Duration::from_secs(60));
    let through: Vec<Value> = rows(&fleet.nodes[0], &["--agent", "eager"]).into_iter().filter(admitted).collect();
    agree(&fleet.vendor.received(), &through);
    let unlooked = through.iter().filter(|row| text(row, "reason").contains("without looking"));
    let unlooked: Vec<&Value> = unlooked.collect();
    println!("{} rows, {} of them without looking", through.len(), unlooked.len());
    assert!(unlooked.len() > 6 && unlooked.iter().all(|row| row["enforced"] == false), "{unlooked:?}");
    let charged = through.iter().map(|row| micro(&row["cost_usd"])).sum();
    same_everywhere(&fleet, &key, charged);
}
