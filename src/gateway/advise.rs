//! What would be allowed instead of a call that money refuses: the same call with a cheaper model, or a smaller amount. Only what
//! is bounded by the same estimate, and fits every limit and account as they stand, is named. Runs for refusals alone, and its
//! work is bounded; holds nothing. `problem::advised` has the words.

use std::cmp::Reverse;

use super::admit::{Judged, Known, Sendable};
use super::problem::{Advised, Instead, Problem};
use crate::rules::json::{Document, Edit};
use crate::rules::ledger::ask::AccountState;
use crate::rules::policy::{Code, Permit};
use crate::rules::subject::Name;
use crate::rules::vendors::{Adapter, Ask, Counted, Price};
use crate::units::amount::Unit;
use crate::units::money::MicroCents;

/// A longer body is not read again and again.
const BODY: usize = 32 << 10;
/// So many models are tried.
const TRIED: usize = 16;
/// So many are named.
const NAMED: usize = 3;
/// No card is charged for less.
const CENT: u64 = 1_000_000;

impl Judged<'_> {
    /// The same refusal, with what would be allowed instead where there is something.
    pub async fn advised(&self, problem: Problem, body: &Sendable) -> Problem {
        if !is_about_money(&problem) {
            return problem;
        }
        let instead = match self.price() {
            Some(Price::Adapter(Adapter::Stripe(_))) => self.smaller(body).await,
            Some(Price::Adapter(Adapter::Chat | Adapter::Responses | Adapter::Messages | Adapter::Cohere)) => {
                self.cheaper(body).await
            }
            _ => None,
        };
        match instead {
            Some(instead) => Problem::Advised(Box::new(Advised { problem, instead })),
            None => problem,
        }
    }

    async fn smaller(&self, body: &Sendable) -> Option<Instead> {
        let permit = self.decide(&self.args(body).ok()?).ok()?;
        let most = permit.room(&self.states(&permit).await?)?;
        let whole_cents = most.0 - most.0 % CENT;
        (whole_cents > 0).then_some(Instead::Amount(MicroCents(whole_cents)))
    }

    async fn cheaper(&self, body: &Sendable) -> Option<Instead> {
        let bodies = self.with_others(body)?;
        let permit = self.decide(&self.args(body).ok()?).ok()?;
        let states = self.states(&permit).await?;
        let mut fitting = Vec::new();
        for (name, body) in bodies {
            if let Some(usd) = self.costs(&Sendable::Whole(body.into()), &states) {
                fitting.push((Reverse(usd), name));
            }
            // Others have their turn in between.
            tokio::task::yield_now().await;
        }
        fitting.sort_unstable();
        let models: Vec<String> = fitting.iter().take(NAMED).map(|(_, name)| name.to_string()).collect();
        (!models.is_empty()).then_some(Instead::Models(models))
    }

    /// This body with each model that could stand in it instead; none, if the model is named elsewhere.
    fn with_others(&self, body: &Sendable) -> Option<Vec<(Name, Vec<u8>)>> {
        let in_path = self.routed.params.iter().any(|(name, _)| matches!(*name, "model" | "deployment"));
        let bytes = body.bytes().filter(|bytes| bytes.len() <= BODY && !in_path)?;
        let document = Document::parse(bytes).ok()?;
        let model = document.root().member("model")?.text()?;
        // There a name is the operator's own deployment.
        if &*self.place.vendor.prices == "azure" {
            return None;
        }
        let (vendor, policy) = (&self.place.vendor, self.policies.get(&self.facts.policy)?);
        let keep = |name: &str| policy.takes_model(&vendor.name, name);
        let names = self.prices.alike(&vendor.prices, model, self.now, keep);
        let other = |name: Name| {
            let value = serde_json::Value::from(&*name).to_string();
            Some((name, document.splice(&[Edit::Replace { pointer: "/model", value: &value }]).ok()?))
        };
        Some(names.into_iter().take(TRIED).filter_map(other).collect())
    }

    /// The bound of a call that would be allowed whole. What only a ceiling bounds is not counted as known.
    fn costs(&self, body: &Sendable, states: &[AccountState]) -> Option<MicroCents> {
        let args = self.args(body).ok()?;
        let permit = self.decide(&args).ok()?;
        let remembered = |id: &str, row: &str| self.memory(&permit).recall(id, row);
        let known = Known { found: &[], recalled: None, counted: Counted::Nothing, remembered: &remembered };
        let ask = Ask { ceiling: None, ..self.ask(&permit, &args, body.bytes(), known) };
        let need = ask.estimate().ok()?.need;
        permit.has_room(&need, states).then(|| need.wanted().usd)
    }

    /// The accounts as they are now.
    async fn states(&self, permit: &Permit) -> Option<Vec<AccountState>> {
        self.gateway.ledger.accounts(permit.lines().to_vec()).await.ok()
    }
}

fn is_about_money(problem: &Problem) -> bool {
    match problem {
        Problem::Budget(short) => short.unit == Unit::Usd,
        Problem::Denied(denial) => {
            denial.code == Code::CallLimit && denial.details.iter().any(|(name, unit)| *name == "unit" && unit == "usd")
        }
        _ => false,
    }
}
