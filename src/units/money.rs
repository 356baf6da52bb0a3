//! Money as integers: `MicroCents` (1 USD = 100,000,000) in accounts and books, `PicoUsd` inside price arithmetic.
//! Does not know prices. The one place where a price is rounded, upward, is `PicoUsd::ceil`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Micro-cents in one US dollar.
pub const PER_USD: u64 = 100_000_000;
/// Decimal places of an amount in US dollars.
const PLACES: usize = 8;
/// Pico-dollars in one micro-cent.
pub const PICO_PER_MICRO_CENT: u128 = 10_000;
/// The largest amount that every ledger can count exactly (2^53 - 1, the limit of Redis scripts).
pub const MAX_AMOUNT: u64 = (1 << 53) - 1;

/// An exact amount of money: 1 USD = 100,000,000.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MicroCents(pub u64);

impl MicroCents {
    pub const ZERO: Self = Self(0);

    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl MicroCents {
    /// Bytes of its longest text.
    pub const TEXT: usize = 24;

    /// Decimal USD without trailing zeros: `0.0003132`, `50`. Rows and answers carry several of these, so the digits are made at
    /// once, the last one first.
    pub fn text(self, room: &mut [u8; Self::TEXT]) -> &str {
        let (mut at, mut left) = (room.len(), self.0);
        for place in 0.. {
            let (digit, zeros) = ((left % 10) as u8, at == room.len());
            left /= 10;
            if place == PLACES && !zeros {
                at -= 1;
                room[at] = b'.';
            }
            if place >= PLACES || !zeros || digit != 0 {
                at -= 1;
                room[at] = b'0' + digit;
            }
            if place >= PLACES && left == 0 {
                break;
            }
        }
        std::str::from_utf8(&room[at..]).unwrap_or_default()
    }
}

impl fmt::Display for MicroCents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text(&mut [0; Self::TEXT]))
    }
}

impl fmt::Debug for MicroCents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${self}")
    }
}

/// Why a text is no amount of money.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no amount in USD: write a decimal with at most eight places, such as `12.50`")]
pub struct BadMoney(String);

impl FromStr for MicroCents {
    type Err = BadMoney;

    fn from_str(text: &str) -> Result<Self, BadMoney> {
        scaled_decimal(text, PLACES).map(Self).ok_or_else(|| BadMoney(text.to_owned()))
    }
}

/// Reads an unsigned decimal as an integer of `10^-places`; `None` if it is none, too fine or too large.
pub fn scaled_decimal(text: &str, places: usize) -> Option<u64> {
    let text = text.replace('_', "");
    let (whole, part) = text.split_once('.').unwrap_or((&text, "0"));
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > places {
        return None;
    }
    format!("{whole}{part:0<places$}").parse().ok().filter(|n| *n <= MAX_AMOUNT)
}

impl Serialize for MicroCents {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MicroCents {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Money inside a price computation: 1 USD = 10^12. Every list price per token is an integer here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PicoUsd(pub u128);

impl PicoUsd {
    /// Rounded up to the micro-cent, once per call. Saturates at the largest countable amount.
    pub fn ceil(self) -> MicroCents {
        let n = self.0.div_ceil(PICO_PER_MICRO_CENT);
        MicroCents(u64::try_from(n).unwrap_or(MAX_AMOUNT).min(MAX_AMOUNT))
    }

    /// Rounded down to the micro-cent: for what is given back.
    pub fn floor(self) -> MicroCents {
        MicroCents(u64::try_from(self.0 / PICO_PER_MICRO_CENT).unwrap_or(MAX_AMOUNT).min(MAX_AMOUNT))
    }

    pub fn times(self, n: u64) -> Self {
        Self(self.0.saturating_mul(u128::from(n)))
    }

    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

/// `FINE` parts in one pico-dollar: a millisecond at an hourly price, times three factors in thousandths, is a whole number.
const FINE: u128 = 3_600_000 * 1_000_000_000;

/// The exact sum of a price computation, which `ceil` rounds up once, at its end. A part is a `FINE`th of a pico-dollar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct ExactUsd(u128);

impl ExactUsd {
    pub const ZERO: Self = Self(0);

    /// `count` times a price of so much per `per` units. `per` divides an hour of milliseconds, so that nothing is lost.
    pub fn of(price: PicoUsd, count: u64, per: u32) -> Self {
        let fine = price.0.saturating_mul(u128::from(count)).saturating_mul(FINE);
        Self(fine.div_ceil(u128::from(per.max(1))))
    }

    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Times a factor in thousandths.
    pub fn scaled(self, thousandths: u32) -> Self {
        Self(self.0.saturating_mul(u128::from(thousandths)).div_ceil(1000))
    }

    /// Rounded up to the pico-dollar: for bounds.
    pub fn pico(self) -> PicoUsd {
        PicoUsd(self.0.div_ceil(FINE))
    }

    /// Rounded up to the micro-cent, once per call. Saturates at the largest countable amount.
    pub fn ceil(self) -> MicroCents {
        self.pico().ceil()
    }
}

impl From<PicoUsd> for ExactUsd {
    fn from(pico: PicoUsd) -> Self {
        Self(pico.0.saturating_mul(FINE))
    }
}

impl From<MicroCents> for PicoUsd {
    fn from(m: MicroCents) -> Self {
        Self(u128::from(m.0) * PICO_PER_MICRO_CENT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_prints_and_reads_exact_decimals() {
        for (n, text) in
            [(0, "0"), (1, "0.00000001"), (31_320, "0.0003132"), (PER_USD * 50, "50"), (123_456_789, "1.23456789")]
        {
            assert_eq!(MicroCents(n).to_string(), text);
            assert_eq!(text.parse(), Ok(MicroCents(n)));
        }
        assert_eq!(MicroCents(u64::MAX).to_string(), "184467440737.09551615");
        for bad in ["", "-1", "1.", ".5", "1e3", "0.000000001", "99999999999999", "1,5"] {
            assert!(bad.parse::<MicroCents>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_price_is_rounded_up_once() {
        assert_eq!(PicoUsd(0).ceil(), MicroCents(0));
        assert_eq!(PicoUsd(1).ceil(), MicroCents(1));
        assert_eq!(PicoUsd(10_000).ceil(), MicroCents(1));
        assert_eq!((PicoUsd(10_001).ceil(), PicoUsd(19_999).floor()), (MicroCents(2), MicroCents(1)));
        assert_eq!(PicoUsd(u128::MAX).ceil(), MicroCents(MAX_AMOUNT));
        // A third of a micro-cent, three times, is one.
        let third = ExactUsd::of(PicoUsd(10_000), 1, 3);
        assert_eq!(third.plus(third).plus(third).ceil(), MicroCents(1));
        assert_eq!(ExactUsd::of(PicoUsd(1), 1, 1).scaled(1100).scaled(1100).scaled(1100).pico(), PicoUsd(2));
        assert_eq!(ExactUsd::of(PicoUsd(u128::MAX), u64::MAX, 1).ceil(), MicroCents(MAX_AMOUNT));
    }
}
