//! What a subscription's first invoice can be: its prices times their quantities, what the customer owes already, and what
//! is waiting to be invoiced. Taxes, tiers, times before or beyond one period and prices that the customer sets have no bound
//! here.

use super::super::super::ask::Ask;
use super::super::super::look_up::{Seek, integer, text};
use super::super::{Sum, amount};
use super::id;
use crate::rules::args::{Decimal, Value};
use crate::rules::json::{Document, Kind, NodeRef};

/// Parameters that add what no price says. The first may say that it does not.
const TAXES: [&str; 3] = ["automatic_tax", "default_tax_rates", "tax_rates"];

/// Decimal places of Stripe's quantities and unit amounts.
const PLACES: u32 = 12;

/// Parameters that bill more than one period at once.
const PERIODS: [&str; 2] = ["backdate_start_date", "billing_schedules"];

/// A subscription that is being made.
pub(super) fn created(ask: &Ask<'_>, seek: &Seek<'_>) -> Option<Sum> {
    let customer = id(ask, "customer")?;
    if adds_taxes(ask, seek, "") || is_there(ask, seek, &PERIODS, "", "bills more than one period at once") {
        return None;
    }
    let mut total = Total::default();
    for list in ["items", "add_invoice_items"] {
        for at in 0..length(ask, list)? {
            let item = format!("{list}.{at}.");
            if adds_taxes(ask, seek, &item) {
                return None;
            }
            total.add(asked_item(ask, seek, &item))?;
        }
    }
    owed(customer, seek, &mut total)?;
    in_own_currency(ask, seek, total.sum()?)
}

/// In another currency a price has other amounts: the one that is named, else the customer's, if that has one.
fn in_own_currency(ask: &Ask<'_>, seek: &Seek<'_>, sum: Sum) -> Option<Sum> {
    let named = amount::currency(ask.args, "currency").ok()?;
    let own = match &named {
        Some(_) => named,
        None => text(&customer(id(ask, "customer")?, seek)?, "/currency").map(|code| code.to_ascii_lowercase().into()),
    };
    if own.is_some() && own != sum.currency {
        return none(seek, "it is billed in another currency than its price's");
    }
    Some(sum)
}

fn customer<'a>(id: &str, seek: &Seek<'a>) -> Option<Document<'a>> {
    seek.get(format!("/v1/customers/{id}"), None)
}

/// One that goes on: a whole period of all its items.
pub(super) fn resumed(ask: &Ask<'_>, seek: &Seek<'_>) -> Option<Sum> {
    let subscription = seek.get(format!("/v1/subscriptions/{}", id(ask, "subscription")?), None)?;
    if is_taxed(&subscription) {
        return none(seek, "the subscription is taxed");
    }
    if yes(&subscription, "/items/has_more") {
        return none(seek, "the subscription has more items than one answer lists");
    }
    let mut total = Total::default();
    for at in 0..subscription.pointer("/items/data")?.children().count() {
        let item = format!("/items/data/{at}");
        if lists(&subscription, &format!("{item}/tax_rates")) {
            return none(seek, "an item of the subscription is taxed");
        }
        let quantity = integer(&subscription, &format!("{item}/quantity")).unwrap_or(1);
        total.add(priced(&subscription, &format!("{item}/price"), u64::try_from(quantity).ok()?))?;
    }
    owed(text(&subscription, "/customer")?, seek, &mut total)?;
    total.sum()
}

/// One more item; what is charged for the rest of a period is at most the whole.
pub(super) fn item(ask: &Ask<'_>, seek: &Seek<'_>) -> Option<Sum> {
    let now = amount::text(ask.args, "proration_behavior").ok()? == Some("always_invoice");
    if now || adds_taxes(ask, seek, "") {
        return None;
    }
    let subscription = seek.get(format!("/v1/subscriptions/{}", id(ask, "subscription")?), None);
    let mut total = Total::default();
    let added = total.add(asked_item(ask, seek, ""));
    let subscription = subscription?;
    added?;
    if is_taxed(&subscription) {
        return none(seek, "the subscription is taxed");
    }
    // In the subscription's currency the price may have another amount.
    total.sum().filter(|sum| text(&subscription, "/currency") == sum.currency.as_deref())
}

/// An invoice item that names a price.
pub(super) fn invoice_item(ask: &Ask<'_>, seek: &Seek<'_>) -> Option<Sum> {
    let quantity = quantity(ask, "")?;
    let price = id(ask, "pricing.price").or_else(|| id(ask, "price"))?;
    let mut total = Total::default();
    total.add(priced(&seek.get(format!("/v1/prices/{price}"), None)?, "", quantity))?;
    in_own_currency(ask, seek, total.sum()?)
}

/// Does a subscription as a whole add taxes?
fn is_taxed(subscription: &Document<'_>) -> bool {
    lists(subscription, "/default_tax_rates") || yes(subscription, "/automatic_tax/enabled")
}

fn lists(document: &Document<'_>, pointer: &str) -> bool {
    document.pointer(pointer).is_some_and(|list| list.children().next().is_some())
}

fn yes(document: &Document<'_>, pointer: &str) -> bool {
    matches!(document.pointer(pointer).map(NodeRef::kind), Some(Kind::Bool(true)))
}

/// Minor units of one currency.
#[derive(Default)]
pub(super) struct Total {
    minor: u64,
    currency: Option<Box<str>>,
}

impl Total {
    pub(super) fn add(&mut self, part: Option<(u64, Box<str>)>) -> Option<()> {
        let (minor, currency) = part?;
        if self.currency.get_or_insert_with(|| currency.clone()) != &currency {
            return None;
        }
        self.minor = self.minor.saturating_add(minor);
        Some(())
    }

    pub(super) fn sum(self) -> Option<Sum> {
        Some(Sum { minor: self.minor, currency: Some(self.currency?), before: 0 })
    }
}

/// What the customer owes, and what is waiting for the next invoice.
pub(super) fn owed(id: &str, seek: &Seek<'_>, total: &mut Total) -> Option<()> {
    let record = customer(id, seek);
    let waiting = seek.get("/v1/invoiceitems".to_owned(), Some(format!("customer={id}&pending=true&limit=100")));
    let (record, waiting) = (record?, waiting?);
    let debt = integer(&record, "/balance").unwrap_or(0).max(0);
    if yes(&waiting, "/has_more") {
        return none(seek, "more than a hundred items wait for the customer's next invoice");
    }
    let amounts = waiting.pointer("/data")?.children().map(|item| item.member("amount")?.number()?.parse::<i64>().ok());
    let items: i64 = amounts.map(|a| a.map(|a| a.max(0))).try_fold(0i64, |sum, a| Some(sum.saturating_add(a?)))?;
    total.minor = total.minor.saturating_add(debt.saturating_add(items).unsigned_abs());
    Some(())
}

fn none<T>(seek: &Seek<'_>, why: &str) -> Option<T> {
    seek.fail(why.to_owned());
    None
}

fn adds_taxes(ask: &Ask<'_>, seek: &Seek<'_>, below: &str) -> bool {
    let enabled = ask.args.get(&format!("{below}automatic_tax.enabled"));
    let names = if enabled.is_ok_and(|value| amount::is_clear(value, false)) { &TAXES[1..] } else { &TAXES[..] };
    is_there(ask, seek, names, below, "adds a tax that no price says")
}

/// Is one of these parameters there? Then it is noted, and why that has no bound.
fn is_there(ask: &Ask<'_>, seek: &Seek<'_>, names: &[&str], below: &str, why: &str) -> bool {
    let there = |name: &&&str| !matches!(ask.args.get(&format!("{below}{name}")), Ok(None | Some(Value::Null)));
    let found = names.iter().find(there);
    found.iter().for_each(|name| seek.fail(format!("`{below}{name}` {why}")));
    found.is_some()
}

fn length(ask: &Ask<'_>, list: &str) -> Option<usize> {
    match ask.args.get(list).ok()? {
        None | Some(Value::Null) => Some(0),
        Some(Value::List(group) | Value::Object(group)) => Some(group.values().count()),
        Some(_) => None,
    }
}

/// How many, rounded up to whole ones. With both fields nobody knows which counts.
fn quantity(ask: &Ask<'_>, below: &str) -> Option<u64> {
    let whole = amount::amount(ask.args, &format!("{below}quantity"), false).ok()?;
    match (whole, ask.args.get(&format!("{below}quantity_decimal")).ok()?) {
        (whole, None | Some(Value::Null | Value::Text(""))) => Some(whole.unwrap_or(1)),
        (Some(_), Some(_)) => None,
        (None, Some(parts)) => {
            let scaled = Decimal::parse(parts.digits()?)?.scaled(PLACES)?;
            u64::try_from(u128::try_from(scaled).ok()?.div_ceil(10u128.pow(PLACES))).ok()
        }
    }
}

/// An item of the request: a price by its id, or one that is written out.
fn asked_item(ask: &Ask<'_>, seek: &Seek<'_>, below: &str) -> Option<(u64, Box<str>)> {
    let quantity = quantity(ask, below)?;
    if let Some(price) = id(ask, &format!("{below}price")) {
        return priced(&seek.get(format!("/v1/prices/{price}"), None)?, "", quantity);
    }
    if let Some(plan) = id(ask, &format!("{below}plan")) {
        let plan = seek.get(format!("/v1/plans/{plan}"), None)?;
        let each = u64::try_from(integer(&plan, "/amount")?).ok()?;
        return Some((each.checked_mul(quantity)?, text(&plan, "/currency")?.into()));
    }
    let each = amount::amount(ask.args, &format!("{below}price_data.unit_amount"), false).ok()??;
    let currency = amount::currency(ask.args, &format!("{below}price_data.currency")).ok()??;
    Some((each.checked_mul(quantity)?, currency))
}

/// A price object below this pointer, times a quantity. What is metered is billed after the period.
fn priced(document: &Document<'_>, at: &str, quantity: u64) -> Option<(u64, Box<str>)> {
    let of = |name: &str| format!("{at}/{name}");
    let currency = text(document, &of("currency"))?.into();
    if text(document, &of("recurring/usage_type")) == Some("metered") {
        return Some((0, currency));
    }
    if text(document, &of("billing_scheme")).is_some_and(|scheme| scheme != "per_unit") {
        return None;
    }
    let each = document.pointer(&of("unit_amount_decimal")).filter(|n| !n.is_null());
    let each = each.or_else(|| document.pointer(&of("unit_amount")))?;
    let each = Decimal::parse(each.text().or(each.number())?)?.scaled(PLACES)?;
    let all = u128::try_from(each).ok()?.checked_mul(u128::from(quantity))?.div_ceil(10u128.pow(PLACES));
    Some((u64::try_from(all).ok()?, currency))
}
