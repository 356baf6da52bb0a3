//! What a call needs of its accounts: an amount in each unit, or for a fitted call a fixed part and a rate per output
//! token. Pure arithmetic in integers; does not know accounts.

use serde::{Deserialize, Serialize};

use crate::units::amount::{Amounts, Unit};
use crate::units::money::{MAX_AMOUNT, PICO_PER_MICRO_CENT, PicoUsd};

/// The upper bound of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// Exact until the one rounding in `at`.
    pub usd: PicoUsd,
    pub tokens: u64,
    pub calls: u64,
    pub risk: u64,
    pub fit: Option<Fit>,
}

/// The part that grows with the answer's length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fit {
    /// Price of one more token of the limit, times the number of answers asked for.
    pub usd_per_token: PicoUsd,
    /// Tokens counted for one more token of the limit (the number of answers asked for).
    pub tokens_per_token: u64,
    /// The smallest limit that still is worth an answer.
    pub floor: u64,
    /// The limit wanted.
    pub want: u64,
    /// How much of what is left one call may take, unless the floor needs more.
    pub share: Share,
}

/// A fraction in percent, 1 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share(pub u8);

impl Default for Share {
    /// A quarter: one call does not shut out the others.
    fn default() -> Self {
        Self(25)
    }
}

impl Share {
    pub fn of(self, left: u64) -> u64 {
        (u128::from(left) * u128::from(self.0.min(100)) / 100) as u64
    }
}

impl Need {
    /// A call whose bound is known and fixed.
    pub fn fixed(usd: PicoUsd, tokens: u64) -> Self {
        Self { usd, tokens, calls: 1, risk: 0, fit: None }
    }

    /// The bound with an output limit of `n` tokens (ignored unless fitted).
    pub fn at(&self, n: u64) -> Amounts {
        let fit = |f: &Fit| (f.usd_per_token.times(n), f.tokens_per_token.saturating_mul(n));
        let (usd, tokens) = self.fit.as_ref().map_or((PicoUsd(0), 0), fit);
        Amounts {
            usd: self.usd.plus(usd).ceil(),
            tokens: self.tokens.saturating_add(tokens).min(MAX_AMOUNT),
            calls: self.calls,
            risk: self.risk,
        }
    }

    /// The whole of what is wanted.
    pub fn wanted(&self) -> Amounts {
        self.at(self.fit.as_ref().map_or(0, |f| f.want))
    }

    /// The same, as if no less would do.
    pub fn whole(&self) -> Self {
        let most = self.wanted();
        Self { usd: PicoUsd::from(most.usd), tokens: most.tokens, calls: most.calls, risk: most.risk, fit: None }
    }

    /// The least that makes sense: what a refusal is measured by.
    pub fn least(&self) -> Amounts {
        self.at(self.fit.as_ref().map_or(0, |f| f.floor))
    }

    /// The largest `n` up to `want` whose bound in `unit` is at most `room`; `None` if not even zero is.
    pub fn largest(&self, unit: Unit, room: u64) -> Option<u64> {
        let fit = self.fit.as_ref()?;
        let (fixed, rate, room) = match unit {
            Unit::Usd => (self.usd.0, fit.usd_per_token.0, u128::from(room) * PICO_PER_MICRO_CENT),
            Unit::Tokens => (u128::from(self.tokens), u128::from(fit.tokens_per_token), u128::from(room)),
            Unit::Calls | Unit::Risk => (u128::from(self.at(0).of(unit)), 0, u128::from(room)),
        };
        let spare = room.checked_sub(fixed)?;
        let n = spare.checked_div(rate).unwrap_or(u128::MAX);
        Some(u64::try_from(n).unwrap_or(u64::MAX).min(fit.want))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::money::MicroCents;

    fn fitted(fixed: u128, rate: u128, floor: u64, want: u64) -> Need {
        let fit = Fit { usd_per_token: PicoUsd(rate), tokens_per_token: 1, floor, want, share: Share::default() };
        Need { usd: PicoUsd(fixed), tokens: 10, calls: 1, risk: 0, fit: Some(fit) }
    }

    #[test]
    fn the_largest_limit_is_the_last_that_fits() {
        for (fixed, rate, room) in [(1, 3_750, 1), (25_000, 3_750, 100), (0, 10_000_000, 1_000_000), (9_999, 1, 7)] {
            let need = fitted(fixed, rate, 1, 1_000_000);
            let n = need.largest(Unit::Usd, room).expect("the fixed part fits");
            assert!(need.at(n).usd <= MicroCents(room));
            assert!(n == 1_000_000 || need.at(n + 1).usd > MicroCents(room), "{fixed} {rate} {room}");
        }
        assert_eq!(fitted(20_001, 1, 1, 10).largest(Unit::Usd, 2), None);
        assert_eq!(fitted(0, 1, 1, 100).largest(Unit::Tokens, 15), Some(5));
        assert_eq!(fitted(0, 1, 1, 100).largest(Unit::Calls, 1), Some(100));
        assert_eq!(fitted(0, 1, 1, 100).largest(Unit::Calls, 0), None);
    }
}
