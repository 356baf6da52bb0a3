//! `explain` says what `decide` says, on whatever it is asked; and the order in which reasons are reported.

use super::properties::{any_call, overlay_text, policy_text};
use super::*;
use proptest::prelude::*;

impl Call<'_> {
    fn explain(&self, set: &PolicySet) -> Option<Explained> {
        let target = CanonicalPath::parse(self.target).expect("a canonical target");
        let sent = Sent { query: target.query.as_deref(), ..Sent::default() };
        let args = Args::read(sent, &[]).ok()?;
        let overlays: Vec<(&KeyId, &Overlay)> = self.overlays.iter().map(|(key, overlay)| (key, overlay)).collect();
        Some(set.explain(&Question {
            now: self.now,
            facts: &self.facts(set),
            lines: None,
            overlays: &overlays,
            operation: self.operation.as_ref(),
            method: self.method,
            path: &target.path,
            args: (!self.unread).then_some(&args),
            account_headers: &self.headers,
            test_mode: self.test_mode,
        }))
    }
}

/// As `word` says it of a decision.
fn word_of(explained: &Explained) -> String {
    match (&explained.refused, &explained.terms) {
        (Some(Refusal::Denied(denial)), _) => denial.code.to_string(),
        (Some(Refusal::Unreadable(_)), _) => "unreadable".to_owned(),
        (None, Some(terms)) => match terms.would_deny() {
            Some(denial) => format!("observed {}", denial.code),
            None => "allow".to_owned(),
        },
        (None, None) => "nothing".to_owned(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn explain_and_the_real_verdict_agree(
        text in policy_text("p"), floor in policy_text("floor"), json in overlay_text(), mut call in any_call(), unread: bool,
    ) {
        let set = set(&[&text, &floor]);
        call.overlays = vec![(KeyId("child".into()), overlay(&json))];
        call.unread = unread;
        let explained = call.explain(&set).expect("readable");
        let decided = call.decide(&set);
        prop_assert_eq!(word_of(&explained), word(&decided), "{}\n{}\n{}", text, floor, json);
        if let Decision::Deny(denial) = &decided {
            let first = explained.looks.iter().find(|look| matches!(look.said, Said::Refuses(_)));
            prop_assert_eq!(first.map(|look| &look.rule), Some(&denial.rule), "the first look that refuses is the reason");
        }
        if let (Decision::Permit(permit), Some(terms)) = (&decided, &explained.terms) {
            prop_assert_eq!(permit.lines(), terms.lines());
            prop_assert_eq!(permit.rates(), terms.rates());
            prop_assert_eq!((permit.risk(), permit.tier()), (terms.risk(), terms.tier()));
        }
        prop_assert!(explained.looks.is_sorted_by_key(|look| look.step), "steps come in their order: {:?}", explained.looks);
    }
}

#[test]
fn every_reason_is_listed_behind_the_first() {
    let text = "name = \"p\"\nvendors = [\"stripe\"]\nexpires_at = 2026-01-01T00:00:00Z\n[params]\nn = { max = 3 }\n\
                [[allow]]\npaths = [\"/v1/a\"]\nparams.n = { max = 1 }\n[[deny]]\npaths = [\"/v1/**\"]\n\
                [[deny]]\nmode = \"observe\"\npaths = [\"/v1/a\"]\n[[deny]]\npaths = [\"/v2\"]\n";
    let explained = call("GET", "/v1/a?n=5", "").explain(&set(&[text])).expect("readable");
    let said = |look: &Look| match &look.said {
        Said::Passes(_) => "passes".to_owned(),
        Said::Elsewhere => "elsewhere".to_owned(),
        Said::Refuses(reason) => reason.code.to_owned(),
        Said::Observes(reason) => format!("~{}", reason.code),
    };
    let shown: Vec<String> =
        explained.looks.iter().map(|l| format!("{} {} {}", l.step.as_str(), l.rule, said(l))).collect();
    assert_eq!(
        shown,
        [
            "key p: expires_at policy_expired",
            "key p: vendors passes",
            "deny p: deny rule 1 policy_denied",
            "deny p: deny rule 2 ~policy_denied",
            "deny p: deny rule 3 elsewhere",
            "allow p: allow rule 1 passes",
            "arguments p: params: n param_denied",
            "arguments p: allow rule 1: n param_denied",
        ]
    );
}

#[test]
fn a_rule_that_only_observes_notes_and_lets_pass() {
    let head = "name = \"p\"\nvendors = [\"stripe\"]\n";
    let allow = "[[allow]]\npaths = [\"/**\"]\n";
    for (rules, wanted) in [
        (format!("{allow}[[deny]]\nmode = \"observe\"\npaths = [\"/x\"]\n"), "observed policy_denied"),
        (format!("[params]\nn = {{ max = 3, mode = \"observe\" }}\n{allow}"), "observed param_denied"),
        (
            "[[allow]]\nmode = \"observe\"\npaths = [\"/x\"]\nparams.n = { max = 3 }\n".to_owned(),
            "observed param_denied",
        ),
        // Another allow rule that enforces does not take back what one that observes lets pass.
        (
            "[[allow]]\npaths = [\"/x\"]\nparams.n = { max = 2 }\n\
             [[allow]]\nmode = \"observe\"\npaths = [\"/x\"]\nparams.n = { max = 3 }\n"
                .to_owned(),
            "observed param_denied",
        ),
        (
            format!("{allow}[[rate]]\nmode = \"observe\"\nper = \"toolset\"\nlimit = \"1/s\"\n"),
            "observed level_required",
        ),
        (
            format!("{allow}[[budget]]\nmode = \"observe\"\nper = \"toolset\"\nlimit = \"1 calls\"\n"),
            "observed level_required",
        ),
    ] {
        assert_eq!(call("GET", "/x?n=5", "").word(&set(&[&format!("{head}{rules}")])), wanted, "{rules}");
    }
}
