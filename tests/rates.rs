//! Rates, as an agent meets them: a 429 that says when to come back where that is soon, a refusal that no SDK repeats where it
//! is not, a turn that is waited for; over crashes, over two nodes, and after Redis has lost everything.

mod common;

use std::time::{Duration, Instant};

use common::books::{rows, settled};
use common::client::{Answer, Ask, join_all, spawn_all};
use common::fleet::Fleet;
use common::house::House;
use common::{SOON, wait_for};
use serde_json::Value;

fn policy(name: &str, more: &str, rate: &str) -> String {
    format!(
        "name = \"{name}\"\nvendors = [\"openai\"]\n{more}\n[[allow]]\npaths = [\"/**\"]\n[[rate]]\nper = \"agent\"\n{rate}\n"
    )
}

fn refused(answer: &Answer, status: u16) {
    assert_eq!(answer.said(), (status, "rate_limited".to_owned()), "{}", answer.text());
    assert!(answer.json()["error"]["message"].is_string(), "in the vendor's own shape: {}", answer.text());
}

#[test]
fn a_call_that_comes_too_early_is_told_when_to_come_back() {
    let house = House::new(&[&policy("slow", "wait_for_holds = \"50ms\"", "limit = \"3/min\"")]);
    let (key, other) = (house.mint("slow", "eager"), house.mint("slow", "calm"));
    let ask = Ask::chat(Some(100));
    let answers: Vec<Answer> = (0..5).map(|_| house.call(&ask.clone().key(&key))).collect();
    answers[..3].iter().for_each(|a| assert_eq!(a.status, 200, "{}", a.text()));
    for answer in &answers[3..] {
        refused(answer, 429);
        let number = |name| answer.header(name).and_then(|v| v.parse::<u64>().ok()).expect("a number");
        let (secs, millis) = (number("retry-after"), number("retry-after-ms"));
        assert!((1..=20).contains(&secs) && millis.div_ceil(1000) == secs, "{secs} {millis}");
        assert_eq!(answer.header("x-should-retry"), Some("true"));
        assert_eq!(answer.json()["bursar"]["rule"], "slow: 3/min per agent");
    }
    assert_eq!(house.call(&ask.clone().key(&other)).status, 200, "each agent has its own");
    assert_eq!(house.vendor.count(), 4);
    let all = settled(&house.bursar, &["--agent", "eager"], 5, SOON);
    let limited = all.into_iter().filter(|row| row["verdict"] == "rate_limited");
    let reasons: Vec<Value> = limited.map(|row| row["reason"].clone()).collect();
    assert_eq!(reasons.len(), 2);
    assert!(reasons.iter().all(|r| r.as_str().is_some_and(|r| r.contains("slow: 3/min per agent"))), "{reasons:?}");
    let told = house.myself(&key);
    assert_eq!(told["rates"][0]["limit"], "3/min", "{told}");
}

#[test]
fn a_long_wait_is_a_refusal_that_is_not_repeated_also_after_a_crash() {
    let mut house = House::new(&[&policy("rare", "", "limit = \"2/hour\"")]);
    let key = house.mint("rare", "eager");
    let ask = Ask::chat(Some(100)).key(&key);
    assert_eq!((house.call(&ask).status, house.call(&ask).status), (200, 200));
    let answer = house.call(&ask);
    refused(&answer, 403);
    assert_eq!((answer.header("retry-after"), answer.header("x-should-retry")), (None, Some("false")));
    house.crash();
    refused(&house.call(&ask), 403);
    assert_eq!(house.vendor.count(), 2);
}

#[test]
fn a_call_waits_for_its_turn_where_that_comes_in_time() {
    let house = House::new(&[&policy("steady", "wait_for_holds = \"30s\"", "limit = \"5/s\"\nburst = 1")]);
    let key = house.mint("steady", "eager");
    let begun = Instant::now();
    let answers = join_all(spawn_all((0..6).map(|_| Ask::chat(Some(100)).key(&key).send(house.port()))));
    assert!(answers.iter().all(|a| a.as_ref().is_ok_and(|a| a.status == 200)), "{answers:?}");
    assert!(begun.elapsed() >= Duration::from_secs(1), "five turns of 200 ms: {:?}", begun.elapsed());
}

#[test]
fn in_observe_mode_the_row_says_what_would_have_been_refused() {
    let house = House::new(&[&policy("watched", "mode = \"observe\"", "limit = \"1/hour\"")]);
    let key = house.mint("watched", "eager");
    let ask = Ask::chat(Some(100)).key(&key);
    assert_eq!((house.call(&ask).status, house.call(&ask).status), (200, 200));
    let noted = wait_for("the row", SOON, || {
        rows(&house.bursar, &["--agent", "eager"]).into_iter().find(|r| r["verdict"] == "rate_limited")
    });
    assert_eq!(
        (&noted["enforced"], &noted["reason"]),
        (&false.into(), &"rate_limited: watched: 1/hour per agent".into())
    );
}

#[test]
fn two_nodes_keep_one_rate_and_a_lost_redis_opens_no_new_burst() {
    let fleet = Fleet::patient(&[&policy("rare", "", "limit = \"6/hour\"")], 2, "");
    let key = fleet.mint("rare", "eager");
    let ask = Ask::chat(Some(100)).key(&key);
    let answers: Vec<Answer> = (0..12).map(|n| fleet.call(n % 2, &ask)).collect();
    let served = answers.iter().filter(|a| a.status == 200).count();
    assert_eq!((served, fleet.vendor.count()), (6, 6));
    answers.iter().filter(|a| a.status != 200).for_each(|a| refused(a, 403));
    fleet.redis.must(&["flushall"]);
    let after = wait_for("the ledger to be put back", SOON, || {
        let answer = fleet.call(1, &ask);
        (answer.status != 503).then_some(answer)
    });
    refused(&after, 403);
    assert_eq!(fleet.vendor.count(), 6);
}

const LOOPS: &str = "[[loop]]\nper = \"agent\"\nsame = 3\nwithin = \"1h\"\n";

fn looping(answer: &Answer) {
    assert_eq!(answer.said(), (403, "loop_detected".to_owned()), "{}", answer.text());
    assert_eq!((answer.header("x-should-retry"), answer.header("retry-after")), (Some("false"), None));
    assert_eq!(answer.json()["bursar"]["rule"], "looped: 3 times the same in 1h per agent");
}

fn looped() -> String {
    format!("name = \"looped\"\nvendors = [\"openai\"]\n[[allow]]\npaths = [\"/**\"]\n{LOOPS}")
}

#[test]
fn the_same_call_again_and_again_is_a_loop_also_after_a_crash() {
    let mut house = House::new(&[&looped()]);
    let (key, other) = (house.mint("looped", "eager"), house.mint("looped", "calm"));
    let (ask, another) = (Ask::chat(Some(100)).key(&key), Ask::chat(Some(101)).key(&key));
    for _ in 0..3 {
        assert_eq!((house.call(&ask).status, house.call(&another).status), (200, 200), "each is counted by itself");
    }
    looping(&house.call(&ask));
    house.crash();
    looping(&house.call(&ask));
    looping(&house.call(&another));
    assert_eq!(house.call(&Ask::chat(Some(100)).key(&other)).status, 200, "each agent has its own");
    assert_eq!(house.call(&Ask::chat(Some(102)).key(&key)).status, 200, "another body is another call");
    assert_eq!(house.vendor.count(), 8);
    let denied = wait_for("the rows", SOON, || {
        let found: Vec<Value> =
            rows(&house.bursar, &["--agent", "eager"]).into_iter().filter(|r| r["verdict"] == "deny").collect();
        (found.len() == 3).then_some(found)
    });
    assert!(
        denied.iter().all(|r| r["reason"].as_str().is_some_and(|r| r.starts_with("loop_detected: "))),
        "{denied:?}"
    );
}

#[test]
fn two_nodes_see_one_loop() {
    let fleet = Fleet::patient(&[&looped()], 2, "");
    let key = fleet.mint("looped", "eager");
    let ask = Ask::chat(Some(100)).key(&key);
    let answers: Vec<Answer> = (0..6).map(|n| fleet.call(n % 2, &ask)).collect();
    assert_eq!((answers.iter().filter(|a| a.status == 200).count(), fleet.vendor.count()), (3, 3));
    answers.iter().filter(|a| a.status != 200).for_each(looping);
}
