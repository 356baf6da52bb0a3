//! What a stream's own words say of its cost while it still comes: what it costs already, and how much of its hold it will not need,
//! now that its prompt has been counted. Reads no events; `meter` does.

use std::sync::Arc;

use super::super::plan::Inner;
use super::report::row_of;
use super::{LlmPlan, Reported, price};
use crate::rules::price::{Kind, Measure, Rates, Row};
use crate::units::amount::Amounts;
use crate::units::money::PicoUsd;

/// The part of a hold that stands for the prompt, and the rates that the prompt may meet.
#[derive(Debug)]
pub(in super::super) struct Prompted {
    pub row: Arc<Row>,
    /// Each the dearest that the request may be served at.
    pub rates: Rates,
    pub factors: Vec<&'static str>,
    pub tokens: u64,
    pub usd: PicoUsd,
}

/// What is known of a call while its answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    /// It has cost so much already: money and tokens.
    pub least: Amounts,
    /// So much of its hold it will not need.
    pub spare: Option<Amounts>,
    /// The answer has told all that it costs.
    pub last: bool,
}

impl Running {
    pub(in super::super) fn of(inner: &Inner, plan: &LlmPlan, reported: &Reported, last: bool) -> Self {
        let (usage, _) = price(inner, plan, reported);
        let charge = usage.charge();
        let tokens = charge.tokens.map_or(0, |tokens| tokens.total());
        let least = Amounts { usd: charge.usd, tokens, ..Amounts::ZERO };
        Self { least, spare: plan.prompted.as_ref().and_then(|held| held.spare(inner, plan, reported)), last }
    }
}

impl Prompted {
    /// What was held for the prompt beyond what it is. Nothing, if another model answers than was asked.
    fn spare(&self, inner: &Inner, plan: &LlmPlan, reported: &Reported) -> Option<Amounts> {
        let [part] = reported.parts.as_slice() else { return None };
        let model = part.model.as_deref().or(reported.model.as_deref()).filter(|model| !model.is_empty());
        let same = model.is_none_or(|model| row_of(inner, plan, model).is_some_and(|row| row.id == self.row.id));
        let prompt = part.tokens.prompt();
        if !same || prompt == 0 || reported.billed.is_some() {
            return None;
        }
        let listed = part.tokens.used().filter(|(kind, _)| !kind.is_output());
        let usd = listed
            .map(|(kind, count)| self.price(kind, count))
            .try_fold(PicoUsd(0), |sum, one| Some(sum.plus(one?)))?;
        // Both are rounded so that what stays held is enough.
        let usd = PicoUsd(self.usd.0.checked_sub(usd.0)?).floor();
        Some(Amounts { usd, tokens: self.tokens.checked_sub(prompt)?, ..Amounts::ZERO })
    }

    fn price(&self, kind: Kind, count: u64) -> Option<PicoUsd> {
        let rate = self.rates.get(kind).filter(|_| kind.measure() == Measure::Tokens)?;
        let rate = self.factors.iter().fold(rate, |rate, factor| self.row.multiplied(rate, factor));
        Some(rate.times(count))
    }
}
