//! Bedrock's converse and invoke, plain and as streams: what a request can cost at most. `answer` reads what it did cost. The
//! model stands in the path, and prices go by that name, as the place is part of it. Bodies of models that are not read here
//! are bounded by the model's most.

pub(super) mod answer;

use http::HeaderMap;

use super::anthropic;
use super::ask::{Ask, Bounded, Unpriceable};
use super::llm::body::{Body, count, text_of};
use super::llm::image::{Pictures, Size};
use super::llm::{Add, Api, Extra, Output, Prompt, Request, bounded, most_tokens};
use crate::rules::json::{Kind, NodeRef};
use crate::rules::price::Kind as Token;

/// Kinds of content whose tokens are those of their JSON.
const TEXT_BLOCKS: [&str; 6] = ["text", "toolUse", "toolResult", "reasoningContent", "cachePoint", "searchResult"];
/// Fields of a converse call that cost beside the tokens, or let something be read that the body does not show.
const DEAR: [&str; 4] = ["guardrailConfig", "promptVariables", "performanceConfig", "additionalModelRequestFields"];
/// What templates and tools' descriptions may add.
const TEMPLATE: u64 = 800;

fn model<'a>(ask: &'a Ask<'_>) -> Result<&'a str, Unpriceable> {
    let missing = Unpriceable::BadField { field: "model".to_owned(), why: "the path must name one" };
    ask.args.in_path("model").filter(|model| !model.is_empty()).ok_or(missing)
}

fn streams(ask: &Ask<'_>) -> bool {
    ask.operation.is_some_and(|operation| operation.name.ends_with("-stream"))
}

/// A header of invoke's that stands for a field of converse's.
const TIER: &str = "x-amzn-bedrock-service-tier";
const GUARD: &str = "x-amzn-bedrock-guardrailidentifier";
const LATENCY: &str = "x-amzn-bedrock-performanceconfig-latency";

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}

/// The service tier that a call of invoke asks for, or that its answer was served in.
pub(super) fn tier(headers: &HeaderMap) -> Option<&str> {
    text(headers, TIER)
}

/// Was it served faster, at a price that no list here has?
pub(super) fn is_hurried(headers: &HeaderMap) -> bool {
    text(headers, LATENCY) == Some("optimized")
}

/// Does a guardrail look at it, which is charged beside the tokens?
pub(super) fn is_guarded(headers: &HeaderMap) -> bool {
    headers.contains_key(GUARD)
}

/// A header of invoke's that costs beside the tokens, or makes them dearer.
pub(super) fn dear_header(ask: &Ask<'_>) -> Option<Unpriceable> {
    let dear = |name: &&str| text(ask.headers, name).is_some_and(|value| value != "standard");
    [GUARD, LATENCY].into_iter().find(dear).map(|name| Unpriceable::unbounded(name, DEAR_WHY))
}

const DEAR_WHY: &str = "what it adds to the cost is not in the request";

/// A prompt that lies at the vendor brings text, limits and a model of its own.
fn kept_prompt(ask: &Ask<'_>) -> Option<Unpriceable> {
    let kept = ask.args.in_path("model").is_some_and(|model| model.contains(":prompt/"));
    kept.then(|| Unpriceable::unbounded("modelId", "the prompt and its limit lie at the vendor"))
}

/// Converse.
pub(super) fn converse(ask: &Ask<'_>) -> Result<Bounded, Unpriceable> {
    let body = Body::camel(ask)?;
    let config = body.get("inferenceConfig");
    if let Some(config) = config {
        Body::spelled(config, &["maxTokens"])?;
    }
    let limit = config.and_then(|config| config.member("maxTokens"));
    let bad = || Unpriceable::BadField { field: "maxTokens".to_owned(), why: "it must be a whole number" };
    let asked = limit.filter(|node| !node.is_null()).map(|node| count(node).ok_or_else(bad)).transpose()?;
    let mut pictures = Pictures::default();
    let hidden = hidden(&body, &mut pictures);
    let text = most_tokens(ask.body).saturating_sub(pictures.bytes).saturating_add(pictures.tokens);
    let long = find_ttl(body.root);
    let dear = DEAR.into_iter().find(|field| body.root.member(field).is_some_and(|node| !is_cheap(field, node)));
    let request = Request {
        api: Api::Converse,
        model: model(ask)?,
        stream: streams(ask),
        prompt: hidden.map_or(Prompt::Tokens(text.saturating_add(TEMPLATE)), Prompt::Most),
        reads: 1,
        input_kinds: if long {
            vec![Token::Input, Token::CacheWrite, Token::CacheWriteLong]
        } else {
            vec![Token::Input, Token::CacheWrite]
        },
        output_kinds: vec![Token::Output],
        fees: Vec::new(),
        units: Vec::new(),
        extra_output: 0,
        tier: body.get("serviceTier").and_then(|tier| text_of(tier, "type")).or(Some("standard")),
        factors: Vec::new(),
        output: Output {
            asked,
            answers: 1,
            floor: thinking(&body),
            there: if limit.is_some() { vec!["/inferenceConfig/maxTokens"] } else { Vec::new() },
            add: match config {
                Some(_) => Add { object: "/inferenceConfig", name: "maxTokens", inner: None },
                None => Add { object: "", name: "inferenceConfig", inner: Some("maxTokens") },
            },
            none: false,
            ..Output::SILENT
        },
        unbounded: dear.map(|field| Unpriceable::unbounded(field, DEAR_WHY)).or_else(|| kept_prompt(ask)),
    };
    Ok(bounded(ask, request, Extra { incomplete: dear == Some("guardrailConfig"), ..Extra::default() }))
}

/// Does such a field name only what changes no price and hides no text: the usual latency, and thinking, which is inside of the
/// answer's limit?
fn is_cheap(field: &str, node: NodeRef<'_>) -> bool {
    let only = |keys: &[&str]| {
        let known = |child: NodeRef<'_>| child.key().is_some_and(|key| keys.contains(&key));
        matches!(node.kind(), Kind::Object) && node.children().all(known)
    };
    match field {
        _ if node.is_null() => true,
        "performanceConfig" => only(&["latency"]) && node.children().all(|latency| latency.text() == Some("standard")),
        "additionalModelRequestFields" => only(&["thinking", "top_k"]),
        _ => false,
    }
}

/// An answer must be longer than its thinking may be.
fn thinking(body: &Body<'_>) -> u64 {
    let fields = body.get("additionalModelRequestFields");
    let budget = fields.and_then(|fields| fields.member("thinking")?.member("budget_tokens")).and_then(count);
    budget.map_or(1, |budget| budget.saturating_add(1))
}

/// Is some part of the prompt cached for the longer time?
fn find_ttl(node: NodeRef<'_>) -> bool {
    let long = |node: NodeRef<'_>| node.key() == Some("ttl") && node.text() == Some("1h");
    super::llm::body::find(node, &long).is_some()
}

/// The kind of the first block whose tokens the body does not show; pictures that stand in it are counted.
fn hidden(body: &Body<'_>, pictures: &mut Pictures) -> Option<String> {
    let messages = body.get("messages");
    let messages = messages.iter().flat_map(|list| list.children()).filter_map(|message| message.member("content"));
    let mut blocks = messages.chain(body.get("system")).flat_map(NodeRef::children);
    blocks.find_map(|block| hidden_block(block, pictures))
}

fn hidden_block(block: NodeRef<'_>, pictures: &mut Pictures) -> Option<String> {
    block.children().find_map(|field| match field.key().unwrap_or_default() {
        "toolResult" => {
            let inner = field.member("content").into_iter().flat_map(NodeRef::children);
            inner.into_iter().find_map(|block| hidden_result(block, pictures))
        }
        kind if TEXT_BLOCKS.contains(&kind) => None,
        "image" if counted(field, pictures) => None,
        kind => Some(kind.to_owned()),
    })
}

fn hidden_result(block: NodeRef<'_>, pictures: &mut Pictures) -> Option<String> {
    if block.member("json").is_some() { None } else { hidden_block(block, pictures) }
}

fn counted(image: NodeRef<'_>, pictures: &mut Pictures) -> bool {
    let data = image.member("source").and_then(|source| source.member("bytes"));
    // The larger of what the families here make of a picture.
    let most = |size: Size| (size.area() / 600).saturating_add(200).clamp(2240, 8000);
    data.is_some_and(|data| pictures.add(data, most))
}

/// A model's own body. Anthropic's is read as such; of any other, the longest answer is held.
pub(super) fn invoke(ask: &Ask<'_>) -> Result<Bounded, Unpriceable> {
    let model = model(ask)?;
    if model.contains("anthropic.") {
        return anthropic::invoked(ask, streams(ask));
    }
    let none = model.contains("embed") || model.contains("rerank");
    let request = Request {
        api: Api::Invoke,
        model,
        stream: streams(ask),
        prompt: Prompt::Most("body".to_owned()),
        reads: 1,
        input_kinds: vec![Token::Input, Token::CacheWrite],
        output_kinds: vec![Token::Output],
        fees: Vec::new(),
        units: Vec::new(),
        extra_output: 0,
        tier: tier(ask.headers).or(Some("standard")),
        factors: Vec::new(),
        output: Output { asked: Some(u64::MAX), answers: 1, none, fixed: true, ..Output::SILENT },
        unbounded: dear_header(ask).or_else(|| kept_prompt(ask)),
    };
    Ok(bounded(ask, request, Extra { incomplete: is_guarded(ask.headers), ..Extra::default() }))
}
