//! Every fixture of the model vendors: what a call is held for, and what its answer costs, each with its formula. An answer is
//! read whole and cut in two at every byte, always to the same bytes and the same cost, and no bound lies below its cost.
//! Tests only. The prices are the fixtures' own, so that the sums stay what they are; `listed_*` are calls at the shipped ones.

mod table;

use std::sync::{Arc, LazyLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::frames::tests::{event, written};
use super::testkit::{Call, call, headers, run};
use super::{End, Usage};
use crate::rules::price::PriceBook;

const FILES: [(&str, &str); 14] = [
    ("anthropic", include_str!("fixtures/anthropic.toml")),
    ("azure", include_str!("fixtures/azure.toml")),
    ("bedrock", include_str!("fixtures/bedrock.toml")),
    ("cohere", include_str!("fixtures/cohere.toml")),
    ("compatible", include_str!("fixtures/compatible.toml")),
    ("google", include_str!("fixtures/google.toml")),
    ("listed_claude", include_str!("fixtures/listed_claude.toml")),
    ("listed_google", include_str!("fixtures/listed_google.toml")),
    ("listed_more", include_str!("fixtures/listed_more.toml")),
    ("listed_openai", include_str!("fixtures/listed_openai.toml")),
    ("listed_others", include_str!("fixtures/listed_others.toml")),
    ("openai", include_str!("fixtures/openai.toml")),
    ("reported", include_str!("fixtures/reported.toml")),
    ("vertex", include_str!("fixtures/vertex.toml")),
];

static PRICES: LazyLock<Arc<PriceBook>> = LazyLock::new(|| {
    let own = include_str!("fixtures/prices.toml");
    Arc::new(PriceBook::load(Some(("prices.toml", own))).unwrap_or_else(|wrong| panic!("{wrong:?}")))
});

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Case>,
}

fn some() -> usize {
    200
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    vendor: String,
    path: String,
    /// When it is made, if that decides the price.
    at: Option<String>,
    /// The vendor's, if that decides the price.
    host: Option<String>,
    /// Headers of the request.
    #[serde(default)]
    sent: Vec<(String, String)>,
    /// Its `hello` stands for as many words as are charged.
    request: String,
    #[serde(default = "some")]
    words: usize,
    /// Of the request, if it is no JSON.
    content_type: Option<String>,
    /// `json` (the default), `sse`, `frames`, `audio`.
    #[serde(default)]
    form: String,
    /// More headers of the answer.
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    answer: String,
    /// Event and payload, for frames; `chunk` payloads are wrapped as the vendor does.
    #[serde(default)]
    frames: Vec<(String, String)>,
    /// The connection broke off.
    #[serde(default)]
    cut: bool,
    /// `exact`, `at least`, `unknown`.
    certain: String,
    /// In micro-cents.
    #[serde(default)]
    cost: u64,
    /// Of the hold, in micro-cents, where the bound itself is told as well.
    bound: Option<u64>,
    /// The policy's ceiling, where only that bounds the call.
    ceiling: Option<u64>,
    /// How the cost comes about. For readers.
    formula: String,
}

impl Case {
    fn call(&self) -> Call {
        // The kit takes what lives as long as the tests.
        let mut call = call(&self.vendor, self.path.clone().leak());
        call.prices = PRICES.clone();
        call.content_type = self.content_type.clone().map_or(call.content_type, |kind| kind.leak());
        call.ceiling = self.ceiling.map(crate::units::money::MicroCents);
        call.headers = headers(&pairs(&self.sent));
        call.now = self.at.as_ref().map_or(call.now, |at| at.parse().expect("an instant"));
        if let Some(host) = &self.host {
            call.vendor.hosts[0].base.host = host.as_str().into();
        }
        call
    }

    fn request(&self) -> String {
        self.request.replace("hello", &"hello ".repeat(self.words))
    }

    fn headers(&self) -> http::HeaderMap {
        let kind = match self.form.as_str() {
            "sse" => "text/event-stream",
            "frames" => "application/vnd.amazon.eventstream",
            "audio" => "audio/mpeg",
            _ => "application/json",
        };
        let mut all = vec![("content-type", kind)];
        all.extend(pairs(&self.headers));
        headers(&all)
    }

    fn bytes(&self) -> Vec<u8> {
        if self.form != "frames" {
            return self.answer.clone().into_bytes();
        }
        let frame = |(kind, payload): &(String, String)| match kind.as_str() {
            "chunk" => event(kind, format!("{{\"bytes\":\"{}\"}}", STANDARD.encode(payload)).as_bytes()),
            _ if kind.ends_with("Exception") => {
                written(&[(":message-type", "exception"), (":exception-type", kind)], payload.as_bytes())
            }
            _ => event(kind, payload.as_bytes()),
        };
        self.frames.iter().flat_map(frame).collect()
    }
}

fn pairs(list: &[(String, String)]) -> Vec<(&str, &str)> {
    list.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn cases() -> Vec<(String, Case)> {
    let of = |(file, text): (&str, &str)| {
        let parsed: File = toml::from_str(text).unwrap_or_else(|wrong| panic!("{file}: {wrong}"));
        parsed.case.into_iter().map(move |case| (format!("{file}/{}", case.name), case)).collect::<Vec<_>>()
    };
    FILES.into_iter().flat_map(of).collect()
}

#[test]
fn every_answer_costs_what_its_formula_says_however_it_is_cut() {
    for (name, case) in cases() {
        assert!(!case.formula.is_empty(), "{name}");
        let plan = case.call().estimate(&case.request()).unwrap_or_else(|why| panic!("{name}: {why}")).plan;
        let (headers, bytes, end) = (case.headers(), case.bytes(), if case.cut { End::Cut } else { End::Complete });
        let (out, metered) = run(&plan, 200, &headers, [bytes.as_slice()], end);
        let certain = match metered.usage {
            Usage::Exact(_) => "exact",
            Usage::AtLeast(_) => "at least",
            Usage::Unknown(_) => "unknown",
        };
        assert_eq!((certain, metered.usage.charge().usd.0), (&*case.certain, case.cost), "{name}: {}", case.formula);
        for at in 1..bytes.len() {
            let cut = run(&plan, 200, &headers, [&bytes[..at], &bytes[at..]], end);
            assert!(cut == (out.clone(), metered.clone()), "{name}, cut at {at}: {cut:?}");
        }
        let ones: Vec<&[u8]> = bytes.chunks(1).collect();
        assert!(run(&plan, 200, &headers, ones, end) == (out, metered), "{name}, byte by byte");
    }
}

#[test]
fn no_bound_lies_below_its_cost() {
    for (name, case) in cases() {
        let bound = case.call().bound(&case.request());
        assert!(bound >= case.cost, "{name}: {bound} is held, {} is charged", case.cost);
        assert!(case.bound.is_none_or(|told| told == bound), "{name}: {bound} is held");
        assert!(bound > 0, "{name}: unknown never means zero");
    }
}

#[test]
fn what_is_no_answer_never_costs_nothing() {
    for (name, case) in cases() {
        let plan = case.call().estimate(&case.request()).unwrap_or_else(|why| panic!("{name}: {why}")).plan;
        // Speech is charged by its request, whatever comes, and counts in headers stand.
        if case.form == "audio" || !case.headers.is_empty() {
            continue;
        }
        for answer in [
            b"".as_slice(),
            b"{}",
            b"[]",
            b"null",
            b"{\"usage\":null}",
            b"{\"error\":{\"message\":\"x\"}}",
            b"data: {\"error\":{}}\n\n",
        ] {
            let usage = run(&plan, 200, &case.headers(), [answer], End::Complete).1.usage;
            assert!(matches!(usage, Usage::Unknown(_)), "{name}: {usage:?}");
        }
    }
}

/// Answers with bytes missing, doubled or turned: anything may come of them but a panic.
#[test]
fn broken_answers_are_read_without_harm() {
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
    let mut roll = |below: usize| {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        usize::try_from(dice % below.max(1) as u64).unwrap_or(0)
    };
    for (_, case) in cases() {
        let plan = case.call().estimate(&case.request()).expect("bounded").plan;
        let (headers, whole) = (case.headers(), case.bytes());
        for _ in 0..40 {
            let mut bytes = whole.clone();
            for _ in 0..=roll(3) {
                let at = roll(bytes.len());
                match roll(3) {
                    0 => bytes.truncate(at),
                    1 => bytes.splice(at..at, whole[roll(whole.len())..].iter().copied()).for_each(drop),
                    _ if !bytes.is_empty() => bytes[at] ^= 1 << roll(8),
                    _ => {}
                }
            }
            let pieces: Vec<&[u8]> = bytes.chunks(1 + roll(64)).collect();
            let _ = run(&plan, 200, &headers, pieces, End::Complete);
        }
    }
}

/// With the shipped prices: a model of each vendor as its SDK spells it, and an hour's ordinary question.
#[test]
fn the_shipped_book_bounds_every_vendor() {
    let chat = |model: &str| {
        format!(r#"{{"model":"{model}","max_tokens":500,"messages":[{{"role":"user","content":"hello"}}]}}"#)
    };
    let gemini =
        || r#"{"contents":[{"parts":[{"text":"hello"}]}],"generationConfig":{"maxOutputTokens":500}}"#.to_owned();
    let converse = || {
        r#"{"messages":[{"role":"user","content":[{"text":"hello"}]}],"inferenceConfig":{"maxTokens":500}}"#.to_owned()
    };
    let place = "/v1/projects/p/locations/global/publishers";
    for (vendor, path, body) in [
        ("google", "/v1beta/models/gemini-2.5-flash:generateContent".to_owned(), gemini()),
        ("google", "/models/gemini-2.5-flash:streamGenerateContent".to_owned(), gemini()),
        ("vertex", format!("{place}/google/models/gemini-2.5-flash:generateContent"), gemini()),
        ("vertex", format!("{place}/anthropic/models/claude-sonnet-4-5@20250929:rawPredict"), chat("x")),
        ("bedrock", "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse".to_owned(), converse()),
        ("azure", "/openai/deployments/gpt-4o/chat/completions".to_owned(), chat("gpt-4o")),
        ("mistral", "/v1/chat/completions".to_owned(), chat("mistral-large-latest")),
        ("groq", "/openai/v1/chat/completions".to_owned(), chat("openai/gpt-oss-120b")),
        ("xai", "/chat/completions".to_owned(), chat("grok-4.5")),
        ("deepseek", "/chat/completions".to_owned(), chat("deepseek-chat")),
        ("perplexity", "/chat/completions".to_owned(), chat("sonar")),
        ("openrouter", "/api/v1/chat/completions".to_owned(), chat("openai/gpt-4o")),
        ("together", "/v1/chat/completions".to_owned(), chat("arcee-ai/trinity-mini")),
        ("fireworks", "/inference/v1/chat/completions".to_owned(), chat("accounts/fireworks/models/yi-34b")),
        ("cohere", "/v2/chat".to_owned(), chat("command-a")),
    ] {
        let call = call(vendor, path.clone().leak());
        let bound = call.estimate(&body).map(|estimate| estimate.need.wanted().usd.0);
        assert!(bound.as_ref().is_ok_and(|usd| *usd > 0), "{vendor} {path}: {bound:?}");
    }
}
