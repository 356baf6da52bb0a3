//! How many tokens a prompt is, where its bytes say too many: for OpenAI's models whose tokenizer is published by a look at its
//! words (`most`) and then by a count, and asked of the vendor's own endpoint. Bounds nothing itself; `llm` does.
//!
//! Counted here is only what stands between two tokens of the vendor's frame, so that the count is that of the text alone: the
//! whole text of a message, the instructions. All else of the body stays at a token a byte, and so pays for the frame.

mod most;

use bytes::Bytes;
use serde::Deserialize;
use tiktoken_rs::tokenizer::{Tokenizer, get_tokenizer};
use tiktoken_rs::{cl100k_base_singleton, o200k_base_singleton};

use super::ask::Ask;
use super::dialect::Dialect;
use super::entry::{Adapter, Family, Price};
use super::llm::body::text_of;
use super::look_up::Question;
use crate::rules::json::{Document, Kind, NodeRef};
use crate::rules::path::CanonicalPath;

/// Tokenizers that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    O200k,
    Cl100k,
}

/// Of a shorter body the answer costs more than the prompt; a longer one takes too long.
const WORTH_A_LOOK: std::ops::RangeInclusive<usize> = 512..=128 * 1024;
/// Beyond what a look says, for what a vendor does to a text before its published tokenizer sees it.
const LOOK_PERCENT: u64 = 25;
/// Longer than this is no word of any language: the tokenizer's patterns do not get it, and a byte of it stays a token.
const LONGEST_RUN: usize = 4096;
/// What the vendors' counts may leave out: "an estimate", says one.
const MARGIN_PERCENT: u64 = 5;
const MARGIN: u64 = 100;

/// The tokenizer of the model that a request names, if it is published and the vendor is its maker. What is called so elsewhere (a
/// deployment) may be another.
pub(super) fn encoding(ask: &Ask<'_>) -> Option<Encoding> {
    let adapter = adapter(ask)?;
    let own = ask.vendor.family == Family::OpenAi && ask.vendor.dialect == Dialect::OpenAi;
    if !own || !matches!(adapter, Adapter::Chat | Adapter::Responses) {
        return None;
    }
    match get_tokenizer(ask.args.document()?.root().member("model")?.text()?)? {
        Tokenizer::O200kBase => Some(Encoding::O200k),
        Tokenizer::Cl100kBase => Some(Encoding::Cl100k),
        _ => None,
    }
}

fn adapter(ask: &Ask<'_>) -> Option<Adapter> {
    match ask.vendor.price_of(ask.operation)? {
        Price::Adapter(adapter) => Some(*adapter),
        _ => None,
    }
}

/// By how many tokens the texts of this body are fewer than their bytes. Takes a while: 70 ms a megabyte, and once a quarter of a
/// second for the tokenizer itself.
pub fn fewer(body: &[u8], encoding: Encoding) -> u64 {
    let Ok(document) = Document::parse(body) else { return 0 };
    texts(document.root()).map(|node| less(node, |text| tokens(text, encoding))).sum()
}

/// The same at least, without counting them: quick enough for every call.
pub(super) fn surely_fewer(ask: &Ask<'_>) -> u64 {
    if !WORTH_A_LOOK.contains(&ask.body.len()) || encoding(ask).is_none() {
        return 0;
    }
    let near = |text: &str| most::most(text).saturating_mul(100 + LOOK_PERCENT) / 100;
    ask.args.document().map_or(0, |document| texts(document.root()).map(|node| less(node, near)).sum())
}

/// The texts of a body that stand between two tokens of the vendor's frame.
fn texts<'d>(root: NodeRef<'d>) -> impl Iterator<Item = NodeRef<'d>> {
    let lists = ["messages", "input"].into_iter().filter_map(move |name| root.member(name));
    let items = lists.flat_map(NodeRef::children).filter_map(whole_text);
    let alone = ["instructions", "input"].into_iter().filter_map(move |name| root.member(name));
    items.chain(alone.filter(|node| node.text().is_some()))
}

/// The text of a message that is all that it says. Where there are several, their seams are not known.
fn whole_text(item: NodeRef<'_>) -> Option<NodeRef<'_>> {
    item.member("role")?;
    let content = item.member("content")?;
    match content.kind() {
        Kind::Text(_) => Some(content),
        Kind::Array => {
            let mut parts = content.children();
            let only = parts.next().filter(|_| parts.next().is_none())?;
            let text = only.member("text").filter(|node| node.text().is_some())?;
            matches!(text_of(only, "type"), Some("text" | "input_text" | "output_text")).then_some(text)
        }
        _ => None,
    }
}

fn less(node: NodeRef<'_>, tokens: impl Fn(&str) -> u64) -> u64 {
    let text = node.text().unwrap_or_default();
    // Its quotes stay where they are.
    (node.span().len() as u64).saturating_sub(2).saturating_sub(tokens(text))
}

fn tokens(text: &str, encoding: Encoding) -> u64 {
    let tokenizer = match encoding {
        Encoding::O200k => o200k_base_singleton(),
        Encoding::Cl100k => cl100k_base_singleton(),
    };
    let tokens = if is_ordinary(text) { tokenizer.count_ordinary(text) } else { text.len() };
    tokens as u64
}

/// Are there white space and words by turns, none of them very long?
fn is_ordinary(text: &str) -> bool {
    let (mut run, mut blank) = (0, false);
    text.bytes().all(|byte| {
        let is_blank = byte.is_ascii_whitespace();
        run = if is_blank == blank { run + 1 } else { 1 };
        blank = is_blank;
        run <= LONGEST_RUN
    })
}

/// What to ask the vendor for its own count of this prompt; nothing if it has no such endpoint, or the count would bound nothing.
pub(super) fn question(ask: &Ask<'_>) -> Option<Question> {
    if !ask.bounded().ok()?.countable {
        return None;
    }
    let own = ask.operation?.name.split_once(' ')?.1;
    let document = ask.args.document()?;
    let (path, body) = match adapter(ask)? {
        Adapter::Messages => (format!("{own}/count_tokens"), without(&document.root(), ask.body, &BESIDE_MESSAGES)),
        Adapter::Responses => (format!("{own}/input_tokens"), without(&document.root(), ask.body, &BESIDE_RESPONSES)),
        Adapter::Gemini => gemini(ask, own)?,
        _ => return None,
    };
    let canonical = CanonicalPath::parse(&path).ok()?.path;
    let routed = ask.vendor.route("POST", canonical);
    let free = matches!(ask.vendor.price_of(routed.operation), Some(Price::Free));
    free.then(|| Question { path, query: None, body: Some(body) })
}

/// Fields that the endpoints do not take, and that are no part of the prompt. All others are sent along: one that is new here is
/// counted by the vendor, or refused by it, and then the bytes bound the call.
const BESIDE_MESSAGES: [&str; 9] = [
    "max_tokens",
    "stream",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "metadata",
    "service_tier",
    "inference_geo",
];
const BESIDE_RESPONSES: [&str; 18] = [
    "max_output_tokens",
    "max_tool_calls",
    "store",
    "user",
    "stream",
    "stream_options",
    "background",
    "include",
    "temperature",
    "top_p",
    "top_logprobs",
    "metadata",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "moderation",
];

/// The members of an object but for these, each as it was written.
fn without(object: &NodeRef<'_>, body: &[u8], fields: &[&str]) -> Bytes {
    let taken = object.children().filter_map(|node| Some((node.key()?, node.span())));
    let mut out = b"{".to_vec();
    for (key, span) in taken.filter(|(key, _)| !fields.contains(key)) {
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(serde_json::to_string(key).unwrap_or_default().as_bytes());
        out.push(b':');
        out.extend_from_slice(body.get(span).unwrap_or_default());
    }
    out.push(b'}');
    out.into()
}

/// The whole request, in a field of its own that names the model as well.
fn gemini(ask: &Ask<'_>, own: &str) -> Option<(String, Bytes)> {
    let model = ask.args.in_path("model")?;
    let path = own.split_once("{model}")?.0;
    let whole = ask.body.trim_ascii().strip_prefix(b"{")?;
    let comma = if whole.trim_ascii_start().starts_with(b"}") { "" } else { "," };
    let name = serde_json::to_string(&format!("models/{model}")).ok()?;
    let mut body = format!("{{\"generateContentRequest\":{{\"model\":{name}{comma}").into_bytes();
    body.extend_from_slice(whole);
    body.push(b'}');
    // One that names its model itself would name it twice.
    let named = ask.args.document()?.root().member("model").is_some();
    (!named).then(|| (format!("{path}{model}:countTokens"), body.into()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    #[serde(rename = "input_tokens")]
    input_tokens: Option<u64>,
    total_tokens: Option<u64>,
}

/// What the vendor said, with a margin.
pub fn told(answer: &[u8]) -> Option<u64> {
    let told: Told = serde_json::from_slice(answer).ok()?;
    let tokens = told.input_tokens.or(told.total_tokens)?;
    Some(tokens.saturating_add(tokens.saturating_mul(MARGIN_PERCENT) / 100).saturating_add(MARGIN))
}

#[cfg(test)]
mod tests;
