//! Stripe's movements of money: what a request moves at most. In order: `moves` is the table, `class` says what counts,
//! `amount` reads the request, `seek` asks Stripe for what the request does not name, `answer` reads what moved. Amounts are
//! minor units of a currency; every direction counts as spend.

mod amount;
pub(super) mod answer;
mod class;
mod moves;
mod seek;
#[cfg(test)]
mod tests;

pub use class::{Class, StripeRule, is_test_key};
pub use moves::Move;

use self::amount::Named;
use super::ask::{Ask, Bounded, Unpriceable};
use super::look_up::{Question, Seek};
use super::plan::How;
use crate::rules::ledger::need::Need;
use crate::units::money::PicoUsd;

/// How to meter one call.
#[derive(Clone, Debug)]
pub(super) struct StripePlan {
    pub moves: Move,
    /// What the request named, or a look-up found.
    pub amount: Option<u64>,
    pub currency: Option<Box<str>>,
    /// The amount stands in the request.
    pub named: bool,
    /// Of the object's own sum, what had moved before this call.
    pub before: u64,
    /// A first invoice waits until its customer confirms it.
    pub awaits_customer: bool,
}

impl StripePlan {
    /// For an answer that Stripe repeats: what was looked up before this call may be what its first sending left behind.
    fn of_repeat(&self) -> Self {
        Self { before: 0, amount: self.amount.filter(|_| self.named), ..self.clone() }
    }
}

/// What a call moves at most.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sum {
    minor: u64,
    /// In which currency; `None` is the account's own.
    currency: Option<Box<str>>,
    /// Of the object's own sum, what had moved before.
    before: u64,
}

/// Bound and plan of a call.
pub(super) fn estimate(ask: &Ask<'_>, moves: Move) -> Result<Bounded, Unpriceable> {
    if !counts(ask, moves) {
        return Ok(free());
    }
    match amount::named(ask, moves)? {
        Named::Nothing => Ok(free()),
        // What the answer says is still read.
        Named::Later => Ok(plan(ask, moves, None, true, Ok(PicoUsd(0)))),
        Named::Sum(sum) => {
            let told = currency_of_object(ask, moves, &sum, &Seek::new(ask.found));
            let held =
                told.as_deref().map_or_else(|| hold(ask, moves, &sum), |code| in_usd(ask, sum.minor, Some(code)));
            Ok(plan(ask, moves, Some(Sum { currency: told.or(sum.currency), ..sum }), true, held))
        }
        Named::Elsewhere(field) => found(ask, moves, field),
    }
}

/// What to ask Stripe, so that the call has a bound; nothing if it has one, or if nothing helps.
pub(super) fn questions(ask: &Ask<'_>, moves: Move) -> Vec<Question> {
    let seek = Seek::new(ask.found);
    // What is found is of no use yet; what is wanted is.
    match amount::named(ask, moves) {
        _ if !counts(ask, moves) => {}
        Ok(Named::Elsewhere(_)) => drop(seek::sum(ask, moves, &seek)),
        Ok(Named::Sum(sum)) => drop(currency_of_object(ask, moves, &sum, &seek)),
        _ => {}
    }
    let (wanted, failed) = seek.end();
    if failed.is_some() { Vec::new() } else { wanted }
}

/// The currency of the object that money moves of, where the request does not decide it and Stripe told.
fn currency_of_object(ask: &Ask<'_>, moves: Move, sum: &Sum, seek: &Seek<'_>) -> Option<Box<str>> {
    let decided = moves.names_currency() && sum.currency.is_some();
    if decided { None } else { seek::currency(ask, moves, seek) }
}

fn counts(ask: &Ask<'_>, moves: Move) -> bool {
    let test = ask.test_key && ask.stripe.test_keys_free;
    !test && ask.stripe.counts(moves.class())
}

fn free() -> Bounded {
    Bounded { need: Ok(Need::fixed(PicoUsd(0), 0)), how: How::Free, tokens: 0, countable: false }
}

fn plan(ask: &Ask<'_>, moves: Move, sum: Option<Sum>, named: bool, held: Result<PicoUsd, Unpriceable>) -> Bounded {
    let (amount, before) = sum.as_ref().map_or((None, 0), |sum| (Some(sum.minor), sum.before));
    let currency = sum.and_then(|sum| sum.currency).or_else(|| ask.vendor.currency.clone());
    let awaits_customer = matches!(amount::text(ask.args, "payment_behavior"), Ok(Some("default_incomplete")));
    let how = How::Stripe(StripePlan { moves, amount, currency, named, before, awaits_customer });
    Bounded { need: held.map(|usd| Need::fixed(usd, 0)), how, tokens: 0, countable: false }
}

/// The amount as the vendor's own objects have it.
fn found(ask: &Ask<'_>, moves: Move, field: &'static str) -> Result<Bounded, Unpriceable> {
    let seek = Seek::new(ask.found);
    let sum = seek::sum(ask, moves, &seek);
    let (wanted, failed) = seek.end();
    let held = match (&sum, failed) {
        (Some(sum), None) if wanted.is_empty() => in_usd(ask, sum.minor, sum.currency.as_deref()),
        (_, Some(why)) => Err(Unpriceable::NotFound { field: field.to_owned(), why }),
        _ => Err(Unpriceable::unbounded(
            field,
            "without it the whole amount moves, and how much that is stands at the vendor, which bursar may ask if the \
             policy says `look_up = true`",
        )),
    };
    let sum = if held.is_ok() { sum } else { None };
    Ok(plan(ask, moves, sum, false, held))
}

fn in_usd(ask: &Ask<'_>, minor: u64, code: Option<&str>) -> Result<PicoUsd, Unpriceable> {
    let fx = &ask.prices.fx;
    let usd = code.map_or_else(|| fx.dearest(minor), |code| fx.bound(minor, code));
    usd.ok_or_else(|| Unpriceable::UnknownCurrency(code.unwrap_or("any").to_owned()))
}

fn hold(ask: &Ask<'_>, moves: Move, sum: &Sum) -> Result<PicoUsd, Unpriceable> {
    let own = ask.vendor.currency.as_deref();
    match sum.currency.as_deref() {
        Some(named) if moves.names_currency() => in_usd(ask, sum.minor, Some(named)),
        Some(named) => Ok(in_usd(ask, sum.minor, Some(named))?.max(in_usd(ask, sum.minor, own)?)),
        None => in_usd(ask, sum.minor, own),
    }
}
