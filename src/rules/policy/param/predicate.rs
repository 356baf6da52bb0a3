//! What a parameter's value may be: `one_of`, `not_one_of`, `min`, `max`, `matches`. Compares one plain value; `param` walks
//! lists and decides what a missing one means.

use crate::rules::args::{Decimal, Value};
use regex::Regex;
use std::fmt;
use std::sync::Arc;

use super::list::List;

/// One test of one value.
#[derive(Clone, Debug)]
pub enum Test {
    OneOf(Vec<Scalar>),
    NotOneOf(Vec<Scalar>),
    InList(Arc<List>),
    NotInList(Arc<List>),
    Min(Bound),
    Max(Bound),
    /// On the whole value.
    Matches(Pattern),
}

/// A plain value, as a policy writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scalar {
    Text(Box<str>),
    Number(Bound),
    Bool(bool),
}

/// An exact number and how the policy spells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    value: Decimal,
    text: Box<str>,
}

impl Bound {
    pub fn parse(text: &str) -> Option<Self> {
        Some(Self { value: Decimal::parse(text)?, text: text.into() })
    }

    pub fn value(&self) -> Decimal {
        self.value
    }
}

/// A regular expression on a whole value.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Regex,
    text: Box<str>,
}

impl Test {
    /// `matches = "…"`, anchored at both ends.
    pub fn matches(text: &str) -> Result<Self, regex::Error> {
        // Compiled alone first, so that an unbalanced bracket cannot close the anchoring group.
        Regex::new(text)?;
        let regex = Regex::new(&format!(r"\A(?:{text})\z"))?;
        Ok(Self::Matches(Pattern { regex, text: text.into() }))
    }

    /// To allow: the value is plainly what the rule wants.
    pub fn passes(&self, value: Value<'_>) -> bool {
        let readable = |value| plain(value).is_some();
        match self {
            Self::OneOf(list) => list.iter().any(|s| s.is_exactly(value)),
            Self::NotOneOf(list) => readable(value) && !list.iter().any(|s| s.is_like(value)),
            Self::InList(list) => plain(value).is_some_and(|text| list.has(text)),
            Self::NotInList(list) => plain(value).is_some_and(|text| !list.has_alike(text)),
            Self::Min(bound) => value.decimal().is_some_and(|n| n >= bound.value),
            Self::Max(bound) => value.decimal().is_some_and(|n| n <= bound.value),
            Self::Matches(pattern) => plain(value).is_some_and(|text| pattern.regex.is_match(text)),
        }
    }

    /// To deny: the value may be what the rule is after.
    pub fn catches(&self, value: Value<'_>) -> bool {
        let unreadable = |value| plain(value).is_none();
        match self {
            Self::OneOf(list) => unreadable(value) || list.iter().any(|s| s.is_like(value)),
            Self::NotOneOf(list) => !list.iter().any(|s| s.is_exactly(value)),
            Self::InList(list) => plain(value).is_none_or(|text| list.has_alike(text)),
            Self::NotInList(list) => plain(value).is_none_or(|text| !list.has(text)),
            Self::Min(bound) => value.decimal().is_none_or(|n| n >= bound.value),
            Self::Max(bound) => value.decimal().is_none_or(|n| n <= bound.value),
            Self::Matches(pattern) => plain(value).is_none_or(|text| pattern.regex.is_match(text)),
        }
    }
}

/// The text of a plain value; lists, objects and `null` have none.
fn plain(value: Value<'_>) -> Option<&str> {
    match value {
        Value::Text(text) | Value::Number(text) => Some(text),
        Value::Bool(true) => Some("true"),
        Value::Bool(false) => Some("false"),
        Value::Null | Value::List(_) | Value::Object(_) => None,
    }
}

/// What readers of forms take for true and for false.
const TRUE: [&str; 6] = ["true", "1", "t", "yes", "y", "on"];
const FALSE: [&str; 6] = ["false", "0", "f", "no", "n", "off"];

impl Scalar {
    fn is_exactly(&self, value: Value<'_>) -> bool {
        match self {
            Self::Text(text) => plain(value) == Some(text),
            Self::Number(bound) => value.decimal() == Some(bound.value),
            Self::Bool(wanted) => plain(value) == Some(if *wanted { "true" } else { "false" }),
        }
    }

    /// Also in another letter case, with white space around it, or as another spelling of one number.
    fn is_like(&self, value: Value<'_>) -> bool {
        let Some(text) = plain(value).map(str::trim) else { return false };
        let same_number = |own: &str| Decimal::parse(own).is_some_and(|own| Decimal::parse(text) == Some(own));
        match self {
            Self::Text(own) => text.eq_ignore_ascii_case(own.trim()) || same_number(own),
            Self::Number(bound) => Decimal::parse(text) == Some(bound.value),
            Self::Bool(wanted) => {
                let names = if *wanted { TRUE } else { FALSE };
                names.iter().any(|n| text.eq_ignore_ascii_case(n))
            }
        }
    }
}

/// The longest part of a value that an error repeats.
const SHOWN: usize = 48;

/// A value as an error shows it: never long, never with control characters.
pub(super) fn show(value: Value<'_>) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::List(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::Text(text) => shortened(text),
        Value::Number(text) if text.len() > SHOWN => shortened(text),
        Value::Number(text) => text.to_owned(),
        Value::Bool(value) => value.to_string(),
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// How many allowed values an error lists.
const LISTED: usize = 8;

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneOf(list) => write!(f, "one of {}", listed(list)),
            Self::NotOneOf(list) => write!(f, "none of {}", listed(list)),
            Self::InList(list) => write!(f, "one of {list}"),
            Self::NotInList(list) => write!(f, "none of {list}"),
            Self::Min(bound) => write!(f, "a number of at least {}", bound.text),
            Self::Max(bound) => write!(f, "a number of at most {}", bound.text),
            Self::Matches(pattern) => write!(f, "a text that matches `{}`", pattern.text),
        }
    }
}

fn listed(list: &[Scalar]) -> String {
    let shown: Vec<String> = list.iter().take(LISTED).map(ToString::to_string).collect();
    let more = if list.len() > LISTED { format!(", and {} more", list.len() - LISTED) } else { String::new() };
    shown.join(", ") + &more
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(&shortened(text)),
            Self::Number(bound) => f.write_str(&bound.text),
            Self::Bool(value) => write!(f, "{value}"),
        }
    }
}
