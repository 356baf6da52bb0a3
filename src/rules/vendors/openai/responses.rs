//! OpenAI's responses: what a request can cost at most. Items and tools of the vendor's bring text that the body does not
//! show; those are bounded by the model's longest prompt, or have no bound. `answer` reads what it did cost.

use super::super::ask::{Ask, Bounded, Unpriceable};
use super::super::llm::body::{Body, text_of};
use super::super::llm::image::Pictures;
use super::super::llm::{Api, Extra, Fee, Prompt, Request, bounded};
use super::{TEXT_PARTS, input_kinds, model, output, picture, prompt};
use crate::rules::json::{Kind, NodeRef};
use crate::rules::price::Kind as Token;

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
const BEFORE: &str = "previous_response_id";

/// Responses.
pub(in super::super) fn responses(ask: &Ask<'_>) -> Result<Bounded, Unpriceable> {
    let body = Body::of(ask)?;
    let tools = tools(&body)?;
    let (model, mut pictures) = (model(ask, &body)?, Pictures::default());
    let hidden = match tools.hosted {
        true => None,
        false => hidden_in_responses(&body, &picture::Reader::of(ask, model), &mut pictures),
    };
    let before = before(ask, &body, model)?;
    let hidden = if before.is_none() { Some(BEFORE.to_owned()) } else { hidden };
    let prompt = match tools.hosted {
        true => Prompt::Grows("tools".to_owned()),
        false => prompt(ask, tools.prompt.saturating_add(before.unwrap_or(0)), hidden, pictures),
    };
    let request = Request {
        api: Api::Responses,
        model,
        stream: body.flag("stream")?,
        prompt,
        reads: tools.reads,
        input_kinds: input_kinds(&body, true),
        output_kinds: vec![Token::Output],
        fees: tools.fees,
        units: Vec::new(),
        extra_output: 0,
        tier: body.text("service_tier")?,
        factors: Vec::new(),
        // The vendor refuses a limit below 16.
        output: output(&body, &["max_output_tokens"], &["/max_output_tokens"], 1, 16)?,
        unbounded: tools.unbounded.or(unbounded_field(&body)),
    };
    Ok(bounded(ask, request, Extra::default()))
}

/// Tokens of the responses that this one goes on from; `None` if they were not seen here, by this model.
fn before(ask: &Ask<'_>, body: &Body<'_>, model: &str) -> Result<Option<u64>, Unpriceable> {
    let Some(id) = body.text(BEFORE)? else { return Ok(Some(0)) };
    let row = ask.prices.find(&ask.vendor.prices, model);
    Ok(row.and_then(|row| (ask.remembered)(id, &row.id)))
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
pub(super) struct Tools {
    /// Some tool is the vendor's: its description is in the prompt, and what it finds.
    pub hosted: bool,
    /// Tokens by which the vendor describes tools that the caller runs.
    prompt: u64,
    /// How often the prompt is read at most.
    reads: u64,
    fees: Vec<Fee>,
    unbounded: Option<Unpriceable>,
}

pub(super) fn tools(body: &Body<'_>) -> Result<Tools, Unpriceable> {
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
        tools
            .fees
            .extend(fee.filter(|fee| !tools.fees.iter().any(|(own, _)| own == fee)).map(|fee| (fee.into(), calls)));
    }
    Ok(tools)
}

fn hidden_in_responses(body: &Body<'_>, reader: &picture::Reader, pictures: &mut Pictures) -> Option<String> {
    // Others may have added to it.
    if body.get("conversation").is_some() {
        return Some("conversation".to_owned());
    }
    let input = body.get("input").filter(|input| matches!(input.kind(), Kind::Array));
    let mut items = input.iter().flat_map(|list| list.children()).enumerate();
    let hidden = items.find_map(|(at, item)| Some((at, hidden_item(item, reader, pictures)?)));
    hidden.map(|(at, kind)| format!("input[{at}] {kind}"))
}

/// The kind of an item, or of a part of it, whose tokens the body does not show.
fn hidden_item<'d>(item: NodeRef<'d>, reader: &picture::Reader, pictures: &mut Pictures) -> Option<&'d str> {
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
    let text = |part: NodeRef<'_>| text_of(part, "type").is_some_and(|kind| TEXT_PARTS.contains(&kind));
    let hidden = parts.find(|part| !text(*part) && !reader.counts(*part, pictures));
    hidden.map(|part| text_of(part, "type").unwrap_or("content"))
}
