//! May this node admit a call alone, and how it ends here. The slices say whether there is room; nothing is sent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Inner, Life, Local, State};
use crate::adapters::ledger::LedgerError;
use crate::rules::books::Verdict;
use crate::rules::ledger::account::AccountName;
use crate::rules::ledger::ask::{
    Down, End, Held, LEASE_SECS, Left, Limit, Line, Reservation, Reserve, Settle, Settled,
};
use crate::rules::ledger::entry::{Op, Posting};
use crate::rules::ledger::rates::{Limited, Moved, Rate};
use crate::rules::ledger::slices::{Part, SliceKey, fit};
use crate::units::amount::{Amounts, Unit};
use crate::units::ids::Seq;
use crate::units::time::{Timestamp, Window};

/// Why a node admits alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It is quicker, and Redis would say the same.
    Quick,
    /// Redis is away: what the slices have left.
    Slices,
    /// Redis is away: whatever is asked.
    Open,
}

/// What the row says of a call that nobody looked at as usual.
const FROM_SLICES: &str = "store_down: admitted from this node's slices while the ledger was away";
const UNLOOKED: &str = "store_down: admitted without looking while the ledger was away";

/// While Redis answers, so many entries may be untold: from there on calls ask Redis, and go as fast as it can be told.
const MOST_UNTOLD: usize = 100_000;

/// Cells of rates beyond which those that have filled up are dropped.
const MOST_CELLS: usize = 10_000;

/// One account of a call with the limit that decides: a slice under the smallest of them serves all.
struct Need<'a> {
    line: &'a Line,
    limit: &'a Limit,
    key: SliceKey,
}

impl Inner {
    /// What the policy allows at this moment, if Redis does not answer.
    pub(super) fn way(&self, down: Down) -> Option<Why> {
        let (why, secs) = match down {
            Down::Closed => return None,
            Down::Leased { secs } => (Why::Slices, secs),
            Down::Open { secs } => (Why::Open, secs),
        };
        let state = self.state.lock();
        let silent = state.contact.filter(|_| matches!(state.life, Life::Ready))?.heard.elapsed();
        drop(state);
        let allowed = Duration::from_secs(u64::from(secs));
        (silent < allowed && (self.right)(allowed)).then_some(why)
    }

    /// Counts the demand, so that slices are there when they are wanted.
    pub(super) fn note(&self, ask: &Reserve, lines: &[Line]) {
        let down_millis = match ask.manner.down {
            Down::Leased { secs } => u64::from(secs) * 1000,
            _ if ask.manner.lease => 0,
            _ => return,
        };
        let mut state = self.state.lock();
        let Some(contact) = state.contact else { return };
        let wanted = ask.need.wanted();
        for need in needs(lines, contact.now().0) {
            let amount = wanted.of(need.line.unit);
            if amount > 0 {
                state.demand.note(&need.key, amount, down_millis);
                state.windows.insert(need.key, need.line.window);
            }
        }
    }

    /// `None` if it is Redis that must be asked.
    pub(super) fn admit(
        &self,
        ask: &Reserve,
        lines: &Arc<[Line]>,
        why: Why,
    ) -> Result<Option<(Reservation, Seq)>, LedgerError> {
        let mut state = self.state.lock();
        let state = &mut *state;
        if let Some(known) = state.calls.get(&ask.hold) {
            return Ok(Some((Reservation::Held(known.held.clone()), state.last)));
        }
        // What was heard last may be undone by now: Redis says so, if it can be asked.
        let heard = ask.flags.iter().find(|f| state.flags.contains(*f));
        if why == Why::Quick && heard.is_some() {
            return Ok(None);
        }
        if let Some(flag) = ask.flags.iter().find(|f| state.own.contains(*f)).or(heard) {
            return Ok(Some((Reservation::Killed(flag.clone()), 0)));
        }
        let most = self.backlog.load(Ordering::Relaxed);
        let most = if why == Why::Quick { most.min(MOST_UNTOLD) } else { most };
        let alone = match why {
            Why::Quick => quick(ask, lines),
            Why::Slices => !counts_flight(lines),
            Why::Open => true,
        };
        let fits = state.slices.untold() < most && alone;
        let Some(now) = state.now(lines).filter(|_| fits) else { return Ok(None) };
        let moved = match why {
            Why::Slices => match state.paced(&ask.rates, now) {
                Ok(moved) => moved,
                Err(limited) => return Ok(Some((Reservation::Limited(limited), 0))),
            },
            Why::Quick | Why::Open => Vec::new(),
        };
        let needs = if why == Why::Open { Vec::new() } else { needs(lines, now) };
        let Some(found) = state.serve(&needs, ask, why) else { return Ok(None) };
        let (held, parts) = found;
        let op = reserve(ask, lines, now, &held, why);
        let Op::Reserve { postings, .. } = &op else { return Ok(None) };
        let postings = postings.clone();
        let seq = self.journal(state, op, false)?;
        state.slices.admit(seq, ask.hold, parts);
        state.rates.write(&moved);
        let flagged = why != Why::Quick;
        self.redis.know(ask.hold, lines.clone(), postings.clone());
        state.calls.insert(ask.hold, Local { held: held.clone(), postings, flagged });
        Ok(Some((Reservation::Held(held), seq)))
    }

    /// Ends a call of this node here, if Redis may not know of it. Never refused for lack of money.
    pub(super) fn settle_here(&self, settle: &Settle) -> Result<Option<(Settled, Seq)>, LedgerError> {
        let mut state = self.state.lock();
        let state = &mut *state;
        if !state.slices.knows(settle.hold) {
            return Ok(None);
        }
        let local = state.calls.remove(&settle.hold);
        self.redis.forget(settle.hold);
        let (held, flagged) = local.as_ref().map_or((Amounts::ZERO, false), |l| (l.held.amounts, l.flagged));
        let (op, charge) = end(settle, &held, flagged);
        let seq = self.journal(state, op, true)?;
        let postings = local.as_ref().map(|l| l.postings.clone()).unwrap_or_default();
        let part = |account: &AccountName| postings.iter().find(|p| p.account == *account).map(|p| charge.of(p.unit));
        state.slices.end(seq, settle.hold, |account| part(account).unwrap_or(0));
        self.kick.notify_one();
        self.freed(&postings);
        Ok(Some((Settled::Done, seq)))
    }

    /// The end of a hold that Redis has, and that cannot be said now: it is told later.
    pub(super) fn settle_later_there(&self, settle: &Settle) -> Result<Seq, LedgerError> {
        let mut state = self.state.lock();
        let (op, _) = end(settle, &Amounts::ZERO, false);
        let seq = self.journal(&mut state, op, true)?;
        state.slices.end(seq, settle.hold, |_| 0);
        Ok(seq)
    }
}

impl State {
    /// The server's time, where no window of the call may just be turning.
    fn now(&self, lines: &[Line]) -> Option<Timestamp> {
        if self.life != Life::Ready {
            return None;
        }
        let (early, late) = self.contact?.now();
        lines.iter().all(|l| l.window.start(early) == l.window.start(late)).then_some(early)
    }

    /// A rate has no slices: while Redis is away each node keeps it by itself, and begins without a burst, since it does not
    /// know what was let through until then.
    fn paced(&mut self, rates: &[Rate], now: Timestamp) -> Result<Vec<Moved>, Limited> {
        // Not at every call: as long as many cells stand, there is little to drop.
        if self.rates.len() > MOST_CELLS && self.swept.is_none_or(|at| now >= at.plus_secs(1)) {
            self.swept = Some(now);
            self.rates.sweep(now);
        }
        let heard = self.contact.map_or(now, |contact| contact.at);
        self.rates.emptied(rates, heard);
        let ruling = self.rates.judge(rates, now);
        ruling.limited.map_or(Ok(ruling.moved), Err)
    }

    /// What is held, and of which slices.
    fn serve(&self, needs: &[Need<'_>], ask: &Reserve, why: Why) -> Option<(Held, Vec<Part>)> {
        let served: Vec<(Option<&SliceKey>, u64)> =
            needs.iter().map(|n| self.slices.serving(&n.key).map_or((None, 0), |(k, room)| (Some(k), room))).collect();
        let rooms = needs.iter().zip(&served).map(|(n, (_, room))| (n.line.unit, *room));
        let granted = fit::granted(&ask.need, rooms)?;
        let wanted = ask.need.fit.as_ref().map(|f| f.want);
        // Redis may have more: a slice alone never lowers an answer while it can be asked.
        if why == Why::Quick && wanted.is_some_and(|want| granted < want) {
            return None;
        }
        let amounts = ask.need.at(granted);
        let part = |(n, (slice, _)): (&Need<'_>, &(Option<&SliceKey>, u64))| {
            let amount = amounts.of(n.line.unit);
            // What asks nothing of an account needs no slice of it.
            if amount == 0 {
                return Some(None);
            }
            slice.map(|slice| Some(Part { slice: slice.clone(), amount }))
        };
        let parts: Option<Vec<Option<Part>>> = needs.iter().zip(&served).map(part).collect();
        let fitted = wanted.map(|_| granted);
        let tightest = self.tightest(needs);
        let held = Held { amounts, fitted, would_refuse: None, would_limit: None, shares: None, paid: false, tightest };
        Some((held, parts?.into_iter().flatten().collect()))
    }

    /// As the accounts were seen last: a moment ago, and all that is lent counts as held.
    fn tightest(&self, needs: &[Need<'_>]) -> Option<Left> {
        let usd = needs.iter().filter(|n| n.line.unit == Unit::Usd);
        let left = |n: &Need<'_>| {
            let (spent, held) = self.seen.get(&n.key).copied()?;
            let (account, limit) = (n.line.account.clone(), n.limit.amount);
            Some(Left { account, limit, spent, held, hidden: n.limit.hidden })
        };
        usd.filter_map(left).min_by_key(|l| l.limit.saturating_sub(l.spent).saturating_sub(l.held))
    }
}

/// Would Redis have nothing else to look at?
fn quick(ask: &Reserve, lines: &[Line]) -> bool {
    let observed = |l: &Line| l.limit.as_ref().is_some_and(|limit| !limit.enforce);
    let asked = |l: &Line| observed(l) || !l.window.keeps_charges();
    ask.manner.lease && ask.replay.is_none() && ask.rates.is_empty() && !lines.iter().any(asked)
}

/// How many calls are in flight on all nodes, none of them can say alone.
fn counts_flight(lines: &[Line]) -> bool {
    let enforced = |l: &Line| l.limit.as_ref().is_some_and(|limit| limit.enforce);
    lines.iter().any(|l| !l.window.keeps_charges() && enforced(l))
}

/// The accounts with enforced limits, each with its smallest.
fn needs(lines: &[Line], now: Timestamp) -> Vec<Need<'_>> {
    let mut found: BTreeMap<&AccountName, Need<'_>> = BTreeMap::new();
    // Of calls in flight nothing is lent: how many there are, Redis alone knows.
    let lent = lines.iter().filter(|l| l.window.keeps_charges());
    let enforced = lent.filter_map(|l| Some((l, l.limit.as_ref().filter(|limit| limit.enforce)?)));
    for (line, limit) in enforced {
        let key = SliceKey { account: line.account.clone(), start: line.window.start(now), limit: limit.amount };
        let need = Need { line, limit, key };
        match found.get(&line.account) {
            Some(known) if known.limit.amount <= limit.amount => {}
            _ => drop(found.insert(&line.account, need)),
        }
    }
    found.into_values().collect()
}

/// The entry of the node's own journal; the row says what was decided.
fn reserve(ask: &Reserve, lines: &[Line], now: Timestamp, held: &Held, why: Why) -> Op {
    let mut row = Box::new(ask.opening.clone());
    row.estimate = held.amounts;
    let capped = ask.need.fit.as_ref().is_some_and(|f| held.fitted.is_some_and(|n| n < f.want));
    if capped && row.verdict == Verdict::Allow {
        row.verdict = Verdict::AllowWithCaps;
    }
    match why {
        Why::Quick => {}
        Why::Slices => note(&mut row.reason, FROM_SLICES),
        Why::Open => {
            note(&mut row.reason, UNLOOKED);
            row.enforced = false;
        }
    }
    let once = |i: usize, l: &Line| lines[..i].iter().all(|other| other.account != l.account);
    let posting = |l: &Line| posting(l, l.window, now);
    let postings: Arc<[Posting]> =
        lines.iter().enumerate().filter(|(i, l)| once(*i, l)).map(|(_, l)| posting(l)).collect();
    Op::Reserve {
        amounts: held.amounts,
        postings,
        lease_until: now.plus_secs(LEASE_SECS),
        fitted: held.fitted,
        replay: None,
        moved: [].into(),
        row,
    }
}

fn posting(line: &Line, window: Window, now: Timestamp) -> Posting {
    Posting { account: line.account.clone(), unit: line.unit, window, start: window.start(now) }
}

fn note(reason: &mut Option<String>, what: &str) {
    *reason = Some(reason.take().map_or_else(|| what.to_owned(), |before| format!("{before}; {what}")));
}

/// The end as the journal has it, and what it charges at least.
fn end(settle: &Settle, held: &Amounts, flagged: bool) -> (Op, Amounts) {
    let (hold, mut row) = (settle.hold, Box::new(settle.closing.clone()));
    row.flagged |= flagged;
    match &settle.end {
        End::Release => (Op::Release { hold, kept: None, passed: None, row }, Amounts::ZERO),
        End::Commit { charge, exact } => {
            let charge = if *exact { *charge } else { charge.max(held) };
            row.charge = charge;
            (Op::Commit { hold, charge, exact: *exact, passed: None, row }, charge)
        }
    }
}
