//! Calls under one replay key share the money of the first: it is charged once, whatever the order in which they end.
//! The rule: what any of them said exactly is the charge; otherwise the bound, if any of them may have been served;
//! otherwise nothing, but while a repeat is still open the money goes over to it.

use super::Book;
use super::holds::{Ended, How, Sharing};
use crate::rules::books::Act;
use crate::rules::ledger::ask::{REPLAY_SECS, ReplayKey};
use crate::rules::ledger::entry::{Evidence, Op};
use crate::units::amount::Amounts;
use crate::units::ids::CallId;
use crate::units::money::MicroCents;
use crate::units::time::Timestamp;

/// The part of an amount that repeats share.
pub(super) fn money(of: &Amounts) -> Amounts {
    Amounts { calls: 0, risk: 0, ..*of }
}

/// The part that is each call's own.
pub(super) fn own(of: &Amounts) -> Amounts {
    Amounts { usd: MicroCents::ZERO, tokens: 0, ..*of }
}

pub(super) fn join(money: &Amounts, own: &Amounts) -> Amounts {
    Amounts { usd: money.usd, tokens: money.tokens, calls: own.calls, risk: own.risk }
}

/// What an end says of the money. An exact zero says nothing of the others: the vendor may have refused this one alone
/// (a `409` while the first is still running).
pub(super) fn said(charge: &Amounts, exact: bool) -> Option<Evidence> {
    let money = money(charge);
    (!exact || money != Amounts::ZERO).then_some(Evidence { money, exact })
}

/// Exact beats a bound; of two alike the larger counts, so that the order does not matter.
pub(super) fn merge(a: Option<Evidence>, b: Option<Evidence>) -> Option<Evidence> {
    let (Some(a), Some(b)) = (a, b) else { return a.or(b) };
    Some(match (a.exact, b.exact) {
        (true, false) => a,
        (false, true) => b,
        (exact, _) => Evidence { money: a.money.max(&b.money), exact },
    })
}

/// What becomes of a call's money when it ends.
pub(super) struct Fate {
    pub money: Amounts,
    pub exact: bool,
    /// To this open repeat.
    pub passed: Option<CallId>,
}

/// `bound` is what is held, or was when the hold ended.
pub(super) fn fate(said: Option<Evidence>, sharing: Option<&Sharing>, bound: &Amounts) -> Fate {
    match merge(said, sharing.and_then(|s| s.heard)) {
        Some(e) if e.exact => Fate { money: e.money, exact: true, passed: None },
        Some(e) => Fate { money: e.money.max(&money(bound)), exact: false, passed: None },
        None => Fate { money: Amounts::ZERO, exact: true, passed: sharing.and_then(|s| s.repeats.first().copied()) },
    }
}

/// Why the ledger itself replaces a charge.
pub const ENDED_LATE: &str = "the call ended after its hold had expired";
pub const TOLD_BY_REPEAT: &str = "a repeat under the same idempotency key said what it cost";

/// What the ledger itself did, for that reason.
pub fn ledger_act(reason: &str) -> Act {
    Act { actor: "ledger".to_owned(), reason: Some(reason.to_owned()) }
}

impl Book {
    /// The call that a reserve with this key would repeat: one that is open, or was charged without exact usage.
    pub(super) fn first_of(&self, key: Option<ReplayKey>, at: Timestamp) -> Option<CallId> {
        let first = *self.replays.get(&key?)?;
        let taken = match (self.open.get(&first), self.past(at, first)) {
            (Some(open), _) => open.taken,
            (None, Some(ended)) if !ended.exact => ended.taken,
            _ => return None,
        };
        (at < taken.plus_secs(REPLAY_SECS)).then_some(first)
    }

    /// The step that lets the first call know what its repeat said; `None` if it changes nothing.
    pub(super) fn tell(&self, at: Timestamp, first: CallId, said: Option<Evidence>) -> Option<Op> {
        let evidence = said?;
        if let Some(open) = self.open.get(&first) {
            let heard = open.sharing.as_ref().and_then(|s| s.heard);
            return (merge(heard, said) != heard).then_some(Op::Hear { hold: first, evidence });
        }
        self.past(at, first).and_then(|ended| retell(first, ended, evidence))
    }
}

/// The first call is ended: its charge is replaced if this says more than was known. If its hold had expired, its own end
/// may still come, and must then know what was said here.
fn retell(hold: CallId, ended: &Ended, evidence: Evidence) -> Option<Op> {
    let known = said(&ended.charge, ended.exact);
    let now = merge(known, Some(evidence))?;
    if known != Some(now) {
        let act = ledger_act(TOLD_BY_REPEAT);
        let charge = join(&now.money, &ended.charge);
        return Some(Op::Adjust {
            hold,
            step: 0,
            charge,
            exact: now.exact,
            heard: Some(evidence),
            passed: None,
            past: None,
            row: None,
            act,
        });
    }
    let heard = ended.sharing.as_ref().and_then(|s| s.heard);
    let news = ended.how == How::Expired && merge(heard, Some(evidence)) != heard;
    news.then_some(Op::Hear { hold, evidence })
}
