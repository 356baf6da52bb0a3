//! A ledger that is put back, and something more goes wrong: a node that starts in the middle, one that dies in the middle, one
//! that comes late when others have its numbers, a step that two know of.

use super::caps::{USD, left};
use super::lost::{accounts_agree, all_agree, ask, making};
use crate::common::bursar::{Bursar, Key};
use crate::common::cut::Cut;
use crate::common::fleet::{Fleet, audit, configuration};
use crate::common::house::a_dollar;
use crate::common::{SOON, http_get, wait_for};

const CALL: u64 = USD / 100;
const EPOCH: [&str; 3] = ["hget", "{bursar}:meta", "epoch"];

pub fn ready(node: &Bursar) {
    let ready = || http_get(node.gateway, "/-/ready").is_some_and(|(status, _)| status == 200).then_some(());
    wait_for("a node to admit calls", SOON, ready);
}

fn serve(fleet: &Fleet, node: usize, key: &Key, calls: usize) {
    for _ in 0..calls {
        assert_eq!(fleet.call(node, &ask(key)).status, 200);
    }
}

/// As a node leaves it that has found a loss.
fn doubt(fleet: &Fleet) -> String {
    let before = making(fleet).expect("a ledger");
    fleet.redis.must(&["hset", "{bursar}:meta", "epoch", &format!("{before}?")]);
    before
}

fn begun_anew(fleet: &Fleet, before: &str) {
    wait_for("the ledger to be put back", SOON, || making(fleet).filter(|now| !now.starts_with(before)).map(drop));
    fleet.nodes.iter().for_each(ready);
}

/// Whoever put it back died before it had anything but the beginning: a node that starts does not take that for the ledger.
#[test]
fn a_start_does_not_serve_a_ledger_that_is_half_put_back() {
    for mark in ["!", "?"] {
        let mut fleet = Fleet::new(&[&a_dollar()], 1);
        let key = fleet.mint("capped", "eager");
        serve(&fleet, 0, &key, 3);
        all_agree(&fleet, &key, 3);
        fleet.nodes[0].server.kill();
        for what in ["accounts", "holds"] {
            fleet.redis.must(&["del", &format!("{{bursar}}:{what}")]);
        }
        fleet.redis.must(&["hset", "{bursar}:meta", "epoch", &format!("half{mark}")]);
        fleet.nodes[0].restart();
        assert_eq!(left(&fleet.nodes[0], &key), (3 * CALL, 0), "{mark}");
        serve(&fleet, 0, &key, 1);
        all_agree(&fleet, &key, 4);
    }
}

/// A node is gone, and its last calls stand in the stream alone. The one that writes the books dies just when it has emptied the
/// ledger: the next one still finds them.
#[test]
fn what_nodes_that_are_gone_wrote_outlives_a_writer_that_dies_in_the_middle() {
    let mut fleet = Fleet::new(&[&a_dollar()], 3);
    let key = fleet.mint("capped", "eager");
    serve(&fleet, 0, &key, 1);
    all_agree(&fleet, &key, 1);
    let writer = fleet.writer();
    let gone = (writer + 1) % 3;
    fleet.postgres.kill();
    serve(&fleet, gone, &key, 4);
    wait_for("its ends to be heard", SOON, || (left(&fleet.nodes[gone], &key) == (5 * CALL, 0)).then_some(()));
    fleet.nodes[gone].server.kill();
    let before = doubt(&fleet);
    fleet.postgres.restart();
    drop(fleet.nodes.remove(gone));
    // What was spent is asked when the ledger is emptied already.
    let lock = "BEGIN; LOCK TABLE facts; SELECT pg_sleep(600)";
    let (books, redis, nodes) = (&fleet.postgres, &fleet.redis, &mut fleet.nodes);
    std::thread::scope(|scope| {
        scope.spawn(move || books.ask("postgres", lock));
        wait_for("a ledger that is being put back", SOON, || redis.cli(&EPOCH).filter(|now| now.ends_with('!')));
        let leads = nodes.iter().position(|node| node.admin("/v1/status")["writes_books"] == true);
        drop(nodes.remove(leads.expect("a node that puts it back")));
        books.must("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'BEGIN; LOCK%'");
    });
    begun_anew(&fleet, &before);
    accounts_agree(&fleet, &key, 5);
}

/// What stands in the stream is put back by the writer of the books, and by the node that did it.
#[test]
fn a_refusal_that_two_know_of_is_put_back_once() {
    let mut fleet = Fleet::new(&[&a_dollar()], 2);
    let (key, stopped) = (fleet.mint("capped", "eager"), fleet.mint("capped", "stopped"));
    serve(&fleet, 0, &key, 1);
    fleet.nodes[1].ok(&["kill", "--agent", "stopped"]);
    all_agree(&fleet, &key, 1);
    fleet.postgres.kill();
    for node in 0..2 {
        serve(&fleet, node, &key, 2);
        assert_eq!(fleet.call(node, &ask(&stopped)).status, 403);
    }
    let before = doubt(&fleet);
    fleet.postgres.restart();
    begun_anew(&fleet, &before);
    all_agree(&fleet, &key, 5);
    // A node that has not heard of a key yet has refused it, too.
    let denied = "SELECT count(*) FROM events WHERE kind = 'denied' AND body LIKE '%\"killed: %'";
    assert_eq!(fleet.postgres.must(denied), "2");
    let calls = "SELECT count(*) - count(DISTINCT call_id) FROM events WHERE kind IN ('admitted', 'denied')";
    assert_eq!(fleet.postgres.must(calls), "0");
}

/// The books are beyond the numbers that a node has kept, with other entries: it keeps its own until it can put them back.
#[test]
fn a_node_that_comes_late_still_has_what_it_was_told() {
    let mut fleet = Fleet::new(&[&a_dollar()], 1);
    let cut = Cut::before(fleet.redis.port);
    let config = configuration(&fleet.redis.url_at(cut.port), &audit(&fleet.postgres), "");
    fleet.nodes.push(Bursar::start(&fleet.folder(1), fleet.setup(1, &config)));
    let key = fleet.mint("capped", "eager");
    serve(&fleet, 0, &key, 1);
    all_agree(&fleet, &key, 1);
    let (early, before) = (fleet.redis.snapshot(), making(&fleet).expect("a ledger"));
    fleet.postgres.kill();
    serve(&fleet, 1, &key, 3);
    wait_for("its ends to be heard", SOON, || (left(&fleet.nodes[1], &key) == (4 * CALL, 0)).then_some(()));
    cut.refuse();
    fleet.redis.restart_from(&early);
    fleet.redis.must(&["hset", "{bursar}:meta", "epoch", &format!("{before}?")]);
    fleet.postgres.restart();
    wait_for("the ledger to be put back", SOON, || making(&fleet).filter(|now| !now.starts_with(&before)).map(drop));
    ready(&fleet.nodes[0]);
    serve(&fleet, 0, &key, 5);
    let beyond = "SELECT seq FROM place";
    let own: u64 = fleet.redis.must(&["hget", "{bursar}:meta", "seq"]).parse().expect("a number");
    wait_for("the books", SOON, || (fleet.postgres.ask("postgres", beyond)?.parse::<u64>().ok()? >= own).then_some(()));
    // The node that is cut off sees them too.
    wait_for("it in the cut off node", SOON, || {
        (fleet.nodes[1].admin("/v1/status")["books_seq"].as_u64()? >= own).then_some(())
    });
    // Nothing shows what it keeps: it looks twice a second.
    std::thread::sleep(std::time::Duration::from_secs(1));
    cut.mend();
    fleet.nodes.iter().for_each(ready);
    all_agree(&fleet, &key, 9);
}
