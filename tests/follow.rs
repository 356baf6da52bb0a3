//! Consumers of the books that are killed in the middle of a stream, again and again under load, while the server is killed as
//! well: what they saw together is every event, each consumer's own in rising order.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::books::{LEASES, all_closed};
use common::bursar::{Bursar, binary};
use common::child::{Proc, leashed};
use common::client::{Ask, join_all, spawn_all};
use common::house::House;
use common::{SOON, wait_for};
use serde_json::Value;

const BUSY: &str = r#"
name = "busy"
vendors = ["openai"]
[[allow]]
methods = ["POST"]
paths = ["/v1/chat/completions"]
[[budget]]
per = "agent"
limit = "1_000_000 calls"
"#;

const KILLS: u64 = 6;

#[test]
fn a_consumer_that_is_killed_and_begins_again_sees_every_event() {
    let mut house = House::new(&[BUSY]);
    let key = house.mint("busy", "worker");
    let over = Arc::new(AtomicBool::new(false));
    let load = spawn_all((0..6).map(|_| {
        let (ask, port, over) = (Ask::chat(Some(100)).key(&key), house.port(), over.clone());
        async move {
            while !over.load(Ordering::SeqCst) {
                if ask.again().send(port).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }));
    let mut seen: BTreeSet<u64> = BTreeSet::new();
    for round in 0..KILLS {
        let mut consumer = Consumer::start(&house.bursar, house.dir.path(), round, next(&seen));
        consumer.wait_for_more(30);
        if round % 3 == 1 {
            // The server goes and comes back under the same consumer, which follows on by itself.
            house.crash();
            consumer.wait_for_more(consumer.seqs().len() + 30);
        }
        consumer.process.kill();
        let took = consumer.seqs();
        assert!(took.windows(2).all(|p| p[0] < p[1]), "in journal order, and none twice on one line of time");
        seen.extend(took);
        seen.extend(server_sent(&house.bursar.data, next(&seen), 20));
    }
    over.store(true, Ordering::SeqCst);
    join_all(load);
    all_closed(&house.bursar, &["--agent", "worker"], LEASES);
    let books: BTreeSet<u64> = house.bursar.json(&["audit", "tail", "--from", "1"]).iter().map(seq).collect();
    let end = books.last().copied().expect("events");
    let rest = Consumer::start(&house.bursar, house.dir.path(), KILLS, next(&seen));
    wait_for("the last event", SOON, || rest.seqs().contains(&end).then_some(()));
    seen.extend(rest.seqs());
    assert!(books.len() > 300, "the load was {} events: too little to show anything", books.len());
    assert!(books.is_subset(&seen), "missed: {:?}", books.difference(&seen).collect::<Vec<_>>());
}

#[test]
fn a_tail_that_began_on_empty_books_misses_nothing_after_a_break() {
    let mut house = House::new(&[BUSY]);
    let key = house.mint("busy", "worker");
    let mut command = leashed(binary());
    // Only what is denied: there is none yet, as on books without events.
    command
        .args(["audit", "tail", "--follow", "--json", "--kind", "denied", "-n", "5", "--data"])
        .arg(&house.bursar.data)
        .env_remove("SUDO_USER")
        .env("USER", "tailer");
    let tail = Proc::start("tail", command, house.dir.path());
    wait_for("the tail to be let in", SOON, || {
        let logins = house.bursar.json(&["audit", "tail", "--from", "1", "--kind", "admin_login"]);
        logins.iter().any(|l| l["control"]["act"]["actor"] == "socket:tailer").then_some(())
    });
    house.bursar.server.kill();
    wait_for("the tail to notice", SOON, || tail.output().contains("trying again").then_some(()));
    house.bursar.restart();
    for _ in 0..40 {
        assert_eq!(house.call(&Ask::get("/openai/v1/models/none").key(&key)).status, 403);
    }
    wait_for("all refusals", SOON, || (tail.output().matches("\"kind\":\"denied\"").count() == 40).then_some(()));
}

fn seq(event: &Value) -> u64 {
    event["seq"].as_u64().expect("a sequence number")
}

fn next(seen: &BTreeSet<u64>) -> u64 {
    seen.last().map_or(1, |last| last + 1)
}

/// `bursar audit tail --follow --json` from where the one before it stopped.
struct Consumer {
    process: Proc,
    log: PathBuf,
}

impl Consumer {
    fn start(bursar: &Bursar, dir: &Path, round: u64, from: u64) -> Self {
        let name = format!("consumer-{round}");
        let mut command = leashed(binary());
        command.args(["audit", "tail", "--follow", "--json", "--from", &from.to_string(), "--data"]).arg(&bursar.data);
        let process = Proc::start(&name, command, dir);
        Self { process, log: dir.join(format!("{name}.log")) }
    }

    /// What it has printed whole.
    fn seqs(&self) -> Vec<u64> {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole
            .lines()
            .filter(|line| line.starts_with('{'))
            .map(|l| seq(&serde_json::from_str(l).expect("JSON")))
            .collect()
    }

    fn wait_for_more(&self, than: usize) {
        wait_for("events", SOON, || (self.seqs().len() >= than).then_some(()));
    }
}

/// A browser that comes back with the last id that it saw, and goes again after some events.
fn server_sent(data: &Path, from: u64, count: usize) -> Vec<u64> {
    let mut socket = UnixStream::connect(data.join("admin.sock")).expect("the admin socket");
    socket.set_read_timeout(Some(SOON)).expect("a time-out");
    let last = from - 1;
    write!(
        socket,
        "GET /v1/audit/events?follow HTTP/1.1\r\nHost: bursar\r\nAccept: text/event-stream\r\nLast-Event-ID: {last}\r\n\r\n"
    )
    .expect("it is read");
    let lines = BufReader::new(socket).lines().map(|line| line.expect("a line"));
    let (mut id, mut took) = (0, Vec::new());
    for line in lines {
        if let Some(number) = line.strip_prefix("id: ") {
            id = number.parse().expect("a number");
        }
        if line.starts_with("data: ") {
            took.push(id);
        }
        if took.len() == count {
            break;
        }
    }
    took
}
