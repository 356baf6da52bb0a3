//! Policies: what a vault key may do, decided from values alone. `decide` is the only maker of a `Permit`, and nothing is
//! held, opened or sent without one.
//!
//! `model` is one policy, checked; `config::policy_file` reads it from TOML. `set` is all of them at one moment, and
//! `decide` asks them. `overlay` is what a key adds for itself, always narrower. `rules::ledger` comes next: the permit's
//! lines are what it reserves on.

mod approval;
mod compare;
mod decide;
mod denial;
mod explain;
mod index;
mod inherit;
mod judge;
mod limit;
mod lines;
mod model;
mod models;
mod overlay;
mod param;
mod permit;
mod rates;
mod rule;
mod schema;
mod set;
mod switches;
#[cfg(test)]
mod tests;
mod trace;
mod weigh;
mod weights;
mod windows;

pub use approval::{ApprovalRule, Asked, Terms};
pub use compare::{Change, compare};
pub use decide::{Decision, Question, SameLines};
pub use denial::{Code, Denial};
pub use explain::{Explained, Outline};
pub use limit::{BadLimit, Per, parse_amount, parse_budget, parse_limit};
pub use model::{
    Beside, Budget, CallLimit, Capture, DEFAULT_FIT, Delegate, Lists, Mode, Policy, RiskPoints, Schemas, rule_text,
};
pub use models::{ModelPattern, ModelRule, Renamed};
pub use overlay::{Overlay, OverlayBudget, OverlayRule, Widening};
pub use param::{Bound, Fault, List, Param, Presence, Scalar, Target, Test};
pub use permit::{PerCall, Permit};
pub use rates::{BadRate, RateRule, parse_rate};
pub use rule::{Methods, Rule, RulePath};
pub use schema::SchemaRule;
pub use set::{BadSet, PolicySet};
pub use switches::{Armed, Deed, Switch, Trip, Whom, tripped};
pub use trace::{Look, Reason, Refusal, Said, Step, UNREADABLE};
pub use weights::{Factor, Kind, Times, Weights};
pub use windows::Window;
