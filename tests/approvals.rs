//! Approvals, as an agent and the persons who are asked meet them: a call that waits and goes on, one that is refused with an
//! id and passes once after a yes, a no, a time-out, two persons, whose word does not count, a restart, and what stands in the
//! books of all that.

mod common;
#[path = "approvals/links.rs"]
mod links;

use common::client::{Answer, Ask, join_all, spawn_all};
use common::house::House;
use common::{SOON, wait_for};
use serde_json::Value;

fn policy(name: &str, approval: &str) -> String {
    format!(
        "name = \"{name}\"\nvendors = [\"stripe\"]\n[[allow]]\npaths = [\"/**\"]\n[[budget]]\nper = \"agent\"\nlimit = \"100 USD\"\n\
         [approval]\n{approval}\n"
    )
}

/// One policy, and a key under it that is bob's.
fn house(approval: &str) -> (House, String) {
    let house = House::new(&[&policy("asks", approval)]);
    let key = house.bursar.mint("asks", "refunds", &["--dimension", "user=bob"]).key;
    (house, key)
}

fn charge(key: &str, cents: u64) -> Ask {
    Ask::charge(cents).header("authorization", &format!("Bearer {key}"))
}

/// The id in a refusal that asks for a person's word.
fn asked(answer: &Answer) -> String {
    assert_eq!(answer.said(), (403, "approval_required".to_owned()), "{}", answer.text());
    assert_eq!((answer.header("x-should-retry"), answer.header("retry-after")), (Some("false"), None));
    assert_eq!(answer.header("stripe-should-retry"), Some("false"));
    let body = answer.json();
    let id = body["bursar"]["approval"]["id"].as_str().expect("an id").to_owned();
    assert!(body["error"]["message"].as_str().is_some_and(|m| m.contains(&id)), "in Stripe's own shape: {body}");
    id
}

fn refused(answer: &Answer, code: &str) {
    assert_eq!(answer.said(), (403, code.to_owned()), "{}", answer.text());
}

fn decide(house: &House, what: &str, id: &str, who: &str, why: &str) -> std::process::Output {
    let bin = common::bursar::binary();
    let mut command = std::process::Command::new(bin);
    command.args(["approval", what, id, "--reason", why, "--json", "--data"]).arg(&house.bursar.data);
    command.env("SUDO_USER", "").env("USER", who).output().expect("bursar runs")
}

fn yes(house: &House, id: &str, who: &str) -> Value {
    let done = decide(house, "approve", id, who, "seen");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).expect("JSON")
}

fn pending(house: &House) -> Vec<Value> {
    house.bursar.json(&["approval", "list"])
}

/// The row of the last call that the condition holds for.
fn row(house: &House, condition: &str) -> Value {
    wait_for(condition, SOON, || house.bursar.json(&["audit", "query", "--where", condition]).into_iter().next())
}

#[test]
fn a_call_that_is_refused_passes_once_after_a_yes() {
    let (house, key) = house("over = \"5 USD\"");
    assert_eq!(house.call(&charge(&key, 500)).status, 200, "nobody asks up to the amount");
    let id = asked(&house.call(&charge(&key, 900)));
    assert_eq!(asked(&house.call(&charge(&key, 900))), id, "the same request asks once");
    assert_ne!(asked(&house.call(&charge(&key, 901))), id);
    assert_eq!(house.vendor.count(), 1);
    let listed = pending(&house);
    let ours = listed.iter().find(|r| r["id"] == id.as_str()).expect("listed");
    assert_eq!(
        (&ours["request"]["estimate_usd"], &ours["request"]["because"][0]),
        (&"9".into(), &"asks: approval over 5 USD".into())
    );
    assert_eq!(yes(&house, &id, "ann")["approval"]["state"], "approved");
    assert_eq!(house.call(&charge(&key, 900)).status, 200);
    assert_ne!(asked(&house.call(&charge(&key, 900))), id, "once");
    assert_eq!(house.vendor.count(), 2);
    let row = row(&house, "approved_by=socket:ann");
    assert_eq!((&row["verdict"], &row["estimate_usd"]), (&"allow".into(), &"9".into()));
    assert_eq!(row["reason"], format!("approved: {id}: seen"));
    let kinds = |kind: &str| house.bursar.json(&["audit", "tail", "--kind", kind]).len();
    assert_eq!((kinds("escalated"), kinds("approved")), (3, 1));
}

#[test]
fn a_call_that_waits_goes_on_after_a_yes_and_ends_after_a_no() {
    let (house, key) = house("operations = [\"POST /v1/charges\"]\nwait = \"60s\"");
    let calls = spawn_all([900, 901].map(|cents| charge(&key, cents).send(house.port())));
    let two = wait_for("both to ask", SOON, || Some(pending(&house)).filter(|p| p.len() == 2));
    assert_eq!(house.vendor.count(), 0);
    let id = |amount: &str| {
        let ours = two.iter().find(|r| r["request"]["estimate_usd"] == amount).expect("it asks");
        ours["id"].as_str().expect("an id").to_owned()
    };
    yes(&house, &id("9"), "ann");
    assert!(decide(&house, "reject", &id("9.01"), "ann", "too dear").status.success());
    let answers: Vec<Answer> = join_all(calls).into_iter().map(|a| a.expect("an answer")).collect();
    assert_eq!(answers[0].status, 200, "{}", answers[0].text());
    refused(&answers[1], "approval_rejected");
    assert!(answers[1].text().contains("too dear") && !answers[1].text().contains("ann"), "{}", answers[1].text());
    refused(&house.call(&charge(&key, 901)), "approval_rejected");
    assert!(row(&house, "reason~rejected by socket:ann")["reason"].as_str().is_some_and(|r| r.contains("too dear")));
    assert_eq!(house.vendor.count(), 1);
}

#[test]
fn a_call_that_waits_is_decided_anew_and_can_be_revoked() {
    let (house, key) = house("first_use = true\nwait = \"60s\"");
    let calls = spawn_all([charge(&key, 900).send(house.port())]);
    let first = wait_for("it to ask", SOON, || pending(&house).into_iter().next());
    house.write_policy(&policy("asks", "first_use = true\nwait = \"60s\"").replace("100 USD", "1 USD"));
    let answer = join_all(calls).remove(0).expect("an answer");
    refused(&answer, "budget_spent");
    house.write_policy(&policy("asks", "first_use = true\nwait = \"60s\""));
    wait_for("the old policy", SOON, || {
        (house.myself(&common_key(&key))["budgets"][0]["limit"] == "100").then_some(())
    });
    let calls = spawn_all([charge(&key, 900).send(house.port())]);
    wait_for("it to wait", SOON, || (house.bursar.admin("/v1/status")["calls_in_flight"] == 1).then_some(()));
    house.bursar.ok(&["kill", "--agent", "refunds"]);
    assert_eq!(join_all(calls).remove(0).expect("an answer").said().1, "killed");
    house.bursar.ok(&["unkill", "--agent", "refunds"]);
    yes(&house, first["id"].as_str().expect("an id"), "ann");
    assert_eq!((house.call(&charge(&key, 900)).status, house.call(&charge(&key, 901)).status), (200, 200), "known now");
}

fn common_key(key: &str) -> common::bursar::Key {
    common::bursar::Key { id: String::new(), key: key.to_owned() }
}

#[test]
fn nobody_approves_their_own_and_two_are_two() {
    let (house, key) = house("tiers = [\"write-external\", \"mutation\", \"execution\"]\npeople = 2");
    let id = asked(&house.call(&charge(&key, 900)));
    let told = |who| String::from_utf8_lossy(&decide(&house, "approve", &id, who, "").stderr).into_owned();
    assert!(told("Bob").contains("own"), "{}", told("Bob"));
    assert_eq!(yes(&house, &id, "ann")["approval"]["state"], "pending");
    assert!(told("ann").contains("approved"), "{}", told("ann"));
    assert_eq!(asked(&house.call(&charge(&key, 900))), id, "one is not enough");
    assert_eq!(yes(&house, &id, "eve")["approval"]["state"], "approved");
    assert_eq!(house.call(&charge(&key, 900)).status, 200);
    assert_eq!(row(&house, "approved_by=socket:ann, socket:eve")["verdict"], "allow");
    assert!(told("dan").contains("used already"), "{}", told("dan"));
    // A key that names no user is its minter's own.
    let bare = house.mint("asks", "bare");
    let id = asked(&house.call(&charge(&bare.key, 900)));
    let minter = house.bursar.json(&["key", "show", &bare.id])[0]["by"].as_str().expect("a name").to_owned();
    let refusal = decide(&house, "approve", &id, minter.split(':').next_back().expect("a name"), "");
    assert!(!refusal.status.success(), "{minter} minted it");
}

#[test]
fn a_time_out_is_a_refusal_and_a_restart_forgets_nothing() {
    let (mut house, key) = house("over = \"5 USD\"\nopen = \"2s\"\nwait = \"30s\"");
    refused(&house.call(&charge(&key, 900)), "approval_timed_out");
    let event =
        wait_for("the event", SOON, || house.bursar.json(&["audit", "tail", "--kind", "rejected"]).into_iter().next());
    assert!(event.to_string().contains("nobody decided in time"), "{event}");
    house.write_policy(&policy("asks", "over = \"5 USD\""));
    let id = wait_for("the new terms", SOON, || {
        Some(house.call(&charge(&key, 950))).filter(|a| a.text().contains("approval_required"))
    });
    let id = asked(&id);
    house.crash();
    assert_eq!(pending(&house).iter().filter(|r| r["id"] == id.as_str()).count(), 1);
    yes(&house, &id, "ann");
    house.crash();
    assert_eq!(house.call(&charge(&key, 950)).status, 200);
    house.crash();
    asked(&house.call(&charge(&key, 950)));
    assert_eq!(house.vendor.count(), 1);
}

#[test]
fn a_yes_ends_with_its_time() {
    let (house, key) = house("over = \"5 USD\"\nvalid = \"1s\"");
    let id = asked(&house.call(&charge(&key, 900)));
    yes(&house, &id, "ann");
    wait_for("the yes to lapse", SOON, || {
        let all = house.bursar.json(&["approval", "list", "--all"]);
        all.iter().any(|r| r["id"] == id.as_str() && r["state"] == "lapsed").then_some(())
    });
    assert_ne!(asked(&house.call(&charge(&key, 900))), id);
    assert_eq!(house.vendor.count(), 0);
}

#[test]
fn a_fraction_of_a_budget_and_a_parameter_ask() {
    let (house, key) = house("at = 0.5\nparams.description = { matches = \"(?i).*gift.*\" }");
    assert_eq!(house.call(&charge(&key, 4_000)).status, 200);
    let past = house.call(&charge(&key, 2_000));
    let id = asked(&past);
    assert_eq!(past.json()["bursar"]["rule"], "asks: approval at 50 % of asks: 100 USD per agent");
    assert_eq!(house.call(&charge(&key, 1_000)).status, 200, "what stays below asks nobody");
    yes(&house, &id, "ann");
    let passed = house.call(&charge(&key, 2_000));
    assert_eq!((passed.status, passed.header("x-bursar-remaining-usd")), (200, Some("30")));
    refused(&house.call(&charge(&key, 4_000)), "budget_spent");
    let gift = Ask::form("/stripe/v1/charges", "amount=1&currency=usd&source=tok_visa&description=a+Gift");
    let answer = house.call(&gift.header("authorization", &format!("Bearer {key}")));
    assert_eq!(answer.json()["bursar"]["rules"][0], "asks: approval by description", "{}", answer.text());
}

#[test]
fn in_observe_mode_the_row_says_who_would_have_been_asked() {
    let observed = policy("asks", "over = \"5 USD\"").replace("vendors", "mode = \"observe\"\nvendors");
    let house = House::new(&[&observed]);
    let key = house.mint("asks", "refunds").key;
    assert_eq!(house.call(&charge(&key, 900)).status, 200);
    let row = row(&house, "verdict=escalate");
    assert_eq!(
        (&row["enforced"], &row["reason"]),
        (&false.into(), &"approval_required: asks: approval over 5 USD".into())
    );
    assert!(pending(&house).is_empty());
}
