//! The order of evaluation: the key (expiry, vendor, whom it is counted by), deny, allow and overlays, arguments (parameters,
//! account headers). The first reason wins; `explain` goes on behind it and notes every rule. The bound of the call and the
//! limits per call come next, and then the ledger: kill flags, rates, risk and budgets in one step.
//!
//! The global policy is asked before the key's own at every step, so that nobody loosens it. In `observe` mode a refusal is
//! noted and the call goes on; each policy's mode speaks for its own refusals alone.

mod bounds;
mod shapes;
mod words;

use super::approval::Ask;
use super::decide::{Decision, Question};
use super::denial::{Code, Denial};
use super::explain::{Explained, Outline};
use super::lines::{Asked, Uncountable};
use super::model::{Mode, Policy};
use super::overlay::Overlay;
use super::param::Param;
use super::permit::Permit;
use super::rates;
use super::rule::Rule;
use super::set::{Plan, PolicySet};
use super::trace::{Look, Reason, Refusal, Said, Step, Trace};
use crate::rules::args::{Args, Unreadable};
use crate::rules::books::Tier;
use crate::rules::ledger::account::Scope;
use crate::rules::ledger::ask::Line;
use crate::rules::ledger::rates::Rate;
use crate::rules::subject::Facts;
use crate::units::ids::KeyId;
use std::sync::{Arc, OnceLock};

/// A call under judgement.
struct Judge<'a> {
    plan: &'a Plan,
    /// The global policy first, then the key's own.
    judging: &'a [Option<Judging<'a>>; 2],
    asking: [Option<&'a Plan>; 2],
    q: &'a Question<'a>,
    /// As a vendor reads it.
    path: &'a str,
    would: Option<Box<Denial>>,
    /// Only if somebody wants to see what was looked at: then the judgement goes on behind a refusal.
    trace: Option<Box<Trace>>,
}

/// A policy, and its rules that are about this call.
struct Judging<'a> {
    policy: &'a Policy,
    catching: Vec<&'a Rule>,
    matching: Vec<&'a Rule>,
}

impl<'a> Judging<'a> {
    fn new(plan: &'a Plan, q: &Question<'_>, path: &str) -> Self {
        let (vendor, method) = (&*q.facts.vendor, q.method);
        let (catching, matching) = (plan.catching(vendor, method, path), plan.matching(vendor, method, path));
        Self { policy: &plan.policy, catching, matching }
    }
}

/// Why the judgement ended before a permit.
enum Stop {
    Deny(Denial),
    Unreadable(Unreadable),
}

impl From<Unreadable> for Stop {
    fn from(unreadable: Unreadable) -> Self {
        Self::Unreadable(unreadable)
    }
}

pub(super) fn decide(set: &PolicySet, q: &Question<'_>) -> Decision {
    let Some(plan) = set.plan(&q.facts.policy) else { return Decision::Deny(words::no_policy(&q.facts.policy)) };
    match judge(set, plan, q, None).0 {
        Ok(permit) => Decision::Permit(permit),
        Err(Stop::Deny(denial)) => Decision::Deny(denial),
        Err(Stop::Unreadable(unreadable)) => Decision::Unreadable(unreadable),
    }
}

pub(super) fn explain(set: &PolicySet, q: &Question<'_>) -> Explained {
    let Some(plan) = set.plan(&q.facts.policy) else {
        let denial = words::no_policy(&q.facts.policy);
        let look = Look { step: Step::Key, rule: denial.rule.clone(), said: Reason::from(&denial).said(true) };
        return Explained { refused: Some(Refusal::Denied(denial)), looks: vec![look], terms: None };
    };
    let (judged, trace) = judge(set, plan, q, Some(Box::default()));
    let mut trace = trace.unwrap_or_default();
    let terms = match judged {
        Ok(permit) => Some(Outline(permit)),
        Err(Stop::Unreadable(unreadable)) => {
            trace.unreadable(unreadable);
            None
        }
        Err(Stop::Deny(_)) => None,
    };
    Explained { refused: trace.refused, looks: trace.looks, terms }
}

fn judge(
    set: &PolicySet,
    plan: &Plan,
    q: &Question<'_>,
    trace: Option<Box<Trace>>,
) -> (Result<Permit, Stop>, Option<Box<Trace>>) {
    let path = q.path.for_rules();
    let asking = set.judging(plan);
    let judging = asking.map(|plan| plan.map(|plan| Judging::new(plan, q, &path)));
    let mut judge = Judge { plan, asking, judging: &judging, q, path: &path, would: None, trace };
    (judge.run(), judge.trace)
}

/// It reads, costs nothing, and comes at no agent's pace.
pub(super) fn follow_up(set: &PolicySet, facts: &Facts) -> Option<Permit> {
    let plan = set.plan(&facts.policy)?;
    Some(Permit {
        policy: Arc::clone(&plan.policy),
        lines: asked(&plan.policy, facts, &[]).lines(&plan.lines).0.into(),
        rates: [].into(),
        call_limits: Vec::new(),
        tier: Tier::ReadOnly,
        action: None,
        risk: 0,
        max_output_tokens: None,
        ceiling: None,
        would_deny: None,
        test_mode: false,
        asks: Vec::new(),
    })
}

/// Whose accounts: shared with `PolicySet::lines`.
pub(super) fn asked<'a>(policy: &Policy, facts: &'a Facts, overlays: &'a [(&'a KeyId, &'a Overlay)]) -> Asked<'a> {
    Asked { facts, overlays, enforce: policy.mode.enforces() }
}

impl<'a> Judge<'a> {
    fn run(&mut self) -> Result<Permit, Stop> {
        self.expiry()?;
        self.vendor()?;
        let (rates, lines) = (self.rates()?, self.lines()?);
        self.deny_rules()?;
        self.windows()?;
        self.allow_rules()?;
        self.overlay_rules()?;
        self.policy_params()?;
        self.schemas()?;
        self.models()?;
        let tier = self.allow_params()?;
        self.account_headers()?;
        let permit = self.permit(tier, lines, rates)?;
        // Nobody is asked about a call that is denied anyhow.
        let asks = Ask::of_all(self.asking, &self.q.facts.operation, tier, |param| self.args(param))?;
        Ok(Permit { asks, ..permit })
    }

    fn own(&self) -> &'a Policy {
        &self.plan.policy
    }

    fn policies(&self) -> impl Iterator<Item = &'a Policy> + use<'a> {
        self.judging().map(|one| one.policy)
    }

    fn judging(&self) -> impl Iterator<Item = &'a Judging<'a>> + use<'a> {
        self.judging.iter().flatten()
    }

    /// Ends the judgement, or notes what would have ended it.
    fn refuse(&mut self, step: Step, mode: Mode, denial: Denial) -> Result<(), Stop> {
        let stops = mode.enforces() || !denial.code.yields_to_observe();
        match &mut self.trace {
            Some(trace) => trace.refusal(step, stops, &denial),
            None if stops => return Err(Stop::Deny(denial)),
            None => {}
        }
        if !stops {
            self.would.get_or_insert_with(|| Box::new(denial));
        }
        Ok(())
    }

    fn passed(&mut self, step: Step, rule: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.note(step, rule().into(), Said::Passes(String::new()));
        }
    }

    fn expiry(&mut self) -> Result<(), Stop> {
        for policy in self.policies() {
            if let Some(end) = policy.expires_at.filter(|end| *end <= self.q.now) {
                self.refuse(Step::Key, policy.mode, words::expired(policy, end))?;
            } else if policy.expires_at.is_some() {
                self.passed(Step::Key, || format!("{}: expires_at", policy.name));
            }
        }
        for (key, overlay) in self.q.overlays {
            if let Some(end) = overlay.expires_at.filter(|end| *end <= self.q.now) {
                self.refuse(Step::Key, self.own().mode, words::overlay_expired(key, end))?;
            }
        }
        Ok(())
    }

    fn vendor(&mut self) -> Result<(), Stop> {
        let vendor = &*self.q.facts.vendor;
        for policy in self.policies() {
            if !policy.covers_vendor(vendor) {
                self.refuse(Step::Key, policy.mode, words::foreign_vendor(policy, vendor))?;
            } else {
                self.passed(Step::Key, || format!("{}: vendors", policy.name));
            }
        }
        let outside = self.q.overlays.iter().find(|(_, overlay)| !overlay.covers_vendor(vendor));
        match outside {
            Some((key, overlay)) => {
                self.refuse(Step::Key, self.own().mode, words::overlay_vendor(key, overlay, vendor))
            }
            None => Ok(()),
        }
    }

    fn deny_rules(&mut self) -> Result<(), Stop> {
        for Judging { policy, catching, .. } in self.judging() {
            for rule in catching {
                if self.catches(rule)? {
                    let denial = words::denied(policy, rule, self.q);
                    self.refuse(Step::Deny, rule.mode.under(policy.mode), denial)?;
                } else {
                    self.passed(Step::Deny, || format!("{}: {}", policy.name, rule.label));
                }
            }
            if let Some(trace) = &mut self.trace {
                trace.elsewhere(Step::Deny, &policy.name, &policy.deny, catching);
            }
        }
        Ok(())
    }

    /// A deny rule with parameters matches only if all of them do.
    fn catches(&self, rule: &Rule) -> Result<bool, Unreadable> {
        for param in &rule.params {
            if !param.catches(self.args(param)?)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn allow_rules(&mut self) -> Result<(), Stop> {
        for Judging { policy, matching, .. } in self.judging() {
            let open = policy.global && policy.allow.is_empty() && !self.own().global;
            if !open && matching.is_empty() {
                let denial = words::not_allowed(policy, self.q);
                self.refuse(Step::Allow, policy.mode, denial)?;
            }
            for rule in matching {
                self.passed(Step::Allow, || format!("{}: {}", policy.name, rule.label));
            }
            if let Some(trace) = &mut self.trace {
                trace.elsewhere(Step::Allow, &policy.name, &policy.allow, matching);
            }
        }
        Ok(())
    }

    fn overlay_rules(&mut self) -> Result<(), Stop> {
        let outside = self.q.overlays.iter().find(|(_, overlay)| !overlay.allows(self.q.method, self.path));
        match outside {
            Some((key, overlay)) => {
                self.refuse(Step::Allow, self.own().mode, words::overlay_denied(key, overlay, self.q))
            }
            None => Ok(()),
        }
    }

    fn policy_params(&mut self) -> Result<(), Stop> {
        for policy in self.policies() {
            for param in &policy.params {
                match self.first_fault(policy, "params", std::slice::from_ref(param))? {
                    Some(denial) => self.refuse(Step::Arguments, param.mode.under(policy.mode), denial)?,
                    None => {
                        self.passed(Step::Arguments, || format!("{}: params: {}", policy.name, param.name.as_str()))
                    }
                }
            }
        }
        Ok(())
    }

    /// Of the allow rules that match, one must accept the parameters; the first that does lends its tier.
    fn allow_params(&mut self) -> Result<Tier, Stop> {
        let mut tier = None;
        for one @ Judging { policy, .. } in self.judging() {
            let (rule, denial) = self.first_accepting(one)?;
            match (rule, denial) {
                (Some(rule), Some(denial)) => {
                    self.refuse(Step::Arguments, rule.mode.under(policy.mode), denial)?;
                }
                (Some(rule), None) => {
                    self.passed(Step::Arguments, || format!("{}: {}", policy.name, rule.label));
                }
                (None, _) => {}
            }
            // Of two overrides the more harmful one counts: the key's own policy cannot talk a global one down.
            tier = tier.max(rule.and_then(|rule| rule.tier));
        }
        Ok(tier.unwrap_or_else(|| self.usual_tier()))
    }

    /// The rule that accepts; or else the first that only observes, or the first that matches, with its reason.
    fn first_accepting(&self, one: &'a Judging<'a>) -> Result<(Option<&'a Rule>, Option<Denial>), Stop> {
        let mut first: Option<(&Rule, Denial)> = None;
        for &rule in &one.matching {
            match self.first_fault(one.policy, &rule.label, &rule.params)? {
                None => return Ok((Some(rule), None)),
                Some(denial)
                    if first.as_ref().is_none_or(|(kept, _)| kept.mode.enforces() && !rule.mode.enforces()) =>
                {
                    first = Some((rule, denial));
                }
                Some(_) => {}
            }
        }
        Ok(first.map_or((None, None), |(rule, denial)| (Some(rule), Some(denial))))
    }

    fn first_fault(&self, policy: &Policy, label: &str, params: &[Param]) -> Result<Option<Denial>, Stop> {
        for param in params {
            if let Some(fault) = param.fault(self.args(param)?)? {
                return Ok(Some(words::bad_param(policy, label, param, &fault)));
            }
        }
        Ok(None)
    }

    /// Whoever passed a body unread must not find that a rule reads nothing there.
    fn args(&self, param: &Param) -> Result<&'a Args<'a>, Unreadable> {
        self.q.args.ok_or_else(|| Unreadable::Opaque { name: param.name.as_str().to_owned() })
    }

    fn usual_tier(&self) -> Tier {
        self.q.operation.map_or_else(|| bounds::by_method(self.q.method), |operation| operation.tier)
    }
}
