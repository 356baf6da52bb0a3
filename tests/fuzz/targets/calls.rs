//! A call of each family, from its request to what its answer is metered as: what the targets feed.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use bursar::rules::args::{Args, Body, Sent};
use bursar::rules::books::Made;
use bursar::rules::ledger::need::Share;
use bursar::rules::path::CanonicalPath;
use bursar::rules::price::PriceBook;
use bursar::rules::vendors::{
    Ask, End, Estimate, FitRule, Metered, Plan, Recalled, StripeRule, UnknownModel, Vendor, catalog,
};
use bursar::units::amount::Amounts;
use bursar::units::ids::CallId;
use bursar::units::money::MicroCents;
use bursar::units::time::Timestamp;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};

/// One operation, and the kinds of answers that it may get.
pub struct Call {
    pub vendor: &'static str,
    pub method: &'static str,
    pub path: &'static str,
    content_type: &'static str,
    request: &'static str,
    pub kinds: &'static [&'static str],
}

const PLAIN: &[&str] = &["application/json", "text/event-stream"];
const GOOGLE: &[&str] = &["application/json", "text/event-stream", "application/x-ndjson"];
const FRAMES: &[&str] = &["application/vnd.amazon.eventstream", "application/json"];
const LINES: &[&str] = &["application/octet-stream"];
const CHAT: &str = r#"{"model":"gpt-5.5","stream":true,"max_tokens":50,"messages":[]}"#;
const CLAUDE: &str = r#"{"model":"claude-opus-5-5","max_tokens":50,"messages":[]}"#;
const GEMINI: &str = r#"{"contents":[],"generationConfig":{"maxOutputTokens":50}}"#;
const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

const fn post(vendor: &'static str, path: &'static str, request: &'static str, kinds: &'static [&'static str]) -> Call {
    Call { vendor, method: "POST", path, content_type: JSON, request, kinds }
}

pub const CALLS: [Call; 27] = [
    post("openai", "/v1/chat/completions", CHAT, PLAIN),
    post("openai", "/v1/responses", r#"{"model":"gpt-5.5","max_output_tokens":50,"input":"x"}"#, PLAIN),
    post("openai", "/v1/completions", r#"{"model":"gpt-5.5","max_tokens":5,"prompt":"x"}"#, PLAIN),
    post("openai", "/v1/embeddings", r#"{"model":"text-embedding-3-small","input":"x"}"#, PLAIN),
    post("openai", "/v1/images/generations", r#"{"model":"dall-e-3","prompt":"x"}"#, PLAIN),
    post(
        "openai",
        "/v1/audio/speech",
        r#"{"model":"tts-1","input":"x","voice":"y"}"#,
        &["audio/mpeg", "text/event-stream"],
    ),
    Call { content_type: "multipart/form-data; boundary=b", ..post("openai", "/v1/files", "", PLAIN) },
    post("openai", "/v1/batches", r#"{"input_file_id":"file-1"}"#, PLAIN),
    Call { method: "GET", ..post("openai", "/v1/batches/batch_1", "", PLAIN) },
    Call { method: "GET", ..post("openai", "/v1/files/file-1/content", "", LINES) },
    post("anthropic", "/v1/messages", CLAUDE, PLAIN),
    post("anthropic", "/v1/messages/batches", r#"{"requests":[]}"#, PLAIN),
    Call { method: "GET", ..post("anthropic", "/v1/messages/batches/batch_1/results", "", LINES) },
    post("google", "/v1beta/models/gemini-2.5-flash:streamGenerateContent", GEMINI, GOOGLE),
    post("google", "/v1beta/models/gemini-2.5-flash:generateContent", GEMINI, GOOGLE),
    post("bedrock", "/model/anthropic.claude-sonnet-4-5-20250929-v1:0/converse-stream", r#"{"messages":[]}"#, FRAMES),
    post("bedrock", "/model/anthropic.claude-sonnet-4-5-20250929-v1:0/invoke", CLAUDE, FRAMES),
    post("cohere", "/v2/chat", r#"{"model":"command-a-03-2025","max_tokens":9,"messages":[]}"#, PLAIN),
    post("groq", "/openai/v1/chat/completions", CHAT, PLAIN),
    post("xai", "/v1/chat/completions", CHAT, PLAIN),
    post("perplexity", "/chat/completions", r#"{"model":"sonar","max_tokens":5,"messages":[]}"#, PLAIN),
    Call { content_type: FORM, ..post("stripe", "/v1/charges", "amount=500&currency=usd", PLAIN) },
    Call { content_type: FORM, ..post("stripe", "/v1/refunds", "charge=ch_1", PLAIN) },
    Call { content_type: FORM, ..post("twilio", "/2010-04-01/Accounts/AC1/Messages.json", "To=%2B1415&Body=x", PLAIN) },
    post("sendgrid", "/v3/mail/send", r#"{"personalizations":[{"to":[]}]}"#, PLAIN),
    post("exa", "/search", r#"{"query":"x"}"#, PLAIN),
    post("firecrawl", "/v1/scrape", r#"{"url":"x"}"#, PLAIN),
];

pub fn book() -> &'static Arc<PriceBook> {
    static BOOK: LazyLock<Arc<PriceBook>> = LazyLock::new(|| Arc::new(PriceBook::load(None).expect("it ships")));
    &BOOK
}

fn vendor(name: &str) -> &'static Vendor {
    static VENDORS: LazyLock<HashMap<&str, Vendor>> = LazyLock::new(|| {
        let checked = |name| catalog::shipped(name).expect("it ships").expect("it parses").check(name).expect("sound");
        catalog::names().map(|name| (name, checked(name))).collect()
    });
    VENDORS.get(name).expect("it ships")
}

fn recalled() -> Recalled {
    let made = Made { of: Some("batch_1".into()), ..Made::named("file-1") };
    let call = CallId("01900000-0000-7000-8000-000000000001".parse().expect("an id"));
    Recalled { made, call, charge: Amounts::ZERO, at: Timestamp(1_795_000_000_000_000), settled: false }
}

/// The bound of a request with this body, if it has one.
pub fn estimated(call: &Call, body: &[u8]) -> Option<Estimate> {
    let vendor = vendor(call.vendor);
    let routed = vendor.route(call.method, CanonicalPath::parse(call.path).expect("well-formed").path);
    let operation = routed.operation.expect("listed");
    let sent = Sent {
        content_type: Some(call.content_type),
        path: routed.params.iter().map(|(name, value)| (*name, Cow::Borrowed(value.as_str()))).collect(),
        body: Body::Whole(body),
        ..Sent::default()
    };
    let args = Args::read(sent, &operation.bodies).ok()?;
    let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(call.content_type))]);
    let recalled = recalled();
    let ask = Ask {
        vendor,
        operation: Some(operation),
        host: &routed.host.base.host,
        args: &args,
        body,
        headers: &headers,
        now: recalled.at,
        prices: book(),
        default_max_output: None,
        fit: FitRule { always: true, floor: 1, share: Share::default() },
        ceiling: Some(MicroCents(100_000_000)),
        unknown_model: UnknownModel::Dearest,
        stripe: StripeRule::default(),
        test_key: false,
        found: &[],
        recalled: Some(&recalled),
        batch: None,
        counted: bursar::rules::vendors::Counted::Nothing,
        remembered: &|_, _| None,
    };
    let _ = (ask.questions(), ask.recalls());
    ask.estimate().ok()
}

/// How the usual request of this call is metered.
pub fn plan(call: &Call) -> Plan {
    let estimate = estimated(call, call.request.as_bytes());
    estimate.unwrap_or_else(|| panic!("{} {} has a bound", call.vendor, call.path)).plan
}

/// What passes, and what is learned.
pub fn metered(plan: &Plan, status: u16, kind: &'static str, pieces: &[&[u8]]) -> (Vec<u8>, Metered) {
    let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))]);
    let (mut meter, mut passed) = (plan.meter(status, &headers), Vec::new());
    pieces.iter().for_each(|piece| {
        meter.push(Bytes::copy_from_slice(piece), &mut |bytes| passed.extend_from_slice(&bytes));
    });
    let metered = meter.finish(End::Complete, &mut |bytes| passed.extend_from_slice(&bytes));
    (passed, metered)
}
