//! Who asks a person: each trigger by itself, policies together, and what a fraction of a budget lets pass unasked.

use super::*;
use crate::rules::ledger::ask::{Cause, Short};
use crate::rules::ledger::need::{Fit, Need, Share};
use crate::units::money::PicoUsd;
use std::time::Duration;

const OPEN: &str = "name = \"p\"\nvendors = [\"stripe\"]\n[[allow]]\npaths = [\"/**\"]\n";

fn asking(approval: &str) -> String {
    format!("{OPEN}[[budget]]\nper = \"agent\"\nlimit = \"100 USD\"\n[approval]\n{approval}\n")
}

/// So many cents.
fn cents(n: u128) -> Need {
    Need::fixed(PicoUsd(n * 10_000_000_000), 0)
}

/// The rules that ask about a charge of so many cents.
fn because(approval: &str, body: &str, n: u128, new: bool) -> Vec<String> {
    let mut call = call("POST", "/v1/charges", body);
    call.operation = Some(operation("POST /v1/charges", Tier::WriteExternal));
    let permit = call.permit(&set(&[&asking(approval)]));
    permit.asked(&cents(n), false, new).because.iter().map(ToString::to_string).collect()
}

#[test]
fn each_trigger_asks_by_itself() {
    let none: [&str; 0] = [];
    assert_eq!(because("over = \"5 USD\"", "", 500, true), none);
    assert_eq!(because("over = \"5 USD\"", "", 501, true), ["p: approval over 5 USD"]);
    assert_eq!(because("tiers = [\"execution\"]", "", 1, true), none);
    assert_eq!(because("tiers = [\"write-external\"]", "", 1, true), ["p: approval of write-external"]);
    assert_eq!(because("operations = [\"GET /v1/charges\"]", "", 1, true), none);
    assert_eq!(because("operations = [\"/v1\"]", "", 1, true), ["p: approval of /v1"]);
    assert_eq!(because("first_use = true", "", 1, false), none);
    assert_eq!(because("first_use = true", "", 1, true), ["p: approval of a first use"]);
    let param = "params.amount = { min = 10 }";
    assert_eq!(because(param, "amount=9", 1, true), none);
    // As in a deny rule, what cannot be read as a number is caught.
    for body in ["amount=10", "amount=ten"] {
        assert_eq!(because(param, body, 1, true), ["p: approval by amount"], "{body}");
    }
    let both = because("over = \"5 USD\"\ntiers = [\"write-external\"]", "", 501, true);
    assert_eq!(both, ["p: approval of write-external", "p: approval over 5 USD"]);
}

#[test]
fn a_call_that_can_be_smaller_is_rather_than_ask() {
    let permit = call("POST", "/v1/x", "").permit(&set(&[&asking("over = \"5 USD\"")]));
    let per_token = PicoUsd(10_000_000_000);
    let fit = Fit { usd_per_token: per_token, tokens_per_token: 1, floor: 100, want: 10_000, share: Share(100) };
    let fitted = |floor| Need { fit: Some(Fit { floor, ..fit.clone() }), ..cents(0) };
    let asked = permit.asked(&fitted(100), false, false);
    assert_eq!((asked.because.len(), asked.need.fit.map(|f| f.want)), (0, Some(500)));
    assert_eq!(permit.asked(&fitted(501), false, false).because.len(), 1, "not so small that it is of no use");
    assert_eq!(permit.asked(&cents(1), true, false).because.len(), 1, "unknown is not little");
}

#[test]
fn the_global_policy_asks_too_and_the_stricter_terms_count() {
    let floor = "name = \"floor\"\nglobal = true\n[approval]\nover = \"1 USD\"\nwait = \"5s\"\npeople = 2\n";
    let own = asking("over = \"5 USD\"\nwait = \"60s\"\nvalid = \"1m\"");
    let both = call("POST", "/v1/x", "").permit(&set(&[&own, floor]));
    assert_eq!(both.asked(&cents(200), false, false).because.len(), 1);
    let terms = both.terms();
    assert_eq!((terms.wait, terms.people), (Duration::from_secs(5), 2));
    assert_eq!(terms.valid, Duration::from_secs(60));
    let watching = format!("mode = \"observe\"\n{own}");
    let permit = call("POST", "/v1/x", "").permit(&set(&[&watching, floor]));
    let asked = permit.asked(&cents(600), false, false);
    assert_eq!((&*asked.because[0], &*asked.noted[0]), ("floor: approval over 1 USD", "p: approval over 5 USD"));
}

#[test]
fn below_a_fraction_nobody_is_asked_and_past_the_limit_nobody_can_help() {
    let permit = call("POST", "/v1/x", "").permit(&set(&[&asking("at = 0.5")]));
    let lines = permit.unasked_lines().expect("a fraction");
    let amount = |line: &crate::rules::ledger::ask::Line| line.limit.as_ref().map(|l| l.amount);
    assert_eq!((amount(&lines[0]), amount(&permit.lines()[0])), (Some(5_000_000_000), Some(10_000_000_000)));
    let short = |spent, held, need| Short {
        account: lines[0].account.clone(),
        unit: lines[0].unit,
        window: lines[0].window,
        limit: lines[0].limit.clone().expect("limited"),
        spent,
        held,
        need,
        resets_at: None,
        cause: Cause::Spent,
    };
    let usd = 100_000_000;
    let rule = permit.past_fraction(short(40 * usd, 0, 20 * usd)).expect("a person can help");
    assert_eq!(&*rule, "p: approval at 50 % of p: 100 USD per agent");
    for (held, cause) in [(0, Cause::Spent), (50 * usd, Cause::Held)] {
        let spent = if held == 0 { 90 * usd } else { 40 * usd };
        let still = permit.past_fraction(short(spent, held, 20 * usd)).expect_err("no room at all");
        assert_eq!((still.cause, still.limit.amount), (cause, 100 * usd));
    }
    assert!(call("POST", "/v1/x", "").permit(&set(&[&asking("over = \"5 USD\"")])).unasked_lines().is_none());
}
