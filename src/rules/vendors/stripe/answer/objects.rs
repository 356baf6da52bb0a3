//! Objects whose movement is not one plain amount: credit notes, invoices, subscriptions, readers, API v2.

use super::super::StripePlan;
use super::{Moved, Object, less};
use crate::rules::json::NodeRef;
use crate::rules::vendors::look_up::text;

/// Steps of a bank's debit after which nothing comes.
const BOUNCED: [&str; 2] = ["bank_debit_failed", "bank_debit_returned"];

impl Object<'_> {
    /// What went back by refund or onto the balance. What only lowers an unpaid invoice, or was given outside, moves nothing.
    pub(super) fn credited(self) -> Option<i64> {
        if !self.is("credit_note") {
            return None;
        }
        if self.status() == Some("void") {
            return Some(0);
        }
        let refunds = self.0.pointer("/refunds").map(|list| {
            let each = |refund: NodeRef<'_>| refund.member("amount_refunded")?.number()?.parse::<i64>().ok();
            list.children().map(each).try_fold(0i64, |sum, each| Some(sum.saturating_add(each?)))
        });
        let refunds = refunds.unwrap_or(Some(0))?;
        let to_balance = self.0.pointer("/customer_balance_transaction").is_some_and(|node| !node.is_null());
        let after = self.number("/post_payment_amount");
        let outside = self.number("/out_of_band_amount").unwrap_or(0);
        match after {
            Some(after) if to_balance || refunds == 0 => Some(after.saturating_sub(outside).max(refunds)),
            _ if refunds > 0 => Some(refunds),
            // An old answer: what the note says as a whole.
            _ => self.number("/amount"),
        }
    }

    /// An invoice at this pointer: what was paid of it now; with `goes_on`, also what will be collected by itself.
    pub(super) fn invoice(self, at: &str, before: u64, goes_on: bool) -> Option<Moved> {
        let of = |name: &str| format!("{at}/{name}");
        if text(self.0, &of("object")) != Some("invoice") {
            return None;
        }
        // What was paid outside moved nothing here.
        let outside = self.number(&of("amount_paid_off_stripe")).unwrap_or(0).max(0);
        let paid = less(self.number(&of("amount_paid"))?.saturating_sub(outside), before);
        let open = matches!(text(self.0, &of("status")), Some("open" | "draft"));
        let by_itself = self.flag(&of("auto_advance")) == Some(true)
            && text(self.0, &of("collection_method")) == Some("charge_automatically");
        match (open, goes_on) {
            (false, _) => Some(Moved::Exactly(paid)),
            // A bank may still be paying.
            (true, false) => Some(Moved::AtLeast(paid)),
            (true, true) if by_itself => {
                let left = self.number(&of("amount_remaining")).or(self.number(&of("amount_due")))?;
                Some(Moved::Exactly(paid.saturating_add(left.max(0))))
            }
            (true, true) => Some(Moved::Exactly(paid)),
        }
    }

    /// Only an expanded invoice says what was paid.
    pub(super) fn subscription(self, plan: &StripePlan) -> Option<Moved> {
        if !self.is("subscription") {
            return None;
        }
        match self.0.pointer("/latest_invoice") {
            Some(node) if node.is_null() => Some(Moved::Exactly(0)),
            Some(_) => self.first_invoice(plan, "/latest_invoice"),
            None => None,
        }
    }

    /// The invoice of a quote, or the first one of its subscription; only an expanded one says what is paid.
    pub(super) fn quoted(self, plan: &StripePlan) -> Option<Moved> {
        if !self.is("quote") {
            return None;
        }
        self.invoice("/invoice", 0, true).or_else(|| self.first_invoice(plan, "/subscription/latest_invoice"))
    }

    /// An invoice that waits for its customer is not on its way: nobody collects it, or the customer has to confirm it first.
    fn first_invoice(self, plan: &StripePlan, at: &str) -> Option<Moved> {
        let method = text(self.0, &format!("{at}/collection_method"));
        let waits = plan.awaits_customer || method == Some("send_invoice");
        match self.invoice(at, plan.before, false)? {
            Moved::AtLeast(paid) if waits => Some(Moved::Exactly(paid)),
            moved => Some(moved),
        }
    }

    /// What is approved may be spent: of an authorization that grows, what it grew by.
    pub(super) fn approved(self, plan: &StripePlan) -> Option<Moved> {
        let amount = self.of(&["issuing.authorization"], "/amount")?;
        if !self.flag("/approved")? {
            return Some(Moved::Exactly(0));
        }
        let grown = amount.saturating_abs().saturating_sub_unsigned(plan.before).max(0);
        // No part is more than the whole.
        let asked = plan.amount.filter(|asked| plan.named && *asked < grown.unsigned_abs());
        Some(asked.map_or(Moved::Exactly(grown), Moved::AsAsked))
    }

    pub(super) fn refunded_at_reader(self) -> Option<i64> {
        let action = |name: &str| format!("/action/{name}");
        if !self.is("terminal.reader") || text(self.0, &action("type")) != Some("refund_payment") {
            return None;
        }
        match text(self.0, &action("status")) {
            Some("failed") => Some(0),
            _ => self.number(&action("refund_payment/amount")),
        }
    }

    /// API v2 says amounts as a value and a currency.
    pub(super) fn money_movement(self) -> Option<i64> {
        if !text(self.0, "/object")?.starts_with("v2.money_management.") {
            return None;
        }
        let bounced = self.0.pointer("/transfer_history").is_some_and(|history| {
            history
                .children()
                .any(|step| step.member("type").and_then(NodeRef::text).is_some_and(|kind| BOUNCED.contains(&kind)))
        });
        let undone = matches!(self.status(), Some("failed" | "canceled" | "returned" | "requires_action"));
        if bounced || undone { Some(0) } else { self.number("/amount/value") }
    }
}
