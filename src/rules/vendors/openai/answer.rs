//! What OpenAI's answers say of their cost: plain bodies and stream events, taken apart into tokens that do not overlap.
//! In a stream the last usage counts; usages are never added up. Prices nothing; `llm` does.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::super::llm::{Part, Reported, Seen};
use crate::rules::price::{Kind, Tokens};

#[derive(Deserialize)]
struct Chat {
    id: Option<String>,
    model: Option<String>,
    service_tier: Option<String>,
    usage: Option<ChatUsage>,
    choices: Option<Vec<IgnoredAny>>,
}

#[derive(Deserialize)]
struct ChatUsage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<InputDetails>,
    completion_tokens_details: Option<OutputDetails>,
}

#[derive(Deserialize, Default)]
struct InputDetails {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
    cache_write_tokens_details: Option<WriteDetails>,
    audio_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct WriteDetails {
    ttl_12h_tokens: Option<u64>,
}

#[derive(Deserialize, Default)]
struct OutputDetails {
    reasoning_tokens: Option<u64>,
    audio_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct Response {
    id: Option<String>,
    model: Option<String>,
    service_tier: Option<String>,
    usage: Option<ResponseUsage>,
    #[serde(default)]
    output: Vec<Item>,
}

#[derive(Deserialize)]
struct ResponseEvent {
    response: Option<Response>,
}

#[derive(Deserialize)]
struct ResponseUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    input_tokens_details: Option<InputDetails>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(rename = "type")]
    kind: Option<String>,
    action: Option<Action>,
    container_id: Option<String>,
}

#[derive(Deserialize)]
struct Action {
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// Items of an answer that cost nothing beside the tokens, or a fee that is counted here.
const PRICED_ITEMS: [&str; 19] = [
    "message",
    "reasoning",
    "compaction",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
    "web_search_call",
    "file_search_call",
    "code_interpreter_call",
    "mcp_list_tools",
    "mcp_call",
    "mcp_approval_request",
    "computer_call",
    "local_shell_call",
    "apply_patch_call",
    "tool_search_call",
    "program",
    "program_output",
];

/// The vendor's sums, taken apart: cached, written and audio tokens are parts of the prompt, audio of the answer.
fn part(prompt: u64, answer: u64, input: &InputDetails, output: &OutputDetails) -> Part {
    let of = |count: Option<u64>| count.unwrap_or(0);
    let (cached, written, heard) = (of(input.cached_tokens), of(input.cache_write_tokens), of(input.audio_tokens));
    let long = input.cache_write_tokens_details.as_ref().map_or(0, |d| of(d.ttl_12h_tokens)).min(written);
    let spoken = of(output.audio_tokens);
    let tokens = Tokens::default()
        .with(Kind::Input, prompt.saturating_sub(cached).saturating_sub(written).saturating_sub(heard))
        .with(Kind::CacheRead, cached)
        .with(Kind::CacheWrite, written - long)
        .with(Kind::CacheWriteLong, long)
        .with(Kind::AudioInput, heard)
        .with(Kind::Output, answer.saturating_sub(spoken))
        .with(Kind::AudioOutput, spoken);
    Part { model: None, tokens, reasoning: of(output.reasoning_tokens) }
}

impl Chat {
    /// Only embeddings have no completion tokens; a usage without prompt tokens says nothing.
    fn report(self, seen: Seen, speaks: bool) -> Option<Reported> {
        let usage = self.usage?;
        let input = usage.prompt_tokens_details.unwrap_or_default();
        let output = usage.completion_tokens_details.unwrap_or_default();
        let answer = if speaks { usage.completion_tokens? } else { usage.completion_tokens.unwrap_or(0) };
        let part = part(usage.prompt_tokens?, answer, &input, &output);
        let (id, model, tier) = (self.id, self.model, self.service_tier);
        Some(Reported { id, model, tier, parts: vec![part], seen, ..Reported::default() })
    }
}

impl Response {
    fn report(self) -> Option<Reported> {
        let usage = self.usage?;
        let input = usage.input_tokens_details.unwrap_or_default();
        let output = usage.output_tokens_details.unwrap_or_default();
        let part = part(usage.input_tokens?, usage.output_tokens?, &input, &output);
        let (fees, seen) = fees(&self.output);
        let (id, model, tier) = (self.id, self.model, self.service_tier);
        Some(Reported { id, model, tier, parts: vec![part], fees, seen, ..Reported::default() })
    }
}

/// Uses of the vendor's tools. A picture that was drawn is charged beside the usage, which then is not all; so may
/// anything be that is not known here.
fn fees(output: &[Item]) -> (Vec<(&'static str, u64)>, Seen) {
    let of = |kind: &str| output.iter().filter(|item| item.kind.as_deref() == Some(kind)).collect::<Vec<_>>();
    let searched = |item: &&Item| {
        let kind = item.action.as_ref().and_then(|action| action.kind.as_deref());
        // Opening a page that was found is part of the search.
        kind.is_none_or(|kind| kind == "search")
    };
    let searches = of("web_search_call").into_iter().filter(searched).count();
    let mut containers: Vec<_> = of("code_interpreter_call").iter().map(|item| item.container_id.clone()).collect();
    containers.sort_unstable();
    containers.dedup();
    let counts = [
        ("web_search", searches),
        ("file_search", of("file_search_call").len()),
        ("code_interpreter", containers.len()),
    ];
    let fees = counts.into_iter().filter(|(_, count)| *count > 0).map(|(tool, count)| (tool, count as u64)).collect();
    let priced = |item: &Item| item.kind.as_deref().is_some_and(|kind| PRICED_ITEMS.contains(&kind));
    (fees, if output.iter().all(priced) { Seen::All } else { Seen::SoFar })
}

/// A plain answer of chat completions.
pub(in super::super) fn chat(body: &[u8]) -> Option<Reported> {
    serde_json::from_slice::<Chat>(body).ok()?.report(Seen::All, true)
}

/// An answer of embeddings.
pub(in super::super) fn embedding(body: &[u8]) -> Option<Reported> {
    serde_json::from_slice::<Chat>(body).ok()?.report(Seen::All, false)
}

/// A plain answer of responses.
pub(in super::super) fn response(body: &[u8]) -> Option<Reported> {
    serde_json::from_slice::<Response>(body).ok()?.report()
}

/// One event of a chat stream: what it reports, and whether it carries nothing else.
pub(in super::super) fn chat_event(data: &[u8]) -> Option<(Reported, bool)> {
    if !has_usage(data) {
        return None;
    }
    let chunk: Chat = serde_json::from_slice(data).ok()?;
    let alone = chunk.choices.as_ref().is_none_or(Vec::is_empty);
    // Vendors that repeat a growing usage put it beside choices: there more may follow.
    let seen = if alone { Seen::All } else { Seen::SoFar };
    chunk.report(seen, true).map(|reported| (reported, alone))
}

/// One event of a responses stream.
pub(in super::super) fn response_event(data: &[u8]) -> Option<Reported> {
    if !has_usage(data) {
        return None;
    }
    serde_json::from_slice::<ResponseEvent>(data).ok()?.response?.report()
}

/// Is there a usage other than null? Inside of a text the quotes would be escaped, so this finds members alone.
pub(in super::super) fn has_usage(data: &[u8]) -> bool {
    static NAME: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"usage\""));
    NAME.find_iter(data).any(|at| {
        let behind = data[at + NAME.needle().len()..].trim_ascii_start();
        behind.strip_prefix(b":").is_some_and(|value| !value.trim_ascii_start().starts_with(b"null"))
    })
}
