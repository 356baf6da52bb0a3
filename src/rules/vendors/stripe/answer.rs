//! What Stripe's answers say of the money that moved: by the object's status, in its own currency, turned into USD by the
//! dated table and rounded up. An answer of another shape says nothing. `objects` has what is billed or returned.

mod objects;

use std::borrow::Cow;

use super::super::look_up::{integer, text};
use super::super::usage::{Charge, Usage};
use super::{Move, StripePlan};
use crate::rules::books::CostSource;
use crate::rules::json::{Document, Kind, NodeRef};
use crate::rules::price::Fx;

/// Minor units that moved, or will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moved {
    /// The vendor says how much.
    Exactly(i64),
    /// The vendor says that it moved what the request named.
    AsAsked(u64),
    /// This much has; more may be on its way.
    AtLeast(i64),
}

impl Moved {
    /// Below zero are only credits, and what is the reverse of something.
    fn fits(self, moves: Move) -> bool {
        let reverse = matches!(moves, Move::PayoutReverse | Move::IssuingApproval);
        match self {
            Self::Exactly(minor) | Self::AtLeast(minor) => minor >= 0 || moves.is_signed() || reverse,
            Self::AsAsked(_) => true,
        }
    }
}

/// What a plain answer with a status of 2xx says; a repeat says what it said the first time.
pub(in super::super) fn usage(
    plan: &StripePlan,
    fx: &Fx,
    body: &[u8],
    repeats: bool,
    id: &mut Option<String>,
) -> Usage {
    let plan = &if repeats { Cow::Owned(plan.of_repeat()) } else { Cow::Borrowed(plan) };
    let Ok(document) = Document::parse(body) else { return Usage::UNKNOWN };
    let object = Object(&document);
    *id = text(&document, "/id").map(str::to_owned);
    let Some(moved) = object.moved(plan).filter(|moved| moved.fits(plan.moves)) else { return Usage::UNKNOWN };
    let (minor, source) = match moved {
        Moved::Exactly(minor) | Moved::AtLeast(minor) => (minor.unsigned_abs(), CostSource::Vendor),
        Moved::AsAsked(minor) => (minor, CostSource::Request),
    };
    let usd = if minor == 0 {
        Some(Charge::ZERO)
    } else {
        let currency = object.currency(plan.moves).or(plan.currency.as_deref());
        let usd = currency.and_then(|currency| fx.usd(minor, currency));
        usd.map(|usd| Charge { usd: usd.ceil(), tokens: None, source })
    };
    match (usd, moved) {
        (None, _) => Usage::UNKNOWN,
        (Some(charge), Moved::AtLeast(_)) => Usage::AtLeast(charge),
        (Some(charge), _) => Usage::Exact(charge),
    }
}

/// An answer's object, or one inside it.
#[derive(Clone, Copy)]
struct Object<'d>(&'d Document<'d>);

impl<'d> Object<'d> {
    fn moved(self, plan: &StripePlan) -> Option<Moved> {
        let exactly = |minor: Option<i64>| minor.map(Moved::Exactly);
        match plan.moves {
            Move::Charge | Move::ChargeCapture => exactly(self.charged()),
            Move::IntentCapture => self.captured(plan),
            Move::IntentConfirm if self.is_processing(plan) => self.as_asked(plan),
            Move::Intent | Move::IntentConfirm | Move::IntentAmount | Move::IntentBalance => exactly(self.intended("")),
            Move::ReaderCharge => exactly(
                self.intended("/action/process_payment_intent/payment_intent")
                    .or_else(|| self.intended("/action/confirm_payment_intent/payment_intent")),
            ),
            Move::ReaderRefund => exactly(self.refunded_at_reader()),
            // The old address of a refund answers with the charge, whose own amounts are those of all its refunds.
            Move::Refund | Move::ChargeRefund if self.is("charge") => self.as_asked(plan),
            Move::Refund | Move::ChargeRefund => exactly(self.unless_undone(&["refund"], "/amount")),
            Move::FeeRefund => exactly(self.unless_undone(&["fee_refund"], "/amount")),
            Move::Transfer => exactly(self.unless_undone(&["transfer"], "/amount")),
            Move::Reversal => exactly(self.unless_undone(&["transfer_reversal"], "/amount")),
            Move::Payout => exactly(self.unless_undone(&PAYOUTS, "/amount")),
            Move::PayoutReverse => exactly(self.unless_undone(&["payout"], "/amount")),
            Move::CreditReversal => exactly(self.unless_undone(&["treasury.credit_reversal"], "/amount")),
            Move::DebitReversal => exactly(self.unless_undone(&["treasury.debit_reversal"], "/amount")),
            Move::MoneyMovement | Move::PayoutConfirm => exactly(self.money_movement()),
            Move::ClimateOrder => exactly(self.unless_undone(&["climate.order"], "/amount_total")),
            Move::IssuingApproval => self.approved(plan),
            Move::CreditNote => exactly(self.credited()),
            Move::CustomerCredit => exactly(self.of(&["customer_balance_transaction"], "/amount")),
            Move::CustomerBalance if self.is("customer") => self.as_asked(plan),
            Move::CreditGrant => exactly(self.of(&["billing.credit_grant"], "/amount/monetary/value")),
            Move::InvoicePay => self.invoice("", plan.before, false),
            Move::InvoiceFinalize | Move::InvoiceDraft => self.invoice("", plan.before, true),
            Move::InvoiceItem => exactly(self.of(&["invoiceitem"], "/amount")),
            Move::InvoiceLines if self.is("invoice") || self.is("line_item") => self.as_asked(plan),
            Move::Subscription | Move::SubscriptionResume => self.subscription(plan),
            Move::Quote => self.quoted(plan),
            _ => None,
        }
    }

    /// The request's own amount, where only that says it.
    fn as_asked(self, plan: &StripePlan) -> Option<Moved> {
        plan.amount.map(Moved::AsAsked)
    }

    fn number(self, pointer: &str) -> Option<i64> {
        integer(self.0, pointer)
    }

    fn status(self) -> Option<&'d str> {
        text(self.0, "/status")
    }

    fn flag(self, pointer: &str) -> Option<bool> {
        match self.0.pointer(pointer).map(NodeRef::kind) {
            Some(Kind::Bool(flag)) => Some(*flag),
            _ => None,
        }
    }

    fn is(self, kind: &str) -> bool {
        text(self.0, "/object") == Some(kind)
    }

    fn of(self, kinds: &[&str], pointer: &str) -> Option<i64> {
        kinds.iter().any(|kind| self.is(kind)).then(|| self.number(pointer))?
    }

    fn currency(self, moves: Move) -> Option<&'d str> {
        let at = |pointer| text(self.0, pointer);
        match moves {
            Move::MoneyMovement | Move::PayoutConfirm => at("/amount/currency"),
            Move::CreditGrant => at("/amount/monetary/currency"),
            Move::ReaderCharge => at("/action/process_payment_intent/payment_intent/currency")
                .or_else(|| at("/action/confirm_payment_intent/payment_intent/currency")),
            Move::ReaderRefund => at("/action/refund_payment/charge/currency"),
            Move::Subscription | Move::SubscriptionResume => at("/latest_invoice/currency").or_else(|| at("/currency")),
            _ => at("/currency"),
        }
    }

    /// An authorisation moves nothing until it is captured.
    fn charged(self) -> Option<i64> {
        if !self.is("charge") {
            return None;
        }
        let captured = self.flag("/captured").unwrap_or(true);
        match self.status() {
            Some("failed") => Some(0),
            // A bank's debit that is on its way may call itself not yet paid.
            Some("pending") if captured => self.number("/amount"),
            _ if self.flag("/paid")? && captured => self.number("/amount_captured").or(self.number("/amount")),
            _ => Some(0),
        }
    }

    /// A payment intent at this pointer.
    fn intended(self, at: &str) -> Option<i64> {
        let of = |name: &str| format!("{at}/{name}");
        if text(self.0, &of("object")) != Some("payment_intent") {
            return None;
        }
        match text(self.0, &of("status"))? {
            "succeeded" => self.number(&of("amount_received")).or(self.number(&of("amount"))),
            "processing" => self.number(&of("amount")),
            "canceled" => Some(0),
            status if status.starts_with("requires_") => Some(0),
            _ => None,
        }
    }

    /// Of several captures the intent's own amounts are the sum; without what was there before, or a named amount, what this
    /// one took is not told.
    fn captured(self, plan: &StripePlan) -> Option<Moved> {
        let partly = self.is("payment_intent") && self.status() == Some("requires_capture");
        let whole = self.is("payment_intent") && self.status() == Some("succeeded");
        match plan.amount {
            Some(amount) if plan.named && (partly || whole) => {
                // No part is more than all of them.
                let all = self.number("/amount_received").filter(|all| whole && all.unsigned_abs() < amount);
                Some(all.map_or(Moved::AsAsked(amount), Moved::Exactly))
            }
            None if partly => None,
            _ if partly || whole => {
                let all = self.number("/amount_received").or(self.number("/amount").filter(|_| whole))?;
                Some(Moved::Exactly(less(all, plan.before)))
            }
            _ if self.is_processing(plan) => self.as_asked(plan),
            _ => self.intended("").map(Moved::Exactly),
        }
    }

    /// On its way is the part that was asked for, where one was: the intent's own amount may be more.
    fn is_processing(self, plan: &StripePlan) -> bool {
        plan.named && self.is("payment_intent") && self.status() == Some("processing")
    }

    fn unless_undone(self, kinds: &[&str], pointer: &str) -> Option<i64> {
        let amount = self.of(kinds, pointer);
        let undone = matches!(self.status(), Some("failed" | "canceled" | "returned"));
        if undone && kinds.iter().any(|kind| self.is(kind)) { Some(0) } else { amount }
    }
}

const PAYOUTS: [&str; 5] =
    ["payout", "topup", "treasury.outbound_payment", "treasury.outbound_transfer", "treasury.inbound_transfer"];

/// What this call added to a sum.
fn less(all: i64, before: u64) -> i64 {
    all.saturating_sub_unsigned(before).max(0)
}
