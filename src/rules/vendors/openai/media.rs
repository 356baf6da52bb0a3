//! What answers with pictures, speech and transcripts say of their cost: tokens by what they carry, or seconds, or how many
//! pictures there are. Their bodies name no model. Prices nothing; `llm` does.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::super::dialect::Dialect;
use super::super::llm::number::Num;
use super::super::llm::{Part, Reported, Seen};
use super::usage::{InputDetails, OutputDetails, part};
use crate::rules::price::{Kind, Tokens};

/// Groq charges a recording for at least so long.
const GROQ_LEAST_MS: u64 = 10_000;

#[derive(Deserialize)]
struct Pictures {
    data: Option<Vec<IgnoredAny>>,
    model: Option<String>,
    usage: Option<Usage>,
    /// Drawn by a language model beside.
    svg_usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Usage {
    model: Option<String>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    #[serde(alias = "input_token_details")]
    input_tokens_details: Option<InputDetails>,
    #[serde(alias = "output_token_details")]
    output_tokens_details: Option<OutputDetails>,
    /// Of a transcript that is charged by time.
    seconds: Option<Num>,
}

#[derive(Deserialize)]
struct Transcript {
    model: Option<String>,
    usage: Option<Usage>,
    /// Of the recording, in seconds.
    duration: Option<Num>,
}

impl Usage {
    /// `made`: what output is that the details do not name.
    fn part(&self, made: Kind) -> Option<Part> {
        let heard = self.input_tokens_details.unwrap_or_default();
        let drawn = self.output_tokens_details.unwrap_or_default();
        let mut part = part(self.input_tokens?, self.output_tokens?, &heard, &drawn);
        if made != Kind::Output {
            // What is neither drawn nor spoken is text only if it is called so.
            let rest = part.tokens.get(Kind::Output);
            let text = drawn.text_tokens.unwrap_or(0).min(rest);
            let more = part.tokens.get(made).saturating_add(rest - text);
            part.tokens = part.tokens.with(Kind::Output, text).with(made, more);
        }
        Some(Part { model: self.model.clone(), ..part })
    }
}

fn reported(model: Option<String>, parts: Vec<Part>) -> Reported {
    Reported { model, parts, seen: Seen::All, ..Reported::default() }
}

/// An answer with pictures, or the last event of a stream of one. Without tokens each picture has its price.
pub(in super::super) fn pictures(body: &[u8]) -> Option<Reported> {
    let answer: Pictures = serde_json::from_slice(body).ok()?;
    let mut parts = Vec::new();
    match &answer.usage {
        Some(usage) => parts.push(usage.part(Kind::ImageOutput)?),
        None => {
            let made = answer.data?.len() as u64;
            parts.push(Part { tokens: Tokens::default().with(Kind::ImagesOut, made), ..Part::default() });
        }
    }
    if let Some(beside) = &answer.svg_usage {
        beside.model.as_ref()?;
        parts.push(beside.part(Kind::Output)?);
    }
    Some(reported(answer.model, parts))
}

/// A transcript, or the last event of a stream of one.
pub(in super::super) fn transcript(body: &[u8], dialect: Dialect) -> Option<Reported> {
    let answer: Transcript = serde_json::from_slice(body).ok()?;
    let usage = answer.usage.as_ref();
    if let Some(part) = usage.and_then(|usage| usage.part(Kind::Output)) {
        return Some(reported(answer.model, vec![part]));
    }
    let long = usage.and_then(|usage| usage.seconds).or(answer.duration)?.millis()?;
    let charged = if dialect == Dialect::Groq { long.max(GROQ_LEAST_MS) } else { long };
    let tokens = Tokens::default().with(Kind::AudioTimeIn, charged);
    Some(reported(answer.model, vec![Part { tokens, ..Part::default() }]))
}

/// The last event of speech that streams.
pub(in super::super) fn spoken(data: &[u8]) -> Option<Reported> {
    let answer: Transcript = serde_json::from_slice(data).ok()?;
    Some(reported(answer.model, vec![answer.usage?.part(Kind::AudioOutput)?]))
}

/// Speech that tells nothing, and is charged by its text.
pub(in super::super) fn characters(count: u64) -> Reported {
    let tokens = Tokens::default().with(Kind::CharactersIn, count);
    reported(None, vec![Part { tokens, ..Part::default() }])
}
