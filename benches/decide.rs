//! What a decision costs: a policy of 50 rules with parameters and budgets, a call that passes and one that is denied.
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

/// 25 globs and 24 plain paths; the call matches the last.
fn policy() -> PolicySet {
    let mut text =
        "name = \"p\"\nvendors = [\"stripe\"]\nparams.customer = { one_of = [\"cus_A\", \"cus_B\"] }\n".to_owned();
    for n in 0..25 {
        let _ = writeln!(text, "[[allow]]\nmethods = [\"GET\"]\npaths = [\"/v1/things{n}/*\", \"/v1/others{n}/**\"]");
    }
    for n in 0..12 {
        let _ = writeln!(
            text,
            "[[allow]]\nmethods = [\"POST\"]\npaths = [\"/v1/writes{n}\"]\nparams.amount = {{ max = 5 }}"
        );
        let _ = writeln!(text, "[[deny]]\npaths = [\"/v1/barred{n}/**\"]");
    }
    text.push_str("[[allow]]\nmethods = [\"POST\"]\npaths = [\"/v1/refunds\"]\nparams.amount = { max = 50_000 }\n");
    for (per, window) in [("agent", "day"), ("tenant", "month"), ("key", "total"), ("everyone", "day")] {
        let _ = writeln!(text, "[[budget]]\nper = \"{per}\"\nwindow = \"{window}\"\nlimit = \"500 USD\"");
    }
    let policy = policy_file::read("bench.toml", &text, None).expect("a sound policy");
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

fn ask(bench: &mut Criterion, name: &str, target: &str, permitted: bool) {
    let (set, facts) = (policy(), facts());
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
    ask(bench, "decide: 50 rules, permitted", "/v1/refunds", true);
    ask(bench, "decide: 50 rules, denied", "/v1/barred11/x", false);
}

criterion_group!(benches, decide);
criterion_main!(benches);
