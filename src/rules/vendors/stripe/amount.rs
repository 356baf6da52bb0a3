//! The amount that a request names, and the fields by which a record comes to move money. Reads forms and v2 JSON alike; an
//! amount that is no plain whole number is refused.

use super::super::ask::{Ask, Unpriceable};
use super::{Move, Sum};
use crate::rules::args::{Args, Value};

/// The longest amount in digits: above what any currency needs, below what overflows.
const MAX_DIGITS: usize = 15;

/// What the request says of its amount.
pub(super) enum Named {
    Sum(Sum),
    /// It moves nothing.
    Nothing,
    /// It moves nothing yet; the answer says if it did after all.
    Later,
    /// It stands in an object at Stripe; without this field it is not known.
    Elsewhere(&'static str),
}

/// Fields by which an end comes to move money, and their values that do not.
const PAYING: [(&str, &[&str]); 2] =
    [("invoice_now", &["false"]), ("proration_behavior", &["none", "create_prorations"])];

/// Fields of a subscription that change no amount.
const HARMLESS: [&str; 8] = [
    "metadata",
    "description",
    "cancel_at_period_end",
    "cancellation_details",
    "default_payment_method",
    "default_source",
    "payment_settings",
    "expand",
];

pub(super) fn named(ask: &Ask<'_>, moves: Move) -> Result<Named, Unpriceable> {
    match moves {
        Move::Quiet => quiet(ask.args),
        Move::Intent if !is_set(ask.args, "confirm")? => Ok(Named::Later),
        Move::InvoiceDraft => draft(ask),
        Move::InvoicePay if is_set(ask.args, "paid_out_of_band")? => out_of_band(ask),
        // The answer still says what is collected.
        Move::InvoiceFinalize if is_clear(ask.args.get("auto_advance")?, false) => Ok(Named::Later),
        Move::InvoiceItem if ask.args.get("item")?.is_some() && !reprices(ask)? => Ok(Named::Nothing),
        Move::SubscriptionUpdate if ask.args.all_in(&HARMLESS) => Ok(Named::Nothing),
        Move::InvoiceLines => lines(ask),
        Move::CreditNote => credit_note(ask),
        Move::CustomerBalance => customer(ask),
        _ => plain(ask, moves),
    }
}

fn plain(ask: &Ask<'_>, moves: Move) -> Result<Named, Unpriceable> {
    let Some(field) = moves.amount_field() else { return Ok(Named::Elsewhere("amount")) };
    let amount = amount(ask.args, field, moves.is_signed())?;
    let currency = currency(ask.args, moves.currency_field())?;
    Ok(amount.map_or(Named::Elsewhere(field), |minor| Named::Sum(Sum { minor, currency, before: 0 })))
}

/// A call that costs nothing, or what no field names.
fn quiet(args: &Args<'_>) -> Result<Named, Unpriceable> {
    for (field, harmless) in PAYING {
        let silent = match args.get(field)? {
            None | Some(Value::Null | Value::Text("") | Value::Bool(false)) => true,
            Some(value) => value.text().is_some_and(|text| harmless.contains(&text)),
        };
        if !silent {
            return Ok(Named::Elsewhere(field));
        }
    }
    Ok(Named::Nothing)
}

/// Anything but a clear no says yes.
fn is_set(args: &Args<'_>, field: &str) -> Result<bool, Unpriceable> {
    let value = args.get(field)?;
    Ok(!matches!(value, None | Some(Value::Null)) && !is_clear(value, false))
}

/// Says it this, and nothing else?
pub(super) fn is_clear(value: Option<Value<'_>>, wanted: bool) -> bool {
    let word = if wanted { "true" } else { "false" };
    value.is_some_and(|value| matches!(value, Value::Bool(flag) if flag == wanted) || value.text() == Some(word))
}

/// Paid elsewhere: a clear yes moves nothing here.
fn out_of_band(ask: &Ask<'_>) -> Result<Named, Unpriceable> {
    let outside = is_clear(ask.args.get("paid_out_of_band")?, true);
    if outside { Ok(Named::Nothing) } else { plain(ask, Move::InvoicePay) }
}

/// Does an update of an invoice item change what it amounts to?
fn reprices(ask: &Ask<'_>) -> Result<bool, Unpriceable> {
    for field in ["amount", "quantity", "quantity_decimal", "pricing", "price", "price_data", "unit_amount_decimal"] {
        if !matches!(ask.args.get(field)?, None | Some(Value::Null)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A draft stays one, unless it goes on by itself at once or at a time. Of a new one the answer says whether it does.
fn draft(ask: &Ask<'_>) -> Result<Named, Unpriceable> {
    let timed = !matches!(ask.args.get("automatically_finalizes_at")?, None | Some(Value::Null | Value::Text("")));
    if timed || is_set(ask.args, "auto_advance")? {
        return plain(ask, Move::InvoiceDraft);
    }
    let silent = !is_clear(ask.args.get("auto_advance")?, false);
    Ok(if silent && ask.args.get("invoice")?.is_none() { Named::Later } else { Named::Nothing })
}

/// Every line must name its amount.
fn lines(ask: &Ask<'_>) -> Result<Named, Unpriceable> {
    if let Some(minor) = amount(ask.args, "amount", true)? {
        return Ok(Named::Sum(Sum { minor, currency: None, before: 0 }));
    }
    let mut sum = 0u64;
    let Some(Value::List(list) | Value::Object(list)) = ask.args.get("lines")? else {
        return Ok(Named::Elsewhere("lines"));
    };
    for at in 0..list.values().count() {
        match amount(ask.args, &format!("lines.{at}.amount"), true)? {
            Some(minor) => sum = sum.saturating_add(minor),
            None => return Ok(Named::Elsewhere("lines")),
        }
    }
    Ok(Named::Sum(Sum { minor: sum, currency: None, before: 0 }))
}

/// What goes back is at most the note's whole amount.
fn credit_note(ask: &Ask<'_>) -> Result<Named, Unpriceable> {
    let (mut parts, mut any) = (0u64, false);
    for field in ["refund_amount", "credit_amount"] {
        if let Some(minor) = amount(ask.args, field, false)? {
            (parts, any) = (parts.saturating_add(minor), true);
        }
    }
    let whole = amount(ask.args, "amount", false)?;
    let minor = whole.map_or(parts, |whole| whole.max(parts));
    let known = any || whole.is_some();
    Ok(if known { Named::Sum(Sum { minor, currency: None, before: 0 }) } else { Named::Elsewhere("amount") })
}

/// A new customer's balance is the whole movement; an old one's is the difference from what it was.
fn customer(ask: &Ask<'_>) -> Result<Named, Unpriceable> {
    let known = ask.args.get("customer")?.is_some();
    Ok(match amount(ask.args, "balance", true)? {
        None => Named::Nothing,
        Some(_) if known => Named::Elsewhere("balance"),
        Some(minor) => Named::Sum(Sum { minor, currency: None, before: 0 }),
    })
}

pub(super) fn currency(args: &Args<'_>, field: &str) -> Result<Option<Box<str>>, Unpriceable> {
    Ok(text(args, field)?.filter(|code| !code.is_empty()).map(|code| code.to_ascii_lowercase().into()))
}

pub(super) fn text<'a>(args: &'a Args<'_>, field: &str) -> Result<Option<&'a str>, Unpriceable> {
    let bad = || Unpriceable::BadField { field: field.to_owned(), why: "it must be a text" };
    match args.get(field)? {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.text().map(Some).ok_or_else(bad),
    }
}

/// Its size; the sign, where one may stand, is the direction.
pub(super) fn amount(args: &Args<'_>, field: &str, signed: bool) -> Result<Option<u64>, Unpriceable> {
    let bad = || Unpriceable::BadField {
        field: field.to_owned(),
        why: "it must be a whole number of minor units, in plain digits",
    };
    match args.get(field)? {
        None | Some(Value::Null) => Ok(None),
        // An empty form field unsets a parameter.
        Some(Value::Text("")) => Ok(None),
        Some(value) => {
            let digits = value.digits().map(|d| d.strip_prefix('-').filter(|_| signed).unwrap_or(d));
            let digits = digits.filter(|d| d.len() <= MAX_DIGITS && d.bytes().all(|b| b.is_ascii_digit()));
            digits.and_then(|d| d.parse().ok()).map(Some).ok_or_else(bad)
        }
    }
}
