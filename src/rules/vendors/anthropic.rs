//! Anthropic's messages: what a request can cost at most. `answer` reads what it did cost. The tokenizer may normalise its
//! text, so that some characters count more than their bytes; where the body does not show how much is read, the model's
//! longest prompt stands in, or the call has no bound.

pub(super) mod answer;
#[cfg(test)]
mod tests;

use super::ask::{Ask, Bounded, Unpriceable};
use super::bedrock;
use super::llm::body::{Body, count, find, text_of};
use super::llm::image::Pictures;
use super::llm::{Add, Api, Extra, FAST, Fee, Output, Prompt, Request, bounded, most_tokens};
use crate::rules::json::{Kind, NodeRef};
use crate::rules::price::Kind as Token;

/// No picture is more.
const PICTURE: u64 = 8000;
/// What the vendor adds to a prompt that offers tools; and for each tool that it describes itself.
const TOOL_PROMPT: u64 = 600;
const BUILT_IN_TOOL_PROMPT: u64 = 3000;
/// The one kind of search that the model alone starts. Others may be started by code that the vendor runs, and the model
/// reads after each run.
const DIRECT_SEARCH: &str = "web_search_20250305";
/// Kinds of content that offer tools in the middle of a conversation.
const TOOL_BLOCKS: [&str; 2] = ["tool_addition", "mcp_tool_listing"];
/// Kinds of content whose tokens are those of their JSON.
const TEXT_BLOCKS: [&str; 8] = [
    "text",
    "thinking",
    "redacted_thinking",
    "tool_use",
    "server_tool_use",
    "tool_result",
    "search_result",
    "web_search_tool_result",
];
/// Tools of the vendor's that the caller runs, by the beginning of their kind.
const OWN_TOOLS: [&str; 3] = ["bash_", "text_editor_", "memory_"];

/// Messages.
pub(super) fn messages(ask: &Ask<'_>) -> Result<Bounded, Unpriceable> {
    of(ask, Api::Messages, false)
}

/// The same as Bedrock takes them: a stream is another operation there.
pub(super) fn invoked(ask: &Ask<'_>, streams: bool) -> Result<Bounded, Unpriceable> {
    of(ask, Api::Invoke, streams)
}

fn of(ask: &Ask<'_>, api: Api, streams: bool) -> Result<Bounded, Unpriceable> {
    let body = Body::of(ask)?;
    // Bedrock says in headers what its other calls say in the body.
    let invoke = (api == Api::Invoke).then_some(ask);
    let tools = tools(&body);
    let cache = Cache::of(&body);
    let geo = body.text("inference_geo")?;
    let speed = body.text("speed")?;
    let mut factors = Vec::new();
    // Where no place is named, the workspace's own setting decides.
    factors.extend(geo.is_none_or(|geo| geo == "us").then_some("geo.us"));
    factors.extend((speed == Some("fast")).then_some(FAST));
    factors.extend(regional(ask));
    // Vertex and Bedrock name the model in the path.
    let model = ask.args.in_path("model").map_or_else(|| body.model(), Ok)?;
    let mut pictures = Pictures::default();
    let hidden = match tools.reads > 1 {
        true => Some("tools".to_owned()),
        false => hidden_content(&body, &mut pictures),
    };
    let schema = ["output_config", "output_format"].iter().any(|field| body.get(field).is_some());
    let added = tools.prompt.saturating_add(if schema { TOOL_PROMPT } else { 0 });
    let text = most_tokens(ask.body).saturating_sub(pictures.bytes);
    let text = text.saturating_add(pictures.tokens).saturating_add(added);
    let output = output(&body)?;
    let request = Request {
        api,
        model,
        stream: streams || body.flag("stream")?,
        prompt: hidden.map_or(Prompt::Tokens(text), Prompt::Most),
        reads: tools.reads,
        input_kinds: cache.kinds(),
        output_kinds: vec![Token::Output],
        fees: tools.fees,
        units: Vec::new(),
        // Thinking between tools may have a budget above the limit.
        extra_output: output.floor.saturating_sub(1).saturating_mul(u64::from(output.asked < Some(output.floor))),
        // The priority tier is paid in advance; its tokens cost what the standard tier's do.
        tier: invoke.and_then(|ask| bedrock::tier(ask.headers)).or(Some("standard")),
        factors,
        output,
        unbounded: tools.unbounded.or(unbounded_field(&body)).or(invoke.and_then(bedrock::dear_header)),
    };
    let extra = Extra {
        geo: geo.map(Into::into),
        speed: speed.map(Into::into),
        long_cache: cache == Cache::Long,
        // The time of a container stands in no usage.
        incomplete: tools.runs_code
            || body.get("container").is_some()
            || invoke.is_some_and(|ask| bedrock::is_guarded(ask.headers)),
        place: regional(ask),
        ..Extra::default()
    };
    Ok(bounded(ask, request, extra))
}

/// Vertex charges more for a place of one's own than for `global`.
pub(super) fn regional(ask: &Ask<'_>) -> Option<&'static str> {
    ask.args.in_path("location").is_some_and(|place| place != "global").then_some("host.regional")
}

/// The cache that a request writes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cache {
    None,
    Short,
    Long,
}

impl Cache {
    fn of(body: &Body<'_>) -> Self {
        let control = |node: NodeRef<'_>| node.key() == Some("cache_control") && !node.is_null();
        let lasting =
            |node: NodeRef<'_>| control(node) && node.member("ttl").is_some_and(|ttl| ttl.text() != Some("5m"));
        match find(body.root, &control) {
            None => Self::None,
            Some(_) if find(body.root, &lasting).is_some() => Self::Long,
            Some(_) => Self::Short,
        }
    }

    fn kinds(self) -> Vec<Token> {
        match self {
            Self::None => vec![Token::Input],
            Self::Short => vec![Token::Input, Token::CacheWrite],
            Self::Long => vec![Token::Input, Token::CacheWrite, Token::CacheWriteLong],
        }
    }
}

/// `max_tokens`, and the thinking budget below which it must not be lowered.
fn output(body: &Body<'_>) -> Result<Output, Unpriceable> {
    let thinking = body.get("thinking").and_then(|node| node.member("budget_tokens")).and_then(count);
    let there = if body.has("max_tokens") { vec!["/max_tokens"] } else { Vec::new() };
    let asked = body.count("max_tokens")?;
    Ok(Output {
        asked,
        answers: 1,
        floor: thinking.map_or(0, |budget| budget.saturating_add(1)),
        there,
        add: Add::root("max_tokens"),
        none: false,
        lifted: asked.is_some(),
        fixed: false,
    })
}

/// Fields that start runs of other models, or loops whose length nobody names.
fn unbounded_field(body: &Body<'_>) -> Option<Unpriceable> {
    for field in ["mcp_servers", "container", "compaction", "context_management", "fallbacks", "thread"] {
        if body.get(field).is_some() {
            return Some(Unpriceable::unbounded(field, "how often a model runs for it is not in the request"));
        }
    }
    let offers = |node: NodeRef<'_>| text_of(node, "type").is_some_and(|kind| TOOL_BLOCKS.contains(&kind));
    let offer = body.get("messages").and_then(|messages| find(messages, &offers));
    offer.map(|_| Unpriceable::unbounded("messages", "a tool is offered among them, and what it costs is not known"))
}

/// What tools add to a call.
struct Tools {
    prompt: u64,
    reads: u64,
    fees: Vec<Fee>,
    /// In a container of the vendor's.
    runs_code: bool,
    unbounded: Option<Unpriceable>,
}

fn tools(body: &Body<'_>) -> Tools {
    let mut tools = Tools { prompt: 0, reads: 1, fees: Vec::new(), runs_code: false, unbounded: None };
    let list = body.get("tools");
    for tool in list.iter().flat_map(|list| list.children()) {
        tools.prompt = tools.prompt.max(TOOL_PROMPT);
        tools.add(tool, text_of(tool, "type").unwrap_or("custom"));
    }
    tools
}

impl Tools {
    fn add(&mut self, tool: NodeRef<'_>, kind: &str) {
        if kind == "custom" {
            return;
        }
        self.prompt = self.prompt.saturating_add(BUILT_IN_TOOL_PROMPT);
        if OWN_TOOLS.iter().any(|own| kind.starts_with(own)) || kind.starts_with("computer_") {
            return;
        }
        self.runs_code |= kind.starts_with("code_execution");
        let uses = tool.member("max_uses").and_then(count);
        match uses.filter(|_| searches_directly(tool, kind)) {
            Some(uses) => {
                self.reads = self.reads.saturating_add(uses);
                self.fees.push(("web_search".into(), uses));
            }
            None => {
                self.unbounded.get_or_insert(Unpriceable::unbounded(
                    format!("tools: {kind}"),
                    "how often it is used, or what one use costs, is not in the request",
                ));
            }
        }
    }
}

fn searches_directly(tool: NodeRef<'_>, kind: &str) -> bool {
    let callers = tool.member("allowed_callers").into_iter().flat_map(NodeRef::children);
    let direct = callers.map(|caller| caller.text() == Some("direct")).reduce(|a, b| a && b).unwrap_or(false);
    kind == DIRECT_SEARCH || (kind.starts_with("web_search_") && direct)
}

/// The part of system and messages whose tokens the body does not show.
fn hidden_content(body: &Body<'_>, pictures: &mut Pictures) -> Option<String> {
    let messages = body.get("messages");
    let system = body.get("system").and_then(|node| hidden_block(node, pictures)).map(|kind| format!("system {kind}"));
    let mut messages = messages.iter().flat_map(|list| list.children()).enumerate();
    let mut hidden = |(at, message): (usize, NodeRef<'_>)| {
        let kind = message.member("content").and_then(|node| hidden_block(node, pictures))?;
        Some(format!("messages[{at}] {kind}"))
    };
    system.or_else(|| messages.find_map(&mut hidden))
}

/// The kind of the first block, here or inside of a tool's result, that is no text.
fn hidden_block<'d>(content: NodeRef<'d>, pictures: &mut Pictures) -> Option<&'d str> {
    if !matches!(content.kind(), Kind::Array) {
        return None;
    }
    content.children().find_map(|block| {
        let kind = text_of(block, "type").unwrap_or("text");
        match kind {
            _ if TEXT_BLOCKS.contains(&kind) => hidden_block(block.member("content")?, pictures),
            "image" if counted(block, pictures) => None,
            _ => Some(kind),
        }
    })
}

/// Counts a picture that stands in the body. The vendor reads at most about one token for 750 pixels, and of large ones no more
/// than some thousands; both with room.
fn counted(block: NodeRef<'_>, pictures: &mut Pictures) -> bool {
    let data = block.member("source").and_then(|source| source.member("data"));
    data.is_some_and(|data| pictures.add(data, |size| (size.area() / 600).saturating_add(200).min(PICTURE)))
}
