//! Error bodies in the shape that each vendor's SDK reads, so that it raises its own typed exception with our sentence.
//! Pure; knows nothing of why. `problem` decides status, code and words.

use serde_json::{Map, Value, json};

use crate::rules::vendors::Envelope;

/// What the caller is told, before it has a shape.
#[derive(Clone, Debug)]
pub struct Told {
    pub status: u16,
    pub code: String,
    pub message: String,
    /// The `bursar` object: code, rule, account, limit, spent, held, remaining, resets_at, call.
    pub bursar: Map<String, Value>,
}

/// The JSON body. Without an envelope the vendor is not known yet: one body that every SDK reads.
pub fn body(envelope: Option<Envelope>, told: &Told) -> Value {
    let mut body = envelope.map_or_else(|| superset(told), |e| shaped(e, told));
    if let Value::Object(fields) = &mut body {
        fields.insert("bursar".to_owned(), Value::Object(told.bursar.clone()));
    }
    body
}

fn shaped(envelope: Envelope, told: &Told) -> Value {
    let Told { status, code, message, .. } = told;
    match envelope {
        Envelope::OpenAi => {
            json!({"error": {"message": message, "type": openai_type(*status), "param": null, "code": code}})
        }
        Envelope::Anthropic => json!({"type": "error", "error": {"type": anthropic_type(*status), "message": message}}),
        Envelope::Stripe => json!({"error": {"type": "invalid_request_error", "code": code, "message": message}}),
        Envelope::Twilio => {
            json!({"code": 20_000 + u32::from(*status), "message": message, "more_info": "", "status": status})
        }
        Envelope::Resend => json!({"statusCode": status, "name": resend_name(*status), "message": message}),
        Envelope::Google => json!({"error": {"code": status, "message": message, "status": google_status(*status)}}),
        Envelope::Bedrock | Envelope::Message => json!({"message": message}),
        Envelope::ElevenLabs => json!({"detail": {"status": code, "message": message}}),
        Envelope::SendGrid => json!({"errors": [{"message": message, "field": null, "help": null}]}),
        Envelope::Slack => json!({"ok": false, "error": code, "message": message}),
        Envelope::GitHub => json!({"message": message, "documentation_url": "", "status": status.to_string()}),
    }
}

/// Read by thirteen Python and eight Node calls; never `title` beside `type`, which one SDK takes for another format.
fn superset(told: &Told) -> Value {
    let Told { status, code, message, .. } = told;
    json!({
        "error": {
            "type": anthropic_type(*status), "code": code, "param": null,
            "message": message, "status": google_status(*status),
        },
        "type": "error", "message": message, "name": resend_name(*status), "statusCode": status,
        "code": 20_000 + u32::from(*status), "status": status, "more_info": "",
        "errors": [{"message": message}], "ok": false,
    })
}

fn openai_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    }
}

fn anthropic_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

/// Not `missing_api_key` (its SDK then replaces our words) and not `invalid_api_key` (that is another exception).
fn resend_name(status: u16) -> &'static str {
    match status {
        401 | 403 => "restricted_api_key",
        429 => "rate_limit_exceeded",
        500.. => "application_error",
        _ => "validation_error",
    }
}

fn google_status(status: u16) -> &'static str {
    match status {
        400 | 413 | 415 | 422 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        504 => "DEADLINE_EXCEEDED",
        _ => "UNAVAILABLE",
    }
}

/// The event that ends an open stream: what each SDK raises in the middle of one. `None`: the vendor has no such event, so
/// the stream is cut.
pub fn stream_error(envelope: Envelope, told: &Told) -> Option<String> {
    let body = body(Some(envelope), told);
    match envelope {
        Envelope::Anthropic => Some(format!("event: error\ndata: {body}\n\n")),
        Envelope::OpenAi | Envelope::Google | Envelope::Message => Some(format!("data: {body}\n\n")),
        _ => None,
    }
}

/// A header that one SDK needs to find the error's name.
pub fn extra_header(envelope: Option<Envelope>) -> Option<(&'static str, &'static str)> {
    (envelope == Some(Envelope::Bedrock)).then_some(("x-amzn-errortype", "AccessDeniedException"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Envelope; 12] = [
        Envelope::OpenAi,
        Envelope::Anthropic,
        Envelope::Stripe,
        Envelope::Twilio,
        Envelope::Resend,
        Envelope::Google,
        Envelope::Bedrock,
        Envelope::Message,
        Envelope::ElevenLabs,
        Envelope::SendGrid,
        Envelope::Slack,
        Envelope::GitHub,
    ];

    #[test]
    fn every_envelope_carries_the_sentence_and_the_bursar_object() {
        let mut bursar = Map::new();
        bursar.insert("code".to_owned(), json!("policy_denied"));
        let told = Told { status: 403, code: "policy_denied".to_owned(), message: "No, because.".to_owned(), bursar };
        for envelope in ALL.map(Some).into_iter().chain([None]) {
            let body = body(envelope, &told);
            assert!(body.to_string().contains("No, because."), "{envelope:?}");
            assert_eq!(body["bursar"]["code"], "policy_denied", "{envelope:?}");
            assert!(body.get("title").is_none());
        }
    }
}
