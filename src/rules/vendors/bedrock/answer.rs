//! What Bedrock's answers say of their cost: converse tells one usage for every model; invoke tells the model's own, and the
//! counts beside it, in headers and at the end of a stream. Input tokens leave the cache out. Prices nothing; `llm` does.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use serde::Deserialize;

use super::super::anthropic;
use super::super::frames::Frame;
use super::super::llm::{Part, Reported, Seen};
use crate::rules::price::{Kind, Tokens};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Converse {
    usage: Option<Usage>,
    service_tier: Option<Tier>,
    performance_config: Option<Performance>,
    trace: Option<Trace>,
}

#[derive(Deserialize)]
struct Performance {
    latency: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Trace {
    prompt_router: Option<Router>,
}

/// Which model a router of prompts chose.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Router {
    invoked_model_id: Option<String>,
}

#[derive(Deserialize)]
struct Tier {
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// Of converse, and of the Nova models' own bodies.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Usage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    #[serde(alias = "cacheReadInputTokenCount")]
    cache_read_input_tokens: Option<u64>,
    #[serde(alias = "cacheWriteInputTokenCount")]
    cache_write_input_tokens: Option<u64>,
    cache_details: Option<Vec<Write>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Write {
    ttl: Option<String>,
    input_tokens: Option<u64>,
}

/// Counts that stand beside a model's own answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metrics {
    input_token_count: Option<u64>,
    output_token_count: Option<u64>,
    cache_read_input_token_count: Option<u64>,
    cache_write_input_token_count: Option<u64>,
}

#[derive(Deserialize)]
struct Chunk {
    bytes: Option<String>,
}

#[derive(Deserialize)]
struct Last {
    #[serde(rename = "amazon-bedrock-invocationMetrics")]
    metrics: Option<Metrics>,
}

fn part(input: u64, output: u64, read: u64, written: u64, long: u64) -> Part {
    let long = long.min(written);
    let tokens = Tokens::default()
        .with(Kind::Input, input)
        .with(Kind::Output, output)
        .with(Kind::CacheRead, read)
        .with(Kind::CacheWrite, written - long)
        .with(Kind::CacheWriteLong, long);
    Part { tokens, ..Part::default() }
}

fn reported(part: Part, tier: Option<String>) -> Reported {
    Reported { tier, parts: vec![part], seen: Seen::All, ..Reported::default() }
}

impl Usage {
    fn part(&self) -> Option<Part> {
        let of = |count: Option<u64>| count.unwrap_or(0);
        let long = self.cache_details.iter().flatten().filter(|write| write.ttl.as_deref() == Some("1h"));
        let long = long.fold(0u64, |sum, write| sum.saturating_add(of(write.input_tokens)));
        let (read, written) = (of(self.cache_read_input_tokens), of(self.cache_write_input_tokens));
        Some(part(self.input_tokens?, self.output_tokens?, read, written, long))
    }
}

impl Metrics {
    fn part(&self) -> Option<Part> {
        let of = |count: Option<u64>| count.unwrap_or(0);
        let (read, written) = (of(self.cache_read_input_token_count), of(self.cache_write_input_token_count));
        Some(part(self.input_token_count?, self.output_token_count?, read, written, 0))
    }
}

/// A plain answer of converse, or the last event of its stream.
pub(in super::super) fn converse(body: &[u8]) -> Option<Reported> {
    let answer: Converse = serde_json::from_slice(body).ok()?;
    let tier = answer.service_tier.and_then(|tier| tier.kind);
    let hurried = answer.performance_config.is_some_and(|config| config.latency.as_deref() == Some("optimized"));
    // What is served faster has a price that no list here has.
    let seen = if hurried { Seen::SoFar } else { Seen::All };
    let model = answer.trace.and_then(|trace| trace.prompt_router?.invoked_model_id);
    Some(Reported { model, seen, ..reported(answer.usage?.part()?, tier) })
}

/// A plain answer of invoke: the model's own usage, else the counts in the headers.
pub(in super::super) fn invoked(body: &[u8], headers: &HeaderMap, model: &str, long: bool) -> Option<Reported> {
    if model.contains("anthropic.")
        && let Some(own) = anthropic::answer::message(body, long)
    {
        // Prices go by the name in the path.
        return Some(Reported { model: None, ..own });
    }
    let own = serde_json::from_slice::<Converse>(body).ok().and_then(|answer| answer.usage?.part());
    let counted = || {
        let count = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
        let silent = model.contains("embed") || model.contains("rerank");
        let metrics = Metrics {
            input_token_count: count("x-amzn-bedrock-input-token-count"),
            output_token_count: count("x-amzn-bedrock-output-token-count").or(silent.then_some(0)),
            cache_read_input_token_count: count("x-amzn-bedrock-cache-read-input-token-count"),
            cache_write_input_token_count: count("x-amzn-bedrock-cache-write-input-token-count"),
        };
        metrics.part()
    };
    own.or_else(counted).map(|part| reported(part, None))
}

/// A stream of either kind, as far as it came.
#[derive(Debug, Default)]
pub(in super::super) struct Stream {
    converse: Option<Reported>,
    metrics: Option<Reported>,
    messages: anthropic::answer::Stream,
    failed: bool,
}

impl Stream {
    pub fn frame(&mut self, frame: &Frame<'_>) {
        self.failed |= frame.failed;
        match frame.kind {
            "metadata" => self.converse = converse(frame.payload).or(self.converse.take()),
            "chunk" => self.chunk(frame.payload),
            _ => {}
        }
    }

    fn chunk(&mut self, payload: &[u8]) {
        let inner = serde_json::from_slice::<Chunk>(payload).ok().and_then(|chunk| chunk.bytes);
        let Some(inner) = inner.and_then(|inner| STANDARD.decode(inner).ok()) else {
            self.failed = true;
            return;
        };
        self.messages.event(&inner);
        if memchr::memmem::find(&inner, b"\"amazon-bedrock-invocationMetrics\"").is_some() {
            let last = serde_json::from_slice::<Last>(&inner).ok().and_then(|last| last.metrics?.part());
            self.metrics = last.map(|part| reported(part, None)).or(self.metrics.take());
        }
    }

    /// Something was lost on the way.
    pub fn broken(&mut self) {
        self.failed = true;
    }

    /// `complete`: it came to its own end. Anthropic's own usage knows how long its cache was written for.
    pub fn report(self, long: bool, complete: bool) -> Option<Reported> {
        let own = self.messages.report(long, complete).map(|own| Reported { model: None, ..own });
        let own = match (own, self.metrics) {
            (Some(own), None) => Some(own),
            (Some(own), Some(_)) if own.seen == Seen::All => Some(own),
            (_, metrics) => metrics,
        };
        let mut told = self.converse.or(own)?;
        if self.failed {
            told.seen = Seen::SoFar;
        }
        Some(told)
    }
}
