//! What a switch is set off by, what is remembered for one whom it counts, and what happens to that when there is a sign.

use std::time::Duration;

use super::recent::Recent;
use super::same::{Retries, Same};
use super::scan::{Finds, Kinds};
use super::usual::{Pace, Unusual, Usual};
use crate::rules::hours::OpenHours;
use crate::units::duration;
use crate::units::money::MicroCents;
use crate::units::time::Timestamp;

/// What sets a switch off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    SpendRate(Pace),
    /// So many refusals of bursar's own.
    Refusals {
        count: usize,
        within: Duration,
    },
    /// The same operation, address and body so often.
    Loop {
        same: usize,
        within: Duration,
    },
    /// So many repeats of what has just failed.
    Retries {
        again: usize,
        within: Duration,
    },
    /// So many of these in one answer.
    Finds {
        count: u64,
        kinds: Kinds,
    },
    /// A call outside these hours.
    Hours(OpenHours),
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum Sign<'a> {
    /// A call came; `which` tells it from others, where somebody looked.
    Came {
        which: Option<&'a str>,
    },
    /// bursar refused it.
    Refused {
        which: Option<&'a str>,
    },
    /// The vendor answered that it cannot, or nothing.
    Failed {
        which: Option<&'a str>,
    },
    WentWell {
        which: Option<&'a str>,
    },
    /// What a call was charged in the end.
    Spent(MicroCents),
    /// What one answer held.
    Held(&'a Finds),
}

/// What one trigger remembers of one key, run or agent.
#[derive(Clone, Debug, Default)]
pub struct State {
    usual: Usual,
    recent: Recent,
    same: Same,
    retries: Retries,
}

impl Trigger {
    /// As policies name it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::SpendRate(_) => "spend_rate",
            Self::Refusals { .. } => "refusals",
            Self::Loop { .. } => "loop",
            Self::Retries { .. } => "retries",
            Self::Finds { kinds, .. } if kinds.personal() => "personal_data",
            Self::Finds { .. } => "secrets",
            Self::Hours(_) => "hours",
        }
    }

    /// Must one request be told from another?
    pub fn tells_apart(&self) -> bool {
        matches!(self, Self::Loop { .. } | Self::Retries { .. })
    }

    /// What it is set off by, in words.
    pub fn words(&self) -> String {
        match self {
            Self::SpendRate(pace) => {
                let floor = MicroCents(pace.floor);
                format!("{} times the usual spend and {floor} USD in {}", pace.times, time(pace.slot))
            }
            Self::Refusals { count, within } => format!("{count} refusals in {}", time(*within)),
            Self::Loop { same, within } => format!("{same} times the same in {}", time(*within)),
            Self::Retries { again, within } => format!("{again} retries of what failed in {}", time(*within)),
            Self::Finds { count, kinds } => format!("{count} of {kinds} in one answer"),
            Self::Hours(hours) => format!("calls outside {}", hours.as_str()),
        }
    }

    /// Is that too much? Then what was measured, in words; what is remembered begins anew.
    pub fn sees(&self, state: &mut State, sign: Sign<'_>, at: Timestamp) -> Option<String> {
        match (self, sign) {
            (Self::SpendRate(pace), Sign::Spent(charge)) => {
                let Unusual { spent, usual } = state.usual.spend(pace, charge.0, at)?;
                let (spent, usual) = (MicroCents(spent), MicroCents(usual));
                Some(format!("{spent} USD within {}, where {usual} USD is usual", time(pace.slot)))
            }
            (Self::Refusals { count, within }, Sign::Refused { .. }) => {
                let many = state.recent.reaches(*count, *within, at);
                many.then(|| format!("{count} refusals within {}", time(*within)))
            }
            (Self::Loop { same, within }, Sign::Came { which: Some(which) }) => {
                let many = state.same.reaches(which, *same, *within, at);
                many.then(|| format!("{same} times the same request within {}", time(*within)))
            }
            (Self::Retries { again, within }, sign) => {
                let many = tried(&mut state.retries, (*again, *within), sign, at);
                many.then(|| format!("{again} retries of one request that failed, within {}", time(*within)))
            }
            (Self::Finds { count, kinds }, Sign::Held(finds)) => {
                (finds.of(*kinds) >= *count).then(|| format!("{} in one answer", finds.shown(*kinds)))
            }
            (Self::Hours(hours), Sign::Came { .. }) => {
                (!hours.cover(at)).then(|| format!("a call outside {}", hours.as_str()))
            }
            _ => None,
        }
    }
}

fn tried(retries: &mut Retries, (again, within): (usize, Duration), sign: Sign<'_>, at: Timestamp) -> bool {
    match sign {
        Sign::Came { which: Some(which) } => return retries.reaches(which, again, within, at),
        Sign::Refused { which: Some(which) } | Sign::Failed { which: Some(which) } => retries.failed(which, at),
        Sign::WentWell { which: Some(which) } => retries.went_well(which),
        _ => {}
    }
    false
}

fn time(length: Duration) -> String {
    duration::show(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn each_trigger_heeds_its_own_signs() {
        let same = Sign::Came { which: Some("a") };
        let (refused, failed) = (Sign::Refused { which: Some("a") }, Sign::Failed { which: Some("a") });
        let all = [same, refused, failed, same, refused, failed, same];
        let count = |trigger: Trigger| {
            let mut state = State::default();
            all.iter()
                .map(|sign| trigger.sees(&mut state, *sign, Timestamp(0)).map_or('.', |_| '!'))
                .collect::<String>()
        };
        assert_eq!(count(Trigger::Refusals { count: 2, within: MINUTE }), "....!..");
        assert_eq!(count(Trigger::Loop { same: 3, within: MINUTE }), "......!");
        assert_eq!(count(Trigger::Retries { again: 2, within: MINUTE }), "......!");
        assert_eq!(count(Trigger::Retries { again: 1, within: MINUTE }), "...!..!");
        let pace = Pace { times: 2, slot: MINUTE, floor: 0, warm_up: 0 };
        assert_eq!(count(Trigger::SpendRate(pace)), ".......");
    }

    #[test]
    fn it_says_what_was_measured_and_names_its_time() {
        let trigger = Trigger::Refusals { count: 1, within: Duration::from_secs(600) };
        let said = trigger.sees(&mut State::default(), Sign::Refused { which: None }, Timestamp(0));
        assert_eq!(said.as_deref(), Some("1 refusals within 10m"));
        assert_eq!((trigger.words().as_str(), trigger.as_str()), ("1 refusals in 10m", "refusals"));
    }
}
