//! Limits per call: what is lowered, what is refused, what is only noted; and the words of a short budget.

use super::*;
use crate::rules::ledger::account::AccountName;
use crate::rules::ledger::ask::{Cause, Limit, Short};
use crate::rules::ledger::need::{Fit, Need, Share};
use crate::units::amount::Unit;
use crate::units::money::{MicroCents, PER_USD, PicoUsd};
use crate::units::time::Window;

fn permit(budgets: &str) -> Permit {
    let text = format!("name = \"p\"\nvendors = [\"stripe\"]\n{budgets}\n[[allow]]\npaths = [\"/**\"]");
    call("POST", "/v1/refunds", "").permit(&set(&[&text]))
}

fn usd(cents: u64) -> PicoUsd {
    MicroCents(cents * PER_USD / 100).into()
}

/// A cent a token on top of ten cents.
fn fitted(floor: u64, want: u64) -> Need {
    let fit = Fit { usd_per_token: usd(1), tokens_per_token: 1, floor, want, share: Share::default() };
    Need { usd: usd(10), tokens: 5, calls: 1, risk: 0, fit: Some(fit) }
}

const DOLLAR: &str = "budget = [{ per = \"call\", limit = \"1 USD\" }]";

#[test]
fn a_fixed_call_fits_or_not() {
    let permit = permit(DOLLAR);
    let exact = Need::fixed(usd(100), 0);
    assert_eq!(permit.fit_call(&exact).expect("fits").need, Need { risk: permit.risk(), ..exact });
    let denial = permit.fit_call(&Need::fixed(usd(101), 0)).expect_err("too much");
    assert_eq!(denial.code, Code::CallLimit);
    assert!(
        denial.sentence.contains("1.01 USD") && denial.sentence.contains("p: 1 USD per call"),
        "{}",
        denial.sentence
    );
}

#[test]
fn a_fitted_call_is_lowered_to_what_the_limit_buys() {
    let permit = permit(DOLLAR);
    let want = |need: Need| permit.fit_call(&need).map(|f| f.need.fit.map(|fit| fit.want));
    assert_eq!(want(fitted(20, 90)), Ok(Some(90)));
    assert_eq!(want(fitted(20, 500)), Ok(Some(90)));
    assert_eq!(want(fitted(90, 500)), Ok(Some(90)));
    assert!(want(fitted(91, 500)).is_err());
    // A caller who wants less than the floor is measured by what it wants.
    assert_eq!(want(fitted(256, 40)), Ok(Some(40)));
}

#[test]
fn every_limit_per_call_holds() {
    let both = "budget = [{ per = \"call\", limit = \"1 USD\" }, { per = \"call\", limit = \"55 tokens\" }]";
    let permit = permit(both);
    let fitted = permit.fit_call(&fitted(10, 500)).expect("fits");
    assert_eq!(fitted.need.fit.map(|f| f.want), Some(50));
    assert!(permit.fit_call(&Need::fixed(usd(1), 56)).is_err());
}

#[test]
fn risk_points_are_limited_per_call_too() {
    // An unlisted POST is 5 points.
    let text = |points| format!("budget = [{{ per = \"call\", limit = \"{points} risk\" }}]");
    let need = Need::fixed(usd(0), 0);
    assert_eq!(permit(&text(5)).fit_call(&need).map(|f| f.need.risk), Ok(5));
    assert_eq!(permit(&text(4)).fit_call(&need).map_err(|d| d.code), Err(Code::CallLimit));
}

#[test]
fn a_limit_per_call_may_be_for_some_operations_alone() {
    let text = "budget = [{ per = \"call\", limit = \"1 USD\", operations = [\"GET /\"] }]";
    assert!(permit(text).fit_call(&Need::fixed(usd(500), 0)).is_ok());
}

#[test]
fn a_keys_own_limit_per_call_holds() {
    let set = set(&["name = \"p\"\nvendors = [\"stripe\"]\n[[allow]]\npaths = [\"/**\"]"]);
    let mut call = call("GET", "/x", "");
    call.overlays = vec![(KeyId("k".into()), overlay(r#"{"budgets": [{"per": "call", "limit": "1 USD"}]}"#))];
    assert!(call.permit(&set).fit_call(&Need::fixed(usd(101), 0)).is_err());
}

#[test]
fn observe_notes_and_lowers_nothing() {
    let permit = permit(&format!("mode = \"observe\"\n{DOLLAR}"));
    let noted = permit.fit_call(&Need::fixed(usd(500), 0)).expect("let through");
    assert_eq!(noted.would_deny.map(|d| d.code), Some(Code::CallLimit));
    assert_eq!(noted.need.wanted().usd, MicroCents(5 * PER_USD));
    let kept = permit.fit_call(&fitted(20, 500)).expect("let through");
    assert_eq!((kept.need.fit.map(|f| f.want), kept.would_deny), (Some(500), None));
}

#[test]
fn settings_have_their_defaults() {
    let plain = permit("");
    assert_eq!((plain.fit().always, plain.fit().floor, plain.fit().share), (false, 256, Share(25)));
    assert_eq!((plain.ceiling(), plain.max_output_tokens(), plain.wait_for_holds().as_millis()), (None, None, 2000));
    let set = permit("ceiling = \"5 USD\"\nfit = \"always\"\nwait_for_holds = \"0s\"\ncredential = \"eu\"");
    assert_eq!((set.ceiling(), set.fit().always), (Some(MicroCents(5 * PER_USD)), true));
    assert_eq!(set.credential().map(|c| c.as_ref()), Some("eu"));
}

fn short(cause: Cause, hidden: bool) -> Short {
    Short {
        account: AccountName("agent:default/refunds usd day".into()),
        unit: Unit::Usd,
        window: Window::Day,
        limit: Limit { amount: 500 * PER_USD, rule: "p: 500 USD a day per agent".into(), enforce: true, hidden },
        spent: 499 * PER_USD,
        held: PER_USD / 2,
        need: PER_USD,
        resets_at: Some(at("2026-06-16T00:00:00.000001Z")),
        cause,
    }
}

#[test]
fn a_short_budget_is_told_in_words() {
    let spent = Denial::short(&short(Cause::Spent, false));
    assert_eq!(
        spent.to_string(),
        "budget_spent: The budget `p: 500 USD a day per agent` does not cover this call: it needs 1 USD on \
         `agent:default/refunds usd day`, and 0.5 USD is left (limit 500 USD, spent 499 USD, held 0.5 USD). It resets at \
         2026-06-16T00:00:00Z. Do not retry before then; make a cheaper call, or ask the operator for a larger budget."
    );
    let held = Denial::short(&short(Cause::Held, true));
    assert_eq!((held.code, held.code.worth_a_retry()), (Code::BudgetHeld, true));
    assert!(!held.sentence.contains("499") && held.sentence.contains("retry in a second"), "{}", held.sentence);
}
