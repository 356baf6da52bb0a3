//! OpenAI's chat completions, responses and embeddings: what a request can cost at most. `answer` reads what it did cost.
//! Bounds come from the bytes of the body, as byte-level tokenizers never make more tokens than bytes; where the body does
//! not show how much is read, the model's longest prompt stands in, or the call has no bound.

pub(super) mod answer;
#[cfg(test)]
mod tests;

use super::ask::{Ask, Bounded, Unpriceable};
use super::llm::body::{Body, find, flag, text_of};
use super::llm::{Api, Extra, Output, Prompt, Request, bounded};
use super::plan::OwnedEdit;
use crate::rules::json::{Kind, NodeRef};
use crate::rules::price::Kind as Token;

/// Kinds of content whose tokens are those of their text.
const TEXT_PARTS: [&str; 7] =
    ["text", "input_text", "output_text", "refusal", "summary_text", "reasoning_text", "encrypted_content"];
/// Items of a responses call whose tokens are those of their JSON.
const TEXT_ITEMS: [&str; 14] = [
    "message",
    "reasoning",
    "compaction",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
    "local_shell_call",
    "local_shell_call_output",
    "shell_call",
    "shell_call_output",
    "apply_patch_call",
    "apply_patch_call_output",
    "computer_call",
];
/// Tools that the caller describes, and runs itself.
const CALLERS_TOOLS: [&str; 2] = ["function", "custom"];
/// Tools that the caller runs, and the vendor describes: with more tokens than the body shows.
const DESCRIBED_TOOLS: [&str; 4] = ["local_shell", "apply_patch", "computer_use_preview", "computer"];
const TOOL_PROMPT: u64 = 3000;

/// The length of a prompt that the body shows, or the field that hides it.
fn prompt(ask: &Ask<'_>, added: u64, hidden: Option<String>) -> Prompt {
    hidden.map_or(Prompt::Tokens((ask.body.len() as u64).saturating_add(added)), Prompt::Most)
}

/// Chat completions.
pub(super) fn chat(ask: &Ask<'_>) -> Result<Bounded, Unpriceable> {
    let body = Body::of(ask)?;
    let stream = body.flag("stream")?;
    let model = body.model()?;
    let limits = ["max_completion_tokens", "max_tokens"];
    let search = body.get("web_search_options").is_some() || model.contains("-search-");
    let hears = find(body.root, &|node| text_of(node, "type") == Some("input_audio") || (node.key() == Some("audio")));
    let speaks = body.get("modalities").is_some() || body.get("audio").is_some();
    let request = Request {
        api: Api::Chat,
        model,
        stream,
        prompt: prompt(ask, 0, hidden_in_messages(&body)),
        reads: 1,
        input_kinds: input_kinds(&body, hears.is_some()),
        output_kinds: if speaks { vec![Token::Output, Token::AudioOutput] } else { vec![Token::Output] },
        fees: Vec::new(),
        extra_output: body.get("prediction").map_or(0, |node| node.span().len() as u64),
        tier: body.text("service_tier")?,
        factors: Vec::new(),
        output: output(&body, &limits, &["/max_completion_tokens", "/max_tokens"], body.count("n")?.unwrap_or(1), 1)?,
        unbounded: (search || tools(&body)?.hosted).then(|| {
            Unpriceable::unbounded("web_search_options", "how often the vendor searches is not in the request")
        }),
    };
    let (hide_usage, edits) = if stream { ask_for_usage(&body)? } else { (false, Vec::new()) };
    let extra = Extra { hide_usage, edits, incomplete: search, ..Extra::default() };
    Ok(bounded(ask, request, extra))
}

/// A stream tells its usage only if asked to; the chunk that tells it is hidden from a caller who did not ask.
fn ask_for_usage(body: &Body<'_>) -> Result<(bool, Vec<OwnedEdit>), Unpriceable> {
    let yes = || "true".to_owned();
    let Some(options) = body.get("stream_options") else {
        let value = r#"{"include_usage":true}"#.to_owned();
        let edit = match body.has("stream_options") {
            true => OwnedEdit::Replace { pointer: "/stream_options", value },
            false => OwnedEdit::Insert { object: "", name: "stream_options", value },
        };
        return Ok((true, vec![edit]));
    };
    if !matches!(options.kind(), Kind::Object) {
        return Err(Unpriceable::BadField { field: "stream_options".to_owned(), why: "it must be an object" });
    }
    Ok(match options.member("include_usage") {
        Some(node) if flag(node) == Some(true) => (false, Vec::new()),
        Some(_) => (true, vec![OwnedEdit::Replace { pointer: "/stream_options/include_usage", value: yes() }]),
        None => (true, vec![OwnedEdit::Insert { object: "/stream_options", name: "include_usage", value: yes() }]),
    })
}

/// The part of the messages whose tokens the body does not show.
fn hidden_in_messages(body: &Body<'_>) -> Option<String> {
    let messages = body.get("messages");
    let messages = messages.iter().flat_map(|list| list.children());
    for (at, message) in messages.enumerate() {
        let parts = message
            .member("content")
            .into_iter()
            .filter(|c| matches!(c.kind(), Kind::Array))
            .flat_map(NodeRef::children);
        let hidden = parts.filter(|part| !is_text(*part)).map(|part| text_of(part, "type").unwrap_or("content")).next();
        let audio = message.member("audio").filter(|node| !node.is_null()).map(|_| "audio");
        if let Some(hidden) = hidden.or(audio) {
            return Some(format!("messages[{at}] {hidden}"));
        }
    }
    None
}

fn is_text(part: NodeRef<'_>) -> bool {
    part.text().is_some() || text_of(part, "type").is_some_and(|kind| TEXT_PARTS.contains(&kind))
}

/// What a token of the prompt may be charged as.
fn input_kinds(body: &Body<'_>, hears: bool) -> Vec<Token> {
    // The vendor writes its cache by itself.
    let mut kinds = vec![Token::Input, Token::CacheWrite];
    let options = body.get("prompt_cache_options");
    let ttl = options.and_then(|options| options.member("ttl")).filter(|ttl| !ttl.is_null());
    if ttl.is_some_and(|ttl| ttl.text() != Some("30m")) {
        kinds.push(Token::CacheWriteLong);
    }
    if hears {
        kinds.push(Token::AudioInput);
    }
    kinds
}

/// The output limit: the largest of the fields that may name it.
fn output(
    body: &Body<'_>,
    fields: &[&'static str],
    pointers: &[&'static str],
    answers: u64,
    floor: u64,
) -> Result<Output, Unpriceable> {
    let mut asked = None;
    let mut there = Vec::new();
    for (field, pointer) in fields.iter().zip(pointers) {
        asked = asked.max(body.count(field)?);
        if body.has(field) {
            there.push(*pointer);
        }
    }
    Ok(Output { asked, answers, floor, there, add: fields[0], none: false, lifted: false })
}

/// Responses.
pub(super) fn responses(ask: &Ask<'_>) -> Result<Bounded, Unpriceable> {
    let body = Body::of(ask)?;
    let tools = tools(&body)?;
    let hidden = match tools.hosted {
        true => Some("tools".to_owned()),
        false => hidden_in_responses(&body),
    };
    let request = Request {
        api: Api::Responses,
        model: body.model()?,
        stream: body.flag("stream")?,
        prompt: prompt(ask, tools.prompt, hidden),
        reads: tools.reads,
        input_kinds: input_kinds(&body, true),
        output_kinds: vec![Token::Output],
        fees: tools.fees,
        extra_output: 0,
        tier: body.text("service_tier")?,
        factors: Vec::new(),
        // The vendor refuses a limit below 16.
        output: output(&body, &["max_output_tokens"], &["/max_output_tokens"], 1, 16)?,
        unbounded: tools.unbounded.or(unbounded_field(&body)),
    };
    Ok(bounded(ask, request, Extra::default()))
}

/// Fields that bring tools of their own, or let the model run more than once.
fn unbounded_field(body: &Body<'_>) -> Option<Unpriceable> {
    let mode = body.get("reasoning").and_then(|reasoning| reasoning.member("mode")).filter(|mode| !mode.is_null());
    let often = mode.is_some_and(|mode| mode.text() != Some("standard")).then_some("reasoning");
    let there = ["prompt", "context_management"].into_iter().find(|field| body.get(field).is_some());
    let why = "how often the model runs for it, and with which tools, is not in the request";
    there.or(often).map(|field| Unpriceable::unbounded(field, why))
}

/// What the vendor's own tools add.
struct Tools {
    /// Some tool is the vendor's: its description is in the prompt, and what it finds.
    hosted: bool,
    /// Tokens by which the vendor describes tools that the caller runs.
    prompt: u64,
    /// How often the prompt is read at most.
    reads: u64,
    fees: Vec<(&'static str, u64)>,
    unbounded: Option<Unpriceable>,
}

fn tools(body: &Body<'_>) -> Result<Tools, Unpriceable> {
    let calls = body.count("max_tool_calls")?;
    let mut tools = Tools { hosted: false, prompt: 0, reads: 1, fees: Vec::new(), unbounded: None };
    // Items of the input can bring tools as well.
    let items = body.get("input").into_iter().flat_map(NodeRef::children);
    let lists = body.get("tools").into_iter().chain(items.filter_map(|item| item.member("tools")));
    for tool in lists.flat_map(NodeRef::children) {
        let kind = text_of(tool, "type").unwrap_or_default();
        if CALLERS_TOOLS.contains(&kind) {
            continue;
        }
        if DESCRIBED_TOOLS.contains(&kind) {
            tools.prompt = tools.prompt.saturating_add(TOOL_PROMPT);
            continue;
        }
        tools.hosted = true;
        let fee = match kind {
            "mcp" => None,
            _ if kind.starts_with("web_search") => Some("web_search"),
            "file_search" => Some("file_search"),
            _ => {
                tools.unbounded = Some(Unpriceable::unbounded(
                    format!("tools: {kind}"),
                    "what one use of this tool costs is not in the request",
                ));
                continue;
            }
        };
        let Some(calls) = calls else {
            tools.unbounded.get_or_insert(Unpriceable::unbounded(
                format!("tools: {kind}"),
                "name `max_tool_calls`, or how often it is used is not bounded",
            ));
            continue;
        };
        tools.reads = tools.reads.max(calls.saturating_add(1));
        tools.fees.extend(fee.filter(|fee| !tools.fees.iter().any(|(own, _)| own == fee)).map(|fee| (fee, calls)));
    }
    Ok(tools)
}

fn hidden_in_responses(body: &Body<'_>) -> Option<String> {
    for field in ["previous_response_id", "conversation"] {
        if body.get(field).is_some() {
            return Some(field.to_owned());
        }
    }
    let input = body.get("input").filter(|input| matches!(input.kind(), Kind::Array));
    let hidden =
        input.iter().flat_map(|list| list.children()).enumerate().find_map(|(at, item)| Some((at, hidden_item(item)?)));
    hidden.map(|(at, kind)| format!("input[{at}] {kind}"))
}

/// The kind of an item, or of a part of it, whose tokens the body does not show.
fn hidden_item(item: NodeRef<'_>) -> Option<&str> {
    // Without a kind it is a message if somebody says it, else the name of something that lies at the vendor.
    let kind =
        text_of(item, "type").unwrap_or(if item.member("role").is_some() { "message" } else { "item_reference" });
    // Reasoning that is not sent along is put back by the vendor, who has kept it.
    let kept = kind == "reasoning" && text_of(item, "encrypted_content").is_none();
    if kept || !TEXT_ITEMS.contains(&kind) {
        return Some(kind);
    }
    let lists = [item.member("content"), item.member("output")].into_iter().flatten();
    let mut parts = lists.filter(|node| matches!(node.kind(), Kind::Array)).flat_map(NodeRef::children);
    let hidden = parts.find(|part| text_of(*part, "type").is_none_or(|kind| !TEXT_PARTS.contains(&kind)));
    hidden.map(|part| text_of(part, "type").unwrap_or("content"))
}

/// Embeddings.
pub(super) fn embeddings(ask: &Ask<'_>) -> Result<Bounded, Unpriceable> {
    let body = Body::of(ask)?;
    let request = Request {
        api: Api::Embeddings,
        model: body.model()?,
        stream: false,
        prompt: Prompt::Several(ask.body.len() as u64),
        reads: 1,
        input_kinds: vec![Token::Input],
        output_kinds: Vec::new(),
        fees: Vec::new(),
        extra_output: 0,
        tier: Some("standard"),
        factors: Vec::new(),
        output: Output { asked: None, answers: 1, floor: 0, there: Vec::new(), add: "", none: true, lifted: false },
        unbounded: None,
    };
    Ok(bounded(ask, request, Extra::default()))
}
