//! What OpenAI's answers say of their cost, and those of all who speak alike: plain bodies and stream events. `usage` takes
//! their sums apart. In a stream the last usage counts; usages are never added up. Prices nothing; `llm` does.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::super::dialect::Dialect;
use super::super::llm::{Fee, Part, Reported, Seen};
use super::usage::{ChatUsage, ResponseUsage};

#[derive(Deserialize)]
struct Chat {
    id: Option<String>,
    model: Option<String>,
    service_tier: Option<String>,
    usage: Option<ChatUsage>,
    choices: Option<Vec<IgnoredAny>>,
    error: Option<IgnoredAny>,
    /// Groq's place for the usage of a stream, and of several models' runs.
    x_groq: Option<Groq>,
    usage_breakdown: Option<Breakdown>,
}

#[derive(Deserialize)]
struct Groq {
    id: Option<String>,
    usage: Option<ChatUsage>,
    usage_breakdown: Option<Breakdown>,
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Breakdown {
    models: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    model: String,
    usage: ChatUsage,
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

impl Chat {
    fn report(self, dialect: Dialect, seen: Seen, speaks: bool) -> Option<Reported> {
        let (groq_id, groq_usage, groq_runs) =
            self.x_groq.map_or((None, None, None), |groq| (groq.id, groq.usage, groq.usage_breakdown));
        let usage = self.usage.or(groq_usage)?;
        let whole = usage.part(dialect, speaks)?;
        let runs = self.usage_breakdown.or(groq_runs).map_or(Vec::new(), |breakdown| breakdown.models);
        let runs: Option<Vec<Part>> = runs
            .into_iter()
            .map(|run| Some(Part { model: Some(run.model), ..run.usage.part(dialect, speaks)? }))
            .collect();
        let parts = runs.filter(|runs| !runs.is_empty()).unwrap_or_else(|| vec![whole]);
        let tier = usage.service_tier.clone().or(self.service_tier);
        // Groq's tiers differ in speed, not in price.
        let one_price = |tier: &str| dialect == Dialect::Groq && matches!(tier, "auto" | "flex" | "on_demand");
        let tier = tier.map(|tier| if one_price(&tier) { "standard".to_owned() } else { tier });
        let (id, model, billed) = (self.id.or(groq_id), self.model, usage.billed());
        let fees = if dialect == Dialect::Perplexity { usage.searched() } else { Vec::new() };
        // What a search costs beside the tokens, only the vendor's own sum says.
        let seen = if dialect == Dialect::Perplexity && billed.is_none() { Seen::SoFar } else { seen };
        Some(Reported { id, model, tier, parts, fees, billed, seen, ..Reported::default() })
    }
}

impl Response {
    fn report(self) -> Option<Reported> {
        let usage = self.usage?;
        let (part, billed) = (usage.part()?, usage.billed());
        let (fees, seen) = fees(&self.output);
        let (id, model, tier) = (self.id, self.model, self.service_tier);
        // A sum of the vendor's own holds everything.
        let seen = if billed.is_some() { Seen::All } else { seen };
        Some(Reported { id, model, tier, parts: vec![part], fees, billed, seen, ..Reported::default() })
    }
}

/// Uses of the vendor's tools. A picture that was drawn is charged beside the usage, which then is not all; so may
/// anything be that is not known here.
fn fees(output: &[Item]) -> (Vec<Fee>, Seen) {
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
    let fees =
        counts.into_iter().filter(|(_, count)| *count > 0).map(|(tool, count)| (tool.into(), count as u64)).collect();
    let priced = |item: &Item| item.kind.as_deref().is_some_and(|kind| PRICED_ITEMS.contains(&kind));
    (fees, if output.iter().all(priced) { Seen::All } else { Seen::SoFar })
}

/// A plain answer of chat completions.
pub(in super::super) fn chat(body: &[u8], dialect: Dialect) -> Option<Reported> {
    serde_json::from_slice::<Chat>(body).ok()?.report(dialect, Seen::All, true)
}

/// An answer of embeddings.
pub(in super::super) fn embedding(body: &[u8], dialect: Dialect) -> Option<Reported> {
    serde_json::from_slice::<Chat>(body).ok()?.report(dialect, Seen::All, false)
}

/// A plain answer of responses.
pub(in super::super) fn response(body: &[u8]) -> Option<Reported> {
    serde_json::from_slice::<Response>(body).ok()?.report()
}

/// What one event of a chat stream says.
#[derive(Debug)]
pub(in super::super) struct ChatEvent {
    pub reported: Option<Reported>,
    /// It carries a usage and nothing else.
    pub alone: bool,
    pub failed: bool,
}

/// One event of a chat stream, if it says anything of the cost.
pub(in super::super) fn chat_event(data: &[u8], dialect: Dialect) -> Option<ChatEvent> {
    if !has_usage(data) && !may_have_failed(data) {
        return None;
    }
    let chunk: Chat = serde_json::from_slice(data).ok()?;
    let alone = chunk.choices.as_ref().is_none_or(Vec::is_empty);
    let failed = chunk.error.is_some() || chunk.x_groq.as_ref().is_some_and(|groq| groq.error.is_some());
    // Vendors that repeat a growing usage put it beside choices: there more may follow.
    let seen = if alone && !failed { Seen::All } else { Seen::SoFar };
    let reported = chunk.report(dialect, seen, true);
    Some(ChatEvent { alone: alone && reported.is_some(), reported, failed })
}

fn may_have_failed(data: &[u8]) -> bool {
    static NAME: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"error\""));
    NAME.find(data).is_some()
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
