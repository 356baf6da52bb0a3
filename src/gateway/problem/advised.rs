//! A refusal by money, and what would be allowed instead: other models, or a smaller amount. `gateway::advise` finds it; the
//! refusal stays what it is.

use serde_json::{Map, Value, json};

use super::Problem;
use crate::units::amount::Unit;
use crate::units::ids::CallId;
use crate::units::money::MicroCents;

#[derive(Clone, Debug)]
pub struct Advised {
    pub problem: Problem,
    pub instead: Instead,
}

/// What would be allowed, as things stand now.
#[derive(Clone, Debug)]
pub enum Instead {
    /// The same call with another model, the dearest first.
    Models(Vec<String>),
    /// At most so much.
    Amount(MicroCents),
}

impl Advised {
    pub(super) fn sentence(&self) -> String {
        let said = self.problem.sentence();
        match &self.instead {
            Instead::Models(models) => {
                let names: Vec<String> = models.iter().map(|model| format!("`{model}`")).collect();
                format!("{said} The same call with the model {} fits what is left.", names.join(" or "))
            }
            Instead::Amount(most) => format!("{said} Such a call may take {} now at most.", Unit::Usd.show(most.0)),
        }
    }

    pub(super) fn detail(&self, call: CallId) -> Map<String, Value> {
        let mut map = self.problem.detail(call);
        let instead = match &self.instead {
            Instead::Models(models) => json!({"models": models}),
            Instead::Amount(most) => json!({"amount_usd": Unit::Usd.bare(most.0)}),
        };
        map.insert("instead".into(), instead);
        map
    }
}
