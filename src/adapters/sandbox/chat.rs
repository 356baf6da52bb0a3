//! The sandbox's chat model: it echoes, word by word, and counts a token a word. Plain and streamed answers as OpenAI sends them.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::serial;

/// The model's name must be one that the price book knows, so that the loop shows a cost.
const MODEL: &str = "gpt-4o-mini";

pub async fn models() -> Json<Value> {
    Json(json!({"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "bursar-sandbox"}]}))
}

/// An answer in the making.
struct Answer {
    id: String,
    model: String,
    words: Vec<String>,
    input: usize,
    cut: bool,
}

pub async fn complete(body: Bytes) -> Response {
    let Ok(request) = serde_json::from_slice::<Value>(&body) else {
        return refuse("The body is no JSON.");
    };
    let Some(messages) = request["messages"].as_array().filter(|m| !m.is_empty()) else {
        return refuse("`messages` must be a list with at least one message.");
    };
    let answer = answer(&request, messages);
    if request["stream"] == true {
        return stream(answer, request["stream_options"]["include_usage"] == true);
    }
    plain(&answer)
}

fn refuse(message: &str) -> Response {
    let body = json!({"error": {"type": "invalid_request_error", "code": null, "param": null, "message": message}});
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

fn answer(request: &Value, messages: &[Value]) -> Answer {
    let said = messages.last().and_then(|m| m["content"].as_str()).unwrap_or("nothing");
    let limit = ["max_completion_tokens", "max_tokens"].iter().find_map(|f| request[*f].as_u64()).unwrap_or(4096);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let text = format!("You said: {said}");
    let all: Vec<String> = text.split_inclusive(' ').map(str::to_owned).collect();
    let input = messages.iter().map(|m| m["content"].as_str().unwrap_or_default().split_whitespace().count() + 3).sum();
    Answer {
        id: format!("chatcmpl-sandbox-{}", serial()),
        model: request["model"].as_str().unwrap_or(MODEL).to_owned(),
        cut: all.len() > limit,
        words: all.into_iter().take(limit).collect(),
        input,
    }
}

impl Answer {
    fn usage(&self) -> Value {
        let output = self.words.len();
        json!({"prompt_tokens": self.input, "completion_tokens": output, "total_tokens": self.input + output})
    }

    fn finish(&self) -> &'static str {
        if self.cut { "length" } else { "stop" }
    }

    fn chunk(&self, choices: Value, usage: Value) -> String {
        let body = json!({"id": self.id, "object": "chat.completion.chunk", "created": 1_767_225_600, "model": self.model,
            "choices": choices, "usage": usage});
        format!("data: {body}\n\n")
    }

    fn events(&self, with_usage: bool) -> Vec<String> {
        let delta = |d: Value, finish: Value| {
            self.chunk(json!([{"index": 0, "delta": d, "finish_reason": finish}]), Value::Null)
        };
        let mut events = vec![delta(json!({"role": "assistant", "content": ""}), Value::Null)];
        events.extend(self.words.iter().map(|w| delta(json!({"content": w}), Value::Null)));
        events.push(delta(json!({}), json!(self.finish())));
        if with_usage {
            events.push(self.chunk(json!([]), self.usage()));
        }
        events.push("data: [DONE]\n\n".to_owned());
        events
    }
}

fn plain(answer: &Answer) -> Response {
    let body = json!({"id": answer.id, "object": "chat.completion", "created": 1_767_225_600, "model": answer.model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": answer.words.concat()},
            "finish_reason": answer.finish()}],
        "usage": answer.usage()});
    Json(body).into_response()
}

/// One event every 40 ms, so that a revoke can be seen in the middle of an answer.
fn stream(answer: Answer, with_usage: bool) -> Response {
    let events = answer.events(with_usage).into_iter();
    let paced = futures_util::stream::unfold(events, |mut rest| async {
        let event = rest.next()?;
        tokio::time::sleep(std::time::Duration::from_millis(40)).await;
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(event)), rest))
    });
    ([(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")], Body::from_stream(paced)).into_response()
}
