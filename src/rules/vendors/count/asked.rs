//! What is asked of a vendor for its own count of a prompt, in the vendor's own shape, and what its answer says. Free endpoints
//! only. Sends nothing; `gateway::look_up` does.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::adapter;
use crate::rules::json::NodeRef;
use crate::rules::path::CanonicalPath;
use crate::rules::vendors::ask::Ask;
use crate::rules::vendors::entry::{Adapter, Price};
use crate::rules::vendors::look_up::Question;

/// What the vendors' counts may leave out: "an estimate", says one.
const MARGIN_PERCENT: u64 = 5;
const MARGIN: u64 = 100;

/// What to ask the vendor for its own count of this prompt; nothing if it has no such endpoint, or the count would bound nothing.
pub fn question(ask: &Ask<'_>) -> Option<Question> {
    if !ask.bounded().ok()?.countable {
        return None;
    }
    let own = ask.operation?.name.split_once(' ')?.1;
    let root = ask.args.document()?.root();
    let (path, body) = match adapter(ask)? {
        Adapter::Messages if ask.args.in_path("model").is_some() => at_vertex(ask, own)?,
        Adapter::Messages => (format!("{own}/count_tokens"), without(&root, ask.body, &BESIDE_MESSAGES)),
        Adapter::Responses => (format!("{own}/input_tokens"), without(&root, ask.body, &BESIDE_RESPONSES)),
        Adapter::Gemini if ask.args.in_path("project").is_some() => {
            (at_model(ask, own, ":countTokens")?, without(&root, ask.body, &BESIDE_CONTENTS))
        }
        Adapter::Gemini => gemini(ask, own)?,
        Adapter::Converse => (at_model(ask, own, "/count-tokens")?, converse(&root, ask.body)?),
        Adapter::Invoke => (at_model(ask, own, "/count-tokens")?, invoke(ask.body)),
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

/// Vertex counts contents alone; its other fields guard, label or steer.
const BESIDE_CONTENTS: [&str; 6] =
    ["safetySettings", "safety_settings", "labels", "toolConfig", "tool_config", "modelArmorConfig"];
/// What Bedrock counts, and what is no part of the prompt. It overlooks fields that it does not know, so with any other one it is
/// not asked.
const OF_CONVERSE: [&str; 4] = ["messages", "system", "toolConfig", "additionalModelRequestFields"];
const BESIDE_CONVERSE: [&str; 6] = [
    "inferenceConfig",
    "additionalModelResponseFieldPaths",
    "requestMetadata",
    "performanceConfig",
    "serviceTier",
    "guardrailConfig",
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

/// The operation's path with the parameters that the caller sent, up to its model's name, and this behind it.
fn at_model(ask: &Ask<'_>, own: &str, then: &str) -> Option<String> {
    let head = own.split_once("{model}")?.0;
    let mut path = String::new();
    for segment in head.split_inclusive('/') {
        match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix("}/")) {
            Some(name) => write!(path, "{}/", in_segment(ask.args.in_path(name)?)).ok()?,
            None => path.push_str(segment),
        }
    }
    write!(path, "{}{then}", in_segment(ask.args.in_path("model")?)).ok()?;
    Some(path)
}

fn in_segment(text: &str) -> impl std::fmt::Display {
    const KEPT: AsciiSet =
        NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'@').remove(b':');
    utf8_percent_encode(text, &KEPT)
}

/// Claude at Google: the model stands in the body there, and the endpoint in its place in the path.
fn at_vertex(ask: &Ask<'_>, own: &str) -> Option<(String, Bytes)> {
    let model = ask.args.in_path("model")?;
    let root = ask.args.document()?.root();
    let path = at_model(ask, own, ":rawPredict")?;
    let (head, _) = path.rsplit_once('/')?;
    let rest = without(&root, ask.body, &BESIDE_MESSAGES);
    let rest = rest.strip_prefix(b"{").filter(|_| root.member("model").is_none())?;
    let comma = if rest.starts_with(b"}") { "" } else { "," };
    let mut body = format!("{{\"model\":{}{comma}", serde_json::to_string(model).ok()?).into_bytes();
    body.extend_from_slice(rest);
    Some((format!("{head}/count-tokens:rawPredict"), body.into()))
}

fn converse(root: &NodeRef<'_>, body: &[u8]) -> Option<Bytes> {
    let known = |key: &str| OF_CONVERSE.contains(&key) || BESIDE_CONVERSE.contains(&key);
    let all = root.children().all(|node| node.key().is_some_and(known));
    let counted = without(root, body, &BESIDE_CONVERSE);
    all.then(|| [b"{\"input\":{\"converse\":", &*counted, b"}}"].concat().into())
}

fn invoke(body: &[u8]) -> Bytes {
    format!("{{\"input\":{{\"invokeModel\":{{\"body\":\"{}\"}}}}}}", BASE64.encode(body)).into()
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
    #[serde(alias = "input_tokens")]
    input_tokens: Option<u64>,
    total_tokens: Option<u64>,
}

/// What the vendor said, with a margin.
pub fn told(answer: &[u8]) -> Option<u64> {
    let told: Told = serde_json::from_slice(answer).ok()?;
    let tokens = told.input_tokens.or(told.total_tokens)?;
    Some(tokens.saturating_add(tokens.saturating_mul(MARGIN_PERCENT) / 100).saturating_add(MARGIN))
}
