//! How many calls, as an agent meets it: so many in flight at once, on one node and on two, also when callers hang up and nodes
//! die; and so many in the life of a run.

mod common;

use common::bursar::Key;
use common::client::{Answer, Ask, Open, join_all, runtime, spawn_all};
use common::fleet::Fleet;
use common::house::House;
use common::{SOON, wait_for};

fn policy(more: &str, budget: &str) -> String {
    format!("name = \"few\"\nvendors = [\"openai\"]\n{more}\n[[allow]]\npaths = [\"/**\"]\n[[budget]]\n{budget}\n")
}

/// They wait at the vendor's gate.
fn slow() -> Ask {
    Ask::stream(100).mock("gate")
}

fn all_in_flight(answer: &Answer) {
    assert_eq!(answer.said(), (429, "budget_held".to_owned()), "{}", answer.text());
    assert_eq!((answer.header("retry-after"), answer.header("x-should-retry")), (Some("1"), Some("true")));
    let text = answer.text();
    assert!(text.contains("3 calls at once per agent") && text.contains("in flight"), "{text}");
}

#[test]
fn ten_calls_at_once_are_three() {
    let house = House::new(&[&policy("wait_for_holds = \"50ms\"", "per = \"agent\"\nlimit = \"3 calls at once\"")]);
    let (key, other) = (house.mint("few", "eager"), house.mint("few", "calm"));
    let calls = spawn_all((0..3).map(|_| slow().key(&key).send(house.port())));
    house.vendor.wait_for_count(3, SOON);
    let more = join_all(spawn_all((0..7).map(|_| slow().key(&key).send(house.port()))));
    more.into_iter().for_each(|answer| all_in_flight(&answer.expect("an answer")));
    assert_eq!(house.vendor.count(), 3);
    let told = house.myself(&key)["budgets"][0].clone();
    assert_eq!(
        (&told["rule"], &told["window"]),
        (&"few: 3 calls at once per agent".into(), &"flight".into()),
        "{told}"
    );
    assert_eq!((&told["held"], &told["remaining"], &told["spent"]), (&"3".into(), &"0".into(), &"0".into()), "{told}");
    let narrow = house.bursar.mint("few", "narrow", &["--budget", "1 calls at once"]);
    let wider = house.bursar.cli(&["key", "mint", "--policy", "few", "--agent", "x", "--budget", "1 USD at once"]);
    assert!(!wider.status.success());
    let calls_of_others = spawn_all([&other, &narrow].map(|key| slow().key(key).send(house.port())));
    house.vendor.wait_for_count(5, SOON);
    assert_eq!(house.call(&slow().key(&narrow)).said(), (429, "budget_held".to_owned()), "the key's own limit");
    house.vendor.open_gate();
    for answer in join_all(calls).into_iter().chain(join_all(calls_of_others)) {
        assert_eq!(answer.expect("an answer").status, 200);
    }
    wait_for("their places to be free", SOON, || (house.myself(&key)["budgets"][0]["held"] == "0").then_some(()));
    let again = join_all(spawn_all((0..3).map(|_| slow().key(&key).send(house.port()))));
    assert!(again.iter().all(|a| a.as_ref().is_ok_and(|a| a.status == 200)));
    assert_eq!(house.vendor.count(), 8);
}

/// What its caller left behind is read for so long.
const DRAIN: &str = "[server.timeouts]\ndrain = \"1s\"";

/// Streams that never end by themselves, whose callers have read their heads.
fn open(key: &Key, ports: &[u16]) -> Vec<Open> {
    let endless = Ask::stream(100).mock("endless every=50").key(key);
    ports.iter().map(|port| runtime().block_on(endless.again().open(*port)).expect("it flows")).collect()
}

/// Those that wait go on one by one as places are free; a caller that hangs up frees one.
#[test]
fn a_place_is_free_when_its_caller_is_gone() {
    let policy = policy("wait_for_holds = \"60s\"", "per = \"agent\"\nlimit = \"3 calls at once\"");
    let house = House::with(&[&policy], |_| DRAIN.to_owned());
    let key = house.mint("few", "eager");
    let mut first = open(&key, &[house.port(); 3]);
    house.vendor.wait_for_count(3, SOON);
    let rest = spawn_all((0..7).map(|_| slow().key(&key).send(house.port())));
    wait_for("all to have come", SOON, || (house.bursar.admin("/v1/status")["calls_in_flight"] == 10).then_some(()));
    assert_eq!(house.vendor.count(), 3);
    drop(first.pop());
    house.vendor.wait_for_count(4, SOON);
    assert_eq!(house.myself(&key)["budgets"][0]["held"], "3");
    drop(first);
    house.vendor.open_gate();
    assert!(join_all(rest).iter().all(|a| a.as_ref().is_ok_and(|a| a.status == 200)));
    assert_eq!(house.vendor.count(), 10);
    wait_for("all places to be free", SOON, || (house.myself(&key)["budgets"][0]["held"] == "0").then_some(()));
}

#[test]
fn on_two_nodes_they_are_counted_together_and_a_dead_node_keeps_no_place() {
    let policy = policy("wait_for_holds = \"60s\"\nlease = true", "per = \"agent\"\nlimit = \"3 calls at once\"");
    let mut fleet = Fleet::with(&[&policy], 2, DRAIN);
    let key = fleet.mint("few", "eager");
    let mut first = open(&key, &[fleet.port(0), fleet.port(1), fleet.port(0)]);
    fleet.vendor.wait_for_count(3, SOON);
    let rest = spawn_all((0..4).map(|_| slow().key(&key).send(fleet.port(1))));
    wait_for("all to have come", SOON, || (fleet.nodes[1].admin("/v1/status")["calls_in_flight"] == 5).then_some(()));
    assert_eq!(fleet.vendor.count(), 3);
    drop(first.pop());
    fleet.vendor.wait_for_count(4, SOON);
    // The other call of that node dies with it, and its place is free when its lease is over.
    fleet.nodes[0].server.kill();
    fleet.vendor.wait_for_count(5, SOON);
    drop(first);
    fleet.vendor.open_gate();
    assert!(join_all(rest).iter().all(|a| a.as_ref().is_ok_and(|a| a.status == 200)));
    assert_eq!(fleet.vendor.count(), 7);
    let free = || {
        let told = fleet.call(1, &Ask::get("/bursar/v1/self").key(&key)).json();
        (told["budgets"][0]["held"] == "0").then_some(())
    };
    wait_for("all places to be free", SOON, free);
}

/// Over the life of the run, whatever happens to bursar.
#[test]
fn a_run_has_so_many_calls() {
    let mut house = House::new(&[&policy("trust_headers = true", "per = \"run\"\nlimit = \"3 calls\"")]);
    let key = house.mint("few", "eager");
    let call = |house: &House, run: &str| house.call(&Ask::chat(Some(10)).key(&key).header("x-bursar-run", run));
    for _ in 0..2 {
        assert_eq!(call(&house, "r1").status, 200);
    }
    house.crash();
    assert_eq!(call(&house, "r1").status, 200);
    house.crash();
    for _ in 0..2 {
        let refused = call(&house, "r1");
        assert_eq!(refused.said(), (403, "budget_spent".to_owned()), "{}", refused.text());
        assert_eq!((refused.header("x-should-retry"), refused.header("retry-after")), (Some("false"), None));
        assert!(refused.text().contains("3 calls per run") && refused.text().contains("does not reset"));
    }
    assert_eq!(call(&house, "r2").status, 200, "another run has its own");
    assert_eq!(house.call(&Ask::chat(Some(10)).key(&key)).code(), "run_required");
    assert_eq!(house.vendor.count(), 4);
}
