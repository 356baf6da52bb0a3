//! `[[switch]]`: what a policy turns off by itself, for whom, and by what sign. Says which switches watch a call; what they have
//! seen, `rules::watch` keeps, and the gateway trips them.

use std::sync::Arc;

use super::model::{Mode, Policy, covers};
use super::set::{Plan, PolicySet};
use crate::rules::books::Act;
use crate::rules::pattern::OperationPattern;
use crate::rules::subject::{Facts, Flag, Name};
use crate::rules::watch::Trigger;
use crate::units::ids::CallId;

/// One switch of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switch {
    /// As books and refusals name it: `refund-agent: suspend agent on 8 times the same in 10m`.
    pub rule: Name,
    pub on: Trigger,
    pub per: Whom,
    pub deed: Deed,
    /// Watches this vendor's calls alone.
    pub vendor: Option<Name>,
    /// Watches these operations alone; all if empty.
    pub operations: Vec<OperationPattern>,
    pub mode: Mode,
}

/// Whose calls are counted together, and who is switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Whom {
    Key,
    Run,
    Agent,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Said aloud, and nothing else.
    Alert,
    /// Off until a person restores it.
    Suspend,
    /// As if a person had killed or revoked it.
    Kill,
}

impl Whom {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Run => "run",
            Self::Agent => "agent",
        }
    }

    /// The key where a call names no such thing, or a header that nobody trusts does: no agent switches off another's run.
    fn of(self, facts: &Facts) -> Option<Flag> {
        let tenant = facts.subject.tenant.clone();
        let run = facts.subject.run.as_ref().filter(|_| !facts.claimed_run);
        match (self, run, &facts.subject.agent) {
            (Self::Run, Some(name), _) => Some(Flag::Run { tenant, name: name.clone() }),
            (Self::Agent, _, Some(name)) => Some(Flag::Agent { tenant, name: name.clone() }),
            _ => facts.keys.first().map(|id| Flag::Key { id: id.clone() }),
        }
    }
}

impl Deed {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Suspend => "suspend",
            Self::Kill => "kill",
        }
    }
}

impl Switch {
    /// Its name, made of what it says.
    pub fn named(self, owner: &str) -> Self {
        let (deed, per, on) = (self.deed.as_str(), self.per.as_str(), self.on.words());
        let only = super::rates::only(self.vendor.as_deref(), &self.operations, " at ", " for ", ", ");
        Self { rule: format!("{owner}: {deed} {per} on {on}{only}").into(), ..self }
    }

    pub(super) fn covers(&self, vendor: &str, operation: &str) -> bool {
        covers(self.vendor.as_ref(), &self.operations, vendor, operation)
    }
}

/// A switch that was set off.
#[derive(Clone, Debug)]
pub struct Trip {
    pub rule: Name,
    pub trigger: &'static str,
    pub deed: Deed,
    pub flag: Flag,
    /// In words.
    pub measured: String,
    /// The call that did it.
    pub call: CallId,
}

/// What stands before a policy's name where a switch of it acts. No person is named so: those say how they came in.
pub const ACTOR: &str = "switch:";

impl Trip {
    /// Who, and why, as books and refusals say it.
    pub fn act(&self) -> Act {
        let policy = self.rule.split(": ").next().unwrap_or_default();
        let done = match self.deed {
            Deed::Alert => "noticed",
            Deed::Suspend => SUSPENDED,
            Deed::Kill => "killed",
        };
        let reason = format!("{done} by `{}`: {} (call {})", self.rule, self.measured, self.call);
        Act { actor: format!("{ACTOR}{policy}"), reason: Some(reason.chars().take(500).collect()) }
    }
}

const SUSPENDED: &str = "suspended";

/// What a flag says of the switch that set it: whether it only suspends, and why. `None` if a person set it.
pub fn tripped(act: &Act) -> Option<(bool, &str)> {
    let why = act.actor.starts_with(ACTOR).then_some(act.reason.as_deref()?)?;
    Some((why.starts_with(SUSPENDED), why))
}

/// A switch that watches a call.
#[derive(Clone, Debug)]
pub struct Armed {
    pub switch: Arc<Switch>,
    /// What it does; in `observe` mode it only says so.
    pub deed: Deed,
    /// Whom it counts the call to.
    pub flag: Flag,
}

/// The switches of one policy, and what each does.
#[derive(Clone, Debug)]
pub(super) struct SwitchPlan {
    switch: Arc<Switch>,
    deed: Deed,
}

impl SwitchPlan {
    pub fn of(owner: &Policy) -> Vec<Self> {
        let enforces = |switch: &Switch| switch.mode.under(owner.mode).enforces();
        let deed = |switch: &Switch| if enforces(switch) { switch.deed } else { Deed::Alert };
        owner.switches.iter().map(|s| Self { deed: deed(s), switch: Arc::new(s.clone()) }).collect()
    }

    fn armed(&self, facts: &Facts) -> Option<Armed> {
        let watches = self.switch.covers(&facts.vendor, &facts.operation);
        let flag = self.switch.per.of(facts).filter(|_| watches)?;
        Some(Armed { switch: self.switch.clone(), deed: self.deed, flag })
    }
}

impl PolicySet {
    /// Those of its own policy and of the global one that watch such a call; most policies have none.
    pub fn armed(&self, facts: &Facts) -> Vec<Armed> {
        let switches = self.plan(&facts.policy).map(|plan: &Arc<Plan>| &plan.switches);
        switches.into_iter().flatten().filter_map(|switch| switch.armed(facts)).collect()
    }
}
