//! Risk points of a call beyond its tier's: of single operations, and what multiplies them (how many recipients, how large an
//! amount, live or test mode, the hour). Exact, in integers; rounded up once. What cannot be read weighs the most.

use super::decide::Question;
use super::model::{Policy, covers};
use super::param::{Bound, Target};
use crate::rules::args::{Unreadable, Value};
use crate::rules::books::Tier;
use crate::rules::pattern::OperationPattern;
use crate::rules::price::Hours;
use crate::rules::subject::Name;
use crate::units::money::MAX_AMOUNT;

/// What a policy says of operations and circumstances.
#[derive(Clone, Debug, Default)]
pub struct Weights {
    /// The last one that matches counts.
    pub operations: Vec<(OperationPattern, u64)>,
    /// All that concern a call.
    pub factors: Vec<Factor>,
}

/// What multiplies the points of some calls.
#[derive(Clone, Debug)]
pub struct Factor {
    pub vendor: Option<Name>,
    /// All if empty.
    pub operations: Vec<OperationPattern>,
    pub kind: Kind,
}

#[derive(Clone, Debug)]
pub enum Kind {
    /// Times the values that these parameters have together: recipients.
    Count(Vec<Target>),
    /// Of the steps that a parameter reaches, the last; the first is the lowest.
    Steps(Target, Vec<(Bound, Times)>),
    /// Where the vendor's credential is one of its test mode.
    TestMode(Times),
    At(Box<Hours>, Times),
}

/// A multiplier in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Times(pub u64);

impl Times {
    const ONE: Self = Self(1000);
}

/// A call whose points are asked for.
pub(super) struct Weighed<'a> {
    pub tier: Tier,
    pub q: &'a Question<'a>,
}

/// What this policy makes of a call. A policy that is not the call's own speaks only where it says something of such calls.
pub(super) fn points(policy: &Policy, own: bool, call: &Weighed<'_>) -> Result<u64, Unreadable> {
    let operation = policy.weights.of_operation(&call.q.facts.operation);
    let factors: Vec<&Factor> = policy.weights.factors.iter().filter(|factor| factor.concerns(call)).collect();
    let said = operation.or_else(|| policy.risk.get(call.tier));
    if said.is_none() && factors.is_empty() && !own {
        return Ok(0);
    }
    let mut exact = u128::from(said.unwrap_or_else(|| call.tier.points()));
    let mut parts: u128 = 1;
    for factor in factors {
        exact = exact.saturating_mul(u128::from(factor.times(call)?.0));
        parts = parts.saturating_mul(1000);
        // Many factors must not run out of digits.
        if exact > u128::from(u64::MAX) {
            (exact, parts) = (exact.div_ceil(parts), 1);
        }
    }
    let points = u64::try_from(exact.div_ceil(parts)).unwrap_or(u64::MAX);
    Ok(points.min(MAX_AMOUNT))
}

impl Weights {
    fn of_operation(&self, operation: &str) -> Option<u64> {
        self.operations.iter().rev().find(|(pattern, _)| pattern.matches(operation)).map(|(_, points)| *points)
    }

    /// Would a parameter of such a call be looked at?
    pub fn reads(&self, vendor: &str, operation: &str) -> bool {
        let here = |factor: &&Factor| covers(factor.vendor.as_ref(), &factor.operations, vendor, operation);
        self.factors.iter().filter(here).any(|factor| matches!(factor.kind, Kind::Count(_) | Kind::Steps(..)))
    }

    /// What is left is known without a look at a call's parameters.
    pub(super) fn forget_params(&mut self) {
        self.factors.retain(|factor| !matches!(factor.kind, Kind::Count(_) | Kind::Steps(..)));
    }
}

impl Factor {
    fn concerns(&self, call: &Weighed<'_>) -> bool {
        covers(self.vendor.as_ref(), &self.operations, &call.q.facts.vendor, &call.q.facts.operation)
    }

    fn times(&self, call: &Weighed<'_>) -> Result<Times, Unreadable> {
        Ok(match &self.kind {
            Kind::Count(targets) => count(targets, call)?,
            Kind::Steps(target, steps) => step(target, steps, call)?,
            Kind::TestMode(times) if call.q.test_mode => *times,
            Kind::At(hours, times) if hours.cover(call.q.now) => *times,
            Kind::TestMode(_) | Kind::At(..) => Times::ONE,
        })
    }
}

/// Addresses may stand in one text, with commas between.
fn count(targets: &[Target], call: &Weighed<'_>) -> Result<Times, Unreadable> {
    let mut all: u64 = 0;
    for target in targets {
        for value in values(target, call)? {
            let more = match value {
                Value::Text(text) => text.split([',', ';']).filter(|part| !part.trim().is_empty()).count().max(1),
                Value::Null => 0,
                _ => 1,
            };
            all = all.saturating_add(u64::try_from(more).unwrap_or(u64::MAX));
        }
    }
    Ok(Times(all.max(1).saturating_mul(1000)))
}

/// One that is not there may mean anything: all of it, at most vendors.
fn step(target: &Target, steps: &[(Bound, Times)], call: &Weighed<'_>) -> Result<Times, Unreadable> {
    // Steps that only make it lighter say nothing of one that is not there: it weighs what it weighs.
    let dearest = steps.iter().map(|(_, times)| *times).max().unwrap_or(Times::ONE).max(Times::ONE);
    let found = values(target, call)?;
    let Some(largest) = found.iter().map(|value| value.decimal()).reduce(|a, b| Some(a?.max(b?))).flatten() else {
        return Ok(dearest);
    };
    let reached = steps.iter().filter(|(from, _)| largest >= from.value()).map(|(_, times)| *times).next_back();
    Ok(reached.unwrap_or(Times::ONE))
}

fn values<'a>(target: &Target, call: &Weighed<'a>) -> Result<Vec<Value<'a>>, Unreadable> {
    let unread = || Unreadable::Opaque { name: target.as_str().to_owned() };
    target.values(call.q.args.ok_or_else(unread)?)
}
