//! What one unit of a currency is worth in USD: a quotient, so that a rate which its source quotes the other way round (units for
//! one dollar, or for one euro) loses nothing. Rounds up, once.

use std::fmt;

use crate::units::money::{PicoUsd, scaled_decimal};

/// Of a dollar.
const PICO: u128 = 1_000_000_000_000;

/// Pico-dollars for one unit, in lowest terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pico: u128,
    per: u128,
}

impl Rate {
    /// `0.0063`, or `1.1172/175.68`: dollars and units for one of the same thing. Zero is no rate.
    pub fn parse(text: &str) -> Option<Self> {
        let (usd, units) = text.split_once('/').unwrap_or((text, "1"));
        let (usd, units) = (decimal(usd.trim())?, decimal(units.trim())?);
        let pico = usd.checked_mul(PICO)?;
        let common = gcd(pico, units);
        Some(Self { pico: pico / common, per: units / common })
    }

    /// So many units, divided by `over`, with so many percent of it; rounded up.
    pub(super) fn of(self, units: u128, over: u128, percent: u128) -> PicoUsd {
        let (mut times, mut by) =
            (self.pico.saturating_mul(percent), self.per.saturating_mul(over).saturating_mul(100));
        loop {
            match units.checked_mul(times) {
                Some(all) => return PicoUsd(all.div_ceil(by)),
                // Beyond all money: coarser, and never less.
                None => (times, by) = (times.div_ceil(2), (by / 2).max(1)),
            }
        }
    }

    /// Of one unit.
    pub fn pico(self) -> PicoUsd {
        self.of(1, 1, 100)
    }

    /// More than twice the other one, or less than half of it?
    pub fn is_far_from(self, other: Self) -> bool {
        let (own, other) = (self.pico().0, other.pico().0);
        own > other.saturating_mul(2) || other > own.saturating_mul(2)
    }
}

/// Dollars for one unit, rounded up to twelve places.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pico = self.pico().0;
        let text = format!("{}.{:012}", pico / PICO, pico % PICO);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// In parts of 1e-12; large ones have nine places.
fn decimal(text: &str) -> Option<u128> {
    let fine = scaled_decimal(text, 12).map(u128::from);
    fine.or_else(|| Some(u128::from(scaled_decimal(text, 9)?) * 1000)).filter(|n| *n > 0)
}

fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_decimal_or_a_quotient() {
        for (text, shown) in [
            ("1", "1"),
            ("0.000000000001", "0.000000000001"),
            ("1.1172/175.68", "0.006359289618"),
            ("1 / 0.376", "2.659574468086"),
            ("1/26000.5", "0.00003846079"),
            ("9007/1", "9007"),
            ("1/9000000.123456789", "0.000000111112"),
        ] {
            assert!(Rate::parse(text).expect(text).to_string().starts_with(shown), "{text}");
        }
        for bad in ["", "0", "0.0", "-1", "1/0", "1/", "/1", "1/2/3", "1e3", "0.0000000000001", "a"] {
            assert_eq!(Rate::parse(bad), None, "{bad}");
        }
        let rate = |text| Rate::parse(text).expect("a rate");
        assert!(rate("2.1").is_far_from(rate("1")) && rate("1").is_far_from(rate("2.1")));
        assert!(!rate("2").is_far_from(rate("1")) && !rate("0.5").is_far_from(rate("1")));
    }

    #[test]
    fn it_is_rounded_once() {
        // 1,000,000,000 * 1.1172 / 175.68 = 6359289.61748633879781…, not what twelve places of the rate would make of it.
        let yen = Rate::parse("1.1172/175.68").expect("a rate");
        assert_eq!(yen.of(1_000_000_000, 1, 100), PicoUsd(6_359_289_617_486_338_798));
        // With 5 %: 6677254.09836065573770…
        assert_eq!(yen.of(1_000_000_000, 1, 105), PicoUsd(6_677_254_098_360_655_738));
        // A third of a dollar, three times, in cents.
        assert_eq!(Rate::parse("1/3").expect("a rate").of(300, 100, 100), PicoUsd(PICO));
        assert!(yen.of(u128::MAX, 1, 105).0 > PICO * PICO);
        // More than fits: 1e21 / 3, or a millionth more, and never less.
        let third = Rate::parse("1/3.000000000003").expect("a rate").of(1_000_000_000_000_000_000_000, 1, 100).0;
        assert!((333_333_333_333_000_000_000 * PICO..333_333_700_000_000_000_000 * PICO).contains(&third), "{third}");
    }
}
