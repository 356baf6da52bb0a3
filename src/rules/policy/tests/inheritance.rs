//! `extends`: what a policy takes over, and that nothing it does loosens a base or the global policy.

use super::properties::{allowed, any_call, overlay_text, policy_text};
use super::*;
use proptest::prelude::*;

const BASE: &str = "name = \"base\"\nbase = true\nmax_output_tokens = 100\nceiling = \"2 USD\"\n[params]\nn = { max = 3 }\n\
                    [[allow]]\npaths = [\"/v1/a\"]\n[[deny]]\npaths = [\"/v1/b\"]\n\
                    [[budget]]\nper = \"agent\"\nlimit = \"5 calls\"\n";

fn heir(more: &str) -> String {
    format!("name = \"p\"\nvendors = [\"stripe\"]\nextends = \"base\"\n{more}")
}

#[test]
fn an_heir_has_the_rules_of_its_base_and_its_own() {
    let set = set(&[BASE, &heir("ceiling = \"1 USD\"\n[[allow]]\npaths = [\"/v1/b\", \"/v1/c\"]\n")]);
    for (target, wanted) in [
        ("/v1/a", "allow"),
        ("/v1/c", "allow"),
        ("/v1/b", "policy_denied"),
        ("/v1/a?n=5", "param_denied"),
        ("/v1/d", "policy_denied"),
    ] {
        assert_eq!(call("GET", target, "").word(&set), wanted, "{target}");
    }
    let denial = call("GET", "/v1/b", "").denial(&set);
    assert_eq!(&*denial.rule, "p: deny rule 1 from `base`");
    let permit = call("GET", "/v1/a", "").permit(&set);
    assert_eq!(permit.lines().iter().filter_map(|l| l.limit.as_ref()).count(), 1);
    assert_eq!(
        (permit.max_output_tokens(), permit.ceiling().map(|c| c.to_string())),
        (Some(100), Some("1".to_owned()))
    );
    assert!(set.get("base").is_none(), "no key lives under a base");
}

#[test]
fn a_changed_base_is_a_changed_heir() {
    let hash = |base: &str| set(&[base, &heir("")]).get("p").expect("loaded").hash;
    assert_ne!(hash(BASE), hash(&BASE.replace("5 calls", "6 calls")));
    assert_eq!(hash(BASE), hash(BASE));
}

#[test]
fn rules_of_a_base_stay_with_its_vendors() {
    let base = "name = \"base\"\nvendors = [\"stripe\"]\n[[allow]]\npaths = [\"/x\"]\n";
    let heir = "name = \"p\"\nvendors = [\"stripe\", \"openai\"]\nextends = [\"base\"]\n";
    let set = set(&[base, heir]);
    let mut call = call("GET", "/x", "");
    assert_eq!(call.word(&set), "allow");
    call.facts.vendor = "openai".into();
    assert_eq!(call.word(&set), "policy_denied");
}

#[test]
fn bases_that_are_not_there_or_go_round_are_refused() {
    let bad = |texts: &[&str]| {
        let found = PolicySet::new(texts.iter().map(|t| policy(t)).collect(), Vec::new()).expect_err("no set");
        found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    assert!(bad(&[&heir("")]).contains("`p` extends `base`, and no such policy"));
    let one = "name = \"p\"\nvendors = [\"v\"]\nextends = \"q\"\n";
    let other = "name = \"q\"\nvendors = [\"v\"]\nextends = \"p\"\n";
    assert!(bad(&[one, other]).contains("extends itself"));
    let floor = "name = \"base\"\nglobal = true\n";
    assert!(bad(&[floor, &heir("")]).contains("no such policy is there to be extended"));
}

#[test]
fn an_heir_that_observes_leaves_its_base_enforced() {
    let own = "mode = \"observe\"\n[[allow]]\npaths = [\"/v1/b\", \"/v1/c\"]\nparams.m = { max = 1 }\n[[deny]]\npaths = [\"/v1/c/x\"]\n\
               [[budget]]\nper = \"key\"\nlimit = \"1 calls\"\n";
    let watched = set(&[BASE, &heir(own)]);
    for (target, wanted) in [
        ("/v1/b", "policy_denied"),
        ("/v1/a?n=5", "param_denied"),
        ("/v1/d", "policy_denied"),
        ("/v1/c?m=5", "observed param_denied"),
        ("/v1/c/x?m=1", "observed policy_denied"),
        ("/v1/a", "allow"),
    ] {
        assert_eq!(call("GET", target, "").word(&watched), wanted, "{target}");
    }
    let permit = call("GET", "/v1/a", "").permit(&watched);
    let mut limits: Vec<_> =
        permit.lines().iter().filter_map(|l| l.limit.as_ref()).map(|l| (&*l.rule, l.enforce)).collect();
    limits.sort_unstable();
    limits.dedup();
    assert_eq!(limits, [("base: 5 calls per agent", true), ("p: 1 calls per key", false)]);
    let all = set(&[&BASE.replacen("base = true", "base = true\nmode = \"observe\"", 1), &heir(own)]);
    assert_eq!(call("GET", "/v1/b", "").word(&all), "observed policy_denied", "where the base observes, all do");
    let taken =
        set(&[&BASE.replacen("base = true", "base = true\nmode = \"observe\"", 1), &heir("mode = \"enforce\"\n")]);
    assert_eq!(call("GET", "/v1/b", "").word(&taken), "policy_denied");
}

#[test]
fn a_base_that_is_reached_twice_is_there_once() {
    let root = "name = \"root\"\nbase = true\n[[allow]]\npaths = [\"/x\"]\n[[risk.factor]]\nutc = \"00:00-24:00\"\ntimes = 3\n";
    let mid = |name: &str, vendor: &str| {
        format!("name = \"{name}\"\nbase = true\nvendors = [\"{vendor}\"]\nextends = \"root\"\n")
    };
    let own = "name = \"p\"\nvendors = [\"stripe\", \"openai\", \"github\"]\nextends = [\"m\", \"n\"]\n[risk]\nread-only = 2\n";
    let set = set(&[root, &mid("m", "stripe"), &mid("n", "openai"), own]);
    let whole = set.get("p").expect("loaded");
    assert_eq!((whole.allow.len(), whole.weights.factors.len()), (1, 1));
    assert_eq!(call("GET", "/x", "").permit(&set).risk(), 6);
    for (vendor, wanted) in [("stripe", "allow"), ("openai", "allow"), ("github", "policy_denied")] {
        let mut call = call("GET", "/x", "");
        call.facts.vendor = vendor.into();
        assert_eq!(call.word(&set), wanted, "{vendor}: rules stay with the vendors of each way to them");
    }
    // Every level extends all that are below: as many ways as there are subsets, and soon done.
    let level = |n: usize| {
        let below: Vec<String> = (0..n).map(|k| format!("\"l{k}\"")).collect();
        format!("name = \"l{n}\"\nbase = true\nextends = [{}]\n[[deny]]\npaths = [\"/{n}\"]\n", below.join(", "))
    };
    let texts: Vec<String> = (0..8).map(level).chain([heir("").replace("\"base\"", "\"l7\"")]).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    assert_eq!(super::set(&texts).get("p").expect("loaded").deny.len(), 8);
}

#[test]
fn of_lease_and_store_down_the_stricter_counts() {
    use crate::rules::ledger::ask::{Down, Manner};
    let manner = |base: &str, own: &str| {
        let base = format!("name = \"base\"\nbase = true\n{base}");
        set(&[&base, &heir(own)]).get("p").expect("loaded").manner
    };
    let down = |word: &str, secs: u32| format!("[store_down]\nledger = \"{word}\"\nfor = \"{secs}s\"\n");
    let closed = "[store_down]\nledger = \"closed\"\n";
    for (base, own, lease, wanted) in [
        (down("open", 9), String::new(), false, Down::Open { secs: 9 }),
        (down("open", 9), "lease = true\n".to_owned(), true, Down::Open { secs: 9 }),
        (down("leased", 9), down("open", 5), false, Down::Leased { secs: 9 }),
        (down("open", 5), down("open", 9), false, Down::Open { secs: 5 }),
        (closed.to_owned(), down("open", 9), false, Down::Closed),
        ("lease = false\n".to_owned(), "lease = true\n".to_owned(), false, Down::Closed),
        ("lease = true\n".to_owned(), String::new(), true, Down::Closed),
        (String::new(), format!("lease = true\n{}", down("open", 9)), true, Down::Open { secs: 9 }),
    ] {
        assert_eq!(manner(&base, &own), Manner { lease, down: wanted }, "{base}{own}");
    }
}

#[test]
fn a_base_that_is_put_in_the_place_of_another_changes_its_heirs() {
    let old = set(&[BASE, &heir("")]);
    let new = old.with(policy(&BASE.replace("/v1/b", "/v1/a"))).expect("a sound set");
    assert_eq!(
        (call("GET", "/v1/a", "").word(&old), call("GET", "/v1/a", "").word(&new)),
        ("allow".into(), "policy_denied".into())
    );
    assert!(new.get("base").is_none());
    let again = new.with_extra(Vec::new()).with(policy(BASE)).expect("a sound set");
    assert_eq!(call("GET", "/v1/a", "").word(&again), "allow");
}

fn extending(text: &str) -> String {
    text.replacen("vendors", "extends = \"base\"\nvendors", 1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_heir_overlay_or_reload_allows_what_the_global_policy_denies(
        own in policy_text("p"), next in policy_text("p"), base in policy_text("base"), floor in policy_text("floor"),
        json in overlay_text(), mut call in any_call(),
    ) {
        // Whatever else is loaded, the global policy alone over one that allows everything is the widest that there is.
        let open = "name = \"p\"\nvendors = [\"stripe\"]\n[[allow]]\npaths = [\"/**\"]\n";
        let widest = allowed(&call, &set(&[open, &floor]));
        let before = set(&[&extending(&own), &base, &floor]);
        let after = before.with(policy(&extending(&next))).expect("a sound set");
        call.overlays = vec![(KeyId("child".into()), overlay(&json))];
        for set in [&before, &after] {
            prop_assert!(allowed(&call, set) <= widest, "{own}\n{next}\n{base}\n{floor}\n{json}");
        }
    }

    #[test]
    fn no_heir_allows_what_its_base_denies(own in policy_text("p"), base in policy_text("base"), call in any_call()) {
        let heir = set(&[&extending(&own), &base]);
        let open = format!("{base}[[allow]]\npaths = [\"/**\"]\n").replace("\"base\"", "\"p\"");
        let mode = |text: &str| text.contains("mode = \"observe\"");
        prop_assume!(!mode(&own) && !mode(&base));
        let denied = call.word(&set(&[&open])) == "policy_denied";
        prop_assert!(!(denied && allowed(&call, &heir)), "{own}\n{base}");
    }
}
