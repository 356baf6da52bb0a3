//! Sinks with real processes: every event reaches every sink in order and at least once, whatever happens to the sink or to
//! bursar; a slow or missing one holds up nobody, and is seen.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::books::{LEASES, all_closed, number, text};
use common::bursar::Bursar;
use common::client::{Ask, send_all};
use common::house::{House, pennies};
use common::sinkhole::{Sinkhole, attribute, field};
use common::{SOON, wait_for};
use hmac::{Hmac, KeyInit, Mac};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use serde_json::Value;
use sha2::Sha256;

const SECRET: &str = "whsec_c2VjcmV0LW9mLXRoaXMtdGVzdC1hbG9uZQ==";

fn free() -> String {
    pennies("free", "100_000 USD", "")
}

/// The sequence numbers of all events that a tail gives.
fn tail(bursar: &Bursar) -> Vec<u64> {
    bursar.json(&["audit", "tail", "--from", "1"]).iter().map(|e| number(e, "seq")).collect()
}

fn status(bursar: &Bursar, sink: &str) -> Value {
    let said = bursar.admin("/v1/status");
    let sinks = said["sinks"].as_array().expect("sinks");
    sinks.iter().find(|s| s["name"] == sink).unwrap_or_else(|| panic!("no sink {sink} in {said}")).clone()
}

/// In order but for what is repeated: no number is there for the first time after a higher one.
fn in_order_at_least_once(seen: &[u64], all: &[u64], sink: &str) {
    let mut known = BTreeSet::new();
    let first: Vec<u64> = seen.iter().copied().filter(|seq| known.insert(*seq)).collect();
    assert_eq!(first, all, "what the sink {sink} saw");
}

fn calls(house: &House, key: &common::bursar::Key, rounds: usize) {
    for _ in 0..rounds {
        let mut asks: Vec<Ask> = (0..8).map(|_| Ask::chat(Some(200)).key(key)).collect();
        asks.push(Ask::get("/openai/v1/files").key(key));
        send_all(house.port(), asks);
    }
}

fn seqs(events: &[Value]) -> Vec<u64> {
    events.iter().map(|e| number(e, "seq")).collect()
}

fn lines(house: &House) -> Vec<Value> {
    let path = |n: u32| house.dir.path().join(if n == 0 { "e.jsonl".to_owned() } else { format!("e.jsonl.{n}") });
    let files: Vec<String> = (0..200).rev().filter_map(|n| fs::read_to_string(path(n)).ok()).collect();
    files
        .iter()
        .flat_map(|f| f.lines())
        .map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}")))
        .collect()
}

fn config(hook: u16, siem: u16) -> String {
    format!(
        r#"
[[sink]]
name = "lines"
type = "file"
path = "e.jsonl"
rotate = "20KiB"
keep = 100
[[sink]]
name = "hook"
type = "webhook"
url = "http://127.0.0.1:{hook}/in"
secret = "env:TEST_HOOK"
batch = 50
[[sink]]
name = "siem"
type = "otlp"
url = "http://127.0.0.1:{siem}/v1/logs"
headers = {{ authorization = "env:TEST_SIEM" }}
batch = 50
"#
    )
}

fn house(hook: &Sinkhole, siem: &Sinkhole) -> House {
    let text = config(hook.port, siem.port);
    House::with_env(&[&free()], |_| text, &[("TEST_HOOK", SECRET), ("TEST_SIEM", "Bearer-of-this-test")])
}

fn all_delivered(house: &House) {
    all_closed(&house.bursar, &[], LEASES);
    wait_for("all sinks to have everything", SOON, || {
        let said = house.bursar.admin("/v1/status");
        let done = said["sinks"].as_array()?.iter().all(|s| s["behind"] == 0 && s["seq"] == said["books_seq"]);
        (done && said["books_behind"] == 0).then_some(())
    });
}

#[test]
fn every_event_reaches_every_sink_through_kills_and_restarts() {
    let (mut hook, siem) = (Sinkhole::start(), Sinkhole::start());
    let mut house = house(&hook, &siem);
    let key = house.mint("free", "worker");
    calls(&house, &key, 3);
    // One is away, one refuses: calls go on, and both are seen to be behind.
    hook.away();
    siem.answers(503);
    calls(&house, &key, 3);
    for sink in ["hook", "siem"] {
        let stuck = wait_for("a sink that is behind", SOON, || {
            Some(status(&house.bursar, sink)).filter(|s| s["trouble"].is_string() && number(s, "failures") > 0)
        });
        assert!(number(&stuck, "behind") > 0 && stuck["trouble_since"].is_string(), "{stuck}");
    }
    wait_for("the file to have what the others miss", SOON, || {
        (status(&house.bursar, "lines")["behind"] == 0).then_some(())
    });
    house.crash();
    hook.back();
    siem.answers(200);
    calls(&house, &key, 3);
    house.bursar.server.terminate();
    house.bursar.server.wait(SOON);
    house.bursar.restart();
    calls(&house, &key, 3);
    all_delivered(&house);
    let all = tail(&house.bursar);
    assert!(all.len() > 150, "{} events are too few to show anything", all.len());
    in_order_at_least_once(&seqs(&lines(&house)), &all, "lines");
    in_order_at_least_once(&seqs(&hook.events()), &all, "hook");
    let records: Vec<u64> = siem.records().iter().filter_map(|r| attribute(r, "bursar.seq")?.try_into().ok()).collect();
    in_order_at_least_once(&records, &all, "siem");
    assert!(house.dir.path().join("e.jsonl.1").exists(), "the file was rotated");
    each_delivery_is_signed(&hook);
    the_records_speak_ocsf(&siem);
    let log = house.bursar.server.output();
    assert!(!log.contains("c2VjcmV0") && !log.contains("Bearer-of-this-test"), "no secret is printed: {log}");
}

fn each_delivery_is_signed(hook: &Sinkhole) {
    let key = STANDARD.decode(SECRET.trim_start_matches("whsec_")).expect("base64");
    let mut ids = BTreeSet::new();
    for delivery in hook.deliveries().iter() {
        let header = |name: &str| delivery.headers[name].to_str().expect("text");
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key");
        mac.update(format!("{}.{}.", header("webhook-id"), header("webhook-timestamp")).as_bytes());
        mac.update(&delivery.body);
        assert_eq!(header("webhook-signature"), format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())));
        ids.insert(header("webhook-id").to_owned());
    }
    assert!(ids.len() > 3, "{ids:?}");
}

fn the_records_speak_ocsf(siem: &Sinkhole) {
    assert_eq!(siem.deliveries()[0].headers["authorization"], "Bearer-of-this-test");
    let records = siem.records();
    let denied = records.iter().find(|r| r.event_name == "bursar.denied").expect("a refusal");
    let word = |text: &str| Some(Any::StringValue(text.to_owned()));
    assert_eq!(field(denied, "class_uid"), Some(Any::IntValue(6003)));
    assert_eq!(field(denied, "action_id"), Some(Any::IntValue(2)));
    assert_eq!(field(denied, "actor/user/name"), word("worker"));
    assert_eq!(field(denied, "api/service/name"), word("openai"));
    assert!(denied.time_unix_nano > 0 && denied.severity_text == "WARN");
    let minted = records.iter().find(|r| r.event_name == "bursar.key_minted").expect("a new key");
    assert_eq!(field(minted, "class_uid"), Some(Any::IntValue(3004)));
    let Some(Any::StringValue(raw)) = field(minted, "raw_data") else { panic!("no raw data in {minted:?}") };
    assert_eq!(text(&serde_json::from_str(&raw).expect("JSON"), "kind"), "key_minted");
}

/// Each delivery takes half a second: the books are never late for it, nor are the other sinks.
#[test]
fn a_slow_sink_under_load_holds_up_nobody_and_loses_nothing() {
    let (hook, siem) = (Sinkhole::start(), Sinkhole::start());
    hook.slow(Duration::from_millis(500));
    let house = house(&hook, &siem);
    let key = house.mint("free", "worker");
    let mut furthest = 0;
    for _ in 0..20 {
        calls(&house, &key, 2);
        furthest = furthest.max(number(&status(&house.bursar, "hook"), "behind"));
    }
    assert!(furthest > 100, "the slow sink was never more than {furthest} entries behind: no load");
    let books = house.bursar.admin("/v1/status");
    assert!(number(&books, "books_behind") < 100, "the books were held up: {books}");
    wait_for("the fast sinks", Duration::from_secs(5), || {
        let behind = |sink| number(&status(&house.bursar, sink), "behind");
        (behind("siem") == 0 && behind("lines") == 0).then_some(())
    });
    assert!(number(&status(&house.bursar, "hook"), "behind") > 0, "the slow one ended first");
    hook.slow(Duration::ZERO);
    all_delivered(&house);
    let all = tail(&house.bursar);
    in_order_at_least_once(&seqs(&hook.events()), &all, "hook");
    in_order_at_least_once(&seqs(&lines(&house)), &all, "lines");
}

#[test]
fn a_sink_that_cannot_work_is_told_at_start() {
    let house = House::new(&[&free()]);
    let tell = |sink: &str, env: &str| {
        let config = house.dir.path().join("sink.toml");
        fs::write(&config, sink).expect("a configuration");
        let mut serve = std::process::Command::new(common::bursar::binary());
        serve.arg("serve").arg("--config").arg(&config).arg("--data").arg(house.dir.path().join("other"));
        let done = serve.args(["--listen", ":0", "--admin", ":0"]).env("TEST_HOOK", env).output().expect("bursar runs");
        assert!(!done.status.success());
        String::from_utf8_lossy(&done.stderr).into_owned()
    };
    let hook = "[[sink]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"https://hooks.example/x\"\nsecret = \"env:TEST_HOOK\"\n";
    for (env, word) in [("", "TEST_HOOK"), ("hunter2", "shorter than"), ("whsec_hunter2", "base64")] {
        let told = tell(hook, env);
        assert!(told.contains("sink `hook`") && told.contains(word) && !told.contains("hunter2"), "{told}");
    }
}

#[test]
fn retention_waits_for_the_slowest_sink() {
    let (hook, siem) = (Sinkhole::start(), Sinkhole::start());
    hook.answers(503);
    let text = format!("[audit.checkpoints]\nevents = 8\ntime = \"1s\"\n{}", config(hook.port, siem.port));
    let house = House::with_env(&[&free()], |_| text, &[("TEST_HOOK", SECRET), ("TEST_SIEM", "Bearer-of-this-test")]);
    let key = house.mint("free", "worker");
    calls(&house, &key, 2);
    all_closed(&house.bursar, &[], LEASES);
    let all = tail(&house.bursar);
    house.bursar.ok(&["audit", "export"]);
    let prune = || house.bursar.cli(&["audit", "prune", "--before", "1s"]);
    let refused = wait_for("something old enough", SOON, || Some(prune()).filter(|p| !p.status.success()));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("sink `hook` has events up to 0 only"), "{said}");
    assert!(tail(&house.bursar).starts_with(&all), "nothing was deleted");
    hook.answers(200);
    wait_for("the sink that was away", SOON, || prune().status.success().then_some(()));
    assert!(!tail(&house.bursar).contains(&1), "it is given up");
    let seen: Vec<u64> = seqs(&hook.events());
    assert!(all.iter().all(|seq| seen.contains(seq)), "{seen:?}");
}
