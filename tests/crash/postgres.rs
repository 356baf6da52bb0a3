//! Books on PostgreSQL whose server is killed: calls go on while it is away, until the backlog is full, and no row is lost.

use std::fs;
use std::process::Command;

use super::{BUSY, Load, Told, rounds, the_books_are_right};
use crate::common::books::{LEASES, admitted_rows, agree, all_closed, number};
use crate::common::bursar::{Key, binary};
use crate::common::client::{Ask, send_all};
use crate::common::dice::Dice;
use crate::common::house::House;
use crate::common::postgres::Postgres;
use crate::common::{SOON, free_port, http_get, wait_for};

fn house(server: &Postgres, more: &str) -> (House, Key) {
    let house = House::with(&[BUSY], |_| format!("[audit]\nstore = \"{}\"\n{more}", server.url("postgres")));
    let key = house.mint("busy", "worker");
    (house, key)
}

/// Each round the server is killed in the midst of the load; it comes back while calls go on, or after bursar was killed too.
#[test]
fn the_books_survive_kills_of_postgresql_and_of_bursar() {
    let mut server = Postgres::start();
    let (mut house, key) = house(&server, "");
    house.bursar.server.kill();
    let (mut told, mut dice) = (Told::new(), Dice(5432));
    for round in 0..rounds() {
        let load = Load::begin(&house, &key, round);
        house.bursar.restart();
        load.until(&house, dice.between(1, 30));
        server.kill();
        load.until(&house, dice.between(31, 60));
        if round % 3 == 0 {
            told.extend(load.end_with_a_kill(&mut house));
            server.restart();
        } else {
            server.restart();
            load.until(&house, dice.between(61, 90));
            told.extend(load.end_with_a_kill(&mut house));
        }
    }
    house.bursar.restart();
    the_books_are_right(&house, &key, &told);
    let gaps = house.bursar.admin("/v1/status")["books_gaps"].clone();
    assert_eq!(gaps, serde_json::json!([]));
}

#[test]
fn a_full_backlog_refuses_calls_and_loses_no_row() {
    let mut server = Postgres::start();
    let (mut house, key) = house(&server, "backlog = 1000");
    send_all(house.port(), (0..20).map(|_| Ask::chat(Some(200)).key(&key)).collect());
    server.kill();
    let refused = wait_for("a refusal", SOON, || {
        let answers = send_all(house.port(), (0..16).map(|_| Ask::chat(Some(200)).key(&key)).collect());
        answers.into_iter().find(|a| a.status != 200)
    });
    assert_eq!(refused.said(), (503, "store_down".to_owned()));
    assert_eq!(http_get(house.port(), "/-/ready").map(|(status, _)| status), Some(503));
    let status = house.bursar.admin("/v1/status");
    assert!(number(&status, "refused_behind") > 0 && number(&status, "books_behind") >= 1000, "{status}");
    let count = house.vendor.count();
    assert_eq!(house.call(&Ask::chat(Some(200)).key(&key)).status, 503);
    assert_eq!(house.vendor.count(), count, "nothing leaves");
    server.restart();
    wait_for("calls to be let through again", SOON, || {
        (house.call(&Ask::chat(Some(200)).key(&key)).status == 200).then_some(())
    });
    all_closed(&house.bursar, &["--agent", "worker"], LEASES);
    // A refusal that came as the books were about to follow may have its row, too.
    let books = admitted_rows(&house.bursar, &["--agent", "worker"]);
    assert_eq!(agree(&house.vendor.received(), &books), 0);
    assert_eq!(books.len(), house.vendor.count());
    house.crash();
}

#[test]
fn a_start_that_cannot_have_its_books_says_so() {
    let server = Postgres::start();
    let (house, _) = house(&server, "");
    let tell = |url: &str| {
        let config = house.dir.path().join("other.toml");
        fs::write(&config, format!("[audit]\nstore = \"{url}\"")).expect("a configuration");
        let mut serve = Command::new(binary());
        serve.arg("serve").arg("--config").arg(&config).arg("--data").arg(house.dir.path().join("other"));
        let done = serve.args(["--listen", ":0", "--admin", ":0"]).output().expect("bursar runs");
        assert!(!done.status.success());
        let told = [done.stdout, done.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        assert!(!told.contains("hunter2"), "{told}");
        told
    };
    let at = |port: u16, db: &str| format!("postgres://books:hunter2@127.0.0.1:{port}/{db}");
    assert!(tell(&at(server.port, "nowhere")).contains("database \"nowhere\" does not exist"));
    assert!(tell(&at(free_port(), "postgres")).contains("refused"));
    assert!(tell(&at(server.port, "postgres")).contains("another bursar writes these books"));
    server.must("CREATE SCHEMA later");
    server.must("CREATE TABLE later.version (number bigint, made_at text)");
    server.must("INSERT INTO later.version VALUES (7, 'later')");
    let later = format!("{}?options=-csearch_path%3Dlater", at(server.port, "postgres"));
    assert!(tell(&later).contains("the books have version 7"));
    let log = house.bursar.server.output();
    assert!(!log.contains("hunter2"), "{log}");
}

#[test]
fn the_books_of_a_stopped_server_are_verified_where_they_lie() {
    let server = Postgres::start();
    let (mut house, key) = house(&server, "[audit.checkpoints]\nevents = 8\n");
    send_all(house.port(), (0..20).map(|_| Ask::chat(Some(200)).key(&key)).collect());
    all_closed(&house.bursar, &[], LEASES);
    house.bursar.server.terminate();
    assert!(house.bursar.server.wait(SOON).success(), "{}", house.bursar.server.output());
    let config = house.dir.path().join("bursar.toml");
    let verify = || {
        let asked = ["audit", "verify", "--config", config.to_str().expect("text")];
        let done = house.bursar.cli(&asked);
        (done.status.code(), String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned())
    };
    let held = server.must("SELECT (SELECT count(*) FROM events) || ' ' || (SELECT count(*) FROM checkpoints)");
    let (code, said) = verify();
    assert!(code == Some(0) && said.contains("good") && !said.contains("no checkpoint covers"), "{said}");
    let now = server.must("SELECT (SELECT count(*) FROM events) || ' ' || (SELECT count(*) FROM checkpoints)");
    assert_eq!(now, held, "it writes nothing");
    server.must("UPDATE call_rows SET usd = usd + 1 WHERE seq = (SELECT max(seq) FROM call_rows)");
    let (code, said) = verify();
    assert!(code == Some(1) && said.contains("has another charge"), "{said}");
    server.must(
        "UPDATE events SET body = replace(body, 'worker', 'nobody') WHERE seq = (SELECT min(seq) FROM call_rows)",
    );
    let (code, said) = verify();
    assert!(code == Some(1) && said.contains("changed"), "{said}");
}
