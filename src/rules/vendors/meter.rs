//! Reads an answer while its bytes flow to the caller: the bytes go out unchanged, event by event where it is a stream, and
//! what is learned is the call's cost. The result does not depend on how the bytes were cut. Sends nothing itself.

mod body;
mod lines;
mod reading;
mod said;
mod stream;
mod tap;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, header};

use self::body::Copy;
use self::lines::Lines;
use self::stream::Stream;
use self::tap::Tap;
use super::batch::{self, Batch, Due};
use super::llm::{self, Api, Reported, Running, Seen};
use super::look_up::Question;
use super::plan::{How, Inner};
use super::usage::{Charge, Left, Metered, Usage};
use super::{anthropic, bedrock, cohere, google, openai, stripe};
use crate::rules::books::{Basis, CostSource, Made};
use crate::rules::price::Kind;

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

/// What an answer says beside its cost.
#[derive(Default)]
struct Told {
    id: Option<String>,
    priced: Option<Box<Basis>>,
    remember: Option<(String, Left)>,
    made: Option<Made>,
    due: Option<Due>,
}

/// What happens to the bytes on their way.
#[derive(Debug)]
enum Reader {
    /// They pass; the cost is known, or cannot be.
    Pass,
    Body(Copy),
    Stream(Box<Stream>),
    Tap(Box<Tap>),
    Lines(Box<Lines>),
}

impl Meter {
    pub(super) fn new(inner: Arc<Inner>, status: u16, headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let request_id = inner.request_id_header.as_deref().and_then(text).map(str::to_owned);
        let replayed = text("idempotent-replayed").is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
        let reader = Reader::for_answer(&inner, status, headers);
        let read =
            matches!(&inner.how, How::Rule(_)) || matches!(&inner.how, How::Llm(plan) if tier_in_headers(plan.api));
        let headers = if read { headers.clone() } else { HeaderMap::new() };
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
            Reader::Tap(tap) => {
                tap.push(&chunk);
                out(chunk);
            }
            Reader::Lines(lines) => {
                lines.push(&chunk, &self.inner);
                out(chunk);
            }
        }
    }

    /// What is known of the cost by now, if that is more than when this was asked last.
    pub fn running(&mut self) -> Option<Running> {
        let How::Llm(plan) = &self.inner.how else { return None };
        let reading = match &mut self.reader {
            Reader::Stream(stream) => stream.reading(),
            Reader::Tap(tap) => tap.reading(),
            Reader::Pass | Reader::Body(_) | Reader::Lines(_) => return None,
        };
        let told = reading.news().then(|| reading.so_far())??;
        Some(Running::of(&self.inner, plan, &told, told.seen == Seen::All))
    }

    /// Ends the answer, gives `out` what was still waiting, and says what the call cost.
    pub fn finish(mut self, end: End, out: &mut impl FnMut(Bytes)) -> Metered {
        let reader = std::mem::replace(&mut self.reader, Reader::Pass);
        let (mut told, mut late) = (Told::default(), None);
        let usage = match reader {
            Reader::Pass => self.without_reading(end, &mut told),
            Reader::Body(copy) => {
                let body = copy.whole(end);
                late = self.question(body.as_deref());
                self.of_body(&body, &mut told)
            }
            Reader::Stream(stream) => {
                let reported = stream.finish(end, out);
                self.of_report(reported, &mut told)
            }
            Reader::Tap(tap) => {
                let reported = tap.finish(end);
                self.of_report(reported, &mut told)
            }
            Reader::Lines(lines) => {
                told.due = lines.finish(end, &self.inner);
                Usage::ZERO
            }
        };
        // Calls that buy one thing, and repeats that the vendor does not call so.
        let keyed = self.inner.repeats_unsaid && self.inner.idempotency_key.is_some();
        let bought = match &self.inner.how {
            How::Rule(bound) => bound.dedupe.is_some(),
            How::Stripe(plan) => plan.moves.repeats_unsaid(),
            _ => false,
        };
        let (made, due) = (told.made.map(Box::new), told.due.map(Box::new));
        let made = made.or_else(|| late.as_ref().and_then(|question| self.later(question)));
        let (vendor_request_id, replayed) = (self.request_id.or(told.id), self.replayed || bought || keyed);
        let remember = told.remember;
        Metered { usage, vendor_request_id, replayed, priced: told.priced, late, made, due, remember }
    }

    /// No byte has come, and none will: what the call cost, as far as it is known.
    fn without_reading(&self, end: End, told: &mut Told) -> Usage {
        match (&self.inner.how, certain(&self.inner, self.status)) {
            (_, Some(usage)) => usage,
            (How::Llm(plan), None) if end == End::Complete && plan.api == Api::Speech => {
                self.of_report(plan.characters.map(openai::media::characters), told)
            }
            (How::Rule(bound), None) if !bound.reads_body() && end == End::Complete => self.of_rule(&[]),
            _ => self.without_body(),
        }
    }

    fn question(&self, body: Option<&[u8]>) -> Option<Question> {
        let How::Rule(bound) = &self.inner.how else { return None };
        bound.late.as_ref()?.question(body?)
    }

    /// What the call made, and where its price is to be asked for.
    fn later(&self, question: &Question) -> Option<Box<Made>> {
        let How::Rule(bound) = &self.inner.how else { return None };
        let id = bound.late.as_ref()?.id_of(question)?;
        Some(Box::new(Made { ask: Some(question.path.clone()), ..Made::named(id) }))
    }

    fn of_body(&self, body: &Option<Bytes>, told: &mut Told) -> Usage {
        let Some(body) = body else { return self.without_body() };
        match &self.inner.how {
            How::Llm(plan) => {
                let reported = match plan.api {
                    Api::Chat => openai::answer::chat(body, plan.dialect),
                    Api::Embeddings => openai::answer::embedding(body, plan.dialect),
                    Api::Responses => openai::answer::response(body),
                    Api::Images => openai::media::pictures(body).map(|made| priced_apart(made, plan)),
                    Api::Transcription => openai::media::transcript(body, plan.dialect),
                    Api::Messages => anthropic::answer::message(body, plan.long_cache),
                    Api::Gemini => google::answer::plain(body),
                    Api::Cohere | Api::CohereUnits => cohere::plain(body),
                    Api::Converse => bedrock::answer::converse(body),
                    Api::Invoke => bedrock::answer::invoked(body, &self.headers, &plan.model, plan.long_cache),
                    Api::Speech => None,
                };
                self.of_report(reported, told)
            }
            How::Stripe(plan) => stripe::answer::usage(plan, &self.inner.prices.fx, body, self.replayed, &mut told.id),
            How::Rule(_) => self.of_rule(body),
            How::Batch(batch) => {
                (told.made, told.due) = batch::plain(batch, body);
                self.without_body()
            }
            How::Free | How::Unknown => Usage::UNKNOWN,
        }
    }

    /// Around a batch only its making costs anything, and that is not known yet.
    fn without_body(&self) -> Usage {
        match &self.inner.how {
            How::Batch(Batch::Making { .. }) => Usage::UNKNOWN,
            How::Batch(_) => Usage::ZERO,
            _ => Usage::UNKNOWN,
        }
    }

    fn of_report(&self, reported: Option<Reported>, told: &mut Told) -> Usage {
        let (How::Llm(plan), Some(mut reported)) = (&self.inner.how, reported) else { return Usage::UNKNOWN };
        told.id = reported.id.take();
        self.served(plan.api, &mut reported);
        let (usage, priced) = llm::price(&self.inner, plan, &reported);
        let answered = llm::known(&self.inner, plan, &reported);
        // What the vendor's own tools brought along may stand in no usage of this one.
        let plain = plan.api == Api::Responses && usage.is_exact() && reported.fees.is_empty();
        let tokens = usage.charge().tokens.filter(|_| plain).map(|tokens| tokens.total());
        let left = answered.zip(tokens).map(|(row, tokens)| Left { row, tokens });
        told.remember = told.id.clone().zip(left);
        told.priced = priced;
        usage
    }

    /// What the headers say of how the answer was served.
    fn served(&self, api: Api, reported: &mut Reported) {
        match api {
            Api::Invoke => {
                let tier = bedrock::tier(&self.headers).map(str::to_owned);
                reported.tier = tier.or(reported.tier.take());
                if bedrock::is_hurried(&self.headers) {
                    reported.seen = llm::Seen::SoFar;
                }
            }
            Api::Gemini => reported.tier = reported.tier.take().or_else(|| google::answer::served(&self.headers)),
            _ => {}
        }
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
        // It may have been begun all the same.
        (How::Batch(Batch::Making { .. }), 500..) => Some(Usage::UNKNOWN),
        // A part of the results is not what all of them cost.
        (How::Batch(Batch::Results { .. }), 0..=199 | 201..) => Some(Usage::ZERO),
        (How::Batch(Batch::Upload(_) | Batch::Status), 300..) => Some(Usage::ZERO),
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
        let kind = kind(headers);
        let is = |wanted: &str| kind.eq_ignore_ascii_case(wanted);
        match &inner.how {
            How::Llm(plan) if is("text/event-stream") => Self::Stream(Box::new(Stream::new(plan))),
            How::Llm(plan) if is("application/vnd.amazon.eventstream") => Self::Tap(Box::new(Tap::frames(plan))),
            // A stream without its events: an array of answers, or a line for each.
            How::Llm(plan) if plan.stream && plan.api == Api::Gemini => Self::Tap(Box::new(Tap::objects(plan))),
            How::Llm(plan) if is("application/x-ndjson") || is("application/jsonl") => {
                Self::Tap(Box::new(Tap::objects(plan)))
            }
            How::Llm(plan) if plan.api == Api::Speech => Self::Pass,
            How::Batch(Batch::Results { .. }) => Self::Lines(Box::default()),
            How::Llm(_) | How::Stripe(_) | How::Batch(_) => Self::Body(Copy::default()),
            How::Rule(bound) if bound.reads_body() => Self::Body(Copy::default()),
            How::Rule(_) | How::Free | How::Unknown => Self::Pass,
        }
    }
}

fn tier_in_headers(api: Api) -> bool {
    matches!(api, Api::Invoke | Api::Gemini)
}

/// Compressed bytes pass unread.
fn is_encoded(headers: &HeaderMap) -> bool {
    headers.get_all(header::CONTENT_ENCODING).iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// Its media type, without parameters.
fn kind(headers: &HeaderMap) -> &str {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim()
}

/// Pictures without tokens, whose size and quality have a price of their own.
fn priced_apart(mut told: Reported, plan: &llm::LlmPlan) -> Reported {
    let Some((name, _)) = &plan.picture else { return told };
    for part in &mut told.parts {
        let made = part.tokens.get(Kind::ImagesOut);
        if made > 0 {
            part.tokens = part.tokens.with(Kind::ImagesOut, 0);
            told.fees.push((name.clone(), made));
        }
    }
    told
}
