//! The table of movements: what an operation moves decides which field names the amount, whose currency it is, and where the
//! rest is to be found. `amount` reads the request by it, `seek` the vendor's objects, `answer` what moved.

use super::class::Class;

/// Defines the movements with the names that the catalogue uses.
macro_rules! moves {
    ($($(#[$note:meta])* $variant:ident = $name:literal $class:ident),+ $(,)?) => {
        /// What an operation moves.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Move { $($(#[$note])* $variant),+ }

        impl Move {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// By the name that the catalogue uses.
            pub fn parse(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }

            pub fn class(self) -> Class {
                match self { $(Self::$variant => Class::$class),+ }
            }
        }
    };
}

moves! {
    Charge = "charge" Charge,
    ChargeCapture = "charge_capture" Charge,
    /// A payment intent, which only moves money if it is confirmed at once.
    Intent = "intent" Charge,
    IntentConfirm = "intent_confirm" Charge,
    IntentCapture = "intent_capture" Charge,
    /// Other steps of an intent that name an amount.
    IntentAmount = "intent_amount" Charge,
    /// Out of a customer's cash: of an invoice's intent the whole, whatever is named.
    IntentBalance = "intent_balance" Charge,
    /// A reader takes the payment of an intent.
    ReaderCharge = "reader_charge" Charge,
    ReaderRefund = "reader_refund" Refund,
    Refund = "refund" Refund,
    /// Below the charge's own path.
    ChargeRefund = "charge_refund" Refund,
    FeeRefund = "fee_refund" Refund,
    CreditNote = "credit_note" Credit,
    /// A signed amount on a customer's balance.
    CustomerCredit = "customer_credit" Credit,
    /// A customer's record, which may set the balance.
    CustomerBalance = "customer_balance" Credit,
    CreditGrant = "credit_grant" Credit,
    Transfer = "transfer" Transfer,
    Reversal = "reversal" Transfer,
    /// Out of the account, or into it.
    Payout = "payout" Payout,
    PayoutReverse = "payout_reverse" Payout,
    CreditReversal = "credit_reversal" Payout,
    DebitReversal = "debit_reversal" Payout,
    /// API v2: an amount is a value and a currency.
    MoneyMovement = "money_movement" Payout,
    /// API v2: confirms what was created before.
    PayoutConfirm = "payout_confirm" Payout,
    IssuingApproval = "issuing_approval" Issuing,
    ClimateOrder = "climate_order" Order,
    InvoicePay = "invoice_pay" Invoice,
    /// It may be collected by itself afterwards.
    InvoiceFinalize = "invoice_finalize" Invoice,
    /// A draft, unless it is told to go on by itself.
    InvoiceDraft = "invoice_draft" Invoice,
    InvoiceItem = "invoice_item" Invoice,
    InvoiceLines = "invoice_lines" Invoice,
    Subscription = "subscription" Invoice,
    SubscriptionUpdate = "subscription_update" Invoice,
    SubscriptionResume = "subscription_resume" Invoice,
    SubscriptionItem = "subscription_item" Invoice,
    Quote = "quote" Invoice,
    /// Nothing, unless a field asks for a last invoice.
    Quiet = "quiet" Invoice,
}

impl Move {
    /// The field with the amount in minor units; `None` if there is none of this plain form.
    pub fn amount_field(self) -> Option<&'static str> {
        Some(match self {
            Self::IntentConfirm => "amount_to_confirm",
            Self::IntentCapture => "amount_to_capture",
            Self::CreditGrant => "amount.monetary.value",
            Self::MoneyMovement => "amount.value",
            Self::CustomerBalance => "balance",
            Self::IntentBalance
            | Self::ReaderCharge
            | Self::PayoutReverse
            | Self::CreditReversal
            | Self::DebitReversal
            | Self::PayoutConfirm
            | Self::InvoicePay
            | Self::InvoiceFinalize
            | Self::InvoiceDraft
            | Self::InvoiceLines
            | Self::Subscription
            | Self::SubscriptionUpdate
            | Self::SubscriptionResume
            | Self::SubscriptionItem
            | Self::Quote
            | Self::Quiet => return None,
            _ => "amount",
        })
    }

    /// May the amount be below zero, as a credit is?
    pub fn is_signed(self) -> bool {
        matches!(self, Self::CustomerCredit | Self::CustomerBalance | Self::InvoiceItem)
    }

    /// API v2 repeats an answer without saying so: a call under a key that was charged before is a repeat.
    pub fn repeats_unsaid(self) -> bool {
        matches!(self, Self::MoneyMovement | Self::PayoutConfirm)
    }

    pub fn currency_field(self) -> &'static str {
        match self {
            Self::CreditGrant => "amount.monetary.currency",
            Self::MoneyMovement => "amount.currency",
            _ => "currency",
        }
    }

    /// Does the request say in which currency it moves? Elsewhere that of an earlier object counts, whatever is sent.
    pub fn names_currency(self) -> bool {
        matches!(
            self,
            Self::Charge
                | Self::Intent
                | Self::Transfer
                | Self::Payout
                | Self::MoneyMovement
                | Self::CreditGrant
                | Self::CustomerCredit
                | Self::InvoiceItem
                | Self::ClimateOrder
        )
    }
}
