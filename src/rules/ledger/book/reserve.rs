//! Reserve: kill flags first, then every rate, then every limit, then one entry that takes the hold on all accounts and moves
//! the cells of all rates, or none.

use std::sync::Arc;

use super::fit::{self, Judgement, View};
use super::holds::{self, Asked, Memo, Open};
use super::{Book, Fault};
use crate::rules::books::{Opening, Verdict};
use crate::rules::ledger::ask::{Cause, Held, Line, Reservation, Reserve, Short};
use crate::rules::ledger::entry::{Op, Posting};
use crate::rules::ledger::need::Need;
use crate::rules::ledger::rates::Limited;
use crate::units::amount::{Amounts, Unit};
use crate::units::ids::CallId;
use crate::units::money::PicoUsd;
use crate::units::time::Timestamp;

/// What a reserve shares with an earlier call, and so what it needs itself.
struct Wanted {
    need: Need,
    shares: Option<CallId>,
    /// The output limit of the call that it repeats.
    fitted: Option<u64>,
}

impl Book {
    /// Decides a reserve. The same one again (by its hold) is answered as before.
    pub fn reserve(&self, at: Timestamp, ask: Reserve) -> Result<(Reservation, Option<Op>), Fault> {
        let at = at.max(self.now());
        if let Some(open) = self.open.get(&ask.hold) {
            return Ok((Reservation::Held(self.again(at, open, &ask.lines)), None));
        }
        if self.past(at, ask.hold).is_some() {
            return Err("it has ended before");
        }
        if let Some(flag) = self.stopped_by(&ask) {
            return Ok((Reservation::Killed(flag), None));
        }
        Ok(self.reserve_anew(at, ask))
    }

    fn stopped_by(&self, ask: &Reserve) -> Option<crate::rules::subject::Flag> {
        if self.flags.is_empty() { None } else { ask.flags.iter().find(|f| self.flags.contains(*f)).cloned() }
    }

    fn reserve_anew(&self, at: Timestamp, ask: Reserve) -> (Reservation, Option<Op>) {
        let Reserve { hold: _, lines, need, rates, flags: _, replay, manner: _, mut opening } = ask;
        let ruling = self.rates.judge(&rates, at);
        if let Some(limited) = ruling.limited {
            return (Reservation::Limited(limited), None);
        }
        let wanted = self.wanted(at, replay, need);
        let starts = self.starts(at);
        let views = self.views(&lines, &starts);
        let judged = fit::judge(&views, &wanted.need, at);
        if let Some(short) = judged.short {
            return (Reservation::Short(short), None);
        }
        let paid = replay.is_some_and(|key| self.paid.get(&key).is_some_and(|until| at < *until));
        note_rate(&mut opening, ruling.would_limit.as_ref());
        let would_limit = ruling.would_limit;
        let held = Held { paid, would_limit, ..hold(&views, &wanted, judged, &mut opening) };
        let op = Op::Reserve {
            amounts: held.amounts,
            postings: self.postings_of(&lines, &views, wanted.shares.is_some()),
            lease_until: holds::lease(at),
            fitted: held.fitted,
            replay,
            moved: shared(ruling.moved),
            row: Box::new(opening),
        };
        (Reservation::Held(held), Some(op))
    }

    fn postings_of(&self, lines: &Arc<[Line]>, views: &[View<'_>], repeat: bool) -> Arc<[Posting]> {
        let same = if repeat { None } else { self.posted.0.get(lines, views) };
        same.unwrap_or_else(|| postings(views, repeat))
    }

    /// A repeat needs calls and risk alone: the first call holds the money, and named the output limit.
    fn wanted(&self, at: Timestamp, replay: Option<crate::rules::ledger::ask::ReplayKey>, need: Need) -> Wanted {
        let Some(first) = self.first_of(replay, at) else { return Wanted { need, shares: None, fitted: None } };
        let fitted = self.open.get(&first).map(|o| o.fitted).or_else(|| self.ended.get(&first).map(|e| e.fitted));
        let need = Need { usd: PicoUsd(0), tokens: 0, fit: None, ..need };
        Wanted { need, shares: Some(first), fitted: fitted.flatten() }
    }

    /// Keeps what an up-size or the same reserve again needs; gone after a restart.
    pub fn remember(&mut self, hold: CallId, lines: Arc<[Line]>, would_refuse: Option<Short>) {
        if let Some(open) = self.open.get_mut(&hold) {
            if open.first().is_none() {
                self.posted.0.keep(&lines, &open.postings);
            }
            open.asked = Memo(Some(Asked { lines, would_refuse: would_refuse.map(Box::new) }));
        }
    }

    /// The answer of a reserve that was made before.
    pub(super) fn again(&self, at: Timestamp, open: &Open, lines: &[Line]) -> Held {
        let views = self.views(lines, &self.starts(at));
        let would_refuse = open.asked.0.as_ref().and_then(|a| a.would_refuse.as_deref().cloned());
        let tightest = fit::tightest(&views, 0);
        Held {
            amounts: open.amounts,
            fitted: open.fitted,
            would_refuse,
            would_limit: None,
            shares: open.first(),
            paid: false,
            tightest,
        }
    }
}

/// Of nothing, which is usual, all share one.
fn shared<T>(list: Vec<T>) -> Arc<[T]> {
    if list.is_empty() { Arc::default() } else { list.into() }
}

/// Everything fits: the answer, and the row with what was decided.
fn hold(views: &[View<'_>], wanted: &Wanted, judged: Judgement, opening: &mut Opening) -> Held {
    let amounts = wanted.need.at(judged.granted);
    let fitted = wanted.fitted.or(wanted.need.fit.as_ref().map(|_| judged.granted));
    opening.estimate = amounts;
    opening.repeats = wanted.shares;
    note_verdict(opening, wanted, &judged);
    let tightest = fit::tightest(views, amounts.of(Unit::Usd));
    let would_refuse = judged.would_refuse;
    Held { amounts, fitted, would_refuse, would_limit: None, shares: wanted.shares, paid: false, tightest }
}

/// In `observe` mode the verdict is what enforcement would have said; rates are reported before budgets.
fn note_rate(opening: &mut Opening, would: Option<&Limited>) {
    if let (Some(limited), Verdict::Allow) = (would, opening.verdict) {
        (opening.verdict, opening.enforced) = (Verdict::RateLimited, false);
        opening.reason = Some(limited.reason());
    }
}

/// In `observe` mode the verdict is what enforcement would have said.
fn note_verdict(opening: &mut Opening, wanted: &Wanted, judged: &Judgement) {
    let want = wanted.need.fit.as_ref().map_or(0, |f| f.want);
    if opening.verdict != Verdict::Allow {
        return;
    }
    if let Some(short) = &judged.would_refuse {
        let code = if short.cause == Cause::Spent { "budget_spent" } else { "budget_held" };
        (opening.verdict, opening.enforced) = (Verdict::Deny, false);
        opening.reason = Some(format!("{code}: {}", short.limit.rule));
    } else if judged.granted < want {
        opening.verdict = Verdict::AllowWithCaps;
    } else if judged.would_grant < want {
        (opening.verdict, opening.enforced) = (Verdict::AllowWithCaps, false);
    }
}

/// One posting an account: two limits on one account are one count. A repeat has none where the money is counted.
fn postings(views: &[View<'_>], repeat: bool) -> Arc<[Posting]> {
    let counts = |v: &View<'_>| !repeat || matches!(v.line.unit, Unit::Calls | Unit::Risk);
    let once = |i: usize, v: &View<'_>| views[..i].iter().all(|w| w.account != v.account);
    let chosen = views.iter().enumerate().filter(|(i, v)| counts(v) && once(*i, v));
    let posting = |v: &View<'_>| Posting {
        account: v.account.clone(),
        unit: v.line.unit,
        window: v.line.window,
        start: v.cell.start,
    };
    chosen.map(|(_, v)| posting(v)).collect()
}

/// What a posting counts of an amount.
pub(super) fn part(posting: &Posting, of: &Amounts) -> u64 {
    of.of(posting.unit)
}

/// What it keeps of a charge.
pub(super) fn charged(posting: &Posting, of: &Amounts) -> u64 {
    if posting.window.keeps_charges() { part(posting, of) } else { 0 }
}
