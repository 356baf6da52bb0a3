//! What bounds subscriptions, their items and a customer's next invoice, and what does not (results in cents).

use super::super::super::Unpriceable;
use super::seek::looked_up;

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
    for own in [r#""default_tax_rates":[{"percentage":20}]"#, r#""automatic_tax":{"enabled":true}"#] {
        let all = format!(r#"{{"currency":"usd",{own}}}"#);
        assert!(bound("/v1/subscription_items", "subscription=sub_1&price=price_1", &all).is_err(), "{own}");
    }
}
