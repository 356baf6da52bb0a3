//! What moved, in answers that are no plain amount: notes, invoices, subscriptions, readers, API v2 (results in cents).

use super::super::super::testkit::{answered, exact, json};
use super::super::super::{Usage, testkit};
use super::stripe;
use crate::units::money::MicroCents;

fn usage(path: &'static str, body: &str, answer: &str) -> Usage {
    let mut call = stripe(path);
    call.ceiling = Some(MicroCents(1));
    if path.starts_with("/v2") {
        call.content_type = "application/json";
    }
    answered(&call.plan(body), &json(), answer).1
}

#[test]
fn objects_say_what_moved() {
    for (path, body, answer, cents) in [
        // 300 by refund and 200 onto the balance; what was given outside moved nothing here.
        (
            "/v1/credit_notes",
            "invoice=in_1&amount=600",
            r#"{"object":"credit_note","status":"issued","amount":600,"currency":"usd","post_payment_amount":600,"out_of_band_amount":100,"customer_balance_transaction":"cbtxn_1","refunds":[{"amount_refunded":300}]}"#,
            500,
        ),
        (
            "/v1/credit_notes",
            "invoice=in_1&amount=600",
            r#"{"object":"credit_note","status":"issued","amount":600,"currency":"usd","post_payment_amount":600,"refunds":[{"amount_refunded":400},{"amount_refunded":200}]}"#,
            600,
        ),
        // An unpaid invoice became smaller.
        (
            "/v1/credit_notes",
            "invoice=in_1&amount=600",
            r#"{"object":"credit_note","status":"issued","amount":600,"currency":"usd","pre_payment_amount":600,"post_payment_amount":0,"refunds":[]}"#,
            0,
        ),
        (
            "/v1/credit_notes",
            "invoice=in_1&amount=600",
            r#"{"object":"credit_note","status":"void","amount":600,"currency":"usd"}"#,
            0,
        ),
        (
            "/v1/customers/cus_1/balance_transactions",
            "amount=-1200&currency=usd",
            r#"{"object":"customer_balance_transaction","amount":-1200,"currency":"usd"}"#,
            1200,
        ),
        ("/v1/customers", "balance=-70", r#"{"object":"customer","balance":-70,"currency":null}"#, 70),
        (
            "/v1/billing/credit_grants",
            "amount[monetary][value]=1000&amount[monetary][currency]=usd",
            r#"{"object":"billing.credit_grant","amount":{"type":"monetary","monetary":{"value":1000,"currency":"usd"}}}"#,
            1000,
        ),
        (
            "/v1/payouts/po_1/reverse",
            "",
            r#"{"object":"payout","amount":-1100,"currency":"usd","original_payout":"po_1","status":"pending"}"#,
            1100,
        ),
        (
            "/v1/treasury/credit_reversals",
            "received_credit=rc_1",
            r#"{"object":"treasury.credit_reversal","amount":90,"currency":"usd","status":"processing"}"#,
            90,
        ),
        (
            "/v1/treasury/outbound_payments",
            "amount=90&currency=usd",
            r#"{"object":"treasury.outbound_payment","amount":90,"currency":"usd","status":"returned"}"#,
            0,
        ),
        (
            "/v1/climate/orders",
            "amount=4500&currency=usd",
            r#"{"object":"climate.order","amount_fees":10,"amount_subtotal":4490,"amount_total":4500,"currency":"usd","status":"open"}"#,
            4500,
        ),
        (
            "/v1/issuing/authorizations/ia_1/approve",
            "amount=60",
            r#"{"object":"issuing.authorization","amount":60,"approved":true,"currency":"usd","status":"pending"}"#,
            60,
        ),
        // One that grew: by what was asked for.
        (
            "/v1/issuing/authorizations/ia_1/approve",
            "amount=50",
            r#"{"object":"issuing.authorization","amount":150,"approved":true,"currency":"usd","status":"pending"}"#,
            50,
        ),
        (
            "/v1/issuing/authorizations/ia_1/approve",
            "amount=60",
            r#"{"object":"issuing.authorization","amount":0,"approved":false,"currency":"usd","status":"closed"}"#,
            0,
        ),
        (
            "/v1/invoices/in_1/pay",
            "",
            r#"{"object":"invoice","status":"paid","amount_paid":1500,"currency":"usd"}"#,
            1500,
        ),
        (
            "/v1/invoices/in_1/finalize",
            "",
            r#"{"object":"invoice","status":"open","amount_paid":0,"amount_remaining":800,"auto_advance":true,"collection_method":"charge_automatically","currency":"usd"}"#,
            800,
        ),
        (
            "/v1/invoices/in_1/finalize",
            "",
            r#"{"object":"invoice","status":"open","amount_paid":0,"amount_remaining":800,"auto_advance":true,"collection_method":"send_invoice","currency":"usd"}"#,
            0,
        ),
        // The request did not say so, but it goes on by itself.
        (
            "/v1/invoices",
            "customer=cus_1&pending_invoice_items_behavior=include",
            r#"{"object":"invoice","status":"draft","amount_paid":0,"amount_remaining":800,"auto_advance":true,"collection_method":"charge_automatically","currency":"usd"}"#,
            800,
        ),
        (
            "/v1/invoiceitems",
            "amount=-20&currency=usd",
            r#"{"object":"invoiceitem","amount":-20,"currency":"usd"}"#,
            20,
        ),
        (
            "/v1/invoices/in_1/add_lines",
            "lines[0][amount]=100",
            r#"{"object":"invoice","amount_due":900,"currency":"usd"}"#,
            100,
        ),
        (
            "/v1/subscriptions",
            "customer=cus_1",
            r#"{"object":"subscription","currency":"usd","latest_invoice":{"object":"invoice","status":"paid","amount_paid":990,"currency":"usd"}}"#,
            990,
        ),
        (
            "/v1/subscriptions",
            "customer=cus_1",
            r#"{"object":"subscription","currency":"usd","latest_invoice":null}"#,
            0,
        ),
        // The customer pays these, later.
        (
            "/v1/subscriptions",
            "customer=cus_1&collection_method=send_invoice",
            r#"{"object":"subscription","currency":"usd","latest_invoice":{"object":"invoice","status":"open","amount_paid":0,"collection_method":"send_invoice","currency":"usd"}}"#,
            0,
        ),
        (
            "/v1/subscriptions",
            "customer=cus_1&payment_behavior=default_incomplete",
            r#"{"object":"subscription","currency":"usd","latest_invoice":{"object":"invoice","status":"open","amount_paid":0,"collection_method":"charge_automatically","currency":"usd"}}"#,
            0,
        ),
        (
            "/v1/quotes/qt_1/accept",
            "expand[]=invoice",
            r#"{"object":"quote","currency":"usd","invoice":{"object":"invoice","status":"paid","amount_paid":700},"subscription":null}"#,
            700,
        ),
        (
            "/v1/quotes/qt_1/accept",
            "expand[]=subscription.latest_invoice",
            r#"{"object":"quote","currency":"usd","invoice":null,"subscription":{"latest_invoice":{"object":"invoice","status":"paid","amount_paid":990}}}"#,
            990,
        ),
        // Of 1500 were 500 paid outside.
        (
            "/v1/invoices/in_1/pay",
            "",
            r#"{"object":"invoice","status":"paid","amount_paid":1500,"amount_paid_off_stripe":500,"currency":"usd"}"#,
            1000,
        ),
        (
            "/v1/terminal/readers/r/process_payment_intent",
            "payment_intent=pi",
            r#"{"object":"terminal.reader","action":{"type":"process_payment_intent","process_payment_intent":{"payment_intent":{"object":"payment_intent","status":"succeeded","amount":50,"amount_received":50,"currency":"usd"}}}}"#,
            50,
        ),
        (
            "/v1/terminal/readers/r/refund_payment",
            "charge=ch&amount=30",
            r#"{"object":"terminal.reader","action":{"type":"refund_payment","status":"in_progress","refund_payment":{"amount":30}}}"#,
            30,
        ),
        (
            "/v1/terminal/readers/r/refund_payment",
            "charge=ch&amount=30",
            r#"{"object":"terminal.reader","action":{"type":"refund_payment","status":"failed","refund_payment":{"amount":30}}}"#,
            0,
        ),
    ] {
        assert_eq!(exact(usage(path, body, answer)), cents * 1_000_000, "{path} {answer}");
    }
}

#[test]
fn what_is_not_said_is_not_nothing() {
    for (path, body, answer) in [
        (
            "/v1/subscriptions",
            "customer=cus_1",
            r#"{"object":"subscription","currency":"usd","latest_invoice":"in_1"}"#,
        ),
        ("/v1/quotes/qt_1/accept", "", r#"{"object":"quote","status":"accepted","amount_total":50,"currency":"usd"}"#),
        (
            "/v1/terminal/readers/r/process_payment_intent",
            "payment_intent=pi",
            r#"{"object":"terminal.reader","action":{"type":"process_payment_intent","status":"in_progress","process_payment_intent":{"payment_intent":"pi"}}}"#,
        ),
        (
            "/v1/issuing/authorizations/ia_1/approve",
            "amount=60",
            r#"{"object":"issuing.authorization","amount":60,"currency":"usd"}"#,
        ),
        ("/v1/credit_notes", "amount=60", r#"{"object":"credit_note","currency":"usd"}"#),
        ("/v1/invoices/in_1/pay", "", r#"{"object":"charge","amount":5,"currency":"usd"}"#),
        (
            "/v2/money_management/outbound_payments",
            r#"{"amount":{"value":1,"currency":"usd"}}"#,
            r#"{"object":"v2.money_management.outbound_payment","status":"posted"}"#,
        ),
    ] {
        assert_eq!(usage(path, body, answer), Usage::UNKNOWN, "{path} {answer}");
    }
}

#[test]
fn a_first_invoice_may_be_on_its_way() {
    let open = r#"{"object":"subscription","currency":"usd","latest_invoice":{"object":"invoice","status":"open","amount_paid":0,"collection_method":"charge_automatically","currency":"usd"}}"#;
    assert!(matches!(usage("/v1/subscriptions", "customer=cus_1", open), Usage::AtLeast(_)));
}

#[test]
fn the_second_api_says_value_and_currency() {
    let body = r#"{"from":{"financial_account":"fa_1","currency":"usd"},"to":{"recipient":"acct_1"},"amount":{"value":2500,"currency":"eur"}}"#;
    let mut call = stripe("/v2/money_management/outbound_payments");
    call.content_type = "application/json";
    // 25 EUR * 1.1172 * 1.05, then without the margin.
    assert_eq!(call.bound(body), 2_932_650_000);
    let moved = |status: &str| {
        let answer = format!(
            r#"{{"id":"obp_1","object":"v2.money_management.outbound_payment","amount":{{"value":2500,"currency":"eur"}},"status":"{status}"}}"#
        );
        exact(usage("/v2/money_management/outbound_payments", body, &answer))
    };
    for (status, expected) in
        [("processing", 2_793_000_000), ("posted", 2_793_000_000), ("failed", 0), ("canceled", 0), ("returned", 0)]
    {
        assert_eq!(moved(status), expected, "{status}");
    }
    let intent = |status: &str| {
        let answer = format!(
            r#"{{"object":"v2.money_management.payout_intent","amount":{{"value":100,"currency":"usd"}},"status":"{status}"}}"#
        );
        exact(usage("/v2/money_management/payout_intents", r#"{"amount":{"value":100,"currency":"usd"}}"#, &answer))
    };
    assert_eq!((intent("pending"), intent("requires_action"), intent("canceled")), (100_000_000, 0, 0));
    let inbound = |kind: &str| {
        let answer = format!(
            r#"{{"object":"v2.money_management.inbound_transfer","amount":{{"value":100,"currency":"usd"}},"transfer_history":[{{"type":"bank_debit_processing"}},{{"type":"{kind}"}}]}}"#
        );
        exact(usage("/v2/money_management/inbound_transfers", r#"{"amount":{"value":100,"currency":"usd"}}"#, &answer))
    };
    assert_eq!((inbound("bank_debit_queued"), inbound("bank_debit_failed")), (100_000_000, 0));
    let bad = stripe("/v2/money_management/outbound_payments");
    let bad = testkit::Call { content_type: "application/json", ..bad };
    assert_eq!(
        bad.estimate(r#"{"amount":{"value":"1e3","currency":"usd"}}"#).map(|_| ()).map_err(|w| w.status()),
        Err(400)
    );
}
