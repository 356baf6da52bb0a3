//! What the mock vendor answers around batches, and of things whose price comes later: files, batches and their results at
//! OpenAI, and Twilio's messages.

use http::Response;
use serde_json::json;

use super::super::{Entry, Received, Script};
use super::{Reply, plain, whole};

/// A request of the mock's batch is answered with so many tokens.
const TOKENS: u64 = 40;

pub(super) fn answer(entry: &Entry, script: &Script, seen: &Received) -> Option<Response<Reply>> {
    Some(match (seen.method.as_str(), seen.path()) {
        ("POST", "/v1/files") => plain(200, &json!({"id": "file-in", "object": "file", "purpose": "batch"})),
        ("POST", "/v1/batches") => {
            plain(200, &json!({"id": "batch_1", "object": "batch", "status": "validating", "output_file_id": null}))
        }
        ("GET", "/v1/batches/batch_1") => {
            let counts = json!({"total": 3, "completed": 2, "failed": 1});
            let done =
                json!({"id": "batch_1", "status": "completed", "output_file_id": "file-out", "request_counts": counts});
            plain(200, &done)
        }
        ("GET", "/v1/files/file-out/content") => {
            whole(200, "application/octet-stream", results(script.number("lines").unwrap_or(2)))
        }
        ("POST", "/2010-04-01/Accounts/AC1/Messages.json") => {
            plain(201, &json!({"sid": "SM1", "num_segments": "1", "num_media": "0", "price": null}))
        }
        ("GET", "/2010-04-01/Accounts/AC1/Messages/SM1.json") => message(entry),
        _ => return None,
    })
}

/// As many answers, and one that failed.
fn results(lines: usize) -> String {
    let usage = json!({"prompt_tokens": 10, "completion_tokens": TOKENS, "total_tokens": TOKENS + 10});
    let body = json!({"object": "chat.completion", "model": "penny-1", "choices": [], "usage": usage});
    let ok = json!({"custom_id": "a", "response": {"status_code": 200, "body": body}, "error": null}).to_string();
    let failed = json!({"custom_id": "b", "response": {"status_code": 400, "body": {}}, "error": null}).to_string();
    let mut all = vec![ok; lines];
    all.push(failed);
    all.join("\n")
}

/// The first question comes too early.
fn message(entry: &Entry) -> Response<Reply> {
    let asked = entry.state.log().iter().filter(|r| r.method == "GET" && r.path().ends_with("/SM1.json")).count();
    let price = if asked < 2 { json!(null) } else { json!("-0.00750") };
    plain(200, &json!({"sid": "SM1", "price": price, "price_unit": "USD", "status": "delivered"}))
}
