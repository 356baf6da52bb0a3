//! Patterns over paths and operations, as policies and budgets write them. Does not read requests: it is given canonical paths.
//! Without a wildcard a pattern means that path and whatever is below it, by whole segments.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use globset::{GlobBuilder, GlobMatcher};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A path, or a glob over paths: `*` stays within a segment, `/**` also matches the path before it.
#[derive(Clone, Debug)]
pub struct PathPattern {
    text: Box<str>,
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    /// The path itself and all below.
    Below,
    Glob(Box<[GlobMatcher]>),
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no path pattern: {why}")]
pub struct BadPattern {
    text: String,
    why: String,
}

fn bad(text: &str, why: impl ToString) -> BadPattern {
    BadPattern { text: text.to_owned(), why: why.to_string() }
}

impl PathPattern {
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        if !text.starts_with('/') {
            return Err(bad(text, "it must begin with `/`"));
        }
        let trimmed = if text.len() > 1 { text.trim_end_matches('/') } else { text };
        let form =
            if trimmed.contains(['*', '?', '[', '{']) && !is_template(trimmed) { glob(trimmed)? } else { Form::Below };
        Ok(Self { text: trimmed.into(), form })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn matches(&self, path: &str) -> bool {
        match &self.form {
            Form::Below => below(&self.text, path),
            Form::Glob(globs) => globs.iter().any(|g| g.is_match(path)),
        }
    }
}

/// `/v1/refunds/{refund}` names an operation; its braces are no alternation.
fn is_template(text: &str) -> bool {
    !text.contains(['*', '?', '['])
        && text.split('/').all(|s| !s.contains('{') || (s.starts_with('{') && s.ends_with('}') && !s.contains(',')))
}

fn below(prefix: &str, path: &str) -> bool {
    prefix == "/" || path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn glob(text: &str) -> Result<Form, BadPattern> {
    let one = |t: &str| {
        GlobBuilder::new(t).literal_separator(true).backslash_escape(false).build().map(|g| g.compile_matcher())
    };
    let mut globs = vec![one(text).map_err(|e| bad(text, e.kind()))?];
    if let Some(before) = text.strip_suffix("/**") {
        globs.push(one(if before.is_empty() { "/" } else { before }).map_err(|e| bad(text, e.kind()))?);
    }
    Ok(Form::Glob(globs.into()))
}

/// A path pattern with an optional method before it: `POST /v1/refunds`.
#[derive(Clone, Debug)]
pub struct OperationPattern {
    text: Box<str>,
    method: Option<Box<str>>,
    path: PathPattern,
}

impl OperationPattern {
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        let (method, path) = match text.trim().split_once(' ') {
            Some((method, path)) => (Some(method), path.trim()),
            None => (None, text.trim()),
        };
        if method.is_some_and(|m| m.is_empty() || !m.bytes().all(|b| b.is_ascii_uppercase())) {
            return Err(bad(text, "the method is written in capitals, such as `POST /v1/refunds`"));
        }
        let path = PathPattern::parse(path)?;
        let text = method.map_or_else(|| path.as_str().to_owned(), |m| format!("{m} {}", path.as_str()));
        Ok(Self { text: text.into(), method: method.map(Into::into), path })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Does it match `METHOD /path/or/template`?
    pub fn matches(&self, operation: &str) -> bool {
        let (method, path) = operation.split_once(' ').unwrap_or(("", operation));
        self.matches_parts(method, path)
    }

    pub fn matches_parts(&self, method: &str, path: &str) -> bool {
        self.method.as_deref().is_none_or(|m| m == method) && self.path.matches(path)
    }
}

impl PartialEq for OperationPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for OperationPattern {}

impl PartialOrd for OperationPattern {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for OperationPattern {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl Hash for OperationPattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl Serialize for OperationPattern {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for OperationPattern {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_by_whole_segments() {
        for (pattern, path, yes) in [
            ("/v1/refunds", "/v1/refunds", true),
            ("/v1/refunds", "/v1/refunds/re_1", true),
            ("/v1/refunds", "/v1/refunds_all", false),
            ("/v1/charges/**", "/v1/charges", true),
            ("/v1/charges/**", "/v1/charges/ch_1/refunds", true),
            ("/v1/charges/**", "/v1/chargesx", false),
            ("/v1/customers/*", "/v1/customers/cus_1", true),
            ("/v1/customers/*", "/v1/customers/cus_1/sources", false),
            ("/v1/customers/*", "/v1/customers", false),
            ("/**", "/", true),
            ("/", "/anything", true),
            ("/v1/*/refunds", "/v1/a/refunds", true),
            ("/v1/{charges,refunds}", "/v1/refunds", true),
            ("/v1/refunds/{refund}", "/v1/refunds/{refund}", true),
        ] {
            assert_eq!(PathPattern::parse(pattern).expect(pattern).matches(path), yes, "{pattern} on {path}");
        }
        assert!(PathPattern::parse("v1").is_err() && PathPattern::parse("/v1/[").is_err());
    }

    #[test]
    fn an_operation_pattern_reads_its_method() {
        let p = OperationPattern::parse("POST /v1/refunds").expect("well-formed");
        assert!(p.matches("POST /v1/refunds") && !p.matches("GET /v1/refunds"));
        assert!(OperationPattern::parse("/v1").expect("well-formed").matches("GET /v1/x"));
        assert!(OperationPattern::parse("post /v1").is_err());
    }
}
