//! Reads an answer while its bytes flow to the caller: the bytes go out unchanged, event by event where it is a stream, and
//! what is learned is the call's cost. The result does not depend on how the bytes were cut. Sends nothing itself.

mod body;
mod stream;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, header};

use self::body::Copy;
use self::stream::Stream;
use super::llm::{self, Api, Reported};
use super::look_up::Question;
use super::plan::{How, Inner};
use super::usage::{Charge, Metered, Usage};
use super::{anthropic, openai, stripe};
use crate::rules::books::CostSource;

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With its own last byte.
    Complete,
    /// Before it.
    Cut,
}

/// A meter for one answer.
#[derive(Debug)]
pub struct Meter {
    inner: Arc<Inner>,
    status: u16,
    reader: Reader,
    /// Headers that the cost depends on.
    headers: HeaderMap,
    request_id: Option<String>,
    replayed: bool,
}

/// What happens to the bytes on their way.
#[derive(Debug)]
enum Reader {
    /// They pass; the cost is known, or cannot be.
    Pass,
    Body(Copy),
    Stream(Box<Stream>),
}

impl Meter {
    pub(super) fn new(inner: Arc<Inner>, status: u16, headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let request_id = inner.request_id_header.as_deref().and_then(text).map(str::to_owned);
        let replayed = text("idempotent-replayed").is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
        let reader = Reader::for_answer(&inner, status, headers);
        let headers = if matches!(inner.how, How::Rule(_)) { headers.clone() } else { HeaderMap::new() };
        Self { inner, status, reader, headers, request_id, replayed }
    }

    /// Takes bytes of the answer, and gives `out` those for the caller.
    pub fn push(&mut self, chunk: Bytes, out: &mut impl FnMut(Bytes)) {
        match &mut self.reader {
            Reader::Pass => out(chunk),
            Reader::Body(copy) => {
                copy.push(&chunk);
                out(chunk);
            }
            Reader::Stream(stream) => stream.push(chunk, out),
        }
    }

    /// Ends the answer, gives `out` what was still waiting, and says what the call cost.
    pub fn finish(mut self, end: End, out: &mut impl FnMut(Bytes)) -> Metered {
        let reader = std::mem::replace(&mut self.reader, Reader::Pass);
        let (mut id, mut late) = (None, None);
        let usage = match reader {
            Reader::Pass => self.without_reading(end),
            Reader::Body(copy) => {
                let body = copy.whole(end);
                late = self.question(body.as_deref());
                self.of_body(&body, &mut id)
            }
            Reader::Stream(stream) => {
                let reported = stream.finish(end, out);
                self.of_report(reported, &mut id)
            }
        };
        // Calls that buy one thing, and repeats that the vendor's second API does not call so.
        let bought = match &self.inner.how {
            How::Rule(bound) => bound.dedupe.is_some(),
            How::Stripe(plan) => plan.moves.repeats_unsaid(),
            _ => false,
        };
        Metered { usage, vendor_request_id: self.request_id.or(id), replayed: self.replayed || bought, late }
    }

    /// No byte has come, and none will: what the call cost, as far as it is known.
    fn without_reading(&self, end: End) -> Usage {
        match (&self.inner.how, certain(&self.inner, self.status)) {
            (_, Some(usage)) => usage,
            (How::Rule(bound), None) if !bound.reads_body() && end == End::Complete => self.of_rule(&[]),
            _ => Usage::UNKNOWN,
        }
    }

    fn question(&self, body: Option<&[u8]>) -> Option<Question> {
        let How::Rule(bound) = &self.inner.how else { return None };
        bound.late.as_ref()?.question(body?)
    }

    fn of_body(&self, body: &Option<Bytes>, id: &mut Option<String>) -> Usage {
        let Some(body) = body else { return Usage::UNKNOWN };
        match &self.inner.how {
            How::Llm(plan) => {
                let reported = match plan.api {
                    Api::Chat => openai::answer::chat(body),
                    Api::Embeddings => openai::answer::embedding(body),
                    Api::Responses => openai::answer::response(body),
                    Api::Messages => anthropic::answer::message(body, plan.long_cache),
                };
                self.of_report(reported, id)
            }
            How::Stripe(plan) => stripe::answer::usage(plan, &self.inner.prices.fx, body, id),
            How::Rule(_) => self.of_rule(body),
            How::Free | How::Unknown => Usage::UNKNOWN,
        }
    }

    fn of_report(&self, reported: Option<Reported>, id: &mut Option<String>) -> Usage {
        let (How::Llm(plan), Some(mut reported)) = (&self.inner.how, reported) else { return Usage::UNKNOWN };
        *id = reported.id.take();
        llm::price(&self.inner, plan, &reported)
    }

    fn of_rule(&self, body: &[u8]) -> Usage {
        let How::Rule(bound) = &self.inner.how else { return Usage::UNKNOWN };
        let source = match (bound.provisional, bound.reads_answer()) {
            (true, _) => CostSource::Estimated,
            (false, true) => CostSource::Vendor,
            (false, false) => CostSource::Request,
        };
        let cost = bound.cost(&self.headers, body, &self.inner.prices.fx);
        cost.map_or(Usage::UNKNOWN, |usd| Usage::Exact(Charge { usd: usd.ceil(), tokens: None, source }))
    }
}

/// What the status alone decides: nothing was spent, or nothing can be known.
fn certain(inner: &Inner, status: u16) -> Option<Usage> {
    match (&inner.how, status) {
        (How::Free, _) | (_, 400..=499) => Some(Usage::ZERO),
        (How::Rule(bound), _) if bound.is_zero_at(status) => Some(Usage::ZERO),
        (_, 500..) if inner.failures_free => Some(Usage::ZERO),
        (_, 200..=299) => None,
        _ => Some(Usage::UNKNOWN),
    }
}

impl Reader {
    fn for_answer(inner: &Inner, status: u16, headers: &HeaderMap) -> Self {
        if certain(inner, status).is_some() || is_encoded(headers) {
            return Self::Pass;
        }
        match &inner.how {
            How::Llm(plan) if is_event_stream(headers) => Self::Stream(Box::new(Stream::new(plan))),
            How::Llm(_) | How::Stripe(_) => Self::Body(Copy::default()),
            How::Rule(bound) if bound.reads_body() => Self::Body(Copy::default()),
            How::Rule(_) | How::Free | How::Unknown => Self::Pass,
        }
    }
}

/// Compressed bytes pass unread.
fn is_encoded(headers: &HeaderMap) -> bool {
    headers.get_all(header::CONTENT_ENCODING).iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
}
