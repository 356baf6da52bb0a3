//! Batches from their making to their results, with the fixtures' prices: what is held, and what each line costs.

use std::sync::Arc;

use super::super::testkit::{Call, call, headers, now, run};
use super::*;
use crate::rules::price::PriceBook;
use crate::rules::vendors::{End, Metered, Usage};
use crate::units::ids::CallId;
use crate::units::money::MicroCents;

/// Standard, batch, and a batch without a price of its own.
const PRICES: &str = r#"
checked = "2026-01-01"
[[model]]
vendor = "openai"
names = ["gpt-batch"]
limits = { context = 100000, output = 4000 }
[[model.price]]
rates = [{ input = "2", cache_read = "0.5", output = "8" }, { tier = "batch", input = "1", cache_read = "0.25", output = "4" }]
[[model]]
vendor = "azure"
names = ["gpt-batch"]
limits = { context = 100000, output = 4000 }
[[model.price]]
rates = [{ input = "2.2", output = "8.8" }, { tier = "batch", input = "1.1", output = "4.4" }]
[alias.azure]
my-batches = "gpt-batch"
[[model]]
vendor = "openai"
names = ["gpt-single"]
limits = { context = 100000, output = 4000 }
[[model.price]]
rates = [{ input = "2", output = "8" }]
[[model]]
vendor = "anthropic"
names = ["claude-batch"]
limits = { context = 200000, output = 8000 }
multipliers = { "geo.us" = "1.1" }
[[model.price]]
rates = [
  { input = "3", cache_read = "0.3", cache_write = "3.75", cache_write_long = "6", output = "15" },
  { tier = "batch", input = "1.5", cache_read = "0.15", cache_write = "1.875", cache_write_long = "3", output = "7.5" },
]
"#;

fn asked(vendor: &str, method: &'static str, path: &'static str) -> Call {
    let prices = PriceBook::load(Some(("prices.toml", PRICES))).unwrap_or_else(|wrong| panic!("{wrong:?}"));
    Call { method, prices: Arc::new(prices), ..call(vendor, path) }
}

fn recalled(made: Made) -> Recalled {
    let call = CallId("01900000-0000-7000-8000-000000000001".parse().expect("an id"));
    Recalled { made, call, charge: Amounts::ZERO, at: now(), settled: false }
}

fn answered(call: &Call, body: &str, kind: &str, answer: &str) -> Metered {
    let plan = call.estimate(body).unwrap_or_else(|why| panic!("{why}")).plan;
    let (headers, bytes) = (headers(&[("content-type", kind)]), answer.as_bytes());
    let (out, metered) = run(&plan, 200, &headers, [bytes], End::Complete);
    assert_eq!(out, bytes);
    for at in 1..bytes.len() {
        assert_eq!(run(&plan, 200, &headers, [&bytes[..at], &bytes[at..]], End::Complete).1, metered, "cut at {at}");
    }
    assert_eq!(run(&plan, 200, &headers, [bytes], End::Cut).1.due, None, "half of it replaces nothing");
    metered
}

fn message(text: &str, most: u64) -> String {
    format!(r#"{{"model":"claude-batch","max_tokens":{most},"messages":[{{"role":"user","content":"{text}"}}]}}"#)
}

#[test]
fn a_batch_of_messages_is_held_at_the_sum_of_its_items() {
    let one = asked("anthropic", "POST", "/v1/messages");
    let batch = asked("anthropic", "POST", "/v1/messages/batches");
    let items = [message("hello", 1000), message("a longer question", 3000)];
    let alone: u64 = items.iter().map(|item| one.bound(item)).sum();
    let body = format!(
        r#"{{"requests":[{{"custom_id":"a","params":{}}},{{"custom_id":"b","params":{}}}]}}"#,
        items[0], items[1]
    );
    let held = batch.bound(&body);
    // Half of the standard price; each bound alone was rounded up.
    assert!(held * 2 <= alone && alone <= held * 2 + 4, "{held} {alone}");
    let estimate = batch.estimate(&body).expect("bounded");
    assert_eq!(estimate.need.calls, 1);
    let metered =
        answered(&batch, &body, "application/json", r#"{"id":"msgbatch_1","processing_status":"in_progress"}"#);
    assert_eq!((metered.usage, metered.made), (Usage::UNKNOWN, Some(Box::new(Made::named("msgbatch_1")))));
    // A 5xx may have begun it.
    let failed =
        run(&estimate.plan, 529, &headers(&[("content-type", "application/json")]), [b"{}".as_slice()], End::Complete);
    assert_eq!(failed.1.usage, Usage::UNKNOWN);
    let refused =
        run(&estimate.plan, 400, &headers(&[("content-type", "application/json")]), [b"{}".as_slice()], End::Complete);
    assert_eq!(refused.1.usage, Usage::ZERO);
    for (body, ceiling_helps) in [
        (body.replace("claude-batch", "claude-nobody-knows"), true),
        (body.replace("\"max_tokens\":1000", "\"max_tokens\":1000,\"mcp_servers\":[{}]"), true),
        (body.replace("\"params\"", "\"Params\""), false),
        (body.replace("\"max_tokens\":1000", "\"max_tokens\":1000,\"max_tokens\":1"), false),
        (r#"{"requests":{}}"#.to_owned(), false),
        (r#"{"requests":[{"custom_id":"a"}]}"#.to_owned(), false),
    ] {
        let why = batch.estimate(&body).map(|_| ()).expect_err(&body);
        assert_eq!(why.ceiling_helps(), ceiling_helps, "{why}: {body}");
    }
    assert_eq!(batch.bound(r#"{"requests":[]}"#), 0, "nothing runs");
}

#[test]
fn results_of_messages_are_added_up() {
    let mut results = asked("anthropic", "GET", "/v1/messages/batches/msgbatch_1/results");
    results.recalled = Some(recalled(Made::named("msgbatch_1")));
    let ok = r#"{"custom_id":"a","result":{"type":"succeeded","message":{"id":"m","model":"claude-batch","usage":{"input_tokens":1000,"output_tokens":100,"cache_read_input_tokens":2000,"service_tier":"batch"}}}}"#;
    let lines = [
        ok,
        r#"{"custom_id":"b","result":{"type":"errored","error":{"type":"invalid_request"}}}"#,
        r#"{"custom_id":"c","result":{"type":"expired"}}"#,
        r#"{"custom_id":"d","result":{"type":"canceled"}}"#,
        ok,
        "",
    ];
    let metered = answered(&results, "", "application/x-jsonl", &lines.join("\n"));
    // 2 * (1000 * 1.5 + 2000 * 0.15 + 100 * 7.5) = 5100 per million USD.
    let due = Due { object: "msgbatch_1".into(), usd: MicroCents(510_000), tokens: 6200 };
    assert_eq!((metered.usage, metered.due), (Usage::ZERO, Some(Box::new(due))));
    for broken in [
        ok.replace("input_tokens\":1000", "input_tokens\":null"),
        ok.replace("claude-batch", "claude-nobody-knows"),
        ok.replace("\"model\"", "\"container\":{\"id\":\"c\"},\"model\""),
        ok.replace("succeeded", "something_new"),
        ok[..ok.len() - 3].to_owned(),
        r#"{"custom_id":"x"}"#.to_owned(),
    ] {
        let metered = answered(&results, "", "application/x-jsonl", &format!("{ok}\n{broken}"));
        assert_eq!((metered.usage, metered.due), (Usage::ZERO, None), "the bound stands: {broken}");
    }
    // A part of them, or nothing, is not all of them.
    assert_eq!(answered(&results, "", "application/x-jsonl", "\n").due, None);
    let plan = results.estimate("").expect("free").plan;
    let lines = headers(&[("content-type", "application/x-jsonl")]);
    for status in [201, 206, 302, 404, 500] {
        let metered = run(&plan, status, &lines, [ok.as_bytes()], End::Complete).1;
        assert_eq!((metered.usage, metered.due), (Usage::ZERO, None), "{status}");
    }
    // Whose results nobody is charged for here, or whose cost is known, are not priced.
    results.recalled = None;
    assert_eq!(answered(&results, "", "application/x-jsonl", ok).due, None);
    results.recalled = Some(Recalled { settled: true, ..recalled(Made::named("msgbatch_1")) });
    assert_eq!(answered(&results, "", "application/x-jsonl", ok).due, None);
}

/// Results that do not say where they ran may have run where some item asked for.
#[test]
fn a_place_that_an_item_asked_for_is_remembered() {
    let batch = asked("anthropic", "POST", "/v1/messages/batches");
    let made = |geo: &str| {
        let params = message("hello", 100).replace("\"model\"", &format!("{geo}\"model\""));
        let body = format!(r#"{{"requests":[{{"custom_id":"a","params":{params}}}]}}"#);
        let made = answered(&batch, &body, "application/json", r#"{"id":"msgbatch_1","type":"message_batch"}"#).made;
        *made.expect("it is remembered")
    };
    let cost = |geo: &str, said: &str| {
        let mut results = asked("anthropic", "GET", "/v1/messages/batches/msgbatch_1/results");
        results.recalled = Some(recalled(made(geo)));
        let usage = format!(r#"{{"input_tokens":1000,"output_tokens":100{said}}}"#);
        let line = format!(
            r#"{{"custom_id":"a","result":{{"type":"succeeded","message":{{"model":"claude-batch","usage":{usage}}}}}}}"#
        );
        answered(&results, "", "application/x-jsonl", &line).due.expect("known").usd.0
    };
    // 1000 * 1.5 + 100 * 7.5 = 2250 per million; a tenth more in the place of one's own.
    for (asked, said, usd) in [
        ("", "", 225_000),
        (r#""inference_geo":"us","#, "", 247_500),
        (r#""inference_geo":"us","#, r#","inference_geo":"global""#, 225_000),
        (r#""inference_geo":"global","#, r#","inference_geo":"us""#, 247_500),
    ] {
        assert_eq!(cost(asked, said), usd, "{asked} {said}");
    }
}

fn file(lines: &[&str], purpose: &str) -> String {
    let lines = lines.join("\n");
    format!(
        "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\n{purpose}\r\n--b\r\nContent-Disposition: form-data; \
         name=\"file\"; filename=\"in.jsonl\"\r\nContent-Type: application/jsonl\r\n\r\n{lines}\r\n--b--\r\n"
    )
}

fn upload() -> Call {
    let kind = "multipart/form-data; boundary=b";
    Call { content_type: kind, headers: headers(&[("content-type", kind)]), ..asked("openai", "POST", "/v1/files") }
}

const LINE: &str = r#"{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"gpt-batch","max_tokens":100,"messages":[{"role":"user","content":"hello"}]}}"#;

#[test]
fn a_file_is_bounded_when_it_is_uploaded_and_held_when_it_runs() {
    let uploaded = |body: &str| {
        let metered = answered(&upload(), body, "application/json", r#"{"id":"file-in","object":"file"}"#);
        assert_eq!(metered.usage, Usage::ZERO);
        metered.made.map(|made| *made)
    };
    let made = uploaded(&file(&[LINE, "", LINE], "batch")).expect("it is remembered");
    let bound = made.bound.expect("bounded");
    // Twice the body's bytes at 1 and a hundred tokens at 4 USD per million.
    let bytes = LINE.split("\"body\":").nth(1).expect("a body").len() - 1;
    assert_eq!((bound.usd.0, bound.tokens), (2 * (bytes as u64 * 100 + 40_000), 2 * (bytes as u64 + 100)));
    let making = |recalled: Option<Recalled>| {
        let call = Call { recalled, ..asked("openai", "POST", "/v1/batches") };
        call.estimate(r#"{"input_file_id":"file-in","endpoint":"/v1/chat/completions","completion_window":"24h"}"#)
    };
    let held = making(Some(recalled(made.clone()))).expect("held").need.wanted();
    assert_eq!((held.usd, held.tokens), (bound.usd, bound.tokens));
    // A model without a price of its own for batches is held at its standard price.
    let single = uploaded(&file(&[&LINE.replace("gpt-batch", "gpt-single")], "batch")).expect("remembered");
    assert!(single.bound.is_some_and(|b| b.usd.0 > bound.usd.0 / 2));
    // Other files are none of a batch's, and cost nothing either.
    assert_eq!(uploaded(&file(&[LINE], "fine-tune")), None);
    assert_eq!(uploaded("no multipart"), None);
    for (bad, word) in [
        (LINE.replace("gpt-batch", "gpt-nobody-knows"), "price book"),
        // No store could read that back.
        (LINE.replace("gpt-batch", "gpt-\\u0000nobody"), "`gpt-nobody`"),
        (
            LINE.replace("\"hello\"", "[{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://x\"}}]")
                .replace("\"model\"", "\"web_search_options\":{},\"model\""),
            "web_search",
        ),
        (LINE.replace("chat/completions", "videos"), "same in every line"),
        (LINE.replace("\"body\":{", "\"Body\":{"), "body"),
        ("{}".to_owned(), "body"),
        // Each line is bounded by its own operation, and run by the batch's.
        (LINE.replace("chat/completions", "completions"), "same in every line"),
        (LINE.replace(r#""method":"POST","#, ""), "method"),
        (LINE.replace(r#""url":"/v1/chat/completions","#, ""), "url"),
        ("not json".to_owned(), "JSON"),
    ] {
        let made = uploaded(&file(&[LINE, &bad], "batch")).expect("remembered");
        let why = making(Some(recalled(made))).expect_err("nothing bounds it").to_string();
        assert!(why.contains("line 2") && why.contains(word) && why.contains("ceiling"), "{why}");
    }
    // Free is only what checks texts.
    let lone = |url: &str| uploaded(&file(&[&LINE.replace("/v1/chat/completions", url)], "batch")).expect("remembered");
    assert_eq!(lone("/v1/moderations").bound.map(|b| b.usd), Some(MicroCents::ZERO));
    for unpriced in ["/v1/responses/input_tokens", "/v1/videos", "/v1/nothing"] {
        assert!(lone(unpriced).unbounded.is_some_and(|why| why.contains("not known")), "{unpriced}");
    }
    let elsewhere = making(Some(recalled(lone("/v1/moderations")))).expect_err("another operation").to_string();
    assert!(elsewhere.contains("`endpoint`"), "{elsewhere}");
    let unknown = making(None).expect_err("nobody knows the file").to_string();
    assert!(unknown.contains("not uploaded through bursar"), "{unknown}");
    let other = MadeBound { book: crate::units::ids::Digest32([9; 32]), ..bound };
    let old = making(Some(recalled(Made { bound: Some(other), ..made }))).expect_err("old prices").to_string();
    assert!(old.contains("upload it again"), "{old}");
}

#[test]
fn results_of_a_file_are_found_by_the_state_of_their_batch() {
    let status = asked("openai", "GET", "/v1/batches/batch_1");
    let told = |answer: &str| answered(&status, "", "application/json", answer);
    let done = told(
        r#"{"id":"batch_1","status":"completed","output_file_id":"file-out","request_counts":{"total":2,"completed":1,"failed":1}}"#,
    );
    let results = Made { of: Some("batch_1".into()), ..Made::named("file-out") };
    assert_eq!((done.usage, done.made, done.due), (Usage::ZERO, Some(Box::new(results.clone())), None));
    let nothing = told(
        r#"{"id":"batch_1","status":"failed","output_file_id":null,"request_counts":{"total":0,"completed":0,"failed":0}}"#,
    );
    let free = Due { object: "batch_1".into(), usd: MicroCents::ZERO, tokens: 0 };
    assert_eq!((nothing.made, nothing.due), (None, Some(Box::new(free))));
    for unsure in [
        r#"{"id":"batch_1","status":"in_progress","request_counts":{"completed":0}}"#,
        r#"{"id":"batch_1","status":"expired","request_counts":{"completed":3}}"#,
        r#"{"id":"batch_1","status":"expired"}"#,
        r#"{"id":"a/../b","status":"failed","request_counts":{"completed":0}}"#,
        "{}",
        "nothing",
    ] {
        assert_eq!((told(unsure).made, told(unsure).due), (None, None), "{unsure}");
    }
    let mut output = asked("openai", "GET", "/v1/files/file-out/content");
    output.recalled = Some(recalled(results));
    let ok = r#"{"id":"r","custom_id":"a","response":{"status_code":200,"body":{"object":"chat.completion","model":"gpt-batch","service_tier":"default","choices":[],"usage":{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100,"prompt_tokens_details":{"cached_tokens":400}}}},"error":null}"#;
    let responses = r#"{"custom_id":"b","response":{"status_code":200,"body":{"object":"response","model":"gpt-batch","output":[],"usage":{"input_tokens":10,"output_tokens":20,"total_tokens":30}}},"error":null}"#;
    let failed = r#"{"custom_id":"c","response":{"status_code":400,"body":{"error":{}}},"error":null}"#;
    let expired = r#"{"custom_id":"d","response":null,"error":{"code":"batch_expired","message":"x"}}"#;
    let lines = [ok, responses, failed, expired, ""].join("\n");
    let metered = answered(&output, "", "application/octet-stream", &lines);
    // 600 * 1 + 400 * 0.25 + 100 * 4 + 10 * 1 + 20 * 4 = 1190 per million USD.
    let due = Due { object: "batch_1".into(), usd: MicroCents(119_000), tokens: 1130 };
    assert_eq!((metered.usage, metered.due), (Usage::ZERO, Some(Box::new(due))));
    for broken in [
        ok.replace("gpt-batch", "gpt-single"),
        ok.replace("\"usage\"", "\"use\""),
        ok.replace("chat.completion", "new"),
    ] {
        let metered = answered(&output, "", "application/octet-stream", &format!("{ok}\n{broken}\n"));
        assert_eq!(metered.due, None, "the bound stands: {broken}");
    }
}

/// Azure's batches are OpenAI's, but for their lines: those name the operation without its version, and a deployment.
#[test]
fn a_batch_of_azures_is_bounded_by_its_deployments() {
    let kind = "multipart/form-data; boundary=b";
    let line = LINE.replace("/v1/chat/completions", "/chat/completions").replace("gpt-batch", "my-batches");
    for (files, batches, output) in [
        ("/openai/files", "/openai/batches", "/openai/files/file-out/content"),
        ("/openai/v1/files", "/openai/v1/batches", "/openai/v1/files/file-out/content"),
    ] {
        let upload =
            Call { content_type: kind, headers: headers(&[("content-type", kind)]), ..asked("azure", "POST", files) };
        let made = answered(&upload, &file(&[&line], "batch"), "application/json", r#"{"id":"file-in"}"#).made;
        let made = *made.expect("it is remembered");
        // The bytes at 1.1 and a hundred tokens at 4.4 USD per million.
        let bytes = line.split("\"body\":").nth(1).expect("a body").len() as u64 - 1;
        assert_eq!(made.bound.map(|b| b.usd.0), Some(bytes * 110 + 44_000), "{:?}", made.unbounded);
        let making = Call { recalled: Some(recalled(made)), ..asked("azure", "POST", batches) };
        let body = r#"{"input_file_id":"file-in","endpoint":"/chat/completions","completion_window":"24h"}"#;
        assert_eq!(making.bound(body), bytes * 110 + 44_000);
        let mut read = asked("azure", "GET", output);
        read.recalled = Some(recalled(Made { of: Some("batch_1".into()), ..Made::named("file-out") }));
        let results = r#"{"custom_id":"a","response":{"body":{"object":"chat.completion","model":"gpt-batch","choices":[],"usage":{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100}},"request_id":"r","status_code":200},"error":null}"#;
        // 1000 * 1.1 + 100 * 4.4 = 1540 per million USD.
        let due = answered(&read, "", "application/octet-stream", results).due.expect("known");
        assert_eq!((&*due.object, due.usd), ("batch_1", MicroCents(154_000)));
    }
}
