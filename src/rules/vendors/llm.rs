//! What the language-model families share: the bound of a call from its prompt and its output limit, the fit to a budget, the
//! change of the limit, and the price of what an answer reports. Knows no vendor's field names; `openai` and `anthropic` do.

mod asked;
pub(super) mod body;
mod growth;
pub(super) mod image;
mod limit;
pub(super) mod number;
mod plain;
mod report;
mod running;

use std::borrow::Cow;
use std::sync::Arc;

use self::running::Prompted;
use super::ask::{Ask, Bounded, Counted, UnknownModel, Unpriceable};
use super::dialect::Dialect;
use super::entry::host_factor;
use super::plan::{How, OwnedEdit};
use crate::rules::ledger::need::{Fit, Need};
use crate::rules::price::{Kind, PriceBook, Rates, Row, TierAsked};
use crate::rules::subject::Name;
use crate::units::money::PicoUsd;

pub(super) use asked::{Output, Prompt};
pub(super) use growth::most_tokens;
pub(super) use limit::{Add, LimitField};
pub(super) use report::{Fee, Part, Reported, Seen, exact, known, price};
pub use running::Running;

/// The answers' shapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    Chat,
    Responses,
    Embeddings,
    /// Pictures of OpenAI's shape.
    Images,
    Speech,
    Transcription,
    Messages,
    Gemini,
    Cohere,
    /// What Cohere bills by, beside no chat: embeddings, rerank.
    CohereUnits,
    Converse,
    /// A model's own body, by Bedrock.
    Invoke,
}

/// How to change and meter one call of a model.
#[derive(Debug)]
pub(super) struct LlmPlan {
    pub api: Api,
    pub dialect: Dialect,
    pub model: Box<str>,
    shelf: Name,
    unknown_model: UnknownModel,
    pub stream: bool,
    /// The usage chunk was not the caller's wish: it is dropped on the way back.
    pub hide_usage: bool,
    /// The tier that was asked for, if the answer names none.
    tier: Option<Box<str>>,
    /// Multipliers that hold whatever the answer says.
    host_factor: Option<&'static str>,
    /// A place that the request's path names.
    place: Option<&'static str>,
    /// The region whose own prices come first.
    region: Option<Box<str>>,
    /// Multipliers of the request, if the answer names none.
    pub geo: Option<Box<str>>,
    pub speed: Option<Box<str>>,
    /// Some cache write was asked for the longer time.
    pub long_cache: bool,
    /// The answer's usage leaves out something that is charged.
    pub incomplete: bool,
    /// The answer tells nothing: it is charged by so many characters of the request.
    pub characters: Option<u64>,
    /// The same for pictures of a size and quality that have their own price.
    pub picture: Option<Fee>,
    limit: Option<LimitField>,
    /// What is held for the prompt of a stream, where its answer will tell how long it is.
    prompted: Option<Prompted>,
    /// Only a ceiling stands for what it can cost.
    pub unbounded: bool,
    /// Changes that do not depend on what was granted.
    edits: Vec<OwnedEdit>,
}

/// A request of a language model, read.
pub(super) struct Request<'a> {
    pub api: Api,
    pub model: &'a str,
    pub stream: bool,
    /// The longest prompt by its text, or the field that hides how long it is.
    pub prompt: Prompt,
    /// How often the prompt may be read: once, and once more for each use of a tool of the vendor's.
    pub reads: u64,
    pub input_kinds: Vec<Kind>,
    pub output_kinds: Vec<Kind>,
    /// Tool fees at most.
    pub fees: Vec<Fee>,
    /// What is charged by other units than tokens, at most.
    pub units: Vec<(Kind, u64)>,
    /// Output beside the limit: predicted tokens.
    pub extra_output: u64,
    pub tier: Option<&'a str>,
    /// Factors that may apply to the tokens' price.
    pub factors: Vec<&'static str>,
    pub output: Output,
    /// Why nothing bounds this call.
    pub unbounded: Option<Unpriceable>,
}

impl<'a> Request<'a> {
    /// One reading of a prompt at the usual tier, without an answer in tokens.
    pub fn plain(api: Api, model: &'a str, prompt: Prompt) -> Self {
        Self {
            api,
            model,
            stream: false,
            prompt,
            reads: 1,
            input_kinds: vec![Kind::Input],
            output_kinds: Vec::new(),
            fees: Vec::new(),
            units: Vec::new(),
            extra_output: 0,
            tier: Some("standard"),
            factors: Vec::new(),
            output: Output::SILENT,
            unbounded: None,
        }
    }
}

/// Parts of a plan that only the adapter knows.
#[derive(Default)]
pub(super) struct Extra {
    pub hide_usage: bool,
    pub edits: Vec<OwnedEdit>,
    pub geo: Option<Box<str>>,
    pub speed: Option<Box<str>>,
    pub long_cache: bool,
    pub incomplete: bool,
    pub characters: Option<u64>,
    pub place: Option<&'static str>,
    /// Pictures of a size and quality that have their own price.
    pub picture: Option<Fee>,
}

/// The factor of fast mode.
pub(super) const FAST: &str = "speed.fast";

/// The row that a model is priced by.
pub(super) fn row<'b>(book: &'b PriceBook, shelf: &str, model: &str, unknown: UnknownModel) -> Option<&'b Arc<Row>> {
    let known = book.find(shelf, model);
    known.or_else(|| if unknown == UnknownModel::Dearest { book.dearest(shelf) } else { None })
}

/// What a model is called in the price book, where regions have prices of their own.
fn listed<'m>(region: Option<&str>, model: &'m str) -> Cow<'m, str> {
    region.map_or(model.into(), |region| format!("{region}/{model}").into())
}

/// Bound and plan of a call.
pub(super) fn bounded(ask: &Ask<'_>, request: Request<'_>, extra: Extra) -> Bounded {
    let region = ask.region();
    let row = row(ask.prices, &ask.vendor.prices, &listed(region, request.model), ask.unknown_model);
    let model_most = row.and_then(|row| row.limits.max_output());
    let before = request.output.asked.or(model_most).unwrap_or(u64::MAX);
    let limit = LimitField { there: request.output.there.clone(), add: request.output.add, before };
    // Also for a model that only the ceiling bounds, as far as any of its vendor's can go.
    let tokens = row.or_else(|| ask.prices.dearest(&ask.vendor.prices)).map_or(0, |row| row.limits.one_run());
    let found = row.ok_or_else(|| Unpriceable::UnknownModel(request.model.to_owned()));
    let (need, prompted) = match found.and_then(|row| need(ask, row, &request)) {
        Ok((need, prompted)) => (Ok(need), prompted),
        Err(why) => (Err(why), None),
    };
    let once = matches!(request.prompt, Prompt::Tokens(_) | Prompt::Most(_)) && request.reads == 1;
    let countable = once && request.unbounded.is_none() && row.is_some();
    let plan = LlmPlan {
        stream: request.stream,
        hide_usage: extra.hide_usage,
        tier: request.tier.map(Into::into),
        geo: extra.geo,
        speed: extra.speed,
        long_cache: extra.long_cache,
        incomplete: extra.incomplete,
        characters: extra.characters,
        picture: extra.picture,
        place: extra.place,
        prompted: prompted.filter(|_| request.stream),
        unbounded: need.is_err(),
        limit: (!request.output.none && !request.output.fixed).then_some(limit),
        edits: extra.edits,
        ..LlmPlan::plain(ask, request.api, request.model)
    };
    Bounded { need, how: How::Llm(plan), tokens, countable }
}

fn need(ask: &Ask<'_>, row: &Arc<Row>, request: &Request<'_>) -> Result<(Need, Option<Prompted>), Unpriceable> {
    if let Some(why) = &request.unbounded {
        return Err(why.clone());
    }
    let prompt = prompt_tokens(row, &request.prompt, ask.counted)?;
    let asked = match request.tier {
        _ if ask.batch.is_some() => TierAsked::Batch { within: ask.batch.unwrap_or_default() },
        Some(name) if !matches!(name, "" | "auto") => TierAsked::Named(name),
        _ if ask.vendor.auto_tier_is_standard => TierAsked::Named("standard"),
        _ => TierAsked::Auto,
    };
    let rates = row.dearest(ask.now, asked, prompt).ok_or_else(|| no_rate(request.model))?;
    let factors = host_factor(ask.host).into_iter().chain(request.factors.iter().copied());
    let factors: Vec<&str> = factors.collect();
    if !knows_speed(row, &factors) {
        return Err(Unpriceable::unbounded("speed", "the model's price in fast mode is not known"));
    }
    let with_factors = |rate: PicoUsd| factors.iter().fold(rate, |rate, factor| row.multiplied(rate, factor));
    let input = match prompt {
        // Nothing is charged by the prompt's tokens.
        0 => PicoUsd(0),
        _ => rates.dearest(&request.input_kinds).map(with_factors).ok_or_else(|| no_rate(request.model))?,
    };
    let read = prompt.saturating_mul(request.reads);
    let held = input.times(read);
    let fees = fees(row, request)?.plus(units(request, &rates, with_factors)?);
    let mut need = Need::fixed(held.plus(fees), read);
    if !request.output.none {
        let output = rates.dearest(&request.output_kinds).map(with_factors).ok_or_else(|| no_rate(request.model))?;
        add_output(ask, row, request, output, &mut need)?;
    }
    // A prompt that grows while it runs is not what its first usage says.
    let stays = prompt > 0 && request.reads == 1 && !matches!(request.prompt, Prompt::Grows(_));
    let prompted = stays.then(|| Prompted { row: row.clone(), rates, factors, tokens: read, usd: held });
    Ok((need, prompted))
}

/// A place may cost no more than another; speed always does.
fn knows_speed(row: &Row, factors: &[&str]) -> bool {
    !factors.contains(&FAST) || row.has_factor(FAST)
}

fn no_rate(model: &str) -> Unpriceable {
    Unpriceable::UnknownModel(model.to_owned())
}

fn prompt_tokens(row: &Row, prompt: &Prompt, counted: Counted) -> Result<u64, Unpriceable> {
    let whole = match (counted, prompt) {
        (Counted::Whole(n), Prompt::Tokens(bytes)) => Some(Prompt::Tokens(n.min(*bytes))),
        (Counted::Whole(n), Prompt::Most(_)) => Some(Prompt::Tokens(n)),
        _ => None,
    };
    match (whole.as_ref().unwrap_or(prompt), row.limits.max_input()) {
        // A prompt that is longer than the model takes is refused by the vendor, and free.
        (Prompt::Tokens(n), most) => Ok(most.map_or(*n, |most| most.min(*n))),
        (Prompt::Several(n), _) => Ok(*n),
        (Prompt::Most(_) | Prompt::Grows(_), Some(most)) => Ok(most),
        (Prompt::Most(field) | Prompt::Grows(field), None) => Err(Unpriceable::unbounded(
            field.clone(),
            "the prompt's length is not in the request, and the model's longest is not known",
        )),
    }
}

fn fees(row: &Row, request: &Request<'_>) -> Result<PicoUsd, Unpriceable> {
    request.fees.iter().filter(|(_, count)| *count > 0).try_fold(PicoUsd(0), |sum, (tool, count)| {
        let grounded = row.fee("grounded_prompt").filter(|_| tool == "web_search");
        let fee = grounded.or_else(|| row.fee(tool));
        let fee = fee.ok_or_else(|| Unpriceable::unbounded(&**tool, "the price of this tool is not known"))?;
        Ok(sum.plus(fee.times(*count)))
    })
}

fn units(
    request: &Request<'_>,
    rates: &Rates,
    with_factors: impl Fn(PicoUsd) -> PicoUsd,
) -> Result<PicoUsd, Unpriceable> {
    request.units.iter().filter(|(_, count)| *count > 0).try_fold(PicoUsd(0), |sum, (kind, count)| {
        let price = rates.price(*kind, *count).ok_or_else(|| no_rate(request.model))?;
        Ok(sum.plus(with_factors(price.pico())))
    })
}

/// Adds the answer: fixed where the caller's own limit stands, fitted where it may be lowered.
fn add_output(
    ask: &Ask<'_>,
    row: &Row,
    request: &Request<'_>,
    rate: PicoUsd,
    need: &mut Need,
) -> Result<(), Unpriceable> {
    let output = &request.output;
    let most = row.limits.max_output();
    let capped = |asked: u64| if output.lifted { asked } else { most.map_or(asked, |most| most.min(asked)) };
    let wanted = output.asked.or(ask.default_max_output).map_or(most, |asked| Some(capped(asked)));
    let want = wanted.ok_or_else(|| {
        Unpriceable::unbounded(
            output.add.inner.unwrap_or(output.add.name),
            "the request names no output limit, and the model's own is not known",
        )
    })?;
    let answers = output.answers.max(1);
    need.usd = need.usd.plus(rate.times(request.extra_output).times(answers));
    need.tokens = need.tokens.saturating_add(request.extra_output.saturating_mul(answers));
    if output.fixed || (output.asked.is_some() && !ask.fit.always) {
        need.usd = need.usd.plus(rate.times(want).times(answers));
        need.tokens = need.tokens.saturating_add(want.saturating_mul(answers));
        return Ok(());
    }
    let floor = ask.fit.floor.max(output.floor).max(1).min(want);
    need.fit =
        Some(Fit { usd_per_token: rate.times(answers), tokens_per_token: answers, floor, want, share: ask.fit.share });
    Ok(())
}
