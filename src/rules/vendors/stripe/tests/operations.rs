//! Every operation of the stock SDKs is known: it moves money in a way that the table says, it needs a ceiling, or it moves
//! nothing. `operations.txt` is made by `operations.py`.

use super::super::super::catalog::tests::vendor;
use super::super::super::entry::{Adapter, Price};
use super::super::Move;
use crate::rules::path::CanonicalPath;

const LIST: &str = include_str!("../operations.txt");

fn all() -> impl Iterator<Item = (&'static str, String)> {
    let lines = LIST.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(' ')).map(|(method, path)| (method, path.replace("{}", "x_1")))
}

#[test]
fn every_operation_of_the_sdk_is_known() {
    let stripe = vendor("stripe");
    let mut unknown = Vec::new();
    for (method, path) in all() {
        let routed = stripe.route(method, CanonicalPath::parse(&path).expect("well-formed").path);
        if routed.operation.is_none() {
            unknown.push(format!("{method} {path}"));
        }
    }
    assert!(unknown.is_empty(), "neither mapped nor said to move nothing: {unknown:#?}");
    assert!(all().count() > 640);
}

#[test]
fn reading_costs_nothing_and_every_movement_is_used() {
    let stripe = vendor("stripe");
    for (method, path) in all().filter(|(method, _)| *method == "GET") {
        let routed = stripe.route(method, CanonicalPath::parse(&path).expect("well-formed").path);
        assert!(matches!(stripe.price_of(routed.operation), Some(Price::Free)), "{path}");
    }
    for moves in Move::ALL {
        let used = |price: &Price| matches!(price, Price::Adapter(Adapter::Stripe(own)) if own == moves);
        assert!(stripe.operations.iter().any(|operation| used(&operation.price)), "{moves:?}");
    }
}

/// What moves money by its name alone must not be among what is free.
#[test]
fn nothing_that_sounds_like_money_is_free() {
    let stripe = vendor("stripe");
    let ends = [
        "/charges",
        "/refunds",
        "/refund",
        "/transfers",
        "/reversals",
        "/payouts",
        "/reverse",
        "/topups",
        "/capture",
        "/pay",
        "/accept",
        "/outbound_payments",
        "/outbound_transfers",
        "/inbound_transfers",
        "/credit_notes",
        "/credit_grants",
        "/balance_transactions",
        "/approve",
        "/credit_reversals",
        "/debit_reversals",
        "/subscriptions",
        "/invoiceitems",
    ];
    // A review that is approved lets a payment stand that was made before; test helpers act in test mode alone.
    let harmless = ["/v1/reviews/x_1/approve"];
    for (_, path) in all().filter(|(method, path)| *method == "POST" && ends.iter().any(|end| path.ends_with(end))) {
        if path.contains("/test_helpers/") || harmless.contains(&path.as_str()) {
            continue;
        }
        let routed = stripe.route("POST", CanonicalPath::parse(&path).expect("well-formed").path);
        assert!(!matches!(stripe.price_of(routed.operation), Some(Price::Free) | None), "{path}");
    }
}
