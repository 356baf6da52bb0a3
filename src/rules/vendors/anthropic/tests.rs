//! Anthropic's bounds and costs, each with the sum it comes from (USD per million tokens; results in micro-cents).

use super::super::testkit::{Call, answered, call, exact, json, run, sse};
use super::super::{End, Unpriceable, Usage};
use crate::rules::books::TokenCounts;
use crate::rules::json::Document;

const PATH: &str = "/v1/messages";

fn claude() -> Call {
    call("anthropic", PATH)
}

fn body(len: usize, members: &str) -> String {
    let frame = format!(r#"{{{members},"messages":[{{"role":"user","content":""}}]}}"#);
    frame.replace(
        r#""content":"""#,
        &format!(r#""content":"{}""#, "x".repeat(len.checked_sub(frame.len()).expect("long enough"))),
    )
}

#[test]
fn a_message_is_bound_by_its_bytes_its_cache_and_its_limit() {
    for (members, usd) in [
        // 1000 * 4 + 100 * 20 per million
        (r#""model":"claude-opus-5-5","inference_geo":"global","max_tokens":100"#, 600_000),
        // No place named: the workspace's may be the US, a tenth more.
        (r#""model":"claude-opus-5-5","max_tokens":100"#, 660_000),
        // Fast doubles.
        (r#""model":"claude-opus-5-5","inference_geo":"global","speed":"fast","max_tokens":100"#, 1_200_000),
        // Cached for five minutes, 5; for an hour, 8.
        (
            r#""model":"claude-opus-5-5","inference_geo":"global","cache_control":{"type":"ephemeral"},"max_tokens":100"#,
            700_000,
        ),
        (
            r#""model":"claude-opus-5-5","inference_geo":"global","system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral","ttl":"1h"}}],"max_tokens":100"#,
            1_000_000,
        ),
        // Offered tools add 600 tokens.
        (
            r#""model":"claude-opus-5-5","inference_geo":"global","tools":[{"name":"f","input_schema":{}}],"max_tokens":100"#,
            840_000,
        ),
        // So does a schema for the answer, which the vendor explains.
        (
            r#""model":"claude-opus-5-5","inference_geo":"global","output_config":{"format":{"type":"json_schema","schema":{}}},"max_tokens":100"#,
            840_000,
        ),
        // A beta header may lift the model's most, 128,000: 1000 * 4 + 300000 * 20
        (r#""model":"claude-opus-5-5","inference_geo":"global","max_tokens":300000"#, 600_400_000),
        // A thinking budget above the limit counts as well: 1000 * 4 + 5100 * 20
        (
            r#""model":"claude-opus-5-5","inference_geo":"global","max_tokens":100,"thinking":{"type":"enabled","budget_tokens":5000}"#,
            10_600_000,
        ),
        // A character that may grow: 4 escaped ones of 3 bytes are 10 * 3 more each.
        (
            r#""model":"claude-opus-5-5","inference_geo":"global","metadata":{"user_id":"\ufdfa"},"max_tokens":100"#,
            612_000,
        ),
    ] {
        assert_eq!(claude().bound(&body(1000, members)), usd, "{members}");
    }
    // Haiku 5.5 beyond 100,000 tokens costs five times as much: 150000 * 0.5 + 100 * 2.5
    assert_eq!(
        claude().bound(&body(150_000, r#""model":"claude-haiku-5-5","inference_geo":"global","max_tokens":100"#)),
        7_525_000
    );
    // So does Sonnet 4.5 beyond 200,000, which it reads where a beta header says so: 300000 * 6 + 100 * 22.5
    assert_eq!(claude().bound(&body(300_000, r#""model":"claude-sonnet-4-5","max_tokens":100"#)), 180_225_000);
}

#[test]
fn what_the_body_does_not_show_is_the_models_most_or_refused() {
    for (members, hidden) in [
        (
            r#""messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA"}}]}]"#,
            true,
        ),
        (
            r#""messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"image","source":{}}]}]}]"#,
            true,
        ),
        (
            r#""messages":[{"role":"user","content":[{"type":"document","source":{"type":"file","file_id":"f"}}]}]"#,
            true,
        ),
        (r#""messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"ok"}]}]"#, false),
    ] {
        let text = format!(r#"{{"model":"claude-opus-5-5","inference_geo":"global","max_tokens":100,{members}}}"#);
        let prompt = if hidden { 1_000_000 } else { text.len() as u64 };
        assert_eq!(claude().bound(&text), prompt * 400 + 200_000, "{members}");
    }
    for members in [
        r#""tools":[{"type":"web_search_20250305","name":"web_search"}]"#,
        r#""tools":[{"type":"code_execution_20250825","name":"code_execution"}]"#,
        r#""mcp_servers":[{"url":"x"}]"#,
        r#""container":"c""#,
        r#""fallbacks":[{"model":"x"}]"#,
        // This model has no price in fast mode.
        r#""speed":"fast","model":"claude-haiku-4-5""#,
        // Code that the vendor runs may search, and the model reads after each run.
        r#""tools":[{"type":"web_search_20260318","name":"web_search","max_uses":2}]"#,
        r#""messages":[{"role":"user","content":[{"type":"tool_addition","tool":{}}]}]"#,
    ] {
        let model = if members.contains("model\":\"claude") { "" } else { r#""model":"claude-opus-5-5","# };
        let text = format!(r#"{{{model}"max_tokens":100,{members}}}"#);
        assert!(matches!(claude().estimate(&text), Err(Unpriceable::Unbounded { .. })), "{members}");
    }
    let search = r#"{"model":"claude-opus-5-5","inference_geo":"global","max_tokens":100,"tools":[{"type":"web_search_20250305","name":"web_search","max_uses":2}]}"#;
    // 1,000,000 * 4 * 3 + 100 * 20 per million + 2 * 0.01
    assert_eq!(claude().bound(search), 1_200_000_000 + 200_000 + 2_000_000);
    let direct = search.replace("20250305\"", "20260318\",\"allowed_callers\":[\"direct\"]");
    assert_eq!(claude().bound(&direct), 1_200_000_000 + 200_000 + 2_000_000);
}

#[test]
fn a_limit_is_lowered_never_below_a_thinking_budget() {
    let mut claude = claude();
    claude.always = true;
    let text = r#"{"model":"claude-opus-5-5","max_tokens":8000,"thinking":{"type":"enabled","budget_tokens":4000},"messages":[]}"#;
    let estimate = claude.estimate(text).expect("bounded");
    let fit = estimate.need.fit.expect("fitted");
    assert_eq!((fit.floor, fit.want), (4001, 8000));
    let document = Document::parse(text.as_bytes()).expect("json");
    let edited = estimate.plan.edited(&document, Some(5000)).expect("spliced").expect("changed");
    assert_eq!(String::from_utf8(edited).expect("text"), text.replace("8000", "5000"));
    assert_eq!(estimate.plan.edited(&document, Some(8000)), Ok(None));
}

#[test]
fn plain_messages_are_priced_by_what_they_say() {
    let request = r#"{"model":"claude-opus-5-5","max_tokens":1000,"messages":[]}"#;
    let message = |usage: &str| {
        format!(r#"{{"id":"msg_1","type":"message","model":"claude-opus-5-5","content":[],"usage":{usage}}}"#)
    };
    for (usage, usd) in [
        // 1000 * 4 + 300 * 20 = 10,000 per million
        (r#"{"input_tokens":1000,"output_tokens":300}"#, 1_000_000),
        // Cache apart from the input: + 10000 * 0.2 + 2000 * 5 + 500 * 8 = 26,000
        (
            r#"{"input_tokens":1000,"output_tokens":300,"cache_read_input_tokens":10000,"cache_creation_input_tokens":2500,"cache_creation":{"ephemeral_5m_input_tokens":2000,"ephemeral_1h_input_tokens":500}}"#,
            2_600_000,
        ),
        // A total without its split was written for five minutes: 10,000 + 2500 * 5
        (r#"{"input_tokens":1000,"output_tokens":300,"cache_creation_input_tokens":2500}"#, 2_250_000),
        // Fast, in the US, two searches: 10,000 * 2 * 1.1 + 0.02
        (
            r#"{"input_tokens":1000,"output_tokens":300,"speed":"fast","inference_geo":"us","service_tier":"priority","server_tool_use":{"web_search_requests":2}}"#,
            4_200_000,
        ),
        // Batch: half.
        (r#"{"input_tokens":1000,"output_tokens":300,"service_tier":"batch"}"#, 500_000),
        // An advisor's run on Sonnet stands outside the totals: + 100 * 2 + 50 * 10 = 700
        (
            r#"{"input_tokens":1000,"output_tokens":300,"iterations":[{"type":"message","input_tokens":1000,"output_tokens":300},{"type":"advisor_message","model":"claude-sonnet-5-5","input_tokens":100,"output_tokens":50,"cache_read_input_tokens":0,"cache_creation_input_tokens":0}]}"#,
            1_070_000,
        ),
        // A fallback served it: its own price, 1000 * 2 + 300 * 10 = 5,000
        (
            r#"{"input_tokens":1000,"output_tokens":300,"iterations":[{"type":"fallback_message","model":"claude-sonnet-5-5","input_tokens":1000,"output_tokens":300}]}"#,
            500_000,
        ),
    ] {
        assert_eq!(exact(answered(&claude().plan(request), &json(), &message(usage)).1), usd, "{usage}");
    }
    // Asked for an hour, the total is an hour's: 10,000 + 2500 * 8
    let slow = message(r#"{"input_tokens":1,"output_tokens":3,"speed":"fast"}"#).replace("opus-5-5", "haiku-4-5");
    assert!(matches!(answered(&claude().plan(request), &json(), &slow).1, Usage::Unknown(_)));
    let hour =
        r#"{"model":"claude-opus-5-5","max_tokens":9,"cache_control":{"type":"ephemeral","ttl":"1h"},"messages":[]}"#;
    let answer = message(r#"{"input_tokens":1000,"output_tokens":300,"cache_creation_input_tokens":2500}"#);
    assert_eq!(exact(answered(&claude().plan(hour), &json(), &answer).1), 3_000_000);
    // What a container costs is not in the usage.
    let mut code = claude();
    code.ceiling = Some(crate::units::money::MicroCents(1));
    let coded = r#"{"model":"claude-opus-5-5","max_tokens":9,"tools":[{"type":"code_execution_20260521","name":"c"}],"messages":[]}"#;
    let answer = message(r#"{"input_tokens":1000,"output_tokens":300}"#);
    assert!(
        matches!(answered(&code.plan(coded), &json(), &answer).1, Usage::AtLeast(charge) if charge.usd.0 == 1_000_000)
    );
    for unknown in [r#"{"type":"error"}"#, &message("null"), &message(r#"{"output_tokens":3}"#)] {
        assert_eq!(answered(&claude().plan(request), &json(), unknown).1, Usage::UNKNOWN, "{unknown}");
    }
    let (_, metered) = run(&claude().plan(request), 529, &json(), [], End::Complete);
    assert_eq!(metered.usage, Usage::ZERO);
}

fn event(kind: &str, rest: &str) -> String {
    format!("event: {kind}\ndata: {{\"type\":\"{kind}\"{rest}}}\n\n")
}

#[test]
fn a_stream_merges_its_start_and_its_last_totals() {
    let plan = claude().plan(r#"{"model":"claude-opus-5-5","max_tokens":9,"stream":true,"messages":[]}"#);
    let start = event(
        "message_start",
        r#","message":{"id":"msg_1","model":"claude-opus-5-5","usage":{"input_tokens":1000,"cache_read_input_tokens":10000,"cache_creation_input_tokens":2500,"cache_creation":{"ephemeral_5m_input_tokens":2000,"ephemeral_1h_input_tokens":500},"output_tokens":1,"service_tier":"standard","inference_geo":"us"}}"#,
    );
    let text = event(
        "content_block_delta",
        r#","index":0,"delta":{"type":"text_delta","text":"the word \"message_delta\" and \"usage\""}"#,
    );
    let grow = event("message_delta", r#","delta":{"stop_reason":null},"usage":{"output_tokens":50}"#);
    let last = event(
        "message_delta",
        r#","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":1000,"cache_read_input_tokens":10000,"cache_creation_input_tokens":2500,"output_tokens":300,"output_tokens_details":{"thinking_tokens":120}}"#,
    );
    let stop = event("message_stop", "");
    let stream = [start.as_str(), "event: ping\ndata: {\"type\": \"ping\"}\n\n", &text, &grow, &last, &stop].concat();
    let (out, usage) = answered(&plan, &sse(), &stream);
    // (1000 * 4 + 10000 * 0.2 + 2000 * 5 + 500 * 8 + 300 * 20) * 1.1 = 28,600 per million
    assert_eq!((out == stream, exact(usage)), (true, 2_860_000));
    assert_eq!(usage.charge().tokens, Some(TokenCounts { input: 13_500, output: 300, cached: 10_000, reasoning: 120 }));
    let cut = |pieces: &[&str], end| run(&plan, 200, &sse(), pieces.iter().map(|p| p.as_bytes()), end).1.usage;
    // Nothing but the start: at least (20,000 + 1 * 20) * 1.1
    assert!(matches!(cut(&[&start, &text], End::Cut), Usage::AtLeast(charge) if charge.usd.0 == 2_202_200));
    assert!(matches!(cut(&[&start, &text], End::Complete), Usage::AtLeast(_)));
    assert!(matches!(cut(&[&start, &grow], End::Cut), Usage::AtLeast(charge) if charge.usd.0 == 2_310_000));
    assert_eq!(exact(cut(&[&start, &last], End::Cut)), 2_860_000);
    let error = event("error", r#","error":{"type":"overloaded_error","message":"x"}"#);
    assert!(
        matches!(cut(&[&start, &grow, &error], End::Complete), Usage::AtLeast(charge) if charge.usd.0 == 2_310_000)
    );
    assert_eq!(cut(&[&error], End::Complete), Usage::UNKNOWN);
}
