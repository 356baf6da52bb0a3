//! Fields of a model's request body, read once and strictly: a field that stands there in another spelling as well, which
//! some reader might take for it, has no reading. Only the body counts, as only the body is what these vendors read. Knows no
//! field's meaning.

use super::super::ask::{Ask, Unpriceable};
use crate::rules::args::{Decimal, Unreadable};
use crate::rules::json::{Kind, NodeRef};

/// Every field that an adapter reads.
const FIELDS: [&str; 53] = [
    "audio",
    "best_of",
    "cache_control",
    "compaction",
    "compound_custom",
    "container",
    "context_management",
    "conversation",
    "data_sources",
    "documents",
    "fallbacks",
    "images",
    "inference_geo",
    "input",
    "inputs",
    "max_completion_tokens",
    "max_output_tokens",
    "max_tokens",
    "max_tool_calls",
    "mcp_servers",
    "messages",
    "modalities",
    "model",
    "models",
    "n",
    "output_config",
    "output_format",
    "plugins",
    "prediction",
    "preset",
    "previous_response_id",
    "prompt",
    "prompt_cache_options",
    "quality",
    "reasoning",
    "search_parameters",
    "service_tier",
    "size",
    "speed",
    "stream",
    "stream_format",
    "stream_options",
    "system",
    "thinking",
    "thread",
    "tools",
    "web_search_options",
    // Not read, but in nearly every request: not worth a closer look.
    "metadata",
    "response_format",
    "store",
    "temperature",
    "tool_choice",
    "top_p",
];

/// The same for vendors that write their fields in one word.
const CAMEL: [&str; 14] = [
    "additionalModelRequestFields",
    "cachedContent",
    "contents",
    "generationConfig",
    "guardrailConfig",
    "inferenceConfig",
    "messages",
    "model",
    "requests",
    "serviceTier",
    "system",
    "systemInstruction",
    "toolConfig",
    "tools",
];

/// The body of a request that must be a JSON object.
#[derive(Clone, Copy)]
pub(in super::super) struct Body<'a> {
    pub root: NodeRef<'a>,
}

fn bad(field: &str, why: &'static str) -> Unpriceable {
    Unpriceable::BadField { field: field.to_owned(), why }
}

/// The field that some reader may take this name for.
fn looks_like(key: &str, fields: &[&'static str]) -> Option<&'static str> {
    // Some readers split at dots.
    let key = key.split('.').next().unwrap_or(key);
    fields.iter().copied().find(|field| folded(key).eq(folded(field)))
}

/// Through upper case to lower case, as case-blind readers fold; without what divides words.
fn folded(text: &str) -> impl Iterator<Item = char> {
    let word = text.chars().filter(|c| !matches!(c, '_' | '-'));
    word.flat_map(char::to_uppercase).flat_map(char::to_lowercase)
}

impl<'a> Body<'a> {
    pub fn of(ask: &Ask<'a>) -> Result<Self, Unpriceable> {
        Self::with(ask, &FIELDS)
    }

    /// Of a vendor that writes `maxTokens`.
    pub fn camel(ask: &Ask<'a>) -> Result<Self, Unpriceable> {
        Self::with(ask, &CAMEL)
    }

    fn with(ask: &Ask<'a>, fields: &[&'static str]) -> Result<Self, Unpriceable> {
        let root = ask.args.document().map(|document| document.root());
        let root = root.filter(|root| matches!(root.kind(), Kind::Object));
        let root = root.ok_or_else(|| bad("the body", "it must be a JSON object"))?;
        Self::spelled(root, fields)?;
        Ok(Self { root })
    }

    /// No member of this object may be taken for one of these fields, unless it is written like it.
    pub fn spelled(object: NodeRef<'_>, fields: &[&'static str]) -> Result<(), Unpriceable> {
        let strange = object.children().filter_map(NodeRef::key).filter(|key| !fields.contains(key));
        match strange.filter_map(|key| looks_like(key, fields)).next() {
            Some(field) => Err(Unreadable::Ambiguous { name: field.to_owned() }.into()),
            None => Ok(()),
        }
    }

    /// A member that is there and not null.
    pub fn get(&self, field: &str) -> Option<NodeRef<'a>> {
        debug_assert!(FIELDS.contains(&field) || CAMEL.contains(&field), "{field} must be among the fields");
        self.root.member(field).filter(|node| !node.is_null())
    }

    /// Is the member there at all, be it null?
    pub fn has(&self, field: &str) -> bool {
        self.root.member(field).is_some()
    }

    pub fn text(&self, field: &str) -> Result<Option<&'a str>, Unpriceable> {
        self.get(field).map(|node| node.text().ok_or_else(|| bad(field, "it must be a text"))).transpose()
    }

    pub fn model(&self) -> Result<&'a str, Unpriceable> {
        let model = self.text("model")?.filter(|model| !model.is_empty());
        model.ok_or_else(|| bad("model", "the request must name one"))
    }

    pub fn flag(&self, field: &str) -> Result<bool, Unpriceable> {
        let Some(node) = self.get(field) else { return Ok(false) };
        flag(node).ok_or_else(|| bad(field, "it must be true or false"))
    }

    pub fn count(&self, field: &str) -> Result<Option<u64>, Unpriceable> {
        self.get(field)
            .map(|node| count(node).ok_or_else(|| bad(field, "it must be a whole number, not below zero")))
            .transpose()
    }
}

/// `true` or `false`.
pub(in super::super) fn flag(node: NodeRef<'_>) -> Option<bool> {
    if let Kind::Bool(value) = node.kind() { Some(*value) } else { None }
}

/// A whole number, not below zero.
pub(in super::super) fn count(node: NodeRef<'_>) -> Option<u64> {
    let exact = Decimal::parse(node.number()?)?.scaled(0)?;
    u64::try_from(exact).ok()
}

/// A member that is a text.
pub(in super::super) fn text_of<'d>(node: NodeRef<'d>, field: &str) -> Option<&'d str> {
    node.member(field)?.text()
}

/// The first node, this one or below, that a test likes.
pub(in super::super) fn find<'d>(node: NodeRef<'d>, test: &impl Fn(NodeRef<'d>) -> bool) -> Option<NodeRef<'d>> {
    if test(node) {
        return Some(node);
    }
    // The reader's own limit bounds the depth.
    node.children().find_map(|child| find(child, test))
}
