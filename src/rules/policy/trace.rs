//! What the judge looked at, rule by rule, in the order of evaluation: so that a person can see why a call is refused, and what
//! else would have refused it. Kept only for `explain`; a call that is decided for real leaves none. Decides nothing.

use super::denial::Denial;
use super::rule::Rule;
use crate::rules::args::Unreadable;
use crate::rules::subject::Name;

/// The order of evaluation, which is the order in which reasons are reported: the first one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    Kill,
    /// The key: its policy, their ends, their vendors.
    Key,
    Deny,
    Allow,
    Arguments,
    Rate,
    Risk,
    Approval,
    Budgets,
}

impl Step {
    pub const ALL: [Self; 9] = [
        Self::Kill,
        Self::Key,
        Self::Deny,
        Self::Allow,
        Self::Arguments,
        Self::Rate,
        Self::Risk,
        Self::Approval,
        Self::Budgets,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Key => "key",
            Self::Deny => "deny",
            Self::Allow => "allow",
            Self::Arguments => "arguments",
            Self::Rate => "rate",
            Self::Risk => "risk",
            Self::Approval => "approval",
            Self::Budgets => "budgets",
        }
    }
}

/// What came of looking at one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// It lets the call pass; what it says of it, if there is something to say.
    Passes(String),
    /// It is about other vendors, methods, paths or operations.
    Elsewhere,
    Refuses(Reason),
    /// It would refuse, and only observes.
    Observes(Reason),
}

/// Why a rule is against a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    pub code: &'static str,
    pub sentence: String,
}

/// The code of a request that has no single reading.
pub const UNREADABLE: &str = "request_unreadable";

impl Reason {
    /// As an answer of a rule that enforces, or only observes.
    pub fn said(self, enforced: bool) -> Said {
        if enforced { Said::Refuses(self) } else { Said::Observes(self) }
    }
}

impl From<&Denial> for Reason {
    fn from(denial: &Denial) -> Self {
        Self { code: denial.code.as_str(), sentence: denial.sentence.clone() }
    }
}

impl From<&Unreadable> for Reason {
    fn from(why: &Unreadable) -> Self {
        Self { code: UNREADABLE, sentence: why.to_string() }
    }
}

/// One rule that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    pub step: Step,
    /// Policy and rule: `refund-agent: deny rule 1`.
    pub rule: Name,
    pub said: Said,
}

/// Why a call does not go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    Denied(Denial),
    Unreadable(Unreadable),
}

/// All looks of one judgement, and the first reason against the call.
#[derive(Debug, Default)]
pub(super) struct Trace {
    pub looks: Vec<Look>,
    pub refused: Option<Refusal>,
}

impl Trace {
    pub fn note(&mut self, step: Step, rule: Name, said: Said) {
        self.looks.push(Look { step, rule, said });
    }

    pub fn refusal(&mut self, step: Step, stops: bool, denial: &Denial) {
        self.note(step, denial.rule.clone(), Reason::from(denial).said(stops));
        if stops {
            self.refused.get_or_insert_with(|| Refusal::Denied(denial.clone()));
        }
    }

    /// The judgement cannot go on from here.
    pub fn unreadable(&mut self, unreadable: Unreadable) {
        self.note(Step::Arguments, "the request".into(), Reason::from(&unreadable).said(true));
        self.refused.get_or_insert(Refusal::Unreadable(unreadable));
    }

    /// The rules of a list that are not about this call.
    pub fn elsewhere<'r>(
        &mut self,
        step: Step,
        owner: &str,
        all: impl IntoIterator<Item = &'r Rule>,
        concerned: &[&Rule],
    ) {
        let others = all.into_iter().filter(|rule| !concerned.iter().any(|one| std::ptr::eq(*one, *rule)));
        for rule in others {
            self.note(step, format!("{owner}: {}", rule.label).into(), Said::Elsewhere);
        }
    }
}
