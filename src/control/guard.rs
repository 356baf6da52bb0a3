//! Who may come in. On TCP: whoever calls by a name of ours and has the token. On the socket: whoever may open the file.
//! A page in a browser can be led here under a foreign name (DNS rebinding), so names are checked before the token.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, HOST};

use super::problem::Problem;
use super::{ControlState, door};
use crate::rules::books::Act;

/// How a caller came in; it stands in front of the name that it gives itself.
#[derive(Clone, Debug)]
pub(super) enum Via {
    Socket,
    Token,
    /// By a token of their own, which opens approvals alone.
    Approver(Arc<str>),
}

/// Host names, beside loopback's, under which the admin API is called.
#[derive(Clone, Debug, Default)]
pub struct Names(pub Vec<String>);

impl Names {
    /// An address cannot be rebound, so every address is good; of names only ours.
    fn know(&self, host: &str) -> bool {
        let name = without_port(host);
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        bare.parse::<IpAddr>().is_ok()
            || bare.eq_ignore_ascii_case("localhost")
            || self.0.iter().any(|own| own.eq_ignore_ascii_case(bare))
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.is_empty() => name,
        _ => host,
    }
}

pub(super) async fn on_tcp(State(state): State<Arc<ControlState>>, mut request: Request, next: Next) -> Response {
    let from = request.extensions().get::<SocketAddr>().map(|from| from.ip().to_string());
    match check(&state, &request) {
        Ok(via) => {
            door::entered(&state, from, act(via.clone(), request.headers(), None));
            request.extensions_mut().insert(via);
            next.run(request).await
        }
        Err(problem) => {
            // Whoever is not let in has no name.
            let nobody = Act { actor: "nobody".to_owned(), reason: Some(target(&request)) };
            door::refused(&state, problem.code(), from, nobody);
            problem.into_response()
        }
    }
}

pub(super) async fn on_socket(State(state): State<Arc<ControlState>>, mut request: Request, next: Next) -> Response {
    door::entered(&state, None, act(Via::Socket, request.headers(), None));
    request.extensions_mut().insert(Via::Socket);
    next.run(request).await
}

/// What was asked for; a stranger's words are kept short.
fn target(request: &Request) -> String {
    let path: String = request.uri().path().chars().take(100).collect();
    format!("{} {path}", request.method())
}

/// For what needs no token because it is signed: the name alone.
pub(super) async fn by_name(State(state): State<Arc<ControlState>>, request: Request, next: Next) -> Response {
    match named(&state, &request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn named(state: &ControlState, request: &Request) -> Result<(), Problem> {
    let host = request.uri().authority().map(|a| a.as_str()).or_else(|| header(request, HOST)).unwrap_or_default();
    match state.names.know(host) {
        true => Ok(()),
        false => Err(Problem::WrongHost(host.chars().filter(|c| c.is_ascii_graphic()).take(100).collect())),
    }
}

fn header(request: &Request, name: http::HeaderName) -> Option<&str> {
    request.headers().get(name).map(|v| v.to_str().unwrap_or_default())
}

fn check(state: &ControlState, request: &Request) -> Result<Via, Problem> {
    named(state, request)?;
    let offered = header(request, AUTHORIZATION)
        .and_then(|v| v.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    match offered {
        None => Err(Problem::NoToken),
        Some((_, token)) if state.token.matches(token.trim().as_bytes()) => Ok(Via::Token),
        Some((_, token)) => match state.approvers.whose(token.trim().as_bytes()) {
            Some(_) if !request.uri().path().starts_with("/v1/approvals") => {
                Err(Problem::Forbidden("this token opens `/v1/approvals`, and nothing else"))
            }
            Some(name) => Ok(Via::Approver(name)),
            None => Err(Problem::WrongToken),
        },
    }
}

/// Who acts, as the books say it: `socket:ann`. The name is what the caller calls itself.
pub(super) fn act(via: Via, headers: &http::HeaderMap, reason: Option<String>) -> Act {
    let name = headers.get("x-bursar-actor").and_then(|v| v.to_str().ok()).map(str::trim).filter(|n| !n.is_empty());
    let name: String = name.unwrap_or("operator").chars().take(100).collect();
    let via = match via {
        Via::Socket => "socket",
        Via::Token => "token",
        // Of these it is known who they are, whatever they call themselves.
        Via::Approver(own) => return acted(format!("approver:{own}"), reason),
    };
    acted(format!("{via}:{name}"), reason)
}

/// Words are bounded.
pub(super) fn acted(actor: String, reason: Option<String>) -> Act {
    let reason = reason.map(|r| r.chars().take(500).collect());
    Act { actor, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_names_and_addresses_are_known() {
        let names = Names(vec!["bursar.internal".to_owned()]);
        for good in
            ["127.0.0.1:8788", "localhost", "LOCALHOST:1", "[::1]:8788", "[::1]", "10.0.0.5", "bursar.internal:8788"]
        {
            assert!(names.know(good), "{good}");
        }
        for bad in ["", "evil.example", "localhost.evil.example:8788", "127.0.0.1.evil.example", "bursar.internal.evil"]
        {
            assert!(!names.know(bad), "{bad}");
        }
    }
}
