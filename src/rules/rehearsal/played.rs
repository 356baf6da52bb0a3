//! What came of a played call: the verdict with its reason, and every rule that was looked at.

use std::fmt;

use crate::rules::books::{Tier, Verdict};
use crate::rules::ledger::need::Need;
use crate::rules::policy::{Denial, Look, Reason, Refusal, Said, Step};
use crate::rules::subject::Name;
use crate::units::amount::Amounts;
use crate::units::ids::CallId;

/// The end of a play.
#[derive(Clone, Debug)]
pub struct Played {
    pub verdict: Verdict,
    /// `param_denied`, `budget_spent`, ...; `None` if it goes.
    pub code: Option<&'static str>,
    pub rule: Option<Name>,
    pub sentence: Option<String>,
    /// False if the verdict is only what enforcement would have said.
    pub enforced: bool,
    pub operation: Name,
    pub action: Option<Name>,
    pub tier: Option<Tier>,
    pub risk: u64,
    /// What it is held at; what it would need at least, if it is refused.
    pub needs: Amounts,
    /// The output limit that it is lowered to.
    pub caps: Option<u64>,
    /// In the order of evaluation.
    pub looks: Vec<Look>,
    pub(super) hold: Option<CallId>,
}

/// What a table expects: a verdict, or a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    Verdict(Verdict),
    Code(String),
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verdict(verdict) => f.write_str(verdict.as_str()),
            Self::Code(code) => f.write_str(code),
        }
    }
}

impl Wanted {
    pub fn parse(text: &str) -> Self {
        Verdict::parse(text).map_or_else(|| Self::Code(text.to_owned()), Self::Verdict)
    }

    pub fn is_met(&self, played: &Played) -> bool {
        match self {
            Self::Verdict(wanted) => played.enforced_verdict() == *wanted,
            Self::Code(wanted) => played.code == Some(wanted),
        }
    }
}

impl Played {
    pub(super) fn new(operation: Name) -> Self {
        Self {
            verdict: Verdict::Allow,
            code: None,
            rule: None,
            sentence: None,
            enforced: true,
            operation,
            action: None,
            tier: None,
            risk: 0,
            needs: Amounts::ZERO,
            caps: None,
            looks: Vec::new(),
            hold: None,
        }
    }

    /// Did it go, or would it?
    pub fn goes(&self) -> bool {
        !self.enforced || matches!(self.verdict, Verdict::Allow | Verdict::AllowWithCaps)
    }

    /// What happens to the call: one that is only observed goes.
    pub fn enforced_verdict(&self) -> Verdict {
        if self.enforced { self.verdict } else { Verdict::Allow }
    }

    /// `param_denied`, or the verdict of a call that goes.
    pub fn word(&self) -> String {
        match (self.code, self.enforced) {
            (Some(code), true) => code.to_owned(),
            (Some(code), false) => format!("observed {code}"),
            (None, _) => self.verdict.as_str().to_owned(),
        }
    }

    /// A reason against the call. The first one stays, and one that is enforced stands before any that is not.
    pub(super) fn reason(&mut self, verdict: Verdict, enforced: bool, rule: &Name, reason: Reason) {
        let first = self.code.is_none() || (enforced && !self.enforced);
        if !first {
            return;
        }
        (self.verdict, self.enforced) = (verdict, enforced);
        (self.code, self.rule, self.sentence) = (Some(reason.code), Some(rule.clone()), Some(reason.sentence));
    }

    pub(super) fn denial(&mut self, denial: &Denial, enforced: bool) {
        self.reason(Verdict::Deny, enforced, &denial.rule, Reason::from(denial));
    }

    pub(super) fn refusal(&mut self, refusal: &Refusal) {
        match refusal {
            Refusal::Denied(denial) => self.denial(denial, true),
            Refusal::Unreadable(why) => {
                self.reason(Verdict::Deny, true, &Name::from("the request"), Reason::from(why));
            }
        }
    }

    pub(super) fn look(&mut self, step: Step, rule: impl Into<Name>, said: Said) {
        self.looks.push(Look { step, rule: rule.into(), said });
    }

    pub(super) fn needs(&mut self, need: &Need) {
        self.needs = need.least();
    }
}
