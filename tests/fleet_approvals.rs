//! Approvals on several nodes with one ledger on Redis and one set of books: a call that waits on one node and is approved on
//! another, a yes that is used once over all of them, two persons on two nodes, links that another node made, a node that is
//! killed while a call waits on it, and a Redis that is emptied between a yes and its use. Everything real.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use common::bursar::Bursar;
use common::client::{Answer, Ask, join_all, spawn_all};
use common::fleet::Fleet;
use common::sinkhole::Sinkhole;
use common::{SOON, wait_for};
use serde_json::Value;

fn policy(approval: &str) -> String {
    format!(
        "name = \"asks\"\nvendors = [\"stripe\"]\n[[allow]]\npaths = [\"/**\"]\n[[budget]]\nper = \"agent\"\nlimit = \"100 USD\"\n\
         [approval]\n{approval}\n"
    )
}

fn charge(key: &str, cents: u64) -> Ask {
    Ask::charge(cents).header("authorization", &format!("Bearer {key}"))
}

fn asked(answer: &Answer) -> String {
    assert_eq!(answer.said(), (403, "approval_required".to_owned()), "{}", answer.text());
    answer.json()["bursar"]["approval"]["id"].as_str().expect("an id").to_owned()
}

/// What `who` says on a node: the answer, or the refusal.
fn say(node: &Bursar, what: &str, id: &str, who: &str) -> Result<Value, String> {
    let mut command = std::process::Command::new(common::bursar::binary());
    command.args(["approval", what, id, "--reason", "seen", "--json", "--data"]).arg(&node.data);
    let done = command.env("SUDO_USER", "").env("USER", who).output().expect("bursar runs");
    match done.status.success() {
        true => Ok(serde_json::from_slice(&done.stdout).expect("JSON")),
        false => Err(String::from_utf8_lossy(&done.stderr).into_owned()),
    }
}

fn yes(node: &Bursar, id: &str, who: &str) -> String {
    let said = say(node, "approve", id, who).unwrap_or_else(|why| panic!("{why}"));
    said["approval"]["state"].as_str().expect("a state").to_owned()
}

fn pending(node: &Bursar) -> Vec<Value> {
    node.json(&["approval", "list"])
}

/// How many of these answers passed, and the others asked.
fn passed(answers: Vec<Answer>) -> usize {
    let (good, rest): (Vec<_>, Vec<_>) = answers.into_iter().partition(|a| a.status == 200);
    rest.iter().for_each(|answer| drop(asked(answer)));
    good.len()
}

fn all_at_once(fleet: &Fleet, key: &str, cents: u64, n: usize) -> Vec<Answer> {
    let calls = spawn_all((0..n).map(|i| charge(key, cents).send(fleet.port(i))));
    join_all(calls).into_iter().map(|a| a.expect("an answer")).collect()
}

#[test]
fn a_call_that_waits_on_one_node_goes_on_after_a_yes_on_another_and_a_yes_is_used_once() {
    let fleet = Fleet::new(&[&policy("over = \"5 USD\"\nwait = \"60s\"")], 2);
    let key = fleet.mint("asks", "refunds").key;
    let calls = spawn_all([charge(&key, 900).send(fleet.port(0)), charge(&key, 901).send(fleet.port(0))]);
    let two = wait_for("both to ask", SOON, || Some(pending(&fleet.nodes[1])).filter(|p| p.len() == 2));
    let id = |amount: &str| {
        let ours = two.iter().find(|r| r["request"]["estimate_usd"] == amount).expect("it asks");
        ours["id"].as_str().expect("an id").to_owned()
    };
    assert_eq!(fleet.vendor.count(), 0);
    assert_eq!(yes(&fleet.nodes[1], &id("9"), "ann"), "approved");
    let said = Instant::now();
    fleet.vendor.wait_for_count(1, SOON);
    let took = said.elapsed();
    say(&fleet.nodes[1], "reject", &id("9.01"), "ann").expect("heard");
    let answers: Vec<Answer> = join_all(calls).into_iter().map(|a| a.expect("an answer")).collect();
    assert_eq!((answers[0].status, answers[1].said().1), (200, "approval_rejected".to_owned()));
    assert_eq!(fleet.call(1, &charge(&key, 901)).said().1, "approval_rejected", "a no holds on every node");
    println!("the call went on {took:?} after the yes");
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn a_yes_passes_once_over_all_nodes_although_redis_is_emptied_and_nodes_end() {
    let mut fleet = Fleet::new(&[&policy("over = \"5 USD\"")], 2);
    let key = fleet.mint("asks", "refunds").key;
    let id = asked(&fleet.call(0, &charge(&key, 900)));
    assert_eq!(asked(&fleet.call(1, &charge(&key, 900))), id, "one request, wherever it comes");
    assert_eq!(yes(&fleet.nodes[1], &id, "ann"), "approved");
    assert_eq!(passed(all_at_once(&fleet, &key, 900, 10)), 1);
    assert_eq!(fleet.vendor.count(), 1);
    let row = wait_for("the row", SOON, || {
        fleet.nodes[0].json(&["audit", "query", "--where", "approved_by=socket:ann"]).into_iter().next()
    });
    assert_eq!(row["reason"], format!("approved: {id}: seen"));

    // Nothing of a yes is in Redis.
    let id = asked(&fleet.call(0, &charge(&key, 950)));
    assert_eq!(yes(&fleet.nodes[0], &id, "ann"), "approved");
    fleet.redis.restart_empty();
    let first = wait_for("the ledger to be put back", SOON, || {
        Some(fleet.call(1, &charge(&key, 950))).filter(|answer| answer.status != 503)
    });
    assert_eq!(first.status, 200, "{}", first.text());
    asked(&wait_for("the other node to know it", SOON, || {
        Some(fleet.call(0, &charge(&key, 950))).filter(|answer| answer.status != 503)
    }));
    assert_eq!(fleet.vendor.count(), 2);

    // Nor on the node that heard it.
    let id = asked(&fleet.call(0, &charge(&key, 960)));
    assert_eq!(yes(&fleet.nodes[0], &id, "ann"), "approved");
    fleet.nodes[0].server.kill();
    assert_eq!(fleet.call(1, &charge(&key, 960)).status, 200);
    fleet.nodes[0].restart();
    assert_ne!(asked(&fleet.call(0, &charge(&key, 960))), id);
    assert_eq!(fleet.vendor.count(), 3);
}

#[test]
fn a_node_is_killed_while_a_call_waits_on_it_and_the_call_passes_on_another() {
    let mut fleet = Fleet::new(&[&policy("over = \"5 USD\"\nwait = \"60s\"")], 2);
    let key = fleet.mint("asks", "refunds").key;
    let calls = spawn_all([charge(&key, 900).send(fleet.port(0))]);
    let one = wait_for("it to ask", SOON, || pending(&fleet.nodes[1]).into_iter().next());
    fleet.nodes[0].server.kill();
    assert!(join_all(calls).remove(0).is_err(), "its connection broke");
    assert_eq!(yes(&fleet.nodes[1], one["id"].as_str().expect("an id"), "ann"), "approved");
    assert_eq!(fleet.call(1, &charge(&key, 900)).status, 200);
    fleet.nodes[0].restart();
    assert!(pending(&fleet.nodes[0]).is_empty());
    assert_eq!(fleet.vendor.count(), 1);
}

#[test]
fn two_persons_on_two_nodes_and_nobody_their_own() {
    let fleet = Fleet::new(&[&policy("over = \"5 USD\"\nfirst_use = true\nat = 0.5\npeople = 2")], 2);
    let minted = fleet.mint("asks", "refunds");
    let key = minted.key;
    let id = asked(&fleet.call(0, &charge(&key, 900)));
    let by = fleet.nodes[0].json(&["key", "show", &minted.id])[0]["by"].as_str().expect("a name").to_owned();
    let minter = by.split(':').next_back().expect("a name");
    for node in &fleet.nodes {
        let refused = say(node, "approve", &id, minter).expect_err("it is their own");
        assert!(refused.contains("own"), "{refused}");
    }
    assert_eq!(yes(&fleet.nodes[0], &id, "ann"), "pending");
    let twice = say(&fleet.nodes[1], "approve", &id, "ann").expect_err("they said it before");
    assert!(twice.contains("before"), "{twice}");
    assert_eq!(asked(&fleet.call(1, &charge(&key, 900))), id, "one is not enough");
    assert_eq!(yes(&fleet.nodes[1], &id, "eve"), "approved");
    assert_eq!(passed(all_at_once(&fleet, &key, 900, 4)), 1);
    // The first use was approved, on whichever node; and what takes a budget past half of it asks on each.
    assert_eq!((fleet.call(0, &charge(&key, 400)).status, fleet.call(1, &charge(&key, 401)).status), (200, 200));
    let past = |cents| fleet.call(1, &charge(&key, cents)).json()["bursar"]["rules"].to_string();
    for cents in 411..=417 {
        assert_eq!(charge(&key, cents).now(fleet.port(cents as usize)).status, 200, "{cents}");
    }
    assert!(past(419).contains("approval at 50 % of"), "{}", past(419));
    // Whose user a key is, only the node knows that minted it: elsewhere nobody can say that it is another's.
    let bobs = fleet.nodes[0].mint("asks", "refunds", &["--dimension", "user=bob"]);
    fleet.nodes.iter().for_each(|node| fleet.opens(node, &bobs));
    let id = asked(&fleet.call(1, &charge(&bobs.key, 900)));
    for (node, who, why) in [(1, "ann", "another node"), (1, "bob", "another node"), (0, "bob", "own")] {
        let refused = say(&fleet.nodes[node], "approve", &id, who).expect_err("it does not count");
        assert!(refused.contains(why), "{refused}");
    }
    assert_eq!(yes(&fleet.nodes[0], &id, "ann"), "pending");
}

#[test]
fn one_message_for_each_approver_and_its_link_is_good_on_every_node() {
    let hook = Sinkhole::start();
    let secret = "0123456789abcdef0123456789abcdef";
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("secret");
    std::fs::write(&file, secret).expect("a secret");
    let config = format!(
        "[[approver]]\nname = \"ann\"\nwebhook = \"http://127.0.0.1:{}/ann\"\nsecret = \"file:{}\"\n",
        hook.port,
        file.display()
    );
    let mut fleet = Fleet::with(&[&policy("over = \"5 USD\"")], 2, &config);
    let key = fleet.mint("asks", "refunds").key;
    let id = asked(&fleet.call(0, &charge(&key, 900)));
    let links = || -> Vec<String> {
        let all = hook.deliveries();
        let bodies = all.iter().map(|d| serde_json::from_slice::<Value>(&d.body).expect("JSON"));
        bodies.filter_map(|b| b["blocks"][1]["elements"][0]["url"].as_str().map(str::to_owned)).collect()
    };
    let link = wait_for("a message", SOON, || links().into_iter().find(|link| link.contains(&id)));
    wait_for("it to be known as told", SOON, || {
        let record = fleet.nodes[1].admin(&format!("/v1/approvals/{id}"));
        (record["told"]["ann"].is_object() && record["told"]["ann"]["until"].is_null()).then_some(())
    });
    let path = link.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..])).expect("a path");
    let forged = format!("{}{}", &path[..path.len() - 1], if path.ends_with('0') { "1" } else { "0" });
    for node in &fleet.nodes {
        assert_eq!(http(node, "GET", path, "").0, 200, "{path}");
        assert_eq!(http(node, "GET", &forged, "").0, 403);
    }
    let maker = usize::from(!link.contains(&format!(":{}/", fleet.nodes[0].admin)));
    fleet.nodes[maker].server.kill();
    let (status, page) = http(&fleet.nodes[1 - maker], "POST", path, "decision=approve&reason=by+link");
    assert_eq!(status, 200, "{page}");
    assert_eq!(fleet.call(1 - maker, &charge(&key, 900)).status, 200);
    assert_eq!(links().iter().filter(|link| link.contains(&id)).count(), 1, "one message");
    fleet.nodes[maker].restart();
}

/// One request to the admin API by TCP: status and body.
fn http(node: &Bursar, method: &str, target: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", node.admin)).expect("the admin API");
    let head = format!("{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n", node.admin);
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    write!(stream, "{head}{form}Content-Length: {}\r\n\r\n{body}", body.len()).expect("it is read");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
    (status, answer)
}
