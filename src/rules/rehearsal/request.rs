//! One request as a person writes it, and who sends it.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::rules::path::PathRefusal;
use crate::rules::policy::Overlay;
use crate::rules::subject::{Name, Subject};
use crate::units::ids::KeyId;
use crate::units::money::MicroCents;

/// `POST /stripe/v1/refunds`, with headers and body.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// The vendor's name is its first segment, as agents write it.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// Whose key it is.
#[derive(Clone, Debug)]
pub struct Actor {
    pub policy: Name,
    pub subject: Subject,
    /// The run stands in a header, and not in the key.
    pub claimed_run: bool,
    pub keys: Vec<KeyId>,
    /// What those keys add for themselves.
    pub overlays: Vec<(KeyId, Overlay)>,
    /// The vendor's credential is one of its test mode.
    pub test_key: bool,
}

/// A call that was made, as far as the books know it.
#[derive(Clone, Debug)]
pub struct Past {
    pub actor: Actor,
    pub request: Request,
    /// What was held for it, and what it cost.
    pub held: MicroCents,
    pub cost: MicroCents,
    pub tokens: u64,
}

/// What no rule could be asked about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unplayable {
    #[error(
        "`{0}` is no request: write a method and a path that begins with the vendor, such as `POST /stripe/v1/refunds`"
    )]
    Form(String),
    #[error("the path is refused: {0}")]
    Path(PathRefusal),
    #[error("`{0}` is no vendor that is configured here")]
    Vendor(String),
    #[error("`{0}` is no header")]
    Header(String),
}

impl Request {
    /// `POST /stripe/v1/refunds?expand=charge`
    pub fn parse(text: &str) -> Result<Self, Unplayable> {
        let form = || Unplayable::Form(text.to_owned());
        let (method, target) = text.trim().split_once(char::is_whitespace).ok_or_else(form)?;
        let target = target.trim();
        let known = !method.is_empty() && method.bytes().all(|b| b.is_ascii_uppercase());
        if !known || !target.starts_with('/') || target.contains(char::is_whitespace) {
            return Err(form());
        }
        Ok(Self { method: method.to_owned(), target: target.to_owned(), headers: HeaderMap::new(), body: Vec::new() })
    }

    pub fn header(mut self, name: &str, value: &str) -> Result<Self, Unplayable> {
        let bad = || Unplayable::Header(format!("{name}: {value}"));
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        self.headers.append(name, HeaderValue::from_str(value).map_err(|_| bad())?);
        Ok(self)
    }

    /// A body of this type, unless a header names another.
    pub fn body(mut self, content_type: &'static str, body: Vec<u8>) -> Self {
        self.headers.entry(http::header::CONTENT_TYPE).or_insert(HeaderValue::from_static(content_type));
        Self { body, ..self }
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Actor {
    /// A key under this policy that names nothing else.
    pub fn under(policy: impl Into<Name>) -> Self {
        Self {
            policy: policy.into(),
            subject: Subject::default(),
            claimed_run: false,
            keys: vec![KeyId("rehearsal".into())],
            overlays: Vec::new(),
            test_key: false,
        }
    }
}
