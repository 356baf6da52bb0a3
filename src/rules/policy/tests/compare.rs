//! What `compare` says of two versions.

use super::*;
use crate::rules::vendors::{RawVendor, Vendor, catalog};
use std::sync::Arc;

fn stripe() -> Vec<Arc<Vendor>> {
    let raw: RawVendor = catalog::shipped("stripe").expect("shipped").expect("sound");
    vec![Arc::new(raw.check("stripe").expect("sound"))]
}

/// `+ what` for what widens.
fn changes(old: &[&str], new: &[&str]) -> Vec<String> {
    let found = compare(&set(old), &set(new), &stripe());
    found.iter().map(|c| format!("{} {}", if c.widens { "+" } else { "-" }, c.what)).collect()
}

const HEAD: &str = "name = \"p\"\nvendors = [\"stripe\"]\n";

fn with(more: &str) -> String {
    format!("{HEAD}{more}")
}

#[test]
fn the_same_is_no_change() {
    let text = with("[[allow]]\npaths = [\"/v1/refunds\"]\n[[budget]]\nper = \"agent\"\nlimit = \"5 USD\"\n");
    assert!(changes(&[&text], &[&format!("# a comment\n{text}")]).is_empty());
}

#[test]
fn operations_that_are_newly_allowed_are_named() {
    let old = with("[[allow]]\nmethods = [\"GET\"]\npaths = [\"/v1/refunds/**\"]\n");
    let new = with("[[allow]]\npaths = [\"/v1/refunds/**\"]\nparams.amount = { max = 5, optional = true }\n");
    let found = changes(&[&old], &[&new]);
    assert!(found.contains(&"+ newly allowed, with parameters: POST /v1/refunds at stripe".to_owned()), "{found:?}");
    assert!(found.contains(&"- only with some parameters: GET /v1/refunds/** at stripe".to_owned()), "{found:?}");
    let barred = format!("{old}[[deny]]\npaths = [\"/v1/refunds/*\"]\n");
    let found = changes(&[&barred], &[&old]);
    assert!(found.contains(&"+ newly allowed: GET /v1/refunds/{refund} at stripe".to_owned()), "{found:?}");
    let floor = "name = \"floor\"\nglobal = true\n[[deny]]\npaths = [\"/v1/refunds/*\"]\n";
    let found = changes(&[&old, floor], &[&old]);
    assert!(found.contains(&"+ newly allowed: GET /v1/refunds/{refund} at stripe".to_owned()), "{found:?}");
    assert!(found.contains(&"+ the global policy is gone".to_owned()), "{found:?}");
}

#[test]
fn limits_that_rise_fall_or_go_are_named() {
    let old = with(
        "[[budget]]\nper = \"agent\"\nlimit = \"5 USD\"\n[[budget]]\nper = \"key\"\nlimit = \"9 calls\"\n\
         [[budget]]\nper = \"call\"\nlimit = \"2 USD\"\n[[rate]]\nper = \"key\"\nlimit = \"5/s\"\n",
    );
    let new = with(
        "ceiling = \"1 USD\"\n[[budget]]\nper = \"agent\"\nlimit = \"50 USD\"\n\
         [[budget]]\nper = \"call\"\nlimit = \"1 USD\"\n[[rate]]\nmode = \"observe\"\nper = \"key\"\nlimit = \"5/s\"\n",
    );
    assert_eq!(
        changes(&[&old], &[&new]),
        [
            "+ a budget is gone: p: 9 calls per key",
            "+ now only observed: p: 5/s per key",
            "+ raised: `p: 5 USD per agent` is now `p: 50 USD per agent`",
            "+ the ceiling is 1 USD, not none",
            "- lowered: `p: 2 USD per call` is now `p: 1 USD per call`",
        ]
    );
}

#[test]
fn parameters_are_compared_by_what_they_let_pass() {
    let old = with("[params]\na = { max = 5 }\nb = { one_of = [\"x\"] }\nc = { required = true }\n");
    let new = with("[params]\na = { max = 50 }\nb = { one_of = [\"x\", \"y\"] }\nd = { absent = true }\n");
    assert_eq!(
        changes(&[&old], &[&new]),
        [
            "+ params: `a` must be a number of at most 50, not a number of at most 5",
            "+ params: `b` must be one of \"x\", \"y\", not one of \"x\"",
            "+ params: `c` is no longer looked at",
            "- params: `d` must be absent",
        ]
    );
    assert!(
        changes(&[&new], &[&old])
            .iter()
            .any(|c| c == "- params: `a` must be a number of at most 5, not a number of at most 50")
    );
}

#[test]
fn what_lets_more_pass_beside_reach_and_limits_is_named() {
    let rule = |max: u32| format!("[[allow]]\npaths = [\"/v1/refunds\"]\nparams.amount = {{ max = {max} }}\n");
    let deny = "[[deny]]\npaths = [\"/v1/refunds\"]\nparams.amount = { min = 400 }\n";
    let loops = "[[loop]]\nper = \"agent\"\nsame = 8\nwithin = \"10m\"\n";
    let rate = "[[rate]]\nper = \"agent\"\nlimit = \"5/s\"\n";
    let cases = [
        (rule(500), rule(500) + &rule(50_000), "one more rule for the same calls"),
        (
            rule(500) + deny,
            rule(500) + &deny.replace("paths", "mode = \"observe\"\npaths"),
            "is gone or asks for other",
        ),
        (rule(500), rule(500).replace("paths", "mode = \"observe\"\npaths"), "it only observes"),
        (rule(500) + loops + rate, rule(500) + rate, "a rate is gone"),
        (
            rule(500),
            format!("max_output_tokens = 5\n{}", rule(500)),
            "may let more pass: `max_output_tokens = 5` is new",
        ),
        (
            rule(500),
            rule(500) + "[risk]\noperations = { \"POST /v1/refunds\" = 0 }\n",
            "may let more pass: `risk.operations",
        ),
    ];
    for (old, new, what) in cases {
        let found = changes(&[&with(&old)], &[&with(&new)]);
        assert!(found.iter().any(|change| change.starts_with("+ ") && change.contains(what)), "{what}: {found:?}");
    }
}

#[test]
fn schemas_that_are_gone_or_others_are_named() {
    let allow = "[[allow]]\npaths = [\"/v1/refunds\"]\n";
    let shape = |most: u32| {
        format!("[[schema]]\npaths = [\"/v1/refunds\"]\nschema = {{ type = \"object\", maxProperties = {most} }}\n")
    };
    let (bare, five, six) = (with(allow), with(&format!("{allow}{}", shape(5))), with(&format!("{allow}{}", shape(6))));
    let gone = changes(&[&five], &[&bare]);
    assert!(gone.contains(&"+ schema 1 is gone, or is another one or for other calls".to_owned()), "{gone:?}");
    assert!(
        gone.contains(&"+ allowed without a look at parameters: POST /v1/refunds at stripe".to_owned()),
        "{gone:?}"
    );
    assert!(changes(&[&bare], &[&five]).iter().all(|change| change.starts_with('-')));
    assert!(changes(&[&five], &[&six]).iter().any(|change| change.starts_with('+')), "in doubt it is wider");
    assert!(changes(&[&five], &[&five]).is_empty());
}
