//! What bounds subscriptions, their items, their ends, a customer's next invoice and tips, and what does not (results in cents).

use super::super::super::Unpriceable;
use super::seek::looked_up;
use super::stripe;

const PRICE: &str = r#"{"object":"price","unit_amount":1500,"unit_amount_decimal":"1500","currency":"usd","billing_scheme":"per_unit","recurring":{"usage_type":"licensed"}}"#;

fn customer(path: &str) -> (&str, &str) {
    match path {
        "waiting" => ("/v1/invoiceitems?customer=cus_1&pending=true&limit=100", r#"{"data":[],"has_more":false}"#),
        _ => ("/v1/customers/cus_1", r#"{"balance":0,"currency":"usd"}"#),
    }
}

fn known(subscription: &str) -> [(&str, &str); 4] {
    [("/v1/prices/price_1", PRICE), customer("record"), customer("waiting"), ("/v1/subscriptions/sub_1", subscription)]
}

fn bound(path: &'static str, body: &str, subscription: &str) -> Result<u64, Unpriceable> {
    looked_up(path, body, &known(subscription)).1
}

#[test]
fn broken_quantities_are_rounded_up() {
    for (body, cents) in [
        ("quantity_decimal=250", 375_000),
        ("quantity_decimal=0.5", 1500),
        ("quantity_decimal=2.000000000001", 4500),
        ("quantity=2", 3000),
    ] {
        let body = format!("customer=cus_1&pricing[price]=price_1&{body}");
        assert_eq!(bound("/v1/invoiceitems", &body, ""), Ok(cents * 1_000_000), "{body}");
    }
    for body in ["quantity_decimal=x", "quantity=1&quantity_decimal=250", "quantity_decimal=-1"] {
        let body = format!("customer=cus_1&pricing[price]=price_1&{body}");
        assert!(bound("/v1/invoiceitems", &body, "").is_err(), "{body}");
    }
}

#[test]
fn a_price_in_another_currency_bounds_nothing() {
    let item = "customer=cus_1&pricing[price]=price_1";
    let euro = ("/v1/customers/cus_1", r#"{"balance":0,"currency":"eur"}"#);
    let own = [("/v1/prices/price_1", PRICE), euro, customer("waiting")];
    for (path, body) in [("/v1/invoiceitems", item), ("/v1/subscriptions", "customer=cus_1&items[0][price]=price_1")] {
        let why = looked_up(path, &format!("{body}&currency=eur"), &own).1.expect_err("another").to_string();
        assert!(why.contains("another currency"), "{why}");
        // None is named, and the customer's own is another.
        assert!(looked_up(path, body, &own).1.is_err(), "{path}");
        assert_eq!(looked_up(path, &format!("{body}&currency=USD"), &own).1, Ok(1_500_000_000), "{path}");
    }
    let added = "subscription=sub_1&price=price_1";
    assert!(bound("/v1/subscription_items", added, r#"{"currency":"eur"}"#).is_err());
    assert!(bound("/v1/subscription_items", added, "{}").is_err());
    assert_eq!(bound("/v1/subscription_items", added, r#"{"currency":"usd"}"#), Ok(1_500_000_000));
}

#[test]
fn more_than_one_period_bounds_nothing() {
    let plain = "customer=cus_1&items[0][price]=price_1";
    assert_eq!(bound("/v1/subscriptions", plain, ""), Ok(1_500_000_000));
    for more in ["backdate_start_date=1577836800", "billing_schedules[0][bill_until][type]=duration"] {
        let why = bound("/v1/subscriptions", &format!("{plain}&{more}"), "").expect_err("more").to_string();
        assert!(why.contains("more than one period"), "{why}");
    }
}

#[test]
fn taxes_and_further_items_bound_nothing() {
    let resumed = |own: &str, item: &str, more: bool| {
        let item = format!(r#"{{"quantity":3,"price":{PRICE}{item}}}"#);
        let all =
            format!(r#"{{"customer":"cus_1","currency":"usd"{own},"items":{{"data":[{item}],"has_more":{more}}}}}"#);
        bound("/v1/subscriptions/sub_1/resume", "billing_cycle_anchor=now", &all)
    };
    assert_eq!(resumed("", r#","tax_rates":[]"#, false), Ok(4_500_000_000));
    for (own, item, more) in [
        ("", r#","tax_rates":[{"percentage":20}]"#, false),
        ("", "", true),
        (r#","default_tax_rates":[{"percentage":20}]"#, "", false),
        (r#","automatic_tax":{"enabled":true}"#, "", false),
    ] {
        assert!(resumed(own, item, more).is_err(), "{own} {item} {more}");
    }
    let plain = "customer=cus_1&items[0][price]=price_1&automatic_tax[enabled]=";
    assert_eq!(bound("/v1/subscriptions", &format!("{plain}false"), ""), Ok(1_500_000_000));
    assert!(bound("/v1/subscriptions", &format!("{plain}true"), "").is_err());
    for own in [r#""default_tax_rates":[{"percentage":20}]"#, r#""automatic_tax":{"enabled":true}"#] {
        let all = format!(r#"{{"currency":"usd",{own}}}"#);
        assert!(bound("/v1/subscription_items", "subscription=sub_1&price=price_1", &all).is_err(), "{own}");
    }
}

#[test]
fn an_end_may_have_its_price() {
    let vendor = stripe("/v1/charges").vendor;
    let bound = |path: &str, query: &str| {
        let path = crate::rules::path::CanonicalPath::parse(path).expect("well-formed").path;
        let routed = vendor.route("DELETE", path);
        let sent = crate::rules::args::Sent { query: Some(query), ..crate::rules::args::Sent::default() };
        let args = crate::rules::args::Args::read(sent, &[]).expect("readable");
        let call = stripe("/v1/charges");
        call.asked(&vendor, routed.operation, &args).map(|estimate| estimate.need.wanted().usd.0)
    };
    for (path, query, free) in [
        ("/v1/subscriptions/sub_1", "", true),
        ("/v1/subscriptions/sub_1", "invoice_now=false&prorate=true", true),
        ("/v1/subscriptions/sub_1", "invoice_now=true", false),
        ("/v1/subscription_items/si_1", "proration_behavior=none", true),
        ("/v1/subscription_items/si_1", "proration_behavior=always_invoice", false),
        ("/v1/customers/cus_1", "", true),
    ] {
        assert_eq!(bound(path, query).ok(), free.then_some(0), "{path} {query}");
    }
}

#[test]
fn a_tip_on_the_reader_has_no_bound() {
    let intent = [("/v1/payment_intents/pi_1", r#"{"amount":321,"currency":"usd"}"#)];
    for (path, body) in [
        ("/v1/terminal/readers/tmr_1/process_payment_intent", "payment_intent=pi_1"),
        (
            "/v1/terminal/readers/tmr_1/process_payment_intent",
            "payment_intent=pi_1&process_config[skip_tipping]=false&process_config[tipping][amount_eligible]=300",
        ),
        ("/v1/terminal/readers/tmr_1/confirm_payment_intent", "payment_intent=pi_1"),
    ] {
        let why = looked_up(path, body, &intent).1.expect_err("a tip").to_string();
        assert!(why.contains("a tip"), "{why}");
    }
}
