//! Risk points: per tier and operation, and what multiplies them.

use super::*;

const HEAD: &str = "name = \"p\"\nvendors = [\"stripe\"]\n[[allow]]\npaths = [\"/**\"]\n";

fn risk_of(more: &str, call: &Call<'_>) -> u64 {
    call.permit(&set(&[&format!("{HEAD}{more}")])).risk()
}

fn sending(target: &'static str, body: &'static str) -> Call<'static> {
    Call { operation: Some(operation("POST /send", Tier::WriteExternal)), ..call("POST", target, body) }
}

#[test]
fn points_of_operations_stand_before_those_of_tiers() {
    let rule = "[risk]\nwrite-external = 7\noperations = { \"POST /send\" = 40, \"POST /send/later\" = 1 }\n";
    assert_eq!(risk_of(rule, &sending("/send", "")), 40);
    assert_eq!(risk_of(rule, &sending("/send/later", "")), 1, "the last one that matches counts");
    assert_eq!(risk_of(rule, &sending("/other", "")), 7);
    let unmapped = Call { operation: None, ..sending("/send", "") };
    assert_eq!(risk_of("[risk.operations]\n\"/send\" = 0\n", &unmapped), 1, "what nobody mapped costs at least one");
}

#[test]
fn recipients_are_counted_wherever_they_stand() {
    let rule = "[[risk.factor]]\noperations = [\"POST /send\"]\ncount = [\"to\", \"cc\", \"people.*.email\"]\n";
    for (body, points) in [
        (r#"{"to": "a@b"}"#, 5),
        (r#"{"to": ["a@b", "c@d"], "cc": ["e@f"]}"#, 15),
        (r#"{"to": "a@b, c@d;e@f"}"#, 15),
        (r#"{"people": [{"email": ["a@b", "c@d"]}, {"email": "e@f"}, {"x": 1}], "to": null}"#, 15),
        (r#"{"to": []}"#, 5),
        ("{}", 5),
    ] {
        assert_eq!(risk_of(rule, &sending("/send", body)), points, "{body}");
    }
    let set = set(&[&format!("{HEAD}{rule}")]);
    assert_eq!(sending("/send", r#"{"to": "a", "to": "b"}"#).word(&set), "unreadable");
    let mut unread = sending("/send", r#"{"to": "a"}"#);
    unread.unread = true;
    assert_eq!(unread.word(&set), "unreadable", "what was not read is not zero");
    let path = CanonicalPath::parse("/send").expect("canonical").path;
    assert!(set.reads_args("p", "stripe", "POST", &path, "POST /send"));
    assert!(!set.reads_args("p", "stripe", "POST", &path, "POST /other"));
}

#[test]
fn amounts_weigh_by_steps_and_an_unknown_one_the_most() {
    let rule = "[[risk.factor]]\noperations = [\"POST /send\"]\nparam = \"amount\"\n\
                steps = { \"10_000\" = 2.5, \"1000\" = 1.5, \"100_000\" = 10 }\n";
    for (body, points) in [
        ("amount=999", 5),
        ("amount=1000", 8),
        ("amount=10000", 13),
        ("amount=1e9", 50),
        ("amount=lots", 50),
        ("currency=usd", 50),
    ] {
        assert_eq!(risk_of(rule, &sending("/send", body)), points, "{body}");
    }
    let lighter =
        "[[risk.factor]]\noperations = [\"POST /send\"]\nparam = \"amount\"\nsteps = { \"0\" = 0.2, \"1000\" = 0.8 }\n";
    for (body, points) in [("amount=5", 1), ("amount=1000", 4), ("currency=usd", 5), ("amount=lots", 5)] {
        assert_eq!(
            risk_of(lighter, &sending("/send", body)),
            points,
            "steps below one lighten no amount that is unknown: {body}"
        );
    }
}

#[test]
fn test_mode_and_hours_multiply_too() {
    let test = "[[risk.factor]]\ntest_mode = 0.1\n";
    let mut call = sending("/send", "");
    assert_eq!(risk_of(test, &call), 5);
    call.test_mode = true;
    assert_eq!(risk_of(test, &call), 1, "rounded up");
    let night = "[[risk.factor]]\nutc = [\"22:00-24:00\", \"00:00-06:00\"]\ntimes = 3\n\
                 [[risk.factor]]\ndays = \"sat,sun\"\nutc = []\ntimes = 2\n";
    for (now, points) in [
        ("2026-06-15T12:00:00Z", 5),
        ("2026-06-15T23:59:00Z", 15),
        ("2026-06-15T05:59:00Z", 15),
        ("2026-06-14T12:00:00Z", 10),
        ("2026-06-14T02:00:00Z", 30),
    ] {
        call.now = at(now);
        call.test_mode = false;
        assert_eq!(risk_of(night, &call), points, "{now}");
    }
}

#[test]
fn nobody_talks_the_global_points_down_and_many_factors_stay_finite() {
    let floor = "name = \"floor\"\nglobal = true\n[risk.operations]\n\"POST /send\" = 30\n";
    let own = format!("{HEAD}[risk]\nwrite-external = 0\n[[risk.factor]]\ntest_mode = 0\n");
    let mut call = sending("/send", "");
    call.test_mode = true;
    assert_eq!(call.permit(&set(&[&own, floor])).risk(), 30);
    let dear = format!("[risk]\nwrite-external = 1000000\n{}", "[[risk.factor]]\ntest_mode = 1000\n".repeat(40));
    assert_eq!(risk_of(&dear, &call), crate::units::money::MAX_AMOUNT);
}
