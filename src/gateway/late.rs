//! A price that the vendor names after the call: asked for a few times, by questions that are calls of their own, until it is
//! there. It replaces the charge that stood until then, in one step with an event that says so. What is not there after the last
//! time leaves the charge as it is. A restart forgets what was still to be asked: `bursar adjust` is for those.

use std::sync::Arc;

use super::look_up::Asker;
use crate::rules::books::Act;
use crate::rules::subject::Flag;
use crate::rules::vendors::Plan;
use crate::rules::vendors::look_up::Question;
use crate::units::amount::Amounts;

/// Who asks, and how the answer is read.
pub struct Follow {
    pub asker: Asker,
    pub plan: Plan,
}

/// The change of a charge that nobody adjusted before.
const STEP: u32 = 1;

impl Follow {
    /// Runs until the price is there, or the last time has passed.
    pub async fn run(self: Box<Self>, question: Question, charged: Amounts) {
        let begun = tokio::time::Instant::now();
        // Also for a key that was revoked meanwhile: what it spent is still to be known.
        let flags: Arc<[Flag]> = Arc::from([Flag::Everyone]);
        for wait in self.plan.late_waits() {
            tokio::time::sleep_until(begun + *wait).await;
            let (_, answer) = self.asker.ask(&question, flags.clone()).await;
            let cost = answer.ok().and_then(|body| self.plan.late_cost(&body));
            if let Some(usd) = cost {
                return self.replace(&question, Amounts { usd, ..charged }).await;
            }
        }
        let call = self.asker.context.call;
        tracing::warn!(%call, %question, "the vendor has not named its price; what was charged stands");
    }

    async fn replace(&self, question: &Question, charge: Amounts) {
        let call = self.asker.context.call;
        let act = Act { actor: "bursar".to_owned(), reason: Some(format!("the vendor's own price: {question}")) };
        if let Err(error) = self.asker.gateway.ledger.adjust(call, STEP, charge, true, act).await {
            tracing::error!(%call, %error, "the vendor's own price could not be put into the books");
        }
    }
}
