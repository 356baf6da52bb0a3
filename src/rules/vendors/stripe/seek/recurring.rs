//! What a subscription's first invoice can be: its prices times their quantities, what the customer owes already, and what
//! is waiting to be invoiced. Taxes, tiers and prices that the customer sets have no bound here.

use super::super::super::ask::Ask;
use super::super::super::look_up::{Seek, integer, text};
use super::super::{Sum, amount};
use super::id;
use crate::rules::args::{Decimal, Value};
use crate::rules::json::{Document, Kind, NodeRef};

/// Parameters that add what no price says.
const TAXES: [&str; 3] = ["automatic_tax", "default_tax_rates", "tax_rates"];

/// A subscription that is being made.
pub(super) fn created(ask: &Ask<'_>, seek: &Seek<'_>) -> Option<Sum> {
    let customer = id(ask, "customer")?;
    if adds_taxes(ask, seek, "") {
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
    // In another currency the price has other amounts.
    let named = amount::currency(ask.args, "currency").ok()?;
    total.sum().filter(|sum| named.is_none() || named == sum.currency)
}

/// One that goes on: a whole period of all its items.
pub(super) fn resumed(ask: &Ask<'_>, seek: &Seek<'_>) -> Option<Sum> {
    let subscription = seek.get(format!("/v1/subscriptions/{}", id(ask, "subscription")?), None)?;
    let taxed = subscription.pointer("/default_tax_rates").is_some_and(|list| list.children().next().is_some())
        || matches!(subscription.pointer("/automatic_tax/enabled").map(NodeRef::kind), Some(Kind::Bool(true)));
    if taxed {
        return none(seek, "the subscription is taxed");
    }
    let mut total = Total::default();
    for at in 0..subscription.pointer("/items/data")?.children().count() {
        let item = format!("/items/data/{at}");
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
    let mut total = Total::default();
    total.add(asked_item(ask, seek, ""))?;
    total.sum()
}

/// An invoice item that names a price.
pub(super) fn invoice_item(ask: &Ask<'_>, seek: &Seek<'_>) -> Option<Sum> {
    let quantity = quantity(ask, "")?;
    let price = id(ask, "pricing.price").or_else(|| id(ask, "price"))?;
    let mut total = Total::default();
    total.add(priced(&seek.get(format!("/v1/prices/{price}"), None)?, "", quantity))?;
    total.sum()
}

/// Minor units of one currency.
#[derive(Default)]
struct Total {
    minor: u64,
    currency: Option<Box<str>>,
}

impl Total {
    fn add(&mut self, part: Option<(u64, Box<str>)>) -> Option<()> {
        let (minor, currency) = part?;
        if self.currency.get_or_insert_with(|| currency.clone()) != &currency {
            return None;
        }
        self.minor = self.minor.saturating_add(minor);
        Some(())
    }

    fn sum(self) -> Option<Sum> {
        Some(Sum { minor: self.minor, currency: Some(self.currency?), before: 0 })
    }
}

/// What the customer owes, and what is waiting for the next invoice.
fn owed(customer: &str, seek: &Seek<'_>, total: &mut Total) -> Option<()> {
    let record = seek.get(format!("/v1/customers/{customer}"), None);
    let waiting = seek.get("/v1/invoiceitems".to_owned(), Some(format!("customer={customer}&pending=true&limit=100")));
    let (record, waiting) = (record?, waiting?);
    let debt = integer(&record, "/balance").unwrap_or(0).max(0);
    let more = matches!(waiting.pointer("/has_more").map(NodeRef::kind), Some(Kind::Bool(true)));
    if more {
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
    let there = |name: &&&str| !matches!(ask.args.get(&format!("{below}{name}")), Ok(None | Some(Value::Null)));
    match TAXES.iter().find(there) {
        Some(name) => {
            seek.fail(format!("`{below}{name}` adds a tax that no price says"));
            true
        }
        None => false,
    }
}

fn length(ask: &Ask<'_>, list: &str) -> Option<usize> {
    match ask.args.get(list).ok()? {
        None | Some(Value::Null) => Some(0),
        Some(Value::List(group) | Value::Object(group)) => Some(group.values().count()),
        Some(_) => None,
    }
}

fn quantity(ask: &Ask<'_>, below: &str) -> Option<u64> {
    Some(amount::amount(ask.args, &format!("{below}quantity"), false).ok()?.unwrap_or(1))
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
    const PLACES: u32 = 12;
    let each = document.pointer(&of("unit_amount_decimal")).filter(|n| !n.is_null());
    let each = each.or_else(|| document.pointer(&of("unit_amount")))?;
    let each = Decimal::parse(each.text().or(each.number())?)?.scaled(PLACES)?;
    let all = u128::try_from(each).ok()?.checked_mul(u128::from(quantity))?.div_ceil(10u128.pow(PLACES));
    Some((u64::try_from(all).ok()?, currency))
}
