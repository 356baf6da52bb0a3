//! Is what is held for ordinary chats near what they cost? Requests as agents make them, with an output limit, short and long, with
//! short and long answers, at the shipped prices: how many times the cost is held. Tests only.

use tiktoken_rs::o200k_base_singleton;

use super::End;
use super::testkit::{call, exact, json, run};

const PROSE: &str = "The committee met on Tuesday to review the results of the last quarter. Sales in the northern region had \
    grown by nearly a tenth, while costs stayed flat; the chair asked for a short summary of what had changed and why. ";
const CODE: &str = "    for (index, item) in items.iter().enumerate() {\n        if item.price > limit && !item.sold {\n            \
    report.push(format!(\"{index}: {}\", item.name));\n        }\n    }\n";
const DATA: &str =
    r#"{"id":4211,"name":"Anna Berg","email":"anna.berg@example.org","orders":[{"sku":"A-19","count":2}]},"#;

/// What is asked: its text, the output limit, and what was used of that.
type Chat = (&'static str, usize, u64, u64);

/// Long answers use two thirds of their limit, short ones a fifth.
const SHORT_LONG: [Chat; 2] = [(PROSE, 1, 300, 200), (CODE, 2, 600, 400)];
const SHORT_SHORT: [Chat; 2] = [(PROSE, 1, 300, 60), (CODE, 2, 600, 120)];
const LONG_LONG: [Chat; 3] = [(PROSE, 80, 2000, 1300), (CODE, 80, 2000, 1300), (DATA, 150, 2000, 1300)];
const LONG_SHORT: [Chat; 3] = [(PROSE, 80, 500, 100), (CODE, 80, 500, 100), (DATA, 150, 500, 100)];

/// Vendor, path, model.
type Model = (&'static str, &'static str, &'static str);

/// Whose tokenizers are published, and whose are not.
const PUBLISHED: [Model; 4] = [
    ("openai", "/v1/chat/completions", "gpt-4o"),
    ("openai", "/v1/chat/completions", "gpt-4o-mini"),
    ("openai", "/v1/chat/completions", "gpt-5"),
    ("openai", "/v1/responses", "gpt-5-mini"),
];
const OTHERS: [Model; 8] = [
    ("anthropic", "/v1/messages", "claude-sonnet-4-5"),
    ("anthropic", "/v1/messages", "claude-haiku-4-5"),
    ("google", "/v1beta/models/gemini-2.5-flash:generateContent", ""),
    ("google", "/v1beta/models/gemini-2.5-pro:generateContent", ""),
    ("mistral", "/v1/chat/completions", "mistral-large-latest"),
    ("groq", "/openai/v1/chat/completions", "openai/gpt-oss-120b"),
    ("xai", "/chat/completions", "grok-4.5"),
    ("deepseek", "/chat/completions", "deepseek-chat"),
];

/// The request with its limit, and the answer that says what was used.
fn chat(path: &str, model: &str, text: &str, limit: u64, used: u64) -> (String, String) {
    let told = serde_json::to_string(text).expect("a text");
    let read = o200k_base_singleton().count_ordinary(text) as u64 + 10;
    let messages = format!(r#"[{{"role":"system","content":"You are brief."}},{{"role":"user","content":{told}}}]"#);
    match path {
        "/v1/responses" => (
            format!(r#"{{"model":"{model}","max_output_tokens":{limit},"input":{messages}}}"#),
            format!(
                r#"{{"model":"{model}","service_tier":"default","output":[],"usage":{{"input_tokens":{read},"output_tokens":{used}}}}}"#
            ),
        ),
        "/v1/messages" => (
            format!(r#"{{"model":"{model}","max_tokens":{limit},"messages":[{{"role":"user","content":{told}}}]}}"#),
            format!(r#"{{"model":"{model}","usage":{{"input_tokens":{read},"output_tokens":{used}}}}}"#),
        ),
        _ if path.contains("generateContent") => (
            format!(
                r#"{{"contents":[{{"role":"user","parts":[{{"text":{told}}}]}}],"generationConfig":{{"maxOutputTokens":{limit}}}}}"#
            ),
            format!(r#"{{"usageMetadata":{{"promptTokenCount":{read},"candidatesTokenCount":{used}}}}}"#),
        ),
        _ => (
            format!(r#"{{"model":"{model}","max_tokens":{limit},"messages":{messages}}}"#),
            format!(
                r#"{{"model":"{model}","choices":[{{}}],"usage":{{"prompt_tokens":{read},"completion_tokens":{used},"total_tokens":{}}}}}"#,
                read + used
            ),
        ),
    }
}

/// What is held for a chat, and what it costs. No hold is below what all of the limit would cost.
fn held(&(vendor, path, model): &Model, &(text, times, limit, used): &Chat, standard: bool) -> (u64, u64) {
    let mut call = call(vendor, path);
    call.vendor.auto_tier_is_standard |= standard;
    let text = text.repeat(times);
    let (request, answer) = chat(path, model, &text, limit, used);
    let estimate = call.estimate(&request).unwrap_or_else(|why| panic!("{vendor} {model}: {why}"));
    let cost = |answer: &str| exact(run(&estimate.plan, 200, &json(), [answer.as_bytes()], End::Complete).1.usage);
    let held = estimate.need.wanted().usd.0;
    let most = cost(&chat(path, model, &text, limit, limit).1);
    assert!(held >= most, "{vendor} {model}: {held} is held, {most} may be charged");
    (held, cost(&answer))
}

/// Hold by cost in tenths, rounded up: of each kind the largest of these chats with these models, and of one model's chats of all
/// kinds together, the largest of these models.
fn measured(models: &[Model], kinds: &[&[Chat]], standard: bool) -> Vec<u64> {
    let tenths = |(held, cost): (u64, u64)| (held * 10).div_ceil(cost);
    let largest = |chats: &&[Chat]| {
        let each = models.iter().flat_map(|model| chats.iter().map(move |chat| held(model, chat, standard)));
        each.map(tenths).max().unwrap_or(0)
    };
    let together = |model: &Model| {
        let all = kinds.iter().flat_map(|chats| chats.iter()).map(|chat| held(model, chat, standard));
        tenths(all.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1)))
    };
    kinds.iter().map(largest).chain(models.iter().map(together).max()).collect()
}

/// What README says of it.
#[test]
fn ordinary_chats_are_held_at_what_readme_says() {
    let kinds = [&SHORT_LONG[..], &SHORT_SHORT, &LONG_LONG, &LONG_SHORT];
    let readme = include_str!("../../../README.md");
    for (who, models, standard) in [
        ("a published tokenizer, the tier known", &PUBLISHED[..], true),
        ("a published tokenizer, the tier left open", &PUBLISHED, false),
        ("any other", &OTHERS, false),
    ] {
        let measured = measured(models, &kinds, standard);
        let cells: Vec<String> = measured.iter().map(|tenths| format!("{}.{}", tenths / 10, tenths % 10)).collect();
        let row = format!("| {who} | {} |", cells.join(" | "));
        assert!(readme.contains(&row), "measured: {row}");
        // Where the answer uses its limit, or the prompt outweighs it; no bound knows what an answer leaves unused.
        let &[short_long, _, long_long, long_short, together] = measured.as_slice() else { panic!("five columns") };
        assert!(!standard || short_long.max(long_long).max(long_short) <= 40, "{row}");
        assert!(together <= if standard || models.len() == OTHERS.len() { 40 } else { 80 }, "{row}");
    }
}

/// A prompt that lies at Amazon is in no body; not even the dearest model bounds it.
#[test]
fn a_kept_prompt_is_not_bounded_by_its_body() {
    for end in ["converse", "converse-stream", "invoke"] {
        let path = format!("/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aprompt%2FABC%3A2/{end}");
        let mut call = call("bedrock", path.leak());
        call.unknown_model = super::UnknownModel::Dearest;
        let why = call.estimate("{}").expect_err("nothing bounds it").to_string();
        assert!(why.contains("`modelId`") && why.contains("ceiling"), "{why}");
        call.vendor.hosts[0].base.host = "bedrock-runtime.eu-west-1.amazonaws.com".into();
        assert!(call.estimate("{}").is_err());
    }
}

/// It is the vendors' word for what runs in a batch. A caller who writes it into a call of its own holds no less, and pays no less.
#[test]
fn the_word_batch_makes_no_call_cheaper() {
    let chat = |tier: &str| format!(r#"{{"model":"gpt-5.5"{tier},"max_tokens":900,"messages":[]}}"#);
    let gemini = |tier: &str| format!(r#"{{"contents":[],"generationConfig":{{"maxOutputTokens":900}}{tier}}}"#);
    let converse = |tier: &str| format!(r#"{{"messages":[],"inferenceConfig":{{"maxTokens":900}}{tier}}}"#);
    let openai = r#"{"model":"gpt-5.5","choices":[{}],"usage":{"prompt_tokens":20,"completion_tokens":50}}"#;
    let google = r#"{"usageMetadata":{"promptTokenCount":20,"candidatesTokenCount":50}}"#;
    let bedrock = r#"{"usage":{"inputTokens":20,"outputTokens":50}}"#;
    let vertex = "/v1/projects/p/locations/global/publishers/google/models/gemini-2.5-flash:generateContent";
    let nova = "/model/amazon.nova-pro-v1%3A0/converse";
    let header = [("x-vertex-ai-llm-shared-request-type", "batch")];
    for (vendor, path, plain, named, sent, answer) in [
        (
            "openai",
            "/v1/chat/completions",
            chat(r#","service_tier":"default""#),
            chat(r#","service_tier":"batch""#),
            &[][..],
            openai,
        ),
        (
            "google",
            "/v1beta/models/gemini-2.5-flash:generateContent",
            gemini(""),
            gemini(r#","serviceTier":"batch""#),
            &[],
            google,
        ),
        ("vertex", vertex, gemini(""), gemini(""), &header, google),
        ("bedrock", nova, converse(""), converse(r#","serviceTier":{"type":"batch"}"#), &[], bedrock),
    ] {
        let (usual, mut other) = (call(vendor, path), call(vendor, path));
        other.headers = super::testkit::headers(sent);
        let (held, asked) = (usual.bound(&plain), other.bound(&named));
        assert!(asked >= held, "{vendor}: {asked} is held, and {held} without the word");
        let of = |plan| exact(run(plan, 200, &json(), [answer.as_bytes()], End::Complete).1.usage);
        assert_eq!(of(&other.plan(&named)), of(&usual.plan(&plain)), "{vendor}");
    }
}

/// What a request asks for beside its words, and by how many tokens of the prompt or answers of the model that bounds it. The
/// figures are the model's: its longest prompt, its longest answer.
#[test]
fn what_bounds_a_request() {
    let tokens = |vendor: &str, path: &'static str, body: &str| {
        call(vendor, path).estimate(body).map(|estimate| estimate.need.wanted().tokens).map_err(|why| why.to_string())
    };
    let (chat, messages, gemini) =
        ("/v1/chat/completions", "/v1/messages", "/v1beta/models/gemini-2.5-flash:generateContent");
    let of_chat = |more: &str| format!(r#"{{"model":"gpt-4o","messages":[{{"role":"user","content":"x"}}]{more}}}"#);
    let of_messages =
        |more: &str| format!(r#"{{"model":"claude-sonnet-4-5","messages":[{{"role":"user","content":"x"}}]{more}}}"#);
    let of_gemini = |more: &str| format!(r#"{{"contents":[{{"parts":[{{"text":"x"}}]}}]{more}}}"#);
    let plain = |body: &str, more: u64| Some(body.len() as u64 + more);
    for (vendor, path, body, bound) in [
        ("openai", chat, of_chat(r#","max_tokens":10"#), plain(&of_chat(r#","max_tokens":10"#), 10)),
        ("openai", chat, of_chat(r#","max_tokens":10,"n":3"#), plain(&of_chat(r#","max_tokens":10,"n":3"#), 30)),
        // Two limits: the larger.
        ("openai", chat, of_chat(r#","max_tokens":10,"max_completion_tokens":20"#), plain(&of_chat(r#","max_tokens":10,"max_completion_tokens":20"#), 20)),
        // None, or more than the model gives: the model's longest answer.
        ("openai", chat, of_chat(""), plain(&of_chat(""), 16_384)),
        ("openai", chat, of_chat(r#","max_tokens":900000"#), plain(&of_chat(r#","max_tokens":900000"#), 16_384)),
        ("openai", chat, of_chat(r#","max_tokens":10,"web_search_options":{}"#), None),
        ("openai", "/v1/responses", r#"{"model":"gpt-4o","input":"x","max_output_tokens":20,"conversation":"c"}"#.to_owned(), Some(128_000 + 20)),
        ("openai", "/v1/responses", r#"{"model":"gpt-4o","input":"x","max_output_tokens":20,"prompt":{"id":"p"}}"#.to_owned(), None),
        ("openai", "/v1/responses", r#"{"model":"gpt-4o","input":"x","max_output_tokens":20,"max_tool_calls":2,"tools":[{"type":"web_search"}]}"#.to_owned(), Some(3 * 128_000 + 20)),
        // A budget for thinking is a part of the limit.
        ("anthropic", messages, of_messages(r#","max_tokens":3000,"thinking":{"type":"enabled","budget_tokens":2000}"#), plain(&of_messages(r#","max_tokens":3000,"thinking":{"type":"enabled","budget_tokens":2000}"#), 3000)),
        ("anthropic", messages, of_messages(r#","max_tokens":10,"tools":[{"name":"t","input_schema":{}}]"#), plain(&of_messages(r#","max_tokens":10,"tools":[{"name":"t","input_schema":{}}]"#), 600 + 10)),
        ("anthropic", messages, of_messages(r#","max_tokens":10,"mcp_servers":[{}]"#), None),
        // Their template may add 800.
        ("google", gemini, of_gemini(r#","generationConfig":{"maxOutputTokens":10,"candidateCount":2}"#), plain(&of_gemini(r#","generationConfig":{"maxOutputTokens":10,"candidateCount":2}"#), 800 + 20)),
        ("google", gemini, of_gemini(r#","generationConfig":{"maxOutputTokens":10},"tools":[{"urlContext":{}}]"#), None),
    ] {
        let told = tokens(vendor, path, &body);
        assert_eq!(told.clone().ok(), bound, "{vendor} {body}: {told:?}");
        assert!(told.is_ok() || told.is_err_and(|why| why.contains("nothing bounds") && why.contains('`')), "{body}");
    }
}
