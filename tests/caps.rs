//! Caps under load: as many calls at once as one agent can make never spend more than its budget, and never much less. Also
//! when bursar is killed in the middle; and what Stripe moves is counted to the cent.

mod common;

use common::books::{self, LEASES, admitted, admitted_rows, agree, all_closed, flagged, micro, number, settled};
use common::bursar::Key;
use common::client::{Answer, Ask, join_all, send_all, send_like_an_sdk, spawn_all};
use common::dice::Dice;
use common::house::{House, a_dollar, pennies};
use common::{SOON, wait_for};
use serde_json::Value;
use tokio::task::JoinHandle;

const MIXED: &str = r#"
name = "mixed"
vendors = ["openai", "stripe"]

[[allow]]
methods = ["POST"]
paths = ["/v1/chat/completions", "/v1/charges", "/v1/refunds"]

[[budget]]
per = "agent"
limit = "100 USD"
"#;

const CALLS: usize = 400;
const AFFORDED: usize = 100;
const USD: u64 = 100_000_000;

#[test]
fn four_hundred_exact_calls_on_a_dollar_are_a_hundred() {
    let house = House::new(&[&a_dollar()]);
    let key = house.mint("capped", "eager");
    let answers = send_all(house.port(), crowd(&key, Some(100)));
    let served = answers.iter().filter(|a| a.status == 200).count();
    assert_eq!((served, house.vendor.count()), (AFFORDED, AFFORDED));
    answers.iter().filter(|a| a.status != 200).for_each(is_a_budget_refusal);
    the_books_say_a_hundred(&house, &key);
}

#[test]
fn calls_without_a_limit_share_what_is_left() {
    let house = House::new(&[&a_dollar()]);
    let key = house.mint("capped", "eager");
    let port = house.port();
    let answers = join_all(spawn_all(crowd(&key, None).into_iter().map(|ask| send_like_an_sdk(ask, port))));
    let served = answers.iter().flatten().filter(|a| a.status == 200).count();
    assert_eq!(served, house.vendor.count(), "each call that the vendor received was answered");
    assert!((95..=AFFORDED).contains(&served), "{served} of {AFFORDED} calls that the budget affords were served");
    house.vendor.received().iter().for_each(|r| limit_was_lowered(&r.body));
    all_closed(&house.bursar, &["--agent", "eager"], SOON);
    assert_eq!(agree(&house.vendor.received(), &admitted_rows(&house.bursar, &["--agent", "eager"])), 0);
}

/// Half of what is held for the first call comes back; the second needs it, and the third cannot wait so long.
#[test]
fn a_call_waits_when_only_holds_stand_in_its_way() {
    let patient = pennies("capped", "0.02 USD", "wait_for_holds = \"30s\"");
    let hasty = patient.replace("\"capped\"", "\"hasty\"").replace("30s", "50ms");
    let house = House::new(&[&patient, &hasty]);
    let (key, other) = (house.mint("capped", "eager"), house.mint("hasty", "eager"));
    let holder = spawn_all([Ask::chat(Some(200)).key(&key).mock("gate").send(house.port())]);
    house.vendor.wait_for_count(1, SOON);
    let waiter = spawn_all([Ask::chat(Some(100)).key(&key).send(house.port())]);
    wait_for("the second call to wait", SOON, || {
        (house.bursar.admin("/v1/status")["calls_in_flight"] == 2).then_some(())
    });
    let refused = house.call(&Ask::chat(Some(100)).key(&other));
    assert_eq!(refused.said(), (429, "budget_held".to_owned()));
    is_a_budget_refusal(&refused);
    assert_eq!(house.vendor.count(), 1, "a waiter is not sent");
    house.vendor.open_gate();
    let answers = join_all([holder, waiter].into_iter().flatten().collect());
    assert!(answers.iter().all(|a| a.as_ref().is_ok_and(|a| a.status == 200)), "{answers:?}");
    assert_eq!(house.call(&Ask::chat(Some(100)).key(&key)).said(), (403, "budget_spent".to_owned()));
}

#[test]
fn exact_calls_are_at_most_a_hundred_across_kills() {
    killed_in_the_middle(Some(100));
}

#[test]
fn calls_without_a_limit_are_at_most_a_hundred_across_kills() {
    killed_in_the_middle(None);
}

#[test]
fn stripe_amounts_are_exact_beside_chats() {
    let house = House::new(&[MIXED]);
    let key = house.mint("mixed", "teller");
    let asks = mixed(&key, 150);
    let answers = send_all(house.port(), asks);
    assert!(answers.iter().any(|a| a.status == 403), "twice what the budget affords was asked for");
    let rows = settled(&house.bursar, &["--agent", "teller"], 150, SOON);
    let let_through: Vec<Value> = rows.iter().filter(|row| admitted(row)).cloned().collect();
    assert_eq!(let_through.len(), house.vendor.count());
    assert_eq!(agree(&house.vendor.received(), &let_through), 0, "every one of these costs is exact");
    the_rest_can_be_spent_to_the_cent(&house, &key);
}

#[test]
fn a_repeat_under_an_idempotency_key_moves_money_once() {
    let house = House::new(&[MIXED]);
    let key = house.mint("mixed", "teller");
    let ask = Ask::charge(500).header("idempotency-key", "order-1").key(&key);
    let (first, second) = (house.call(&ask), house.call(&ask.again()));
    assert_eq!((first.status, second.status), (200, 200));
    assert_eq!((house.vendor.count(), house.vendor.billed()), (2, 5 * USD));
    let sums = all_closed(&house.bursar, &["--agent", "teller"], SOON);
    assert_eq!(micro(&sums["cost_usd"]), 5 * USD, "{sums}");
}

#[test]
fn a_repeat_of_a_charge_whose_answer_was_lost_is_charged_once() {
    let mut house = House::new(&[MIXED]);
    let key = house.mint("mixed", "teller");
    let ask = Ask::charge(500).header("idempotency-key", "order-2").key(&key);
    let lost = house.call(&ask.clone().mock("cut"));
    assert_eq!(lost.said(), (502, "vendor_broke_off".to_owned()), "with a key of its own it is safe to repeat");
    house.crash();
    assert_eq!(house.call(&ask.again()).status, 200);
    assert_eq!((house.vendor.count(), house.vendor.billed()), (2, 5 * USD));
    let sums = all_closed(&house.bursar, &["--agent", "teller"], SOON);
    assert_eq!(micro(&sums["cost_usd"]), 5 * USD, "{sums}");
    assert_eq!(left(&house, &key), (5 * USD, 0));
}

fn crowd(key: &Key, max_tokens: Option<u64>) -> Vec<Ask> {
    (0..CALLS).map(|n| Ask::chat(max_tokens).key(key).mock(&format!("delay={}", 5 + n % 40))).collect()
}

/// Either the money is gone, or it is held by others for a moment; the caller is told which.
fn is_a_budget_refusal(answer: &Answer) {
    let retry = (answer.header("retry-after"), answer.header("x-should-retry"), answer.header("stripe-should-retry"));
    match (answer.status, answer.code().as_str()) {
        (403, "budget_spent") => assert_eq!(retry, (None, Some("false"), Some("false"))),
        (429, "budget_held") => assert_eq!(retry, (Some("1"), Some("true"), Some("true"))),
        other => panic!("{other:?}: {}", answer.text()),
    }
}

fn the_books_say_a_hundred(house: &House, key: &Key) {
    let rows = settled(&house.bursar, &["--agent", "eager"], CALLS, SOON);
    let let_through: Vec<Value> = rows.iter().filter(|row| admitted(row)).cloned().collect();
    assert_eq!((rows.len(), let_through.len()), (CALLS, AFFORDED));
    assert_eq!(agree(&house.vendor.received(), &let_through), 0);
    assert!(rows.iter().filter(|row| !admitted(row)).all(|row| books::text(row, "reason").starts_with("budget_")));
    let sums = books::spend(&house.bursar, &["--agent", "eager"]);
    assert_eq!((number(&sums, "calls"), number(&sums, "refused"), number(&sums, "flagged")), (100, 300, 0), "{sums}");
    assert_eq!(micro(&sums["cost_usd"]), USD);
    assert_eq!(left(house, key), (USD, 0));
}

/// Spent and held on the key's only budget.
fn left(house: &House, key: &Key) -> (u64, u64) {
    let told = house.myself(key);
    let budget = &told["budgets"][0];
    (micro(&budget["spent"]), micro(&budget["held"]))
}

fn limit_was_lowered(body: &[u8]) {
    let sent: Value = serde_json::from_slice(body).expect("JSON reaches the vendor");
    let limit = sent["max_completion_tokens"].as_u64().unwrap_or_else(|| panic!("no output limit in {sent}"));
    assert!((100..=2500).contains(&limit), "at least the floor, at most a quarter of a dollar: {limit}");
}

fn killed_in_the_middle(max_tokens: Option<u64>) {
    let mut house = House::new(&[&a_dollar()]);
    let key = house.mint("capped", "eager");
    let port = house.port();
    let tasks = spawn_all(crowd(&key, max_tokens).into_iter().map(|ask| send_like_an_sdk(ask, port)));
    for received in [20, 45, 70] {
        wait_for("calls to arrive, or all to end", SOON, || {
            (house.vendor.count() >= received || tasks.iter().all(JoinHandle::is_finished)).then_some(())
        });
        house.crash();
    }
    join_all(tasks);
    let sums = all_closed(&house.bursar, &["--agent", "eager"], LEASES);
    let received = house.vendor.received();
    assert!((20..=AFFORDED).contains(&received.len()), "{} calls reached the vendor", received.len());
    let rows = admitted_rows(&house.bursar, &["--agent", "eager"]);
    agree(&received, &rows);
    let spent = micro(&sums["cost_usd"]);
    assert!((house.vendor.billed()..=USD).contains(&spent), "{} billed, {sums}", house.vendor.billed());
    assert_eq!(rows.iter().filter(|row| flagged(row)).count() as u64, number(&sums, "flagged"));
    assert_eq!(left(&house, &key), (spent, 0), "the account says what the rows say");
}

/// Charges, refunds, declined charges and chats, worth about twice the budget.
fn mixed(key: &Key, count: usize) -> Vec<Ask> {
    let mut dice = Dice(7);
    let ask = |_| {
        let cents = dice.between(1, 400);
        let ask = match dice.between(0, 10) {
            0 => Ask::chat(Some(100)),
            1 => Ask::form("/stripe/v1/charges", format!("amount={cents}&currency=usd&source=tok_chargeDeclined")),
            2..=4 => Ask::form("/stripe/v1/refunds", format!("charge=ch_1&amount={cents}")),
            _ => Ask::charge(cents),
        };
        ask.key(key).mock(&format!("delay={}", dice.between(0, 30)))
    };
    (0..count).map(ask).collect()
}

fn the_rest_can_be_spent_to_the_cent(house: &House, key: &Key) {
    let (spent, held) = left(house, key);
    assert_eq!((spent, held), (house.vendor.billed(), 0));
    let cents = (100 * USD - spent) / 1_000_000;
    let last = house.call(&Ask::charge(cents).key(key));
    assert_eq!(last.status, 200, "{cents} cents are left: {}", last.text());
    let over = house.call(&Ask::charge(1).key(key));
    assert_eq!(over.said(), (403, "budget_spent".to_owned()));
    assert_eq!(house.vendor.billed(), 100 * USD);
}
