//! Counts of prompts: never more than bytes, never less than the tokens, and asked of the vendor in its own shape.

use super::super::ask::Counted;
use super::super::testkit::{Call, call};
use proptest::strategy::Strategy;

use super::*;

/// What `most` takes for one token is one, in both vocabularies.
#[test]
fn what_is_known_of_the_vocabularies_is_so() {
    let letters = || (b'a'..=b'z').map(char::from);
    let pairs = letters().flat_map(|a| letters().map(move |b| format!("{a}{b}")));
    let pairs = pairs.filter(|pair| !most::APART.split_ascii_whitespace().any(|apart| apart == pair));
    let spaced = letters().flat_map(|a| [format!(" {a}"), format!(" {}", a.to_ascii_uppercase())]);
    let words = most::words().map(|word| format!(" {word}"));
    let digits = (0..1000).flat_map(|n| [format!("{n}"), format!("{n:03}")]);
    let indents = (1..=most::LONGEST_INDENT).map(|n| " ".repeat(n));
    for text in pairs.chain(spaced).chain(words).chain(digits).chain(indents) {
        for tokenizer in [o200k_base_singleton(), cl100k_base_singleton()] {
            assert_eq!(tokenizer.count_ordinary(&text), 1, "`{text}`");
        }
    }
    assert!(most::words().all(|word| word.bytes().skip(1).all(|byte| byte.is_ascii_lowercase())));
    assert!(most::words().count() == 8000 && most::words().all(|word| word.len() > 2));
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(2000))]
    /// Whatever the text, it is never more tokens than was said.
    #[test]
    fn a_look_never_says_too_little(
        parts in proptest::collection::vec(proptest::prop_oneof![
            "[a-z]{1,9}", " [a-z]{1,12}", "[A-Za-z]{1,6}", "[0-9]{1,7}", " {1,90}", "[ \t\r\n]{1,4}", "'(s|t|re|ve|m|ll|d)",
            "[!-/:-@]{1,4}", "\\PC{1,3}", "[éßж漢½٣\u{301}\u{a0}\u{17f}]{1,3}",
            proptest::sample::select(most::words().collect::<Vec<_>>()).prop_map(|word| format!(" {word}")),
        ], 0..40),
    ) {
        let text = parts.concat();
        for tokenizer in [o200k_base_singleton(), cl100k_base_singleton()] {
            let tokens = tokenizer.count_ordinary(&text) as u64;
            proptest::prop_assert!(most::most(&text) >= tokens, "{} are said of {tokens}: `{text}`", most::most(&text));
        }
        proptest::prop_assert!(most::most(&text) <= text.len() as u64);
    }
}

/// Of ordinary texts it says less than three times their tokens, of prose less than twice.
#[test]
fn a_look_is_near_the_count() {
    let prose = "The committee met on Tuesday to review the results of the last quarter, and asked what had changed. ";
    let code = "    for (index, item) in items.iter().enumerate() {\n        if item.price > 1000 {\n            total += 1;\n";
    for (text, percent) in [(prose, 200), (code, 300)] {
        let tokens = o200k_base_singleton().count_ordinary(text) as u64;
        let most = most::most(text);
        assert!((tokens..=tokens * percent / 100).contains(&most), "{most} are said of {tokens}: {text}");
    }
    // However long a run is, a look takes time in proportion to it.
    for run in [" ", "1", "a", "'", "é", "1é"] {
        let text = run.repeat(400_000);
        assert!(most::most(&text) <= text.len() as u64);
    }
}

/// Words as long as ours, and what the published tokenizer makes of them.
#[test]
fn texts_of_messages_are_counted_and_nothing_else() {
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(40);
    let (bytes, tokens) = (text.len() as u64, o200k_base_singleton().count_ordinary(&text) as u64);
    assert!((380..=420).contains(&tokens), "{tokens}");
    let chat = format!(r#"{{"model":"gpt-4o","messages":[{{"role":"user","content":"{text}"}}]}}"#);
    let parts = |n: usize| {
        let part = format!(r#"{{"type":"text","text":"{text}"}}"#);
        format!(r#"{{"messages":[{{"role":"user","content":[{}]}}]}}"#, vec![part; n].join(","))
    };
    for (body, less) in [
        (chat.clone(), bytes - tokens),
        (parts(1), bytes - tokens),
        (parts(2), 0),
        (format!(r#"{{"instructions":"{text}","input":"{text}"}}"#), 2 * (bytes - tokens)),
        (format!(r#"{{"tools":["{text}"],"messages":[{{"content":"{text}"}}]}}"#), 0),
        (format!(r#"{{"messages":[{{"role":"user","content":"{}"}}]}}"#, "a".repeat(9000)), 0),
        (format!(r#"{{"messages":[{{"role":"user","content":"{}"}}]}}"#, "\\u00e9 ".repeat(100)), 700 - 200),
        ("no JSON".to_owned(), 0),
    ] {
        let counted = fewer(body.as_bytes(), Encoding::O200k);
        assert!(counted == less || (less == 500 && counted >= 500), "{counted} of {less}: {body}");
    }
    let mut call = call("openai", "/v1/chat/completions");
    // By a look at its words it is somewhat more than by a count: a quarter is added.
    let looked = call.estimate(&chat).expect("bounded").need.tokens;
    let frame = chat.len() as u64 - bytes;
    assert!((frame + tokens..frame + 2 * tokens).contains(&looked), "{looked} of {tokens}");
    call.counted = Counted::Fewer(fewer(chat.as_bytes(), Encoding::O200k));
    let after = call.estimate(&chat).expect("bounded").need.tokens;
    assert_eq!(after, frame + tokens);
    // A text of no words stays at its bytes, and so does what other tokenizers read.
    let strange = chat.replace(&text, &"x".repeat(text.len()));
    call.counted = Counted::Nothing;
    assert_eq!(call.estimate(&strange).expect("bounded").need.tokens, chat.len() as u64);
    let unknown = chat.replace("gpt-4o", "gpt-6-astra");
    assert_eq!(call.estimate(&unknown).expect("bounded").need.tokens, unknown.len() as u64);
    // As the vendor counts: the text, and seven of the frame.
    assert!(after >= tokens + 7);
}

#[test]
fn only_a_makers_own_models_are_counted_here() {
    let of = |vendor: &str, path: &'static str, model: &str| {
        let body = format!(r#"{{"model":"{model}","max_tokens":9,"messages":[],"input":""}}"#);
        call(vendor, path).with(&body, |ask| ask.encoding()).expect("readable")
    };
    for (vendor, path, model, known) in [
        ("openai", "/v1/chat/completions", "gpt-4o-mini", Some(Encoding::O200k)),
        ("openai", "/v1/responses", "gpt-5.5", Some(Encoding::O200k)),
        ("openai", "/v1/chat/completions", "gpt-4-0613", Some(Encoding::Cl100k)),
        ("openai", "/v1/chat/completions", "gpt-6-astra", None),
        ("openai", "/v1/embeddings", "text-embedding-3-small", None),
        ("groq", "/openai/v1/chat/completions", "gpt-4o", None),
        ("anthropic", "/v1/messages", "gpt-4o", None),
    ] {
        assert_eq!(of(vendor, path, model), known, "{vendor} {model}");
    }
}

fn asked(call: &Call, body: &str) -> Option<(String, String)> {
    let question = call.with(body, |ask| ask.count_question()).expect("readable")?;
    assert_eq!(question.method(), "POST");
    Some((question.path, String::from_utf8(question.body?.to_vec()).expect("text")))
}

#[test]
fn each_vendor_is_asked_in_its_own_shape() {
    let messages = r#"{"model":"claude-sonnet-4-5","max_tokens":9,"stream":true,"messages":[ {"role":"user","content":"x"} ],"system":"s"}"#;
    assert_eq!(
        asked(&call("anthropic", "/v1/messages"), messages),
        Some((
            "/v1/messages/count_tokens".to_owned(),
            r#"{"model":"claude-sonnet-4-5","messages":[ {"role":"user","content":"x"} ],"system":"s"}"#.to_owned()
        ))
    );
    let responses = r#"{"model":"gpt-5","store":true,"previous_response_id":"resp_1","input":"x"}"#;
    assert_eq!(
        asked(&call("openai", "/v1/responses"), responses),
        Some((
            "/v1/responses/input_tokens".to_owned(),
            r#"{"model":"gpt-5","previous_response_id":"resp_1","input":"x"}"#.to_owned()
        ))
    );
    let gemini = r#" {"contents":[{"parts":[{"fileData":{"fileUri":"f"}}]}]} "#;
    let path = "/v1beta/models/gemini-2.5-flash:streamGenerateContent";
    let (path, body) = asked(&call("google", path), gemini).expect("asked");
    assert_eq!(path, "/v1beta/models/gemini-2.5-flash:countTokens");
    assert_eq!(
        body,
        r#"{"generateContentRequest":{"model":"models/gemini-2.5-flash","contents":[{"parts":[{"fileData":{"fileUri":"f"}}]}]}}"#
    );
    // What runs tools of the vendor's is not bounded by a count of what was sent; and some have no such endpoint.
    let tools = r#"{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[],"tools":[{"type":"web_search_20250305","name":"w","max_uses":2}]}"#;
    assert_eq!(asked(&call("anthropic", "/v1/messages"), tools), None);
    let searching = r#"{"contents":[],"tools":[{"googleSearch":{}}]}"#;
    assert_eq!(asked(&call("google", "/v1beta/models/gemini-2.5-flash:generateContent"), searching), None);
    let chat = r#"{"model":"gpt-4o","messages":[]}"#;
    assert_eq!(asked(&call("openai", "/v1/chat/completions"), chat), None);
    assert_eq!(asked(&call("groq", "/openai/v1/chat/completions"), chat), None);
}

#[test]
fn clouds_are_asked_below_the_model_of_the_call() {
    let vertex = "/v1/projects/p/locations/europe-west1/publishers";
    let (nova, claude) = ("amazon.nova-pro-v1:0", "us.anthropic.claude-sonnet-4-5-20250929-v1:0");
    let path = |text: String| -> &'static str { text.leak() };
    for (vendor, called, sent, asks, body) in [
        (
            "vertex",
            path(format!("{vertex}/google/models/gemini-2.5-flash:streamGenerateContent")),
            r#"{"contents":[ 1 ],"labels":{"a":"b"},"generationConfig":{"maxOutputTokens":9}}"#,
            format!("{vertex}/google/models/gemini-2.5-flash:countTokens"),
            r#"{"contents":[ 1 ],"generationConfig":{"maxOutputTokens":9}}"#.to_owned(),
        ),
        (
            "vertex",
            path(format!("{vertex}/anthropic/models/claude-sonnet-4-5@20250929:rawPredict")),
            r#"{"anthropic_version":"vertex-2023-10-16","max_tokens":9,"messages":[]}"#,
            format!("{vertex}/anthropic/models/count-tokens:rawPredict"),
            r#"{"model":"claude-sonnet-4-5@20250929","anthropic_version":"vertex-2023-10-16","messages":[]}"#
                .to_owned(),
        ),
        (
            "bedrock",
            path(format!("/model/{nova}/converse-stream")),
            r#"{"messages":[],"inferenceConfig":{"maxTokens":9},"toolConfig":{"tools":[]}}"#,
            format!("/model/{nova}/count-tokens"),
            r#"{"input":{"converse":{"messages":[],"toolConfig":{"tools":[]}}}}"#.to_owned(),
        ),
        (
            "bedrock",
            path(format!("/model/{claude}/invoke")),
            r#"{"max_tokens":9,"messages":[]}"#,
            format!("/model/{claude}/count-tokens"),
            r#"{"input":{"invokeModel":{"body":"eyJtYXhfdG9rZW5zIjo5LCJtZXNzYWdlcyI6W119"}}}"#.to_owned(),
        ),
    ] {
        assert_eq!(asked(&call(vendor, called), sent), Some((asks, body)), "{called}");
    }
    // Bedrock would overlook it, and its count would be too small.
    let new = r#"{"messages":[],"inferenceConfig":{"maxTokens":9},"promptVariables":{}}"#;
    assert_eq!(asked(&call("bedrock", path(format!("/model/{nova}/converse"))), new), None);
}

/// A field that nobody here knows may be a part of the prompt: the vendor counts it, or refuses to count at all.
#[test]
fn what_is_asked_leaves_out_only_what_is_no_prompt() {
    let messages = r#"{"model":"claude-sonnet-4-5","max_tokens":9,"temperature":1,"metadata":{"user_id":"u"},"messages":[],"output_format":{"type":"json_schema"},"brand_new":[1]}"#;
    assert_eq!(
        asked(&call("anthropic", "/v1/messages"), messages).map(|(_, body)| body).as_deref(),
        Some(r#"{"model":"claude-sonnet-4-5","messages":[],"output_format":{"type":"json_schema"},"brand_new":[1]}"#)
    );
    let responses = r#"{"model":"gpt-5","max_output_tokens":99,"store":true,"stream":true,"input":"x","brand_new":"y","user":"u","service_tier":"flex"}"#;
    assert_eq!(
        asked(&call("openai", "/v1/responses"), responses).map(|(_, body)| body).as_deref(),
        Some(r#"{"model":"gpt-5","input":"x","brand_new":"y"}"#)
    );
}

#[test]
fn a_count_bounds_the_prompt_with_a_margin() {
    assert_eq!(told(br#"{"input_tokens":1000}"#), Some(1150));
    assert_eq!(told(br#"{"totalTokens":1000,"cachedContentTokenCount":5}"#), Some(1150));
    assert_eq!(told(br#"{"inputTokens":1000}"#), Some(1150));
    assert_eq!((told(b"{}"), told(b"[]"), told(br#"{"input_tokens":-1}"#)), (None, None, None));
    let mut call = call("openai", "/v1/responses");
    let body = r#"{"model":"gpt-4o","max_output_tokens":9,"previous_response_id":"resp_1","input":"x"}"#;
    let tokens = |call: &Call| call.estimate(body).expect("bounded").need.tokens;
    assert_eq!(tokens(&call), 128_000 + 9, "the model's longest");
    call.counted = Counted::Whole(1150);
    assert_eq!(tokens(&call), 1150 + 9);
    // Never more than bytes alone.
    let body = r#"{"model":"gpt-4o","max_output_tokens":9,"input":"x"}"#;
    assert_eq!(call.estimate(body).expect("bounded").need.tokens, body.len() as u64 + 9);
}

#[test]
fn what_was_seen_of_a_response_bounds_the_one_that_goes_on() {
    let mut call = call("openai", "/v1/responses");
    call.remembered = Some(("resp_1".to_owned(), "gpt-4o".to_owned(), 500));
    let body =
        |id: &str| format!(r#"{{"model":"gpt-4o","max_output_tokens":9,"previous_response_id":"{id}","input":"x"}}"#);
    let tokens = |id: &str| call.estimate(&body(id)).expect("bounded").need.tokens;
    assert_eq!(tokens("resp_1"), body("resp_1").len() as u64 + 500 + 9);
    assert_eq!(tokens("resp_2"), 128_000 + 9);
    // Another model may read the same pictures as many times the tokens.
    let other = body("resp_1").replace("gpt-4o", "gpt-4.1-mini");
    assert_eq!(call.estimate(&other).expect("bounded").need.tokens, 1_047_576 + 9);
    let dated = body("resp_1").replace("gpt-4o", "gpt-4o-2024-11-20");
    assert_eq!(call.estimate(&dated).expect("bounded").need.tokens, dated.len() as u64 + 500 + 9);
    let both = body("resp_1").replace(r#""input""#, r#""conversation":"conv_1","input""#);
    assert_eq!(call.estimate(&both).expect("bounded").need.tokens, 128_000 + 9);
}
