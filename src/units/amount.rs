//! What budgets count: four units, and one amount in each. Does not know accounts; `rules::ledger` does.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::money::{MAX_AMOUNT, MicroCents};

/// What a budget counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    Usd,
    Tokens,
    Calls,
    Risk,
}

impl Unit {
    pub const ALL: [Self; 4] = [Self::Usd, Self::Tokens, Self::Calls, Self::Risk];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Usd => "usd",
            Self::Tokens => "tokens",
            Self::Calls => "calls",
            Self::Risk => "risk",
        }
    }

    /// An amount in words: `12.5 USD`, `2000 tokens`.
    pub fn show(self, amount: u64) -> String {
        match self {
            Self::Usd => format!("{} USD", MicroCents(amount)),
            Self::Tokens => format!("{amount} tokens"),
            Self::Calls => format!("{amount} calls"),
            Self::Risk => format!("{amount} risk points"),
        }
    }

    /// The bare number as the books print it: decimal USD, else the integer.
    pub fn bare(self, amount: u64) -> String {
        match self {
            Self::Usd => MicroCents(amount).to_string(),
            _ => amount.to_string(),
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One amount in each unit: what a call holds, or what it cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Amounts {
    pub usd: MicroCents,
    pub tokens: u64,
    pub calls: u64,
    pub risk: u64,
}

impl Amounts {
    pub const ZERO: Self = Self { usd: MicroCents(0), tokens: 0, calls: 0, risk: 0 };

    /// In the base units of `unit` (micro-cents for money), never above what a ledger can count.
    pub fn of(&self, unit: Unit) -> u64 {
        let n = match unit {
            Unit::Usd => self.usd.0,
            Unit::Tokens => self.tokens,
            Unit::Calls => self.calls,
            Unit::Risk => self.risk,
        };
        n.min(MAX_AMOUNT)
    }

    /// The larger of both, unit by unit.
    pub fn max(&self, other: &Self) -> Self {
        Self {
            usd: self.usd.max(other.usd),
            tokens: self.tokens.max(other.tokens),
            calls: self.calls.max(other.calls),
            risk: self.risk.max(other.risk),
        }
    }

    /// Is no unit larger than in `bound`?
    pub fn within(&self, bound: &Self) -> bool {
        self.max(bound) == *bound
    }
}
