//! Gemini's content and embeddings, on Vertex too: what a request can cost at most. `answer` reads what it did cost. The model
//! stands in the path. The tokenizer may normalise its text; what lies elsewhere than in the body is bounded by the model's
//! longest prompt, and searches of models that charge each have no bound.

pub(super) mod answer;

use super::anthropic::regional;
use super::ask::{Ask, Bounded, Unpriceable};
use super::llm::body::{Body, count, find};
use super::llm::image::{Pictures, Size};
use super::llm::{Add, Api, Extra, Output, Prompt, Request, bounded, most_tokens};
use crate::rules::json::{Kind, NodeRef};
use crate::rules::price::Kind as Token;

/// What the vendor's template and its own tools' descriptions may add.
const TEMPLATE: u64 = 800;
/// Fields of a part whose tokens are those of their JSON.
const TEXT_PARTS: [&str; 10] = [
    "text",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "thought",
    "thoughtSignature",
    "partMetadata",
    "videoMetadata",
    "mediaResolution",
];
/// The fields of a part that are read here.
const PART_FIELDS: [&str; 3] = ["text", "inlineData", "fileData"];
const TIER_HEADER: &str = "x-vertex-ai-llm-shared-request-type";
const LIMIT: &str = "maxOutputTokens";
const ANSWERS: &str = "candidateCount";

/// Content, plain or as a stream.
pub(super) fn content(ask: &Ask<'_>) -> Result<Bounded, Unpriceable> {
    let body = Body::camel(ask)?;
    let model = path_model(ask)?;
    let config = body.get("generationConfig");
    if let Some(config) = config {
        Body::spelled(config, &[LIMIT, ANSWERS])?;
    }
    let mut pictures = Pictures::default();
    let hidden = hidden(&body, &mut pictures)?;
    let tools = tools(&body, model);
    // Vertex asks for it in a header.
    let asked = body.text("serviceTier")?.or_else(|| ask.headers.get(TIER_HEADER)?.to_str().ok());
    let place = regional(ask);
    let request = Request {
        api: Api::Gemini,
        model,
        stream: ask.args.in_path("model").is_some() && streams(ask),
        prompt: tools.grows.map_or_else(|| prompt(ask, &pictures, hidden), Prompt::Grows),
        reads: 1,
        input_kinds: input_kinds(&body),
        output_kinds: vec![Token::Output, Token::ImageOutput, Token::AudioOutput],
        fees: tools.fees,
        units: Vec::new(),
        extra_output: 0,
        tier: Some(asked.map_or("standard", answer::tier)),
        factors: place.into_iter().collect(),
        output: output(config)?,
        unbounded: tools.unbounded,
    };
    Ok(bounded(ask, request, Extra { place, ..Extra::default() }))
}

/// Embeddings of one text or many. Their answers tell tokens only on Vertex.
pub(super) fn embed(ask: &Ask<'_>) -> Result<Bounded, Unpriceable> {
    Body::camel(ask)?;
    let request = Request::plain(Api::Gemini, path_model(ask)?, Prompt::Several(most_tokens(ask.body)));
    Ok(bounded(ask, request, Extra::default()))
}

/// Text alone is never charged as what is heard or seen.
fn input_kinds(body: &Body<'_>) -> Vec<Token> {
    let media = ["inlineData", "inline_data", "fileData", "file_data", "cachedContent"];
    match find(body.root, &|node| node.key().is_some_and(|key| media.contains(&key))) {
        Some(_) => vec![Token::Input, Token::AudioInput, Token::VideoInput, Token::ImageInput],
        None => vec![Token::Input],
    }
}

fn path_model<'a>(ask: &'a Ask<'_>) -> Result<&'a str, Unpriceable> {
    let missing = Unpriceable::BadField { field: "model".to_owned(), why: "the path must name one" };
    ask.args.in_path("model").filter(|model| !model.is_empty()).ok_or(missing)
}

fn streams(ask: &Ask<'_>) -> bool {
    ask.operation.is_some_and(|operation| operation.name.contains(":stream"))
}

fn prompt(ask: &Ask<'_>, pictures: &Pictures, hidden: Option<String>) -> Prompt {
    let text = most_tokens(ask.body).saturating_sub(pictures.bytes);
    hidden.map_or(Prompt::Tokens(text.saturating_add(pictures.tokens).saturating_add(TEMPLATE)), Prompt::Most)
}

fn output(config: Option<NodeRef<'_>>) -> Result<Output, Unpriceable> {
    let number = |name: &'static str| {
        let node = config.and_then(|config| config.member(name)).filter(|node| !node.is_null());
        let bad = || Unpriceable::BadField { field: name.to_owned(), why: "it must be a whole number, not below zero" };
        node.map(|node| count(node).ok_or_else(bad)).transpose()
    };
    let has = config.is_some_and(|config| config.member(LIMIT).is_some());
    let thinking = config.and_then(|config| config.member("thinkingConfig"));
    let budget = thinking.and_then(|thinking| thinking.member("thinkingBudget")).and_then(count);
    Ok(Output {
        asked: number(LIMIT)?,
        answers: number(ANSWERS)?.unwrap_or(1),
        floor: budget.map_or(0, |budget| budget.saturating_add(1)),
        there: if has { vec!["/generationConfig/maxOutputTokens"] } else { Vec::new() },
        add: match config {
            Some(_) => Add { object: "/generationConfig", name: LIMIT, inner: None },
            None => Add { object: "", name: "generationConfig", inner: Some(LIMIT) },
        },
        none: false,
        ..Output::SILENT
    })
}

/// The field whose tokens the body does not show; pictures that stand in it are counted.
fn hidden(body: &Body<'_>, pictures: &mut Pictures) -> Result<Option<String>, Unpriceable> {
    if body.get("cachedContent").is_some() {
        return Ok(Some("cachedContent".to_owned()));
    }
    let contents = body.get("contents");
    // One content may stand there without its list.
    let listed = contents.is_some_and(|node| matches!(node.kind(), Kind::Array));
    let each = contents.into_iter().flat_map(move |node| node.children().filter(move |_| listed));
    let alone = contents.filter(|_| !listed);
    for content in each.chain(alone).chain(body.get("systemInstruction")) {
        for part in content.member("parts").into_iter().flat_map(NodeRef::children) {
            if let Some(field) = hidden_part(part, pictures)? {
                return Ok(Some(format!("contents: {field}")));
            }
        }
    }
    Ok(None)
}

fn hidden_part(part: NodeRef<'_>, pictures: &mut Pictures) -> Result<Option<String>, Unpriceable> {
    if !matches!(part.kind(), Kind::Object) {
        return Ok(None);
    }
    Body::spelled(part, &PART_FIELDS)?;
    for field in part.children().filter(|field| !field.is_null()) {
        let key = field.key().unwrap_or_default();
        let shown = TEXT_PARTS.contains(&key) || (key == "inlineData" && counted(field, pictures));
        if !shown {
            return Ok(Some(key.to_owned()));
        }
        // What a function gave back may bring pictures and files of its own.
        let own = field.member("parts").filter(|_| key == "functionResponse");
        for inner in own.into_iter().flat_map(NodeRef::children) {
            if let Some(hidden) = hidden_part(inner, pictures)? {
                return Ok(Some(format!("functionResponse: {hidden}")));
            }
        }
    }
    Ok(None)
}

/// Counts a picture that stands in the body.
fn counted(blob: NodeRef<'_>, pictures: &mut Pictures) -> bool {
    let kind = blob.member("mimeType").or_else(|| blob.member("mime_type")).and_then(NodeRef::text);
    let data = blob.member("data").filter(|_| kind.is_some_and(|kind| kind.starts_with("image/")));
    data.is_some_and(|data| pictures.add(data, most))
}

/// Tiles of 258 tokens, of 768 pixels or, of small pictures, of 256; newer models take 2240 at most.
fn most(size: Size) -> u64 {
    let side = if size.width.min(size.height) < 1152 { 256 } else { 768 };
    size.squares(side).saturating_mul(258).max(2240)
}

/// What the vendor's own tools add.
#[derive(Default)]
struct Tools {
    /// What a search finds is read beside the prompt.
    grows: Option<String>,
    fees: Vec<super::llm::Fee>,
    unbounded: Option<Unpriceable>,
}

fn tools(body: &Body<'_>, model: &str) -> Tools {
    let mut tools = Tools::default();
    let list = body.get("tools");
    for (name, tool) in list
        .iter()
        .flat_map(|list| list.children())
        .flat_map(NodeRef::children)
        .filter_map(|tool| Some((tool.key()?, tool)))
    {
        match name {
            "functionDeclarations" | "function_declarations" => {}
            _ if tool.is_null() => {}
            // Older models charge the prompt that led to searches, once.
            "googleSearch" | "google_search" | "googleSearchRetrieval" | "google_search_retrieval"
                if model.starts_with("gemini-2") || model.starts_with("gemini-1") =>
            {
                tools.fees.push(("web_search".into(), 1));
                tools.grows = Some(format!("tools: {name}"));
            }
            _ => {
                tools.unbounded = Some(Unpriceable::unbounded(
                    format!("tools: {name}"),
                    "how often it is used, or what it brings into the prompt, is not in the request",
                ));
            }
        }
    }
    tools
}
