//! What the books say of a call: the closed words of a row, its opening half and its closing half; `control` has the changes
//! by people.
//! Pure data. `ledger::entry` carries it in the journal; `adapters::audit` stores it.

mod basis;
mod control;
mod made;
mod said;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::subject::{Facts, Name};
use crate::units::amount::Amounts;
use crate::units::ids::{CallId, Digest32};

pub use basis::{Basis, Run};
pub use control::{Control, Hole, Minting, Request};
pub use made::{Made, MadeBound};
pub use said::said;

/// Defines a closed set of words with one spelling for JSON, SQL and the terminal.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$note:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$note])* #[serde(rename = $text)] $variant),+ }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|w| w.as_str() == text)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// What was decided of a call.
    Verdict { Allow = "allow", AllowWithCaps = "allow_with_caps", Deny = "deny", Escalate = "escalate", RateLimited = "rate_limited" }
}

words! {
    /// How much harm an operation can do.
    Tier { ReadOnly = "read-only", WriteLocal = "write-local", WriteExternal = "write-external", Mutation = "mutation", Execution = "execution" }
}

words! {
    /// How an admitted call ended. `refused` is a call that never left.
    Outcome {
        Ok = "ok", VendorError = "vendor_error", Refused = "refused", Unreachable = "unreachable",
        Unknown = "unknown", Aborted = "aborted", Expired = "expired",
    }
}

words! {
    /// Where the charged amount comes from.
    CostSource {
        /// The vendor named the cost itself.
        Vendor = "vendor",
        /// Computed from the exact usage that the vendor reported.
        Usage = "usage",
        /// The request's own exact amount.
        Request = "request",
        /// The bound that was held: the vendor said less than was needed.
        Estimated = "estimated",
        /// Nothing was spent: the call never left, or the vendor refused it.
        Zero = "none",
    }
}

words! {
    /// The closed set of event kinds.
    Kind {
        Admitted = "admitted", Settled = "settled", Denied = "denied", Escalated = "escalated", Approved = "approved",
        Rejected = "rejected", Revoked = "revoked", Killed = "killed", Restored = "restored", KeyMinted = "key_minted",
        PolicyLoaded = "policy_loaded", PolicyRemoved = "policy_removed", PricesLoaded = "prices_loaded",
        AdminLogin = "admin_login", AdminRefused = "admin_refused", LedgerRebuilt = "ledger_rebuilt",
        PersonErased = "person_erased", BodyRead = "body_read", Expired = "expired", Adjusted = "adjusted",
        Alerted = "alerted", Pruned = "pruned", SigningKeyRotated = "signing_key_rotated",
    }
}

/// The half of a row that is known before the first byte leaves: of an admitted call, or of a refused one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    pub call: CallId,
    /// `None` if the caller is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<Arc<Facts>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_hash: Option<Digest32>,
    pub method: Name,
    /// The judged path; for a target that has none, a bounded, printable excerpt.
    pub path: Name,
    /// The template of the operation, if one matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    pub verdict: Verdict,
    pub enforced: bool,
    /// The code of a refusal or of a cap, and its sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was held (admitted) or would have been (refused).
    pub estimate: Amounts,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_hash: Option<Digest32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The run or another dimension was only claimed by a header.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub claimed: bool,
    /// Who said yes to it, where a policy asked a person: `socket:ann, approver:bob`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<Box<str>>,
    /// The call that this one repeats under the same idempotency key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats: Option<CallId>,
    /// Status that the caller got, of a refused call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
}

/// Token counts of a row. `input` and `output` are totals; `cached` and `reasoning` are parts of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TokenCounts {
    pub input: u64,
    pub output: u64,
    pub cached: u64,
    pub reasoning: u64,
}

impl TokenCounts {
    /// What a token budget counts.
    pub fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

/// The half of a row that is known when the call has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    pub call: CallId,
    pub outcome: Outcome,
    pub charge: Amounts,
    pub cost_source: CostSource,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<TokenCounts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_request_id: Option<String>,
    pub latency_ms: u64,
    /// Microseconds that bursar itself added before the first byte left.
    pub overhead_us: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// A person should look: the charge is a bound, not what the vendor said.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub flagged: bool,
    /// What the cost was computed from, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priced: Option<Box<Basis>>,
    /// What it made at the vendor, where another answer than its own says what it costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Box<Made>>,
}

/// Who did a control change, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    pub actor: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Tier {
    /// Risk points unless the policy says otherwise.
    pub fn points(self) -> u64 {
        match self {
            Self::ReadOnly => 0,
            Self::WriteLocal => 1,
            Self::WriteExternal => 5,
            Self::Mutation => 20,
            Self::Execution => 50,
        }
    }
}
