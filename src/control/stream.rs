//! The books as a stream: every event from a sequence number on, in order, at least once, as JSON lines or server-sent
//! events. With `follow` it goes on until the caller leaves. It holds one page, whatever the caller's speed.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use serde::Deserialize;
use tokio::sync::watch;

use super::ControlState;
use super::problem::Problem;
use crate::adapters::audit::{AuditError, Event};
use crate::units::ids::Seq;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Asked {
    /// The first sequence number wanted.
    from: Option<Seq>,
    /// Or: begin so many entries before the end.
    last: Option<u64>,
    limit: Option<u64>,
    /// `follow`, `follow=true`: go on as events happen.
    follow: Option<String>,
}

/// Events read at a time.
const PAGE: usize = 500;
/// A line that says nothing, so that both ends notice when the other is gone.
const PULSE: Duration = Duration::from_secs(15);

#[derive(Clone, Copy)]
enum Form {
    Lines,
    ServerSent,
}

pub(super) async fn events(
    State(state): State<Arc<ControlState>>,
    headers: HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(asked) = asked?;
    let form = match header(&headers, ACCEPT.as_str()) {
        Some(accept) if accept.contains("text/event-stream") => Form::ServerSent,
        _ => Form::Lines,
    };
    let follower = Follower::new(state, &headers, &asked, form)?;
    let body = Body::from_stream(stream::unfold(follower, Follower::next));
    let content = match form {
        Form::Lines => "application/x-ndjson",
        Form::ServerSent => "text/event-stream",
    };
    let fixed =
        [(CONTENT_TYPE, HeaderValue::from_static(content)), (CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((fixed, body).into_response())
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|v| v.to_str().ok())
}

struct Follower {
    state: Arc<ControlState>,
    projected: watch::Receiver<Seq>,
    from: Seq,
    left: u64,
    follow: bool,
    form: Form,
    done: bool,
}

impl Follower {
    fn new(state: Arc<ControlState>, headers: &HeaderMap, asked: &Asked, form: Form) -> Result<Self, Problem> {
        let projected = state.books.projected();
        let from = first(headers, asked, *projected.borrow())?;
        let follow = match asked.follow.as_deref() {
            None | Some("false" | "0") => false,
            Some("" | "true" | "1") => true,
            Some(other) => return Err(Problem::Malformed(format!("`follow={other}`: say `follow` or leave it out"))),
        };
        Ok(Self { state, projected, from, left: asked.limit.unwrap_or(u64::MAX), follow, form, done: false })
    }

    /// The next piece of the answer; `None` at its end.
    async fn next(mut self) -> Option<(Result<Bytes, AuditError>, Self)> {
        while !self.done && self.left > 0 {
            // Before reading: what is written meanwhile wakes us at once.
            self.projected.mark_unchanged();
            match self.page().await {
                Ok(piece) if !piece.is_empty() => return Some((Ok(piece), self)),
                Ok(_) if !self.follow => return None,
                Ok(_) => {}
                // The answer is cut, not ended: the caller sees that something is missing, and resumes.
                Err(e) => {
                    self.done = true;
                    return Some((Err(e), self));
                }
            }
            tokio::select! {
                woken = self.projected.changed() => self.done = woken.is_err(),
                () = self.state.stop.cancelled() => self.done = true,
                () = tokio::time::sleep(PULSE) => return Some((Ok(self.pulse()), self)),
            }
        }
        None
    }

    async fn page(&mut self) -> Result<Bytes, AuditError> {
        let (from, want) = (self.from, self.left.min(PAGE as u64) as usize);
        let events = self.state.books.ask(move |store| store.events(from, want)).await?;
        self.from = events.last().map_or(self.from, |e| e.seq + 1);
        self.left -= (events.len() as u64).min(self.left);
        let mut text = String::new();
        events.iter().for_each(|e| write_event(&mut text, self.form, e));
        Ok(text.into())
    }

    fn pulse(&self) -> Bytes {
        match self.form {
            Form::Lines => Bytes::from_static(b"\n"),
            Form::ServerSent => Bytes::from_static(b":\n\n"),
        }
    }
}

/// Where to begin. A browser that reconnects says so in `Last-Event-ID`, which is newer than its address.
fn first(headers: &HeaderMap, asked: &Asked, projected: Seq) -> Result<Seq, Problem> {
    if let Some(id) = header(headers, "last-event-id").filter(|id| !id.is_empty()) {
        let last: Seq =
            id.parse().map_err(|_| Problem::Malformed(format!("`Last-Event-ID: {id}` is no sequence number")))?;
        return Ok(last.saturating_add(1));
    }
    match (asked.from, asked.last) {
        (Some(_), Some(_)) => Err(Problem::Malformed("`from` or `last`, not both".to_owned())),
        (Some(from), None) => Ok(from),
        (None, Some(last)) => Ok(projected.saturating_sub(last).saturating_add(1)),
        (None, None) => Ok(1),
    }
}

fn write_event(text: &mut String, form: Form, e: &Event) {
    // Writing to a string does not fail.
    let _ = match form {
        Form::Lines => writeln!(text, "{}", e.body),
        Form::ServerSent => {
            let kind = e.kind.map_or("event", |k| k.as_str());
            write!(text, "id: {}\nevent: {kind}\ndata: {}\n\n", e.seq, e.body)
        }
    };
}
