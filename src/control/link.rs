//! Where a signed link leads: a page that shows one request, and a form that decides it. Looking changes nothing, as previews
//! and scanners look, too; only a POST does. The signature says who it is, so there is no token.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};

use super::ControlState;
use super::approvals::{decide, find};
use super::approvers::Signed;
use super::guard::acted;
use super::problem::Problem;
use crate::adapters::approvals::{Record, State as Stage};
use crate::rules::books::Request;
use crate::units::ids::ApprovalId;
use crate::units::time::Timestamp;

pub(super) fn routes() -> Router<Arc<ControlState>> {
    Router::new().route("/approve/{id}", get(look).post(answer)).layer(DefaultBodyLimit::max(FORM_LIMIT))
}

/// A yes or no, and a reason.
const FORM_LIMIT: usize = 4 * 1024;

type Id = Result<Path<String>, PathRejection>;
type Proof = Result<Query<Signed>, QueryRejection>;

/// Why there is no page: said to a person, in words.
struct No(StatusCode, String);

impl From<Problem> for No {
    fn from(problem: Problem) -> Self {
        let status = problem.into_response();
        match status.status() {
            StatusCode::NOT_FOUND => Self(StatusCode::NOT_FOUND, "There is no such request any more.".to_owned()),
            other => Self(other, "bursar cannot answer now. Try again, or use `bursar approval`.".to_owned()),
        }
    }
}

impl IntoResponse for No {
    fn into_response(self) -> Response {
        page(self.0, &format!("<p>{}</p>", escaped(&self.1)))
    }
}

async fn look(State(state): State<Arc<ControlState>>, id: Id, proof: Proof) -> Result<Response, No> {
    let (id, _) = proved(&state, id, proof).await?;
    let record = find(&state, &id).await?;
    let form = match record.state {
        Stage::Pending => FORM,
        _ => "",
    };
    Ok(page(StatusCode::OK, &format!("{}{form}", shown(&record))))
}

async fn answer(
    State(state): State<Arc<ControlState>>,
    id: Id,
    proof: Proof,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, No> {
    let (id, by) = proved(&state, id, proof).await?;
    let body = body.map_err(|_| bad("The form is not what it should be."))?;
    let (mut yes, mut reason) = (None, None);
    for (name, value) in form(&body) {
        match (name.as_str(), value.as_str()) {
            ("decision", "approve") => yes = Some(true),
            ("decision", "reject") => yes = Some(false),
            ("reason", why) => reason = Some(why.trim().to_owned()).filter(|why| !why.is_empty()),
            _ => {}
        }
    }
    let yes = yes.ok_or_else(|| bad("The form says neither yes nor no."))?;
    match decide(state, id, acted(format!("link:{by}"), reason), yes).await {
        Ok(done) => Ok(page(StatusCode::OK, &format!("<p><b>Heard.</b></p>{}", shown(&done.approval)))),
        Err(Problem::Refused { mistakes, .. }) => Err(No(StatusCode::CONFLICT, mistakes.join("; "))),
        Err(problem) => Err(problem.into()),
    }
}

fn bad(why: &str) -> No {
    No(StatusCode::BAD_REQUEST, why.to_owned())
}

/// The request, and who has the link.
async fn proved(state: &Arc<ControlState>, id: Id, proof: Proof) -> Result<(ApprovalId, String), No> {
    let (Ok(Path(id)), Ok(Query(signed))) = (id, proof) else { return Err(bad("This is no whole link.")) };
    let id = ApprovalId(id.into());
    let (now, own) = (Timestamp::now(), state.approvers.vouches(&id, &signed, Timestamp::now()));
    if own.is_ok() || !state.approvers.knows(&signed.by) {
        return own.map(|()| (id, signed.by)).map_err(forbidden);
    }
    // Another node may have made it: what it sent stands with the request.
    let told = state.approvals.find(id.clone(), now).await.ok().and_then(|record| record.told.get(&signed.by).copied());
    match told.filter(|told| signed.is(&id, told.proof)).map(|_| signed.in_time(now)) {
        Some(done) => done.map(|()| (id, signed.by)).map_err(forbidden),
        None => own.map(|()| (id, signed.by)).map_err(forbidden),
    }
}

fn forbidden(why: &'static str) -> No {
    No(StatusCode::FORBIDDEN, why.to_owned())
}

fn form(body: &[u8]) -> Vec<(String, String)> {
    let decoded = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    let text = String::from_utf8_lossy(body);
    text.split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(n, v)| (decoded(n), decoded(v)))
        .collect()
}

const FORM: &str = "<form method=\"post\"><p><label>Why <input name=\"reason\" maxlength=\"500\" size=\"60\"></label></p>\
    <p><button name=\"decision\" value=\"approve\">Approve</button> \
    <button name=\"decision\" value=\"reject\">Reject</button></p></form>";

/// What is asked, as far as a person without a token shall know it.
fn shown(record: &Record) -> String {
    let request = &record.request;
    let said = record.decisions.iter().filter(|d| d.yes).count();
    let rows = [
        ("request", format!("{}, {}", record.id, record.state.as_str().replace('_', " "))),
        ("agent", request.subject.agent.as_deref().unwrap_or("-").to_owned()),
        ("call", format!("{} {} at {}", request.method, request.path, request.vendor)),
        ("query", request.query.as_deref().unwrap_or("none").to_owned()),
        ("account there", accounts(request)),
        ("at most", format!("{} USD, {} tokens, {} risk", request.estimate_usd, request.tokens, request.risk)),
        ("because", request.because.join(", ")),
        ("policy, key", format!("{}, {}", request.policy, request.key)),
        ("body", request.request_hash.map_or_else(|| "none".to_owned(), |hash| hash.to_string())),
        ("said yes", format!("{said} of {}", request.people)),
        ("until", record.open_until.to_string()),
    ];
    let row = |(name, text): &(&str, String)| format!("<tr><th>{name}</th><td>{}</td></tr>", escaped(text));
    format!("<table>{}</table>", rows.iter().map(row).collect::<String>())
}

fn accounts(request: &Request) -> String {
    let all: Vec<String> = request.accounts.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    if all.is_empty() { "the credential's own".to_owned() } else { all.join(", ") }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Nothing is loaded from anywhere, kept anywhere or shown inside another page, and the link goes nowhere.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

fn page(status: StatusCode, inner: &str) -> Response {
    let style = "body{font:16px sans-serif;margin:2em}th{text-align:left;padding-right:1em;vertical-align:top}";
    let text = format!(
        "<!doctype html><html lang=\"en\"><title>bursar: approval</title><style>{style}</style><h1>bursar</h1>{inner}</html>"
    );
    let mut response = (status, text).into_response();
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
