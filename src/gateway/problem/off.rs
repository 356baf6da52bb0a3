//! What is switched off, told to whoever calls all the same: by a person, or by a switch of a policy, which says what it measured.

use super::Problem;
use crate::adapters::keyring::FlagRecord;
use crate::adapters::switchboard::Cause;
use crate::rules::policy::tripped;
use crate::rules::subject::Flag;

/// What a switch turned off, and why.
#[derive(Clone, Debug)]
pub struct Tripped {
    pub flag: Flag,
    suspended: bool,
    why: String,
}

/// Of a call that was stopped before anything of it left.
pub fn stopped(cause: &Cause) -> Problem {
    match cause {
        Cause::Flag(Flag::Key { .. }) => Problem::Revoked,
        Cause::Flag(wider) => Problem::Stopped(wider.clone()),
        // Another node, or this one a little later, may take it.
        Cause::CutOff | Cause::Closing => Problem::StoreDown,
    }
}

impl Problem {
    /// Of calls that a flag is over, with what is known of who set it.
    pub fn off(flag: Flag, record: Option<&FlagRecord>) -> Self {
        match (record.and_then(|record| tripped(&record.act)), flag) {
            (Some((suspended, why)), flag) => Self::Tripped(Box::new(Tripped { flag, suspended, why: why.to_owned() })),
            (None, Flag::Key { .. }) => Self::Revoked,
            (None, wider) => Self::Stopped(wider),
        }
    }
}

impl Tripped {
    /// As of what a person turned off; a suspension is no end.
    pub fn status(&self) -> u16 {
        if matches!(self.flag, Flag::Key { .. }) && !self.suspended { 401 } else { 403 }
    }

    pub fn code(&self) -> &'static str {
        match (self.suspended, &self.flag) {
            (true, _) => "suspended",
            (false, Flag::Key { .. }) => "key_revoked",
            (false, _) => "killed",
        }
    }

    pub fn sentence(&self) -> String {
        let Self { flag, why, .. } = self;
        format!(
            "Calls of {flag} were {why}. Nothing was sent; do not retry until an operator has looked and restored them."
        )
    }
}
