//! Evidence on a node that does not write the books: it exports, proves and verifies what the writer signed, and says where to
//! go for what only the writer does.

use crate::common::SOON;
use crate::common::books::settled;
use crate::common::bursar::{Bursar, Key};
use crate::common::client::Ask;
use crate::common::fleet::{Fleet, audit, configuration};
use crate::common::house::a_dollar;

/// Its last call.
fn call(fleet: &Fleet, node: usize, key: &Key) -> String {
    let answer = fleet.call(node, &Ask::chat(Some(100)).key(key));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.call().expect("a call").to_owned()
}

fn public_key(node: &Bursar) -> String {
    node.json(&["audit", "key", "show"])[0]["key"].as_str().expect("a key").to_owned()
}

#[test]
fn any_node_exports_proves_and_verifies_at_once() {
    let fleet = Fleet::new(&[&a_dollar()], 2);
    let key = fleet.mint("capped", "eager");
    let reader = &fleet.nodes[1 - fleet.writer()];
    let mut calls = Vec::new();
    for n in 0..4 {
        calls.push(call(&fleet, n % 2, &key));
    }
    settled(reader, &["--agent", "eager"], 4, SOON);
    // Nobody waits for the minute in which the writer would sign by itself.
    let (export, proof) = (fleet.dir.path().join("books.jsonl"), fleet.dir.path().join("proof.json"));
    let text = reader.ok(&["audit", "export"]);
    assert!(calls.iter().all(|call| text.contains(call)), "the last calls are covered");
    std::fs::write(&export, &text).expect("written");
    let (trusted, file) = (public_key(&fleet.nodes[fleet.writer()]), export.display().to_string());
    assert_eq!(public_key(reader), trusted);
    reader.ok(&["audit", "verify", &file, "--key", &trusted]);
    let last = call(&fleet, 1, &key);
    settled(reader, &["--agent", "eager"], 5, SOON);
    std::fs::write(&proof, reader.ok(&["audit", "prove", &last])).expect("written");
    reader.ok(&["audit", "verify", "--proof", &proof.display().to_string(), "--key", &trusted]);
    reader.ok(&["audit", "verify"]);
}

#[test]
fn what_only_the_writer_does_is_refused_elsewhere_and_names_it() {
    let fleet = Fleet::new(&[&a_dollar()], 2);
    let key = fleet.mint("capped", "eager");
    call(&fleet, 0, &key);
    let writer = &fleet.nodes[fleet.writer()];
    let reader = &fleet.nodes[1 - fleet.writer()];
    for command in [&["audit", "key", "rotate"][..], &["audit", "prune", "--before", "1s"]] {
        let refused = reader.cli(command);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("/127.0.0.1:{}", writer.admin)) && said.contains("writes the books"), "{said}");
    }
    writer.ok(&["audit", "key", "rotate"]);
    // Both read one key file here.
    assert_eq!(public_key(reader), public_key(writer));
    reader.ok(&["audit", "verify"]);
    writer.ok(&["audit", "prune", "--before", "1s"]);
    reader.ok(&["audit", "verify"]);
}

#[test]
fn a_node_with_a_key_of_its_own_says_so_and_signs_nothing() {
    let mut fleet = Fleet::new(&[&a_dollar()], 1);
    let key = fleet.mint("capped", "eager");
    call(&fleet, 0, &key);
    let own = configuration(&fleet.redis.url(), &audit(&fleet.postgres), "[audit.checkpoints]\nevents = 50\n");
    fleet.nodes.push(Bursar::start(&fleet.folder(1), fleet.setup(1, &own)));
    assert!(fleet.nodes[1].server.output().contains("signs the books with a key of its own"));
    assert!(!fleet.nodes[0].server.output().contains("signs the books with a key of its own"));
    assert_eq!(fleet.writer(), 0);
    fleet.nodes[0].ok(&["audit", "verify"]);
    let refused = fleet.nodes[1].cli(&["audit", "export"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("`[audit.checkpoints] key`"), "{said}");
}
