//! What a start refuses: a ledger that belongs to other books, a Redis that is away, one that has lost what the books have.

use crate::common::SOON;
use crate::common::books::settled;
use crate::common::bursar::Bursar;
use crate::common::client::Ask;
use crate::common::fleet::{Fleet, configuration};
use crate::common::house::a_dollar;

/// What a node says that must not start.
fn refused(mut node: Bursar) -> String {
    let ended = node.server.wait(SOON);
    assert!(!ended.success(), "{}", node.server.output());
    node.server.output()
}

#[test]
fn books_in_sqlite_are_for_one_node() {
    let mut fleet = Fleet::new(&[&a_dollar()], 0);
    let alone = configuration(&fleet.redis.url(), "store = \"sqlite\"", "");
    let first = Bursar::start(&fleet.folder(0), fleet.setup(0, &alone));
    let key = first.mint("capped", "eager", &[]);
    assert_eq!(Ask::chat(Some(100)).key(&key).now(first.gateway).status, 200);
    settled(&first, &["--agent", "eager"], 1, SOON);
    let said = refused(fleet.begin(1, &alone));
    assert!(said.contains("one node's alone") && said.contains("PostgreSQL"), "{said}");
    // The first one comes back to its own.
    fleet.nodes.push(first);
    fleet.nodes[0].server.kill();
    fleet.nodes[0].restart();
    assert_eq!(fleet.call(0, &Ask::chat(Some(100)).key(&key)).status, 200);
}

#[test]
fn one_ledger_has_one_set_of_books() {
    let fleet = Fleet::new(&[&a_dollar()], 1);
    fleet.postgres.must("CREATE SCHEMA other");
    let url = format!("{}?options=-csearch_path%3Dother", fleet.postgres.url("postgres"));
    let said = refused(fleet.begin(1, &configuration(&fleet.redis.url(), &format!("store = \"{url}\""), "")));
    assert!(said.contains("belongs to other books") && said.contains("same database"), "{said}");
}

#[test]
fn without_redis_no_node_starts() {
    let mut fleet = Fleet::new(&[&a_dollar()], 0);
    fleet.redis.kill();
    let said = refused(fleet.begin(0, &configuration(&fleet.redis.url(), "store = \"sqlite\"", "")));
    assert!(said.contains("redis"), "{said}");
}
