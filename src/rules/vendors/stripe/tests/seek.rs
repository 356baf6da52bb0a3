//! What is looked up where the request names no amount, and the bound that comes of it.

use bytes::Bytes;
use http::HeaderMap;

use super::super::super::look_up::Found;
use super::super::super::testkit::{answered, exact, headers, json};
use super::super::super::{Unpriceable, Usage};
use super::stripe;

/// Answers every question by its path until none is left; gives the questions and the bound, or why there is none.
pub(super) fn looked_up(
    path: &'static str,
    body: &str,
    objects: &[(&str, &str)],
) -> (Vec<String>, Result<u64, Unpriceable>) {
    let mut call = stripe(path);
    if path.starts_with("/v2") {
        call.content_type = "application/json";
    }
    let mut asked = Vec::new();
    for _ in 0..8 {
        let questions = call.questions(body);
        if questions.is_empty() {
            break;
        }
        for question in questions {
            let text = question.to_string();
            let object = objects.iter().find(|(at, _)| text == format!("GET {at}"));
            let answer = object.map(|(_, o)| Bytes::from((*o).to_owned())).ok_or("the vendor said 404".to_owned());
            asked.push(text);
            call.found.push(Found { question, answer });
        }
    }
    (asked, call.estimate(body).map(|estimate| estimate.need.wanted().usd.0))
}

#[test]
fn objects_bound_what_the_request_does_not_say() {
    let price = r#"{"object":"price","unit_amount":1500,"unit_amount_decimal":"1500","currency":"usd","billing_scheme":"per_unit","recurring":{"usage_type":"licensed"}}"#;
    for (path, body, objects, cents) in [
        (
            "/v1/refunds",
            "charge=ch_1",
            vec![("/v1/charges/ch_1", r#"{"amount":2000,"amount_refunded":300,"currency":"usd"}"#)],
            1700,
        ),
        (
            "/v1/refunds",
            "payment_intent=pi_1",
            vec![(
                "/v1/payment_intents/pi_1?expand[]=latest_charge",
                r#"{"amount":2000,"amount_received":2000,"currency":"usd","latest_charge":{"amount":2000,"amount_refunded":500}}"#,
            )],
            1500,
        ),
        (
            "/v1/refunds",
            "payment_intent=pi_1",
            vec![(
                "/v1/payment_intents/pi_1?expand[]=latest_charge",
                r#"{"amount_received":800,"currency":"usd","latest_charge":"ch_1"}"#,
            )],
            800,
        ),
        (
            "/v1/charges/ch_1/refund",
            "",
            vec![("/v1/charges/ch_1", r#"{"amount":900,"amount_refunded":0,"currency":"usd"}"#)],
            900,
        ),
        ("/v1/charges/ch_1/capture", "", vec![("/v1/charges/ch_1", r#"{"amount":900,"currency":"usd"}"#)], 900),
        (
            "/v1/payment_intents/pi_1/confirm",
            "payment_method=pm",
            vec![("/v1/payment_intents/pi_1", r#"{"amount":1234,"currency":"usd"}"#)],
            1234,
        ),
        (
            "/v1/payment_intents/pi_1/verify_microdeposits",
            "amounts[0]=32&amounts[1]=45",
            vec![("/v1/payment_intents/pi_1", r#"{"amount":1234,"currency":"usd"}"#)],
            1234,
        ),
        (
            "/v1/payment_intents/pi_1/capture",
            "",
            vec![(
                "/v1/payment_intents/pi_1",
                r#"{"amount":900,"amount_capturable":600,"amount_received":300,"currency":"usd"}"#,
            )],
            600,
        ),
        (
            "/v1/transfers",
            "currency=usd&destination=acct_1&source_transaction=ch_1",
            vec![("/v1/charges/ch_1", r#"{"amount":70,"currency":"usd"}"#)],
            70,
        ),
        (
            "/v1/transfers/tr_1/reversals",
            "",
            vec![("/v1/transfers/tr_1", r#"{"amount":70,"amount_reversed":20,"currency":"usd"}"#)],
            50,
        ),
        (
            "/v1/application_fees/fee_1/refunds",
            "",
            vec![("/v1/application_fees/fee_1", r#"{"amount":70,"amount_refunded":0,"currency":"usd"}"#)],
            70,
        ),
        ("/v1/payouts/po_1/reverse", "", vec![("/v1/payouts/po_1", r#"{"amount":1100,"currency":"usd"}"#)], 1100),
        (
            "/v1/invoices/in_1/pay",
            "",
            vec![(
                "/v1/invoices/in_1",
                r#"{"amount_remaining":400,"amount_due":500,"amount_paid":100,"currency":"usd"}"#,
            )],
            400,
        ),
        (
            "/v1/quotes/qt_1/accept",
            "",
            vec![
                (
                    "/v1/quotes/qt_1",
                    r#"{"amount_total":100,"computed":{"upfront":{"amount_total":300},"recurring":null},"currency":"usd","customer":"cus_1"}"#,
                ),
                ("/v1/customers/cus_1", r#"{"balance":70,"currency":"usd"}"#),
                (
                    "/v1/invoiceitems?customer=cus_1&pending=true&limit=100",
                    r#"{"data":[{"amount":5}],"has_more":false}"#,
                ),
            ],
            375,
        ),
        (
            "/v1/customers/cus_1",
            "balance=-500",
            vec![("/v1/customers/cus_1", r#"{"balance":200,"currency":"usd"}"#)],
            700,
        ),
        (
            "/v1/credit_notes",
            "invoice=in_1&lines[0][type]=x",
            vec![("/v1/invoices/in_1", r#"{"total":990,"currency":"usd"}"#)],
            990,
        ),
        (
            "/v1/issuing/authorizations/iauth_1/approve",
            "",
            vec![("/v1/issuing/authorizations/iauth_1", r#"{"pending_request":{"amount":-60,"currency":"usd"}}"#)],
            60,
        ),
        (
            "/v1/climate/orders",
            "product=climsku_1&metric_tons=1.5",
            vec![(
                "/v1/climate/products/climsku_1",
                r#"{"current_prices_per_metric_ton":{"usd":{"amount_total":4001}}}"#,
            )],
            // 1.5 * 40.01, rounded up to the cent.
            6002,
        ),
        (
            "/v1/terminal/readers/tmr_1/process_payment_intent",
            "payment_intent=pi_1&process_config[skip_tipping]=true",
            vec![("/v1/payment_intents/pi_1", r#"{"amount":321,"currency":"usd"}"#)],
            321,
        ),
        // An invoice's intent is paid whole, whatever is named.
        (
            "/v1/payment_intents/pi_1/apply_customer_balance",
            "amount=500",
            vec![("/v1/payment_intents/pi_1", r#"{"amount":9000,"currency":"usd"}"#)],
            9000,
        ),
        // Two seats, a set-up fee, what the customer owes, and what waits for the next invoice.
        (
            "/v1/subscriptions",
            "customer=cus_1&items[0][price]=price_1&items[0][quantity]=2&add_invoice_items[0][price_data][unit_amount]=700&add_invoice_items[0][price_data][currency]=usd",
            vec![
                ("/v1/prices/price_1", price),
                ("/v1/customers/cus_1", r#"{"balance":50,"currency":"usd"}"#),
                (
                    "/v1/invoiceitems?customer=cus_1&pending=true&limit=100",
                    r#"{"data":[{"amount":30},{"amount":-900}],"has_more":false}"#,
                ),
            ],
            3000 + 700 + 50 + 30,
        ),
        (
            "/v1/subscriptions/sub_1/resume",
            "billing_cycle_anchor=now",
            vec![
                (
                    "/v1/subscriptions/sub_1",
                    &*format!(
                        r#"{{"customer":"cus_1","automatic_tax":{{"enabled":false}},"items":{{"data":[{{"quantity":3,"price":{price}}}]}}}}"#
                    ),
                ),
                ("/v1/customers/cus_1", r#"{"balance":-50}"#),
                ("/v1/invoiceitems?customer=cus_1&pending=true&limit=100", r#"{"data":[],"has_more":false}"#),
            ],
            4500,
        ),
        (
            "/v1/subscription_items",
            "subscription=sub_1&price=price_1&quantity=4",
            vec![("/v1/subscriptions/sub_1", r#"{"currency":"usd"}"#), ("/v1/prices/price_1", price)],
            6000,
        ),
        (
            "/v1/invoiceitems",
            "customer=cus_1&pricing[price]=price_1",
            vec![("/v1/prices/price_1", price), ("/v1/customers/cus_1", r#"{"balance":0,"currency":null}"#)],
            1500,
        ),
        (
            "/v2/money_management/payout_intents/pi_1/confirm",
            "{}",
            vec![("/v2/money_management/payout_intents/pi_1", r#"{"amount":{"value":2500,"currency":"usd"}}"#)],
            2500,
        ),
    ] {
        let (asked, bound) = looked_up(path, body, &objects);
        assert_eq!(bound, Ok(cents * 1_000_000), "{path} {body} {asked:?}");
        assert_eq!(asked.len(), objects.len(), "{asked:?}");
    }
    // In the object's own currency, with the margin: 1700 pence * 1.33988966179 * 1.05
    let pounds = [("/v1/charges/ch_1", r#"{"amount":1700,"amount_refunded":0,"currency":"gbp"}"#)];
    assert_eq!(looked_up("/v1/refunds", "charge=ch_1", &pounds).1, Ok(2_391_703_047));
}

#[test]
fn nothing_is_asked_that_is_known_and_what_stays_unknown_is_refused() {
    for (path, body) in [
        ("/v1/charges", "amount=5&currency=usd"),
        ("/v1/transfers", "amount=5&currency=usd&destination=acct_1&source_transaction=ch_1"),
        ("/v1/invoiceitems", "customer=cus_1&invoice=in_1&amount=5&currency=usd"),
        // Out of a customer's balance, in the currency that it names.
        ("/v1/refunds", "customer=cus_1&origin=customer_balance&amount=5&currency=usd"),
        ("/v1/customers/cus_1", "name=x"),
        // No plain id: it would change the path.
        ("/v1/refunds", "charge=ch_1%2F..%2Fx"),
        ("/v1/refunds", "charge="),
        ("/v1/subscriptions/sub_1", "items[0][price]=price_1"),
    ] {
        assert!(stripe(path).questions(body).is_empty(), "{path} {body}");
    }
    let why = |path, body, objects: &[(&str, &str)]| looked_up(path, body, objects).1.expect_err("unknown").to_string();
    assert!(why("/v1/refunds", "charge=ch_1", &[]).contains("GET /v1/charges/ch_1: the vendor said 404"));
    let strange = [("/v1/charges/ch_1", r#"{"object":"charge"}"#)];
    assert!(why("/v1/refunds", "charge=ch_1", &strange).contains("nothing bounds"));
    let taxed = "customer=cus_1&items[0][price]=price_1&automatic_tax[enabled]=true";
    assert!(why("/v1/subscriptions", taxed, &[]).contains("adds a tax"));
    let tiered = [("/v1/prices/price_1", r#"{"currency":"usd","billing_scheme":"tiered","unit_amount":null}"#)];
    assert!(looked_up("/v1/subscription_items", "price=price_1", &tiered).1.is_err());
    let other = [("/v1/charges/ch_1", r#"{"amount":5,"amount_refunded":0,"currency":"zzz"}"#)];
    assert!(why("/v1/refunds", "charge=ch_1", &other).contains("`zzz`"));
}

/// Whatever currency the object has, the hold is that amount in it, and 5% more: not below what then moves.
#[test]
fn a_named_amount_is_of_its_objects_currency() {
    let gbp = r#"{"object":"x","amount":9000,"amount_refunded":0,"amount_capturable":9000,"amount_received":9000,"amount_reversed":0,"total":9000,"pending_request":{"amount":9000,"currency":"gbp"},"balance":0,"currency":"gbp"}"#;
    for (path, body, at) in [
        ("/v1/refunds", "charge=ch_1&amount=5000", "/v1/charges/ch_1"),
        ("/v1/refunds", "payment_intent=pi_1&amount=5000", "/v1/payment_intents/pi_1?expand[]=latest_charge"),
        ("/v1/charges/ch_1/refund", "amount=5000", "/v1/charges/ch_1"),
        ("/v1/charges/ch_1/capture", "amount=5000", "/v1/charges/ch_1"),
        ("/v1/payment_intents/pi_1/capture", "amount_to_capture=5000", "/v1/payment_intents/pi_1"),
        ("/v1/payment_intents/pi_1/confirm", "amount_to_confirm=5000", "/v1/payment_intents/pi_1"),
        ("/v1/payment_intents/pi_1/increment_authorization", "amount=5000", "/v1/payment_intents/pi_1"),
        ("/v1/transfers/tr_1/reversals", "amount=5000", "/v1/transfers/tr_1"),
        ("/v1/application_fees/fee_1/refunds", "amount=5000", "/v1/application_fees/fee_1"),
        ("/v1/terminal/readers/tmr_1/refund_payment", "charge=ch_1&amount=5000", "/v1/charges/ch_1"),
        ("/v1/credit_notes", "invoice=in_1&amount=5000", "/v1/invoices/in_1"),
        ("/v1/invoices/in_1/add_lines", "lines[0][amount]=5000", "/v1/invoices/in_1"),
        ("/v1/invoiceitems/ii_1", "amount=5000", "/v1/invoiceitems/ii_1"),
        ("/v1/issuing/authorizations/iauth_1/approve", "amount=5000", "/v1/issuing/authorizations/iauth_1"),
    ] {
        // 50 GBP * 1.1172 / 0.8338 * 1.05 = 70.3442072439…
        let (asked, bound) = looked_up(path, body, &[(at, gbp)]);
        assert_eq!((asked, bound), (vec![format!("GET {at}")], Ok(7_034_420_725)), "{path} {body}");
        // Cheaper than the account's own: 5000 yen * 1.1172 / 175.68 * 1.05 = 33.3862704918…, and not 50 USD.
        let yen = gbp.replace("gbp", "jpy");
        assert_eq!(looked_up(path, body, &[(at, &yen)]).1, Ok(3_338_627_050), "{path} {body}");
        // Where Stripe does not tell, the account's own currency stands.
        assert_eq!(looked_up(path, body, &[]).1, Ok(5_000_000_000), "{path} {body}");
        let other = gbp.replace("gbp", "zzz");
        assert!(matches!(looked_up(path, body, &[(at, &other)]).1, Err(Unpriceable::UnknownCurrency(_))), "{path}");
    }
}

fn moved(path: &'static str, body: &str, object: (&str, &str), answer: &str, headers: &HeaderMap) -> Usage {
    let mut call = stripe(path);
    for question in call.questions(body) {
        assert_eq!(question.to_string(), format!("GET {}", object.0));
        call.found.push(Found { question, answer: Ok(Bytes::from(object.1.to_owned())) });
    }
    answered(&call.plan(body), headers, answer).1
}

/// What is looked up before a repeat is what the first sending left behind: it does not lessen what that one moved.
#[test]
fn a_repeat_says_what_moved_the_first_time() {
    let repeated = headers(&[("content-type", "application/json"), ("idempotent-replayed", "true")]);
    let captured = r#"{"amount_capturable":0,"amount_received":900,"amount":900,"currency":"usd"}"#;
    let answer =
        r#"{"object":"payment_intent","amount":900,"amount_received":900,"currency":"usd","status":"succeeded"}"#;
    let intent = ("/v1/payment_intents/pi_1", captured);
    assert_eq!(exact(moved("/v1/payment_intents/pi_1/capture", "", intent, answer, &repeated)), 900_000_000);
    let paid = ("/v1/invoices/in_1", r#"{"amount_remaining":0,"amount_paid":500,"currency":"usd"}"#);
    let answer = r#"{"object":"invoice","status":"paid","amount_paid":500,"currency":"usd"}"#;
    assert_eq!(exact(moved("/v1/invoices/in_1/pay", "", paid, answer, &repeated)), 500_000_000);
    // From 200 to -500 it was; the record has it already, so that the difference is not known any more.
    let customer = ("/v1/customers/cus_1", r#"{"balance":-500,"currency":"usd"}"#);
    let answer = r#"{"object":"customer","balance":-500,"currency":"usd"}"#;
    assert_eq!(moved("/v1/customers/cus_1", "balance=-500", customer, answer, &repeated), Usage::UNKNOWN);
}

#[test]
fn what_was_there_before_is_not_counted_again() {
    let moved = |path, body: &str, object, answer: &str| moved(path, body, object, answer, &json());
    let invoice = ("/v1/invoices/in_1", r#"{"amount_remaining":400,"amount_paid":100,"currency":"usd"}"#);
    let paid = r#"{"object":"invoice","status":"paid","amount_paid":500,"currency":"usd"}"#;
    assert_eq!(exact(moved("/v1/invoices/in_1/pay", "", invoice, paid)), 400_000_000);
    // A bank is still paying: the hold stands.
    let open = r#"{"object":"invoice","status":"open","amount_paid":100,"currency":"usd"}"#;
    assert!(matches!(moved("/v1/invoices/in_1/pay", "", invoice, open), Usage::AtLeast(charge) if charge.usd.0 == 0));
    let grows =
        ("/v1/issuing/authorizations/ia_1", r#"{"amount":100,"pending_request":{"amount":50,"currency":"usd"}}"#);
    let grown = r#"{"object":"issuing.authorization","amount":150,"approved":true,"currency":"usd"}"#;
    assert_eq!(exact(moved("/v1/issuing/authorizations/ia_1/approve", "", grows, grown)), 50_000_000);
    let intent = ("/v1/payment_intents/pi_1", r#"{"amount_capturable":600,"amount_received":300,"currency":"usd"}"#);
    let whole =
        r#"{"object":"payment_intent","amount":900,"amount_received":900,"currency":"usd","status":"succeeded"}"#;
    assert_eq!(exact(moved("/v1/payment_intents/pi_1/capture", "", intent, whole)), 600_000_000);
}
