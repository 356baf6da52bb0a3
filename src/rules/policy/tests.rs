//! What the tables share: policies as TOML, calls as a line, and a short word for each decision.

mod approvals;
mod compare;
mod decisions;
mod explain;
mod fit;
mod inheritance;
mod lines;
mod models;
mod overlays;
mod params;
mod properties;
mod rates;
mod schemas;
mod shipped;
mod weights;
mod windows;

use super::*;
use crate::config::policy_file;
use crate::rules::args::{Args, Body, Sent};
use crate::rules::books::Tier;
use crate::rules::path::CanonicalPath;
use crate::rules::subject::{Facts, Subject};
use crate::rules::vendors::{BodyKind, Operation, Price};
use crate::units::ids::KeyId;
use crate::units::time::Timestamp;

pub fn policy(text: &str) -> Policy {
    policy_file::read("test.toml", text, None).unwrap_or_else(|e| panic!("{e}"))
}

pub fn set(texts: &[&str]) -> PolicySet {
    PolicySet::new(texts.iter().map(|t| policy(t)).collect(), Vec::new()).expect("a sound set")
}

pub fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

pub fn overlay(json: &str) -> Overlay {
    serde_json::from_str(json).unwrap_or_else(|e| panic!("{json}: {e}"))
}

/// One call, ready to be asked about.
#[derive(Debug)]
pub struct Call<'a> {
    pub method: &'a str,
    pub target: &'a str,
    /// JSON if it begins with `{`, else a form.
    pub body: &'a str,
    pub facts: Facts,
    pub operation: Option<Operation>,
    pub overlays: Vec<(KeyId, Overlay)>,
    pub headers: Vec<(&'a str, &'a str)>,
    pub claimed: bool,
    pub test_mode: bool,
    pub now: Timestamp,
    /// Passed on unread, as if `reads_args` had said so.
    pub unread: bool,
}

pub fn call<'a>(method: &'a str, target: &'a str, body: &'a str) -> Call<'a> {
    Call {
        method,
        target,
        body,
        facts: facts("p", "stripe", &format!("{method} {target}")),
        operation: None,
        overlays: Vec::new(),
        headers: Vec::new(),
        claimed: false,
        test_mode: false,
        now: at("2026-06-15T12:00:00Z"),
        unread: false,
    }
}

pub fn facts(policy: &str, vendor: &str, operation: &str) -> Facts {
    Facts {
        subject: Subject { agent: Some("refunds".into()), ..Subject::default() },
        keys: vec![KeyId("child".into()), KeyId("parent".into())],
        policy: policy.into(),
        vendor: vendor.into(),
        operation: operation.into(),
        claimed_run: false,
    }
}

pub fn operation(name: &str, tier: Tier) -> Operation {
    let (method, path) = name.split_once(' ').expect("method and path");
    Operation {
        name: name.into(),
        method: method.into(),
        template: path.split('/').skip(1).map(Into::into).collect(),
        action: "test".into(),
        tier,
        bodies: vec![BodyKind::Json, BodyKind::Form],
        price: Price::Free,
    }
}

impl Call<'_> {
    /// As the gateway makes them.
    fn facts(&self, set: &PolicySet) -> Facts {
        let counts = set.get(&self.facts.policy).is_none_or(|policy| policy.counts_run(self.claimed));
        Facts { claimed_run: !counts, ..self.facts.clone() }
    }

    pub fn decide(&self, set: &PolicySet) -> Decision {
        let target = CanonicalPath::parse(self.target).expect("a canonical target");
        let json = self.body.starts_with('{');
        let sent = Sent {
            query: target.query.as_deref(),
            content_type: Some(if json { "application/json" } else { "application/x-www-form-urlencoded" }),
            body: Body::Whole(self.body.as_bytes()),
            ..Sent::default()
        };
        let args = match Args::read(sent, &[BodyKind::Json, BodyKind::Form]) {
            Ok(args) => args,
            Err(unreadable) => return Decision::Unreadable(unreadable),
        };
        let overlays: Vec<(&KeyId, &Overlay)> = self.overlays.iter().map(|(key, overlay)| (key, overlay)).collect();
        let (facts, same) = (self.facts(set), SameLines::default());
        let ask = |lines| {
            set.decide(&Question {
                now: self.now,
                facts: &facts,
                lines,
                overlays: &overlays,
                operation: self.operation.as_ref(),
                method: self.method,
                path: &target.path,
                args: (!self.unread).then_some(&args),
                account_headers: &self.headers,
                test_mode: self.test_mode,
            })
        };
        // Whether its accounts are named anew, or by an earlier call, changes nothing.
        let (alone, first, again) = (ask(None), ask(Some(&same)), ask(Some(&same)));
        for other in [first, again] {
            assert_eq!(format!("{alone:?}"), format!("{other:?}"));
        }
        alone
    }

    pub fn permit(&self, set: &PolicySet) -> Permit {
        match self.decide(set) {
            Decision::Permit(permit) => permit,
            other => panic!("no permit: {}", word(&other)),
        }
    }

    pub fn denial(&self, set: &PolicySet) -> Denial {
        match self.decide(set) {
            Decision::Deny(denial) => denial,
            other => panic!("no denial: {}", word(&other)),
        }
    }

    pub fn word(&self, set: &PolicySet) -> String {
        word(&self.decide(set))
    }
}

/// `allow`, a code, `unreadable`, or `observed` and the code that enforcement would have given.
pub fn word(decision: &Decision) -> String {
    match decision {
        Decision::Permit(permit) => match permit.would_deny() {
            Some(denial) => format!("observed {}", denial.code),
            None => "allow".to_owned(),
        },
        Decision::Deny(denial) => denial.code.to_string(),
        Decision::Unreadable(_) => "unreadable".to_owned(),
    }
}
