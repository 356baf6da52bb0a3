//! What a request does not say is looked up at the vendor, if the policy allows it, and prices that come later replace what was
//! charged until then.

mod common;

use common::SOON;
use common::books::{micro, rows, settled, spend, text};
use common::client::Ask;
use common::house::{House, REAL_STRIPE};
use common::wait_for;

const USD: u64 = 100_000_000;

fn policy(name: &str, more: &str, limit: &str) -> String {
    format!(
        "name = \"{name}\"\nvendors = [\"stripe\"]\n{more}\n[[allow]]\nmethods = [\"POST\"]\npaths = [\"/v1/refunds\"]\n\n\
         [[budget]]\nper = \"agent\"\nlimit = \"{limit} USD\"\n"
    )
}

#[test]
fn a_refund_without_an_amount_holds_what_is_left_of_its_charge() {
    let house = House::new(&[&policy("asks", "look_up = true", "30"), &policy("silent", "", "30")]);
    let key = house.mint("asks", "clerk");
    let ask = Ask::form("/stripe/v1/refunds", "charge=ch_1").key(&key);
    assert_eq!(house.call(&ask).status, 200);
    let sent: Vec<_> = house.vendor.received().iter().map(|r| format!("{} {}", r.method, r.target)).collect();
    assert_eq!(sent, ["GET /v1/charges/ch_1", "POST /v1/refunds"]);
    let asked = &house.vendor.received()[0];
    assert_eq!(asked.header("authorization"), Some(format!("Bearer {REAL_STRIPE}").as_str()));
    let calls = settled(&house.bursar, &["--agent", "clerk"], 2, SOON);
    let refund = calls.iter().find(|row| text(row, "method") == "POST").expect("its row");
    let look = calls.iter().find(|row| text(row, "method") == "GET").expect("the row of the question");
    assert_eq!((micro(&refund["estimate_usd"]), micro(&refund["cost_usd"])), (17 * USD, 17 * USD));
    assert_eq!((micro(&look["estimate_usd"]), micro(&look["cost_usd"]), text(look, "tier")), (0, 0, "read-only"));
    // Each names the other.
    assert!(text(refund, "reason").contains(text(look, "call_id")), "{refund}");
    assert!(text(look, "reason").contains(text(refund, "call_id")), "{look}");
    // Seventeen of thirty are spent: the next one does not fit, and does not leave.
    let refused = house.call(&ask.again());
    assert_eq!(refused.said(), (403, "budget_spent".to_owned()));
    assert_eq!(house.vendor.received().iter().filter(|r| r.method == "POST").count(), 1);
    // Without the switch nothing is asked, and nothing leaves.
    let before = house.vendor.count();
    let other = house.mint("silent", "other");
    let answer = house.call(&Ask::form("/stripe/v1/refunds", "charge=ch_1").key(&other));
    assert!(answer.status == 403 && answer.text().contains("look_up = true"), "{}", answer.text());
    assert_eq!(house.vendor.count(), before);
}

#[test]
fn what_cannot_be_looked_up_has_the_ceiling_or_is_refused() {
    let with_ceiling = policy("bounded", "look_up = true\nceiling = \"20 USD\"", "30");
    let house = House::new(&[&policy("asks", "look_up = true", "30"), &with_ceiling]);
    let (strict, bounded) = (house.mint("asks", "strict"), house.mint("bounded", "loose"));
    let gone = |key| Ask::form("/stripe/v1/refunds", "charge=ch_gone").key(key);
    let refused = house.call(&gone(&strict));
    assert!(refused.status == 403 && refused.text().contains("404"), "{}", refused.text());
    assert_eq!(house.vendor.received().iter().filter(|r| r.method == "POST").count(), 0);
    let ask = gone(&bounded);
    assert_eq!(house.call(&ask).status, 200);
    let calls = settled(&house.bursar, &["--agent", "loose"], 2, SOON);
    let row = calls.iter().find(|row| text(row, "method") == "POST").expect("its row");
    assert_eq!((micro(&row["estimate_usd"]), micro(&row["cost_usd"])), (20 * USD, 17 * USD));
}

/// The vendor did it, and its answer was lost: the repeat shares the first one's hold, and the money is counted
/// once. A later repeat holds anew, and the vendor says that it repeats itself.
#[test]
fn a_lost_first_answer_is_charged_once() {
    let house = House::new(&[&policy("asks", "look_up = true", "50")]);
    let key = house.mint("asks", "clerk");
    let ask = |mock: &str| {
        let ask = Ask::form("/stripe/v1/refunds", "charge=ch_1").key(&key).header("idempotency-key", "refund-1");
        if mock.is_empty() { ask } else { ask.mock(mock) }
    };
    let lost = house.call(&ask("cut"));
    assert!(lost.status >= 500, "{}", lost.text());
    let again = house.call(&ask(""));
    assert_eq!(again.status, 200, "{}", again.text());
    let third = house.call(&ask(""));
    assert_eq!(third.status, 200, "{}", third.text());
    wait_for("the refund to be counted once", SOON, || {
        let sum: u64 = rows(&house.bursar, &["--agent", "clerk"]).iter().map(|row| micro(&row["cost_usd"])).sum();
        (sum == 17 * USD).then_some(())
    });
    assert_eq!(micro(&spend(&house.bursar, &["--agent", "clerk"])["cost_usd"]), 17 * USD);
}

const PARCELS: &str = r#"
[vendors.parcels]
base_url = "http://127.0.0.1:PORT"
credential = "env:TEST_STRIPE"
private_network = true

[vendors.parcels.rates.parcel]
usd = "2"

[vendors.parcels.rules.parcel]
estimate = { rate = "parcel" }
actual = "estimate"

[vendors.parcels.rules.parcel.reconcile]
get = "/v1/parcels/{id}"
id = "/id"
cost = { response = "/price" }
currency_at = "/price_unit"
wait = ["1s", "2s", "30s"]

[[vendors.parcels.operations]]
on = ["POST /v1/parcels"]
action = "parcel.send"
tier = "write-external"
bodies = ["json"]
price = { rule = "parcel" }
"#;

#[test]
fn a_price_that_comes_later_replaces_the_charge() {
    let policy = "name = \"sender\"\nvendors = [\"parcels\"]\n[[allow]]\nmethods = [\"POST\"]\npaths = [\"/v1/parcels\"]\n\n\
                  [[budget]]\nper = \"agent\"\nlimit = \"10 USD\"\n";
    let house = House::with(&[policy], |port| PARCELS.replace("PORT", &port.to_string()));
    let key = house.mint("sender", "sender");
    let ask = Ask::new("POST", "/parcels/v1/parcels").body("application/json", "{}").key(&key);
    let answer = house.call(&ask);
    assert_eq!((answer.status, answer.header("x-bursar-cost-usd")), (200, Some("2")));
    let trace = ask.traceparent()[3..35].to_owned();
    wait_for("the price to be put right", SOON, || {
        let all = rows(&house.bursar, &["--agent", "sender"]);
        let row = all.iter().find(|row| row["trace_id"] == trace.as_str() && row["method"] == "POST")?;
        (micro(&row["cost_usd"]) == 35_000_000).then_some(())
    });
    // 0.35 in the place of 2, not beside it; both questions have their rows, and cost nothing.
    assert_eq!(micro(&spend(&house.bursar, &["--agent", "sender"])["cost_usd"]), 35_000_000);
    let asked = rows(&house.bursar, &["--agent", "sender"]).iter().filter(|row| row["method"] == "GET").count();
    assert_eq!((asked, house.vendor.count()), (2, 3));
}
