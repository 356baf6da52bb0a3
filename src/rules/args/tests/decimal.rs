//! Exact comparison of decimals.

use crate::rules::args::Decimal;
use proptest::prelude::*;

fn parse(text: &str) -> Decimal {
    Decimal::parse(text).unwrap_or_else(|| panic!("{text}"))
}

#[test]
fn ascending() {
    #[rustfmt::skip]
    let ascending = [
        "-1e400", "-99999999999999999999999999999999999999", "-9007199254740993", "-9007199254740992", "-10", "-9.99", "-1",
        "-0.1", "-1e-400", "0", "1e-400", "0.000001", "0.1", "0.10000000000000000000000000000000000001", "0.11", "1",
        "1.5", "9", "10", "11", "99.99", "100", "500e0001", "9007199254740992", "9007199254740993", "1e37",
        "99999999999999999999999999999999999999", "1e38", "1e400",
    ];
    for (at, low) in ascending.iter().enumerate() {
        assert_eq!(parse(low), parse(low));
        for high in &ascending[at + 1..] {
            assert!(parse(low) < parse(high), "{low} < {high}");
            assert!(parse(high) > parse(low), "{high} > {low}");
        }
    }
}

#[test]
fn equal_in_any_writing() {
    for (a, b) in [("100", "1e2"), ("1.50", "1.5"), ("-0", "0"), ("0e9", "0.00"), ("12.5E+1", "125"), ("5e-0", "5")] {
        assert_eq!(parse(a), parse(b), "{a} {b}");
    }
    assert_eq!(Decimal::from(-1200), parse("-1.2e3"));
    assert_eq!(Decimal::from(0), parse("0"));
    assert_eq!(Decimal::from(i64::MIN), parse("-9223372036854775808"));
}

#[test]
fn refused() {
    for text in [
        "",
        "-",
        "+5",
        " 5",
        "5 ",
        "05",
        "-05",
        ".5",
        "5.",
        "5e",
        "5e+",
        "1e401",
        "1e-401",
        "1e99999999999999999999",
        "0x10",
        "1_000",
        "1,000",
        "NaN",
        "Infinity",
        "\u{665}",
        "1.2.3",
        "1e1e1",
        "5-",
        "--5",
        "999999999999999999999999999999999999999",
    ] {
        assert_eq!(Decimal::parse(text), None, "{text}");
    }
}

#[test]
fn scaled() {
    assert_eq!(parse("12.5").scaled(2), Some(1250));
    assert_eq!(parse("12.345").scaled(2), None);
    assert_eq!(parse("-3").scaled(0), Some(-3));
    assert_eq!(parse("0").scaled(400), Some(0));
    assert_eq!(parse("1e400").scaled(2), None);
    assert_eq!(parse("1e-400").scaled(2), None);
}

proptest! {
    #[test]
    fn orders_like_integers(a: i64, b: i64, places in 0u32..6) {
        prop_assert_eq!(Decimal::from(a).cmp(&Decimal::from(b)), a.cmp(&b));
        let shifted = |n: i64| parse(&format!("{n}e-{places}"));
        prop_assert_eq!(shifted(a).cmp(&shifted(b)), a.cmp(&b));
        prop_assert_eq!(shifted(a).scaled(places), Some(i128::from(a)));
        prop_assert_eq!(Decimal::from(a), parse(&a.to_string()));
    }

    #[test]
    fn no_text_panics(text in "[-+0-9.eE ]{0,60}") {
        let _ = Decimal::parse(&text);
    }
}
