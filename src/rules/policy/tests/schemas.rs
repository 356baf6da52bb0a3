//! `[[schema]]` in policies: which calls it is asked of, what a refusal says, and that all schemas of all policies hold.

use super::*;

const OPEN: &str = "name = \"p\"\nvendors = [\"stripe\"]\n[[allow]]\npaths = [\"/**\"]\n";
const CAPPED: &str = "[[schema]]\nmethods = [\"POST\"]\npaths = [\"/v1/refunds\"]\n\
                      schema = { type = \"object\", properties.amount = { type = \"integer\", maximum = 500 } }\n";

#[test]
fn a_schema_is_asked_of_its_calls_alone_and_cannot_be_dodged_by_letter_case() {
    let set = set(&[&format!("{OPEN}{CAPPED}")]);
    for (method, target, body, wanted) in [
        ("POST", "/v1/refunds", "amount=500", "allow"),
        ("POST", "/v1/refunds", "amount=501", "schema_denied"),
        ("POST", "/v1/refunds/re_1", r#"{"amount": 501}"#, "schema_denied"),
        ("POST", "/V1/Refunds", "amount=501", "schema_denied"),
        ("POST", "/v1/refunds?amount=501", "", "schema_denied"),
        ("POST", "/v1/charges", "amount=501", "allow"),
        ("GET", "/v1/refunds?amount=501", "", "allow"),
        ("POST", "/v1/refunds", "amount=1&AMOUNT=501", "unreadable"),
    ] {
        assert_eq!(call(method, target, body).word(&set), wanted, "{method} {target} {body}");
    }
    let unread = Call { unread: true, ..call("POST", "/v1/refunds", "amount=1") };
    assert_eq!(unread.word(&set), "unreadable");
    let reads = |method, path: &str| {
        let path = CanonicalPath::parse(path).expect("a path").path;
        set.reads_args("p", "stripe", method, &path, "x")
    };
    assert!(reads("POST", "/v1/refunds") && !reads("GET", "/v1/refunds") && !reads("POST", "/v1/charges"));
    assert!(!set.without_params().reads_args(
        "p",
        "stripe",
        "POST",
        &CanonicalPath::parse("/v1/refunds").expect("a path").path,
        "x"
    ));
}

#[test]
fn a_refusal_says_where_and_which_keyword_and_may_keep_what_was_wanted_to_itself() {
    let denial = call("POST", "/v1/refunds", "amount=70001").denial(&set(&[&format!("{OPEN}{CAPPED}")]));
    assert_eq!(&*denial.rule, "p: schema 1");
    assert_eq!(denial.details, [("at", "/amount".into()), ("keyword", "maximum".into())]);
    for part in ["`/amount`", "`maximum`", "500", "policy `p`"] {
        assert!(denial.sentence.contains(part), "{part}: {}", denial.sentence);
    }
    assert!(!denial.sentence.contains("70001"));
    let kept = call("POST", "/v1/refunds", "amount=70001").denial(&set(&[&format!("{OPEN}{CAPPED}redact = true\n")]));
    assert!(kept.sentence.contains("`maximum`") && !kept.sentence.contains("500"), "{}", kept.sentence);
}

#[test]
fn schemas_of_base_global_and_own_policy_all_hold() {
    let shape = |limits: &str| {
        format!(
            "[[schema]]\npaths = [\"/**\"]\nschema = {{ type = \"object\", properties.n = {{ type = \"integer\", {limits} }} }}\n"
        )
    };
    let base = format!("name = \"base\"\nbase = true\n{}", shape("maximum = 50"));
    let global = format!("name = \"floor\"\nglobal = true\n{}", shape("minimum = 10"));
    let own = format!("extends = \"base\"\n{OPEN}{}", shape("multipleOf = 5"));
    let set = set(&[&base, &global, &own]);
    for (n, wanted) in [
        ("20", None),
        ("55", Some("p: schema 1 from `base`")),
        ("5", Some("floor: schema 1")),
        ("21", Some("p: schema 1")),
    ] {
        let call = call("POST", "/v1/x", "");
        let body = format!("n={n}");
        let call = Call { body: &body, ..call };
        match wanted {
            None => assert_eq!(call.word(&set), "allow", "{n}"),
            Some(rule) => assert_eq!(&*call.denial(&set).rule, rule, "{n}"),
        }
    }
}

#[test]
fn one_that_observes_refuses_nothing() {
    let set = set(&[&format!("{OPEN}{CAPPED}mode = \"observe\"\n")]);
    assert_eq!(call("POST", "/v1/refunds", "amount=501").word(&set), "observed schema_denied");
}
