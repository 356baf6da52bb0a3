//! `[approval]`: which calls a person is asked about before they leave, and on which terms. Says who asks and why; keeps no
//! request and knows no person. `adapters::approvals` does, and the gateway waits.

use super::model::{CallLimit, Policy};
use super::param::Param;
use super::permit::{Permit, bounded};
use super::set::Plan;
use super::weigh::short_on;
use crate::rules::args::{Args, Unreadable};
use crate::rules::books::Tier;
use crate::rules::ledger::ask::{AccountState, Cause, Limit, Line, Short};
use crate::rules::ledger::need::{Need, Share};
use crate::rules::pattern::OperationPattern;
use crate::rules::subject::Name;
use std::sync::Arc;
use std::time::Duration;

/// What one policy says of approvals. Any trigger asks.
#[derive(Clone, Debug, Default)]
pub struct ApprovalRule {
    /// One call that can need more than this.
    pub over: Vec<CallLimit>,
    pub tiers: Vec<Tier>,
    pub operations: Vec<OperationPattern>,
    /// As in a deny rule: doubt asks.
    pub params: Vec<Param>,
    /// A call that takes any budget past this part of it.
    pub at: Option<Share>,
    /// An operation that no person has approved for this agent yet.
    pub first_use: bool,
    pub terms: Terms,
}

/// How a person is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// So long the call itself waits; then it is refused with the id of the request.
    pub wait: Duration,
    /// So long it may be decided; then it is refused for good.
    pub open: Duration,
    /// So long after the yes the same request passes, once.
    pub valid: Duration,
    /// How many must say yes.
    pub people: u32,
}

impl Default for Terms {
    fn default() -> Self {
        let mins = |n: u64| Duration::from_secs(n * 60);
        Self { wait: Duration::ZERO, open: mins(24 * 60), valid: mins(15), people: 1 }
    }
}

impl Terms {
    /// Of two policies the stricter word counts.
    fn and(self, other: Self) -> Self {
        Self {
            wait: self.wait.min(other.wait),
            open: self.open.min(other.open),
            valid: self.valid.min(other.valid),
            people: self.people.max(other.people),
        }
    }
}

impl ApprovalRule {
    /// Of a policy and its base: whatever either asks about, on the stricter terms.
    pub(super) fn and(self, base: &Self) -> Self {
        Self {
            over: [self.over, base.over.clone()].concat(),
            tiers: [self.tiers, base.tiers.clone()].concat(),
            operations: [self.operations, base.operations.clone()].concat(),
            params: [self.params, base.params.clone()].concat(),
            at: [self.at, base.at].into_iter().flatten().min_by_key(|share| share.0),
            first_use: self.first_use || base.first_use,
            terms: self.terms.and(base.terms),
        }
    }
}

/// What one policy asks about one call, as far as the request alone says it.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    owner: Arc<Policy>,
    /// Rules that ask already.
    because: Vec<Name>,
}

impl Ask {
    /// Of every policy that judges a call.
    pub fn of_all<'a>(
        plans: [Option<&Plan>; 2],
        operation: &str,
        tier: Tier,
        args: impl Fn(&Param) -> Result<&'a Args<'a>, Unreadable>,
    ) -> Result<Vec<Self>, Unreadable> {
        let ask = |plan: &Plan| Self::of(&plan.policy, operation, tier, &args).transpose();
        plans.into_iter().flatten().filter_map(ask).collect()
    }

    /// `None` if the policy asks about nothing.
    fn of<'a>(
        owner: &Arc<Policy>,
        operation: &str,
        tier: Tier,
        args: &impl Fn(&Param) -> Result<&'a Args<'a>, Unreadable>,
    ) -> Result<Option<Self>, Unreadable> {
        let Some(rule) = &owner.approval else { return Ok(None) };
        let mut because = Vec::new();
        let mut say = |what: String| because.push(Name::from(format!("{}: approval {what}", owner.name)));
        if rule.tiers.contains(&tier) {
            say(format!("of {tier}"));
        }
        if let Some(pattern) = rule.operations.iter().find(|o| o.matches(operation)) {
            say(format!("of {}", pattern.as_str()));
        }
        for param in &rule.params {
            if param.catches(args(param)?)? {
                say(format!("by {}", param.name.as_str()));
            }
        }
        Ok(Some(Self { owner: owner.clone(), because }))
    }

    fn rule(&self) -> Option<&ApprovalRule> {
        self.owner.approval.as_ref()
    }

    fn at(&self) -> Option<Share> {
        self.rule().and_then(|rule| rule.at)
    }

    fn name(&self, what: &str) -> Name {
        format!("{}: approval {what}", self.owner.name).into()
    }
}

/// Who asks about a call of a known bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Rules of policies that enforce: without a person's yes the call does not leave.
    pub because: Vec<Name>,
    /// Rules of policies that only observe.
    pub noted: Vec<Name>,
    /// What the call may need without a person's yes, where nobody asks.
    pub need: Need,
}

impl Permit {
    /// Does any policy ask about any call of this kind?
    pub fn may_ask(&self) -> bool {
        !self.asks.is_empty()
    }

    /// Does it matter whether the agent has used this operation before?
    pub fn asks_first_use(&self) -> bool {
        self.asks.iter().any(|ask| ask.rule().is_some_and(|rule| rule.first_use))
    }

    /// `unbounded`: nobody can say what it costs. `new`: its agent never used this operation with a person's yes.
    pub fn asked(&self, need: &Need, unbounded: bool, new: bool) -> Asked {
        let mut asked = Asked { because: Vec::new(), noted: Vec::new(), need: need.clone() };
        for (ask, rule) in self.asks.iter().filter_map(|ask| Some((ask, ask.rule()?))) {
            let enforce = ask.owner.mode.enforces();
            let mut because = ask.because.clone();
            if new && rule.first_use {
                because.push(ask.name("of a first use"));
            }
            for limit in &rule.over {
                match bounded(&asked.need, limit) {
                    Ok(lowered) if !unbounded && enforce => asked.need = lowered,
                    Ok(_) if !unbounded => {}
                    _ => because.push(limit.rule.clone()),
                }
            }
            if enforce { asked.because.extend(because) } else { asked.noted.extend(because) }
        }
        asked
    }

    /// The terms of all policies that ask.
    pub fn terms(&self) -> Terms {
        let enforcing = self.asks.iter().filter(|ask| ask.owner.mode.enforces());
        let terms = enforcing.filter_map(|ask| ask.rule()).map(|rule| rule.terms);
        terms.reduce(Terms::and).unwrap_or_default()
    }

    /// The accounts, with limits up to which nobody is asked; `None` if no fraction of a budget asks.
    pub fn unasked_lines(&self) -> Option<Arc<[Line]>> {
        let at = self.fraction()?.0;
        let below = |limit: &Limit| match limit.enforce {
            true => Limit { amount: at.of(limit.amount), ..limit.clone() },
            false => limit.clone(),
        };
        let lowered = |line: &Line| match line.window.keeps_charges() {
            true => Line { limit: line.limit.as_ref().map(below), ..line.clone() },
            // How many calls are in flight, is no question for a person.
            false => line.clone(),
        };
        Some(self.lines.iter().map(lowered).collect())
    }

    /// What a refusal under `unasked_lines` means: a rule that asks, or an account that is short whatever a person says.
    pub fn past_fraction(&self, short: Short) -> Result<Name, Short> {
        let full = self.lines.iter().find(|line| line.account == short.account).and_then(|line| line.limit.clone());
        let (Some((at, asking)), Some(limit)) = (self.fraction(), full) else { return Err(short) };
        if short.spent.saturating_add(short.need) > limit.amount {
            return Err(Short { limit, cause: Cause::Spent, ..short });
        }
        if short.spent.saturating_add(short.held).saturating_add(short.need) > limit.amount {
            return Err(Short { limit, cause: Cause::Held, ..short });
        }
        Ok(asking.name(&format!("at {} % of {}", at.0, limit.rule)))
    }

    /// The same of what stands on the accounts now, where nothing is reserved.
    pub fn past_now(&self, need: &Need, lines: &[Line], states: &[AccountState]) -> Option<Name> {
        self.past_fraction(short_on(lines, need, states)?).ok()
    }

    /// Does a policy that only observes ask at a fraction?
    pub fn observes_fraction(&self) -> bool {
        self.observed().next().is_some()
    }

    /// Which of those would have asked, by what stands on the call's accounts now.
    pub fn observed_fraction(&self, need: &Need, states: &[AccountState]) -> Option<Name> {
        let least = need.least();
        self.observed().find_map(|(at, ask)| {
            let past = |line: &Line, state: &AccountState| {
                let limit = line.limit.as_ref().filter(|_| line.window.keeps_charges())?;
                let after = state.spent.saturating_add(state.held).saturating_add(least.of(line.unit));
                (after > at.of(limit.amount)).then(|| ask.name(&format!("at {} % of {}", at.0, limit.rule)))
            };
            self.lines.iter().zip(states).find_map(|(line, state)| past(line, state))
        })
    }

    fn observed(&self) -> impl Iterator<Item = (Share, &Ask)> {
        let observing = self.asks.iter().filter(|ask| !ask.owner.mode.enforces());
        observing.filter_map(|ask| Some((ask.at()?, ask)))
    }

    /// The smallest that is enforced, and whose it is.
    fn fraction(&self) -> Option<(Share, &Ask)> {
        let enforcing = self.asks.iter().filter(|ask| ask.owner.mode.enforces());
        enforcing.filter_map(|ask| Some((ask.at()?, ask))).min_by_key(|(at, _)| at.0)
    }
}
