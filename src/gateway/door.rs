//! The last looks at a call before it is held: is anybody of it stopped, and is there a credential to send it with? The ledger asks
//! for flags again as it reserves.

use super::admit::Judged;
use super::problem::Problem;
use crate::rules::policy::Permit;
use crate::rules::subject::Flag;

impl Judged<'_> {
    /// The keyring's flags, which hold even while the ledger has not heard of them. The ledger asks again as it reserves.
    pub fn door(&self) -> Result<(), Problem> {
        match self.gateway.keyring.stopped(&self.facts).map(|record| record.flag) {
            None => Ok(()),
            Some(Flag::Key { .. }) => Err(Problem::Revoked),
            Some(wider) => Err(Problem::Stopped(wider)),
        }
    }

    /// Nothing is held for a call that could not leave.
    pub fn ready(&self, permit: &Permit) -> Result<(), Problem> {
        match self.gateway.vault.has(&self.place.vendor.name, permit.credential()) {
            true => Ok(()),
            false => Err(Problem::NoCredential(self.place.vendor.name.to_string())),
        }
    }
}
