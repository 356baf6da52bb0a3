//! `[[schema]]`: which calls a schema is for. It is asked like a denial, in any letter case, as it only ever takes away: a call has to
//! fit every schema that is for it, of its policy, of its bases and of the global one. `rules::schema` says what fits.

use std::sync::Arc;

use super::rule::Rule;
use crate::rules::schema::Schema;

/// A schema and its calls.
#[derive(Clone, Debug)]
pub struct SchemaRule {
    /// Without parameters and tier.
    pub rule: Rule,
    pub schema: Arc<Schema>,
    /// What was wanted does not stand in a reason; what was sent never does.
    pub redact: bool,
}
