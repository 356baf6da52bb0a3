//! Predicates on values: each test, on each side, on each kind of value.

use super::*;

fn verdicts(rule: &str, calls: &[(&str, &str)]) {
    let allow = format!("name = \"p\"\nvendors = [\"stripe\"]\n[[allow]]\npaths = [\"/x\"]\n{rule}");
    let set = set(&[&allow]);
    for (body, wanted) in calls {
        assert_eq!(call("POST", "/x", body).word(&set), *wanted, "{rule}: {body}");
    }
}

fn denials(rule: &str, calls: &[(&str, bool)]) {
    let text = format!(
        "name = \"p\"\nvendors = [\"stripe\"]\n[[allow]]\npaths = [\"/x\"]\n[[deny]]\npaths = [\"/x\"]\n{rule}"
    );
    let set = set(&[&text]);
    for (body, caught) in calls {
        let wanted = if *caught { "policy_denied" } else { "allow" };
        assert_eq!(call("POST", "/x", body).word(&set), wanted, "{rule}: {body}");
    }
}

const OK: &str = "allow";
const NO: &str = "param_denied";

#[test]
fn one_of_wants_the_very_text() {
    let rule = r#"params.c = { one_of = ["usd", "007", 5, true] }"#;
    let calls = [
        (r#"{"c": "usd"}"#, OK),
        (r#"{"c": "USD"}"#, NO),
        (r#"{"c": " usd"}"#, NO),
        (r#"{"c": "007"}"#, OK),
        (r#"{"c": 7}"#, NO),
        (r#"{"c": 5}"#, OK),
        (r#"{"c": 5.0}"#, OK),
        (r#"{"c": "5"}"#, OK),
        (r#"{"c": true}"#, OK),
        (r#"{"c": false}"#, NO),
        (r#"{"c": null}"#, NO),
        (r#"{"c": ["usd", 5]}"#, OK),
        (r#"{"c": ["usd", "eur"]}"#, NO),
        (r#"{"c": []}"#, NO),
        (r#"{"c": {"d": "usd"}}"#, NO),
        ("c=usd", OK),
        ("c=true", OK),
        ("c[]=usd&c[]=eur", NO),
        ("c[d]=usd", NO),
        ("c.d=usd", "unreadable"),
    ];
    verdicts(rule, &calls);
}

#[test]
fn not_one_of_refuses_whatever_looks_the_same() {
    let rule = r#"params.c = { not_one_of = ["gbp", 100] }"#;
    let calls = [
        (r#"{"c": "usd"}"#, OK),
        (r#"{"c": "gbp"}"#, NO),
        (r#"{"c": "GBP"}"#, NO),
        (r#"{"c": " gbp "}"#, NO),
        (r#"{"c": 100}"#, NO),
        (r#"{"c": 1e2}"#, NO),
        (r#"{"c": "100.0"}"#, NO),
        (r#"{"c": null}"#, NO),
        (r#"{"c": {}}"#, NO),
        (r#"{"c": ["usd", "gbp"]}"#, NO),
        ("", NO),
    ];
    verdicts(rule, &calls);
}

#[test]
fn numbers_are_exact() {
    let rule = r#"params.c = { min = 0.1, max = 9007199254740993 }"#;
    let calls = [
        (r#"{"c": 0.1}"#, OK),
        (r#"{"c": 0.10}"#, OK),
        (r#"{"c": 0.09999999999999999999}"#, NO),
        (r#"{"c": 9007199254740993}"#, OK),
        (r#"{"c": 9007199254740994}"#, NO),
        (r#"{"c": "1"}"#, OK),
        (r#"{"c": "1_0"}"#, NO),
        (r#"{"c": " 1"}"#, NO),
        ("c=%2B1", NO),
        ("c=1e999", NO),
        ("c=NaN", NO),
    ];
    verdicts(rule, &calls);
}

#[test]
fn matches_is_anchored() {
    let calls = [
        ("c=ab", OK),
        ("c=abb", NO),
        ("c=xab", NO),
        ("c=cd", OK),
        ("c=cdx", NO),
        ("c=ab%0a", NO),
        (r#"{"c": 12}"#, NO),
    ];
    verdicts(r#"params.c = { matches = "ab|cd" }"#, &calls);
    verdicts(r#"params.c = { matches = "[0-9]+" }"#, &[(r#"{"c": 12}"#, OK), ("c=1a", NO)]);
}

#[test]
fn presence() {
    verdicts(
        "params.c = { required = true }",
        &[
            ("c=1", OK),
            ("", NO),
            ("c=", NO),
            ("c", NO),
            (r#"{"c": null}"#, NO),
            (r#"{"c": []}"#, NO),
            (r#"{"c": {}}"#, OK),
        ],
    );
    verdicts(
        "params.c = { absent = true }",
        &[("c=1", NO), ("", OK), (r#"{"c": null}"#, NO), ("c[d]=1", NO), ("d=1", OK)],
    );
    verdicts("params.c = { max = 1, optional = true }", &[("", OK), ("c=1", OK), ("c=2", NO), (r#"{"c": []}"#, OK)]);
}

#[test]
fn names_reach_into_brackets_lists_and_pointers() {
    let rule = r#"params."transfer_data.destination" = { one_of = ["acct_1"] }"#;
    verdicts(rule, &[("transfer_data[destination]=acct_1", OK), ("transfer_data[destination]=acct_2", NO), ("", NO)]);
    let rule = r#"params."/a.b/0" = { one_of = ["x"] }"#;
    verdicts(rule, &[(r#"{"a.b": ["x", "y"]}"#, OK), (r#"{"a.b": ["y"]}"#, NO)]);
    let rule = r#"params."items.*.price" = { one_of = ["p1", "p2"] }"#;
    let calls = [
        ("items[0][price]=p1&items[1][price]=p2", OK),
        ("items[0][price]=p1&items[1][price]=p3", NO),
        ("items[0][price]=p1&items[1][quantity]=1", NO),
        (r#"{"items": []}"#, NO),
        (r#"{"items": {"price": "p1"}}"#, NO),
        (r#"{"items": ["p1"]}"#, NO),
    ];
    verdicts(rule, &calls);
    let rule = r#"params."p.*.to.*.email" = { matches = ".*@ours\\.example" }"#;
    let calls = [
        (r#"{"p": [{"to": [{"email": "a@ours.example"}, {"email": "b@ours.example"}]}]}"#, OK),
        (r#"{"p": [{"to": [{"email": "a@ours.example"}]}, {"to": [{"email": "b@other.example"}]}]}"#, NO),
    ];
    verdicts(rule, &calls);
}

#[test]
fn on_the_denying_side_doubt_is_caught() {
    let rule = r#"params.to = { matches = ".*@evil\\.example" }"#;
    denials(rule, &[("to=a@evil.example", true), ("to=a@ours.example", false), ("", false), (r#"{"to": {}}"#, true)]);
    denials(
        rule,
        &[(r#"{"to": ["a@ours.example", "b@evil.example"]}"#, true), (r#"{"to": ["a@ours.example"]}"#, false)],
    );
    let rule = r#"params.c = { one_of = ["gbp", 100] }"#;
    denials(rule, &[("c=GBP", true), ("c=%20gbp", true), ("c=1e2", true), ("c=usd", false), (r#"{"c": null}"#, true)]);
    let rule = "params.c = { one_of = [true] }";
    denials(
        rule,
        &[("c=true", true), ("c=1", true), ("c=on", true), ("c=Yes", true), ("c=false", false), ("c=off", false)],
    );
    let rule = r#"params.c = { not_one_of = ["usd"] }"#;
    denials(rule, &[("c=usd", false), ("c=USD", true), ("c=eur", true), ("", false)]);
    let rule = "params.c = { min = 10, max = 20 }";
    denials(rule, &[("c=9", false), ("c=10", true), ("c=20.0", true), ("c=21", false), ("c=x", true)]);
    denials(rule, &[(r#"{"c": [9, 21]}"#, false), (r#"{"c": [9, 15]}"#, true)]);
    denials(
        "params.c = { required = true }",
        &[("c=1", true), (r#"{"c": []}"#, true), (r#"{"c": null}"#, true), ("", false)],
    );
    // What is empty is not there: some vendors take it so.
    denials(
        "params.c = { absent = true }",
        &[
            ("c=1", false),
            ("", true),
            ("c=", true),
            (r#"{"c": null}"#, true),
            (r#"{"c": ""}"#, true),
            (r#"{"c": 0}"#, false),
        ],
    );
    let rule = r#"params."to.email" = { matches = ".*@evil\\.example" }"#;
    denials(
        rule,
        &[(r#"{"to": {"email": "a@evil.example"}}"#, true), (r#"{"to": {"email": "a@ours.example"}}"#, false)],
    );
    let rule = r#"params."items.*.price" = { one_of = ["p9"] }"#;
    denials(
        rule,
        &[("items[0][price]=p1", false), ("items[0][price]=p1&items[1][price]=p9", true), (r#"{"items": "p9"}"#, true)],
    );
}

fn listing(rule: &str) -> PolicySet {
    let list = List::parse("ours", "# customers\ncus_A\n  cus_B\n\n42\n");
    let lists: Lists = [("ours".into(), list.into())].into_iter().collect::<std::collections::BTreeMap<_, _>>().into();
    let text = format!("name = \"p\"\nvendors = [\"stripe\"]\n{rule}");
    let beside = Beside { lists, ..Beside::default() };
    let policy = policy_file::read_with("p.toml", &text, None, &beside).unwrap_or_else(|e| panic!("{e}"));
    PolicySet::new(vec![policy], Vec::new()).expect("a set of one")
}

#[test]
fn values_of_a_list_are_found_exactly_to_allow_and_in_any_spelling_to_deny() {
    let allow = listing("[params]\nc = { one_of = { list = \"ours\" } }\n[[allow]]\npaths = [\"/**\"]\n");
    let deny = listing(
        "[[allow]]\npaths = [\"/**\"]\n[[deny]]\npaths = [\"/**\"]\nparams.c = { one_of = { list = \"ours\" } }\n",
    );
    let not = listing("[params]\nc = { not_one_of = { list = \"ours\" } }\n[[allow]]\npaths = [\"/**\"]\n");
    for (target, allowed, denied) in [
        ("/x?c=cus_A", true, true),
        ("/x?c=cus_B", true, true),
        ("/x?c=CUS_A", false, true),
        ("/x?c=+cus_A+", false, true),
        ("/x?c=42.0", false, true),
        ("/x?c=42", true, true),
        ("/x?c=cus_Z", false, false),
        ("/x?c=%23+customers", false, false),
    ] {
        let word = |set: &PolicySet| call("GET", target, "").word(set);
        assert_eq!(word(&allow), if allowed { "allow" } else { "param_denied" }, "{target}");
        assert_eq!(word(&deny), if denied { "policy_denied" } else { "allow" }, "{target}");
        assert_eq!(word(&not), if denied { "param_denied" } else { "allow" }, "{target}");
    }
    let denial = call("GET", "/x?c=cus_Z", "").denial(&allow);
    assert!(denial.sentence.contains("is \"cus_Z\", and it must be one of the list `ours`"), "{}", denial.sentence);
}

#[test]
fn what_is_redacted_stands_in_no_reason() {
    let set =
        listing("[params]\nc = { one_of = [\"secret-customer\"], redact = true }\n[[allow]]\npaths = [\"/**\"]\n");
    let denial = call("GET", "/x?c=hunter2", "").denial(&set);
    assert!(denial.sentence.contains("`c` is not as it must be"), "{}", denial.sentence);
    assert!(
        !denial.sentence.contains("hunter2") && !denial.sentence.contains("secret-customer"),
        "{}",
        denial.sentence
    );
}
