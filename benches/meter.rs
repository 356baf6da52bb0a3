//! What metering costs: a stream of a hundred events, a plain answer, and a plain copy of the same bytes beside them.

use std::hint::black_box;
use std::sync::Arc;

use bursar::rules::args::{Args, Body, Sent};
use bursar::rules::ledger::need::Share;
use bursar::rules::path::CanonicalPath;
use bursar::rules::price::PriceBook;
use bursar::rules::vendors::{Ask, BodyKind, End, FitRule, Plan, UnknownModel, Vendor, catalog};
use bursar::units::time::Timestamp;
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http::HeaderMap;

const REQUEST: &str = r#"{"model":"gpt-5.5","service_tier":"default","stream":true,"max_completion_tokens":500,"messages":[{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":"Say something about budgets, and take your time about it."}]}"#;

fn openai() -> Vendor {
    let raw = catalog::shipped("openai").expect("it ships").expect("it parses");
    raw.check("openai").expect("it is sound")
}

/// Calls `then` with everything that a call's estimate needs.
fn with_ask<T>(vendor: &Vendor, prices: &Arc<PriceBook>, then: impl FnOnce(&Ask<'_>) -> T) -> T {
    let path = CanonicalPath::parse("/v1/chat/completions").expect("well-formed").path;
    let routed = vendor.route("POST", path);
    let operation = routed.operation.expect("listed");
    let args = read(&operation.bodies);
    then(&Ask {
        vendor,
        operation: Some(operation),
        host: &routed.host.base.host,
        args: &args,
        body: REQUEST.as_bytes(),
        headers: &HeaderMap::new(),
        now: Timestamp(1_795_000_000_000_000),
        prices,
        default_max_output: None,
        fit: FitRule { always: false, floor: 256, share: Share::default() },
        ceiling: None,
        unknown_model: UnknownModel::Refuse,
        stripe: bursar::rules::vendors::StripeRule::default(),
        test_key: false,
        found: &[],
        counted: bursar::rules::vendors::Counted::Nothing,
        remembered: &|_, _| None,
        recalled: None,
        batch: None,
    })
}

fn read(bodies: &[BodyKind]) -> Args<'static> {
    let body = Body::Whole(REQUEST.as_bytes());
    let sent = Sent { content_type: Some("application/json"), body, ..Sent::default() };
    Args::read(sent, bodies).expect("readable")
}

fn stream() -> Vec<Bytes> {
    let event = |n: usize| {
        format!(
            "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1795000000,\"model\":\"gpt-5.5\",\"service_tier\":\"default\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\" word{n}\"}},\"logprobs\":null,\"finish_reason\":null}}],\"usage\":null,\"obfuscation\":\"abcdefgh\"}}\n\n"
        )
    };
    let tail = "data: {\"id\":\"chatcmpl-1\",\"model\":\"gpt-5.5\",\"service_tier\":\"default\",\"choices\":[],\"usage\":{\"prompt_tokens\":40,\"completion_tokens\":98,\"total_tokens\":138}}\n\n";
    (0..98).map(event).chain([tail.to_owned(), "data: [DONE]\n\n".to_owned()]).map(Bytes::from).collect()
}

fn meter(plan: &Plan, headers: &HeaderMap, chunks: &[Bytes]) {
    let mut meter = plan.meter(200, headers);
    for chunk in chunks {
        meter.push(chunk.clone(), &mut |bytes| {
            black_box(bytes);
        });
    }
    black_box(meter.finish(End::Complete, &mut |bytes| {
        black_box(bytes);
    }));
}

/// A MiB of Gemini's array and of its events, beside a copy of as much.
fn others(c: &mut Criterion, prices: &Arc<PriceBook>, header: &impl Fn(&'static str) -> HeaderMap) {
    let raw = catalog::shipped("google").expect("it ships").expect("it parses");
    let google = raw.check("google").expect("it is sound");
    let path = CanonicalPath::parse("/v1beta/models/gemini-2.5-flash:streamGenerateContent").expect("well-formed").path;
    let routed = google.route("POST", path);
    let operation = routed.operation.expect("listed");
    let body = r#"{"contents":[{"parts":[{"text":"hello"}]}],"generationConfig":{"maxOutputTokens":500}}"#;
    let sent = Sent {
        content_type: Some("application/json"),
        body: Body::Whole(body.as_bytes()),
        path: routed.params.iter().map(|(name, value)| (*name, value.as_str().into())).collect(),
        ..Sent::default()
    };
    let args = Args::read(sent, &operation.bodies).expect("readable");
    let plan = with_ask(&openai(), prices, |ask| {
        let ask = Ask { vendor: &google, operation: Some(operation), args: &args, body: body.as_bytes(), ..*ask };
        ask.estimate().expect("bounded").plan
    });
    let piece = format!(
        "{{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":\"{}\"}}]}}}}],\"usageMetadata\":{{\"promptTokenCount\":40,\"candidatesTokenCount\":98,\"totalTokenCount\":138}},\"modelVersion\":\"gemini-2.5-flash\"}}",
        "word ".repeat(80)
    );
    let count = (1 << 20) / piece.len();
    let array: Vec<Bytes> = (0..count).map(|n| format!("{}{piece}", if n == 0 { "[" } else { ",\n" }).into()).collect();
    let events: Vec<Bytes> = (0..count).map(|_| format!("data: {piece}\n\n").into()).collect();
    let mut group = c.benchmark_group("a MiB");
    group.throughput(Throughput::Bytes(array.iter().map(|piece| piece.len() as u64).sum()));
    group.bench_function("Gemini's array", |b| b.iter(|| meter(&plan, &header("application/json"), &array)));
    group.bench_function("Gemini's events", |b| b.iter(|| meter(&plan, &header("text/event-stream"), &events)));
    group.bench_function("copy", |b| b.iter(|| array.iter().map(|e| black_box(e.to_vec()).len()).sum::<usize>()));
    group.finish();
}

/// A MiB of a chat's events, beside a copy of as much.
fn streams(c: &mut Criterion, plan: &Plan, sse: &HeaderMap, events: &[Bytes]) {
    let size: usize = events.iter().map(Bytes::len).sum();
    let (end, words) = (&events[events.len() - 2..], &events[..events.len() - 2]);
    let many: Vec<Bytes> = words.iter().cycle().take(words.len() * (1 << 20) / size).chain(end).cloned().collect();
    let mut group = c.benchmark_group("a MiB");
    group.throughput(Throughput::Bytes(many.iter().map(|piece| piece.len() as u64).sum()));
    group.bench_function("a chat's events", |b| b.iter(|| meter(plan, sse, &many)));
    group.bench_function("copy of a chat's events", |b| {
        b.iter(|| many.iter().map(|e| black_box(e.to_vec()).len()).sum::<usize>())
    });
    group.finish();
}

fn benches(c: &mut Criterion) {
    let (vendor, prices) = (openai(), Arc::new(PriceBook::load(None).expect("it ships")));
    let plan = with_ask(&vendor, &prices, |ask| ask.estimate().expect("bounded").plan);
    let header = |value: &'static str| {
        HeaderMap::from_iter([(http::header::CONTENT_TYPE, http::HeaderValue::from_static(value))])
    };
    let (sse, json) = (header("text/event-stream"), header("application/json"));
    let events = stream();
    let bytes: usize = events.iter().map(Bytes::len).sum();
    let mut group = c.benchmark_group("meter");
    group.throughput(Throughput::Bytes(bytes as u64));
    group.bench_function("stream of 100 events", |b| b.iter(|| meter(&plan, &sse, &events)));
    group.bench_function("copy of the same bytes", |b| {
        b.iter(|| events.iter().map(|e| black_box(e.to_vec()).len()).sum::<usize>())
    });
    let answer = Bytes::from(format!(
        "{{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"model\":\"gpt-5.5\",\"service_tier\":\"default\",\"choices\":[{{\"index\":0,\"message\":{{\"role\":\"assistant\",\"content\":\"{}\"}},\"finish_reason\":\"stop\"}}],\"usage\":{{\"prompt_tokens\":40,\"completion_tokens\":98,\"total_tokens\":138,\"prompt_tokens_details\":{{\"cached_tokens\":0}}}}}}",
        "word ".repeat(200)
    ));
    group.throughput(Throughput::Bytes(answer.len() as u64));
    group.bench_function("plain answer", |b| b.iter(|| meter(&plan, &json, std::slice::from_ref(&answer))));
    group.bench_function("copy of a plain answer", |b| b.iter(|| black_box(answer.to_vec()).len()));
    group.finish();
    streams(c, &plan, &sse, &events);
    others(c, &prices, &header);
    c.bench_function("read a chat's body", |b| b.iter(|| black_box(read(&[BodyKind::Json]))));
    with_ask(&vendor, &prices, |ask| {
        c.bench_function("estimate a chat", |b| b.iter(|| black_box(ask.estimate())));
    });
    let path = CanonicalPath::parse("/v1/chat/completions").expect("well-formed").path;
    c.bench_function("route", |b| b.iter(|| black_box(vendor.route("POST", path.clone()).operation.is_some())));
}

criterion_group!(all, benches);
criterion_main!(all);
