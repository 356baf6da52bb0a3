//! What the admin API refuses, in one JSON shape: a code, a sentence that says what to do, and a status. One match.

use axum::Json;
use axum::extract::Request;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::adapters::approvals::ApprovalError;
use crate::adapters::audit::AuditError;
use crate::adapters::captures::CaptureError;
use crate::adapters::keyring::KeyringError;
use crate::adapters::ledger::LedgerError;
use crate::adapters::people::PeopleError;

/// A refusal or a failure.
#[derive(Debug)]
pub enum Problem {
    /// The request does not say what it should.
    Malformed(String),
    /// More than one thing is wrong with it.
    Refused {
        code: &'static str,
        mistakes: Vec<String>,
    },
    TooLarge,
    NoToken,
    WrongToken,
    WrongHost(String),
    /// The token is good, for something else.
    Forbidden(&'static str),
    NotFound(String),
    NotAllowedHere(String),
    /// Another node of the fleet does that: the sentence names it.
    Elsewhere(String),
    /// A store is down; nothing was changed.
    Down(String),
    /// Something holds, and something is missing: the sentence says which.
    Partly(String),
    Internal(String),
}

#[derive(Serialize)]
struct Body<'a> {
    error: Detail<'a>,
}

#[derive(Serialize)]
struct Detail<'a> {
    code: &'a str,
    message: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mistakes: Vec<String>,
}

impl Problem {
    /// Of a caller who is not let in.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::NoToken => "no_token",
            Self::WrongToken => "wrong_token",
            Self::WrongHost(_) => "wrong_host",
            Self::Forbidden(_) => "forbidden",
            _ => "refused",
        }
    }

    fn parts(self) -> (StatusCode, &'static str, String) {
        match self {
            Self::Malformed(why) => (StatusCode::BAD_REQUEST, "malformed", why),
            Self::Refused { code, mistakes } => (StatusCode::UNPROCESSABLE_ENTITY, code, mistakes.join("; ")),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the body has more than 64 KiB".to_owned()),
            Self::NoToken => {
                let fix = "send `Authorization: Bearer TOKEN`; the token stands in `admin-token` in the data folder, or is the one the operator set";
                (StatusCode::UNAUTHORIZED, "no_token", fix.to_owned())
            }
            Self::WrongToken => (StatusCode::UNAUTHORIZED, "wrong_token", "this is not the admin token".to_owned()),
            Self::WrongHost(host) => {
                let why = format!("`{host}` is no name of this admin API; call it by its address or as `localhost`");
                (StatusCode::MISDIRECTED_REQUEST, "wrong_host", why)
            }
            Self::Forbidden(why) => (StatusCode::FORBIDDEN, "forbidden", why.to_owned()),
            Self::NotFound(what) => (StatusCode::NOT_FOUND, "not_found", what),
            Self::NotAllowedHere(why) => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", why),
            Self::Elsewhere(why) => (StatusCode::CONFLICT, "another_node", why),
            Self::Down(why) => (StatusCode::SERVICE_UNAVAILABLE, "store_down", why),
            Self::Partly(why) => (StatusCode::SERVICE_UNAVAILABLE, "partly_done", why),
            Self::Internal(why) => {
                tracing::error!("admin API: {why}");
                let say = "something failed inside bursar; its log says what";
                (StatusCode::INTERNAL_SERVER_ERROR, "internal", say.to_owned())
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mistakes = match &self {
            Self::Refused { mistakes, .. } => mistakes.clone(),
            _ => Vec::new(),
        };
        let (status, code, message) = self.parts();
        (status, Json(Body { error: Detail { code, message, mistakes } })).into_response()
    }
}

impl From<KeyringError> for Problem {
    fn from(e: KeyringError) -> Self {
        match e {
            KeyringError::Store(_) => Self::Down(e.to_string()),
            KeyringError::NotDurable(..) => Self::Partly(e.to_string()),
            KeyringError::NoSuchKey(_) => Self::NotFound(e.to_string()),
            _ => Self::Refused { code: "refused", mistakes: vec![e.to_string()] },
        }
    }
}

impl From<LedgerError> for Problem {
    fn from(e: LedgerError) -> Self {
        match e {
            LedgerError::Hold(..) => Self::Refused { code: "refused", mistakes: vec![e.to_string()] },
            _ => Self::Down(e.to_string()),
        }
    }
}

impl From<CaptureError> for Problem {
    fn from(e: CaptureError) -> Self {
        Self::Down(e.to_string())
    }
}

impl From<ApprovalError> for Problem {
    fn from(e: ApprovalError) -> Self {
        match e {
            ApprovalError::Store(_) => Self::Down(e.to_string()),
            ApprovalError::Unknown(_) => Self::NotFound(e.to_string()),
            _ => Self::Refused { code: "refused", mistakes: vec![e.to_string()] },
        }
    }
}

impl From<PeopleError> for Problem {
    fn from(e: PeopleError) -> Self {
        Self::Down(e.to_string())
    }
}

impl From<AuditError> for Problem {
    fn from(e: AuditError) -> Self {
        match e {
            AuditError::Elsewhere(why) => Self::Elsewhere(why),
            _ => Self::Down(e.to_string()),
        }
    }
}

impl From<tokio::task::JoinError> for Problem {
    fn from(e: tokio::task::JoinError) -> Self {
        Self::Internal(e.to_string())
    }
}

impl From<QueryRejection> for Problem {
    fn from(e: QueryRejection) -> Self {
        Self::Malformed(e.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(e: PathRejection) -> Self {
        Self::Malformed(e.body_text())
    }
}

impl From<BytesRejection> for Problem {
    fn from(e: BytesRejection) -> Self {
        match e.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge,
            _ => Self::Malformed(e.body_text()),
        }
    }
}

/// Reads a JSON body, whatever its content type says. An empty body is `{}`.
pub(super) fn read<T: DeserializeOwned>(body: Result<bytes::Bytes, BytesRejection>) -> Result<T, Problem> {
    let body = body?;
    let text: &[u8] = if body.is_empty() { b"{}" } else { &body };
    serde_json::from_slice(text).map_err(|e| Problem::Malformed(format!("the body is not what is expected here: {e}")))
}

pub(super) async fn no_such_page(request: Request) -> Problem {
    Problem::NotFound(format!("there is no `{}` here; `GET /v1/status` is a good start", request.uri().path()))
}

pub(super) async fn no_such_method(request: Request) -> Problem {
    Problem::NotAllowedHere(format!("`{}` does not take {}", request.uri().path(), request.method()))
}
