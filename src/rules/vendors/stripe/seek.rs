//! Amounts that stand in an object at Stripe: which object, and what of it bounds the movement. `recurring` has prices and
//! subscriptions. What an object does not say clearly has no bound here.

mod recurring;

use self::recurring::{Total, owed};
use super::super::ask::Ask;
use super::super::look_up::{Seek, integer, is_plain_id, text};
use super::{Move, Sum, amount};
use crate::rules::args::Decimal;
use crate::rules::json::Document;

/// What moves at most, by the objects that were looked up. What is missing is noted in `seek`.
pub(super) fn sum(ask: &Ask<'_>, moves: Move, seek: &Seek<'_>) -> Option<Sum> {
    let one = |kind: &str, field: &str| seek.get(format!("/v1/{kind}/{}", id(ask, field)?), None);
    match moves {
        Move::ChargeCapture => whole(&one("charges", "charge")?, "/amount"),
        Move::Refund | Move::ChargeRefund | Move::ReaderRefund => refund(ask, seek),
        Move::FeeRefund => less(&one("application_fees", "id")?, "/amount", "/amount_refunded"),
        Move::Reversal => less(&one("transfers", "id")?, "/amount", "/amount_reversed"),
        Move::Transfer => whole(&one("charges", "source_transaction")?, "/amount"),
        Move::PayoutReverse => whole(&one("payouts", "payout")?, "/amount"),
        Move::CreditReversal => whole(&one("treasury/received_credits", "received_credit")?, "/amount"),
        Move::DebitReversal => whole(&one("treasury/received_debits", "received_debit")?, "/amount"),
        Move::IntentConfirm | Move::IntentAmount | Move::IntentBalance => {
            whole(&one("payment_intents", "intent")?, "/amount")
        }
        Move::ReaderCharge if adds_tip(ask, seek) => None,
        Move::ReaderCharge => whole(&one("payment_intents", "payment_intent")?, "/amount"),
        Move::IntentCapture => capture(&one("payment_intents", "intent")?),
        Move::IssuingApproval => approval(&one("issuing/authorizations", "authorization")?),
        Move::InvoicePay | Move::InvoiceFinalize | Move::InvoiceDraft => invoice(&one("invoices", "invoice")?),
        Move::CreditNote => whole(&one("invoices", "invoice")?, "/total"),
        Move::Quote => quote(&one("quotes", "quote")?, seek),
        Move::CustomerBalance => balance(ask, &one("customers", "customer")?),
        Move::PayoutConfirm => {
            let intent = seek.get(format!("/v2/money_management/payout_intents/{}", id(ask, "id")?), None)?;
            money(integer(&intent, "/amount/value")?, text(&intent, "/amount/currency"))
        }
        Move::ClimateOrder => climate(ask, &one("climate/products", "product")?),
        Move::Subscription => recurring::created(ask, seek),
        Move::SubscriptionResume => recurring::resumed(ask, seek),
        Move::SubscriptionItem => recurring::item(ask, seek),
        Move::InvoiceItem => recurring::invoice_item(ask, seek),
        _ => None,
    }
}

/// The currency of the object that a named amount belongs to.
pub(super) fn currency(ask: &Ask<'_>, moves: Move, seek: &Seek<'_>) -> Option<Box<str>> {
    let of = |kind: &str, field: &str| {
        let object = seek.get(format!("/v1/{kind}/{}", id(ask, field)?), None)?;
        text(&object, "/currency").map(|code| code.to_ascii_lowercase().into())
    };
    match moves {
        Move::InvoiceLines => of("invoices", "invoice"),
        Move::InvoiceItem => of("invoiceitems", "item"),
        _ => sum(ask, moves, seek)?.currency,
    }
}

/// May the customer add a tip on the reader? Only where the request forbids it is the intent's amount the most.
fn adds_tip(ask: &Ask<'_>, seek: &Seek<'_>) -> bool {
    const SKIP: &str = "process_config.skip_tipping";
    let skips = ask.args.get(SKIP).is_ok_and(|value| amount::is_clear(value, true));
    if !skips {
        seek.fail(format!("the customer may add a tip on the reader, unless `{SKIP}` is true"));
    }
    !skips
}

/// A parameter that is a plain id, wherever it is carried.
fn id<'a>(ask: &Ask<'a>, field: &str) -> Option<&'a str> {
    amount::text(ask.args, field).ok()?.filter(|id| is_plain_id(id))
}

fn money(minor: i64, currency: Option<&str>) -> Option<Sum> {
    let currency = currency?.to_ascii_lowercase().into();
    Some(Sum { minor: minor.unsigned_abs(), currency: Some(currency), before: 0 })
}

fn whole(object: &Document<'_>, pointer: &str) -> Option<Sum> {
    money(integer(object, pointer)?, text(object, "/currency"))
}

/// What is left of a sum of which part was given back.
fn less(object: &Document<'_>, all: &str, gone: &str) -> Option<Sum> {
    let left = integer(object, all)?.saturating_sub(integer(object, gone)?);
    money(left.max(0), text(object, "/currency"))
}

/// The rest of a charge, named itself or by its intent.
fn refund(ask: &Ask<'_>, seek: &Seek<'_>) -> Option<Sum> {
    if let Some(charge) = id(ask, "charge") {
        return less(&seek.get(format!("/v1/charges/{charge}"), None)?, "/amount", "/amount_refunded");
    }
    let path = format!("/v1/payment_intents/{}", id(ask, "payment_intent")?);
    let intent = seek.get(path, Some("expand[]=latest_charge".to_owned()))?;
    let currency = text(&intent, "/currency");
    match (integer(&intent, "/latest_charge/amount"), integer(&intent, "/latest_charge/amount_refunded")) {
        (Some(all), Some(gone)) => money(all.saturating_sub(gone).max(0), currency),
        // Not expanded: all that the intent ever received.
        _ => money(integer(&intent, "/amount_received")?, currency),
    }
}

fn capture(intent: &Document<'_>) -> Option<Sum> {
    let before = u64::try_from(integer(intent, "/amount_received").unwrap_or(0)).unwrap_or(0);
    Some(Sum { before, ..whole(intent, "/amount_capturable")? })
}

fn approval(authorization: &Document<'_>) -> Option<Sum> {
    let before = integer(authorization, "/amount").unwrap_or(0).unsigned_abs();
    let amount = integer(authorization, "/pending_request/amount")?;
    Some(Sum { before, ..money(amount, text(authorization, "/pending_request/currency"))? })
}

fn invoice(invoice: &Document<'_>) -> Option<Sum> {
    let outside = integer(invoice, "/amount_paid_off_stripe").unwrap_or(0).max(0);
    let before = integer(invoice, "/amount_paid").unwrap_or(0).saturating_sub(outside);
    let before = u64::try_from(before).unwrap_or(0);
    let left = integer(invoice, "/amount_remaining").or_else(|| integer(invoice, "/amount_due"))?;
    Some(Sum { before, ..money(left.max(0), text(invoice, "/currency"))? })
}

/// What is due at once, or every period, whichever is more; and what the customer owes already.
fn quote(quote: &Document<'_>, seek: &Seek<'_>) -> Option<Sum> {
    let parts = ["/amount_total", "/computed/upfront/amount_total", "/computed/recurring/amount_total"];
    let own = u64::try_from(parts.iter().filter_map(|p| integer(quote, p)).max()?).ok()?;
    let mut total = Total::default();
    total.add(Some((own, text(quote, "/currency")?.to_ascii_lowercase().into())))?;
    owed(text(quote, "/customer").filter(|id| is_plain_id(id))?, seek, &mut total)?;
    total.sum()
}

/// From the old balance to the new one.
fn balance(ask: &Ask<'_>, customer: &Document<'_>) -> Option<Sum> {
    let new: i64 = ask.args.get("balance").ok()??.digits()?.parse().ok()?;
    let old = integer(customer, "/balance")?;
    let currency = text(customer, "/currency").map(Into::into).or_else(|| ask.vendor.currency.clone());
    Some(Sum { minor: new.abs_diff(old), currency, before: 0 })
}

/// Tons times the price of one, fees included, rounded up.
fn climate(ask: &Ask<'_>, product: &Document<'_>) -> Option<Sum> {
    const PLACES: u32 = 6;
    let tons = Decimal::parse(ask.args.get("metric_tons").ok()??.digits()?)?.scaled(PLACES)?;
    let currency = amount::currency(ask.args, "currency").ok()?.or_else(|| ask.vendor.currency.clone())?;
    let each = integer(product, &format!("/current_prices_per_metric_ton/{currency}/amount_total"))?;
    let minor = u128::try_from(tons).ok()?.checked_mul(u128::try_from(each).ok()?)?.div_ceil(10u128.pow(PLACES));
    Some(Sum { minor: u64::try_from(minor).ok()?, currency: Some(currency), before: 0 })
}
