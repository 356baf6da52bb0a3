//! Nodes that share their keys in one PostgreSQL: a key that one mints opens the other, what one switches off is off on the
//! other within a second, with its calls in flight, and what was said while the database or a node was away is caught up.

mod common;

use std::time::{Duration, Instant};

use common::books::text;
use common::bursar::Key;
use common::client::{Ask, runtime};
use common::house::House;
use common::postgres::Postgres;
use common::{SOON, wait_for};

const OPEN: &str = r#"
name = "open"
vendors = ["openai"]
[[allow]]
methods = ["POST"]
paths = ["/**"]
"#;

const A_SECOND: Duration = Duration::from_secs(1);

/// One node: books in a schema of its own, keys in the one table of the fleet.
fn node(server: &Postgres, name: &str) -> House {
    server.must(&format!("CREATE SCHEMA {name}"));
    let url = format!("{}?options=-csearch_path%3D{name}", server.url("postgres"));
    House::with(&[OPEN], |_| format!("[audit]\nstore = \"{url}\"\nfleet = \"shop\"\n"))
}

fn said(house: &House, key: &Key) -> (u16, String) {
    let answer = house.call(&Ask::chat(Some(100)).key(key));
    if answer.status == 200 { (200, String::new()) } else { answer.said() }
}

/// Waits until the node says this of the key.
fn until(house: &House, key: &Key, status: u16) -> Duration {
    let began = Instant::now();
    wait_for(&format!("the key to be a {status}"), SOON, || (said(house, key).0 == status).then_some(()));
    began.elapsed()
}

#[test]
fn a_key_of_one_node_opens_the_other_until_either_revokes_it() {
    let server = Postgres::start();
    let (one, two) = (node(&server, "one"), node(&server, "two"));
    let key = one.mint("open", "clerk");
    until(&two, &key, 200);
    let shown = two.bursar.json(&["key", "show", &key.id]).swap_remove(0);
    assert_eq!(text(&shown["subject"], "agent"), "clerk");

    let stream = Ask::stream(100_000).key(&key).mock("endless every=20 tokens=1");
    let mut stream = runtime().block_on(stream.open(two.port())).expect("an answer");
    runtime().block_on(stream.next()).expect("it begins").expect("a piece");
    one.bursar.ok(&["key", "revoke", &key.id, "--reason", "seen enough"]);
    let revoked = Instant::now();
    assert_eq!(said(&one, &key), (401, "key_revoked".to_owned()));
    runtime().block_on(stream.read());
    assert!(revoked.elapsed() <= A_SECOND, "the other node's stream ended {:?} later", revoked.elapsed());
    assert_eq!(said(&two, &key), (401, "key_revoked".to_owned()));
    let event = wait_for("the event in the other books", SOON, || {
        let events = two.bursar.json(&["audit", "tail", "--from", "1"]);
        events.into_iter().find(|e| text(e, "kind") == "revoked")
    });
    assert!(event.to_string().contains("seen enough"), "{event}");

    two.bursar.ok(&["key", "restore", &key.id]);
    until(&one, &key, 200);
    one.bursar.ok(&["kill", "--agent", "clerk"]);
    assert!(until(&two, &key, 403) <= A_SECOND);
}

#[test]
fn what_was_said_while_the_database_was_away_is_caught_up() {
    let mut server = Postgres::start();
    let (one, two) = (node(&server, "one"), node(&server, "two"));
    let key = one.mint("open", "clerk");
    until(&two, &key, 200);
    server.kill();
    let alone = one.bursar.cli(&["key", "revoke", &key.id]);
    let told = String::from_utf8_lossy(&alone.stderr).into_owned();
    assert!(!alone.status.success() && told.contains("the others do not know yet"), "{told}");
    assert_eq!(said(&one, &key), (401, "key_revoked".to_owned()), "it holds where it was said");
    assert_eq!(said(&two, &key).0, 200, "and the other goes on with what it knows");
    let refused = one.bursar.cli(&["key", "mint", "--policy", "open"]);
    assert!(!refused.status.success(), "no key is good on one node alone");
    server.restart();
    until(&two, &key, 401);
}

#[test]
fn a_node_that_was_down_and_a_table_that_was_lost_are_caught_up() {
    let server = Postgres::start();
    let (mut one, two) = (node(&server, "one"), node(&server, "two"));
    let (gone, kept) = (two.mint("open", "a"), two.mint("open", "b"));
    until(&one, &gone, 200);
    one.bursar.server.kill();
    two.bursar.ok(&["key", "revoke", &gone.id]);
    one.bursar.restart();
    until(&one, &gone, 401);
    assert_eq!(said(&one, &kept).0, 200);

    // As a copy from before would have it.
    server.must("DELETE FROM bursar_fleet.shared; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()");
    wait_for("the nodes to put back what they know", SOON, || {
        (server.must("SELECT count(*) FROM bursar_fleet.shared WHERE is_set OR name LIKE 'key %'") == "3").then_some(())
    });
    assert_eq!((said(&one, &gone).0, said(&two, &gone).0, said(&two, &kept).0), (401, 401, 200));
}
