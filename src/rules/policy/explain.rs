//! `decide` with everything that it looked at. The same judge, told to write down each rule and to go on behind a refusal: so
//! the verdict is the real one by construction, and the reasons behind the first are there as well. Makes no `Permit`.

use super::approval::Asked;
use super::decide::Question;
use super::denial::Denial;
use super::judge;
use super::permit::{PerCall, Permit};
use super::set::PolicySet;
use super::trace::{Look, Refusal};
use crate::rules::books::Tier;
use crate::rules::ledger::ask::{AccountState, Line};
use crate::rules::ledger::need::Need;
use crate::rules::ledger::rates::Rate;
use crate::rules::subject::Name;
use crate::rules::vendors::{FitRule, StripeRule, UnknownModel};
use crate::units::money::MicroCents;
use std::sync::Arc;

/// What the rules say of a call, and why.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The first reason against it.
    pub refused: Option<Refusal>,
    /// In order.
    pub looks: Vec<Look>,
    /// What it would be held to, also if it is refused; `None` where the judgement could not go on.
    pub terms: Option<Outline>,
}

/// What a permit would carry. No permit: nothing can be held or sent with it.
#[derive(Clone, Debug)]
pub struct Outline(pub(super) Permit);

impl PolicySet {
    /// As `decide`, and all that it looked at.
    pub fn explain(&self, question: &Question<'_>) -> Explained {
        judge::explain(self, question)
    }
}

impl Outline {
    pub fn policy(&self) -> &Name {
        self.0.policy_name()
    }

    pub fn enforced(&self) -> bool {
        self.0.enforced()
    }

    /// Only observed: what enforcement would have said.
    pub fn would_deny(&self) -> Option<&Denial> {
        self.0.would_deny()
    }

    pub fn lines(&self) -> &Arc<[Line]> {
        self.0.lines()
    }

    pub fn rates(&self) -> &Arc<[Rate]> {
        self.0.rates()
    }

    pub fn tier(&self) -> Tier {
        self.0.tier()
    }

    pub fn action(&self) -> Option<&Name> {
        self.0.action()
    }

    pub fn risk(&self) -> u64 {
        self.0.risk()
    }

    pub fn fit(&self) -> FitRule {
        self.0.fit()
    }

    pub fn max_output_tokens(&self) -> Option<u64> {
        self.0.max_output_tokens()
    }

    pub fn ceiling(&self) -> Option<MicroCents> {
        self.0.ceiling()
    }

    pub fn unknown_model(&self) -> UnknownModel {
        self.0.unknown_model()
    }

    pub fn stripe(&self) -> StripeRule {
        self.0.stripe()
    }

    /// Rules that ask a person, of policies that enforce and of those that only observe. Every use is taken for the first.
    pub fn asked(&self, need: &Need, states: &[AccountState]) -> (Vec<Name>, Vec<Name>) {
        let Asked { mut because, mut noted, need } = self.0.asked(need, false, true);
        because.extend(self.0.unasked_lines().and_then(|lines| self.0.past_now(&need, &lines, states)));
        noted.extend(self.0.observed_fraction(&need, states));
        (because, noted)
    }

    pub fn fit_call(&self, need: &Need) -> Result<PerCall, Denial> {
        self.0.fit_call(need)
    }
}
