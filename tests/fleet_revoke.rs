//! The emergency stop over three nodes with one ledger on Redis: what any node switches off is off on all when the command
//! returns, every open stream ends within a second, and the command says which node did not answer. Messages that are missed
//! are noticed, and a node that is cut off ends its calls by itself.

mod common;

use std::process::Command;
use std::time::{Duration, Instant};

use common::books::text;
use common::bursar::{Bursar, Key};
use common::client::{Ask, join_all, runtime, spawn_all};
use common::fleet::Fleet;
use common::{SOON, wait_for};
use serde_json::Value;
use tokio::sync::mpsc;

const OPEN: &str = r#"
name = "open"
vendors = ["openai"]

[[allow]]
methods = ["GET", "POST"]
paths = ["/**"]

[[budget]]
per = "agent"
limit = "100000 USD"
"#;

const STREAMS: usize = 50;
/// Enough for a p99, or as many as the time allows, and never fewer than this.
const MOST: usize = 100;
const LEAST: usize = 5;
const TIME: Duration = Duration::from_secs(30);
const A_SECOND: Duration = Duration::from_secs(1);

#[test]
fn fifty_streams_over_three_nodes_end_within_a_second() {
    let fleet = Fleet::new(&[OPEN], 3);
    let key = fleet.mint("open", "runaway");
    let (mut last, mut answered, mut said_by_all) = (Vec::new(), Vec::new(), Vec::new());
    let first = Instant::now();
    for round in (0..MOST).take_while(|round| *round < LEAST || first.elapsed() < TIME) {
        let streams = open_streams(&fleet, &key);
        let node = &fleet.nodes[round % 3];
        let began = Instant::now();
        let done = node.json(&["key", "revoke", &key.id, "--reason", "it runs away"]).swap_remove(0);
        let returned = Instant::now();
        assert_eq!(heard(&done), (3, vec![]), "{done}");
        for node in &fleet.nodes {
            assert_eq!(said(node, &key), (401, "key_revoked".to_owned()));
        }
        let ends: Vec<Instant> = join_all(streams);
        let worst = ends.iter().max().expect("streams");
        let late = worst.saturating_duration_since(returned);
        assert!(late <= A_SECOND, "a stream ended {late:?} after the revoke returned");
        last.push(worst.saturating_duration_since(began));
        answered.push(returned - began);
        said_by_all.push(slowest(&done));
        restore_everywhere(&fleet, (round + 1) % 3, &key);
    }
    let rounds = last.len();
    println!("{rounds} rounds, {STREAMS} streams on three nodes; from the start of `bursar key revoke` until");
    println!("  the last stream had ended: {}", spread(&mut last));
    println!("  the command had returned:  {}", spread(&mut answered));
    println!("and from the change until every node had carried it out: {}", spread(&mut said_by_all));
    println!("a command that asks nothing: {}", spread(&mut (0..LEAST).map(|_| start_up(&fleet)).collect::<Vec<_>>()));
    assert!(last[rounds - 1] < A_SECOND, "{last:?}");
    let status = fleet.nodes[0].admin("/v1/status");
    println!("the canary meanwhile: {}", status["fleet"]["revoke_latency"]);
    the_books_have_each_change_once(&fleet, rounds);
}

/// The middle, the ninety-ninth of a hundred, and the worst.
fn spread(took: &mut [Duration]) -> String {
    took.sort();
    let at = |percent: usize| took[(took.len() * percent / 100).min(took.len() - 1)];
    format!("p50 {:.1?}, p99 {:.1?}, worst {:.1?}", at(50), at(99), took[took.len() - 1])
}

fn slowest(done: &Value) -> Duration {
    let nodes = done["nodes"].as_array().expect("nodes");
    Duration::from_millis(nodes.iter().filter_map(|n| n["acknowledged_ms"].as_u64()).max().expect("they have"))
}

/// What the command line takes by itself.
fn start_up(fleet: &Fleet) -> Duration {
    let began = Instant::now();
    fleet.nodes[0].ok(&["--version"]);
    began.elapsed()
}

/// Whoever hears of a change writes no event of its own.
fn the_books_have_each_change_once(fleet: &Fleet, rounds: usize) {
    let kinds = ["revoked", "restored"];
    wait_for("one event for each change", SOON, || {
        let events = fleet.nodes[1].json(&["audit", "tail", "--from", "1"]);
        let count = |kind: &&str| events.iter().filter(|e| text(e, "kind") == *kind).count();
        let counts: Vec<usize> = kinds.iter().map(count).collect();
        assert!(counts.iter().all(|n| *n <= rounds), "{counts:?}");
        (counts == [rounds, rounds]).then_some(())
    });
}

/// Nodes that serve from their slices know of it when the command returns, too.
#[test]
fn nodes_that_do_not_ask_redis_obey_as_soon() {
    let fleet = Fleet::new(&[&OPEN.replace("vendors =", "lease = true\nvendors =")], 3);
    let key = fleet.mint("open", "runaway");
    for round in 0..5 {
        wait_for("slices on every node", SOON, || {
            fleet.nodes.iter().for_each(|node| assert_eq!(said(node, &key).0, 200));
            let lent = fleet.redis.cli(&["hkeys", "{bursar}:slices"]).unwrap_or_default();
            (lent.lines().filter(|field| !field.starts_with(['#', '@', '!', '+'])).count() >= 3).then_some(())
        });
        let streams = open_streams(&fleet, &key);
        let done = fleet.nodes[round % 3].json(&["key", "revoke", &key.id]).swap_remove(0);
        let returned = Instant::now();
        assert_eq!(heard(&done), (3, vec![]), "{done}");
        for node in &fleet.nodes {
            assert_eq!(said(node, &key), (401, "key_revoked".to_owned()));
        }
        let worst = join_all(streams).into_iter().max().expect("streams");
        assert!(worst.saturating_duration_since(returned) <= A_SECOND);
        restore_everywhere(&fleet, (round + 1) % 3, &key);
    }
}

/// What a node says first of all. The flag comes after it; a node that dies in between leaves nothing behind.
#[test]
fn streams_end_everywhere_before_the_flag_is_set() {
    let fleet = Fleet::new(&[OPEN], 3);
    let (key, other) = (fleet.mint("open", "runaway"), fleet.mint("open", "calm"));
    let streams = open_streams(&fleet, &key);
    let flag = serde_json::json!({ "kind": "key", "id": key.id });
    let heard = fleet.redis.must(&["publish", "{bursar}:bell", &format!("stopping {flag}")]);
    assert!(heard.trim() >= "3", "all nodes listen: {heard}");
    join_all(streams);
    for node in &fleet.nodes {
        assert_eq!((said(node, &key).0, said(node, &other).0), (200, 200), "no flag is set");
    }
}

#[test]
fn a_node_that_hangs_is_named_and_its_right_has_run_out() {
    let fleet = Fleet::new(&[OPEN], 3);
    let key = fleet.mint("open", "runaway");
    signal(&fleet.nodes[2], "STOP");
    let began = Instant::now();
    let done = fleet.nodes[0].json(&["key", "revoke", &key.id]).swap_remove(0);
    let waited = began.elapsed();
    let (count, silent) = heard(&done);
    assert_eq!((count, silent.len()), (2, 1), "{done}");
    assert!(silent[0].ends_with(&format!(":{}", fleet.nodes[2].admin)), "it is named: {silent:?}");
    assert!(done["nodes"].as_array().is_some_and(|n| n.iter().all(|n| n["admits_until"].is_null())), "{done}");
    assert!(waited < Duration::from_secs(3), "it returned after {waited:?}");
    let words = fleet.nodes[1].ok(&["kill", "--agent", "runaway"]);
    assert!(words.contains("not heard") && words.contains("2 nodes have carried it out"), "{words}");
    signal(&fleet.nodes[2], "CONT");
    assert_eq!(said(&fleet.nodes[2], &key).0, 401, "what it missed holds there as well");
    fleet.nodes[1].ok(&["unkill", "--agent", "runaway"]);
    restore_everywhere(&fleet, 2, &key);
}

#[test]
fn a_subscription_that_is_broken_off_delays_nothing_beyond_a_second() {
    let fleet = Fleet::new(&[OPEN], 3);
    let key = fleet.mint("open", "runaway");
    for round in 0..5 {
        let streams = open_streams(&fleet, &key);
        fleet.redis.cli(&["client", "kill", "type", "pubsub"]);
        let began = Instant::now();
        let done = fleet.nodes[round % 3].json(&["key", "revoke", &key.id]).swap_remove(0);
        assert_eq!(heard(&done), (3, vec![]), "{done}");
        let worst = join_all(streams).into_iter().max().expect("streams");
        assert!(worst.saturating_duration_since(began) < A_SECOND, "{:?}", worst.saturating_duration_since(began));
        restore_everywhere(&fleet, (round + 1) % 3, &key);
    }
}

#[test]
fn a_redis_that_is_out_of_memory_still_hears_what_is_switched_off() {
    let fleet = Fleet::new(&[OPEN], 3);
    let key = fleet.mint("open", "runaway");
    let streams = open_streams(&fleet, &key);
    fleet.redis.must(&["config", "set", "maxmemory", "1"]);
    let began = Instant::now();
    let done = fleet.nodes[0].json(&["key", "revoke", &key.id]).swap_remove(0);
    assert_eq!(heard(&done), (3, vec![]), "{done}");
    let worst = join_all(streams).into_iter().max().expect("streams");
    assert!(worst.saturating_duration_since(began) < A_SECOND, "{:?}", worst.saturating_duration_since(began));
    fleet.redis.must(&["config", "set", "maxmemory", "0"]);
    restore_everywhere(&fleet, 1, &key);
}

#[test]
fn a_revocation_without_redis_holds_where_it_was_said_and_through_the_books_elsewhere() {
    let mut fleet = Fleet::new(&[OPEN], 3);
    let key = fleet.mint("open", "runaway");
    let streams = open_streams(&fleet, &key);
    fleet.redis.kill();
    let began = Instant::now();
    let done = fleet.nodes[0].cli(&["key", "revoke", &key.id]);
    let words = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(!done.status.success() && words.contains("told again"), "{words}");
    let worst = join_all(streams).into_iter().max().expect("streams");
    let late = worst.saturating_duration_since(began);
    println!("without Redis, through PostgreSQL: the last of {STREAMS} streams on three nodes ended after {late:?}");
    assert!(late < 2 * A_SECOND, "{late:?}");
    for node in &fleet.nodes {
        assert_eq!(said(node, &key).0, 401);
    }
}

#[test]
fn a_key_of_any_node_is_good_on_every_node_and_so_is_its_end() {
    let fleet = Fleet::new(&[OPEN], 3);
    for node in &fleet.nodes {
        let key = node.mint("open", "clerk", &[]);
        let began = Instant::now();
        fleet.nodes.iter().for_each(|node| fleet.opens(node, &key));
        assert!(began.elapsed() < A_SECOND, "{:?}", began.elapsed());
        let child = fleet.nodes[0].mint("open", "clerk", &["--parent", &key.id]);
        fleet.nodes.iter().for_each(|node| fleet.opens(node, &child));
        fleet.nodes[1].ok(&["key", "revoke", &key.id]);
        for node in &fleet.nodes {
            assert_eq!((said(node, &key).0, said(node, &child).0), (401, 401));
        }
    }
}

#[test]
fn a_node_that_is_cut_off_ends_its_calls() {
    let mut fleet = silent_after_two_seconds();
    let key = fleet.mint("open", "runaway");
    let streams = open_streams(&fleet, &key);
    fleet.redis.kill();
    let cut = Instant::now();
    let ends = join_all(streams);
    let (first, last) = (ends.iter().min().expect("streams"), ends.iter().max().expect("streams"));
    let after = |at: &Instant| at.saturating_duration_since(cut);
    println!(
        "cut off with max_silence = 2s: the first stream ended after {:?}, the last after {:?}",
        after(first),
        after(last)
    );
    assert!(after(first) > A_SECOND && after(last) < Duration::from_secs(4), "{:?} {:?}", after(first), after(last));
}

fn silent_after_two_seconds() -> Fleet {
    Fleet::ledger(&[OPEN], 3, "max_silence = \"2s\"")
}

/// Open on all nodes in turn, each with its first piece read. Gives when each ended.
fn open_streams(fleet: &Fleet, key: &Key) -> Vec<tokio::task::JoinHandle<Instant>> {
    let (begun, mut beginnings) = mpsc::unbounded_channel();
    let ask = || Ask::stream(100_000).key(key).mock("endless every=20 tokens=1");
    let streams = spawn_all((0..STREAMS).map(|n| follow(ask(), fleet.port(n), begun.clone())));
    for _ in 0..STREAMS {
        runtime().block_on(beginnings.recv()).expect("a stream begins");
    }
    streams
}

async fn follow(ask: Ask, port: u16, begun: mpsc::UnboundedSender<()>) -> Instant {
    let mut open = ask.open(port).await.expect("an answer");
    assert_eq!(open.status, 200);
    let mut told = Some(begun);
    let reading = async {
        while let Some(Ok(_)) = open.next().await {
            told.take().map(|begun| begun.send(()));
        }
    };
    // One that never ends is as good as one that ends too late.
    let _ = tokio::time::timeout(SOON, reading).await;
    Instant::now()
}

/// How many nodes carried it out, and the names of those that did not.
fn heard(done: &Value) -> (usize, Vec<String>) {
    let nodes = done["nodes"].as_array().cloned().unwrap_or_default();
    let (heard, silent): (Vec<_>, Vec<_>) = nodes.iter().partition(|n| n["acknowledged_ms"].is_u64());
    assert!(silent.iter().all(|n| n["silent_since"].is_string()), "{done}");
    (heard.len(), silent.iter().map(|n| text(n, "name").to_owned()).collect())
}

fn said(node: &Bursar, key: &Key) -> (u16, String) {
    let answer = Ask::chat(Some(100)).key(key).now(node.gateway);
    if answer.status == 200 { (200, String::new()) } else { answer.said() }
}

fn restore_everywhere(fleet: &Fleet, by: usize, key: &Key) {
    fleet.nodes[by].ok(&["key", "restore", &key.id]);
    for node in &fleet.nodes {
        assert_eq!(said(node, key), (200, String::new()), "restored, as soon as the command returns");
    }
}

fn signal(node: &Bursar, name: &str) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", node.server.id())]).status();
    assert!(sent.is_ok_and(|s| s.success()), "the node is there");
}
