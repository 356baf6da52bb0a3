//! Change windows and switches as policies state them: when a call is denied, who else's windows hold, and what watches a call.

use super::*;
use crate::rules::subject::Flag;
use crate::rules::vendors::Vendor;
use std::sync::Arc;

const OPEN: &str = "name = \"p\"\nvendors = [\"stripe\"]\n[[allow]]\npaths = [\"/**\"]\n";

fn window(more: &str) -> String {
    format!("[[window]]\ndays = \"mon-fri\"\nhours = \"09:00-17:00\"\n{more}\n")
}

/// The word for a call at a moment.
fn word_at(texts: &[&str], name: &str, moment: &str) -> String {
    let (method, target) = name.split_once(' ').expect("method and path");
    Call { now: at(moment), ..call(method, target, "") }.word(&set(texts))
}

const NOON: &str = "2026-06-15T12:00:00Z";
const NIGHT: &str = "2026-06-15T20:00:00Z";

#[test]
fn a_window_is_about_what_it_names_in_any_spelling() {
    for (about, name, closed) in [
        ("", "GET /v1/x", true),
        ("paths = [\"/v1/payouts\"]", "POST /v1/payouts/po_1", true),
        ("paths = [\"/v1/payouts\"]", "POST /V1/Payouts", true),
        ("paths = [\"/v1/payouts\"]", "POST /v1/charges", false),
        ("paths = [\"/v1/payouts\"]\nmethods = [\"POST\"]", "GET /v1/payouts", false),
        ("paths = [\"/v1/payouts\"]\nmethods = [\"GET\"]", "HEAD /v1/payouts", true),
        ("operations = [\"POST /v1/payouts\"]", "POST /v1/payouts", true),
        ("operations = [\"POST /v1/payouts\"]", "POST /V1/PAYOUTS", true),
        ("operations = [\"GET /v1/payouts\"]", "HEAD /v1/payouts", true),
        ("operations = [\"POST /v1/payouts\"]", "POST /v1/charges", false),
        ("operations = [\"/v1/a\"]\npaths = [\"/v1/b\"]", "POST /v1/b", true),
        ("vendor = \"stripe\"", "GET /v1/x", true),
    ] {
        let text = format!("{OPEN}{}", window(about));
        let expected = if closed { "window_closed" } else { "allow" };
        assert_eq!(word_at(&[&text], name, NIGHT), expected, "{name} under {about}");
        assert_eq!(word_at(&[&text], name, NOON), "allow", "{name} under {about}");
    }
}

#[test]
fn a_refusal_names_the_window_and_when_it_opens() {
    let set = set(&[&format!("{OPEN}{}", window("zone = \"+02:00\""))]);
    let denial = Call { now: at("2026-06-19T16:00:00Z"), ..call("POST", "/v1/x", "") }.denial(&set);
    assert_eq!((&*denial.rule, denial.resets_at), ("p: window 1", Some(at("2026-06-22T07:00:00Z"))));
    for part in ["mon-fri 09:00-17:00 +02:00", "window 1 of the policy `p`", "2026-06-22T07:00:00Z"] {
        assert!(denial.sentence.contains(part), "{}", denial.sentence);
    }
}

#[test]
fn every_window_must_be_open_the_base_s_and_the_global_ones_too() {
    let night = window("").replace("09:00-17:00", "19:00-21:00");
    let both = format!("{OPEN}{}{night}", window(""));
    assert_eq!(
        (word_at(&[&both], "GET /x", NOON), word_at(&[&both], "GET /x", NIGHT)),
        ("window_closed".into(), "window_closed".into())
    );
    let base = format!("name = \"base\"\nbase = true\n{}", window(""));
    let heir = OPEN.replace("vendors", "extends = \"base\"\nvendors");
    let floor = format!("name = \"floor\"\nglobal = true\n{}", window(""));
    for texts in [[&*heir, &*base], [OPEN, &*floor], [&*format!("{heir}{night}"), &*base]] {
        assert_eq!(word_at(&texts, "GET /x", NIGHT), "window_closed");
    }
    let watching = format!("{OPEN}{}", window("mode = \"observe\""));
    assert_eq!(word_at(&[&watching], "GET /x", NIGHT), "observed window_closed");
    let denied = format!("{both}[[deny]]\npaths = [\"/x\"]\n");
    assert_eq!(word_at(&[&denied], "GET /x", NIGHT), "policy_denied", "a denial comes first");
}

#[test]
fn what_narrows_and_widens_is_named() {
    let (old, wide) = (format!("{OPEN}{}", window("")), format!("{OPEN}{}", window("").replace("17:00", "18:00")));
    let changes = |old: &str, new: &str| {
        let none: [Arc<Vendor>; 0] = [];
        let found = compare(&set(&[old]), &set(&[new]), &none);
        found.into_iter().map(|c| format!("{} {}", if c.widens { "+" } else { "-" }, c.what)).collect::<Vec<_>>()
    };
    assert_eq!(changes(&old, OPEN), ["+ a window is gone: all calls: mon-fri 09:00-17:00 UTC"]);
    let found = changes(&old, &wide);
    assert_eq!(
        found,
        [
            "+ a window is gone: all calls: mon-fri 09:00-17:00 UTC",
            "- a new window: all calls: mon-fri 09:00-18:00 UTC"
        ]
    );
    let watched =
        format!("{OPEN}[[switch]]\non = \"refusals\"\ncount = 3\nwithin = \"5m\"\nper = \"key\"\ndo = \"kill\"\n");
    assert_eq!(changes(&watched, OPEN), ["+ a switch is gone: p: kill key on 3 refusals in 5m"]);
    assert_eq!(changes(OPEN, &watched), ["- a new switch: p: kill key on 3 refusals in 5m"]);
}

fn switch(per: &str, deed: &str, more: &str) -> String {
    format!("[[switch]]\non = \"loop\"\nsame = 3\nwithin = \"1m\"\nper = \"{per}\"\ndo = \"{deed}\"\n{more}\n")
}

/// `deed flag` of each switch that watches a call.
fn armed(texts: &[&str], facts: &Facts) -> Vec<String> {
    set(texts).armed(facts).iter().map(|a| format!("{} {}", a.deed.as_str(), a.flag)).collect()
}

#[test]
fn a_call_is_watched_by_its_own_and_the_global_switches() {
    let own =
        format!("{OPEN}{}{}", switch("run", "kill", "operations = [\"POST /x\"]"), switch("agent", "suspend", ""));
    let floor = format!("name = \"floor\"\nglobal = true\n{}", switch("key", "kill", "mode = \"observe\""));
    let posted = facts("p", "stripe", "POST /x");
    assert_eq!(
        armed(&[&own, &floor], &posted),
        ["kill key child", "suspend agent default/refunds", "alert key child"],
        "a call without a run is counted by its key"
    );
    let mut run = posted.clone();
    run.subject.run = Some("r".into());
    assert_eq!(armed(&[&own], &run)[0], "kill run default/r");
    run.claimed_run = true;
    assert_eq!(armed(&[&own], &run)[0], "kill key child", "nobody vouches for it");
    assert_eq!(armed(&[&own], &facts("p", "stripe", "GET /y")), ["suspend agent default/refunds"]);
    assert!(armed(&[OPEN], &posted).is_empty());
    let watching = format!("mode = \"observe\"\n{}", own.trim_start());
    assert_eq!(armed(&[&watching], &facts("p", "stripe", "GET /y")), ["alert agent default/refunds"]);
}

#[test]
fn a_switch_that_tells_requests_apart_has_their_bodies_read() {
    let text = format!("{OPEN}{}", switch("key", "alert", "operations = [\"POST /x\"]"));
    let set = set(&[&text]);
    let path = |text: &str| CanonicalPath::parse(text).expect("a path").path;
    assert!(set.reads_args("p", "stripe", "POST", &path("/x"), "POST /x"));
    assert!(!set.reads_args("p", "stripe", "GET", &path("/x"), "GET /x"));
}

#[test]
fn who_and_why_can_be_told_from_what_a_person_did() {
    let trip = Trip {
        rule: "p: suspend key on 3 times the same in 1m".into(),
        trigger: "loop",
        deed: Deed::Suspend,
        flag: Flag::Everyone,
        measured: "3 times the same request within 1m".into(),
        call: crate::units::ids::CallId(uuid::Uuid::from_u128(1)),
    };
    let act = trip.act();
    assert_eq!(act.actor, "switch:p");
    let (suspended, why) = tripped(&act).expect("a switch did it");
    assert!(suspended && why.contains("suspended by `p: suspend key on 3 times the same in 1m`: 3 times"), "{why}");
    assert!(!tripped(&Trip { deed: Deed::Kill, ..trip.clone() }.act()).expect("a switch did it").0);
    let person = crate::rules::books::Act { actor: "socket:switch:p".into(), reason: act.reason.clone() };
    assert!(tripped(&person).is_none());
}
