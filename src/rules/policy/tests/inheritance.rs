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
