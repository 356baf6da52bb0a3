//! The proof that the rules let a call go. `decide` alone makes one; reserve takes one, and nothing is held without it.
//! It carries what the ledger and the estimate must know of the policy. Holds no money itself.

use super::approval::Ask;
use super::denial::{Code, Denial};
use super::model::{CallLimit, Policy};
use crate::rules::books::Tier;
use crate::rules::ledger::ask::{Line, Manner};
use crate::rules::ledger::need::{Fit, Need};
use crate::rules::ledger::rates::Rate;
use crate::rules::subject::Name;
use crate::rules::vendors::{FitRule, StripeRule, UnknownModel};
use crate::units::ids::Digest32;
use crate::units::money::MicroCents;
use std::sync::Arc;
use std::time::Duration;

/// A yes as a value. Private inside, so that no other module can make one.
#[derive(Clone, Debug)]
pub struct Permit {
    pub(super) policy: Arc<Policy>,
    pub(super) lines: Arc<[Line]>,
    pub(super) rates: Arc<[Rate]>,
    pub(super) call_limits: Vec<CallBound>,
    pub(super) tier: Tier,
    pub(super) action: Option<Name>,
    pub(super) risk: u64,
    pub(super) max_output_tokens: Option<u64>,
    pub(super) ceiling: Option<MicroCents>,
    pub(super) would_deny: Option<Box<Denial>>,
    pub(super) test_mode: bool,
    /// Policies that ask a person about some calls, the global one first.
    pub(super) asks: Vec<Ask>,
}

/// A limit on this call alone, and whether its owner enforces it.
#[derive(Clone, Debug)]
pub(super) struct CallBound {
    pub limit: CallLimit,
    pub enforce: bool,
}

impl Permit {
    /// All accounts of the call, narrow scopes first, with the limits that are checked.
    pub fn lines(&self) -> &Arc<[Line]> {
        &self.lines
    }

    /// How fast such calls may come, by its own policy and the global one.
    pub fn rates(&self) -> &Arc<[Rate]> {
        &self.rates
    }

    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// What the operation does, if the catalogue knows it.
    pub fn action(&self) -> Option<&Name> {
        self.action.as_ref()
    }

    /// In points. `fit_call` puts them into the need.
    pub fn risk(&self) -> u64 {
        self.risk
    }

    pub fn fit(&self) -> FitRule {
        self.policy.fit
    }

    /// For callers who name no output limit.
    pub fn max_output_tokens(&self) -> Option<u64> {
        self.max_output_tokens
    }

    /// What a call of unknowable bound is held at; without one it is refused.
    pub fn ceiling(&self) -> Option<MicroCents> {
        self.ceiling
    }

    /// How long to wait when only holds, or a rate, stand in the way.
    pub fn wait_for_holds(&self) -> Duration {
        self.policy.wait_for_holds
    }

    /// What is allowed on a ledger that several nodes share.
    pub fn manner(&self) -> Manner {
        self.policy.manner
    }

    /// Was it judged as a call with a credential of the vendor's test mode?
    pub fn test_mode(&self) -> bool {
        self.test_mode
    }

    /// False in `observe` mode.
    pub fn enforced(&self) -> bool {
        self.policy.mode.enforces()
    }

    /// In `observe` mode: what enforcement would have said.
    pub fn would_deny(&self) -> Option<&Denial> {
        self.would_deny.as_deref()
    }

    pub fn policy_name(&self) -> &Name {
        &self.policy.name
    }

    pub fn policy_hash(&self) -> Digest32 {
        self.policy.hash
    }

    /// Which of the vendor's credentials; its default one if `None`.
    pub fn credential(&self) -> Option<&Name> {
        self.policy.credential.as_ref()
    }

    pub fn unknown_model(&self) -> UnknownModel {
        self.policy.unknown_model
    }

    /// May bursar ask the vendor for what bounds the call?
    pub fn may_look_up(&self) -> bool {
        self.policy.look_up
    }

    /// What counts as spend at Stripe.
    pub fn stripe(&self) -> StripeRule {
        self.policy.stripe
    }

    /// Holds the bound of the call against every `per = "call"` limit: the same need, one whose output limit is lowered to
    /// what the limits buy, or a refusal. The need comes back with the permit's risk points.
    pub fn fit_call(&self, need: &Need) -> Result<PerCall, Denial> {
        let mut fitted = PerCall { need: Need { risk: self.risk, ..need.clone() }, would_deny: None };
        for bound in &self.call_limits {
            match bounded(&fitted.need, &bound.limit) {
                Ok(need) if bound.enforce => fitted.need = need,
                Ok(_) => {}
                Err(denial) if bound.enforce => return Err(denial),
                Err(denial) => fitted.would_deny = fitted.would_deny.or(Some(denial)),
            }
        }
        Ok(fitted)
    }
}

/// What is left of a need under the limits per call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PerCall {
    pub need: Need,
    /// In `observe` mode: what enforcement would have said.
    pub would_deny: Option<Denial>,
}

pub(super) fn bounded(need: &Need, limit: &CallLimit) -> Result<Need, Denial> {
    if need.wanted().of(limit.unit) <= limit.amount {
        return Ok(need.clone());
    }
    let lowered = need.fit.as_ref().and_then(|fit| {
        let want = need.largest(limit.unit, limit.amount).filter(|n| *n >= fit.floor.min(fit.want))?;
        Some(Need { fit: Some(Fit { want, ..fit.clone() }), ..need.clone() })
    });
    lowered.ok_or_else(|| too_much(need, limit))
}

fn too_much(need: &Need, limit: &CallLimit) -> Denial {
    let least = limit.unit.show(need.least().of(limit.unit));
    let sentence = format!(
        "This call can cost {least}, and `{}` allows one call no more than {}. Make a smaller call (a lower amount, a \
         shorter prompt, a smaller output limit), or ask the operator to raise the limit.",
        limit.rule,
        limit.unit.show(limit.amount),
    );
    let denial = Denial::new(Code::CallLimit, limit.rule.clone(), sentence);
    denial.with("unit", limit.unit.to_string()).with("limit", limit.unit.bare(limit.amount))
}
