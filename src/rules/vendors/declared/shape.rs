//! What is done to numbers: an expression's before it is used (what lies beyond a free part, bounds, whole steps of a size, a
//! fraction of it, in this order), products, and how one stands in an answer. `raw` reads the fields, `declared` applies them.

use super::super::llm::number::Num;
use super::ONE;

/// `beyond`, `at_least` and `at_most`, `steps_of`, `per`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// So much of it counts nothing.
    pub beyond: u128,
    pub at_least: u128,
    pub at_most: u128,
    /// How many steps of this size it takes, a begun one counted whole.
    pub steps_of: Option<u128>,
    /// One for so many.
    pub per: u128,
}

impl Shape {
    /// It leaves every number as it is.
    pub const NONE: Self = Self { beyond: 0, at_least: 0, at_most: u128::MAX, steps_of: None, per: ONE };

    pub fn of(&self, number: u128) -> u128 {
        let bounded = number.saturating_sub(self.beyond).max(self.at_least).min(self.at_most);
        let counted = self.steps_of.map_or(bounded, |size| bounded.div_ceil(size.max(1)).saturating_mul(ONE));
        if self.per == ONE { counted } else { counted.saturating_mul(ONE).div_ceil(self.per.max(1)) }
    }
}

/// The product, rounded up.
pub(super) fn times(a: u128, b: u128) -> u128 {
    a.checked_mul(b).map_or(u128::MAX, |product| product.div_ceil(ONE))
}

/// A number of an answer without its sign, as some vendors write a price as a debit, and without what their floats added to it.
pub(super) fn magnitude(text: &str) -> Option<u128> {
    Some(Num::parse(text.strip_prefix('-').unwrap_or(text))?.usd()?.0)
}
