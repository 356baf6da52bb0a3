//! A number of an answer as it was written, so that no digit of it passes through a float: counts that vendors write as `12.0`,
//! times, and amounts of money that they worked out in floats themselves.

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::value::RawValue;

use crate::units::money::PicoUsd;

/// More digits than this are no number that a vendor means.
const DIGITS: usize = 36;

/// A number that is not below zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Num {
    digits: u128,
    exponent: i32,
}

impl<'de> Deserialize<'de> for Num {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(d)?;
        Self::parse(raw.get()).ok_or_else(|| D::Error::custom("no number, or one below zero"))
    }
}

impl Num {
    /// As JSON writes it.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, power) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let power: i32 = power.strip_prefix('+').unwrap_or(power).parse().ok()?;
        let digits = format!("{whole}{part}");
        let plain = !whole.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        if !plain || digits.trim_start_matches('0').len() > DIGITS {
            return None;
        }
        let digits: u128 = digits.parse().ok()?;
        Some(Self { digits, exponent: power.checked_sub(i32::try_from(part.len()).ok()?)? })
    }

    /// Times `10^places`: the whole part, and what is left of one, in tenths (rounded down, but never to none).
    fn scaled(self, places: i32) -> Option<(u128, u8)> {
        let shift = self.exponent.checked_add(places)?;
        let power = |n: u32| 10u128.checked_pow(n);
        if self.digits == 0 {
            return Some((0, 0));
        }
        if shift >= 0 {
            return Some((self.digits.checked_mul(power(shift.unsigned_abs())?)?, 0));
        }
        let Some(below) = power(shift.unsigned_abs()) else { return Some((0, 1)) };
        let rest = self.digits % below;
        let tenths = u8::try_from(rest / (below / 10)).unwrap_or(9);
        Some((self.digits / below, if rest > 0 { tenths.max(1) } else { 0 }))
    }

    /// A count: a part of one is one.
    pub fn count(self) -> Option<u64> {
        self.up(0)
    }

    /// Seconds, in milliseconds.
    pub fn millis(self) -> Option<u64> {
        self.up(3)
    }

    fn up(self, places: i32) -> Option<u64> {
        let (whole, tenths) = self.scaled(places)?;
        u64::try_from(whole).ok()?.checked_add(u64::from(tenths > 0))
    }

    /// US dollars. What stands below a pico-dollar is the noise of the vendor's floats; but what is not zero stays above it.
    pub fn usd(self) -> Option<PicoUsd> {
        let (whole, tenths) = self.scaled(12)?;
        let nearest = whole.checked_add(u128::from(tenths >= 5))?;
        Some(PicoUsd(if self.digits > 0 { nearest.max(1) } else { 0 }))
    }

    /// xAI's ticks, of which 10^10 are a dollar.
    pub fn ticks(self) -> Option<PicoUsd> {
        Self { exponent: self.exponent.checked_sub(10)?, ..self }.usd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_every_digit_that_counts() {
        let usd = |text: &str| Num::parse(text).and_then(Num::usd).map(|pico| pico.0);
        for (text, pico) in [
            ("0", Some(0)),
            ("0.0003132", Some(313_200_000)),
            ("0.00031320000000000003", Some(313_200_000)),
            ("0.00031319999999999997", Some(313_200_000)),
            ("1.5e-5", Some(15_000_000)),
            ("3E+2", Some(300_000_000_000_000)),
            ("1e-13", Some(1)),
            ("1e-300", Some(1)),
            ("0e999", Some(0)),
            ("1e60", None),
            ("-1", None),
            ("\"1\"", None),
            ("null", None),
            ("", None),
            (".5", None),
            ("NaN", None),
            ("1e99999999999", None),
        ] {
            assert_eq!(usd(text), pico, "{text}");
        }
        assert_eq!(Num::parse("37756000").and_then(Num::ticks), Some(PicoUsd(3_775_600_000)));
        assert_eq!(Num::parse("12.0").and_then(Num::count), Some(12));
        assert_eq!(Num::parse("12.01").and_then(Num::count), Some(13));
        assert_eq!(Num::parse("8.4705").and_then(Num::millis), Some(8471));
        assert_eq!(serde_json::from_str::<Option<Num>>("null").expect("null"), None);
        assert!(serde_json::from_str::<Num>("\"7\"").is_err());
    }
}
