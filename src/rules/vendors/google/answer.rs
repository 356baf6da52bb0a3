//! What Gemini's answers say of their cost, on Vertex too: plain answers, and streams whose usage grows with each piece. Thoughts
//! stand beside the candidates, what tools read beside the prompt, and what was cached inside of it; each by what it carries.
//! Prices nothing; `llm` does.

use http::HeaderMap;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::super::llm::{Part, Reported, Seen};
use crate::rules::price::{Kind, Tokens};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    response_id: Option<String>,
    model_version: Option<String>,
    usage_metadata: Option<Usage>,
    #[serde(default)]
    candidates: Vec<Candidate>,
    error: Option<IgnoredAny>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Usage {
    prompt_token_count: Option<u64>,
    cached_content_token_count: Option<u64>,
    candidates_token_count: Option<u64>,
    thoughts_token_count: Option<u64>,
    tool_use_prompt_token_count: Option<u64>,
    total_token_count: Option<u64>,
    prompt_tokens_details: Option<Vec<Modality>>,
    cache_tokens_details: Option<Vec<Modality>>,
    candidates_tokens_details: Option<Vec<Modality>>,
    tool_use_prompt_tokens_details: Option<Vec<Modality>>,
    service_tier: Option<String>,
    traffic_type: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Modality {
    modality: Option<String>,
    token_count: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    finish_reason: Option<String>,
    grounding_metadata: Option<Grounding>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Grounding {
    #[serde(default)]
    web_search_queries: Vec<String>,
    #[serde(default)]
    image_search_queries: Vec<String>,
    #[serde(default)]
    retrieval_queries: Vec<String>,
    #[serde(default)]
    grounding_chunks: Vec<Chunk>,
}

#[derive(Deserialize)]
struct Chunk {
    maps: Option<IgnoredAny>,
}

/// Counts of text, pictures, film and sound.
#[derive(Clone, Copy, Default)]
struct Split {
    text: u64,
    image: u64,
    video: u64,
    audio: u64,
}

impl Split {
    /// A sum by its details; what they do not name is text.
    fn of(all: Option<u64>, details: Option<&Vec<Modality>>) -> Self {
        let mut split = Self::default();
        for detail in details.into_iter().flatten() {
            let count = detail.token_count.unwrap_or(0);
            let part = match detail.modality.as_deref() {
                Some("IMAGE") => &mut split.image,
                Some("VIDEO") => &mut split.video,
                Some("AUDIO") => &mut split.audio,
                _ => continue,
            };
            *part = part.saturating_add(count);
        }
        let named = split.image.saturating_add(split.video).saturating_add(split.audio);
        split.text = all.unwrap_or(0).saturating_sub(named);
        split
    }

    /// So many of it, where nobody says which: what costs least new comes first, so that the rest is never too cheap.
    fn first(self, mut count: u64) -> Self {
        let mut take = |of: u64, last: bool| {
            let taken = if last { count } else { of.min(count) };
            count -= taken;
            taken
        };
        let text = take(self.text, false);
        let (image, video, audio) = (take(self.image, false), take(self.video, false), take(self.audio, false));
        // More than there is was text.
        Self { text: text.saturating_add(take(0, true)), image, video, audio }
    }

    /// Without what was read from the cache.
    fn without(self, cached: Self) -> Self {
        Self {
            text: self.text.saturating_sub(cached.text),
            image: self.image.saturating_sub(cached.image),
            video: self.video.saturating_sub(cached.video),
            audio: self.audio.saturating_sub(cached.audio),
        }
    }

    fn plus(self, more: Self) -> Self {
        Self {
            text: self.text.saturating_add(more.text),
            image: self.image.saturating_add(more.image),
            video: self.video.saturating_add(more.video),
            audio: self.audio.saturating_add(more.audio),
        }
    }
}

impl Usage {
    /// Of each field the later value, unless it is null.
    fn merge(&mut self, later: Self) {
        macro_rules! put {
            ($($field:ident)*) => { $(self.$field = later.$field.or(self.$field.take());)* };
        }
        put!(prompt_token_count cached_content_token_count candidates_token_count thoughts_token_count
            tool_use_prompt_token_count total_token_count prompt_tokens_details cache_tokens_details
            candidates_tokens_details tool_use_prompt_tokens_details service_tier traffic_type);
    }

    fn part(&self) -> Option<Part> {
        let prompt = Split::of(Some(self.prompt_token_count?), self.prompt_tokens_details.as_ref());
        let cached = match (&self.cache_tokens_details, self.cached_content_token_count) {
            (None, Some(all)) => prompt.first(all),
            (details, all) => Split::of(all.or_else(|| self.cached_by_details()), details.as_ref()),
        };
        let found = Split::of(self.tool_use_prompt_token_count, self.tool_use_prompt_tokens_details.as_ref());
        let fresh = prompt.without(cached).plus(found);
        let made = Split::of(self.candidates_token_count, self.candidates_tokens_details.as_ref());
        let thoughts = self.thoughts_token_count.unwrap_or(0);
        let tokens = Tokens::default()
            .with(Kind::Input, fresh.text)
            .with(Kind::ImageInput, fresh.image)
            .with(Kind::VideoInput, fresh.video)
            .with(Kind::AudioInput, fresh.audio)
            .with(Kind::CacheRead, cached.text)
            .with(Kind::ImageCached, cached.image)
            .with(Kind::VideoCached, cached.video)
            .with(Kind::AudioCached, cached.audio)
            .with(Kind::Output, made.text.saturating_add(thoughts))
            .with(Kind::ImageOutput, made.image)
            .with(Kind::VideoOutput, made.video)
            .with(Kind::AudioOutput, made.audio);
        Some(Part { model: None, tokens, reasoning: thoughts })
    }

    /// All that was cached, where only its details are told.
    fn cached_by_details(&self) -> Option<u64> {
        let counts = self.cache_tokens_details.iter().flatten().filter_map(|detail| detail.token_count);
        counts.reduce(u64::saturating_add)
    }

    /// The sum names tokens that no field does.
    fn hides(&self) -> bool {
        let named = [
            self.prompt_token_count,
            self.candidates_token_count,
            self.thoughts_token_count,
            self.tool_use_prompt_token_count,
        ];
        let named = named.into_iter().flatten().fold(0u64, u64::saturating_add);
        self.total_token_count.is_some_and(|total| total > named)
    }
}

/// An answer in one piece or many, as far as it came.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Stream {
    id: Option<String>,
    model: Option<String>,
    usage: Option<Usage>,
    queries: Vec<String>,
    maps: bool,
    retrieved: bool,
    finished: bool,
    failed: bool,
}

impl Stream {
    /// A plain answer, or one piece of a stream. True if it tells a usage.
    pub fn piece(&mut self, data: &[u8]) -> bool {
        let Ok(answer) = serde_json::from_slice::<Answer>(data) else {
            self.failed = true;
            return false;
        };
        self.failed |= answer.error.is_some();
        self.id = answer.response_id.or(self.id.take());
        self.model = answer.model_version.or(self.model.take());
        self.finished |= answer.candidates.iter().any(|candidate| candidate.finish_reason.is_some());
        for grounding in answer.candidates.into_iter().filter_map(|candidate| candidate.grounding_metadata) {
            self.maps |= grounding.grounding_chunks.iter().any(|chunk| chunk.maps.is_some());
            let asked = grounding.web_search_queries.into_iter().chain(grounding.image_search_queries);
            // What the caller's own store was asked is no search of the web, and its price is not known here.
            self.retrieved |= !grounding.retrieval_queries.is_empty();
            for query in asked.filter(|query| !query.is_empty()) {
                // Pieces of a stream repeat what was searched before.
                if !self.queries.contains(&query) {
                    self.queries.push(query);
                }
            }
        }
        let tells = answer.usage_metadata.is_some();
        if let Some(usage) = answer.usage_metadata {
            self.usage.get_or_insert_default().merge(usage);
        }
        tells
    }

    /// `complete`: it came to its own end.
    pub fn report(self, complete: bool) -> Option<Reported> {
        let usage = self.usage?;
        let part = usage.part()?;
        let queries = self.queries.len() as u64;
        let mut fees = Vec::new();
        if queries > 0 {
            fees.push(("web_search".into(), queries));
        }
        if self.maps {
            fees.push(("maps".into(), 1));
        }
        let all = (complete || self.finished) && !self.failed && !self.retrieved && !usage.hides();
        let tier = usage.service_tier.or(usage.traffic_type).map(|name| tier(&name).to_owned());
        let seen = if all { Seen::All } else { Seen::SoFar };
        Some(Reported { id: self.id, model: self.model, tier, parts: vec![part], fees, seen, ..Reported::default() })
    }
}

/// In the words of the book. What is paid in advance costs no less than the standard tier here.
pub(in super::super) fn tier(name: &str) -> &str {
    match name.to_ascii_uppercase().trim_start_matches("SERVICE_TIER_") {
        "ON_DEMAND_PRIORITY" | "PRIORITY" => "priority",
        "ON_DEMAND_FLEX" | "FLEX" => "flex",
        "ON_DEMAND" | "STANDARD" | "UNSPECIFIED" | "TRAFFIC_TYPE_UNSPECIFIED" | "PROVISIONED_THROUGHPUT" => "standard",
        _ => name,
    }
}

/// The tier that an answer's header names.
pub(in super::super) fn served(headers: &HeaderMap) -> Option<String> {
    headers.get("x-gemini-service-tier")?.to_str().ok().map(|name| tier(name.trim()).to_owned())
}

/// A plain answer.
pub(in super::super) fn plain(body: &[u8]) -> Option<Reported> {
    let mut all = Stream::default();
    _ = all.piece(body);
    all.report(true)
}
