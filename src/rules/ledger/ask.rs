//! What the ledger is asked and what it answers. Values only: `book` decides, `adapters::ledger` carries them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::account::AccountName;
use super::entry::Posting;
use super::need::Need;
use super::rates::{Limited, Rate};
use crate::rules::books::{Act, Closing, Opening};
use crate::rules::subject::{Facts, Flag, Name};
use crate::units::amount::{Amounts, Unit};
use crate::units::ids::{CallId, Digest32, Seq};
use crate::units::time::{Timestamp, Window};

/// One account of a call, and the limit on it if its own policy or the global one sets one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub account: AccountName,
    pub unit: Unit,
    pub window: Window,
    pub limit: Option<Limit>,
}

/// A limit comes with each reserve; the account does not keep it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    pub amount: u64,
    /// Policy and budget, as a refusal names it: `refund-agent: 500 USD a day per agent`.
    pub rule: Name,
    /// False in `observe` mode: counted, not refused.
    pub enforce: bool,
    /// The account stands above the tenant: a refusal names the rule and the reset, no amounts.
    pub hidden: bool,
}

/// Reserve the worst case of one call on all its accounts, or on none.
#[derive(Clone, Debug)]
pub struct Reserve {
    pub hold: CallId,
    pub lines: Arc<[Line]>,
    pub need: Need,
    /// How fast such calls may come. Each on a cell of its own.
    pub rates: Arc<[Rate]>,
    /// Checked in the same step: any one of them set refuses the call.
    pub flags: Arc<[Flag]>,
    pub replay: Option<ReplayKey>,
    /// Means nothing to a ledger of one process.
    pub manner: Manner,
    /// The row that is journaled with the hold. The ledger fills in what it decided: `estimate`, `repeats`, and
    /// `allow` -> `allow_with_caps` where the limit was lowered.
    pub opening: Opening,
}

/// What a policy allows on a ledger that several nodes share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// The node may admit from a slice of the accounts that it took before, without asking.
    pub lease: bool,
    pub down: Down,
}

/// What to do while the shared store cannot be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Down {
    /// Refuse.
    #[default]
    Closed,
    /// Go on with slices that were taken before, for so long.
    Leased { secs: u32 },
    /// Admit without looking, flagged, for so long.
    Open { secs: u32 },
}

impl Down {
    /// The one that lets less go on, and less long.
    pub fn stricter(self, other: Self) -> Self {
        let exposure = |down: Self| match down {
            Self::Closed => (0, 0),
            Self::Leased { secs } => (1, secs),
            Self::Open { secs } => (2, secs),
        };
        if exposure(other) < exposure(self) { other } else { self }
    }
}

/// Hash of credential, account header, idempotency key and body: the same for every repeat of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReplayKey(pub Digest32);

/// How long a replay key is remembered.
pub const REPLAY_SECS: i64 = 23 * 3600;
/// A hold that nobody renews for so long is charged in full.
pub const LEASE_SECS: i64 = 30;
/// How often a live call renews its hold.
pub const RENEW_SECS: u64 = 10;

/// The answer to a reserve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reservation {
    Held(Held),
    Short(Short),
    Killed(Flag),
    /// It comes too early. Nothing is held, and no cell is moved.
    Limited(Limited),
}

/// All accounts were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub amounts: Amounts,
    /// The output limit that was granted, for a fitted call.
    pub fitted: Option<u64>,
    /// In `observe` mode: what enforcement would have said.
    pub would_refuse: Option<Short>,
    /// The same of a rate.
    pub would_limit: Option<Limited>,
    /// This call repeats that one and shares its money; its own hold is `calls` and risk alone.
    pub shares: Option<CallId>,
    /// An earlier call under the same replay key was charged exactly: if the vendor says that it repeated its answer, no
    /// money moved now.
    pub paid: bool,
    /// The limited USD account with the least left after this hold.
    pub tightest: Option<Left>,
}

/// What is left on an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    pub account: AccountName,
    pub limit: u64,
    pub spent: u64,
    pub held: u64,
    pub hidden: bool,
}

/// The first account that refused, by the order of the lines; `Spent` before `Held`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Short {
    pub account: AccountName,
    pub unit: Unit,
    pub window: Window,
    pub limit: Limit,
    pub spent: u64,
    pub held: u64,
    /// The least that would have been needed.
    pub need: u64,
    pub resets_at: Option<Timestamp>,
    pub cause: Cause,
}

/// Why an account refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// `spent + need > limit`: waiting for holds cannot help.
    Spent,
    /// `spent + need <= limit < spent + held + need`: only holds stand in the way.
    Held,
}

/// How a hold ends. Each hold ends once; a repeat of the same call is answered as the first was.
#[derive(Clone, Debug)]
pub enum End {
    /// `exact`: the charge is what the vendor said, not the bound.
    Commit { charge: Amounts, exact: bool },
    /// Nothing was spent: the call never left.
    Release,
}

/// End a hold, with the row that says so.
#[derive(Clone, Debug)]
pub struct Settle {
    pub hold: CallId,
    pub end: End,
    pub closing: Closing,
}

/// What settling did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    Done,
    /// The same settle was applied before.
    Again,
    /// The hold had expired: its charge was replaced (a commit after expiry is an adjust).
    Adjusted,
    /// Money of a released hold went over to a repeat that is still open.
    Passed,
}

/// Replaces the charge of an ended call, whether or not the ledger remembers its hold.
#[derive(Clone, Debug)]
pub struct Correct {
    pub hold: CallId,
    pub charge: Amounts,
    pub exact: bool,
    pub act: Act,
    /// What the books say of it.
    pub known: Known,
}

/// A call as the books know it.
#[derive(Clone, Debug)]
pub struct Known {
    pub taken: Timestamp,
    pub facts: Option<Arc<Facts>>,
    pub charge: Amounts,
    /// The accounts that it was held on.
    pub postings: Arc<[Posting]>,
    /// It shares the money of another call, and bears none.
    pub repeats: bool,
    /// The last adjustment.
    pub step: u32,
}

/// An account whose `spent` is not what the books say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    pub account: AccountName,
    pub unit: Unit,
    pub window: Window,
    pub window_start: Timestamp,
    pub ledger: u64,
    pub books: u64,
}

/// The ledger beside the books.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// Entries up to here were compared.
    pub upto: Seq,
    /// Accounts that were compared.
    pub accounts: u64,
    pub differences: Vec<Difference>,
    /// What the ledger says of calls that it remembers, on accounts that differ.
    pub remembered: Vec<(CallId, Amounts)>,
}

/// The state of one account in one window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountState {
    pub account: AccountName,
    pub unit: Unit,
    pub window: Window,
    pub window_start: Timestamp,
    pub spent: u64,
    pub held: u64,
}
