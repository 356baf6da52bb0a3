//! How many tokens a prompt is, where its bytes say too many: for OpenAI's models whose tokenizer is published by a look at its
//! words (`most`) and then by a count, and asked of the vendor's own endpoint. Bounds nothing itself; `llm` does.
//!
//! Counted here is only what stands between two tokens of the vendor's frame, so that the count is that of the text alone: the
//! whole text of a message, the instructions. All else of the body stays at a token a byte, and so pays for the frame.

mod asked;
mod most;

use tiktoken_rs::tokenizer::{Tokenizer, get_tokenizer};
use tiktoken_rs::{cl100k_base_singleton, o200k_base_singleton};

use super::ask::Ask;
use super::dialect::Dialect;
use super::entry::{Adapter, Family, Price};
use super::llm::body::text_of;
use crate::rules::json::{Document, Kind, NodeRef};

pub(super) use asked::question;
pub use asked::told;

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

#[cfg(test)]
mod tests;
