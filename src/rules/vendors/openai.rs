//! OpenAI's chat completions, and those of all who speak alike (`dialect`): what a request can cost at most. `responses` and
//! `others` do the same for the other calls, `answer` reads what it did cost. Bounds come from the bytes of the body, as
//! byte-level tokenizers never make more tokens than bytes, and from its words where the tokenizer is known; where the body does not show how much is read, the model's
//! longest prompt stands in, or the call has no bound.

pub(super) mod answer;
pub(super) mod media;
mod others;
mod picture;
pub mod realtime;
mod responses;
#[cfg(test)]
mod tests;
mod usage;

use super::ask::{Ask, Bounded, Counted, Unpriceable};
use super::count::surely_fewer;
use super::dialect::Dialect;
use super::entry::Family;
use super::llm::body::{Body, find, flag, text_of};
use super::llm::image::Pictures;
use super::llm::{Add, Api, Extra, Output, Prompt, Request, bounded, most_tokens};
use super::plan::OwnedEdit;
use crate::rules::json::{Kind, NodeRef};
use crate::rules::price::Kind as Token;
pub(super) use others::{completions, embeddings, images, speech, transcription};
pub(super) use responses::responses;

/// Kinds of content whose tokens are those of their text.
const TEXT_PARTS: [&str; 7] =
    ["text", "input_text", "output_text", "refusal", "summary_text", "reasoning_text", "encrypted_content"];
/// What other tokenizers and templates than OpenAI's may add to a prompt; and for tools.
const TEMPLATE: u64 = 200;
const TEMPLATE_TOOLS: u64 = 800;

/// The model that a request names: in its body, or as a deployment in its path.
fn model<'a>(ask: &'a Ask<'_>, body: &Body<'a>) -> Result<&'a str, Unpriceable> {
    ask.args.in_path("deployment").map_or_else(|| body.model(), Ok)
}

/// The length of a prompt that the body shows, or the field that hides it.
fn prompt(ask: &Ask<'_>, added: u64, hidden: Option<String>, pictures: Pictures) -> Prompt {
    let text = match ask.vendor.family == Family::OpenAi && ask.vendor.dialect.byte_level() {
        true => ask.body.len() as u64,
        false => most_tokens(ask.body),
    };
    let fewer = if let Counted::Fewer(n) = ask.counted { n } else { surely_fewer(ask) };
    let text = text.saturating_sub(pictures.bytes).saturating_sub(fewer).saturating_add(pictures.tokens);
    hidden.map_or(Prompt::Tokens(text.saturating_add(added)), Prompt::Most)
}

/// Chat completions.
pub(super) fn chat(ask: &Ask<'_>) -> Result<Bounded, Unpriceable> {
    let dialect = ask.vendor.dialect;
    let body = Body::of(ask)?;
    let stream = body.flag("stream")?;
    let model = model(ask, &body)?;
    let hears = find(body.root, &|node| text_of(node, "type") == Some("input_audio") || (node.key() == Some("audio")));
    let speaks = body.get("modalities").is_some() || body.get("audio").is_some();
    let mut pictures = Pictures::default();
    let hidden = hidden_in_messages(&body, &picture::Reader::of(ask, model), &mut pictures);
    let added = match (dialect.byte_level(), body.get("tools").is_some()) {
        (true, _) => 0,
        (false, false) => TEMPLATE,
        (false, true) => TEMPLATE_TOOLS,
    };
    let limits: (Vec<_>, Vec<_>) = dialect.limits().iter().copied().unzip();
    let answers = body.count("n")?.unwrap_or(1);
    let search = searches(&body, model, dialect);
    let request = Request {
        api: Api::Chat,
        model,
        stream,
        prompt: prompt(ask, added, hidden, pictures),
        reads: 1,
        input_kinds: input_kinds(&body, hears.is_some()),
        output_kinds: if speaks { vec![Token::Output, Token::AudioOutput] } else { vec![Token::Output] },
        // Perplexity searches once, at the dearest size that the model has.
        fees: (dialect == Dialect::Perplexity).then(|| ("web_search".into(), 1)).into_iter().collect(),
        units: Vec::new(),
        extra_output: body.get("prediction").map_or(0, |node| node.span().len() as u64),
        tier: body.text("service_tier")?,
        factors: Vec::new(),
        output: output(&body, &limits.0, &limits.1, answers, 1)?,
        unbounded: match search {
            Some(field) => {
                Some(Unpriceable::unbounded(field, "how often the vendor searches or runs is not in the request"))
            }
            None => responses::tools(&body)?.hosted.then(|| {
                Unpriceable::unbounded("tools", "how often the vendor uses its own tools is not in the request")
            }),
        },
    };
    let asks = stream && dialect.hides_usage();
    let (hide_usage, edits) = if asks { ask_for_usage(&body)? } else { (false, Vec::new()) };
    // What the vendor's own tools cost stands in no usage of these.
    let incomplete = search.is_some();
    let extra = Extra { hide_usage, edits, incomplete, ..Extra::default() };
    Ok(bounded(ask, request, extra))
}

/// The field, or the model's name, by which the vendor searches, runs more than once, or chooses among models.
fn searches(body: &Body<'_>, model: &str, dialect: Dialect) -> Option<&'static str> {
    let fields: &[&'static str] = match dialect {
        Dialect::Xai => &["search_parameters"],
        Dialect::OpenRouter => &["models", "plugins", "preset", "web_search_options"],
        Dialect::Groq => &["compound_custom"],
        _ => &["web_search_options", "data_sources"],
    };
    // Perplexity always searches, for a fee by the request.
    let there = fields.iter().copied().filter(|_| dialect != Dialect::Perplexity).find(|f| body.get(f).is_some());
    let named = match dialect {
        Dialect::Groq => model.contains("compound"),
        Dialect::Perplexity => model.contains("deep-research") || model.contains("pro-search"),
        Dialect::OpenRouter => model.contains(":online") || model.starts_with("openrouter/") || model.contains("sonar"),
        _ => model.contains("-search-"),
    };
    there.or(named.then_some("model"))
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

/// The part of the messages whose tokens the body does not show; pictures that stand in it are counted.
fn hidden_in_messages(body: &Body<'_>, reader: &picture::Reader, pictures: &mut Pictures) -> Option<String> {
    let messages = body.get("messages");
    let messages = messages.iter().flat_map(|list| list.children());
    for (at, message) in messages.enumerate() {
        let parts = message
            .member("content")
            .into_iter()
            .filter(|c| matches!(c.kind(), Kind::Array))
            .flat_map(NodeRef::children);
        let mut shown = |part: &NodeRef<'_>| is_text(*part) || reader.counts(*part, pictures);
        let hidden = parts.filter(|part| !shown(part)).map(|part| text_of(part, "type").unwrap_or("content")).next();
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
    Ok(Output {
        asked,
        answers,
        floor,
        there,
        add: Add::root(fields.first().copied().unwrap_or_default()),
        none: false,
        ..Output::SILENT
    })
}
