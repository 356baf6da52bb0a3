//! The order of evaluation: expiry, vendor, deny, allow, overlays, parameters, account headers, levels. The first reason wins.
//!
//! The global policy is asked before the key's own at every step, so that nobody loosens it. In `observe` mode a refusal is
//! noted and the call goes on; each policy's mode speaks for its own refusals alone.

mod words;

use super::approval::Ask;
use super::decide::{Decision, Question};
use super::denial::{Code, Denial};
use super::lines::{Asked, Uncountable};
use super::model::{CallLimit, Mode, Policy};
use super::overlay::Overlay;
use super::param::Param;
use super::permit::{CallBound, Permit};
use super::rates;
use super::rule::Rule;
use super::set::{Plan, PolicySet};
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
    let path = q.path.for_rules();
    let asking = set.judging(plan);
    let judging = asking.map(|plan| plan.map(|plan| Judging::new(plan, q, &path)));
    let judge = Judge { plan, asking, judging: &judging, q, path: &path, would: None };
    match judge.run() {
        Ok(permit) => Decision::Permit(permit),
        Err(Stop::Deny(denial)) => Decision::Deny(denial),
        Err(Stop::Unreadable(unreadable)) => Decision::Unreadable(unreadable),
    }
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
        asks: Vec::new(),
    })
}

/// Whose accounts: shared with `PolicySet::lines`.
pub(super) fn asked<'a>(policy: &Policy, facts: &'a Facts, overlays: &'a [(&'a KeyId, &'a Overlay)]) -> Asked<'a> {
    Asked { facts, overlays, enforce: policy.mode.enforces() }
}

impl<'a> Judge<'a> {
    fn run(mut self) -> Result<Permit, Stop> {
        self.expiry()?;
        self.vendor()?;
        self.deny_rules()?;
        self.allow_rules()?;
        self.overlay_rules()?;
        self.policy_params()?;
        let tier = self.allow_params()?;
        self.account_headers()?;
        let lines = self.lines()?;
        let rates = self.rates()?;
        // Nobody is asked about a call that is denied anyhow.
        let asks = Ask::of_all(self.asking, &self.q.facts.operation, tier, |param| self.args(param))?;
        Ok(Permit { asks, ..self.permit(tier, lines, rates) })
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
    fn refuse(&mut self, mode: Mode, denial: Denial) -> Result<(), Stop> {
        if mode.enforces() || !denial.code.yields_to_observe() {
            return Err(Stop::Deny(denial));
        }
        self.would.get_or_insert_with(|| Box::new(denial));
        Ok(())
    }

    fn expiry(&mut self) -> Result<(), Stop> {
        for policy in self.policies() {
            if let Some(end) = policy.expires_at.filter(|end| *end <= self.q.now) {
                self.refuse(policy.mode, words::expired(policy, end))?;
            }
        }
        for (key, overlay) in self.q.overlays {
            if let Some(end) = overlay.expires_at.filter(|end| *end <= self.q.now) {
                self.refuse(self.own().mode, words::overlay_expired(key, end))?;
            }
        }
        Ok(())
    }

    fn vendor(&mut self) -> Result<(), Stop> {
        let vendor = &*self.q.facts.vendor;
        for policy in self.policies().filter(|policy| !policy.covers_vendor(vendor)) {
            self.refuse(policy.mode, words::foreign_vendor(policy, vendor))?;
        }
        let outside = self.q.overlays.iter().find(|(_, overlay)| !overlay.covers_vendor(vendor));
        match outside {
            Some((key, overlay)) => self.refuse(self.own().mode, words::overlay_vendor(key, overlay, vendor)),
            None => Ok(()),
        }
    }

    fn deny_rules(&mut self) -> Result<(), Stop> {
        for Judging { policy, catching, .. } in self.judging() {
            for rule in catching {
                if self.catches(rule)? {
                    let denial = words::denied(policy, rule, self.q);
                    self.refuse(policy.mode, denial)?;
                }
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
                self.refuse(policy.mode, denial)?;
            }
        }
        Ok(())
    }

    fn overlay_rules(&mut self) -> Result<(), Stop> {
        let outside = self.q.overlays.iter().find(|(_, overlay)| !overlay.allows(self.q.method, self.path));
        match outside {
            Some((key, overlay)) => self.refuse(self.own().mode, words::overlay_denied(key, overlay, self.q)),
            None => Ok(()),
        }
    }

    fn policy_params(&mut self) -> Result<(), Stop> {
        for policy in self.policies() {
            if let Some(denial) = self.first_fault(policy, "params", &policy.params)? {
                self.refuse(policy.mode, denial)?;
            }
        }
        Ok(())
    }

    /// Of the allow rules that match, one must accept the parameters; the first that does lends its tier.
    fn allow_params(&mut self) -> Result<Tier, Stop> {
        let mut tier = None;
        for one @ Judging { policy, .. } in self.judging() {
            let (accepted, denial) = self.first_accepting(one)?;
            if let Some(denial) = denial {
                self.refuse(policy.mode, denial)?;
            }
            // Of two overrides the more harmful one counts: the key's own policy cannot talk a global one down.
            tier = tier.max(accepted.and_then(|rule| rule.tier));
        }
        Ok(tier.unwrap_or_else(|| self.usual_tier()))
    }

    /// The rule that accepts; or else the first one that matches, with its reason.
    fn first_accepting(&self, one: &'a Judging<'a>) -> Result<(Option<&'a Rule>, Option<Denial>), Stop> {
        let mut first = None;
        for &rule in &one.matching {
            match self.first_fault(one.policy, &rule.label, &rule.params)? {
                None => return Ok((Some(rule), None)),
                Some(denial) => first = first.or(Some((rule, denial))),
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
        self.q.operation.map_or_else(|| by_method(self.q.method), |operation| operation.tier)
    }

    fn account_headers(&mut self) -> Result<(), Stop> {
        for (name, value) in self.q.account_headers {
            let listed =
                |policy: &Policy| policy.accounts.get(*name).is_some_and(|list| list.iter().any(|v| **v == **value));
            // The global policy narrows a header that it names; it need not name every header.
            let refusing = self
                .policies()
                .find(|p| !listed(p) && (!p.global || self.own().global || p.accounts.contains_key(*name)));
            if let Some(policy) = refusing {
                self.refuse(policy.mode, words::bad_account(policy, name, value))?;
            }
        }
        Ok(())
    }

    fn lines(&mut self) -> Result<Arc<[Line]>, Stop> {
        let same = self.q.lines.map(|same| &same.0);
        if let Some(lines) = same.and_then(OnceLock::get) {
            return Ok(lines.clone());
        }
        let asked = asked(self.own(), self.q.facts, self.q.overlays);
        let (lines, missing) = asked.lines(&self.plan.lines);
        let lines: Arc<[Line]> = lines.into();
        match (missing, same) {
            // It is said anew of each call.
            (Some(missing), _) => self.uncountable(&missing)?,
            (None, Some(same)) => drop(same.set(lines.clone())),
            (None, None) => {}
        }
        Ok(lines)
    }

    fn rates(&mut self) -> Result<Vec<Rate>, Stop> {
        let (rates, missing) = rates::of(&self.plan.rates, self.q.facts);
        if let Some(missing) = missing {
            self.uncountable(&missing)?;
        }
        Ok(rates)
    }

    fn uncountable(&mut self, missing: &Uncountable) -> Result<(), Stop> {
        let mode = if missing.enforce { Mode::Enforce } else { Mode::Observe };
        let claimed = self.q.facts.claimed_run && missing.scope == Scope::Run;
        self.refuse(mode, words::uncountable(missing, claimed, self.own().trust_headers))
    }

    fn permit(self, tier: Tier, lines: Arc<[Line]>, rates: Vec<Rate>) -> Permit {
        Permit {
            policy: Arc::clone(&self.plan.policy),
            lines,
            rates: rates.into(),
            call_limits: self.call_limits(),
            tier,
            action: self.q.operation.map(|operation| operation.action.clone()),
            risk: self.risk(tier),
            max_output_tokens: self.policies().filter_map(|p| p.max_output_tokens).min(),
            ceiling: self.policies().filter_map(|p| p.ceiling).min(),
            would_deny: self.would,
            asks: Vec::new(),
        }
    }

    fn call_limits(&self) -> Vec<CallBound> {
        let facts = self.q.facts;
        let own = self.plan.call_limits.iter().filter(|b| b.limit.covers(&facts.vendor, &facts.operation)).cloned();
        let enforce = self.own().mode.enforces();
        let of_keys = self.q.overlays.iter().flat_map(|(_, overlay)| &overlay.budgets);
        let of_keys = of_keys.filter(|b| b.shape().is_none()).map(|b| CallBound {
            limit: CallLimit {
                unit: b.unit(),
                amount: b.amount(),
                vendor: None,
                operations: Vec::new(),
                rule: b.rule().clone(),
            },
            enforce,
        });
        own.chain(of_keys).collect()
    }

    /// The policy's points, never below the global one's; an operation that nobody has mapped costs at least one.
    fn risk(&self, tier: Tier) -> u64 {
        let own = self.own().risk.get(tier).unwrap_or_else(|| tier.points());
        let floor = self.policies().filter_map(|p| p.risk.get(tier)).max().unwrap_or(0);
        let unmapped = u64::from(self.q.operation.is_none());
        own.max(floor).max(unmapped)
    }
}

/// What a method usually does, where the catalogue knows nothing better.
fn by_method(method: &str) -> Tier {
    match method {
        "GET" | "HEAD" | "OPTIONS" => Tier::ReadOnly,
        "DELETE" => Tier::Mutation,
        _ => Tier::WriteExternal,
    }
}
