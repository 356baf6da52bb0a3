//! A price that the vendor names after the call: asked for a few times, by questions that are calls of their own, until it is
//! there. It replaces the charge that stood until then, in one step with an event that says so. What is not there after the last
//! time leaves the charge as it is. After a restart the books say what is still to be asked for.

use std::sync::Arc;
use std::time::Duration;

use super::Gateway;
use super::look_up::Asker;
use crate::adapters::audit::made::{self, Making};
use crate::rules::books::Made;
use crate::rules::subject::{Flag, Name};
use crate::rules::vendors::look_up::Question;
use crate::rules::vendors::{Due, Plan};
use crate::units::amount::Amounts;
use crate::units::ids::{CallId, Digest32};
use crate::units::time::Timestamp;

/// No price is asked for later than this.
const LONGEST_SECS: i64 = 22 * 3600;

/// Who asks, and how the answer is read.
pub struct Follow {
    pub asker: Asker,
    pub plan: Plan,
}

/// What is to be done once a call is in the books.
pub struct Afterwards {
    pub follow: Option<(Box<Follow>, Question)>,
    pub made: Option<Box<Made>>,
    pub due: Option<Box<Due>>,
    /// Where both are known by their names.
    pub place: Option<Digest32>,
}

impl Afterwards {
    pub fn begin(self, gateway: &Arc<Gateway>, vendor: &Name, call: CallId, at: Timestamp, charge: Amounts) {
        if let Some(made) = self.made {
            gateway.makings.remember(vendor, *made, call, charge, at);
        }
        if let Some((follow, question)) = self.follow {
            tokio::spawn(follow.run(question, charge, Duration::ZERO));
        }
        if let Some((due, place)) = self.due.zip(self.place) {
            tokio::spawn(gateway.clone().settle_made(vendor.clone(), place, due, call));
        }
    }
}

impl Follow {
    /// Of a call that ended before this start.
    fn resumed(gateway: &Arc<Gateway>, making: &Making) -> Option<(Box<Self>, Question)> {
        let facts = making.opening.facts.clone()?;
        let vendor = gateway.vendors.get(&facts.vendor)?;
        let prices = gateway.prices.current();
        let plan = Plan::resumed(&vendor, making.opening.endpoint.as_deref()?, &prices, making.taken)?;
        let question = Question::get(making.made.ask.clone()?, None);
        let permit = gateway.policies.current().follow_up(&facts)?;
        let asker = Asker::resumed(gateway, (vendor, facts), permit, making.opening.clone());
        Some((Box::new(Self { asker, plan }), question))
    }

    /// Runs until the price is there, or the last time has passed. The call ended `ago`; what was missed is asked at once.
    async fn run(self: Box<Self>, question: Question, charged: Amounts, ago: Duration) {
        let begun = tokio::time::Instant::now();
        let waits = self.plan.late_waits();
        let missed = waits.iter().any(|wait| *wait <= ago).then_some(Duration::ZERO);
        let coming = waits.iter().filter_map(|wait| wait.checked_sub(ago)).filter(|wait| !wait.is_zero());
        for wait in missed.into_iter().chain(coming) {
            tokio::time::sleep_until(begun + wait).await;
            // It is never closed.
            let Ok(_turn) = self.asker.gateway.makings.asking.acquire().await else { return };
            // By a callback, by another node, or by a person.
            if self.asker.gateway.is_put_right(self.asker.context.call).await {
                return;
            }
            if self.ask(&question, charged).await {
                return;
            }
        }
        let call = self.asker.context.call;
        tracing::warn!(%call, %question, "the vendor has not named its price; what was charged stands");
    }

    /// Asks once. True if the price is in the books now.
    async fn ask(&self, question: &Question, charged: Amounts) -> bool {
        // Also for a key that was revoked meanwhile: what it spent is still to be known.
        let flags: Arc<[Flag]> = Arc::from([Flag::Everyone]);
        let (_, answer) = self.asker.ask(question, flags).await;
        let cost = answer.ok().and_then(|body| self.plan.late_cost(&body));
        let Some(usd) = cost else { return false };
        let (gateway, call) = (&self.asker.gateway, self.asker.context.call);
        gateway.put_right(call, Amounts { usd, ..charged }, format!("the vendor's own price: {question}")).await
    }
}

/// Goes on asking for what no start before this one has learned.
pub async fn resume(gateway: Arc<Gateway>) {
    // What the journal has may not be in the books yet.
    gateway.books.level().await;
    let now = Timestamp::now();
    let found = gateway.books.ask(move |store| made::unpriced(store, now.plus_secs(-LONGEST_SECS))).await;
    let found = match found {
        Ok(found) => found,
        Err(error) => return tracing::error!(%error, "which prices are still to be asked for cannot be read"),
    };
    for making in found {
        let call = making.opening.call;
        let Some((follow, question)) = Follow::resumed(&gateway, &making) else {
            tracing::warn!(%call, "its price cannot be asked for any more: its vendor, rule or policy is gone");
            continue;
        };
        let ago = Duration::from_micros(u64::try_from(now.0 - making.ended.0).unwrap_or(0));
        tokio::spawn(follow.run(question, making.charge, ago));
    }
}

/// The vendor says that it is worth asking now.
pub async fn ask_now(gateway: &Arc<Gateway>, vendor: &Name, object: &str) {
    let (vendor, object) = (vendor.clone(), object.to_owned());
    let found = gateway.books.ask(move |store| made::making(store, &vendor, &object)).await;
    let Some(making) = found.ok().flatten().filter(|making| !making.adjusted) else { return };
    if let Some((follow, question)) = Follow::resumed(gateway, &making) {
        follow.ask(&question, making.charge).await;
    }
}
