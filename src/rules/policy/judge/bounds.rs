//! What a permit binds a call to: its accounts and rates, its limits per call, its risk, its ceilings. All policies that judge it
//! have their say; the strictest counts.

use super::{
    Arc, Judge, Line, Mode, OnceLock, Permit, Policy, Rate, Scope, Step, Stop, Tier, Uncountable, asked, rates, words,
};
use crate::rules::args::Unreadable;
use crate::rules::policy::model::CallLimit;
use crate::rules::policy::permit::CallBound;
use crate::rules::policy::weights::{self, Weighed};

impl Judge<'_> {
    /// A closed window denies: of several, each must be open.
    pub(super) fn windows(&mut self) -> Result<(), Stop> {
        for policy in self.policies() {
            for window in policy.windows.iter().filter(|window| window.concerns(self.q, self.path)) {
                if window.open.cover(self.q.now) {
                    self.passed(Step::Deny, || format!("{}: {}", policy.name, window.rule.label));
                } else {
                    let denial = words::closed(policy, window, self.q);
                    self.refuse(Step::Deny, window.rule.mode.under(policy.mode), denial)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn account_headers(&mut self) -> Result<(), Stop> {
        for (name, value) in self.q.account_headers {
            let listed =
                |policy: &Policy| policy.accounts.get(*name).is_some_and(|list| list.iter().any(|v| **v == **value));
            // The global policy narrows a header that it names; it need not name every header.
            let refusing = self
                .policies()
                .find(|p| !listed(p) && (!p.global || self.own().global || p.accounts.contains_key(*name)));
            if let Some(policy) = refusing {
                self.refuse(Step::Arguments, policy.mode, words::bad_account(policy, name, value))?;
            }
        }
        Ok(())
    }

    pub(super) fn lines(&mut self) -> Result<Arc<[Line]>, Stop> {
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

    pub(super) fn permit(&mut self, tier: Tier, lines: Arc<[Line]>, rates: Vec<Rate>) -> Result<Permit, Stop> {
        Ok(Permit {
            policy: Arc::clone(&self.plan.policy),
            lines,
            rates: rates.into(),
            call_limits: self.call_limits(),
            tier,
            action: self.q.operation.map(|operation| operation.action.clone()),
            risk: self.risk(tier)?,
            max_output_tokens: self.policies().filter_map(|p| p.max_output_tokens).min(),
            ceiling: self.policies().filter_map(|p| p.ceiling).min(),
            would_deny: self.would.take(),
            test_mode: self.q.test_mode,
            asks: Vec::new(),
        })
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
    fn risk(&self, tier: Tier) -> Result<u64, Unreadable> {
        let call = Weighed { tier, q: self.q };
        let mut points = 0;
        for policy in self.policies() {
            let own = policy.name == self.own().name;
            points = points.max(weights::points(policy, own, &call)?);
        }
        Ok(points.max(u64::from(self.q.operation.is_none())))
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
