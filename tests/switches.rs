//! Switches that trip by themselves, as an agent and an operator meet them: each sign with each deed, calls in flight, whom it
//! turns off and whom not, restarts, restores, a fleet, and what stands in the books.

mod common;
#[path = "switches/windows.rs"]
mod windows;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::SystemTime;

use common::books::{row_of, text};
use common::bursar::{Bursar, Key};
use common::client::{Answer, Ask, join_all, runtime, spawn_all};
use common::fleet::Fleet;
use common::house::{House, REAL_OPENAI};
use common::{SOON, wait_for};
use serde_json::Value;

const CARD: &str = "4242424242424242";

/// A policy that allows all but one path.
fn policy(name: &str, switch: &str) -> String {
    format!(
        "name = \"{name}\"\nvendors = [\"openai\", \"stripe\"]\nceiling = \"0.01 USD\"\n[[allow]]\npaths = [\"/**\"]\n[[deny]]\npaths = [\"/v1/no\"]\n\
         [[budget]]\nper = \"agent\"\nlimit = \"1000 USD\"\n{switch}\n"
    )
}

fn switch(on: &str, per: &str, deed: &str) -> String {
    format!("[[switch]]\n{on}\nper = \"{per}\"\ndo = \"{deed}\"\n")
}

const DEEDS: [&str; 3] = ["alert", "suspend", "kill"];

/// One policy for each deed, called as the deed is.
fn all_deeds(on: &str) -> House {
    let texts = DEEDS.map(|deed| policy(deed, &switch(on, "agent", deed)));
    House::new(&texts.each_ref().map(String::as_str))
}

fn chat(key: &Key, words: &str) -> Ask {
    let body =
        serde_json::json!({"model": "penny-1", "max_tokens": 100, "messages": [{"role": "user", "content": words}]});
    Ask::json("/openai/v1/chat/completions", &body).key(key)
}

fn denied(key: &Key) -> Ask {
    Ask::get("/openai/v1/no").key(key)
}

fn says(key: &Key, what: &str) -> Ask {
    Ask::get("/openai/v1/says").key(key).mock(&format!("says={what}"))
}

fn metrics(house: &House) -> String {
    let mut socket = UnixStream::connect(house.bursar.data.join("admin.sock")).expect("the admin socket");
    write!(socket, "GET /metrics HTTP/1.1\r\nHost: bursar\r\nConnection: close\r\n\r\n").expect("it is read");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer");
    answer
}

/// A call that has nothing to do with what happened before.
fn harmless(house: &House, key: &Key) -> Answer {
    house.call(&chat(key, &format!("something else {:?}", SystemTime::now())))
}

fn events(bursar: &Bursar, kind: &str, about: &str) -> Vec<Value> {
    let events = bursar.json(&["audit", "tail", "--from", "1"]);
    events.into_iter().filter(|e| e["kind"] == kind && e.to_string().contains(about)).collect()
}

fn event(bursar: &Bursar, kind: &str, about: &str) -> String {
    wait_for(&format!("a {kind} event about {about}"), SOON, || events(bursar, kind, about).pop()).to_string()
}

/// After it was set off: what the next call meets, what the books say, and that a person lets it go on.
fn came_to_pass(house: &House, deed: &str, key: &Key, measured: &str) {
    let agent = format!("agent-{deed}");
    let (kind, code) = match deed {
        "alert" => ("alerted", ""),
        "suspend" => ("killed", "suspended"),
        _ => ("killed", "killed"),
    };
    let said = event(&house.bursar, kind, &agent);
    for part in [&format!("switch:{deed}"), measured, &*agent] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let counted = metrics(house);
    assert!(counted.contains(&format!("bursar_switches_tripped_total{{do=\"{deed}\"}} 1")), "{counted}");
    let next = harmless(house, key);
    if deed == "alert" {
        return assert_eq!(next.status, 200, "{}", next.text());
    }
    assert_eq!(next.said(), (403, code.to_owned()), "{}", next.text());
    assert!(next.text().contains(measured) && next.text().contains(&agent), "in words: {}", next.text());
    assert_eq!((next.header("x-should-retry"), next.header("retry-after")), (Some("false"), None));
    house.bursar.ok(&["unkill", "--agent", &agent, "--reason", "looked at"]);
    let next = harmless(house, key);
    assert_eq!(next.status, 200, "{deed}: {}", next.text());
}

fn each_deed(on: &str, measured: &str, set_off: impl Fn(&House, &Key, bool)) {
    let house = all_deeds(on);
    for deed in DEEDS {
        let key = house.mint(deed, &format!("agent-{deed}"));
        assert_eq!(harmless(&house, &key).status, 200);
        set_off(&house, &key, deed != "alert");
        came_to_pass(&house, deed, &key, measured);
    }
}

/// The call that is too much is the first that it refuses.
fn last_is_refused(answer: &Answer, off: bool) {
    assert_eq!(answer.status == 403, off, "{}", answer.text());
}

#[test]
fn the_same_call_again_and_again() {
    each_deed("on = \"loop\"\nsame = 3\nwithin = \"10m\"", "3 times the same request", |house, key, off| {
        assert_eq!((house.call(&chat(key, "hi")).status, house.call(&chat(key, "hi")).status), (200, 200));
        let sent = house.vendor.count();
        last_is_refused(&house.call(&chat(key, "hi")), off);
        assert_eq!(house.vendor.count() == sent, off, "nothing of it was sent");
    });
}

#[test]
fn refusals() {
    each_deed("on = \"refusals\"\ncount = 3\nwithin = \"10m\"", "3 refusals within 10m", |house, key, _| {
        for _ in 0..3 {
            assert_eq!(house.call(&denied(key)).said(), (403, "policy_denied".to_owned()));
        }
    });
}

#[test]
fn retries_of_what_fails() {
    each_deed("on = \"retries\"\nsame = 2\nwithin = \"10m\"", "2 retries of one request", |house, key, off| {
        let failing = || house.call(&chat(key, "fail").mock("status=500"));
        assert_eq!((failing().status, failing().status), (500, 500));
        let last = failing();
        assert_eq!(last.status, if off { 403 } else { 500 }, "{}", last.text());
    });
}

#[test]
fn answers_with_secrets() {
    let secret = format!("sk_live_{}", "a1B2c3D4e5F6g7H8");
    each_deed("on = \"secrets\"", "1 credential in one answer", |house, key, off| {
        let answer = house.call(&says(key, &secret));
        last_is_refused(&answer, off);
        assert_eq!(answer.text().contains(&secret), !off, "it does not reach the agent");
        let books = house.bursar.json(&["audit", "tail", "--from", "1"]);
        assert!(!books.iter().any(|e| e.to_string().contains(&secret)), "what was found is written nowhere");
    });
}

#[test]
fn answers_with_data_of_persons() {
    let on = "on = \"personal_data\"\nkinds = [\"card\", \"email\"]\ncount = 2";
    each_deed(on, "1 card, 1 email in one answer", |house, key, off| {
        assert_eq!(house.call(&says(key, CARD)).status, 200, "one is not two");
        last_is_refused(&house.call(&says(key, &format!("{CARD},ann@example.com"))), off);
    });
}

#[test]
fn spend_beyond_its_usual() {
    let on = "on = \"spend_rate\"\ntimes = 3\nslot = \"1s\"\nwarm_up = 2\nfloor = \"0.5 USD\"";
    each_deed(on, "is usual", |house, key, _| {
        for _ in 0..3 {
            next_second();
            assert_eq!(house.call(&Ask::charge(20).key(key)).status, 200);
        }
        next_second();
        assert_eq!(house.call(&Ask::charge(5000).key(key)).status, 200, "it is known when it has ended");
    });
}

/// Slots are counted by the clock.
fn next_second() {
    let second = || SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_secs();
    let now = second();
    wait_for("the next second", SOON, || (second() > now).then_some(()));
}

/// A day of the week that is neither today nor tomorrow.
fn another_day() -> &'static str {
    let days = SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_secs() / 86_400;
    // 1970 began on a Thursday.
    ["thu", "fri", "sat", "sun", "mon", "tue", "wed"][usize::try_from((days + 3) % 7).expect("a day")]
}

#[test]
fn calls_outside_hours() {
    let texts = DEEDS
        .map(|deed| policy(deed, &switch(&format!("on = \"hours\"\ndays = \"{}\"", another_day()), "agent", deed)));
    let house = House::new(&texts.each_ref().map(String::as_str));
    for (deed, code) in [("alert", None), ("suspend", Some("suspended")), ("kill", Some("killed"))] {
        let key = house.mint(deed, &format!("agent-{deed}"));
        let first = harmless(&house, &key);
        assert_eq!(first.code(), code.unwrap_or_default(), "{}", first.text());
        let kind = if code.is_some() { "killed" } else { "alerted" };
        assert!(event(&house.bursar, kind, &format!("agent-{deed}")).contains("a call outside"));
    }
    assert_eq!(house.vendor.count(), 1);
}

#[test]
fn a_switch_that_observes_only_says_so() {
    let text = switch("on = \"refusals\"\ncount = 2\nwithin = \"1m\"\nmode = \"observe\"", "agent", "kill");
    let house = House::new(&[&policy("p", &text)]);
    let key = house.mint("p", "agent");
    (0..6).for_each(|_| drop(house.call(&denied(&key))));
    event(&house.bursar, "alerted", "switch:p");
    assert_eq!(harmless(&house, &key).status, 200);
    assert_eq!(events(&house.bursar, "alerted", "").len(), 1, "said once a minute");
}

#[test]
fn it_turns_off_whom_it_counts_and_nobody_else() {
    let refusals = "on = \"refusals\"\ncount = 2\nwithin = \"1m\"";
    let (keys, kills) = (switch(refusals, "key", "suspend"), switch(refusals, "key", "kill"));
    let house = House::new(&[
        &policy("keys", &keys),
        &policy("kills", &kills),
        &policy("runs", &switch(refusals, "run", "suspend")),
    ]);
    let two = |ask: Ask| (0..2).for_each(|_| drop(house.call(&ask)));
    for (name, status, code) in [("keys", 403, "suspended"), ("kills", 401, "key_revoked")] {
        let (key, other) = (house.mint(name, "a"), house.mint(name, "a"));
        two(denied(&key));
        let next = harmless(&house, &key);
        assert_eq!(next.said(), (status, code.to_owned()), "{}", next.text());
        assert!(next.text().contains("2 refusals"), "{}", next.text());
        assert_eq!(harmless(&house, &other).status, 200, "another key");
        event(&house.bursar, "revoked", &key.id);
        house.bursar.ok(&["key", "restore", &key.id]);
        assert_eq!(harmless(&house, &key).status, 200);
    }
    let run = |run: &str| house.bursar.mint("runs", "a", &["--run", run]);
    let (one, same, other) = (run("r1"), run("r1"), run("r2"));
    two(denied(&one));
    assert_eq!(harmless(&house, &same).code(), "suspended", "the same run");
    assert_eq!(harmless(&house, &other).status, 200, "another run");
    let claims = house.mint("runs", "b");
    two(denied(&claims).header("x-bursar-run", "r2"));
    assert_eq!(harmless(&house, &claims).code(), "suspended", "its key, as nobody vouches for the run");
    assert_eq!(harmless(&house, &other).status, 200, "no agent turns off another's run");
}

#[test]
fn calls_in_flight_end_and_it_survives_a_crash() {
    let mut house =
        House::new(&[&policy("p", &switch("on = \"refusals\"\ncount = 2\nwithin = \"1m\"", "agent", "suspend"))]);
    let key = house.mint("p", "runaway");
    let stream = Ask::stream(100_000).key(&key).mock("endless every=20 tokens=1");
    let (trace, port) = (stream.trace.clone(), house.port());
    let reading = spawn_all([async move { stream.open(port).await.expect("an answer").read().await }]);
    house.vendor.wait_for_count(1, SOON);
    (0..2).for_each(|_| drop(house.call(&denied(&key))));
    let ended = join_all(reading).remove(0).text();
    assert!(ended.contains("\"code\":\"revoked\"") && !ended.contains("[DONE]"), "{ended}");
    let row = row_of(&house.bursar, &trace, SOON);
    assert_eq!(text(&row, "outcome"), "aborted", "{row:#}");
    house.crash();
    assert_eq!(harmless(&house, &key).code(), "suspended");
    let flags = house.bursar.admin("/v1/flags").to_string();
    assert!(flags.contains("switch:p") && flags.contains("suspended by"), "{flags}");
    house.bursar.ok(&["unkill", "--agent", "runaway"]);
    house.crash();
    assert_eq!(harmless(&house, &key).status, 200);
}

#[test]
fn a_stream_ends_before_the_secret_in_it() {
    let house = House::new(&[&policy("p", &switch("on = \"secrets\"", "agent", "suspend"))]);
    let key = house.mint("p", "reader");
    let coded = {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(format!("me:{REAL_OPENAI}"))
    };
    for what in [coded, REAL_OPENAI.to_owned()] {
        let answer = house.call(&Ask::stream(1000).key(&key).mock(&format!("endless every=5 tokens=1 says={what}")));
        let said = answer.text();
        assert!(said.contains("w4 ") && said.contains("\"code\":\"revoked\"") && !said.contains(&what), "{said}");
        assert!(event(&house.bursar, "killed", "own_credential").contains("reader"));
        house.bursar.ok(&["unkill", "--agent", "reader"]);
    }
}

#[test]
fn its_own_credential_in_an_answer_is_said_whatever_the_policy() {
    let house = House::new(&[&policy("p", "")]);
    let key = house.mint("p", "reader");
    let answer = house.call(&Ask::get("/openai/v1/echo").key(&key).mock("echo"));
    assert!(answer.status == 200 && !answer.text().contains(REAL_OPENAI), "{}", answer.text());
    let said = event(&house.bursar, "alerted", &key.id);
    assert!(said.contains("switch:bursar") && said.contains("starred out") && !said.contains(REAL_OPENAI), "{said}");
    assert_eq!(harmless(&house, &key).status, 200);
}

#[test]
fn a_trip_at_one_node_holds_at_all() {
    let fleet =
        Fleet::new(&[&policy("p", &switch("on = \"refusals\"\ncount = 2\nwithin = \"10m\"", "agent", "suspend"))], 2);
    let key = fleet.mint("p", "runaway");
    let (here, there) = (fleet.nodes[0].gateway, fleet.nodes[1].gateway);
    let stream = Ask::stream(100_000).key(&key).mock("endless every=20 tokens=1");
    let reading = spawn_all([async move { stream.open(there).await.expect("an answer").read().await }]);
    fleet.vendor.wait_for_count(1, SOON);
    (0..2).for_each(|_| drop(denied(&key).now(here)));
    let ended = join_all(reading).remove(0).text();
    assert!(ended.contains("\"code\":\"revoked\""), "{ended}");
    let word = |port: u16| runtime().block_on(chat(&key, "hi").send(port)).expect("an answer");
    for port in [here, there] {
        let answer = wait_for("the suspension", SOON, || Some(word(port)).filter(|a| a.code() == "suspended"));
        assert!(answer.text().contains("2 refusals within 10m"), "{}", answer.text());
    }
    assert!(event(&fleet.nodes[1], "killed", "runaway").contains("switch:p"));
    fleet.nodes[1].ok(&["unkill", "--agent", "runaway"]);
    assert_eq!((word(here).status, word(there).status), (200, 200));
}

#[test]
fn a_key_can_see_what_watches_it() {
    let text = switch("on = \"loop\"\nsame = 3\nwithin = \"10m\"\noperations = [\"POST /v1/refunds\"]", "run", "kill");
    let house = House::new(&[&policy("p", &text)]);
    let rules = house.myself(&house.mint("p", "a"))["rules"][0].clone();
    let rule = "p: kill run on 3 times the same in 10m for POST /v1/refunds";
    assert_eq!(rules["switches"], serde_json::json!([{"rule": rule, "on": "loop", "per": "run", "do": "kill"}]));
}
