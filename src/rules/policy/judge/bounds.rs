//! What a permit binds a call to: its accounts and rates, its limits per call, its risk, its ceilings. All policies that judge it have their say; the
//! strictest counts.

use super::{Arc, Judge, Line, Mode, Permit, Rate, Scope, Step, Stop, Tier, Uncountable, asked, rates, words};
use crate::rules::policy::model::CallLimit;
use crate::rules::policy::permit::CallBound;

impl Judge<'_> {
    pub(super) fn lines(&mut self) -> Result<Vec<Line>, Stop> {
        let asked = asked(self.own(), self.q.facts, self.q.overlays);
        let (lines, missing) = asked.lines(&self.plan.lines);
        if let Some(missing) = missing {
            self.uncountable(&missing)?;
        }
        Ok(lines)
    }

    pub(super) fn rates(&mut self) -> Result<Vec<Rate>, Stop> {
        let (rates, missing) = rates::of(&self.plan.rates, self.q.facts);
        if let Some(missing) = missing {
            self.uncountable(&missing)?;
        }
        Ok(rates)
    }

    fn uncountable(&mut self, missing: &Uncountable) -> Result<(), Stop> {
        let mode = if missing.enforce { Mode::Enforce } else { Mode::Observe };
        let claimed = self.q.facts.claimed_run && missing.scope == Scope::Run;
        self.refuse(Step::Key, mode, words::uncountable(missing, claimed, self.own().trust_headers))
    }

    pub(super) fn permit(&mut self, tier: Tier, lines: Vec<Line>, rates: Vec<Rate>) -> Permit {
        Permit {
            policy: Arc::clone(&self.plan.policy),
            lines: lines.into(),
            rates: rates.into(),
            call_limits: self.call_limits(),
            tier,
            action: self.q.operation.map(|operation| operation.action.clone()),
            risk: self.risk(tier),
            max_output_tokens: self.policies().filter_map(|p| p.max_output_tokens).min(),
            ceiling: self.policies().filter_map(|p| p.ceiling).min(),
            would_deny: self.would.take(),
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
                mode: self.own().mode,
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
pub(super) fn by_method(method: &str) -> Tier {
    match method {
        "GET" | "HEAD" | "OPTIONS" => Tier::ReadOnly,
        "DELETE" => Tier::Mutation,
        _ => Tier::WriteExternal,
    }
}
