//! What a decision costs: policies of 50, 200 and 800 rules with parameters and budgets, and one where many of the 200 match. It is to
//! grow with the rules that can match, not with all of them; that the others are not looked at is a test of `rules::policy`.
//! Run with `cargo bench --bench decide`.

use std::fmt::Write;
use std::hint::black_box;

use bursar::config::policy_file;
use bursar::rules::args::{Args, Body, Sent};
use bursar::rules::path::CanonicalPath;
use bursar::rules::policy::{Decision, PolicySet, Question};
use bursar::rules::subject::{Facts, Subject};
use bursar::rules::vendors::BodyKind;
use bursar::units::ids::KeyId;
use bursar::units::time::Timestamp;
use criterion::{Criterion, criterion_group, criterion_main};

/// So many rules: half globs, a quarter plain paths with parameters, a quarter denials. The call matches the last one, and
/// `matching` of those before it, which want another amount.
fn policy(rules: usize, matching: usize) -> PolicySet {
    let mut text =
        "name = \"p\"\nvendors = [\"stripe\"]\nparams.customer = { one_of = [\"cus_A\", \"cus_B\"] }\n".to_owned();
    let others = rules - matching - 1;
    for n in 0..others.div_ceil(2) {
        let _ = writeln!(text, "[[allow]]\nmethods = [\"GET\"]\npaths = [\"/v1/things{n}/*\", \"/v1/others{n}/**\"]");
    }
    for n in 0..others / 4 {
        let _ = writeln!(
            text,
            "[[allow]]\nmethods = [\"POST\"]\npaths = [\"/v1/writes{n}\"]\nparams.amount = {{ max = 5 }}"
        );
    }
    for n in 0..others - others.div_ceil(2) - others / 4 {
        let _ = writeln!(text, "[[deny]]\npaths = [\"/v1/barred{n}/**\"]");
    }
    for n in 0..matching {
        let _ = writeln!(text, "[[allow]]\npaths = [\"/v1/refunds\"]\nparams.amount = {{ max = {n} }}");
    }
    text.push_str("[[allow]]\nmethods = [\"POST\"]\npaths = [\"/v1/refunds\"]\nparams.amount = { max = 50_000 }\n");
    for (per, window) in [("agent", "day"), ("tenant", "month"), ("key", "total"), ("everyone", "day")] {
        let _ = writeln!(text, "[[budget]]\nper = \"{per}\"\nwindow = \"{window}\"\nlimit = \"500 USD\"");
    }
    let policy = policy_file::read("bench.toml", &text, None).expect("a sound policy");
    assert_eq!(policy.allow.len() + policy.deny.len(), rules);
    PolicySet::new(vec![policy], Vec::new()).expect("a set of one")
}

fn facts() -> Facts {
    Facts {
        subject: Subject { agent: Some("refunds".into()), ..Subject::default() },
        keys: vec![KeyId("abcdefghjkmn".into())],
        policy: "p".into(),
        vendor: "stripe".into(),
        operation: "POST /v1/refunds".into(),
        claimed_run: false,
    }
}

fn ask(bench: &mut Criterion, name: &str, set: PolicySet, target: &str, permitted: bool) {
    let facts = facts();
    let path = CanonicalPath::parse(target).expect("canonical").path;
    let sent = Sent {
        content_type: Some("application/x-www-form-urlencoded"),
        body: Body::Whole(b"charge=ch_1&amount=500&customer=cus_A&reason=duplicate"),
        ..Sent::default()
    };
    let args = Args::read(sent, &[BodyKind::Form]).expect("readable");
    let question = Question {
        now: Timestamp::now(),
        facts: &facts,
        lines: None,
        overlays: &[],
        operation: None,
        method: "POST",
        path: &path,
        args: Some(&args),
        account_headers: &[],
        test_mode: false,
    };
    assert_eq!(matches!(set.decide(&question), Decision::Permit(_)), permitted);
    bench.bench_function(name, |b| b.iter(|| black_box(set.decide(black_box(&question)))));
}

fn decide(bench: &mut Criterion) {
    for rules in [50, 200, 800] {
        ask(bench, &format!("decide: {rules} rules, permitted"), policy(rules, 0), "/v1/refunds", true);
        ask(bench, &format!("decide: {rules} rules, denied"), policy(rules, 0), "/v1/barred11/x", false);
    }
    ask(bench, "decide: 200 rules, 20 of them match", policy(200, 20), "/v1/refunds", true);
}

criterion_group!(benches, decide);
criterion_main!(benches);
