//! What the tests of the families share: one call from its request to its cost. Tests only.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;

use super::catalog::tests::vendor;
use super::look_up::{Found, Question};
use super::{
    Ask, Counted, End, Estimate, FitRule, Metered, Operation, Plan, Recalled, StripeRule, UnknownModel, Unpriceable,
    Usage, Vendor,
};
use crate::rules::args::{Args, Body, Sent};
use crate::rules::ledger::need::Share;
use crate::rules::path::CanonicalPath;
use crate::rules::price::PriceBook;
use crate::units::money::MicroCents;
use crate::units::time::Timestamp;

/// One request, and the policy around it.
pub struct Call {
    pub vendor: Vendor,
    pub method: &'static str,
    pub path: &'static str,
    pub query: Option<&'static str>,
    pub content_type: &'static str,
    pub default_max_output: Option<u64>,
    pub always: bool,
    pub ceiling: Option<MicroCents>,
    pub unknown_model: UnknownModel,
    pub headers: HeaderMap,
    pub now: Timestamp,
    pub prices: Arc<PriceBook>,
    pub stripe: StripeRule,
    pub test_key: bool,
    pub found: Vec<Found>,
    pub counted: Counted,
    /// By id and row.
    pub remembered: Option<(String, String, u64)>,
    pub recalled: Option<Recalled>,
}

pub fn call(name: &str, path: &'static str) -> Call {
    let content_type = if name == "stripe" { "application/x-www-form-urlencoded" } else { "application/json" };
    Call {
        vendor: vendor(name),
        method: "POST",
        path,
        query: None,
        content_type,
        default_max_output: None,
        always: false,
        ceiling: None,
        unknown_model: UnknownModel::Refuse,
        headers: HeaderMap::new(),
        now: now(),
        prices: book(),
        stripe: StripeRule::default(),
        test_key: false,
        found: Vec::new(),
        counted: Counted::Nothing,
        remembered: None,
        recalled: None,
    }
}

impl Call {
    pub fn estimate(&self, body: &str) -> Result<Estimate, Unpriceable> {
        self.with(body, |ask| ask.estimate())?
    }

    /// What would be looked up.
    pub fn questions(&self, body: &str) -> Vec<Question> {
        self.with(body, |ask| ask.questions()).expect("readable")
    }

    pub fn with<T>(&self, body: &str, work: impl FnOnce(&Ask<'_>) -> T) -> Result<T, Unpriceable> {
        let path = CanonicalPath::parse(self.path).expect("well-formed").path;
        let routed = self.vendor.route(self.method, path);
        let bodies = routed.operation.map(|o| o.bodies.clone()).unwrap_or_default();
        let read = self.vendor.price_of(routed.operation).is_some_and(|price| price.reads_request());
        let body_read = if read { Body::Whole(body.as_bytes()) } else { Body::None };
        let path = routed.params.iter().map(|(n, v)| (*n, Cow::Borrowed(v.as_str()))).collect();
        let query = self.query;
        let sent = Sent { query, content_type: Some(self.content_type), path, body: body_read, ..Sent::default() };
        let args = Args::read(sent, &bodies)?;
        let host = &routed.host.base.host;
        Ok(self.asked_of((&self.vendor, host), routed.operation, &args, body.as_bytes(), work))
    }

    /// The bound of a call without a body.
    pub fn asked(
        &self,
        vendor: &Vendor,
        operation: Option<&Operation>,
        args: &Args<'_>,
    ) -> Result<Estimate, Unpriceable> {
        self.asked_of((vendor, &vendor.hosts[0].base.host), operation, args, b"", |ask| ask.estimate())
    }

    fn asked_of<T>(
        &self,
        (vendor, host): (&Vendor, &str),
        operation: Option<&Operation>,
        args: &Args<'_>,
        body: &[u8],
        work: impl FnOnce(&Ask<'_>) -> T,
    ) -> T {
        let ask = Ask {
            vendor,
            operation,
            host,
            args,
            body,
            headers: &self.headers,
            now: self.now,
            prices: &self.prices,
            default_max_output: self.default_max_output,
            fit: FitRule { always: self.always, floor: 256, share: Share::default() },
            ceiling: self.ceiling,
            unknown_model: self.unknown_model,
            stripe: self.stripe,
            test_key: self.test_key,
            found: &self.found,
            counted: self.counted,
            remembered: &|id, row| {
                let own = self.remembered.as_ref().filter(|(own, of, _)| own == id && of == row);
                own.map(|(.., tokens)| *tokens)
            },
            recalled: self.recalled.as_ref(),
            batch: None,
        };
        work(&ask)
    }

    /// The bound in micro-cents at the wanted limit.
    pub fn bound(&self, body: &str) -> u64 {
        self.estimate(body).unwrap_or_else(|why| panic!("{why}: {body}")).need.wanted().usd.0
    }

    pub fn plan(&self, body: &str) -> Plan {
        self.estimate(body).unwrap_or_else(|why| panic!("{why}: {body}")).plan
    }
}

pub fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().expect("an instant")
}

pub fn book() -> Arc<PriceBook> {
    static BOOK: std::sync::LazyLock<Arc<PriceBook>> =
        std::sync::LazyLock::new(|| Arc::new(PriceBook::load(None).expect("it ships")));
    BOOK.clone()
}

pub fn headers(list: &[(&str, &str)]) -> HeaderMap {
    list.iter()
        .map(|(name, value)| (name.parse::<http::HeaderName>().expect("a name"), value.parse().expect("a value")))
        .collect()
}

pub fn json() -> HeaderMap {
    headers(&[("content-type", "application/json")])
}

pub fn sse() -> HeaderMap {
    headers(&[("content-type", "text/event-stream; charset=utf-8")])
}

/// Meters an answer in these pieces.
pub fn run<'a>(
    plan: &Plan,
    status: u16,
    headers: &HeaderMap,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    end: End,
) -> (Vec<u8>, Metered) {
    let mut meter = plan.meter(status, headers);
    let mut out = Vec::new();
    for piece in pieces {
        meter.push(Bytes::copy_from_slice(piece), &mut |bytes| out.extend_from_slice(&bytes));
    }
    let metered = meter.finish(end, &mut |bytes| out.extend_from_slice(&bytes));
    (out, metered)
}

/// A whole answer with status 200, however it is cut: always the same bytes and the same cost.
pub fn answered(plan: &Plan, headers: &HeaderMap, answer: &str) -> (String, Usage) {
    let (out, metered) = run(plan, 200, headers, [answer.as_bytes()], End::Complete);
    let bytes = answer.as_bytes();
    let ones: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(run(plan, 200, headers, ones, End::Complete), (out.clone(), metered.clone()));
    for at in 0..bytes.len() {
        let cut = run(plan, 200, headers, [&bytes[..at], &bytes[at..]], End::Complete);
        assert_eq!(cut, (out.clone(), metered.clone()), "cut at {at}");
    }
    (String::from_utf8(out).expect("text"), metered.usage)
}

/// Micro-cents of an exact usage.
pub fn exact(usage: Usage) -> u64 {
    match usage {
        Usage::Exact(charge) => charge.usd.0,
        other => panic!("{other:?}"),
    }
}
