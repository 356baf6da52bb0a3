//! Models that a policy has its own names for: the body as it is judged, held and sent. `rules::policy` knows the names.

use super::admit::{Judged, Sendable};
use super::refusal::About;

impl Judged<'_> {
    /// The body with the model that its alias stands for, by the policies that judge it.
    pub fn renamed(&self, came: &Sendable, about: &mut About) -> Option<Sendable> {
        let (policy, vendor) = (&self.facts.policy, &self.facts.vendor);
        let renamed = self.policies.renamed(policy, vendor, self.routed.operation, came.bytes()?);
        about.renamed = renamed.as_ref().map(|renamed| (renamed.alias.clone(), renamed.model.clone()));
        renamed.map(|renamed| Sendable::Whole(renamed.body.into()))
    }
}
