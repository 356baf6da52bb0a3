//! Minor units and exchange rates: what Stripe writes with none, two or three decimals; what counts; test-mode keys.

use proptest::prelude::*;

use super::super::super::testkit::{answered, json};
use super::super::super::testkit::{book, exact};
use super::super::{Class, StripeRule, is_test_key};
use super::stripe;
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

/// Units times the quotient of the table, rounded up to the micro-cent; and 5% more for the hold, rounded once.
#[test]
fn special_currencies_cost_what_they_say() {
    for (body, moved, held) in [
        // 1000.00 * 1 / 3914.66823395
        ("amount=100000&currency=ugx", 25_544_949, 26_822_197),
        // 1000.00 * 1.1172 / 136
        ("amount=100000&currency=isk", 821_470_589, 862_544_118),
        // 1000.00 * 1.1172 / 366.33
        ("amount=100000&currency=huf", 304_970_928, 320_219_475),
        // 1000.00 * 1 / 31.85255853
        ("amount=100000&currency=twd", 3_139_465_231, 3_296_438_492),
        // 100000 * 1.1172 / 175.68
        ("amount=100000&currency=jpy", 63_592_896_175, 66_772_540_984),
        // 100000 * 1.1172 / 1491.76
        ("amount=100000&currency=krw", 7_489_140_345, 7_863_597_362),
        // 100.000 * 1 / 0.30871186
        ("amount=100000&currency=KWD", 32_392_665_446, 34_012_298_718),
        // 100.000 * 1 / 2.9692935
        ("amount=100000&currency=tnd", 3_367_804_497, 3_536_194_722),
        // A milliard yen: what twelve places of a rate would lose is seen here.
        ("amount=1000000000&currency=jpy", 635_928_961_748_634, 667_725_409_836_066),
    ] {
        let charges = stripe("/v1/charges");
        assert_eq!(charges.bound(body), held, "{body}");
        let [minor, code] = [0, 1].map(|at| body.split(['=', '&']).nth(1 + 2 * at).expect("a value").to_lowercase());
        let answer = format!(
            r#"{{"object":"charge","amount":{minor},"amount_captured":{minor},"captured":true,"currency":"{code}","paid":true,"status":"succeeded"}}"#
        );
        assert_eq!(exact(answered(&charges.plan(body), &json(), &answer).1), moved, "{body}");
    }
    let unknown = stripe("/v1/charges").estimate("amount=1&currency=zzz").map(|_| ());
    assert_eq!(unknown, Err(Unpriceable::UnknownCurrency("zzz".to_owned())));
}

#[test]
fn movements_and_test_keys_count_as_the_policy_says() {
    let mut refund = stripe("/v1/refunds");
    assert_eq!(refund.bound("charge=ch_1&amount=500"), 500_000_000);
    refund.stripe = StripeRule::only(&[Class::Charge, Class::Payout]);
    assert_eq!(refund.bound("charge=ch_1&amount=500"), 0);
    // Not even its amount must be known then.
    assert_eq!(refund.bound("charge=ch_1"), 0);
    let answer = r#"{"object":"refund","amount":500,"currency":"usd","status":"succeeded"}"#;
    assert_eq!(answered(&refund.plan("charge=ch_1"), &json(), answer).1, Usage::ZERO);
    let mut charge = stripe("/v1/charges");
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
        // Not more than the rate as it is shown makes it, which is rounded up.
        let (_, rate) = fx.rates().find(|(own, _)| *own == code).expect("known");
        let (shown, unit) = (rate.pico().0, 10u128.pow(decimals(code)));
        prop_assert!(cost.0 * unit > u128::from(minor) * (shown - 1) && cost.0 * unit < u128::from(minor) * shown + unit);
    }

    /// What no plain amount is, is refused; what is one, is held to the cent.
    #[test]
    fn an_amount_is_read_exactly_or_refused(text in "[-+ 0-9.eE_,x]{1,18}") {
        let refund = stripe("/v1/charges");
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
