//! Real names of models, as clouds and SDKs spell them, and the row that each leads to; and names that lead nowhere.

use super::super::PriceBook;

fn book() -> PriceBook {
    PriceBook::load(None).unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

#[test]
fn real_names_lead_to_their_rows() {
    let book = book();
    let mut wrong = Vec::new();
    for (vendor, name, like) in [
        ("openai", "gpt-5.5-2026-04-23", "gpt-5.5"),
        ("openai", "gpt-4.1-mini-2025-04-14", "gpt-4.1-mini"),
        ("openai", "GPT-4o", "gpt-4o"),
        ("anthropic", "claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("anthropic", "claude-opus-5.5", "claude-opus-5-5"),
        ("google", "models/gemini-2.5-flash", "gemini-2.5-flash"),
        ("google", "gemini-2.0-flash-001", "gemini-2.0-flash"),
        ("vertex", "publishers/google/models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("vertex", "publishers/anthropic/models/claude-opus-5-5@default", "claude-opus-5-5"),
        ("vertex", "claude-haiku-4-5@20251001", "claude-haiku-4-5"),
        ("azure", "gpt-5.5-2026-04-25", "gpt-5.5"),
        ("bedrock", "us.anthropic.claude-opus-5-5", "eu.anthropic.claude-opus-5-5"),
        ("bedrock", "in.anthropic.claude-opus-5-5", "us.anthropic.claude-opus-5-5"),
        ("bedrock", "us.amazon.nova-pro-v1:0", "amazon.nova-pro-v1:0"),
        (
            "bedrock",
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-5-5",
            "us.anthropic.claude-opus-5-5",
        ),
        ("bedrock", "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0", "amazon.nova-pro-v1:0"),
        ("mistral", "mistral-large-2512", "mistral-large-2512"),
        ("groq", "openai/gpt-oss-120b", "openai/gpt-oss-120b"),
        ("cohere", "command-a-03-2025", "command-a"),
        ("xai", "grok-4.7-latest", "grok-4.7"),
        ("deepseek", "deepseek-v4-pro", "deepseek-v4-pro"),
        ("perplexity", "sonar-pro", "sonar-pro"),
        ("fireworks", "accounts/fireworks/models/deepseek-v4-pro", "accounts/fireworks/models/deepseek-v4-pro"),
    ] {
        let (found, same) = (book.find(vendor, name), book.find(vendor, like));
        if found.is_none() || found.map(|row| &row.id) != same.map(|row| &row.id) {
            wrong.push((vendor, name, found.map(|row| row.id.clone()), same.map(|row| row.id.clone())));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_is_not_known_is_not_guessed() {
    let book = book();
    for (vendor, name) in [
        ("openai", "gpt-9"),
        ("openai", "ft:gpt-9:acme::id"),
        ("anthropic", "gpt-5.5"),
        ("bedrock", "arn:aws:bedrock:us-east-1:1:application-inference-profile/x1y2z3"),
        ("azure", "my-deployment"),
        ("google", ""),
        ("nobody", "gpt-5.5"),
    ] {
        assert!(book.find(vendor, name).is_none(), "{vendor} {name}: {:?}", book.find(vendor, name).map(|r| &r.id));
    }
}

#[test]
fn the_operator_names_deployments_profiles_endings_and_patterns() {
    let own = r#"
        [alias.azure]
        my-deployment = "gpt-5.5"
        [alias.bedrock]
        "arn:aws:bedrock:us-east-1:1:application-inference-profile/x1y2z3" = "us.anthropic.claude-opus-5-5"
        mine = "qwen.qwen3-coder-next"
        [[model]]
        vendor = "house"
        suffixes = ["-large"]
        price = [{ rates = [{ input = "2", output = "4" }] }]
        [[model]]
        vendor = "house"
        patterns = ["tiny-[0-9]+"]
        price = [{ rates = [{ input = "1", output = "1" }] }]
    "#;
    let book = PriceBook::load(Some(("own.toml", own))).expect("well-formed");
    let id = |vendor: &str, name: &str| book.find(vendor, name).map(|row| row.id.to_string());
    assert_eq!(id("azure", "My-Deployment"), id("azure", "gpt-5.5"));
    let profile = "arn:aws:bedrock:us-east-1:1:application-inference-profile/x1y2z3";
    assert_eq!(id("bedrock", profile), id("bedrock", "us.anthropic.claude-opus-5-5"));
    // In whatever region it runs.
    assert_eq!(id("bedrock", &format!("eu-west-2/{profile}")), id("bedrock", "us.anthropic.claude-opus-5-5"));
    assert_eq!(id("bedrock", "eu-west-2/mine"), id("bedrock", "eu-west-2/qwen.qwen3-coder-next"));
    assert_ne!(id("bedrock", "eu-west-2/mine"), id("bedrock", "mine"));
    assert_eq!(id("house", "any-large").as_deref(), Some("-large"));
    assert_eq!(id("house", "tiny-12").as_deref(), Some("tiny-[0-9]+"));
    // For the whole name, not for a part of it.
    assert_eq!((id("house", "tiny-12b"), id("house", "untiny-12")), (None, None));
    for (wrong, field) in [
        ("[alias.azure]\nx = \"no-such\"", "alias.azure.x"),
        (
            "[[model]]\nvendor = \"v\"\npatterns = [\"(\"]\nprice = [{ rates = [{ input = \"1\" }] }]",
            "model[0].patterns[0]",
        ),
        (
            "[[model]]\nvendor = \"v\"\npatterns = [\"(a{900}){900}\"]\nprice = [{ rates = [{ input = \"1\" }] }]",
            "model[0].patterns[0]",
        ),
        (
            "[[model]]\nvendor = \"v\"\nnames = [\"m\"]\nprice = [{ rates = [{ inptu = \"1\" }] }]",
            "model[0].price[0].rates[0].inptu",
        ),
        (
            "[[model]]\nvendor = \"v\"\nnames = [\"m\"]\nprice = [{ hours = { utc = [\"4-1\"] }, rates = [{ input = \"1\" }] }]",
            "model[0].price[0].hours.utc",
        ),
    ] {
        let mistakes = PriceBook::load(Some(("own.toml", wrong))).expect_err(field);
        assert_eq!(mistakes.iter().map(|m| m.field.as_str()).collect::<Vec<_>>(), [field]);
    }
}
