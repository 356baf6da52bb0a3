//! One model's price: its schedules, its multipliers, tool fees and limits. Computes what an answer cost, and the dearest rates
//! that a request could meet. Does not look models up; `book` does.

use super::rates::{Limits, Rates};
use super::schedule::{STANDARD, Schedule};
use super::tokens::Tokens;
use crate::rules::subject::Name;
use crate::units::money::{ExactUsd, PicoUsd};
use crate::units::time::Timestamp;

/// A call may be charged at a price that starts so soon.
const SOON_SECS: i64 = 15 * 60;

/// A number in thousandths: 1100 is 1.1.
pub(super) type Thousandths = u32;

/// One row of the book.
#[derive(Clone, Debug)]
pub struct Row {
    /// The first of its names.
    pub id: Name,
    pub limits: Limits,
    pub source: Box<str>,
    /// The day on which somebody last compared it with its source.
    pub checked: Box<str>,
    pub(super) schedules: Box<[Schedule]>,
    pub(super) multipliers: Vec<(Box<str>, Thousandths)>,
    pub(super) fees: Vec<(Box<str>, PicoUsd)>,
}

/// How an answer was served, in the vendor's own words: what decides between a model's rates.
#[derive(Clone, Copy, Debug, Default)]
pub struct Served<'a> {
    pub tier: Option<&'a str>,
    /// `geo.us`, `speed.fast`, `host.eu`, `host.regional`: those that the model has are applied, each to the whole price of
    /// the usage, and not to fees.
    pub factors: &'a [&'a str],
    /// Tool uses, made pictures and the like: name and count.
    pub fees: &'a [(&'a str, u64)],
}

/// What an answer cost, and by which of the row's schedules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priced {
    pub usd: ExactUsd,
    pub schedule: usize,
}

/// The service tiers that a request may be served in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TierAsked<'a> {
    /// The account's own setting decides; it may be the dearer one.
    Auto,
    Named(&'a str),
    /// It is an item of a batch, which runs within so many seconds.
    Batch {
        within: i64,
    },
}

/// The tiers that the book lists. A request that names another may be charged at any of them.
pub(super) const TIERS: [&str; 6] = [STANDARD, "flex", "priority", "ultrafast", "balanced", BATCH];
/// Only batches are served in it.
const BATCH: &str = "batch";

/// One word for each tier, whatever the vendor's field says.
fn tier_name(name: &str) -> &str {
    match name {
        "" | "auto" | "default" | "standard" | "scale" | "standard_only" | "on_demand" | "ON_DEMAND" => STANDARD,
        "fast" | "ON_DEMAND_PRIORITY" => "priority",
        "ON_DEMAND_FLEX" => "flex",
        other => other,
    }
}

impl TierAsked<'_> {
    /// A vendor may always fall back to the standard tier. A caller's word for what is only a batch's says nothing.
    fn admits(self, tier: &str) -> bool {
        match self {
            Self::Batch { .. } => tier == STANDARD,
            // No account can be set to any other: what is faster still, or cheaper, must be asked for by name.
            Self::Auto => matches!(tier, STANDARD | "priority"),
            Self::Named(asked) if tier_name(asked) != BATCH && TIERS.contains(&tier_name(asked)) => {
                tier == STANDARD || tier == tier_name(asked)
            }
            _ => tier != BATCH,
        }
    }

    /// Until when the call may be charged at a price that starts meanwhile.
    fn until(self, now: Timestamp) -> Timestamp {
        now.plus_secs(if let Self::Batch { within } = self { within } else { SOON_SECS })
    }
}

impl Row {
    /// The schedules that hold at some time between the two.
    fn schedules_within(&self, now: Timestamp, until: Timestamp) -> Vec<&Schedule> {
        let starts = self.schedules.iter().flat_map(|s| [Some(s.from), s.until]).flatten();
        let days = starts.filter(|at| now < *at && *at < until).chain([now, until]);
        let mut found: Vec<&Schedule> = days.filter_map(|at| self.schedule(at)).map(|(_, schedule)| schedule).collect();
        // Hours of the week come by in less than a day.
        if until > now.plus_secs(SOON_SECS) {
            let hours = self.schedules.iter().filter(|s| s.hours.is_some());
            found.extend(hours.filter(|s| s.from <= until && s.until.is_none_or(|end| now < end)));
        }
        found
    }

    /// The last schedule that covers `at`, as a later price replaces an earlier one, and certain hours all hours.
    pub(super) fn schedule(&self, at: Timestamp) -> Option<(usize, &Schedule)> {
        self.schedules.iter().enumerate().rev().find(|(_, s)| s.covers(at))
    }

    /// The rates of an answer; `None` if the model has no price then, or not in that tier.
    pub fn rates(&self, at: Timestamp, tier: Option<&str>, prompt: u64) -> Option<Rates> {
        self.schedule(at)?.1.rates(tier_name(tier.unwrap_or(STANDARD)), prompt)
    }

    /// What an answer cost; `None` if some part of it has no price.
    pub fn cost(&self, at: Timestamp, tokens: &Tokens, served: Served<'_>) -> Option<Priced> {
        let (number, schedule) = self.schedule(at)?;
        let tokens = schedule.cost(tier_name(served.tier.unwrap_or(STANDARD)), tokens)?;
        let factors = served.factors.iter().filter_map(|name| self.factor(name));
        let tokens = factors.fold(tokens, ExactUsd::scaled);
        let usd = served
            .fees
            .iter()
            .filter(|(_, count)| *count > 0)
            .try_fold(tokens, |sum, (name, count)| Some(sum.plus(self.fee(name)?.times(*count).into())))?;
        Some(Priced { usd, schedule: number })
    }

    /// Rate by rate the dearest that a request could meet now or soon, for a prompt of at most `prompt` tokens.
    pub fn dearest(&self, now: Timestamp, asked: TierAsked<'_>, prompt: u64) -> Option<Rates> {
        let schedules = self.schedules_within(now, asked.until(now));
        if let TierAsked::Batch { .. } = asked {
            let rates = schedules.iter().flat_map(|s| [0, prompt].map(|prompt| s.rates(BATCH, prompt)));
            // Where one of them has no price for batches, none of the others' is a bound.
            if let Some(rates) = rates.reduce(|a, b| Some(a?.max(&b?))).flatten() {
                return Some(rates);
            }
        }
        let tiers = schedules.iter().flat_map(|s| &s.tiers);
        let tiers = tiers.filter(|t| asked.admits(&t.tier) && (t.above == 0 || prompt > t.above));
        tiers.map(|t| Rates::of(&t.rates)).reduce(|a, b| a.max(&b))
    }

    /// The sum times one factor, if the model has it.
    pub fn multiplied(&self, sum: PicoUsd, factor: &str) -> PicoUsd {
        match self.factor(factor) {
            Some(thousandths) => PicoUsd(sum.0.saturating_mul(u128::from(thousandths)).div_ceil(1000)),
            None => sum,
        }
    }

    pub fn has_factor(&self, name: &str) -> bool {
        self.factor(name).is_some()
    }

    fn factor(&self, name: &str) -> Option<Thousandths> {
        self.multipliers.iter().find(|(own, _)| **own == *name).map(|(_, factor)| *factor)
    }

    /// What single uses cost, by name.
    pub fn fees(&self) -> impl Iterator<Item = (&str, PicoUsd)> {
        self.fees.iter().map(|(name, fee)| (&**name, *fee))
    }

    /// What one use of a tool costs.
    pub fn fee(&self, tool: &str) -> Option<PicoUsd> {
        self.fees.iter().find(|(own, _)| **own == *tool).map(|(_, fee)| *fee)
    }
}
