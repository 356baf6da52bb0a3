//! The part of the arguments that rules judge as a whole: schemas, and the models that a call names. `judge` has the order.

use super::{Judge, Rule, Step, Stop, Unreadable, words};
use crate::rules::policy::model::Mode;
use crate::rules::policy::models::{self, ModelRule};

impl Judge<'_> {
    /// Every schema that is for such calls, of every policy that judges it.
    pub(super) fn schemas(&mut self) -> Result<(), Stop> {
        let (vendor, method) = (&*self.q.facts.vendor, self.q.method);
        for plan in self.asking.into_iter().flatten() {
            let policy = &*plan.policy;
            let shaping = plan.shaping(vendor, method, self.path);
            for shape in &shaping {
                let args = self.q.args.ok_or(Unreadable::OpaqueWhole)?;
                match shape.schema.misfit(args)? {
                    Some(misfit) => {
                        let denial = words::misfit(policy, shape, &misfit);
                        self.refuse(Step::Arguments, shape.rule.mode.under(policy.mode), denial)?;
                    }
                    None => self.passed(Step::Arguments, || format!("{}: {}", policy.name, shape.rule.label)),
                }
            }
            if let Some(trace) = &mut self.trace {
                let concerned: Vec<&Rule> = shaping.iter().map(|shape| &shape.rule).collect();
                let all = policy.schemas.iter().map(|shape| &shape.rule);
                trace.elsewhere(Step::Arguments, &policy.name, all, &concerned);
            }
        }
        Ok(())
    }

    /// The models that a rule looks at; `None` if the call is about none.
    fn named(&self, rule: &ModelRule, mode: Mode) -> Result<Option<Vec<String>>, Unreadable> {
        if rule.allow.is_some() && rule.is_blind(self.q.operation, self.q.method) {
            return Ok(Some(Vec::new()));
        }
        // Without arguments nobody prices it as a model's call either.
        let Some(args) = self.q.args else { return Ok(None) };
        match models::named(self.q.operation, args) {
            // What cannot be read matters to a list that is enforced, and to nobody else.
            Err(_) if rule.allow.is_none() || !mode.enforces() => Ok(None),
            named => named,
        }
    }

    /// Every model that the call may be served by is allowed by every list that is for its vendor; and an alias that is still there
    /// stands where none is put in.
    pub(super) fn models(&mut self) -> Result<(), Stop> {
        let vendor = &*self.q.facts.vendor;
        for policy in self.policies() {
            for rule in policy.models.iter().filter(|rule| rule.is_for(vendor)) {
                let Some(named) = self.named(rule, rule.mode.under(policy.mode))? else { continue };
                let unnamed = named.is_empty() && rule.allow.is_some();
                let wrong = named.iter().find(|model| rule.aliases.contains_key(&***model) || !rule.allows(model));
                if unnamed || wrong.is_some() {
                    let real = wrong.and_then(|model| self.own().alias(vendor, model));
                    let denial = words::bad_model(policy, rule, wrong.map(|model| &**model), real);
                    self.refuse(Step::Arguments, rule.mode.under(policy.mode), denial)?;
                } else {
                    self.passed(Step::Arguments, || format!("{}: {}", policy.name, rule.label));
                }
            }
        }
        Ok(())
    }
}
