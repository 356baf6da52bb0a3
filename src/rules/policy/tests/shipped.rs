//! The policies that ship: each loads, and does what its comments say.

use super::*;
use crate::config::policy_tests;
use crate::rules::rehearsal::Rehearsal;

fn shipped(name: &str) -> PolicySet {
    let path = format!("{}/policies/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("a shipped policy");
    let policy = policy_file::read(&path, &text, None).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(&*policy.name, name);
    PolicySet::new(vec![policy], Vec::new()).expect("a set of one")
}

fn table(name: &str, calls: &[(&str, &str, &str, &str, &str)]) {
    let set = shipped(name);
    for (vendor, method, target, body, wanted) in calls {
        let mut call = call(method, target, body);
        call.facts.policy = name.into();
        call.facts.vendor = (*vendor).into();
        call.facts.subject.run = Some("r".into());
        assert_eq!(call.word(&set), *wanted, "{name}: {method} {target} {body}");
    }
}

#[test]
fn sandbox() {
    table(
        "sandbox",
        &[
            ("openai", "POST", "/v1/chat/completions", r#"{"model": "gpt-4o-mini"}"#, "allow"),
            ("openai", "GET", "/v1/models", "", "allow"),
            ("stripe", "POST", "/v1/charges", "amount=2000&currency=usd", "allow"),
            ("stripe", "POST", "/v1/charges", "amount=20001&currency=usd", "param_denied"),
            ("stripe", "POST", "/v1/charges", "amount=2000&currency=jpy", "param_denied"),
            ("stripe", "GET", "/v1/charges/ch_1", "", "allow"),
            ("stripe", "POST", "/v1/refunds", "charge=ch_1&amount=500", "allow"),
            ("stripe", "POST", "/v1/refunds", "charge=ch_1", "param_denied"),
            ("stripe", "POST", "/v1/transfers", "amount=500", "policy_denied"),
            ("stripe", "POST", "/v1/payouts", "amount=500", "policy_denied"),
            ("stripe", "GET", "/v1/models", "", "policy_denied"),
            ("github", "GET", "/user", "", "vendor_not_allowed"),
        ],
    );
}

#[test]
fn refund_agent() {
    table(
        "refund-agent",
        &[
            ("stripe", "POST", "/v1/refunds", "charge=ch_1&amount=500&reason=duplicate", "allow"),
            ("stripe", "POST", "/v1/refunds", "charge=ch_1&amount=50001", "param_denied"),
            ("stripe", "POST", "/v1/refunds", "charge=ch_1&amount=500&reverse_transfer=true", "param_denied"),
            ("stripe", "GET", "/v1/charges?customer=cus_A", "", "allow"),
            ("stripe", "GET", "/v1/charges?customer=cus_Z", "", "param_denied"),
            ("stripe", "GET", "/v1/payouts", "", "policy_denied"),
            ("stripe", "POST", "/v1/charges", "amount=500", "policy_denied"),
        ],
    );
}

#[test]
fn research_agent() {
    table(
        "research-agent",
        &[
            ("openai", "POST", "/v1/chat/completions", r#"{"model": "gpt-4o-mini-2024-07-18"}"#, "allow"),
            ("openai", "POST", "/v1/responses", r#"{"model": "gpt-5-mini"}"#, "allow"),
            ("openai", "POST", "/v1/responses", r#"{"model": "gpt-5"}"#, "param_denied"),
            ("openai", "POST", "/v1/images/generations", r#"{"model": "gpt-5-mini"}"#, "policy_denied"),
            ("openai", "POST", "/v1/messages", r#"{"model": "claude-haiku-4-5"}"#, "policy_denied"),
            ("anthropic", "POST", "/v1/messages", r#"{"model": "claude-haiku-4-5"}"#, "allow"),
            ("anthropic", "POST", "/v1/messages", r#"{"model": "claude-opus-4-1"}"#, "param_denied"),
            ("anthropic", "GET", "/v1/models/claude-haiku-4-5", "", "allow"),
        ],
    );
}

#[test]
fn support_agent() {
    table(
        "support-agent",
        &[
            ("resend", "POST", "/emails", r#"{"from": "support@example.com", "to": ["a@b.example"]}"#, "allow"),
            ("resend", "POST", "/emails", r#"{"from": "Us <support@example.com>", "to": "a@b.example"}"#, "allow"),
            ("resend", "POST", "/emails", r#"{"from": "ceo@example.com", "to": "a@b.example"}"#, "param_denied"),
            (
                "resend",
                "POST",
                "/emails",
                r#"{"from": "support@example.com", "to": ["a@b.example", "c@d.example, e@f.example"]}"#,
                "param_denied",
            ),
            (
                "resend",
                "POST",
                "/emails",
                r#"{"from": "support@example.com", "to": "a@b.example", "bcc": "x@y.example"}"#,
                "param_denied",
            ),
            ("resend", "POST", "/emails/batch", "{}", "policy_denied"),
            ("resend", "POST", "/emails/em_1/cancel", "{}", "policy_denied"),
            ("resend", "GET", "/emails/em_1", "", "allow"),
            ("twilio", "POST", "/2010-04-01/Accounts/AC1/Messages.json", "To=%2B15005550006&Body=Hi%0Athere", "allow"),
            ("twilio", "POST", "/2010-04-01/Accounts/AC1/Messages.json", "To=%2B445005550006&Body=Hi", "param_denied"),
            ("twilio", "POST", "/2010-04-01/Accounts/AC1/Calls.json", "To=%2B15005550006", "policy_denied"),
            ("twilio", "POST", "/emails", "", "policy_denied"),
        ],
    );
}

#[test]
fn coding_agent() {
    table(
        "coding-agent",
        &[
            ("github", "GET", "/repos/anyone/thing/contents/README.md", "", "allow"),
            ("github", "POST", "/repos/example-org/thing/pulls", r#"{"title": "x"}"#, "allow"),
            ("github", "POST", "/repos/anyone/thing/pulls", r#"{"title": "x"}"#, "policy_denied"),
            ("github", "PUT", "/repos/example-org/thing/pulls/1/merge", "{}", "policy_denied"),
            ("github", "PUT", "/repos/example-org/thing/contents/a.txt", r#"{"branch": "fix"}"#, "allow"),
            ("github", "PUT", "/repos/example-org/thing/contents/a.txt", r#"{"branch": "main"}"#, "policy_denied"),
            ("github", "PUT", "/repos/example-org/thing/contents/a.txt", "{}", "policy_denied"),
            ("github", "PUT", "/repos/example-org/thing/contents/a.txt", r#"{"branch": ""}"#, "policy_denied"),
            ("github", "PUT", "/repos/example-org/thing/contents/a.txt", r#"{"branch": null}"#, "policy_denied"),
            (
                "github",
                "PUT",
                "/repos/example-org/thing/contents/a.txt",
                r#"{"branch": "refs/heads/main"}"#,
                "policy_denied",
            ),
            ("github", "PUT", "/repos/example-org/thing/contents/a.txt", r#"{"branch": "mainframe"}"#, "allow"),
            ("github", "PATCH", "/repos/example-org/thing/git/refs/refs/heads/main", "{}", "policy_denied"),
            ("github", "PATCH", "/repos/example-org/thing/git/refs/heads/fix", "{}", "allow"),
            ("github", "PATCH", "/repos/example-org/thing/git/refs/heads/main", "{}", "policy_denied"),
            ("github", "GET", "/repos/example-org/thing/actions/secrets", "", "policy_denied"),
            ("github", "DELETE", "/repos/example-org/thing", "", "policy_denied"),
            ("anthropic", "POST", "/v1/messages", "{}", "allow"),
        ],
    );
}

fn shipped_files(wanted: impl Fn(&str) -> bool) -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/policies");
    let files = std::fs::read_dir(folder).expect("the folder").map(|f| f.expect("an entry").path());
    let named = files.map(|path| (path.file_name().expect("a name").to_string_lossy().into_owned(), path));
    let texts = named.filter(|(name, _)| wanted(name));
    texts.map(|(name, path)| (name, std::fs::read_to_string(path).expect("readable"))).collect()
}

#[test]
fn all_of_them_go_together_and_do_what_their_tables_say() {
    let tables = shipped_files(|name| name.ends_with(policy_tests::ENDING));
    let texts = shipped_files(|name| name.ends_with(".toml") && !name.ends_with(policy_tests::ENDING));
    let policies: Vec<Policy> = texts.iter().map(|(_, text)| policy(text)).collect();
    assert!(policies.len() >= 10);
    let tabled = |policy: &Policy| tables.iter().any(|(name, _)| **name == format!("{}.test.toml", policy.name));
    assert!(policies.iter().all(|policy| policy.base || tabled(policy)), "each has a table beside it");
    let set = PolicySet::new(policies, Vec::new()).expect("they go together");
    let vendors = crate::config::read("defaults", "", &|_| None).expect("the defaults").vendors;
    let prices = crate::rules::price::PriceBook::load(None).expect("the shipped book");
    let mut rehearsal = Rehearsal::new(set.into(), vendors, prices.into());
    for (name, text) in &tables {
        let policy = name.strip_suffix(policy_tests::ENDING).expect("a table");
        for case in policy_tests::read(name, text, policy).unwrap_or_else(|e| panic!("{e}")) {
            assert_eq!(case.wrong(&mut rehearsal), None, "{name}:{}: {}", case.line, case.name);
        }
    }
}
