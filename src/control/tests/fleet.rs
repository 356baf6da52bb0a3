//! Three nodes of one fleet on a real redis-server: what one switches off is off on all, and each says that it is; what is
//! missed is noticed; who is silent is named; what Redis lost is given back.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::mint;
use super::rig::Rig;
use crate::adapters::switchboard::Cause;
use crate::units::ids::KeyId;
use crate::units::time::Timestamp;

pub(super) const LONG: Duration = Duration::from_secs(60);

/// A server of the test's own; ended by its id.
pub(super) struct Server {
    child: Child,
    pub(super) url: String,
    dir: tempfile::TempDir,
}

impl Server {
    pub(super) async fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        let dir = tempfile::tempdir().expect("a folder");
        let child = spawn(port, &dir);
        let this = Self { child, url: format!("redis://127.0.0.1:{port}/0"), dir };
        this.up().await;
        this
    }

    async fn up(&self) {
        let began = Instant::now();
        while self.try_say(&["HSETNX", "{bursar}:meta", "epoch", "first"]).await.is_err() {
            assert!(began.elapsed() < Duration::from_secs(20), "redis-server does not answer");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Empty, and another ledger.
    pub(super) async fn restart_empty(&mut self) {
        let _ = (self.child.kill(), self.child.wait());
        let port = self.url.split([':', '/']).nth(4).and_then(|p| p.parse().ok()).expect("a port");
        self.child = spawn(port, &self.dir);
        self.up().await;
        self.say(&["HSET", "{bursar}:meta", "epoch", "second"]).await;
    }

    pub(super) async fn say(&self, words: &[&str]) -> redis::Value {
        self.try_say(words).await.expect("an answer")
    }

    async fn try_say(&self, words: &[&str]) -> redis::RedisResult<redis::Value> {
        let client = redis::Client::open(&*self.url).expect("an address");
        let mut connection = client.get_multiplexed_async_connection().await?;
        let mut cmd = redis::cmd(words[0]);
        cmd.arg(&words[1..]);
        cmd.query_async(&mut connection).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = (self.child.kill(), self.child.wait());
    }
}

fn spawn(port: u16, dir: &tempfile::TempDir) -> Child {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"]).arg(dir.path());
    command.stdout(Stdio::null()).spawn().expect("redis-server is installed (tests/run does it)")
}

pub(super) async fn three(server: &Server, max_silence: Duration) -> [Rig; 3] {
    let mut rigs = Vec::new();
    for name in ["a", "b", "c"] {
        rigs.push(Rig::on_redis(&server.url, name, max_silence).await);
    }
    for rig in &rigs {
        rig.wait_for(|| live(rig) == 3).await;
    }
    rigs.try_into().unwrap_or_else(|_| panic!("three"))
}

fn live(rig: &Rig) -> usize {
    let view = rig.state.others.as_ref().and_then(|o| o.view()).expect("a fleet");
    view.nodes.iter().filter(|n| n.live).count()
}

/// `acknowledged` of every node, by name; and who was silent.
pub(super) fn answers(done: &Value) -> (usize, Vec<String>) {
    let nodes = done["nodes"].as_array().cloned().unwrap_or_default();
    let (heard, silent): (Vec<_>, Vec<_>) = nodes.iter().partition(|n| n["acknowledged_ms"].is_u64());
    let name = |n: &&Value| n["name"].as_str().unwrap_or_default().to_owned();
    assert!(silent.iter().all(|n| n["silent_since"].is_string()), "{done}");
    (heard.len(), silent.iter().map(name).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_good_and_off_on_every_node_at_once() {
    let server = Server::start().await;
    let [a, b, c] = three(&server, LONG).await;
    let minted = mint(&a).await;
    let id = minted["key_id"].as_str().expect("an id");
    let key = KeyId(id.into());
    for rig in [&b, &c] {
        rig.wait_for(|| rig.state.keyring.find(&key).is_some()).await;
    }
    let mut times = Vec::new();
    for round in 0..20 {
        let (on, other) = if round % 2 == 0 { (&b, &c) } else { (&c, &a) };
        let calls: Vec<_> = [&a, &b, &c].iter().enumerate().map(|(n, rig)| rig.enter_as(n as u128, id)).collect();
        let began = Instant::now();
        let ended = calls.iter().map(|call| call.stopped()).collect::<Vec<_>>();
        let watched = tokio::spawn(async move {
            futures_util::future::join_all(ended).await;
            began.elapsed()
        });
        let (status, done) = on.post(&format!("/v1/keys/{id}/revoke"), json!({ "reason": "leaked" })).await;
        assert_eq!((status, answers(&done)), (200, (3, vec![])), "{done}");
        times.push(tokio::time::timeout(Duration::from_secs(5), watched).await.expect("all end").expect("watched"));
        let (_, shown) = other.get(&format!("/v1/keys/{id}")).await;
        let why = &shown["revoked"];
        assert_eq!((&why["reason"], &why["actor"]), (&json!("leaked"), &json!("socket:ann")), "{shown}");
        let (status, done) = other.post(&format!("/v1/keys/{id}/restore"), json!({})).await;
        assert_eq!((status, answers(&done)), (200, (3, vec![])), "{done}");
        for rig in [&a, &b, &c] {
            rig.wait_for(|| rig.state.keyring.flags().is_empty() && rig.state.keyring.untold().is_empty()).await;
        }
    }
    times.sort();
    println!("until the last call of three nodes ended: p50 {:?}, worst {:?}", times[10], times[19]);
    assert!(times[19] < Duration::from_secs(1));
    assert_eq!(a.ledger.len() + b.ledger.len() + c.ledger.len(), 41, "each change is one event, whoever hears of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_was_missed_is_noticed() {
    let server = Server::start().await;
    let [a, b, _c] = three(&server, LONG).await;
    for round in 0..5 {
        let key = format!("k{round}");
        let call = b.enter(&key);
        // No publication at all: only the numbers tell.
        server.say(&["SADD", "{bursar}:flags", &json!({ "kind": "key", "id": key }).to_string()]).await;
        server.say(&["HINCRBY", "{bursar}:meta", "flagged", "1"]).await;
        let began = Instant::now();
        tokio::time::timeout(Duration::from_secs(5), call.stopped()).await.expect("it is noticed");
        assert!(began.elapsed() < Duration::from_secs(1), "{:?} in round {round}", began.elapsed());
        drop(call);
        a.wait_for(|| a.state.keyring.flags().len() == round + 1).await;
        server.say(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_went_silent_is_named_and_nobody_waits_long_for_it() {
    let server = Server::start().await;
    let [a, b, c] = three(&server, LONG).await;
    // It goes without a word, as one that is killed or cut off.
    let now = Timestamp::now().0;
    let entry = json!({ "at": now, "right_ends": now + 750_000, "obeyed": 0, "id": "x", "name": "gone" });
    server.say(&["HSET", "{bursar}:nodes", "x", &entry.to_string()]).await;
    let began = Instant::now();
    let (status, done) = a.post("/v1/kill", json!({ "flag": { "kind": "everyone" } })).await;
    assert_eq!((status, answers(&done)), (200, (3, vec!["gone".to_owned()])), "{done}");
    let waited = began.elapsed();
    assert!(waited > Duration::from_millis(500) && waited < Duration::from_secs(2), "{waited:?}");
    drop((b, c));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_cut_off_ends_its_calls() {
    let mut server = Server::start().await;
    let [a, ..] = three(&server, Duration::from_secs(1)).await;
    let call = a.enter("k");
    let _ = server.child.kill();
    let began = Instant::now();
    tokio::time::timeout(Duration::from_secs(10), call.stopped()).await.expect("it ends");
    assert_eq!(call.stopped_by(), Some(&Cause::CutOff));
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    let (_, status) = a.get("/v1/status").await;
    assert!(status["trouble"].to_string().contains("redis"), "{status}");
    server.restart_empty().await;
    a.wait_for(|| a.state.others.as_ref().is_some_and(|o| o.trouble().is_none())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_redis_lost_is_given_back() {
    let mut server = Server::start().await;
    let [a, b, _c] = three(&server, LONG).await;
    let minted = mint(&a).await;
    let id = minted["key_id"].as_str().expect("an id").to_owned();
    b.wait_for(|| b.state.keyring.find(&KeyId(id.as_str().into())).is_some()).await;
    assert_eq!(b.post(&format!("/v1/keys/{id}/revoke"), json!({ "reason": "leaked" })).await.0, 200);
    server.restart_empty().await;
    let began = Instant::now();
    loop {
        let flags = server.say(&["SCARD", "{bursar}:flags"]).await;
        let shared = server.say(&["HLEN", "{bursar}:shared"]).await;
        // The key, its flag, and the count of changes.
        if (&flags, &shared) == (&redis::Value::Int(1), &redis::Value::Int(3)) {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{flags:?} {shared:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (_, shown) = a.get(&format!("/v1/keys/{id}")).await;
    assert_eq!(shown["revoked"]["reason"], "leaked", "who and why are kept: {shown}");
    // A node that comes new knows both.
    let d = Rig::on_redis(&server.url, "d", LONG).await;
    d.wait_for(|| d.state.keyring.flags().len() == 1 && d.state.keyring.list().len() == 1).await;
    assert_eq!(d.state.keyring.flags()[0].act.reason.as_deref(), Some("leaked"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_canary_measures_all_the_time() {
    let server = Server::start().await;
    let [a, b, c] = three(&server, LONG).await;
    let flown = |rig: &Rig| rig.state.others.as_ref().and_then(|o| o.view()).map_or(0, |v| v.revoke_latency.count);
    for rig in [&a, &b, &c] {
        rig.wait_for(|| flown(rig) >= 1).await;
    }
    let page = a.text("/metrics", "").await;
    assert!(
        page.contains("bursar_fleet_nodes_live 3") && page.contains("bursar_revoke_latency_seconds_bucket"),
        "{page}"
    );
    let (_, status) = a.get("/v1/status").await;
    assert_eq!((&status["calls_in_flight"], &status["flags"]), (&json!(0), &json!(0)), "{status}");
    assert_eq!(status["fleet"]["revoke_latency_late"], 0, "{status}");
    assert_eq!(a.ledger.len(), 0, "no event of it");
}
