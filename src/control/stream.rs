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
use crate::adapters::audit::sift::Sift;
use crate::adapters::audit::{AuditError, AuditStore, CallQuery, Event};
use crate::rules::books::{Kind, Verdict};
use crate::units::ids::Seq;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Asked {
    /// The first sequence number wanted.
    from: Option<Seq>,
    /// Or: begin so many events before the end.
    last: Option<u64>,
    limit: Option<u64>,
    /// `follow`, `follow=true`: go on as events happen.
    follow: Option<String>,
    /// These kinds alone, with a comma between.
    kind: Option<String>,
    agent: Option<String>,
    run: Option<String>,
    tenant: Option<String>,
    key: Option<String>,
    policy: Option<String>,
    vendor: Option<String>,
    verdict: Option<Verdict>,
}

impl Asked {
    fn sift(&mut self) -> Result<Sift, Problem> {
        let kind = |word: &str| {
            let all = || Kind::ALL.iter().map(|k| k.as_str()).collect::<Vec<_>>().join(", ");
            Kind::parse(word)
                .ok_or_else(|| Problem::Malformed(format!("`{word}` is no kind of event; there are {}", all())))
        };
        let kinds = self.kind.as_deref().unwrap_or_default().split(',').filter(|w| !w.is_empty()).map(kind);
        let who = CallQuery {
            agent: self.agent.take(),
            run: self.run.take(),
            tenant: self.tenant.take(),
            key: self.key.take(),
            policy: self.policy.take(),
            vendor: self.vendor.take(),
            verdict: self.verdict,
            ..CallQuery::default()
        };
        Ok(Sift::new(kinds.collect::<Result<_, _>>()?, who))
    }
}

/// Says where the answer begins, so that a caller who saw no event yet can go on from there.
const BEGINS: &str = "x-bursar-from";

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
    let Query(mut asked) = asked?;
    let form = match header(&headers, ACCEPT.as_str()) {
        Some(accept) if accept.contains("text/event-stream") => Form::ServerSent,
        _ => Form::Lines,
    };
    let follower = Follower::new(state, &headers, &mut asked, form).await?;
    let begins = HeaderValue::from(follower.from);
    let body = Body::from_stream(stream::unfold(follower, Follower::next));
    let content = match form {
        Form::Lines => "application/x-ndjson",
        Form::ServerSent => "text/event-stream",
    };
    let fixed =
        [(CONTENT_TYPE, HeaderValue::from_static(content)), (CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((fixed, [(BEGINS, begins)], body).into_response())
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
    sift: Sift,
}

impl Follower {
    async fn new(
        state: Arc<ControlState>,
        headers: &HeaderMap,
        asked: &mut Asked,
        form: Form,
    ) -> Result<Self, Problem> {
        let projected = state.books.projected();
        let (mut sift, end) = (asked.sift()?, *projected.borrow());
        let from = match first(headers, asked)? {
            Begin::At(from) => from,
            // Books that were put back from a copy may know less than the reader: it goes back with them.
            Begin::After(last) => last.min(end) + 1,
            Begin::Last(last) => {
                let found = state.books.ask(move |store| Ok((sift.back(store, end, last)?, sift))).await?;
                sift = found.1;
                found.0
            }
        };
        let follow = match asked.follow.as_deref() {
            None | Some("false" | "0") => false,
            Some("" | "true" | "1") => true,
            Some(other) => return Err(Problem::Malformed(format!("`follow={other}`: say `follow` or leave it out"))),
        };
        Ok(Self { state, projected, from, left: asked.limit.unwrap_or(u64::MAX), follow, form, done: false, sift })
    }

    /// The next piece of the answer; `None` at its end.
    async fn next(mut self) -> Option<(Result<Bytes, AuditError>, Self)> {
        while !self.done && self.left > 0 {
            // Before reading: what is written meanwhile wakes us at once.
            self.projected.mark_unchanged();
            match self.page().await {
                Ok((piece, _)) if !piece.is_empty() => return Some((Ok(piece), self)),
                // Nothing of this page was wanted; the next one is there already.
                Ok((_, true)) => continue,
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

    /// The next events that are wanted, and whether there was anything to look at.
    async fn page(&mut self) -> Result<(Bytes, bool), AuditError> {
        let (from, want, mut sift) = (self.from, self.left.min(PAGE as u64) as usize, std::mem::take(&mut self.sift));
        let asked = self.state.books.ask(move |store| {
            let page = page(store, &mut sift, from, want)?;
            Ok((page, sift))
        });
        let ((events, next), sift) = asked.await?;
        self.sift = sift;
        let looked = next != self.from;
        self.from = next;
        self.left -= (events.len() as u64).min(self.left);
        let mut text = String::new();
        events.iter().for_each(|e| write_event(&mut text, self.form, e));
        Ok((text.into(), looked))
    }

    /// Server-sent, it moves the place where a reader would resume past events that it did not want.
    fn pulse(&self) -> Bytes {
        match self.form {
            Form::Lines => Bytes::from_static(b"\n"),
            Form::ServerSent => format!(":\nid: {}\n\n", self.from.saturating_sub(1)).into(),
        }
    }
}

/// At most `want` events from `from` on that are wanted, and where to go on.
fn page(store: &dyn AuditStore, sift: &mut Sift, from: Seq, want: usize) -> Result<(Vec<Event>, Seq), AuditError> {
    let (mut taken, mut next) = (Vec::new(), from);
    for event in store.events(from, if sift.is_open() { want } else { PAGE })? {
        if taken.len() == want {
            break;
        }
        next = event.seq + 1;
        if sift.takes(&event, store)? {
            taken.push(event);
        }
    }
    Ok((taken, next))
}

/// Where to begin.
enum Begin {
    At(Seq),
    After(Seq),
    Last(u64),
}

/// A browser that reconnects says so in `Last-Event-ID`, which is newer than its address.
fn first(headers: &HeaderMap, asked: &Asked) -> Result<Begin, Problem> {
    if let Some(id) = header(headers, "last-event-id").filter(|id| !id.is_empty()) {
        let last: Seq =
            id.parse().map_err(|_| Problem::Malformed(format!("`Last-Event-ID: {id}` is no sequence number")))?;
        return Ok(Begin::After(last));
    }
    match (asked.from, asked.last) {
        (Some(_), Some(_)) => Err(Problem::Malformed("`from` or `last`, not both".to_owned())),
        (Some(from), None) => Ok(Begin::At(from)),
        (None, Some(last)) => Ok(Begin::Last(last)),
        (None, None) => Ok(Begin::At(1)),
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
