//! What Anthropic's answers say of their cost: plain messages, and streams where `message_start` tells the input and
//! `message_delta` the growing totals. Of each field the last value that is not null counts. Input tokens here leave the
//! cache out, and iterations may have run on other models. Prices nothing; `llm` does.

use serde::Deserialize;

use super::super::llm::{Part, Reported, Seen};
use crate::rules::price::{Kind, Tokens};

#[derive(Deserialize)]
struct Message {
    id: Option<String>,
    model: Option<String>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    message: Option<Message>,
    usage: Option<Usage>,
    delta: Option<Delta>,
}

#[derive(Deserialize)]
struct Delta {
    stop_reason: Option<String>,
}

#[derive(Deserialize, Default, Clone, Debug)]
struct Usage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_creation: Option<Writes>,
    output_tokens_details: Option<OutputDetails>,
    server_tool_use: Option<ToolUse>,
    service_tier: Option<String>,
    inference_geo: Option<String>,
    speed: Option<String>,
    iterations: Option<Vec<Iteration>>,
}

#[derive(Deserialize, Default, Clone, Debug)]
struct Writes {
    ephemeral_5m_input_tokens: Option<u64>,
    ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Deserialize, Clone, Debug)]
struct OutputDetails {
    thinking_tokens: Option<u64>,
}

#[derive(Deserialize, Clone, Debug)]
struct ToolUse {
    web_search_requests: Option<u64>,
}

#[derive(Deserialize, Clone, Debug)]
struct Iteration {
    #[serde(rename = "type")]
    kind: Option<String>,
    model: Option<String>,
    #[serde(flatten)]
    counts: Counts,
}

#[derive(Deserialize, Default, Clone, Debug)]
struct Counts {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_creation: Option<Writes>,
}

impl Counts {
    /// `long`: what the split leaves over was written for the longer time.
    fn tokens(&self, long: bool) -> Tokens {
        let of = |count: Option<u64>| count.unwrap_or(0);
        let split = self.cache_creation.clone().unwrap_or_default();
        let (mut five, mut hour) = (of(split.ephemeral_5m_input_tokens), of(split.ephemeral_1h_input_tokens));
        let rest = of(self.cache_creation_input_tokens).saturating_sub(five.saturating_add(hour));
        let more = if long { &mut hour } else { &mut five };
        *more = more.saturating_add(rest);
        Tokens::default()
            .with(Kind::Input, of(self.input_tokens))
            .with(Kind::CacheRead, of(self.cache_read_input_tokens))
            .with(Kind::CacheWrite, five)
            .with(Kind::CacheWriteLong, hour)
            .with(Kind::Output, of(self.output_tokens))
    }
}

impl Usage {
    /// Of each field the later value, unless it is null.
    fn merge(&mut self, later: Self) {
        fn put<T>(field: &mut Option<T>, later: Option<T>) {
            if later.is_some() {
                *field = later;
            }
        }
        put(&mut self.input_tokens, later.input_tokens);
        put(&mut self.output_tokens, later.output_tokens);
        put(&mut self.cache_read_input_tokens, later.cache_read_input_tokens);
        put(&mut self.cache_creation_input_tokens, later.cache_creation_input_tokens);
        put(&mut self.cache_creation, later.cache_creation);
        put(&mut self.output_tokens_details, later.output_tokens_details);
        put(&mut self.server_tool_use, later.server_tool_use);
        put(&mut self.service_tier, later.service_tier);
        put(&mut self.inference_geo, later.inference_geo);
        put(&mut self.speed, later.speed);
        put(&mut self.iterations, later.iterations);
    }

    fn counts(&self) -> Counts {
        Counts {
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            cache_read_input_tokens: self.cache_read_input_tokens,
            cache_creation_input_tokens: self.cache_creation_input_tokens,
            cache_creation: self.cache_creation.clone(),
        }
    }

    fn report(&self, id: Option<String>, model: Option<String>, long: bool, seen: Seen) -> Option<Reported> {
        // Without both totals it is no usage.
        self.input_tokens.and(self.output_tokens)?;
        let thinking = self.output_tokens_details.as_ref().and_then(|d| d.thinking_tokens).unwrap_or(0);
        let searches = self.server_tool_use.as_ref().and_then(|t| t.web_search_requests).unwrap_or(0);
        Some(Reported {
            id,
            model,
            tier: self.service_tier.clone().map(standard),
            geo: self.inference_geo.clone(),
            speed: self.speed.clone(),
            parts: self.parts(thinking, long),
            fees: vec![("web_search".into(), searches)],
            billed: None,
            seen,
        })
    }

    /// Iterations each at their own model. The totals leave out compactions and other models' runs; where the iterations
    /// of the answer's own model do not add up to the totals, the totals stand for them.
    fn parts(&self, reasoning: u64, long: bool) -> Vec<Part> {
        let own = Part { model: None, tokens: self.counts().tokens(long), reasoning };
        let runs = self.iterations.iter().flatten();
        let part = |run: &Iteration| Part { model: run.model.clone(), tokens: run.counts.tokens(long), reasoning: 0 };
        let inside = |run: &Iteration| matches!(run.kind.as_deref(), None | Some("message" | "fallback_message"));
        let told: Vec<Part> = runs.clone().filter(|run| inside(run)).map(part).collect();
        let sum = told.iter().fold(Tokens::default(), |sum, part| sum.plus(&part.tokens));
        let covers = Kind::ALL.iter().all(|kind| sum.get(*kind) >= own.tokens.get(*kind));
        let mut parts = if covers && !told.is_empty() { told } else { vec![own] };
        if let Some(first) = parts.first_mut() {
            first.reasoning = reasoning;
        }
        parts.extend(runs.filter(|run| !inside(run)).map(part));
        parts
    }
}

/// The priority tier's tokens cost what the standard tier's do: it is paid in advance.
fn standard(tier: String) -> String {
    if tier == "priority" { "standard".to_owned() } else { tier }
}

/// A plain message.
pub(in super::super) fn message(body: &[u8], long_cache: bool) -> Option<Reported> {
    let message: Message = serde_json::from_slice(body).ok()?;
    message.usage?.report(message.id, message.model, long_cache, Seen::All)
}

/// A stream of events, as far as it came.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Stream {
    id: Option<String>,
    model: Option<String>,
    usage: Usage,
    /// The totals of the end have come.
    totals: bool,
    stopped: bool,
    failed: bool,
}

impl Stream {
    /// True if it tells a usage.
    pub fn event(&mut self, data: &[u8]) -> bool {
        // All other events are text.
        if !["message_start", "message_delta", "message_stop", "error"].iter().any(|kind| says(data, kind)) {
            return false;
        }
        let Ok(event) = serde_json::from_slice::<Event>(data) else { return false };
        self.stopped |= event.kind == "message_stop" || event.delta.is_some_and(|delta| delta.stop_reason.is_some());
        self.failed |= event.kind == "error";
        self.totals |= event.kind == "message_delta" && event.usage.is_some();
        let tells = event.usage.is_some() || event.message.as_ref().is_some_and(|message| message.usage.is_some());
        if let Some(message) = event.message {
            self.id = message.id.or(self.id.take());
            self.model = message.model.or(self.model.take());
            self.usage.merge(message.usage.unwrap_or_default());
        }
        self.usage.merge(event.usage.unwrap_or_default());
        tells
    }

    /// `complete`: the stream came to its own end.
    pub fn report(self, long_cache: bool, complete: bool) -> Option<Reported> {
        let all = self.totals && !self.failed && (self.stopped || complete);
        self.usage.report(self.id, self.model, long_cache, if all { Seen::All } else { Seen::SoFar })
    }
}

/// Does the event's text hold this word in quotes?
fn says(data: &[u8], word: &str) -> bool {
    memchr::memmem::find_iter(data, word.as_bytes()).any(|at| {
        let before = at.checked_sub(1).and_then(|at| data.get(at));
        before == Some(&b'"') && data.get(at + word.len()) == Some(&b'"')
    })
}
