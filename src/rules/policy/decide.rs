//! The one question that a call is asked before anything is held for it, and the three answers. The order of evaluation
//! stands in `judge`; the first reason wins.

use std::sync::{Arc, OnceLock};

use super::denial::Denial;
use super::judge;
use super::overlay::Overlay;
use super::permit::Permit;
use super::rule::Rule;
use super::set::PolicySet;
use crate::rules::args::{Args, Unreadable};
use crate::rules::ledger::ask::Line;
use crate::rules::path::CanonicalPath;
use crate::rules::subject::Facts;
use crate::rules::vendors::Operation;
use crate::units::ids::KeyId;
use crate::units::time::Timestamp;

/// One call, as far as the rules look at it.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    pub now: Timestamp,
    /// `facts.policy` names the policy, `facts.vendor` the vendor.
    pub facts: &'a Facts,
    /// Where the accounts of such calls under these policies are kept, if they are.
    pub lines: Option<&'a SameLines>,
    /// Of the key and all its ancestors.
    pub overlays: &'a [(&'a KeyId, &'a Overlay)],
    /// `None` if the catalogue has no such operation.
    pub operation: Option<&'a Operation>,
    pub method: &'a str,
    /// What is judged is what is sent.
    pub path: &'a CanonicalPath,
    /// `None` if `reads_args` said that no rule looks; a rule that does then refuses.
    pub args: Option<&'a Args<'a>>,
    /// Account-selecting headers that the caller sent: lower-case name, value.
    pub account_headers: &'a [(&'a str, &'a str)],
    /// The credential that the policy picks is one of the vendor's test mode.
    pub test_mode: bool,
}

/// The accounts of calls with the same facts and overlays under the same policies: named by the first of them.
#[derive(Debug, Default)]
pub struct SameLines(pub(super) OnceLock<Arc<[Line]>>);

/// What the rules say of a call.
#[derive(Clone, Debug)]
pub enum Decision {
    Permit(Permit),
    Deny(Denial),
    /// A rule reads a parameter that has no single reading: 400 or 415, also in `observe` mode.
    Unreadable(Unreadable),
}

impl PolicySet {
    /// The only maker of a `Permit`.
    pub fn decide(&self, question: &Question<'_>) -> Decision {
        judge::decide(self, question)
    }

    /// Also a `Permit`: for questions of bursar's own about a call that was permitted before, on that call's accounts. What it
    /// cost is to be known whatever its policy has become. `None` if there is no policy of that name any more.
    pub fn follow_up(&self, facts: &Facts) -> Option<Permit> {
        judge::follow_up(self, facts)
    }

    /// Could a rule look at a parameter of such a call? If not, the body may pass unread as far as the policy goes.
    pub fn reads_args(&self, policy: &str, vendor: &str, method: &str, path: &CanonicalPath, operation: &str) -> bool {
        let path = path.for_rules();
        let plans = self.plan(policy).map(|own| self.judging(own)).unwrap_or_default();
        plans.into_iter().flatten().any(|plan| {
            let reads = |rules: Vec<&Rule>| rules.iter().any(|rule| !rule.params.is_empty());
            !plan.policy.params.is_empty()
                || plan.policy.weights.reads(vendor, operation)
                || plan.policy.tells_requests_apart(vendor, operation)
                || plan.policy.approval.as_ref().is_some_and(|a| !a.params.is_empty())
                || !plan.shaping(vendor, method, &path).is_empty()
                || reads(plan.catching(vendor, method, &path))
                || reads(plan.matching(vendor, method, &path))
        })
    }

    /// Might a person be asked about some call under this policy? Then what is approved is the body as it was read.
    pub fn may_ask(&self, policy: &str) -> bool {
        let plans = self.plan(policy).map(|own| self.judging(own)).unwrap_or_default();
        plans.into_iter().flatten().any(|plan| plan.policy.approval.is_some())
    }

    /// The accounts that a call with these facts would count on, with their limits: what a key may still spend.
    pub fn lines(&self, facts: &Facts, overlays: &[(&KeyId, &Overlay)]) -> Vec<Line> {
        let Some(plan) = self.plan(&facts.policy) else { return Vec::new() };
        judge::asked(&plan.policy, facts, overlays).lines(&plan.lines).0
    }
}
