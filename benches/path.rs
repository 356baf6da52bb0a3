//! What reading one request target costs, and one JSON body. `cargo bench --bench path`

use std::hint::black_box;

use bursar::rules::json::Document;
use bursar::rules::path::CanonicalPath;
use criterion::{Criterion, criterion_group, criterion_main};

const BODY: &str = r#"{"model":"gpt-4o-mini","max_tokens":50,"temperature":0.2,"messages":[
    {"role":"system","content":"You are a careful assistant."},{"role":"user","content":"hello there"}]}"#;

fn path(c: &mut Criterion) {
    for (name, target) in [
        ("plain", "/openai/v1/chat/completions"),
        ("normalised", "/stripe//v1/./charges/%63h_1/refunds?expand%5B%5D=charge"),
        ("refused", "/v1/charges/%2e%2e/payouts"),
    ] {
        c.bench_function(&format!("path/{name}"), |b| b.iter(|| CanonicalPath::parse(black_box(target))));
    }
    c.bench_function("path/json body", |b| {
        b.iter(|| Document::parse(black_box(BODY.as_bytes())).map(|d| d.root().span()))
    });
}

criterion_group!(benches, path);
criterion_main!(benches);
