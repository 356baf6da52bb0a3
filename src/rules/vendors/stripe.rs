//! Stripe's movements of money: what a request moves at most. `answer` reads what moved. Amounts are minor units of a
//! currency; every direction counts as spend. An amount that the request does not name has no bound here.

pub(super) mod answer;
#[cfg(test)]
mod tests;

use super::ask::{Ask, Bounded, Unpriceable};
use super::plan::How;
use crate::rules::args::Value;
use crate::rules::ledger::need::Need;
use crate::units::money::PicoUsd;

/// The longest amount in digits: above what any currency needs, below what overflows.
const MAX_DIGITS: usize = 15;

/// What an operation moves: it decides which field names the amount, and when the answer says that it moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    Charge,
    ChargeCapture,
    /// A payment intent, which only moves money if it is confirmed at once.
    Intent,
    IntentConfirm,
    IntentCapture,
    /// Other steps of an intent that name an amount.
    IntentAmount,
    Refund,
    Transfer,
    Reversal,
    /// Out of the account, or into it.
    Payout,
    /// Nothing, unless the request has one of the `PAYING` fields.
    Quiet,
}

/// Fields by which a record or an end comes to move money, and their values that do not.
const PAYING: [(&str, &[&str]); 3] = [
    // A credit of the customer's.
    ("balance", &[]),
    // A last invoice.
    ("invoice_now", &["false"]),
    ("proration_behavior", &["none", "create_prorations"]),
];

impl Move {
    /// By the name that the catalogue uses.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "charge" => Self::Charge,
            "charge_capture" => Self::ChargeCapture,
            "intent" => Self::Intent,
            "intent_confirm" => Self::IntentConfirm,
            "intent_capture" => Self::IntentCapture,
            "intent_amount" => Self::IntentAmount,
            "refund" => Self::Refund,
            "transfer" => Self::Transfer,
            "reversal" => Self::Reversal,
            "payout" => Self::Payout,
            "quiet" => Self::Quiet,
            _ => return None,
        })
    }

    fn amount_field(self) -> &'static str {
        match self {
            Self::IntentConfirm => "amount_to_confirm",
            Self::IntentCapture => "amount_to_capture",
            _ => "amount",
        }
    }

    /// Does the request say in which currency it moves? Elsewhere that of an earlier object counts, whatever is sent.
    fn names_currency(self) -> bool {
        matches!(self, Self::Charge | Self::Intent | Self::Transfer | Self::Payout)
    }
}

/// How to meter one call.
#[derive(Debug)]
pub(super) struct StripePlan {
    pub moves: Move,
    /// What the request named.
    pub amount: Option<u64>,
    pub currency: Option<Box<str>>,
}

/// Bound and plan of a call.
pub(super) fn estimate(ask: &Ask<'_>, moves: Move) -> Result<Bounded, Unpriceable> {
    if moves == Move::Quiet {
        return quiet(ask);
    }
    let amount = amount(ask, moves.amount_field())?;
    let named: Option<Box<str>> = text(ask, "currency")?.map(|code| code.to_ascii_lowercase().into());
    let need = match (moves == Move::Intent && !confirms(ask)?, amount) {
        (true, _) => Ok(Need::fixed(PicoUsd(0), 0)),
        (false, Some(amount)) => hold(ask, moves, amount, named.as_deref()).map(|usd| Need::fixed(usd, 0)),
        (false, None) => Err(Unpriceable::unbounded(
            moves.amount_field(),
            "without it the whole amount moves, and how much that is stands at the vendor",
        )),
    };
    let currency = named.or_else(|| ask.vendor.currency.clone());
    Ok(Bounded { need, how: How::Stripe(StripePlan { moves, amount, currency }), tokens: 0 })
}

/// A call that costs nothing, or what no field names.
fn quiet(ask: &Ask<'_>) -> Result<Bounded, Unpriceable> {
    for (field, harmless) in PAYING {
        let silent = match ask.args.get(field)? {
            None | Some(Value::Null | Value::Text("") | Value::Bool(false)) => true,
            Some(value) => value.text().is_some_and(|text| harmless.contains(&text)),
        };
        if !silent {
            let need = Err(Unpriceable::unbounded(field, "it moves money, and how much stands at the vendor"));
            return Ok(Bounded { need, how: How::Unknown, tokens: 0 });
        }
    }
    Ok(Bounded { need: Ok(Need::fixed(PicoUsd(0), 0)), how: How::Free, tokens: 0 })
}

fn hold(ask: &Ask<'_>, moves: Move, amount: u64, named: Option<&str>) -> Result<PicoUsd, Unpriceable> {
    let fx = &ask.prices.fx;
    let bound = |code: Option<&str>| {
        let usd = code.map_or_else(|| fx.dearest(amount), |code| fx.bound(amount, code));
        usd.ok_or_else(|| Unpriceable::UnknownCurrency(code.unwrap_or("any").to_owned()))
    };
    let own = ask.vendor.currency.as_deref();
    match named {
        Some(named) if moves.names_currency() => bound(Some(named)),
        Some(named) => Ok(bound(Some(named))?.max(bound(own)?)),
        None => bound(own),
    }
}

/// Anything but a clear no may confirm it.
fn confirms(ask: &Ask<'_>) -> Result<bool, Unpriceable> {
    Ok(match ask.args.get("confirm")? {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(value) => value.text() != Some("false"),
    })
}

fn text<'a>(ask: &Ask<'a>, field: &str) -> Result<Option<&'a str>, Unpriceable> {
    let bad = || Unpriceable::BadField { field: field.to_owned(), why: "it must be a text" };
    match ask.args.get(field)? {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.text().map(Some).ok_or_else(bad),
    }
}

fn amount(ask: &Ask<'_>, field: &str) -> Result<Option<u64>, Unpriceable> {
    let bad = || Unpriceable::BadField {
        field: field.to_owned(),
        why: "it must be a whole number of minor units, in plain digits",
    };
    match ask.args.get(field)? {
        None | Some(Value::Null) => Ok(None),
        // An empty form field unsets a parameter.
        Some(Value::Text("")) => Ok(None),
        Some(value) => {
            let digits = value.digits().filter(|d| d.len() <= MAX_DIGITS && d.bytes().all(|b| b.is_ascii_digit()));
            digits.and_then(|d| d.parse().ok()).map(Some).ok_or_else(bad)
        }
    }
}
