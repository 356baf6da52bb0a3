//! `[[models]]`: which names pass, at which vendor, wherever they stand; what an alias changes, and where it is refused.

use super::*;
use crate::rules::vendors::{Adapter, Price};
use proptest::prelude::*;

const HEAD: &str = "name = \"p\"\nvendors = [\"openai\", \"anthropic\"]\n[[allow]]\npaths = [\"/**\"]\n";

fn chat() -> Operation {
    Operation { price: Price::Adapter(Adapter::Chat), ..operation("POST /v1/chat", Tier::WriteLocal) }
}

fn asked<'a>(adapter: Adapter, vendor: &str, target: &'a str, body: &'a str) -> Call<'a> {
    let operation = Operation { price: Price::Adapter(adapter), ..chat() };
    let call = call("POST", target, body);
    Call { operation: Some(operation), facts: facts("p", vendor, "POST /v1/chat"), ..call }
}

#[test]
fn every_model_that_a_call_names_is_looked_at() {
    let own = format!(
        "{HEAD}[[models]]\nvendor = \"openai\"\nallow = [\"gpt-4o-mini\", \"gpt-4.1*\"]\naliases = {{ cheap = \"gpt-4o-mini\" }}\n"
    );
    let set = set(&[&own, "name = \"floor\"\nglobal = true\n[[models]]\nallow = [\"gpt-*\", \"claude-*\"]\n"]);
    use Adapter::{Batch, BatchStatus, Chat, MessageBatch};
    for (adapter, vendor, body, wanted) in [
        (Chat, "openai", r#"{"model": "gpt-4o-mini"}"#, "allow"),
        (Chat, "openai", r#"{"model": "gpt-4.1-nano"}"#, "allow"),
        (Chat, "openai", r#"{"model": "gpt-4o"}"#, "model_denied"),
        (Chat, "openai", r#"{"model": "GPT-4o-mini"}"#, "model_denied"),
        (Chat, "openai", r#"{"model": 5}"#, "model_denied"),
        (Chat, "openai", r#"{"n": 5}"#, "model_denied"),
        (Chat, "openai", r#"{"model": "gpt-4o-mini", "models": ["gpt-4o"]}"#, "model_denied"),
        (Chat, "openai", r#"{"model": "gpt-4o-mini", "fallbacks": [{"model": "gpt-4o"}]}"#, "model_denied"),
        (Chat, "openai", r#"{"model": "gpt-4o-mini", "Model": "gpt-4o"}"#, "unreadable"),
        (Chat, "anthropic", r#"{"model": "claude-x"}"#, "allow"),
        (Chat, "anthropic", r#"{"model": "other"}"#, "model_denied"),
        (MessageBatch, "anthropic", r#"{"requests": [{"params": {"model": "claude-x"}}]}"#, "allow"),
        (
            MessageBatch,
            "anthropic",
            r#"{"requests": [{"params": {"model": "claude-x"}}, {"params": {"model": "o"}}]}"#,
            "model_denied",
        ),
        // Which models a file asks for does not stand in the call.
        (Batch, "openai", r#"{"input_file_id": "f"}"#, "model_denied"),
        (BatchStatus, "openai", "", "allow"),
        // Put in by the gateway before; what is left could not be.
        (Chat, "openai", r#"{"model": "cheap"}"#, "model_denied"),
    ] {
        assert_eq!(asked(adapter, vendor, "/v1/chat", body).word(&set), wanted, "{adapter:?} {vendor} {body}");
    }
    let denial = asked(Chat, "openai", "/v1/chat", r#"{"model": "cheap"}"#).denial(&set);
    assert!(denial.sentence.contains("`gpt-4o-mini`"), "{}", denial.sentence);
    assert_eq!(denial.details[0], ("instead", serde_json::json!(["gpt-4o-mini"])));
    assert_eq!(call("POST", "/v1/x", "").denial(&set).code, Code::VendorNotAllowed);
}

/// A list is no list where a call may name its model out of sight.
#[test]
fn a_call_whose_model_nobody_sees_is_refused_by_a_list() {
    let set = set(&[&format!("{HEAD}[[models]]\nvendor = \"openai\"\nallow = [\"gpt-4o-mini\"]\n")]);
    let of = |price, action: &str, tier| {
        let listed = operation("POST /v1/videos", tier);
        Some(Operation { price, action: action.into(), ..listed })
    };
    for (operation, vendor, method, wanted) in [
        (of(Price::Ceiling, "llm.media", Tier::WriteLocal), "openai", "POST", "model_denied"),
        (of(Price::Ceiling, "llm.media", Tier::WriteLocal), "anthropic", "POST", "allow"),
        (of(Price::Ceiling, "llm.read", Tier::ReadOnly), "openai", "GET", "allow"),
        (of(Price::Free, "llm.check", Tier::WriteLocal), "openai", "POST", "allow"),
        (of(Price::Ceiling, "files.write", Tier::WriteLocal), "openai", "POST", "allow"),
        (None, "openai", "POST", "model_denied"),
        (None, "openai", "GET", "allow"),
        (None, "anthropic", "POST", "allow"),
    ] {
        let call = call(method, "/v1/videos", "");
        let word = Call { operation, facts: facts("p", vendor, "POST /v1/videos"), ..call }.word(&set);
        assert_eq!(word, wanted, "{vendor} {method}");
    }
}

#[test]
fn an_heir_has_its_bases_lists_and_its_own_aliases_come_first() {
    let base = "name = \"base\"\nbase = true\n[[models]]\nallow = [\"gpt-*\"]\naliases = { cheap = \"gpt-a\", fast = \"gpt-f\" }\n";
    let own = format!("extends = \"base\"\n{HEAD}[[models]]\naliases = {{ cheap = \"gpt-b\", wild = \"o\" }}\n");
    let set = set(&[base, &own]);
    let renamed = |model: &str| {
        let body = format!("{{\"model\": \"{model}\"}}");
        set.renamed("p", "openai", Some(&chat()), body.as_bytes()).map(|renamed| renamed.model.to_string())
    };
    assert_eq!(
        [renamed("cheap"), renamed("fast"), renamed("gpt-a")],
        [Some("gpt-b".into()), Some("gpt-f".into()), None]
    );
    // The base's list holds for what an alias of the heir's leads to.
    let body = r#"{"model": "o"}"#;
    assert_eq!(renamed("wild").as_deref(), Some("o"));
    assert_eq!(asked(Adapter::Chat, "openai", "/v1/chat", body).word(&set), "model_denied");
    let in_path = set.renamed(
        "p",
        "openai",
        Some(&Operation { price: Price::Adapter(Adapter::Gemini), ..chat() }),
        b"{\"model\": \"cheap\"}",
    );
    assert_eq!(in_path, None, "where the path names the model, the body's is no business of an alias");
}

proptest! {
    /// One name is changed, and no other byte; what comes out names the model and is read as one.
    #[test]
    fn an_alias_changes_its_own_name_alone(before in "[ \\n]{0,3}", key in "[a-l]{1,4}", text in "[ -~]{0,12}", after in "[ \\n]{0,3}") {
        let set = set(&[&format!("{HEAD}[[models]]\naliases = {{ cheap = \"gpt-b\" }}\n")]);
        let more = serde_json::json!({ &*key: text }).to_string();
        let body = |model: &str| format!("{before}{{\"model\":{after}\"{model}\",{}", &more[1..]);
        let renamed = set.renamed("p", "openai", Some(&chat()), body("cheap").as_bytes()).expect("an alias");
        prop_assert_eq!(renamed.body, body("gpt-b").into_bytes());
        prop_assert!(set.renamed("p", "openai", Some(&chat()), body("gpt-b").as_bytes()).is_none());
    }
}
