//! The accounts of a call, and which limit is checked on each: of its own policy, of the global one, of its key and the
//! key's ancestors. The tightest limit counts, one that is enforced before one that only observes.

use super::model::{Policy, covers};
use super::overlay::{Overlay, OverlayBudget};
use crate::rules::ledger::account::{AccountName, Scope, Shape};
use crate::rules::ledger::ask::{Limit, Line};
use crate::rules::subject::{Facts, Name};
use crate::units::ids::KeyId;

/// One shape of the set, with the limit that one policy puts on it.
#[derive(Debug)]
pub(super) struct LinePlan {
    pub shape: Shape,
    pub limit: Option<Limit>,
}

/// A budget that a call cannot be counted on: its subject lacks the level.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Uncountable {
    pub scope: Scope,
    pub rule: Name,
    pub enforce: bool,
}

/// Whose accounts are asked for.
pub(super) struct Asked<'a> {
    pub facts: &'a Facts,
    pub overlays: &'a [(&'a KeyId, &'a Overlay)],
    /// Does the key's policy enforce the overlays' limits?
    pub enforce: bool,
}

impl LinePlan {
    pub fn new(shape: &Shape, owners: &[&Policy]) -> Self {
        let limits = owners.iter().flat_map(|owner| {
            let same = owner.budgets.iter().filter(|b| b.shape == *shape);
            same.map(|b| limit(&b.rule, b.amount, b.mode.under(owner.mode).enforces(), shape.scope))
        });
        Self { shape: shape.clone(), limit: limits.reduce(tighter) }
    }
}

fn limit(rule: &Name, amount: u64, enforce: bool, scope: Scope) -> Limit {
    Limit { amount, rule: rule.clone(), enforce, hidden: scope.above_tenants() }
}

fn tighter(a: Limit, b: Limit) -> Limit {
    // A limit that only observes must not stand in front of one that refuses.
    if (b.enforce, std::cmp::Reverse(b.amount)) > (a.enforce, std::cmp::Reverse(a.amount)) { b } else { a }
}

impl Asked<'_> {
    /// All lines, narrow scopes first, and the first budget that this call cannot be counted on.
    pub fn lines(&self, plans: &[LinePlan]) -> (Vec<Line>, Option<Uncountable>) {
        let mut lines = Vec::with_capacity(plans.len() + 2);
        let (mut missing, mut room) = (None, String::with_capacity(96));
        for plan in plans.iter().filter(|plan| self.covered(&plan.shape)) {
            let before = lines.len();
            let line = |account| lines.push(line(account, &plan.shape, plan.limit.clone()));
            plan.shape.each_account(self.facts, &mut room, line);
            if let (Some(limit), true, None) = (&plan.limit, before == lines.len(), &missing) {
                missing =
                    Some(Uncountable { scope: plan.shape.scope, rule: limit.rule.clone(), enforce: limit.enforce });
            }
        }
        for (key, overlay) in self.overlays {
            for budget in &overlay.budgets {
                let uncounted = self.add(key, budget, &mut lines);
                missing = missing.or(uncounted);
            }
        }
        (lines, missing)
    }

    fn covered(&self, shape: &Shape) -> bool {
        covers(shape.vendor.as_ref(), &shape.operations, &self.facts.vendor, &self.facts.operation)
    }

    /// The key's own budget: on that key's account alone, whoever of its children calls.
    fn add(&self, key: &KeyId, budget: &OverlayBudget, lines: &mut Vec<Line>) -> Option<Uncountable> {
        let shape = budget.shape()?;
        let accounts = match shape.scope {
            Scope::Key => vec![shape.account(key.as_str())],
            _ => shape.accounts(self.facts),
        };
        let limit = limit(budget.rule(), budget.amount(), self.enforce, shape.scope);
        if accounts.is_empty() {
            return Some(Uncountable { scope: shape.scope, rule: limit.rule, enforce: limit.enforce });
        }
        accounts.into_iter().for_each(|account| tighten(lines, account, shape, limit.clone()));
        None
    }
}

fn line(account: AccountName, shape: &Shape, limit: Option<Limit>) -> Line {
    Line { account, unit: shape.unit, window: shape.window, limit }
}

fn tighten(lines: &mut Vec<Line>, account: AccountName, shape: &Shape, limit: Limit) {
    match lines.iter_mut().find(|line| line.account == account) {
        Some(line) => line.limit = [line.limit.take(), Some(limit)].into_iter().flatten().reduce(tighter),
        None => lines.push(line(account, shape, Some(limit))),
    }
}
