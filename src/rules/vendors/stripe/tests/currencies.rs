//! Minor units and exchange rates: what Stripe writes with none, two or three decimals; what counts; test-mode keys.

use proptest::prelude::*;

use super::super::super::testkit::{answered, json};
use super::super::super::testkit::{book, call, exact};
use super::super::{Class, StripeRule, is_test_key};
use crate::rules::price::decimals;
use crate::rules::vendors::{Unpriceable, Usage};

#[test]
fn minor_units_are_stripes() {
    let none =
        ["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"];
    let three = ["bhd", "jod", "kwd", "omr", "tnd"];
    for (code, _) in book().fx.rates() {
        let expected = if none.contains(&code) {
            0
        } else if three.contains(&code) {
            3
        } else {
            2
        };
        assert_eq!(decimals(code), expected, "{code}");
        assert_eq!(decimals(&code.to_ascii_uppercase()), expected, "{code}");
    }
    for code in none.iter().chain(&three).chain(&["ugx", "isk", "huf", "twd", "usd", "eur"]) {
        assert!(book().fx.knows(code), "{code}");
    }
}

/// 1e-12 USD of one unit, times the amount, over the minor units, rounded up; and 5% more for the hold.
#[test]
fn special_currencies_cost_what_they_say() {
    for (body, minor_per_unit) in [
        ("amount=100000&currency=ugx", 100u128),
        ("amount=100000&currency=isk", 100),
        ("amount=100000&currency=huf", 100),
        ("amount=100000&currency=twd", 100),
        ("amount=100000&currency=jpy", 1),
        ("amount=100000&currency=krw", 1),
        ("amount=100000&currency=KWD", 1000),
        ("amount=100000&currency=tnd", 1000),
    ] {
        let code = body.rsplit('=').next().unwrap_or_default().to_ascii_lowercase();
        let rate = book().fx.rates().find(|(own, _)| *own == code).map(|(_, rate)| u128::from(rate)).expect("known");
        let mid = (100_000 * rate).div_ceil(minor_per_unit);
        let held = (mid * 105).div_ceil(100).div_ceil(10_000);
        let charges = call("stripe", "/v1/charges");
        assert_eq!(u128::from(charges.bound(body)), held, "{body}");
        let answer = format!(
            r#"{{"object":"charge","amount":100000,"amount_captured":100000,"captured":true,"currency":"{code}","paid":true,"status":"succeeded"}}"#
        );
        let moved = answered(&charges.plan(body), &json(), &answer).1;
        assert_eq!(u128::from(exact(moved)), mid.div_ceil(10_000), "{body}");
    }
    let unknown = call("stripe", "/v1/charges").estimate("amount=1&currency=zzz").map(|_| ());
    assert_eq!(unknown, Err(Unpriceable::UnknownCurrency("zzz".to_owned())));
}

#[test]
fn movements_and_test_keys_count_as_the_policy_says() {
    let mut refund = call("stripe", "/v1/refunds");
    assert_eq!(refund.bound("charge=ch_1&amount=500"), 500_000_000);
    refund.stripe = StripeRule::only(&[Class::Charge, Class::Payout]);
    assert_eq!(refund.bound("charge=ch_1&amount=500"), 0);
    // Not even its amount must be known then.
    assert_eq!(refund.bound("charge=ch_1"), 0);
    let answer = r#"{"object":"refund","amount":500,"currency":"usd","status":"succeeded"}"#;
    assert_eq!(answered(&refund.plan("charge=ch_1"), &json(), answer).1, Usage::ZERO);
    let mut charge = call("stripe", "/v1/charges");
    charge.test_key = true;
    assert_eq!(
        charge.bound("amount=500&currency=usd"),
        500_000_000,
        "test keys count, unless the policy says otherwise"
    );
    charge.stripe.test_keys_free = true;
    assert_eq!(charge.bound("amount=500&currency=usd"), 0);
    for (key, test) in
        [("sk_test_1", true), ("rk_test_1", true), ("sk_live_test_", false), ("sk_live_1", false), ("", false)]
    {
        assert_eq!(is_test_key(key.as_bytes()), test, "{key}");
    }
    for class in Class::ALL {
        assert_eq!(Class::parse(class.as_str()), Some(class));
    }
}

proptest! {
    /// No hold is below what then moves, in any currency, and both grow with the amount.
    #[test]
    fn a_hold_is_never_below_the_cost(minor in 1u64..100_000_000_000_000, more in 0u64..1_000_000, pick in any::<prop::sample::Index>()) {
        let fx = &book().fx;
        let codes: Vec<&str> = fx.rates().map(|(code, _)| code).collect();
        let code = *pick.get(&codes);
        let (cost, held) = (fx.usd(minor, code).expect("known"), fx.bound(minor, code).expect("known"));
        prop_assert!(cost <= held && cost.0 > 0);
        prop_assert!(fx.usd(minor + more, code).expect("known") >= cost);
        prop_assert!(fx.dearest(minor).expect("some") >= held);
        // Rounded up by less than one pico-dollar.
        let (_, rate) = fx.rates().find(|(own, _)| *own == code).expect("known");
        let (all, unit) = (u128::from(minor) * u128::from(rate), 10u128.pow(decimals(code)));
        prop_assert!(cost.0 * unit >= all && cost.0 * unit < all + unit);
    }

    /// What no plain amount is, is refused; what is one, is held to the cent.
    #[test]
    fn an_amount_is_read_exactly_or_refused(text in "[-+ 0-9.eE_,x]{1,18}") {
        let refund = call("stripe", "/v1/charges");
        let encoded: String = text.bytes().map(|b| format!("%{b:02X}")).collect();
        let plain = text.len() <= 15 && text.bytes().all(|b| b.is_ascii_digit());
        match refund.estimate(&format!("amount={encoded}&currency=usd")) {
            Ok(estimate) => {
                prop_assert!(plain, "{text}");
                let held = estimate.need.wanted().usd.0;
                let whole = text.parse::<u64>().expect("digits").saturating_mul(1_000_000);
                prop_assert!(held == whole || whole > (1 << 53) - 1);
            }
            Err(why) => prop_assert!(!plain && why.status() == 400, "{text}: {why}"),
        }
    }
}
