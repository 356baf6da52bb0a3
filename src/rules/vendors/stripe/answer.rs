//! What Stripe's answers say of the money that moved: by the object's status, in its own currency, turned into USD by the
//! dated table and rounded up. An answer of another shape says nothing.

use serde::Deserialize;

use super::super::usage::{Charge, Usage};
use super::{Move, StripePlan};
use crate::rules::books::CostSource;
use crate::rules::price::Fx;

#[derive(Deserialize)]
struct Object {
    id: Option<String>,
    object: Option<String>,
    status: Option<String>,
    currency: Option<String>,
    amount: Option<i64>,
    amount_received: Option<i64>,
    amount_captured: Option<i64>,
    paid: Option<bool>,
    captured: Option<bool>,
}

/// What a plain answer with a status of 2xx says.
pub(in super::super) fn usage(plan: &StripePlan, fx: &Fx, body: &[u8], id: &mut Option<String>) -> Usage {
    let Ok(object) = serde_json::from_slice::<Object>(body) else { return Usage::UNKNOWN };
    id.clone_from(&object.id);
    let Some((minor, source)) = object.moved(plan) else { return Usage::UNKNOWN };
    if minor == 0 {
        return Usage::ZERO;
    }
    let currency = object.currency.as_deref().or(plan.currency.as_deref());
    let usd = currency.and_then(|currency| fx.usd(minor, currency));
    usd.map_or(Usage::UNKNOWN, |usd| Usage::Exact(Charge { usd: usd.ceil(), tokens: None, source }))
}

impl Object {
    /// Minor units that moved, or will; `None` if the answer does not say.
    fn moved(&self, plan: &StripePlan) -> Option<(u64, CostSource)> {
        let vendor = |amount: Option<i64>| Some((u64::try_from(amount?).ok()?, CostSource::Vendor));
        match plan.moves {
            Move::Charge | Move::ChargeCapture => vendor(self.charged()?),
            // Of several captures the intent's own amounts are the sum; without a named one, what this one took is not told.
            Move::IntentCapture if self.has_status("succeeded") && plan.amount.is_none() => vendor(self.intended()?),
            Move::IntentCapture if self.has_status("succeeded") || self.has_status("requires_capture") => {
                Some((plan.amount?, CostSource::Request))
            }
            Move::Intent | Move::IntentConfirm | Move::IntentCapture | Move::IntentAmount => vendor(self.intended()?),
            // The old address of a refund answers with the charge, whose own amounts are those of all its refunds.
            Move::Refund if self.is(&["charge"]) => Some((plan.amount?, CostSource::Request)),
            Move::Refund => vendor(self.unless_undone(&["refund", "fee_refund"])?),
            Move::Transfer => vendor(self.unless_undone(&["transfer"])?),
            Move::Reversal => vendor(self.unless_undone(&["transfer_reversal"])?),
            Move::Payout => vendor(self.unless_undone(&[
                "payout",
                "topup",
                "treasury.outbound_payment",
                "treasury.outbound_transfer",
                "treasury.inbound_transfer",
            ])?),
            // It is never metered: free, or not told.
            Move::Quiet => None,
        }
    }

    fn has_status(&self, status: &str) -> bool {
        self.is(&["payment_intent"]) && self.status.as_deref() == Some(status)
    }

    fn is(&self, kinds: &[&str]) -> bool {
        self.object.as_deref().is_some_and(|own| kinds.contains(&own))
    }

    /// An authorisation moves nothing until it is captured.
    fn charged(&self) -> Option<Option<i64>> {
        if !self.is(&["charge"]) {
            return None;
        }
        let captured = self.captured.unwrap_or(true);
        Some(match self.status.as_deref() {
            Some("failed") => Some(0),
            // A bank's debit that is on its way may call itself not yet paid.
            Some("pending") if captured => self.amount,
            _ if self.paid? && captured => self.amount_captured.or(self.amount),
            _ => Some(0),
        })
    }

    fn intended(&self) -> Option<Option<i64>> {
        if !self.is(&["payment_intent"]) {
            return None;
        }
        match self.status.as_deref()? {
            "succeeded" => Some(self.amount_received.or(self.amount)),
            "processing" => Some(self.amount),
            "canceled" => Some(Some(0)),
            status if status.starts_with("requires_") => Some(Some(0)),
            _ => None,
        }
    }

    fn unless_undone(&self, kinds: &[&str]) -> Option<Option<i64>> {
        if !self.is(kinds) {
            return None;
        }
        let undone = matches!(self.status.as_deref(), Some("failed" | "canceled" | "returned"));
        Some(if undone { Some(0) } else { self.amount })
    }
}
