//! The usage of OpenAI's shape, in everybody's dialect, taken apart into units that do not overlap; and the cost that some
//! vendors tell themselves. Finds no usage in an answer; `answer` does.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::super::dialect::Dialect;
use super::super::llm::number::Num;
use super::super::llm::{Fee, Part};
use crate::rules::price::{Kind, Tokens};
use crate::units::money::PicoUsd;

/// Of chat completions.
#[derive(Deserialize)]
pub(super) struct ChatUsage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    prompt_tokens_details: Option<InputDetails>,
    completion_tokens_details: Option<OutputDetails>,
    /// Mistral tells it here.
    pub service_tier: Option<String>,
    /// DeepSeek's cached tokens; Together's; Mistral's.
    prompt_cache_hit_tokens: Option<u64>,
    cached_tokens: Option<u64>,
    num_cached_tokens: Option<u64>,
    prompt_audio_seconds: Option<Num>,
    reasoning_tokens: Option<u64>,
    citation_tokens: Option<u64>,
    search_context_size: Option<String>,
    /// A number (OpenRouter), or the sums of an account (Perplexity).
    cost: Option<Box<RawValue>>,
    cost_details: Option<CostDetails>,
    is_byok: Option<bool>,
    cost_in_usd_ticks: Option<Num>,
}

#[derive(Deserialize)]
struct CostDetails {
    upstream_inference_cost: Option<Num>,
}

/// Perplexity's account. While an answer streams it is there, and all zero.
#[derive(Deserialize)]
struct Sums {
    total_cost: Num,
    request_cost: Option<IgnoredAny>,
}

/// Of responses.
#[derive(Deserialize)]
pub(super) struct ResponseUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    input_tokens_details: Option<InputDetails>,
    output_tokens_details: Option<OutputDetails>,
    cost: Option<Num>,
    cost_in_usd_ticks: Option<Num>,
}

#[derive(Clone, Copy, Deserialize, Default)]
pub(super) struct InputDetails {
    cached_tokens: Option<u64>,
    /// Where it is told what was cached.
    cached_tokens_details: Option<CachedDetails>,
    cache_write_tokens: Option<u64>,
    cache_write_tokens_details: Option<WriteDetails>,
    audio_tokens: Option<u64>,
    image_tokens: Option<u64>,
    video_tokens: Option<u64>,
}

#[derive(Clone, Copy, Deserialize)]
struct CachedDetails {
    audio_tokens: Option<u64>,
    image_tokens: Option<u64>,
}

#[derive(Clone, Copy, Deserialize)]
struct WriteDetails {
    ttl_12h_tokens: Option<u64>,
}

#[derive(Clone, Copy, Deserialize, Default)]
pub(super) struct OutputDetails {
    pub text_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
    audio_tokens: Option<u64>,
    image_tokens: Option<u64>,
}

fn of(count: Option<u64>) -> u64 {
    count.unwrap_or(0)
}

/// The vendor's sums, taken apart: cached, written, heard and seen tokens are parts of the prompt, spoken and drawn ones of the
/// answer. What was heard or seen and does not fit beside what was cached was cached itself, unless that is told.
pub(super) fn part(prompt: u64, answer: u64, input: &InputDetails, output: &OutputDetails) -> Part {
    let (cached, written) = (of(input.cached_tokens), of(input.cache_write_tokens));
    let long = input.cache_write_tokens_details.as_ref().map_or(0, |d| of(d.ttl_12h_tokens)).min(written);
    let mut fresh = prompt.saturating_sub(cached).saturating_sub(written);
    let mut read = cached;
    let told = input.cached_tokens_details;
    let mut split = |all: u64, old: Option<u64>| {
        let new = all.saturating_sub(old.unwrap_or(0)).min(fresh);
        let old = (all - new).min(read);
        (fresh, read) = (fresh - new, read - old);
        (new, old)
    };
    let (heard, heard_before) = split(of(input.audio_tokens), told.and_then(|told| told.audio_tokens));
    let (seen, seen_before) = split(of(input.image_tokens), told.and_then(|told| told.image_tokens));
    let (watched, watched_before) = split(of(input.video_tokens), None);
    let (spoken, drawn) = (of(output.audio_tokens), of(output.image_tokens));
    let tokens = Tokens::default()
        .with(Kind::Input, fresh)
        .with(Kind::CacheRead, read)
        .with(Kind::CacheWrite, written - long)
        .with(Kind::CacheWriteLong, long)
        .with(Kind::AudioInput, heard)
        .with(Kind::AudioCached, heard_before)
        .with(Kind::ImageInput, seen)
        .with(Kind::ImageCached, seen_before)
        .with(Kind::VideoInput, watched)
        .with(Kind::VideoCached, watched_before)
        .with(Kind::Output, answer.saturating_sub(spoken).saturating_sub(drawn))
        .with(Kind::AudioOutput, spoken)
        .with(Kind::ImageOutput, drawn);
    Part { model: None, tokens, reasoning: of(output.reasoning_tokens) }
}

impl ChatUsage {
    /// Only embeddings have no completion tokens; a usage without prompt tokens says nothing.
    pub fn part(&self, dialect: Dialect, speaks: bool) -> Option<Part> {
        let mut input = self.prompt_tokens_details.unwrap_or_default();
        let output = self.completion_tokens_details.unwrap_or_default();
        input.cached_tokens = input.cached_tokens.or(self.prompt_cache_hit_tokens);
        input.cached_tokens = input.cached_tokens.or(self.cached_tokens).or(self.num_cached_tokens);
        // What Mistral heard is charged by its seconds, and stands beside the prompt.
        let by_time = self.prompt_audio_seconds.is_some();
        input.audio_tokens = input.audio_tokens.filter(|_| !by_time);
        let prompt = self.prompt_tokens?;
        let mut answer = if speaks { self.completion_tokens? } else { of(self.completion_tokens) };
        let reasoning = of(output.reasoning_tokens.or(self.reasoning_tokens));
        // What the sum has beside both is thought that some vendors leave out of the answer; without a sum, xAI always does.
        let beside = match self.total_tokens {
            Some(_) if by_time => 0,
            Some(total) => total.saturating_sub(prompt.saturating_add(answer)),
            None if dialect.adds_reasoning() => reasoning,
            None => 0,
        };
        let deep = dialect == Dialect::Perplexity && self.reasoning_tokens.is_some();
        answer = answer.saturating_add(if speaks && !deep { beside } else { 0 });
        let mut part = part(prompt, answer, &input, &output);
        part.reasoning = reasoning;
        part.tokens = part
            .tokens
            .with(Kind::Reasoning, if deep { reasoning } else { 0 })
            .with(Kind::Citation, of(self.citation_tokens))
            .with(Kind::AudioTimeIn, self.prompt_audio_seconds.map_or(Some(0), Num::millis)?);
        Some(part)
    }

    /// The search of each of Perplexity's calls, by how much is searched.
    pub fn searched(&self) -> Vec<Fee> {
        let name = self.search_context_size.as_ref().map(|size| format!("web_search.{size}").into());
        vec![(name.unwrap_or("web_search".into()), 1)]
    }

    /// What the vendor says that it charges. With the caller's own key at another vendor's, that one charges as well.
    pub fn billed(&self) -> Option<PicoUsd> {
        if let Some(ticks) = self.cost_in_usd_ticks {
            return ticks.ticks();
        }
        let raw = self.cost.as_ref()?.get();
        let Some(own) = Num::parse(raw).and_then(Num::usd) else {
            let sums: Sums = serde_json::from_str(raw).ok()?;
            let total = sums.total_cost.usd()?;
            return (total.0 > 0 || sums.request_cost.is_some()).then_some(total);
        };
        if self.is_byok != Some(true) {
            return Some(own);
        }
        Some(own.plus(self.cost_details.as_ref()?.upstream_inference_cost?.usd()?))
    }
}

impl ResponseUsage {
    pub fn part(&self) -> Option<Part> {
        let input = self.input_tokens_details.unwrap_or_default();
        let output = self.output_tokens_details.unwrap_or_default();
        Some(part(self.input_tokens?, self.output_tokens?, &input, &output))
    }

    pub fn billed(&self) -> Option<PicoUsd> {
        self.cost_in_usd_ticks.map_or_else(|| self.cost?.usd(), Num::ticks)
    }
}
