//! Why a call is refused: a stable code, the rule, and one sentence that says what happened, to what, and what to do next.
//! Knows no envelope and no status; `gateway::problem` sends it. Never holds a secret; values of parameters are cut short.

use crate::rules::ledger::ask::{Cause, Short};
use crate::rules::subject::Name;
use crate::rules::vendors::Unpriceable;
use crate::units::time::Timestamp;
use serde_json::Value;
use std::fmt;

/// The closed set of refusals that rules and budgets make. Programs may match on the text form: it does not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The key's policy is not loaded (any more).
    PolicyMissing,
    PolicyExpired,
    VendorNotAllowed,
    /// A deny rule matches, or no allow rule does.
    PolicyDenied,
    ParamDenied,
    /// The arguments do not fit a schema.
    SchemaDenied,
    /// A model that is not allowed, or an alias where none can be put in.
    ModelDenied,
    AccountHeaderDenied,
    /// Such calls are allowed at other times.
    WindowClosed,
    /// A budget per run, and no run that counts.
    RunRequired,
    /// A budget per agent, app, …, and a key that names none.
    LevelRequired,
    /// Nobody can say what this call may cost, and the policy names no ceiling.
    CostUnknown,
    /// One call may not cost so much.
    CallLimit,
    /// The budget is spent: waiting for other calls does not help.
    BudgetSpent,
    /// Money is held by calls in flight: a short wait may help.
    BudgetHeld,
}

impl Code {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PolicyMissing => "policy_missing",
            Self::PolicyExpired => "policy_expired",
            Self::VendorNotAllowed => "vendor_not_allowed",
            Self::PolicyDenied => "policy_denied",
            Self::ParamDenied => "param_denied",
            Self::SchemaDenied => "schema_denied",
            Self::ModelDenied => "model_denied",
            Self::AccountHeaderDenied => "account_header_denied",
            Self::WindowClosed => "window_closed",
            Self::RunRequired => "run_required",
            Self::LevelRequired => "level_required",
            Self::CostUnknown => "cost_unknown",
            Self::CallLimit => "call_limit",
            Self::BudgetSpent => "budget_spent",
            Self::BudgetHeld => "budget_held",
        }
    }

    /// Does `mode = "observe"` let the call through? A vendor that the policy does not name has no credential to give.
    pub fn yields_to_observe(self) -> bool {
        !matches!(self, Self::PolicyMissing | Self::VendorNotAllowed)
    }

    /// Can the same call succeed in a moment?
    pub fn worth_a_retry(self) -> bool {
        self == Self::BudgetHeld
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    pub code: Code,
    /// Policy and rule: `refund-agent: deny rule 1`.
    pub rule: Name,
    pub sentence: String,
    /// When the same call would not be refused for this reason, if time cures it.
    pub resets_at: Option<Timestamp>,
    /// The same for programs: `at` and `keyword` of a schema, `instead` of what is not allowed.
    pub details: Vec<(&'static str, Value)>,
}

/// `code: sentence`, as the row's reason.
impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.sentence)
    }
}

impl Denial {
    pub(super) fn new(code: Code, rule: impl Into<Name>, sentence: String) -> Self {
        Self { code, rule: rule.into(), sentence, resets_at: None, details: Vec::new() }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.details.push((name, value.into()));
        self
    }

    /// What enforcement would have said of a call without a bound.
    pub fn unpriced(policy: &Name, why: &Unpriceable) -> Self {
        Self::new(
            Code::CostUnknown,
            policy.clone(),
            format!("bursar cannot say what this call may cost at most: {why}."),
        )
    }

    /// What the ledger said, in words. Of an account above the tenant only the rule and the reset.
    pub fn short(short: &Short) -> Self {
        let (code, what) = match short.cause {
            Cause::Spent => (Code::BudgetSpent, spent(short)),
            Cause::Held => (Code::BudgetHeld, held(short)),
        };
        Self::new(code, short.limit.rule.clone(), what)
    }
}

fn spent(short: &Short) -> String {
    let next = match short.resets_at {
        Some(at) => format!("It resets at {}. Do not retry before then", second(at)),
        None => "It does not reset. Do not retry".to_owned(),
    };
    let ask = "; make a cheaper call, or ask the operator for a larger budget.";
    format!("The budget `{}` {}. {next}{ask}", short.limit.rule, amounts(short, "does not cover this call"))
}

fn held(short: &Short) -> String {
    let rule = &short.limit.rule;
    if !short.window.keeps_charges() {
        let many = if short.limit.hidden { String::new() } else { format!(" ({} on `{}`)", short.held, short.account) };
        return format!(
            "As many calls as `{rule}` allows are in flight{many}: retry in a second, or make fewer at once."
        );
    }
    let why = amounts(short, "is reserved by calls in flight");
    format!("The budget `{rule}` {why}. Part of it is held for calls that have not ended yet: retry in a second.")
}

fn amounts(short: &Short, plain: &str) -> String {
    if short.limit.hidden {
        return plain.to_owned();
    }
    let show = |amount| short.unit.show(amount);
    let left = short.limit.amount.saturating_sub(short.spent).saturating_sub(short.held);
    let account = &short.account;
    format!(
        "{plain}: it needs {} on `{account}`, and {} is left (limit {}, spent {}, held {})",
        show(short.need),
        show(left),
        show(short.limit.amount),
        show(short.spent),
        show(short.held),
    )
}

/// To the second: nobody schedules by microseconds.
fn second(at: Timestamp) -> Timestamp {
    Timestamp(at.0.div_euclid(1_000_000) * 1_000_000)
}
