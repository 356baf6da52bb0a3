//! Change windows, as an agent meets them: closed, open, and what a refusal says.

use serde_json::json;

use super::common::SOON;
use super::common::books::text;
use super::common::client::Ask;
use super::common::house::House;
use super::{another_day, policy};

#[test]
fn a_closed_window_refuses_and_says_when_it_opens() {
    let closed = format!(
        "[[window]]\noperations = [\"POST /v1/charges\"]\ndays = \"{}\"\nhours = \"09:00-17:00\"\n",
        another_day()
    );
    let open = "[[window]]\nmethods = [\"GET\"]\npaths = [\"/v1/says\"]\nhours = \"00:00-24:00\"\nzone = \"+05:30\"\n";
    let house = House::new(&[&policy("p", &format!("{closed}{open}"))]);
    let key = house.mint("p", "a");
    let charge = Ask::charge(100).key(&key);
    let answer = house.call(&charge);
    assert_eq!(answer.said(), (403, "window_closed".to_owned()), "{}", answer.text());
    assert_eq!((answer.header("retry-after"), answer.header("x-should-retry")), (None, Some("false")));
    let body = answer.json();
    assert_eq!(body["bursar"]["rule"], "p: window 1");
    let opens = body["bursar"]["resets_at"].as_str().expect("a time").to_owned();
    assert!(opens.ends_with("T09:00:00Z") && body["error"]["message"].to_string().contains(&opens), "{body}");
    let row = row_of_refusal(&house, &charge.trace);
    assert!(row.contains("window_closed") && row.contains("window 1"), "{row}");
    assert_eq!(house.call(&Ask::get("/openai/v1/says").key(&key)).status, 200);
    let windows = house.myself(&key)["rules"][0]["windows"].clone();
    assert_eq!((&windows[0]["open"], &windows[0]["opens_at"]), (&json!(false), &json!(opens)));
    assert_eq!(windows[1]["open"], json!(true));
    let asked = json!({"method": "POST", "path": "/stripe/v1/charges", "headers": {"content-type": "application/x-www-form-urlencoded"},
        "body": "amount=100&currency=usd&source=tok_visa"});
    let decided = house.call(&Ask::json("/bursar/v1/decide", &asked).key(&key)).json();
    assert_eq!((&decided["code"], &decided["resets_at"]), (&json!("window_closed"), &json!(opens)), "{decided}");
    house.write_policy(&policy("p", &closed.replace("[[window]]", "[[window]]\nmode = \"observe\"")));
    let charge = Ask::charge(100).key(&key);
    let passed = super::wait_for("the policy that only observes", SOON, || {
        Some(house.call(&charge.again())).filter(|a| a.status == 200)
    });
    assert_eq!(passed.status, 200);
}

fn row_of_refusal(house: &House, trace: &str) -> String {
    let rows = || super::common::books::rows(&house.bursar, &[]);
    let found = super::wait_for("the row", SOON, || rows().into_iter().find(|row| text(row, "trace_id") == trace));
    found.to_string()
}
