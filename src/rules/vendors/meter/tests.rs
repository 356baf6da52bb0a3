//! Meters that need no family: free calls, ceilings, rules, and answers of another form than was asked for.

use super::super::testkit::{call, headers, json, run};
use super::super::{End, Metered, Usage};
use crate::rules::books::CostSource;
use crate::units::money::MicroCents;

#[test]
fn free_calls_and_ceilings_pass_unread() {
    let free = call("anthropic", "/v1/messages/count_tokens").plan("{}");
    assert!(!free.wants_identity() && !free.streams());
    let (out, metered) = run(&free, 200, &json(), [b"abc".as_slice(), b"def"], End::Cut);
    assert_eq!((out.as_slice(), metered.usage), (b"abcdef".as_slice(), Usage::ZERO));
    let mut capped = call("openai", "/v1/images/generations");
    capped.ceiling = Some(MicroCents(500));
    let plan = capped.plan("{}");
    for (status, usage) in [(200, Usage::UNKNOWN), (400, Usage::ZERO), (500, Usage::ZERO)] {
        assert_eq!(run(&plan, status, &json(), [b"x".as_slice()], End::Complete).1.usage, usage, "{status}");
    }
}

#[test]
fn rules_are_metered_by_request_or_answer() {
    let email = call("resend", "/emails").plan(r#"{"to":["a","b"]}"#);
    assert!(!email.wants_identity());
    let usage =
        |plan: &super::super::Plan, status, body: &str, end| run(plan, status, &json(), [body.as_bytes()], end).1.usage;
    let Usage::Exact(charge) = usage(&email, 200, r#"{"id":"e1"}"#, End::Complete) else { panic!("exact") };
    assert_eq!((charge.usd, charge.source), (MicroCents(180_000), CostSource::Request));
    assert_eq!(usage(&email, 422, "{}", End::Complete), Usage::ZERO);
    assert_eq!(usage(&email, 500, "{}", End::Complete), Usage::UNKNOWN);
    assert_eq!(usage(&email, 200, "{}", End::Cut), Usage::UNKNOWN);
    let mut sms = call("twilio", "/2010-04-01/Accounts/AC1/Messages.json");
    sms.content_type = "application/x-www-form-urlencoded";
    let plan = sms.plan("To=%2B1555&Body=hi");
    let Usage::Exact(charge) = usage(&plan, 201, r#"{"sid":"SM1","num_segments":"1","num_media":"0"}"#, End::Complete)
    else {
        panic!("exact")
    };
    assert_eq!((charge.usd, charge.source), (MicroCents(1_330_000), CostSource::Estimated));
    assert_eq!(usage(&plan, 201, "{", End::Complete), Usage::UNKNOWN);
}

#[test]
fn a_stream_that_is_no_stream_is_read_as_a_body() {
    let plan = call("openai", "/v1/chat/completions").plan(r#"{"model":"gpt-4o","stream":true,"max_tokens":9}"#);
    assert!(plan.streams());
    assert_eq!(plan.model(), Some("gpt-4o"));
    let body = br#"{"id":"c1","model":"gpt-4o","usage":{"prompt_tokens":10,"completion_tokens":10}}"#;
    let Metered { usage, vendor_request_id, replayed, .. } = run(&plan, 200, &json(), [&body[..]], End::Complete).1;
    // 10 * 2.5 + 10 * 10 per million
    assert!(matches!(usage, Usage::Exact(charge) if charge.usd.0 == 12_500));
    assert_eq!((vendor_request_id.as_deref(), replayed), (Some("c1"), false));
    let named = headers(&[("content-type", "application/json"), ("x-request-id", "req_1")]);
    assert_eq!(run(&plan, 200, &named, [&body[..]], End::Complete).1.vendor_request_id.as_deref(), Some("req_1"));
}

#[test]
fn an_event_too_long_to_read_still_passes() {
    let plan = call("openai", "/v1/chat/completions").plan(r#"{"model":"gpt-4o","stream":true,"max_tokens":9}"#);
    let mut answer = b"data: ".to_vec();
    answer.resize(9 << 20, b'x');
    answer.extend_from_slice(
        b"\n\ndata: {\"model\":\"gpt-4o\",\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n\n",
    );
    let sse = super::super::testkit::sse();
    let (out, metered) = run(&plan, 200, &sse, answer.chunks(16 * 1024), End::Complete);
    assert!(out == answer && metered.usage == Usage::UNKNOWN);
}

proptest::proptest! {
    /// However a stream is cut, and wherever it breaks off, nothing panics, no byte is lost, and equal bytes cost the same.
    #[test]
    fn cuts_change_nothing(noise in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200), cuts in proptest::collection::vec(0usize..1200, 0..8), at in 0usize..900) {
        let chunk = "data: {\"model\":\"gpt-4o\",\"choices\":[{}],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2}}\r\n\r\n";
        let mut answer = chunk.repeat(8).into_bytes();
        let at = at.min(answer.len());
        answer.splice(at..at, noise);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(answer.len())).chain([0, answer.len()]).collect();
        cuts.sort_unstable();
        let plan = call("openai", "/v1/chat/completions").plan(
            // The caller asks for the usage itself, so that no chunk is hidden, whatever the noise makes of one.
            r#"{"model":"gpt-4o","stream":true,"max_tokens":9,"stream_options":{"include_usage":true}}"#,
        );
        let sse = super::super::testkit::sse();
        let whole = run(&plan, 200, &sse, [answer.as_slice()], End::Cut);
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &answer[pair[0]..pair[1]]).collect();
        proptest::prop_assert_eq!(&run(&plan, 200, &sse, pieces, End::Cut), &whole);
        proptest::prop_assert_eq!(whole.0, answer);
    }
}
