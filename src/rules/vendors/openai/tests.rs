//! OpenAI's bounds and costs, each with the sum it comes from (USD per million tokens; results in micro-cents).

use super::super::testkit::{answered, book, call, exact, json, run, sse};
use super::super::{End, UnknownModel, Unpriceable, Usage};
use crate::rules::books::{CostSource, TokenCounts};
use crate::rules::json::Document;
use crate::units::money::MicroCents;

const CHAT: &str = "/v1/chat/completions";

/// A body of exactly `len` bytes with these members.
fn body(len: usize, members: &str) -> String {
    let frame = format!(r#"{{{members},"messages":[{{"role":"user","content":""}}]}}"#);
    let text = "x".repeat(len.checked_sub(frame.len()).expect("long enough"));
    format!(r#"{{{members},"messages":[{{"role":"user","content":"{text}"}}]}}"#)
}

#[test]
fn a_chat_is_bound_by_its_bytes_and_its_limit() {
    let chat = call("openai", CHAT);
    let standard = r#""service_tier":"default""#;
    for (members, usd) in [
        // 1000 bytes * 2.5 + 100 tokens * 10 USD per million = 0.0035 USD
        (format!(r#""model":"gpt-4o",{standard},"max_tokens":100"#), 350_000),
        (format!(r#""model":"gpt-4o",{standard},"max_completion_tokens":100"#), 350_000),
        // The larger of two: 1000 * 2.5 + 300 * 10
        (format!(r#""model":"gpt-4o",{standard},"max_completion_tokens":100,"max_tokens":300"#), 550_000),
        // Two answers: 1000 * 2.5 + 200 * 10
        (format!(r#""model":"gpt-4o",{standard},"max_tokens":100,"n":2"#), 450_000),
        // No tier: the project may have set priority, 4.25 and 17: 1000 * 4.25 + 100 * 17
        (r#""model":"gpt-4o-2024-11-20","max_tokens":100"#.to_owned(), 595_000),
        // 1000 * 25 + 100 * 100
        (r#""model":"gpt-6-astra","max_completion_tokens":100"#.to_owned(), 3_500_000),
        // A tier that nobody here knows may be any, ultrafast too: 1000 * 75 + 100 * 300
        (r#""model":"gpt-6-astra","service_tier":"warp","max_completion_tokens":100"#.to_owned(), 10_500_000),
        // Above the model's most, 16,384: 1000 * 2.5 + 16384 * 10
        (format!(r#""model":"gpt-4o",{standard},"max_tokens":1000000"#), 16_634_000),
        // The cache is written unasked at 12.5: 1000 * 12.5 + 100 * 50
        (format!(r#""model":"gpt-6-astra",{standard},"max_completion_tokens":100"#), 1_750_000),
        // ... and for twelve hours at 25.
        (
            format!(
                r#""model":"gpt-6-astra",{standard},"prompt_cache_options":{{"ttl":"12h"}},"max_completion_tokens":100"#
            ),
            3_000_000,
        ),
        // Predicted tokens are charged as output: 35 bytes of prediction * 10 more
        (
            format!(
                r#""model":"gpt-4o",{standard},"max_tokens":100,"prediction":{{"type":"content","content":"abcd"}}"#
            ),
            385_000,
        ),
    ] {
        assert_eq!(chat.bound(&body(1000, &members)), usd, "{members}");
    }
    // Beyond 272,000 the whole prompt and answer are dearer: 300000 * 25 + 100 * 75
    let long = body(300_000, r#""model":"gpt-6-astra","service_tier":"default","max_completion_tokens":100"#);
    assert_eq!(chat.bound(&long), 750_750_000);
}

#[test]
fn a_limit_that_nobody_named_is_fitted() {
    let mut chat = call("openai", CHAT);
    let members = r#""model":"gpt-4o","service_tier":"default""#;
    let text = body(1000, members);
    let need = chat.estimate(&text).expect("bounded").need;
    let fit = need.fit.clone().expect("fitted");
    assert_eq!((need.usd.0, fit.usd_per_token.0, fit.floor, fit.want), (2_500_000_000, 10_000_000, 256, 16_384));
    assert_eq!((need.tokens, need.calls), (1000, 1));
    chat.default_max_output = Some(100);
    let fit = chat.estimate(&text).expect("bounded").need.fit.expect("fitted");
    assert_eq!((fit.floor, fit.want), (100, 100));
    // The caller's own limit stands, unless the policy says otherwise.
    let named = body(1000, r#""model":"gpt-4o","service_tier":"default","max_tokens":500"#);
    assert!(chat.estimate(&named).expect("bounded").need.fit.is_none());
    chat.always = true;
    let fit = chat.estimate(&named).expect("bounded").need.fit.expect("fitted");
    assert_eq!((fit.floor, fit.want), (256, 500));
}

#[test]
fn the_body_changes_only_where_it_must() {
    let mut chat = call("openai", CHAT);
    let edited = |chat: &super::super::testkit::Call, body: &str, granted| {
        let plan = chat.plan(body);
        let document = Document::parse(body.as_bytes()).expect("json");
        let bytes = plan.edited(&document, granted).expect("spliced").unwrap_or_else(|| body.into());
        String::from_utf8(bytes).expect("text")
    };
    let plain = r#"{ "model":"gpt-4o",  "messages":[]}"#;
    assert_eq!(edited(&chat, plain, Some(16_384)), plain);
    assert_eq!(edited(&chat, plain, None), plain);
    assert_eq!(edited(&chat, plain, Some(300)), r#"{"max_completion_tokens":300, "model":"gpt-4o",  "messages":[]}"#);
    let null = r#"{"model":"gpt-4o","max_tokens":null,"messages":[]}"#;
    assert_eq!(edited(&chat, null, Some(300)), r#"{"model":"gpt-4o","max_tokens":300,"messages":[]}"#);
    let stream = r#"{"model":"gpt-4o","stream":true,"max_tokens":9}"#;
    assert_eq!(
        edited(&chat, stream, None),
        r#"{"stream_options":{"include_usage":true},"model":"gpt-4o","stream":true,"max_tokens":9}"#
    );
    let options = r#"{"model":"gpt-4o","stream":true,"max_tokens":9,"stream_options":{"include_obfuscation":false}}"#;
    assert_eq!(
        edited(&chat, options, None),
        r#"{"model":"gpt-4o","stream":true,"max_tokens":9,"stream_options":{"include_usage":true,"include_obfuscation":false}}"#
    );
    let off = r#"{"model":"gpt-4o","stream":true,"stream_options":{"include_usage":false},"max_tokens":9}"#;
    assert_eq!(edited(&chat, off, None), off.replace("false", "true"));
    let on = r#"{"model":"gpt-4o","stream":true,"stream_options":{"include_usage":true},"max_tokens":9}"#;
    assert_eq!(edited(&chat, on, None), on);
    chat.always = true;
    assert_eq!(edited(&chat, on, Some(5)), on.replace('9', "5"));
    let responses = call("openai", "/v1/responses");
    assert_eq!(
        edited(&responses, r#"{"model":"gpt-5.5","input":"x"}"#, Some(300)),
        r#"{"max_output_tokens":300,"model":"gpt-5.5","input":"x"}"#
    );
}

#[test]
fn what_the_body_does_not_show_is_the_models_most_or_refused() {
    let chat = call("openai", CHAT);
    let image = r#"{"model":"gpt-4o","service_tier":"default","max_tokens":10,"messages":[{"role":"user","content":[{"type":"text","text":"x"},{"type":"image_url","image_url":{"url":"https://x/y.png"}}]}]}"#;
    // 128,000 * 2.5 + 10 * 10
    assert_eq!(chat.bound(image), 32_010_000);
    let responses = call("openai", "/v1/responses");
    for (members, most) in [
        (r#""previous_response_id":"resp_1""#, true),
        (r#""conversation":"conv_1""#, true),
        (r#""input":[{"role":"user","content":[{"type":"input_file","file_id":"f"}]}]"#, true),
        (r#""input":[{"type":"item_reference","id":"x"}]"#, true),
        (r#""input":[{"type":"function_call_output","output":[{"type":"input_image","image_url":"x"}]}]"#, true),
        (
            r#""input":[{"role":"user","content":[{"type":"input_text","text":"x"}]},{"type":"function_call_output","output":"y"}]"#,
            false,
        ),
        (r#""tools":[{"type":"function","name":"f","parameters":{}}]"#, false),
        // A reference may leave its kind out; reasoning that is not sent along is put back by the vendor.
        (r#""input":[{"id":"msg_1"}]"#, true),
        (r#""input":[{"type":null,"id":"msg_1"}]"#, true),
        (r#""input":[{"type":"reasoning","id":"rs_1","summary":[]}]"#, true),
        (r#""input":[{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAA"}]"#, false),
        (r#""input":[{"role":"user","content":[{"file_id":"f"}]}]"#, true),
        // No call of the tool, but its description is in the prompt.
        (r#""tools":[{"type":"mcp","server_url":"x"}],"max_tool_calls":0"#, true),
    ] {
        let text = format!(r#"{{"model":"gpt-4o","service_tier":"default","max_output_tokens":100,{members}}}"#);
        // The model's most, or the bytes, at 2.5; and 100 tokens at 10.
        let prompt = if most { 128_000 } else { text.len() as u64 };
        assert_eq!(responses.bound(&text), prompt * 250 + 100_000, "{members}");
    }
    // A tool that the caller runs is described by the vendor: 3000 tokens more.
    let shell =
        r#"{"model":"gpt-4o","service_tier":"default","max_output_tokens":100,"tools":[{"type":"local_shell"}]}"#;
    assert_eq!(responses.bound(shell), (shell.len() as u64 + 3000) * 250 + 100_000);
    // Two searches: the prompt is read three times, and each search costs 0.01.
    let search = r#"{"model":"gpt-5.5","service_tier":"default","max_output_tokens":100,"max_tool_calls":2,"tools":[{"type":"web_search"}]}"#;
    // 1,050,000 * 10 * 3 + 100 * 45 USD per million + 0.02 (beyond 272,000: 10 and 45)
    assert_eq!(responses.bound(search), 3_150_000_000 + 450_000 + 2_000_000);
    for (members, field) in [
        (r#""tools":[{"type":"web_search"}]"#, "tools: web_search"),
        (
            r#""tools":[{"type":"code_interpreter","container":{"type":"auto"}}],"max_tool_calls":1"#,
            "tools: code_interpreter",
        ),
        (
            r#""input":[{"type":"additional_tools","role":"developer","tools":[{"type":"web_search"}]}]"#,
            "tools: web_search",
        ),
        (r#""prompt":{"id":"pmpt_1"}"#, "prompt"),
        (r#""context_management":[{"type":"compaction","compact_threshold":1000}]"#, "context_management"),
        (r#""reasoning":{"mode":"pro"}"#, "reasoning"),
    ] {
        let text = format!(r#"{{"model":"gpt-5.5","max_output_tokens":100,{members}}}"#);
        assert!(
            matches!(responses.estimate(&text), Err(Unpriceable::Unbounded { field: own, .. }) if own == field),
            "{members}"
        );
        let mut capped = call("openai", "/v1/responses");
        capped.ceiling = Some(MicroCents(77));
        assert_eq!(capped.bound(&text), 77);
        // Money is bounded by the ceiling; of tokens one whole run is held, not none.
        assert_eq!(capped.estimate(&text).expect("a ceiling").need.tokens, 1_050_000 + 128_000, "{members}");
    }
    assert!(responses.estimate(r#"{"model":"gpt-5.5","reasoning":{"mode":"standard"},"max_output_tokens":9}"#).is_ok());
    for members in [r#""model":"gpt-4o-search-preview""#, r#""model":"gpt-4o","tools":[{"type":"web_search"}]"#] {
        let text = format!(r#"{{{members},"max_tokens":1}}"#);
        assert!(matches!(chat.estimate(&text), Err(Unpriceable::Unbounded { .. })), "{members}");
    }
}

#[test]
fn what_cannot_be_read_is_refused() {
    let chat = call("openai", CHAT);
    for text in [
        r#"{"messages":[]}"#,
        r#"{"model":7}"#,
        r#"[]"#,
        r#"{"model":"gpt-4o","max_tokens":-1}"#,
        r#"{"model":"gpt-4o","max_tokens":"100"}"#,
        r#"{"model":"gpt-4o","max_tokens":1.5}"#,
        r#"{"model":"gpt-4o","stream":"yes"}"#,
        r#"{"model":"gpt-4o","stream":true,"stream_options":7}"#,
        r#"{"model":"gpt-4o","max_tokens":1,"Max_Tokens":100}"#,
        r#"{"model":"gpt-4o","model":"gpt-4"}"#,
    ] {
        assert_eq!(chat.estimate(text).map(|_| ()).map_err(|why| why.status()), Err(400), "{text}");
    }
    assert_eq!(
        chat.bound(r#"{"model":"gpt-4o","service_tier":"default","max_tokens":1e1}"#),
        chat.bound(r#"{"model":"gpt-4o","service_tier":"default","max_tokens":010}"#.replace("010", "10 ").as_str())
    );
    let mut unknown = call("openai", CHAT);
    let text = r#"{"model":"gpt-99","max_tokens":10,"service_tier":"default"}"#;
    assert_eq!(unknown.estimate(text).map(|_| ()), Err(Unpriceable::UnknownModel("gpt-99".to_owned())));
    unknown.unknown_model = UnknownModel::Dearest;
    let dearest = unknown.bound(text);
    for model in ["gpt-6-astra", "o1-pro", "gpt-4-32k", "gpt-5.5-pro"] {
        assert!(dearest >= unknown.bound(&text.replace("gpt-99", model)), "{model}");
    }
}

#[test]
fn embeddings_cost_their_input() {
    let embed = call("openai", "/v1/embeddings");
    let text = format!(r#"{{"model":"text-embedding-3-small","input":["{}","b"]}}"#, "a".repeat(20_000));
    // All inputs together may be longer than one may be: bytes * 0.02, rounded up.
    assert_eq!(embed.bound(&text), (text.len() as u64 * 2).div_ceil(1));
    let plan = embed.plan(&text);
    let answer = r#"{"object":"list","model":"text-embedding-3-small","data":[],"usage":{"prompt_tokens":5001,"total_tokens":5001}}"#;
    // 5001 * 0.02 USD per million = 0.00010002
    assert_eq!(exact(answered(&plan, &json(), answer).1), 10_002);
}

fn usage_of(path: &'static str, request: &str, answer: &str) -> Usage {
    answered(&call("openai", path).plan(request), &json(), answer).1
}

#[test]
fn plain_answers_are_priced_by_what_they_say() {
    let ask = r#"{"model":"gpt-5.5","service_tier":"default","max_completion_tokens":1000,"messages":[]}"#;
    let answer = |model: &str, tier: &str, usage: &str| {
        format!(r#"{{"id":"chatcmpl-1","model":"{model}","service_tier":{tier},"choices":[{{}}],"usage":{usage}}}"#)
    };
    let cached = r#"{"prompt_tokens":2000,"completion_tokens":300,"prompt_tokens_details":{"cached_tokens":1500},"completion_tokens_details":{"reasoning_tokens":200}}"#;
    for (text, usd) in [
        // 500 * 5 + 1500 * 0.5 + 300 * 30 = 12,250 per million
        (answer("gpt-5.5-2026-04-23", r#""default""#, cached), 1_225_000),
        // flex: 500 * 2.5 + 1500 * 0.25 + 300 * 15 = 6,125
        (answer("gpt-5.5", r#""flex""#, cached), 612_500),
        // priority: 500 * 12.5 + 1500 * 1.25 + 300 * 75 = 30,625
        (answer("gpt-5.5", r#""priority""#, cached), 3_062_500),
        // No tier at all is the standard one.
        (answer("gpt-5.5", "null", cached), 1_225_000),
        // The answer's model decides: gpt-4o at 2.5, 1.25 and 10: 500 * 2.5 + 1500 * 1.25 + 300 * 10 = 6,125
        (answer("gpt-4o-2024-08-06", r#""default""#, cached), 612_500),
        // Cache writes, of which 100 for twelve hours: 400 * 10 + 500 * 12.5 + 100 * 25 + 1000 * 1 + 10 * 50 = 14,250
        (
            answer(
                "gpt-6-astra",
                r#""default""#,
                r#"{"prompt_tokens":2000,"completion_tokens":10,"prompt_tokens_details":{"cached_tokens":1000,"cache_write_tokens":600,"cache_write_tokens_details":{"ttl_30m_tokens":500,"ttl_12h_tokens":100}}}"#,
            ),
            1_425_000,
        ),
        // Beyond 272,000: 300000 * 10 + 10 * 45 = 3,000,450
        (answer("gpt-5.5", r#""default""#, r#"{"prompt_tokens":300000,"completion_tokens":10}"#), 300_045_000),
        // Audio: 100 * 2.5 + 50 * 32 + 20 * 10 + 30 * 64 = 3,970
        (
            answer(
                "gpt-audio-1.5",
                "null",
                r#"{"prompt_tokens":150,"completion_tokens":50,"prompt_tokens_details":{"audio_tokens":50},"completion_tokens_details":{"audio_tokens":30}}"#,
            ),
            397_000,
        ),
    ] {
        assert_eq!(exact(usage_of(CHAT, ask, &text)), usd, "{text}");
    }
    let Usage::Exact(charge) = usage_of(CHAT, ask, &answer("gpt-5.5", "null", cached)) else { panic!("exact") };
    assert_eq!(charge.tokens, Some(TokenCounts { input: 2000, output: 300, cached: 1500, reasoning: 200 }));
    assert_eq!(charge.source, CostSource::Usage);
}

#[test]
fn an_answer_that_does_not_say_is_unknown_and_never_free() {
    let ask = r#"{"model":"gpt-5.5","max_completion_tokens":1000,"messages":[]}"#;
    for answer in [
        "{}",
        "",
        "not json",
        r#"{"model":"gpt-5.5","choices":[],"usage":null}"#,
        r#"{"model":"gpt-5.5","usage":{"completion_tokens":1}}"#,
        r#"{"model":"gpt-5.5","usage":{"prompt_tokens":9}}"#,
        r#"{"model":"gpt-5.5","usage":{"prompt_tokens":-1}}"#,
        r#"{"model":"gpt-99","usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
        r#"{"model":"gpt-5.5","service_tier":"warp","usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
        r#"{"model":"gpt-5.5","usage":{"prompt_tokens":9,"completion_tokens":1,"prompt_tokens_details":{"audio_tokens":9}}}"#,
        r#"{"error":{"message":"x"}}"#,
    ] {
        assert!(matches!(usage_of(CHAT, ask, answer), Usage::Unknown(charge) if charge.usd.0 == 0), "{answer}");
    }
    let plan = call("openai", CHAT).plan(ask);
    let good = br#"{"model":"gpt-5.5","usage":{"prompt_tokens":1,"completion_tokens":1}}"#;
    let status = |status: u16, headers: &http::HeaderMap, end| run(&plan, status, headers, [&good[..]], end).1.usage;
    for (code, zero) in
        [(400, true), (401, true), (404, true), (429, true), (500, true), (503, true), (302, false), (100, false)]
    {
        assert_eq!(status(code, &json(), End::Complete) == Usage::ZERO, zero, "{code}");
    }
    assert_eq!(status(200, &json(), End::Cut), Usage::UNKNOWN);
    let gzip = super::super::testkit::headers(&[("content-type", "application/json"), ("content-encoding", "gzip")]);
    assert_eq!(status(200, &gzip, End::Complete), Usage::UNKNOWN);
    assert!(plan.wants_identity());
    let big = vec![b' '; 9 << 20];
    assert_eq!(run(&plan, 200, &json(), [&big[..], &good[..]], End::Complete).1.usage, Usage::UNKNOWN);
}

fn chunk(rest: &str) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"model\":\"gpt-5.5-2026-04-23\",\"service_tier\":\"default\",{rest}}}\n\n"
    )
}

#[test]
fn a_chat_stream_is_metered_and_the_usage_stays_here_unless_asked_for() {
    let text = chunk(r#""choices":[{"delta":{"content":"he said \"usage\": {}"}}],"usage":null"#);
    let tail = chunk(
        r#""choices":[],"usage":{"prompt_tokens":2000,"completion_tokens":300,"prompt_tokens_details":{"cached_tokens":1500}}"#,
    );
    let done = "data: [DONE]\n\n".to_owned();
    let stream = [": ping\n\n", &text, &tail, &done].concat();
    let hidden = call("openai", CHAT).plan(r#"{"model":"gpt-5.5","stream":true,"max_tokens":9}"#);
    let (out, usage) = answered(&hidden, &sse(), &stream);
    assert_eq!(out, [": ping\n\n", &text, &done].concat());
    assert_eq!(exact(usage), 1_225_000);
    let shown = call("openai", CHAT)
        .plan(r#"{"model":"gpt-5.5","stream":true,"stream_options":{"include_usage":true},"max_tokens":9}"#);
    assert_eq!(answered(&shown, &sse(), &stream), (stream.clone(), usage));
    let crlf = stream.replace('\n', "\r\n");
    assert_eq!(answered(&shown, &sse(), &crlf), (crlf.clone(), usage));
    // Without its usage nothing is known; an error event says nothing more.
    let failed = [text.as_str(), "data: {\"error\":{\"message\":\"x\"}}\n\n"].concat();
    assert_eq!(answered(&hidden, &sse(), &failed), (failed.clone(), Usage::UNKNOWN));
    assert_eq!(run(&hidden, 200, &sse(), [text.as_bytes()], End::Cut).1.usage, Usage::UNKNOWN);
    // Once the usage has come, a missing end changes nothing.
    assert_eq!(exact(run(&hidden, 200, &sse(), [text.as_bytes(), tail.as_bytes()], End::Cut).1.usage), 1_225_000);
}

#[test]
fn a_usage_that_grows_beside_choices_counts_once() {
    let plan = call("openai", CHAT).plan(r#"{"model":"gpt-5.5","stream":true,"max_tokens":9}"#);
    let growing = |n: u64| {
        chunk(&format!(r#""choices":[{{"delta":{{}}}}],"usage":{{"prompt_tokens":1000,"completion_tokens":{n}}}"#))
    };
    let stream = [growing(10), growing(20), growing(30)].concat();
    // 1000 * 5 + 30 * 30; and its chunks are the caller's.
    let (out, usage) = answered(&plan, &sse(), &stream);
    assert_eq!((out == stream, exact(usage)), (true, 590_000));
    let cut = run(&plan, 200, &sse(), [growing(10).as_bytes()], End::Cut).1.usage;
    assert!(matches!(cut, Usage::AtLeast(charge) if charge.usd.0 == 530_000));
}

#[test]
fn responses_count_tokens_and_tools() {
    let ask = r#"{"model":"gpt-5.5","input":"x","max_output_tokens":100}"#;
    let response = |status: &str| {
        format!(
            r#"{{"id":"resp_1","object":"response","status":"{status}","model":"gpt-5.5","service_tier":"default","output":[
            {{"type":"web_search_call","status":"completed","action":{{"type":"search","query":"q"}}}},
            {{"type":"web_search_call","action":{{"type":"open_page","url":"u"}}}},{{"type":"file_search_call"}},
            {{"type":"code_interpreter_call","container_id":"c1"}},{{"type":"code_interpreter_call","container_id":"c1"}},
            {{"type":"message","content":[]}}],
            "usage":{{"input_tokens":1000,"input_tokens_details":{{"cached_tokens":200,"cache_write_tokens":0}},"output_tokens":100,"output_tokens_details":{{"reasoning_tokens":64}},"total_tokens":1100}}}}"#
        )
        .replace('\n', "")
    };
    // 800 * 5 + 200 * 0.5 + 100 * 30 per million = 0.0071; a search 0.01, a file search 0.0025, a container 0.03
    let usage = usage_of("/v1/responses", ask, &response("completed"));
    assert_eq!(exact(usage), 710_000 + 1_000_000 + 250_000 + 3_000_000);
    let plan = call("openai", "/v1/responses")
        .plan(r#"{"model":"gpt-5.5","input":"x","stream":true,"max_output_tokens":100}"#);
    let event = |kind: &str, response: &str| {
        format!("event: {kind}\ndata: {{\"type\":\"{kind}\",\"response\":{response}}}\n\n")
    };
    let created = event("response.created", r#"{"id":"resp_1","model":"gpt-5.5","usage":null,"output":[]}"#);
    let delta =
        "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"x\"}\n\n";
    for kind in ["completed", "incomplete", "failed"] {
        let stream = [&created, delta, &event(&format!("response.{kind}"), &response(kind))].concat();
        assert_eq!(answered(&plan, &sse(), &stream), (stream.clone(), usage), "{kind}");
    }
    let cut = [created.as_str(), delta].concat();
    assert_eq!(answered(&plan, &sse(), &cut), (cut.clone(), Usage::UNKNOWN));
    assert_eq!(
        usage_of("/v1/responses", ask, r#"{"id":"r","status":"queued","model":"gpt-5.5","usage":null,"output":[]}"#),
        Usage::UNKNOWN
    );
    let drawn = response("completed").replace("file_search_call", "image_generation_call");
    assert!(matches!(usage_of("/v1/responses", ask, &drawn), Usage::AtLeast(_)));
    // So may anything be that is not known here.
    let new = response("completed").replace("file_search_call", "teleport_call");
    assert!(matches!(usage_of("/v1/responses", ask, &new), Usage::AtLeast(_)));
}

#[test]
fn a_long_last_event_is_read_and_does_not_wait_for_its_end() {
    let plan = call("openai", "/v1/responses")
        .plan(r#"{"model":"gpt-5.5","input":"x","stream":true,"max_output_tokens":100}"#);
    let filler = "y".repeat(300_000);
    let event = format!(
        "event: response.completed\ndata: {{\"type\":\"response.completed\",\"response\":{{\"model\":\"gpt-5.5\",\"text\":\"{filler}\",\"usage\":{{\"input_tokens\":1000,\"output_tokens\":100}}}}}}\n\n"
    );
    let mut meter = plan.meter(200, &sse());
    let (mut out, mut waiting) = (Vec::new(), 0);
    for piece in event.as_bytes().chunks(1000) {
        waiting += piece.len();
        meter.push(bytes::Bytes::copy_from_slice(piece), &mut |bytes| {
            waiting -= bytes.len();
            out.extend_from_slice(&bytes);
        });
        assert!(waiting <= 64 * 1024);
    }
    let metered = meter.finish(End::Complete, &mut |bytes| out.extend_from_slice(&bytes));
    assert_eq!((out == event.as_bytes(), exact(metered.usage)), (true, 800_000));
}

#[test]
fn the_bound_is_never_below_the_cost() {
    let chat = call("openai", CHAT);
    for (model, tier) in [
        ("gpt-5.5", "default"),
        ("gpt-6-astra", "auto"),
        ("gpt-6-astra", "flex"),
        ("gpt-4o", "priority"),
        ("gpt-5.6-luna", "fast"),
    ] {
        for len in [500usize, 280_000] {
            let request =
                body(len, &format!(r#""model":"{model}","service_tier":"{tier}","max_completion_tokens":500"#));
            let bound = chat.bound(&request);
            let plan = chat.plan(&request);
            for served in ["default", "priority", "flex"]
                .iter()
                .filter(|served| tier == "auto" || **served == "default" || tier == **served)
            {
                let input = len.min(128_000 * 3);
                let answer = format!(
                    r#"{{"model":"{model}","service_tier":"{served}","usage":{{"prompt_tokens":{input},"completion_tokens":500,"prompt_tokens_details":{{"cached_tokens":100}}}}}}"#
                );
                let Usage::Exact(charge) = run(&plan, 200, &json(), [answer.as_bytes()], End::Complete).1.usage else {
                    continue;
                };
                assert!(
                    model == "gpt-4o" && len > 128_000 || charge.usd.0 <= bound,
                    "{model} {tier} {served} {len}: {bound} < {:?}",
                    charge.usd
                );
            }
        }
    }
    assert!(book().find("openai", "gpt-6-astra").is_some());
}
