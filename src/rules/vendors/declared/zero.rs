//! When nothing is charged: by the status, by a word in the answer's body, or by a header.

use serde::Deserialize;

use super::Answer;
use crate::rules::json::{Kind, NodeRef};

/// `"5xx"`, `"202"`, `{ response = "/status", one_of = ["DENIED"] }` or `{ header = "x-cache", one_of = ["HIT"] }`; without
/// `one_of` it is enough that it is there.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum RawZero {
    Status(String),
    Word(RawWord),
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawWord {
    response: Option<String>,
    header: Option<String>,
    one_of: Vec<String>,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Zero {
    Status(u16, u16),
    Body(Box<str>, Box<[Box<str>]>),
    Header(Box<str>, Box<[Box<str>]>),
}

impl RawZero {
    pub(super) fn check(&self) -> Result<Zero, String> {
        match self {
            Self::Status(text) => {
                let class = text.strip_suffix("xx").and_then(|c| c.parse::<u16>().ok()).filter(|c| (1..=5).contains(c));
                let range = class.map(|c| (c * 100, c * 100 + 99)).or_else(|| text.parse().ok().map(|s| (s, s)));
                let range = range.filter(|(from, _)| (100..600).contains(from));
                let (from, to) = range.ok_or_else(|| format!("`{text}` is no status: write `202` or `5xx`"))?;
                Ok(Zero::Status(from, to))
            }
            Self::Word(word) => word.check(),
        }
    }
}

impl RawWord {
    pub(super) fn check(&self) -> Result<Zero, String> {
        let words = self.one_of.iter().map(|word| word.as_str().into()).collect();
        match (&self.response, &self.header) {
            (Some(pointer), None) if pointer.starts_with('/') => Ok(Zero::Body(pointer.as_str().into(), words)),
            (Some(pointer), None) => Err(format!("`{pointer}` is no pointer: write `/status`")),
            (None, Some(name)) => Ok(Zero::Header(name.to_ascii_lowercase().into(), words)),
            _ => Err("it needs either `response` or `header`".to_owned()),
        }
    }
}

impl Zero {
    pub fn is_status(&self, status: u16) -> bool {
        matches!(self, Self::Status(from, to) if (*from..=*to).contains(&status))
    }

    pub fn reads_body(&self) -> bool {
        matches!(self, Self::Body(..))
    }

    pub fn holds(&self, answer: &Answer<'_>) -> bool {
        match self {
            Self::Status(..) => false,
            Self::Body(pointer, words) => {
                let found = answer.document.and_then(|d| d.pointer(pointer)).filter(|node| !node.is_null());
                found.is_some_and(|node| words.is_empty() || words.iter().any(|word| says(node, word)))
            }
            Self::Header(name, words) => {
                let value = answer.headers.get(&**name).and_then(|value| value.to_str().ok());
                value.is_some_and(|v| words.is_empty() || words.iter().any(|word| word.eq_ignore_ascii_case(v.trim())))
            }
        }
    }
}

fn says(node: NodeRef<'_>, word: &str) -> bool {
    match node.kind() {
        Kind::Bool(flag) => word == if *flag { "true" } else { "false" },
        Kind::Number(text) => *text == word,
        Kind::Text(text) => *text == word,
        _ => false,
    }
}
