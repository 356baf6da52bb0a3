//! Stripe's bounds and costs, by operation, currency and status (results in micro-cents or cents).

mod currencies;
mod objects;
mod operations;
mod recurring;
mod seek;

use super::super::testkit::{Call, answered, call, exact, headers, json, run};
use super::super::{End, Unpriceable, Usage};
use crate::rules::books::CostSource;
use crate::units::money::MicroCents;

/// Of an operator whose account knows only dollars.
fn stripe(path: &'static str) -> Call {
    let mut call = call("stripe", path);
    call.vendor.currency = Some("usd".into());
    call
}

/// 800 of 900.
const CAPTURED: &str =
    r#"{"object":"payment_intent","amount":900,"amount_received":800,"currency":"usd","status":"succeeded"}"#;

#[test]
fn a_request_holds_the_amount_that_it_names() {
    for (path, body, usd) in [
        ("/v1/charges", "amount=2000&currency=usd&source=tok", 2_000_000_000),
        ("/v1/refunds", "charge=ch_1&amount=500", 500_000_000),
        ("/v1/payment_intents", "amount=2000&currency=usd", 0),
        ("/v1/payment_intents", "amount=2000&currency=usd&confirm=false", 0),
        ("/v1/payment_intents", "amount=2000&currency=usd&confirm=true", 2_000_000_000),
        ("/v1/payment_intents", "amount=2000&currency=usd&confirm=1", 2_000_000_000),
        ("/v1/payment_intents/pi_1/capture", "amount_to_capture=100", 100_000_000),
        ("/v1/charges/ch_1/capture", "amount=100", 100_000_000),
        ("/v1/transfers", "amount=700&currency=USD&destination=acct_1", 700_000_000),
        ("/v1/payouts", "amount=1&currency=usd", 1_000_000),
        // 500 yen * 1.1172 / 175.68, and 5% more: 3.33862704918…
        ("/v1/charges", "amount=500&currency=jpy", 333_862_705),
        // 1.000 dinar is 1/0.376 USD, and 5% more: 2.792553191491
        ("/v1/charges", "amount=1000&currency=bhd", 279_255_320),
        // ISK is written with two decimals: 100 krónur * 0.008214705883 * 1.05 = 0.862544117715
        ("/v1/charges", "amount=10000&currency=isk", 86_254_412),
        ("/v1/customers", "name=x", 0),
        ("/v1/customers/cus_1", "balance=&name=x", 0),
        ("/v1/customers", "name=x&balance=-50000", 50_000_000_000),
        ("/v1/customers/cus_1/balance_transactions", "amount=-1200&currency=usd", 1_200_000_000),
        ("/v1/application_fees/fee_1/refunds", "amount=30", 30_000_000),
        ("/v1/terminal/readers/tmr_1/refund_payment", "amount=40&charge=ch_1", 40_000_000),
        ("/v1/credit_notes", "invoice=in_1&amount=900&refund_amount=500&credit_amount=400", 900_000_000),
        ("/v1/credit_notes", "invoice=in_1&lines[0][type]=invoice_line_item&refund_amount=500", 500_000_000),
        (
            "/v1/billing/credit_grants",
            "customer=cus_1&amount[type]=monetary&amount[monetary][value]=1000&amount[monetary][currency]=usd",
            1_000_000_000,
        ),
        ("/v1/invoiceitems", "customer=cus_1&amount=-250&currency=usd", 250_000_000),
        // It has the currency that it names, cheaper or not: 500 yen.
        ("/v1/invoiceitems", "customer=cus_1&amount=500&currency=jpy", 333_862_705),
        ("/v1/invoices/in_1/add_lines", "lines[0][amount]=100&lines[1][amount]=-50", 150_000_000),
        ("/v1/invoices", "customer=cus_1", 0),
        ("/v1/invoices/in_1", "auto_advance=false&description=x", 0),
        ("/v1/invoices/in_1/finalize", "auto_advance=false", 0),
        ("/v1/invoices/in_1/pay", "paid_out_of_band=true", 0),
        ("/v1/invoiceitems/ii_1", "description=x&metadata[a]=b", 0),
        ("/v1/subscriptions/sub_1", "metadata[a]=b&cancel_at_period_end=true", 0),
        ("/v1/treasury/outbound_payments", "financial_account=fa_1&amount=5000&currency=usd", 5_000_000_000),
        ("/v1/topups", "amount=100&currency=usd", 100_000_000),
        ("/v1/climate/orders", "product=climsku_1&amount=4500&currency=usd", 4_500_000_000),
        ("/v1/issuing/authorizations/iauth_1/approve", "amount=600", 600_000_000),
        // A refund has its charge's currency, whatever its own field says: 100 pounds, not 100 rupiah.
        ("/v1/refunds", "charge=ch_1&amount=10000&currency=idr", 10_000_000_000),
        ("/v1/payment_intents/pi_1/capture", "amount_to_capture=10000&currency=idr", 10_000_000_000),
        // ... nor less than what it says: 100 pounds * 1.33988966179 * 1.05
        ("/v1/refunds", "charge=ch_1&amount=10000&currency=gbp", 14_068_841_449),
    ] {
        assert_eq!(stripe(path).bound(body), usd, "{path} {body}");
    }
}

#[test]
fn what_the_request_does_not_say_needs_a_ceiling() {
    for (path, body) in [
        ("/v1/refunds", "charge=ch_1"),
        ("/v1/refunds", "charge=ch_1&amount="),
        ("/v1/payment_intents/pi_1/confirm", "payment_method=pm"),
        ("/v1/payment_intents/pi_1/capture", "metadata[a]=b"),
        ("/v1/payment_intents/pi_1/verify_microdeposits", "amounts[0]=32&amounts[1]=45"),
        ("/v1/charges/ch_1/capture", "metadata[a]=b"),
        ("/v1/transfers", "currency=usd&source_transaction=ch_1"),
        ("/v1/charges", "amount=100&currency=xyz"),
        ("/v1/subscriptions", "customer=cus_1"),
        // A credit by another door.
        ("/v1/customers/cus_1", "balance=-50000"),
        // It makes a last invoice unless told not to.
        ("/v1/subscription_schedules/sub_sched_1/cancel", "prorate=false"),
        ("/v1/subscriptions/sub_1/pause", "bill_for[unused_time_from][type]=now"),
        ("/v1/brand_new", "a=b"),
        ("/v1/invoices/in_1/pay", ""),
        ("/v1/invoices/in_1/pay", "paid_out_of_band=1"),
        ("/v1/invoiceitems/ii_1", "quantity=3"),
        ("/v1/invoices/in_1/finalize", ""),
        ("/v1/invoices", "auto_advance=true&customer=cus_1"),
        ("/v1/invoices", "automatically_finalizes_at=1800000000&customer=cus_1"),
        ("/v1/invoices/in_1", "automatically_finalizes_at=1800000000"),
        ("/v1/invoices/in_1/add_lines", "lines[0][amount]=100&lines[1][price]=price_1"),
        ("/v1/quotes/qt_1/accept", ""),
        ("/v1/subscriptions/sub_1", "items[0][price]=price_1"),
        ("/v1/subscriptions/sub_1/resume", "billing_cycle_anchor=now"),
        ("/v1/payouts/po_1/reverse", ""),
        ("/v1/treasury/credit_reversals", "received_credit=rc_1"),
        ("/v1/terminal/readers/tmr_1/process_payment_intent", "payment_intent=pi_1"),
        ("/v1/climate/orders", "product=climsku_1&metric_tons=1.5"),
        ("/v1/issuing/authorizations/iauth_1/approve", ""),
        ("/v1/billing/meter_events", "event_name=x&payload[value]=3"),
        ("/v1/forwarding/requests", "url=x"),
    ] {
        let mut call = stripe(path);
        let why = call.estimate(body).map(|_| ()).expect_err(path);
        assert!(why.ceiling_helps() && why.status() == 403, "{why}");
        call.ceiling = Some(MicroCents(5));
        assert_eq!(call.bound(body), 5, "{path} {body}");
    }
    for body in [
        "amount=-5",
        "amount=1e3",
        "amount=12.50",
        "amount=%2B5",
        "amount=9999999999999999",
        "amount[a]=5",
        "amount=5&amount=6",
    ] {
        let mut call = stripe("/v1/refunds");
        call.ceiling = Some(MicroCents(5));
        assert_eq!(call.estimate(body).map(|_| ()).map_err(|why| why.status()), Err(400), "{body}");
    }
    let any = call("stripe", "/v1/refunds");
    assert_eq!(any.vendor.currency, None, "as it ships");
    // 5 EUR, the margin apart: 5 * 1.1172. A charge may have been in any currency.
    assert!(any.bound("charge=ch_1&amount=500") >= 558_600_000);
    // The dearest minor unit of the table: a Bahraini fils is 0.00266 USD, an Omani baisa 0.0026, a penny 0.0134.
    assert!(any.bound("amount=100") > stripe("/v1/refunds").bound("amount=100&currency=gbp") - 1);
    assert!(
        matches!(stripe("/v1/charges").estimate("amount=1&currency=xyz"), Err(Unpriceable::UnknownCurrency(code)) if code == "xyz")
    );
}

#[test]
fn what_moved_stands_in_the_answer() {
    let usage = |path, body: &str, answer: &str| {
        let mut call = stripe(path);
        call.ceiling = Some(MicroCents(1));
        answered(&call.plan(body), &json(), answer).1
    };
    let cents = |path, body: &str, answer: &str| exact(usage(path, body, answer)) / 1_000_000;
    let charge = "amount=2000&currency=usd";
    for (path, body, answer, expected) in [
        (
            "/v1/charges",
            charge,
            r#"{"id":"ch","object":"charge","amount":2000,"amount_captured":2000,"captured":true,"currency":"usd","paid":true,"status":"succeeded"}"#,
            2000,
        ),
        (
            "/v1/charges",
            charge,
            r#"{"object":"charge","amount":2000,"amount_captured":0,"captured":false,"currency":"usd","paid":true,"status":"succeeded"}"#,
            0,
        ),
        (
            "/v1/charges",
            charge,
            r#"{"object":"charge","amount":2000,"currency":"usd","paid":false,"status":"failed"}"#,
            0,
        ),
        (
            "/v1/charges/ch_1/capture",
            "a=b",
            r#"{"object":"charge","amount":2000,"amount_captured":1500,"captured":true,"currency":"usd","paid":true,"status":"succeeded"}"#,
            1500,
        ),
        (
            "/v1/payment_intents",
            charge,
            r#"{"object":"payment_intent","amount":2000,"amount_received":2000,"currency":"usd","status":"succeeded"}"#,
            2000,
        ),
        (
            "/v1/payment_intents",
            charge,
            r#"{"object":"payment_intent","amount":2000,"amount_received":0,"currency":"usd","status":"processing"}"#,
            2000,
        ),
        (
            "/v1/payment_intents",
            charge,
            r#"{"object":"payment_intent","amount":2000,"amount_received":0,"currency":"usd","status":"requires_action"}"#,
            0,
        ),
        (
            "/v1/payment_intents/pi/confirm",
            "a=b",
            r#"{"object":"payment_intent","amount":900,"amount_received":900,"currency":"usd","status":"succeeded"}"#,
            900,
        ),
        ("/v1/payment_intents/pi/capture", "a=b", CAPTURED, 800),
        // Less than was asked for.
        ("/v1/payment_intents/pi/capture", "amount_to_capture=900", CAPTURED, 800),
        (
            "/v1/payment_intents/pi/verify_microdeposits",
            "descriptor_code=SM11AA",
            r#"{"object":"payment_intent","amount":900,"amount_received":0,"currency":"usd","status":"processing"}"#,
            900,
        ),
        // Captured in parts: the intent still waits, and its own amount is that of all parts.
        (
            "/v1/payment_intents/pi/capture",
            "amount_to_capture=300&final_capture=false",
            r#"{"object":"payment_intent","amount":900,"amount_received":500,"currency":"usd","status":"requires_capture"}"#,
            300,
        ),
        (
            "/v1/payment_intents/pi/capture",
            "amount_to_capture=400",
            r#"{"object":"payment_intent","amount":900,"amount_received":900,"currency":"usd","status":"succeeded"}"#,
            400,
        ),
        // On its way is the part that was asked for.
        (
            "/v1/payment_intents/pi/capture",
            "amount_to_capture=300",
            r#"{"object":"payment_intent","amount":900,"amount_received":0,"currency":"usd","status":"processing"}"#,
            300,
        ),
        (
            "/v1/payment_intents/pi/confirm",
            "amount_to_confirm=300",
            r#"{"object":"payment_intent","amount":900,"amount_received":0,"currency":"usd","status":"processing"}"#,
            300,
        ),
        // A bank's debit is on its way.
        (
            "/v1/charges",
            charge,
            r#"{"object":"charge","amount":2000,"captured":true,"currency":"usd","paid":false,"status":"pending"}"#,
            2000,
        ),
        (
            "/v1/refunds",
            "charge=ch",
            r#"{"id":"re","object":"refund","amount":700,"currency":"usd","status":"pending"}"#,
            700,
        ),
        ("/v1/refunds", "charge=ch", r#"{"object":"refund","amount":700,"currency":"usd","status":"failed"}"#, 0),
        ("/v1/refunds", "charge=ch", r#"{"object":"refund","amount":700,"currency":"usd","status":"canceled"}"#, 0),
        // More may be taken later: nothing is yet.
        (
            "/v1/payment_intents/pi/increment_authorization",
            "amount=2500",
            r#"{"object":"payment_intent","amount":2500,"amount_received":0,"currency":"usd","status":"requires_capture"}"#,
            0,
        ),
        (
            "/v1/payment_intents/pi/apply_customer_balance",
            "amount=500",
            r#"{"object":"payment_intent","amount":500,"amount_received":500,"currency":"usd","status":"succeeded"}"#,
            500,
        ),
        ("/v1/payouts", charge, r#"{"object":"payout","amount":2000,"currency":"usd","status":"failed"}"#, 0),
        ("/v1/topups", charge, r#"{"object":"topup","amount":2000,"currency":"usd","status":"canceled"}"#, 0),
        ("/v1/application_fees/fee_1/refunds", "a=b", r#"{"object":"fee_refund","amount":30,"currency":"usd"}"#, 30),
        (
            "/v1/treasury/inbound_transfers",
            charge,
            r#"{"object":"treasury.inbound_transfer","amount":2000,"currency":"usd","status":"processing"}"#,
            2000,
        ),
        (
            "/v1/charges/ch/refund",
            "amount=300",
            r#"{"object":"charge","amount":2000,"amount_refunded":900,"currency":"usd","status":"succeeded"}"#,
            300,
        ),
        ("/v1/transfers", charge, r#"{"object":"transfer","amount":2000,"currency":"usd"}"#, 2000),
        ("/v1/transfers/tr/reversals", "a=b", r#"{"object":"transfer_reversal","amount":50,"currency":"usd"}"#, 50),
        ("/v1/payouts", charge, r#"{"object":"payout","amount":2000,"currency":"usd","status":"pending"}"#, 2000),
        ("/v1/payouts", charge, r#"{"object":"payout","amount":2000,"currency":"usd","status":"canceled"}"#, 0),
        ("/v1/topups", charge, r#"{"object":"topup","amount":2000,"currency":"usd","status":"pending"}"#, 2000),
    ] {
        assert_eq!(cents(path, body, answer), expected, "{path} {answer}");
    }
    // In yen, without the margin: 500 * 1.1172 / 175.68 = 3.17964480874…
    let yen = usage(
        "/v1/charges",
        charge,
        r#"{"object":"charge","amount":500,"amount_captured":500,"captured":true,"currency":"jpy","paid":true,"status":"succeeded"}"#,
    );
    assert_eq!((exact(yen), yen.charge().source), (317_964_481, CostSource::Vendor));
    for answer in [
        "{}",
        "",
        "[]",
        r#"{"object":"refund","currency":"usd"}"#,
        r#"{"object":"refund","amount":-5,"currency":"usd"}"#,
        r#"{"object":"list","data":[]}"#,
        r#"{"object":"refund","amount":5,"currency":"xyz"}"#,
    ] {
        assert_eq!(usage("/v1/refunds", "charge=ch", answer), Usage::UNKNOWN, "{answer}");
    }
    let part = r#"{"object":"payment_intent","amount":900,"amount_received":500,"currency":"usd","status":"requires_capture"}"#;
    assert_eq!(usage("/v1/payment_intents/pi/capture", "final_capture=false", part), Usage::UNKNOWN);
    assert_eq!(
        usage("/v1/charges/ch/refund", "a=b", r#"{"object":"charge","amount":2000,"amount_refunded":900}"#),
        Usage::UNKNOWN
    );
}

#[test]
fn statuses_replays_and_ids_are_told() {
    let mut call = stripe("/v1/refunds");
    call.headers = headers(&[("idempotency-key", "key-1")]);
    let plan = call.plan("charge=ch_1&amount=500");
    assert_eq!(plan.idempotency_key(), Some("key-1"));
    let answer = br#"{"id":"re_1","object":"refund","amount":500,"currency":"usd","status":"succeeded"}"#;
    let metered = |status, list: &[(&str, &str)], end| run(&plan, status, &headers(list), [&answer[..]], end).1;
    assert_eq!(metered(402, &[], End::Complete).usage, Usage::ZERO);
    assert_eq!(metered(409, &[], End::Cut).usage, Usage::ZERO);
    assert_eq!(metered(500, &[], End::Complete).usage, Usage::UNKNOWN);
    assert_eq!(metered(200, &[], End::Cut).usage, Usage::UNKNOWN);
    let replay = metered(200, &[("idempotent-replayed", "true"), ("request-id", "req_9")], End::Complete);
    assert_eq!(
        (exact(replay.usage), replay.replayed, replay.vendor_request_id.as_deref()),
        (500_000_000, true, Some("req_9"))
    );
    let plain = metered(200, &[], End::Complete);
    assert_eq!((plain.replayed, plain.vendor_request_id.as_deref()), (false, Some("re_1")));
}
