//! Cohere's chat, embeddings and rerank: what a request can cost at most, and what an answer says that it did cost. What the
//! vendor bills stands in `billed_units`; `tokens` counts its own template as well, which nobody pays. Prices nothing.

use serde::Deserialize;

use super::ask::{Ask, Bounded, Unpriceable};
use super::llm::body::{Body, text_of};
use super::llm::number::Num;
use super::llm::{Add, Api, Extra, Output, Part, Prompt, Reported, Request, Seen, bounded, most_tokens, row};
use crate::rules::json::{Kind as Json, NodeRef};
use crate::rules::price::{Kind, Tokens};

/// Kinds of content whose tokens are those of their text.
const TEXT_PARTS: [&str; 4] = ["text", "thinking", "document", "tool_result"];
/// What the vendor may add to a prompt.
const TEMPLATE: u64 = 800;
/// Documents of one search, and the least that one is cut into.
const DOCUMENTS: u64 = 100;
const PASSAGE: u64 = 100;

/// Chat of the second version.
pub(super) fn chat(ask: &Ask<'_>) -> Result<Bounded, Unpriceable> {
    let body = Body::of(ask)?;
    let there = if body.has("max_tokens") { vec!["/max_tokens"] } else { Vec::new() };
    let output = Output {
        asked: body.count("max_tokens")?,
        answers: 1,
        floor: 1,
        there,
        add: Add::root("max_tokens"),
        none: false,
        ..Output::SILENT
    };
    let text = most_tokens(ask.body).saturating_add(TEMPLATE);
    let request = Request {
        stream: body.flag("stream")?,
        output_kinds: vec![Kind::Output],
        output,
        ..Request::plain(Api::Cohere, body.model()?, hidden(&body).map_or(Prompt::Tokens(text), Prompt::Most))
    };
    Ok(bounded(ask, request, Extra::default()))
}

/// The part of the messages whose tokens the body does not show.
fn hidden(body: &Body<'_>) -> Option<String> {
    let messages = body.get("messages");
    let parts = messages.iter().flat_map(|list| list.children()).filter_map(|message| message.member("content"));
    let mut parts = parts.filter(|content| matches!(content.kind(), Json::Array)).flat_map(NodeRef::children);
    let kind = |part: NodeRef<'_>| text_of(part, "type").unwrap_or("content").to_owned();
    parts.find(|part| part.text().is_none() && !TEXT_PARTS.contains(&kind(*part).as_str())).map(kind)
}

/// Embeddings; of pictures, the model's longest prompt stands in.
pub(super) fn embed(ask: &Ask<'_>) -> Result<Bounded, Unpriceable> {
    let body = Body::of(ask)?;
    let pictures = body.get("images").or(body.get("inputs")).is_some();
    let mut request = Request::plain(Api::CohereUnits, body.model()?, Prompt::Several(most_tokens(ask.body)));
    if pictures {
        request.unbounded = Some(Unpriceable::unbounded("images", "what one is charged as is not in the request"));
    }
    Ok(bounded(ask, request, Extra::default()))
}

/// Rerank: charged by searches of a hundred documents, of which long ones are cut into several; or by the tokens of each
/// document together with the query.
pub(super) fn rerank(ask: &Ask<'_>) -> Result<Bounded, Unpriceable> {
    let body = Body::of(ask)?;
    let model = body.model()?;
    let documents = body.get("documents").map_or(0, |list| list.children().count() as u64);
    let all = most_tokens(ask.body);
    let passages = documents.saturating_add(all / PASSAGE);
    let request = if by_tokens(ask, model) {
        let query = body.root.member("query").and_then(|query| ask.body.get(query.span())).map_or(0, most_tokens);
        let read = passages.saturating_mul(query.saturating_add(TEMPLATE)).saturating_add(all);
        Request::plain(Api::CohereUnits, model, Prompt::Several(read))
    } else {
        let units = vec![(Kind::SearchUnits, passages.div_ceil(DOCUMENTS).max(1))];
        Request { units, ..Request::plain(Api::CohereUnits, model, Prompt::Tokens(0)) }
    };
    Ok(bounded(ask, request, Extra::default()))
}

/// Does the model's row list tokens, and no searches?
fn by_tokens(ask: &Ask<'_>, model: &str) -> bool {
    let row = row(ask.prices, &ask.vendor.prices, model, ask.unknown_model);
    let rates = row.and_then(|row| row.rates(ask.now, None, 0));
    rates.is_some_and(|rates| rates.get(Kind::SearchUnits).is_none() && rates.get(Kind::Input).is_some())
}

#[derive(Deserialize)]
struct Answer {
    id: Option<String>,
    usage: Option<Usage>,
    meta: Option<Usage>,
}

#[derive(Deserialize)]
struct Usage {
    billed_units: Option<Units>,
}

#[derive(Deserialize)]
struct Units {
    input_tokens: Option<Num>,
    output_tokens: Option<Num>,
    image_tokens: Option<Num>,
    images: Option<Num>,
    search_units: Option<Num>,
    classifications: Option<Num>,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: Option<String>,
    id: Option<String>,
    delta: Option<Delta>,
}

#[derive(Deserialize)]
struct Delta {
    usage: Option<Usage>,
    finish_reason: Option<String>,
    error: Option<String>,
}

impl Usage {
    fn report(self, id: Option<String>, seen: Seen) -> Option<Reported> {
        let units = self.billed_units?;
        let count = |number: Option<Num>| number.map_or(Some(0), Num::count);
        // What is charged by classifications has no price here.
        let some = units.input_tokens.or(units.output_tokens).or(units.search_units).or(units.images);
        some.filter(|_| units.classifications.is_none())?;
        let drawn = count(units.image_tokens)?;
        let tokens = Tokens::default()
            .with(Kind::Input, count(units.input_tokens)?)
            .with(Kind::Output, count(units.output_tokens)?)
            .with(Kind::ImageInput, drawn)
            .with(Kind::ImagesIn, if drawn == 0 { count(units.images)? } else { 0 })
            .with(Kind::SearchUnits, count(units.search_units)?);
        Some(Reported { id, parts: vec![Part { tokens, ..Part::default() }], seen, ..Reported::default() })
    }
}

/// A plain answer.
pub(super) fn plain(body: &[u8]) -> Option<Reported> {
    let answer: Answer = serde_json::from_slice(body).ok()?;
    answer.usage.or(answer.meta)?.report(answer.id, Seen::All)
}

/// One event of a stream: only the last one tells.
pub(super) fn event(data: &[u8]) -> Option<Reported> {
    memchr::memmem::find(data, b"\"message-end\"")?;
    let event: Event = serde_json::from_slice(data).ok()?;
    let delta = event.delta.filter(|_| event.kind.as_deref() == Some("message-end"))?;
    let failed = delta.error.is_some() || delta.finish_reason.as_deref().is_none_or(|why| why == "ERROR");
    delta.usage?.report(event.id, if failed { Seen::SoFar } else { Seen::All })
}
