//! What a call turned out to cost, and how sure that is. Values only: the meters make them, the gateway settles with them.

use super::batch::Due;
use super::look_up::Question;
use crate::rules::books::{Basis, CostSource, Made, TokenCounts};
use crate::rules::subject::Name;
use crate::units::money::MicroCents;

/// How much of the cost is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// All of it.
    Exact(Charge),
    /// At least this much: the larger of it and the hold is charged.
    AtLeast(Charge),
    /// The hold is charged. Tokens are told if they are known.
    Unknown(Charge),
}

/// An amount, and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    pub usd: MicroCents,
    pub tokens: Option<TokenCounts>,
    pub source: CostSource,
}

/// What a response leaves behind at its vendor: so many tokens, of the model of that row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    pub row: Name,
    pub tokens: u64,
}

/// All that a meter read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metered {
    pub usage: Usage,
    /// From a header, else the answer's own id.
    pub vendor_request_id: Option<String>,
    /// The vendor repeated the answer to an earlier call with the same idempotency key: the money moved then, not now.
    pub replayed: bool,
    /// What a computed cost was computed from.
    pub priced: Option<Box<Basis>>,
    /// Where a price is to be asked for that comes later.
    pub late: Option<Question>,
    /// A response that later ones may go on from, and the tokens that it leaves behind.
    pub remember: Option<(String, Left)>,
    /// What the call made that another answer prices.
    pub made: Option<Box<Made>>,
    /// What an earlier call turned out to cost.
    pub due: Option<Box<Due>>,
}

impl Charge {
    pub const ZERO: Self = Self { usd: MicroCents::ZERO, tokens: None, source: CostSource::Zero };
    /// Nothing is known.
    pub const UNKNOWN: Self = Self { usd: MicroCents::ZERO, tokens: None, source: CostSource::Estimated };
}

impl Usage {
    /// Nothing was spent.
    pub const ZERO: Self = Self::Exact(Charge::ZERO);
    pub const UNKNOWN: Self = Self::Unknown(Charge::UNKNOWN);

    pub fn charge(&self) -> &Charge {
        match self {
            Self::Exact(charge) | Self::AtLeast(charge) | Self::Unknown(charge) => charge,
        }
    }

    pub fn is_exact(&self) -> bool {
        matches!(self, Self::Exact(_))
    }
}
