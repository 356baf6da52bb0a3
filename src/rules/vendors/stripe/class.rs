//! Which movements of money count as spend. All of them do, unless the policy says otherwise. Values only.

/// What kind of movement an operation makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// From a customer: charges and payment intents, also at a reader.
    Charge,
    /// Back to a customer.
    Refund,
    /// To a connected account, and back.
    Transfer,
    /// To a bank or from one: payouts, top-ups, treasury, other people's accounts.
    Payout,
    /// A customer's balance, credit notes, credit grants.
    Credit,
    /// What will be paid by invoice: invoices, their lines, subscriptions, quotes.
    Invoice,
    /// What a card of one's own issuing may spend.
    Issuing,
    /// A thing that is bought: carbon removal.
    Order,
}

impl Class {
    pub const ALL: [Self; 8] = [
        Self::Charge,
        Self::Refund,
        Self::Transfer,
        Self::Payout,
        Self::Credit,
        Self::Invoice,
        Self::Issuing,
        Self::Order,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Charge => "charge",
            Self::Refund => "refund",
            Self::Transfer => "transfer",
            Self::Payout => "payout",
            Self::Credit => "credit",
            Self::Invoice => "invoice",
            Self::Issuing => "issuing",
            Self::Order => "order",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == text)
    }
}

/// What counts as spend at Stripe, by the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StripeRule {
    counted: [bool; Class::ALL.len()],
    /// Calls with a test-mode key cost nothing.
    pub test_keys_free: bool,
}

impl Default for StripeRule {
    fn default() -> Self {
        Self { counted: [true; Class::ALL.len()], test_keys_free: false }
    }
}

impl StripeRule {
    /// Only these count.
    pub fn only(classes: &[Class]) -> Self {
        let counted = Class::ALL.map(|class| classes.contains(&class));
        Self { counted, ..Self::default() }
    }

    pub fn counts(&self, class: Class) -> bool {
        self.counted[class as usize]
    }
}

/// Does a credential of Stripe's belong to its test mode? By its published prefixes.
pub fn is_test_key(credential: &[u8]) -> bool {
    [&b"sk_test_"[..], b"rk_test_"].iter().any(|prefix| credential.starts_with(prefix))
}
