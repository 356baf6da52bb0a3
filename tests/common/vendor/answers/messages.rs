//! Anthropic's messages as the mock streams them: the prompt's tokens come first, and with `growing` each event tells the usage so
//! far. Words of the script as for chats.

use http::{HeaderValue, Response, header};
use serde_json::{Value, json};

use super::{Entry, Piece, Received, Reply, Script, TOKEN, flow, pause};

/// What the endpoint for counting says of any prompt.
pub const COUNTED: u64 = 200;

/// What Bedrock says of any conversation.
pub(super) fn converse() -> Value {
    let message = json!({"role": "assistant", "content": [{"text": "yes"}]});
    json!({"output": {"message": message}, "stopReason": "end_turn", "metrics": {"latencyMs": 1},
        "usage": {"inputTokens": COUNTED, "outputTokens": 40, "totalTokens": COUNTED + 40}})
}

pub(super) fn stream(entry: Entry, script: &Script, seen: &Received) -> Response<Reply> {
    let asked: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
    let tokens: u64 = script.number("tokens").unwrap_or(100);
    let count: u64 = script.number("events").unwrap_or(10).max(1);
    let (each, growing) = (tokens / count, script.has("growing"));
    let start = json!({"type": "message_start", "message": {"id": format!("msg_{}", entry.at), "type": "message",
        "role": "assistant", "model": asked["model"], "content": [], "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": 10, "output_tokens": 1}}});
    let block = json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}});
    let begin = [(start, 10 * TOKEN), (block, 0)].into_iter();
    let words = (1..=count).flat_map(move |n| {
        let delta = json!({"type": "text_delta", "text": format!("w{n} ")});
        let word = json!({"type": "content_block_delta", "index": 0, "delta": delta});
        let usage = growing.then(|| (totals(&Value::Null, each * n), 0));
        [(word, each * TOKEN)].into_iter().chain(usage)
    });
    let ends = [json!({"type": "content_block_stop", "index": 0}), totals(&json!("end_turn"), each * count)];
    let end = ends.into_iter().chain([json!({"type": "message_stop"})]).map(|event| (event, 0));
    let pieces = begin.chain(words).chain(end).map(|(event, billed)| {
        let kind = event["type"].as_str().unwrap_or_default();
        Piece::Data(format!("event: {kind}\ndata: {event}\n\n").into(), billed)
    });
    let mut response = Response::new(flow(Some(entry), Box::new(pieces), pause(script, "every")));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response
}

fn totals(why: &Value, tokens: u64) -> Value {
    json!({"type": "message_delta", "delta": {"stop_reason": why, "stop_sequence": null}, "usage": {"output_tokens": tokens}})
}
