//! Which rates a call is held to.

use super::*;

const OPEN: &str = "name = \"p\"\nvendors = [\"stripe\"]\n[[allow]]\npaths = [\"/**\"]\n";

fn rate(per: &str, limit: &str, more: &str) -> String {
    format!("[[rate]]\nper = \"{per}\"\nlimit = \"{limit}\"\n{more}\n")
}

/// `cell burst`, with `~` if it only observes.
fn shown(permit: &Permit) -> Vec<String> {
    let one =
        |r: &crate::rules::ledger::rates::Rate| format!("{} {}{}", r.cell, r.burst, if r.enforce { "" } else { "~" });
    permit.rates().iter().map(one).collect()
}

#[test]
fn a_call_is_held_to_its_own_and_the_global_rates() {
    let floor = format!(
        "name = \"floor\"\nglobal = true\n{}{}",
        rate("agent", "10/s", "burst = 3"),
        rate("everyone", "100/s", "")
    );
    let own = format!("{OPEN}{}{}", rate("agent", "10/s", ""), rate("key", "600/min", "operations = [\"POST /x\"]"));
    let other = format!("{}{}", OPEN.replace("\"p\"", "\"q\""), rate("agent", "1/day", ""));
    let set = set(&[&own, &floor, &other]);
    let always = ["agent:default/refunds rate 100000us 3", "everyone rate 10000us 100"];
    assert_eq!(shown(&call("GET", "/x", "").permit(&set)), always);
    let keys = ["child", "parent"].map(|key| format!("key:{key} rate 100000us op=POST /x 600"));
    let posted = shown(&call("POST", "/x", "").permit(&set));
    assert_eq!(posted, [always[0], &*keys[0], &*keys[1], always[1]]);
}

#[test]
fn a_rate_that_observes_says_so_and_one_that_cannot_be_counted_refuses() {
    let watching = format!("mode = \"observe\"\n{OPEN}{}", rate("tenant", "5/s", ""));
    assert_eq!(shown(&call("GET", "/x", "").permit(&set(&[&watching]))), ["tenant:default rate 200000us 5~"]);
    let nobody = format!("{OPEN}{}", rate("toolset", "5/s", ""));
    assert_eq!(call("GET", "/x", "").word(&set(&[&nobody])), "level_required");
}
