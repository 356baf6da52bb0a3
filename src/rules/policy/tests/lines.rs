//! Which accounts a call counts on, and whose limit is checked on each.

use super::*;
use crate::units::money::PER_USD;

fn budget(per: &str, limit: &str, more: &str) -> String {
    format!("[[budget]]\nper = \"{per}\"\nlimit = \"{limit}\"\n{more}\n")
}

fn open(name: &str, budgets: &[String]) -> String {
    format!("name = \"{name}\"\nvendors = [\"stripe\"]\n[[allow]]\npaths = [\"/**\"]\n{}", budgets.concat())
}

/// `account limit`, with `-` for none, `~` if it only observes, `?` if it is hidden.
fn shown(permit: &Permit) -> Vec<String> {
    let limit = |line: &crate::rules::ledger::ask::Line| match &line.limit {
        None => "-".to_owned(),
        Some(limit) => {
            let watch = if limit.enforce { "" } else { "~" };
            let hidden = if limit.hidden { "?" } else { "" };
            format!("{}{watch}{hidden}", limit.amount)
        }
    };
    permit.lines().iter().map(|l| format!("{} {}", l.account, limit(l))).collect()
}

#[test]
fn a_call_counts_on_every_shape_and_is_checked_on_its_own() {
    let own = open("p", &[budget("agent", "5 calls", "window = \"day\""), budget("everyone", "9 calls", "")]);
    let other =
        open("q", &[budget("tenant", "7 calls", "window = \"hour\""), budget("agent", "3 calls", "window = \"day\"")]);
    let set = set(&[&own, &other]);
    assert_eq!(set.shapes().len(), 3);
    let lines = shown(&call("GET", "/x", "").permit(&set));
    assert_eq!(lines, ["agent:default/refunds calls day 5", "tenant:default calls hour -", "everyone calls total 9?"]);
}

#[test]
fn a_key_counts_on_its_ancestors_too() {
    let set = set(&[&open("p", &[budget("key", "5 calls", "")])]);
    assert_eq!(shown(&call("GET", "/x", "").permit(&set)), ["key:child calls total 5", "key:parent calls total 5"]);
}

#[test]
fn the_tightest_limit_on_an_account_counts() {
    let twice = [budget("tenant", "5 calls", ""), budget("tenant", "4 calls", "")].concat();
    let floor = "name = \"floor\"\nglobal = true\n[[budget]]\nper = \"tenant\"\nlimit = \"3 calls\"";
    let set1 = set(&[&open("p", std::slice::from_ref(&twice))]);
    assert_eq!(shown(&call("GET", "/x", "").permit(&set1)), ["tenant:default calls total 4"]);
    let set2 = set(&[&open("p", std::slice::from_ref(&twice)), floor]);
    assert_eq!(shown(&call("GET", "/x", "").permit(&set2)), ["tenant:default calls total 3"]);
    // A limit that only observes does not hide one that refuses.
    let watching = format!("mode = \"observe\"\n{}", open("p", &[budget("tenant", "1 calls", "")]));
    let set3 = set(&[&watching, floor]);
    assert_eq!(shown(&call("GET", "/x", "").permit(&set3)), ["tenant:default calls total 3"]);
    let set4 = set(&[&watching]);
    assert_eq!(shown(&call("GET", "/x", "").permit(&set4)), ["tenant:default calls total 1~"]);
}

#[test]
fn vendor_and_operations_narrow_a_budget() {
    let own = open(
        "p",
        &[
            budget("policy", "1 USD", "vendor = \"stripe\"\noperations = [\"POST /v1/refunds/**\"]"),
            budget("vendor", "2 USD", ""),
        ],
    );
    let set = set(&[&own]);
    let lines = shown(&call("POST", "/v1/refunds", "").permit(&set));
    assert_eq!(
        lines,
        [
            format!("policy:p usd total vendor=stripe op=POST /v1/refunds/** {PER_USD}?"),
            format!("vendor:stripe usd total {}?", 2 * PER_USD),
        ]
    );
    assert_eq!(shown(&call("GET", "/v1/refunds", "").permit(&set)).len(), 1);
}

#[test]
fn a_run_budget_needs_a_run_that_counts() {
    let text = open("p", &[budget("run", "5 calls", "")]);
    let trusting = format!("trust_headers = true\n{text}");
    for (text, run, claimed, wanted) in [
        (&text, None, false, "run_required"),
        (&text, Some("r1"), false, "allow"),
        (&text, Some("r1"), true, "run_required"),
        (&trusting, Some("r1"), true, "allow"),
        (&trusting, None, false, "run_required"),
    ] {
        let set = set(&[text]);
        let mut call = call("GET", "/x", "");
        call.facts.subject.run = run.map(Into::into);
        call.claimed = claimed;
        assert_eq!(call.word(&set), wanted, "{run:?} {claimed}");
        if wanted == "allow" {
            assert_eq!(shown(&call.permit(&set)), ["run:default/r1 calls total 5"]);
        }
    }
    // Another policy's shape counts the run, and asks for none.
    let set = set(&[&text, &open("q", &[])]);
    let mut call = call("GET", "/x", "");
    call.facts.policy = "q".into();
    assert_eq!(call.word(&set), "allow");
    call.facts.subject.run = Some("r1".into());
    assert_eq!(shown(&call.permit(&set)), ["run:default/r1 calls total -"]);
    call.claimed = true;
    assert!(shown(&call.permit(&set)).is_empty());
}

#[test]
fn a_budget_on_a_level_that_the_key_lacks_refuses() {
    let set = set(&[&open("p", &[budget("app", "5 calls", "")])]);
    let mut call = call("GET", "/x", "");
    assert_eq!(call.word(&set), "level_required");
    call.facts.subject.app = Some("desk".into());
    assert_eq!(call.word(&set), "allow");
    let watching = format!("mode = \"observe\"\n{}", open("p", &[budget("app", "5 calls", "")]));
    let set = super::set(&[&watching]);
    call.facts.subject.app = None;
    assert_eq!(call.word(&set), "observed level_required");
}

#[test]
fn a_keys_own_budget_lies_on_its_own_account() {
    let set = set(&[&open("p", &[budget("key", "9 calls", "")])]);
    let mut call = call("GET", "/x", "");
    let child =
        r#"{"budgets": [{"per": "key", "limit": "2 calls"}, {"per": "key", "window": "day", "limit": "1 USD"}]}"#;
    let parent = r#"{"budgets": [{"per": "key", "limit": "4 calls"}]}"#;
    call.overlays = vec![(KeyId("child".into()), overlay(child)), (KeyId("parent".into()), overlay(parent))];
    let lines = shown(&call.permit(&set));
    let day = format!("key:child usd day {PER_USD}");
    assert_eq!(lines, ["key:child calls total 2", "key:parent calls total 4", day.as_str()]);
    // A run budget of the key needs a run.
    call.overlays = vec![(KeyId("child".into()), overlay(r#"{"budgets": [{"per": "run", "limit": "2 calls"}]}"#))];
    assert_eq!(call.word(&set), "run_required");
    call.facts.subject.run = Some("r".into());
    assert_eq!(shown(&call.permit(&set)).last().map(String::as_str), Some("run:default/r calls total 2"));
}

#[test]
fn shapes_of_keys_budgets_count_for_all() {
    let own = overlay(r#"{"budgets": [{"per": "run", "limit": "2 calls"}, {"per": "call", "limit": "2 USD"}]}"#);
    let set = set(&[&open("p", &[])]).with_extra(own.shapes().cloned().collect());
    assert_eq!(set.shapes().len(), 1);
    let mut call = call("GET", "/x", "");
    call.facts.subject.run = Some("r".into());
    assert_eq!(shown(&call.permit(&set)), ["run:default/r calls total -"]);
    assert_eq!(set.lines(&call.facts, &[]).len(), 1);
}

#[test]
fn a_set_has_each_name_once_and_one_global_policy() {
    let floor = |name: &str| policy(&format!("name = \"{name}\"\nglobal = true"));
    let bad = PolicySet::new(vec![floor("a"), floor("b"), floor("a")], Vec::new()).expect_err("conflicts");
    assert_eq!(bad.len(), 3, "{bad:?}");
    let one = set(&[&open("p", &[]), &open("q", &[])]);
    let other = set(&[&open("q", &[]), &open("p", &[])]);
    assert_eq!(one.hash(), other.hash());
    assert_ne!(one.hash(), set(&[&open("p", &[])]).hash());
}
