//! Costs that come later than their call: batches, whose results replace what was held for them, once; prices that are asked for
//! again after a restart; callbacks that only count with the vendor's signature; and price files that change beside a server.

mod common;

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::SOON;
use common::books::{flagged, micro, row_of, rows, spend};
use common::bursar::{Bursar, Key};
use common::client::Ask;
use common::house::{House, PRICES};
use common::wait_for;
use serde_json::Value;

const SHOP: &str = r#"
name = "shop"
vendors = ["openai"]

[[allow]]
methods = ["POST"]
paths = ["/v1/files", "/v1/batches", "/v1/chat/completions"]
[[allow]]
methods = ["GET"]
paths = ["/v1/batches/*", "/v1/files/**"]

[[budget]]
per = "agent"
limit = "1 USD"
"#;

/// A token of the results costs half a hundredth of a cent.
const BATCH_TOKEN: u64 = 5_000;

/// In a batch the first model costs half.
fn batch_prices() -> String {
    let standard = "output = \"100\"\n";
    let batch = "[[model.price.rates]]\ntier = \"batch\"\ninput = \"0\"\noutput = \"50\"\n";
    PRICES.replacen(standard, &format!("{standard}{batch}"), 1)
}

/// Waits until a book with this text is in force.
fn reprice(house: &House, prices: &str) {
    let before = loads(&house.bursar);
    fs::write(house.dir.path().join("prices.toml"), prices).expect("a price file");
    wait_for("the new prices", SOON, || (loads(&house.bursar) > before).then_some(()));
}

fn events(bursar: &Bursar, kind: &str) -> Vec<Value> {
    bursar.json(&["audit", "tail", "--from", "1", "--kind", kind])
}

fn loads(bursar: &Bursar) -> usize {
    events(bursar, "prices_loaded").len()
}

fn file(lines: &[&str]) -> String {
    format!(
        "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--b\r\nContent-Disposition: form-data; \
         name=\"file\"; filename=\"in.jsonl\"\r\n\r\n{}\r\n--b--\r\n",
        lines.join("\n")
    )
}

const LINE: &str = r#"{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"penny-1","max_tokens":100,"messages":[]}}"#;

fn make(input: &str, key: &Key) -> Ask {
    let body =
        serde_json::json!({"input_file_id": input, "endpoint": "/v1/chat/completions", "completion_window": "24h"});
    Ask::json("/openai/v1/batches", &body).key(key)
}

#[test]
fn a_batch_holds_its_bound_and_its_results_replace_it_once() {
    let mut house = House::new(&[SHOP]);
    reprice(&house, &batch_prices());
    let key = house.mint("shop", "clerk");
    let refused = house.call(&make("file-strange", &key));
    assert!(refused.status == 403 && refused.text().contains("not uploaded through bursar"), "{}", refused.text());
    let upload = |lines: &[&str]| {
        Ask::new("POST", "/openai/v1/files").body("multipart/form-data; boundary=b", file(lines)).key(&key)
    };
    let uploaded = house.call(&upload(&[LINE, LINE]));
    assert_eq!((uploaded.status, uploaded.header("x-bursar-cost-usd")), (200, Some("0")), "{}", uploaded.text());
    // What was learned from the upload outlives the process.
    house.crash();
    let making = make("file-in", &key);
    let made = house.call(&making);
    // Two answers of at most a hundred tokens.
    assert_eq!((made.status, made.header("x-bursar-cost-usd")), (200, Some("0.01")), "{}", made.text());
    let row = row_of(&house.bursar, &making.trace, SOON);
    assert!(flagged(&row) && micro(&row["cost_usd"]) == 200 * BATCH_TOKEN, "{row}");
    let content = || house.call(&Ask::get("/openai/v1/files/file-out/content").key(&key));
    // Nobody knows yet whose results these are.
    assert_eq!(content().status, 200);
    let status = house.call(&Ask::get("/openai/v1/batches/batch_1").key(&key));
    assert_eq!((status.status, status.header("x-bursar-cost-usd")), (200, Some("0")));
    assert_eq!(micro(&spend(&house.bursar, &["--agent", "clerk"])["cost_usd"]), 200 * BATCH_TOKEN);
    let results = content();
    assert!(results.status == 200 && results.text().lines().count() == 3, "{}", results.text());
    let cost = || micro(&spend(&house.bursar, &["--agent", "clerk"])["cost_usd"]);
    wait_for("the results to be charged", SOON, || (cost() == 80 * BATCH_TOKEN).then_some(()));
    // Read again, also by a bursar that has forgotten all but its books, they change nothing.
    assert_eq!(content().status, 200);
    house.crash();
    let content = Ask::get("/openai/v1/files/file-out/content").key(&key);
    assert_eq!(house.call(&content).status, 200);
    row_of(&house.bursar, &content.trace, SOON);
    assert_eq!(micro(&spend(&house.bursar, &["--agent", "clerk"])["cost_usd"]), 80 * BATCH_TOKEN);
    let checked = house.bursar.admin("/v1/ledger/check");
    assert_eq!(checked["whole"], true, "{checked}");
    let adjusted = events(&house.bursar, "adjusted");
    assert!(adjusted.len() == 1 && adjusted[0].to_string().contains("results of batch_1"), "{adjusted:?}");
    let row = row_of(&house.bursar, &making.trace, SOON);
    assert_eq!((&row["flagged"], micro(&row["cost_usd"])), (&false.into(), 80 * BATCH_TOKEN), "{row}");
    // A file with a line that nothing bounds is taken, and does not run.
    assert_eq!(house.call(&upload(&[&LINE.replace("penny-1", "nobody-knows")])).status, 200);
    let refused = house.call(&make("file-in", &key));
    assert!(refused.status == 403 && refused.text().contains("line 1"), "{}", refused.text());
}

#[test]
fn new_prices_count_from_the_next_call_and_broken_ones_do_not() {
    let house = House::new(&[SHOP]);
    let key = house.mint("shop", "clerk");
    let cost = |ask: Ask| house.call(&ask).header("x-bursar-cost-usd").map(str::to_owned);
    assert_eq!(cost(Ask::chat(Some(100)).key(&key)).as_deref(), Some("0.01"));
    reprice(&house, &PRICES.replace("\"100\"", "\"200\""));
    assert_eq!(cost(Ask::chat(Some(100)).key(&key)).as_deref(), Some("0.02"));
    let loaded = loads(&house.bursar);
    fs::write(house.dir.path().join("prices.toml"), "[[model]]\nvendor = 7\n").expect("a broken file");
    wait_for("the complaint", SOON, || house.bursar.server.output().contains("were not loaded").then_some(()));
    assert_eq!(cost(Ask::chat(Some(100)).key(&key)).as_deref(), Some("0.02"), "the last sound book stays");
    assert_eq!(loads(&house.bursar), loaded);
    // The command that brings prices needs no restart either.
    fs::write(house.dir.path().join("prices.toml"), "").expect("none of one's own");
    wait_for("the shipped prices", SOON, || (loads(&house.bursar) > loaded).then_some(()));
    let list = house.dir.path().join("list.json");
    let entry = r#"{"penny-1": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 0.000001, "output_cost_per_token": 0.0003, "max_input_tokens": 1000, "max_output_tokens": 1000}}"#;
    fs::write(&list, entry).expect("a list");
    house.bursar.ok(&["prices", "update", "--from", list.to_str().expect("a path"), "--yes"]);
    wait_for("the model that came by command", SOON, || {
        let answer = house.call(&Ask::chat(Some(100)).key(&key));
        (answer.header("x-bursar-cost-usd") == Some("0.03001")).then_some(())
    });
    // Exchange rates are of the same book.
    let loaded = loads(&house.bursar);
    fs::write(house.bursar.data.join("fx.toml"), "as_of = \"2026-11-20\"\n[usd_per_unit]\neur = \"1.5\"\n")
        .expect("rates");
    wait_for("the new rates", SOON, || (loads(&house.bursar) > loaded).then_some(()));
}

/// A vendor that names its price when it is asked later: after `WAIT`.
const PARCELS: &str = r#"
[vendors.parcels]
base_url = "http://127.0.0.1:PORT"
credential = "env:TEST_STRIPE"
private_network = true
rates.parcel = { usd = "2" }

[vendors.parcels.rules.parcel]
estimate = { rate = "parcel" }
actual = "estimate"

[vendors.parcels.rules.parcel.reconcile]
get = "/v1/parcels/{id}"
id = "/id"
cost = { response = "/price" }
currency_at = "/price_unit"
wait = WAIT

[[vendors.parcels.operations]]
on = ["POST /v1/parcels"]
action = "parcel.send"
tier = "write-external"
bodies = ["json"]
price = { rule = "parcel" }
"#;

const SENDER: &str = "name = \"sender\"\nvendors = [\"parcels\"]\n[[allow]]\nmethods = [\"POST\"]\npaths = [\"/v1/parcels\"]\n\n[[budget]]\nper = \"agent\"\nlimit = \"10 USD\"\n";

fn parcels(wait: &str) -> House {
    House::with(&[SENDER], |port| PARCELS.replace("PORT", &port.to_string()).replace("WAIT", wait))
}

#[test]
fn a_price_that_comes_later_replaces_the_charge() {
    let house = parcels("[\"1s\", \"2s\", \"30s\"]");
    let key = house.mint("sender", "sender");
    let ask = Ask::new("POST", "/parcels/v1/parcels").body("application/json", "{}").key(&key);
    let answer = house.call(&ask);
    assert_eq!((answer.status, answer.header("x-bursar-cost-usd")), (200, Some("2")));
    wait_for("the price to be put right", SOON, || {
        let all = rows(&house.bursar, &["--agent", "sender"]);
        let row = all.iter().find(|row| row["trace_id"] == ask.trace.as_str() && row["method"] == "POST")?;
        (micro(&row["cost_usd"]) == 35_000_000).then_some(())
    });
    // 0.35 in the place of 2, not beside it; both questions have their rows, and cost nothing.
    assert_eq!(micro(&spend(&house.bursar, &["--agent", "sender"])["cost_usd"]), 35_000_000);
    let asked = rows(&house.bursar, &["--agent", "sender"]).iter().filter(|row| row["method"] == "GET").count();
    assert_eq!((asked, house.vendor.count()), (2, 3));
}

#[test]
fn a_price_is_asked_for_again_after_a_restart() {
    let mut house = parcels("[\"1s\", \"20s\"]");
    let key = house.mint("sender", "sender");
    let ask = Ask::new("POST", "/parcels/v1/parcels").body("application/json", "{}").key(&key);
    assert_eq!(house.call(&ask).header("x-bursar-cost-usd"), Some("2"));
    row_of(&house.bursar, &ask.trace, SOON);
    // The first question comes too early for the vendor; the next one would come in twenty seconds.
    house.vendor.wait_for_count(2, SOON);
    house.crash();
    wait_for("the price to be put right", SOON, || {
        (micro(&spend(&house.bursar, &["--agent", "sender"])["cost_usd"]) == 35_000_000).then_some(())
    });
    // What was missed is asked at once: not one question more.
    let asked = |house: &House| house.vendor.received().iter().filter(|r| r.method == "GET").count();
    assert_eq!(asked(&house), 2);
    // A start that has nothing to ask would have asked before the first question about another parcel.
    house.crash();
    assert_eq!(house.call(&ask.again()).status, 200);
    wait_for("a question about the other one", SOON, || (asked(&house) > 2).then_some(()));
    assert_eq!(asked(&house), 3);
}

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const PUBLIC: &str = "https://calls.example";

const TWILIO: &str = r#"
[vendors.twilio]
base_url = "http://127.0.0.1:PORT"
credential = "env:TEST_TWILIO"
private_network = true

[server]
public_url = "https://calls.example/"
"#;

fn signature(token: &str, message: &str) -> String {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes());
    STANDARD.encode(ring::hmac::sign(&key, message.as_bytes()))
}

#[test]
fn only_a_signed_callback_makes_bursar_ask_for_the_price() {
    let policy = "name = \"sender\"\nvendors = [\"twilio\"]\n[[allow]]\nmethods = [\"POST\"]\npaths = [\"/2010-04-01/Accounts/AC1/Messages.json\"]\n";
    let more = |port: u16| TWILIO.replace("PORT", &port.to_string());
    let house = House::with_env(&[policy], more, &[("TEST_TWILIO", &format!("AC1:{TOKEN}"))]);
    let key = house.mint("sender", "sender");
    let path = "/twilio/2010-04-01/Accounts/AC1/Messages.json";
    let send = Ask::form(path, "To=%2B14155550100&From=%2B14155550101&Body=hello").key(&key);
    let sent = house.call(&send);
    assert_eq!((sent.status, sent.header("x-bursar-cost-usd")), (201, Some("0.0133")), "{}", sent.text());
    row_of(&house.bursar, &send.trace, SOON);
    let path = "/bursar/v1/callbacks/twilio";
    let form = "MessageStatus=delivered&MessageSid=SM1&To=%2B14155550100";
    let message = format!("{PUBLIC}{path}MessageSidSM1MessageStatusdeliveredTo+14155550100");
    let call = |path: &str, form: &'static str, signed: Option<String>| {
        let ask = Ask::form(path, form);
        house.call(&signed.map_or(ask.clone(), |signed| ask.header("x-twilio-signature", &signed))).status
    };
    let good = || Some(signature(TOKEN, &message));
    let before = house.vendor.count();
    for (path, form, signed, status) in [
        (path, form, None, 400),
        (path, form, Some(signature("another token", &message)), 400),
        (path, form, Some(signature("", &message)), 400),
        (path, "MessageStatus=delivered&MessageSid=SM2&To=%2B14155550100", good(), 400),
        ("/bursar/v1/callbacks/twilio?x=1", form, good(), 400),
        ("/bursar/v1/callbacks/openai", form, good(), 401),
    ] {
        assert_eq!(call(path, form, signed), status, "{path} {form}");
    }
    let unknown = format!("{PUBLIC}{path}MessageSidSM7");
    assert_eq!(call(path, "MessageSid=SM7", Some(signature(TOKEN, &unknown))), 204);
    // The vendor says that it is over, and has no price yet; it says so again, and has one. Nobody sent the one before.
    assert_eq!(call(path, form, good()), 204);
    house.vendor.wait_for_count(before + 1, SOON);
    let questions = || {
        let targets = house.vendor.since(before).into_iter().filter(|r| r.method == "GET").map(|r| r.target);
        targets.collect::<Vec<_>>()
    };
    assert!(questions().iter().all(|target| target.contains("SM1")), "{:?}", questions());
    assert_eq!(micro(&spend(&house.bursar, &["--agent", "sender"])["cost_usd"]), 1_330_000);
    assert_eq!(call(path, form, good()), 204);
    let cost = || micro(&spend(&house.bursar, &["--agent", "sender"])["cost_usd"]);
    wait_for("the price", SOON, || (cost() == 750_000).then_some(()));
    // Said once more it changes nothing, and asks nobody; the books had time to hear of it.
    assert_eq!(call(path, form, good()), 204);
    let again = send.again();
    assert_eq!(house.call(&again).status, 201);
    row_of(&house.bursar, &again.trace, SOON);
    assert!(questions().len() == 2 && questions().iter().all(|target| target.contains("SM1")), "{:?}", questions());
    assert_eq!(events(&house.bursar, "adjusted").len(), 1);
}
