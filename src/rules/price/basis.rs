//! Puts what was priced into the books' own form, and prices it again from there. Knows no vendor's answers.

use std::collections::BTreeMap;

use super::book::PriceBook;
use super::row::{Row, Served};
use super::tokens::{Kind, Tokens};
use crate::rules::books::{Basis, Run};
use crate::rules::subject::Name;
use crate::units::money::{ExactUsd, MicroCents};

/// A run as the books keep it; its row and schedule are not known yet.
pub fn run(shelf: &Name, model: &str, tokens: &Tokens, served: Served<'_>) -> Run {
    let fees = served.fees.iter().filter(|(_, count)| *count > 0);
    Run {
        vendor: shelf.clone(),
        row: None,
        schedule: None,
        model: model.into(),
        tier: served.tier.map(Into::into),
        factors: served.factors.iter().map(|name| Name::from(*name)).collect(),
        used: tokens.used().map(|(kind, count)| (kind.in_books(), count)).collect(),
        fees: fees.fold(BTreeMap::new(), |mut sum, (name, count)| {
            let sum_of = sum.entry(Name::from(*name)).or_insert(0_u64);
            *sum_of = sum_of.saturating_add(*count);
            sum
        }),
    }
}

impl PriceBook {
    /// What the same usage costs by this book; `None` if some part of it has no price here.
    pub fn again(&self, basis: &Basis) -> Option<MicroCents> {
        let sum = basis.runs.iter().try_fold(ExactUsd::ZERO, |sum, run| Some(sum.plus(self.run(basis, run)?)))?;
        Some(sum.ceil())
    }

    fn run(&self, basis: &Basis, run: &Run) -> Option<ExactUsd> {
        let mut tokens = Tokens::default();
        for (name, count) in &run.used {
            tokens = tokens.with(Kind::named(name)?, *count);
        }
        let factors: Vec<&str> = run.factors.iter().map(|name| &**name).collect();
        let fees: Vec<(&str, u64)> = run.fees.iter().map(|(name, count)| (&**name, *count)).collect();
        let served = Served { tier: run.tier.as_deref(), factors: &factors, fees: &fees };
        Some(self.row_of(run)?.cost(basis.at, &tokens, served)?.usd)
    }

    /// The row of that id, else the one that the model's name finds; the vendor's dearest stood in for an unknown one.
    fn row_of(&self, run: &Run) -> Option<&Row> {
        let id = run.row.as_deref()?;
        if id == super::shelf::DEAREST {
            return self.dearest(&run.vendor).map(|row| &**row);
        }
        self.find(&run.vendor, &run.model).map(|row| &**row)
    }
}
