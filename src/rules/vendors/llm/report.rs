//! What an answer says of its cost, in no vendor's words, and the price of it. What the vendor itself says that it charged
//! beats what is computed. Reads no answers; the families do.

use std::borrow::Cow;
use std::sync::Arc;

use super::super::plan::Inner;
use super::super::usage::{Charge, Usage};
use super::{FAST, LlmPlan, knows_speed, listed, row};
use crate::rules::books::{Basis, CostSource, TokenCounts};
use crate::rules::price::{Row, Served, Tokens, run};
use crate::rules::subject::Name;
use crate::units::money::{ExactUsd, PicoUsd};

/// Tiers that cost less than the standard one: an answer that names none was served in no such.
const CHEAPER: [&str; 2] = ["flex", "batch"];

/// Azure's data zones, as a deployment's model is called there.
const ZONES: [&str; 2] = ["eu", "us"];

/// Uses of something that is charged by the use.
pub(in super::super) type Fee = (Cow<'static, str>, u64);

/// What an answer says of its cost.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Reported {
    pub id: Option<String>,
    pub model: Option<String>,
    pub tier: Option<String>,
    pub geo: Option<String>,
    pub speed: Option<String>,
    /// Usually one; each is priced by its own model.
    pub parts: Vec<Part>,
    pub fees: Vec<Fee>,
    /// What the vendor says that it charges, all together.
    pub billed: Option<PicoUsd>,
    pub seen: Seen,
}

/// Tokens of one run of one model.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Part {
    pub model: Option<String>,
    pub tokens: Tokens,
    pub reasoning: u64,
}

/// How far the report goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) enum Seen {
    #[default]
    Nothing,
    /// More may have come after it.
    SoFar,
    All,
}

/// The price of what was reported, and what it was computed from. What the vendor charged by its own account is not computed.
pub(in super::super) fn price(inner: &Inner, plan: &LlmPlan, reported: &Reported) -> (Usage, Option<Box<Basis>>) {
    if reported.seen == Seen::Nothing {
        return (Usage::UNKNOWN, None);
    }
    let tokens = tokens(reported);
    let mut basis = Basis { book: inner.prices.hash(), at: inner.now, runs: Vec::new() };
    let computed = cost(inner, plan, reported, &mut basis);
    let all = reported.seen == Seen::All;
    match (reported.billed, computed) {
        (Some(billed), _) if all => {
            (Usage::Exact(Charge { usd: billed.ceil(), tokens, source: CostSource::Vendor }), None)
        }
        (None, None) => (Usage::Unknown(Charge { tokens, ..Charge::UNKNOWN }), Some(basis.into())),
        (billed, computed) => {
            let usd = computed.map(ExactUsd::ceil).max(billed.map(PicoUsd::ceil)).unwrap_or_default();
            let charge = Charge { usd, tokens, source: CostSource::Usage };
            let all = all && !plan.incomplete;
            (if all { Usage::Exact(charge) } else { Usage::AtLeast(charge) }, Some(basis.into()))
        }
    }
}

/// What the model that answered is called in the book: in the region or the zone that the one asked for is priced in. The vendor
/// names no place when it answers.
fn placed<'m>(inner: &Inner, plan: &LlmPlan, model: &'m str) -> Cow<'m, str> {
    let asked = inner.prices.meant(&plan.shelf, &plan.model);
    let zone = asked.split_once('/').map(|(zone, _)| zone).filter(|zone| ZONES.contains(zone));
    let own = zone.map(|zone| format!("{zone}/{model}")).filter(|own| inner.prices.find(&plan.shelf, own).is_some());
    own.map_or_else(|| listed(plan.region.as_deref(), model), Cow::Owned)
}

/// The row that a model of this call's vendor is priced by.
pub(super) fn row_of<'i>(inner: &'i Inner, plan: &LlmPlan, model: &str) -> Option<&'i Arc<Row>> {
    row(&inner.prices, &plan.shelf, &placed(inner, plan, model), plan.unknown_model)
}

/// The row of the model that answered, if the book has it by its own name.
pub(in super::super) fn known(inner: &Inner, plan: &LlmPlan, reported: &Reported) -> Option<Name> {
    let answered = reported.model.as_deref().filter(|model| !model.is_empty()).unwrap_or(&plan.model);
    inner.prices.find(&plan.shelf, answered).map(|row| row.id.clone())
}

/// The price of one of many reports, not yet rounded; `None` if some of it is not known.
pub(in super::super) fn exact(inner: &Inner, plan: &LlmPlan, reported: &Reported) -> Option<(ExactUsd, TokenCounts)> {
    if reported.seen != Seen::All {
        return None;
    }
    let mut basis = Basis { book: inner.prices.hash(), at: inner.now, runs: Vec::new() };
    Some((cost(inner, plan, reported, &mut basis)?, tokens(reported).unwrap_or_default()))
}

fn tokens(reported: &Reported) -> Option<TokenCounts> {
    reported.parts.iter().fold(None, |sum: Option<TokenCounts>, part| {
        let counts = part.tokens.counts(part.reasoning);
        Some(sum.map_or(counts, |sum| add(sum, counts)))
    })
}

fn cost(inner: &Inner, plan: &LlmPlan, reported: &Reported, basis: &mut Basis) -> Option<ExactUsd> {
    let geo = reported.geo.as_deref().or(plan.geo.as_deref());
    let speed = reported.speed.as_deref().or(plan.speed.as_deref());
    let mut factors: Vec<&str> = plan.host_factor.into_iter().chain(plan.place).collect();
    factors.extend((geo == Some("us")).then_some("geo.us"));
    factors.extend((speed == Some("fast")).then_some(FAST));
    // A cheaper tier that was asked for may not have been served.
    let tier = reported.tier.as_deref().or(plan.tier.as_deref().filter(|tier| !CHEAPER.contains(tier)));
    let answered = reported.model.as_deref().filter(|m| !m.is_empty()).unwrap_or(&plan.model);
    let mut fees = reported.fees.as_slice();
    reported.parts.iter().try_fold(ExactUsd::ZERO, |sum, part| {
        let model = placed(inner, plan, part.model.as_deref().unwrap_or(answered));
        let found = row(&inner.prices, &plan.shelf, &model, plan.unknown_model);
        let fees: Vec<(&str, u64)> = std::mem::take(&mut fees).iter().map(|fee| listed_as(found, fee)).collect();
        let served = Served { tier, factors: &factors, fees: &fees };
        basis.runs.push(run(&plan.shelf, &model, &part.tokens, served));
        let row = found?;
        let run = basis.runs.last_mut()?;
        run.row = Some(row.id.clone());
        if !knows_speed(row, &factors) {
            return None;
        }
        let priced = row.cost(inner.now, &part.tokens, served)?;
        run.schedule = u32::try_from(priced.schedule).ok();
        Some(sum.plus(priced.usd))
    })
}

/// Some models' searches are charged by the prompt that led to them, however many they are; some by how much is searched.
fn listed_as<'f>(row: Option<&Arc<Row>>, (name, count): &'f Fee) -> (&'f str, u64) {
    let listed = |name: &str| row.is_some_and(|row| row.fee(name).is_some());
    match &**name {
        "web_search" if listed("grounded_prompt") => ("grounded_prompt", 1.min(*count)),
        sized if sized.starts_with("web_search.") && !listed(sized) => ("web_search", *count),
        name => (name, *count),
    }
}

fn add(a: TokenCounts, b: TokenCounts) -> TokenCounts {
    TokenCounts {
        input: a.input.saturating_add(b.input),
        output: a.output.saturating_add(b.output),
        cached: a.cached.saturating_add(b.cached),
        reasoning: a.reasoning.saturating_add(b.reasoning),
    }
}
