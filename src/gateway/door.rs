//! What is asked of a call right before it is held, beside the rules: is it switched off, and could it leave? Holds nothing.

use super::admit::Judged;
use super::problem::Problem;
use crate::rules::policy::Permit;

impl Judged<'_> {
    /// The keyring's flags, which hold even while the ledger has not heard of them. The ledger asks again as it reserves.
    pub fn door(&self) -> Result<(), Problem> {
        match self.gateway.keyring.stopped(&self.facts) {
            None => Ok(()),
            Some(by) => Err(Problem::off(by.flag.clone(), Some(&by))),
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
