//! The writes. Each does what its entry says and cannot fail: what an entry names and the book does not know is skipped.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Book;
use super::clock::Starts;
use super::holds::{Ended, How, Memo, Open, Sharing, lease};
use super::reserve::{charged, part};
use super::sharing::{merge, money};
use crate::rules::books::Opening;
use crate::rules::ledger::ask::{REPLAY_SECS, ReplayKey};
use crate::rules::ledger::entry::{Entry, Evidence, Op, Posting};
use crate::units::amount::{Amounts, Unit};
use crate::units::ids::CallId;
use crate::units::time::{Timestamp, Window};

impl Book {
    /// Writes one entry, the next one.
    pub fn apply(&mut self, entry: &Entry) {
        debug_assert_eq!(entry.seq, self.seq + 1, "entries follow each other");
        let before = self.starts(self.now());
        self.seq = entry.seq;
        self.clock.advance(entry.at);
        self.write(&entry.op);
        self.forget(&before);
    }

    fn write(&mut self, op: &Op) {
        match op {
            Op::Reserve { amounts, postings, fitted, replay, moved, row, .. } => {
                self.rates.write(moved);
                self.take(amounts, postings, *fitted, *replay, row);
            }
            Op::Resize { hold, step, amounts } => self.resized(*hold, *step, amounts),
            Op::Hear { hold, evidence } => self.hear(*hold, *evidence),
            Op::Commit { hold, charge, exact, passed, .. } => self.end(*hold, How::Committed, *charge, *exact, *passed),
            Op::Release { hold, kept, passed, .. } => {
                let (charge, exact) = kept.map_or((Amounts::ZERO, true), |k| (k.money, k.exact));
                self.end(*hold, How::Released, charge, exact, *passed);
            }
            Op::Expire { hold, charge, exact } => self.end(*hold, How::Expired, *charge, *exact, None),
            Op::Adjust { hold, step, charge, exact, heard, passed, past, .. } => {
                self.pass(*hold, *passed);
                if let Some(past) = past {
                    self.recall(*hold, past);
                }
                self.adjusted(*hold, *step, *charge, *exact, *heard);
            }
            Op::Deny { .. } => {}
            Op::Control { .. } => self.flag(op),
            Op::Declare { shape, opening } => self.declared(shape, opening),
            Op::Undeclare { shape } => self.shapes.retain(|s| s != shape),
        }
    }

    fn take(
        &mut self,
        amounts: &Amounts,
        postings: &Arc<[Posting]>,
        fitted: Option<u64>,
        replay: Option<ReplayKey>,
        row: &Opening,
    ) {
        for posting in postings.iter() {
            self.accounts.hold(posting, part(posting, amounts));
        }
        let now = self.now();
        let open = Open {
            amounts: *amounts,
            postings: postings.clone(),
            taken: now,
            lease_until: Memo(lease(now)),
            fitted,
            step: 0,
            facts: row.facts.clone(),
            sharing: replay.map(|key| self.join(key, row)),
            asked: Memo(None),
        };
        self.open.insert(row.call, open);
    }

    /// Under its replay key a call is the first, or a repeat that the first one learns of.
    fn join(&mut self, key: ReplayKey, row: &Opening) -> Box<Sharing> {
        match row.repeats {
            None => drop(self.replays.insert(key, row.call)),
            Some(first) => self.sharing_mut(first, |s| {
                s.repeats.push(row.call);
                s.repeated = true;
            }),
        }
        Box::new(Sharing {
            key,
            first: row.repeats,
            repeats: Vec::new(),
            repeated: false,
            heard: None,
            inherited: false,
        })
    }

    fn resized(&mut self, hold: CallId, step: u32, amounts: &Amounts) {
        let Some(open) = self.open.get_mut(&hold) else { return };
        for posting in open.postings.iter() {
            self.accounts.resize(posting, part(posting, &open.amounts), part(posting, amounts));
        }
        (open.step, open.amounts) = (step, *amounts);
    }

    fn hear(&mut self, hold: CallId, evidence: Evidence) {
        self.sharing_mut(hold, |s| s.heard = merge(s.heard, Some(evidence)));
    }

    fn end(&mut self, hold: CallId, how: How, charge: Amounts, exact: bool, passed: Option<CallId>) {
        self.pass(hold, passed);
        let Some(open) = self.open.remove(&hold) else { return };
        for posting in open.postings.iter() {
            self.accounts.end(posting, part(posting, &open.amounts), charged(posting, &charge));
        }
        if let Some(first) = open.first() {
            self.leave(first, hold);
        }
        let ended = open.end(how, self.now(), self.seq, charge, exact);
        let queue = if exact { &mut self.soon } else { &mut self.later };
        queue.push_back((ended.forget_at(), hold));
        self.unkey(hold, &ended);
        self.ended.insert(hold, ended);
    }

    /// A repeat has ended. What it expired with may still be corrected, so the first is remembered as long as the repeat.
    fn leave(&mut self, first: CallId, repeat: CallId) {
        self.sharing_mut(first, |s| s.repeats.retain(|r| *r != repeat));
        if let Some(ended) = self.ended.get_mut(&first) {
            ended.at = self.clock.now();
        }
    }

    fn adjusted(&mut self, hold: CallId, step: u32, charge: Amounts, exact: bool, heard: Option<Evidence>) {
        let Some(mut ended) = self.ended.remove(&hold) else { return };
        for posting in ended.postings.iter() {
            self.accounts.adjust(posting, charged(posting, &ended.charge), charged(posting, &charge));
        }
        ended.changes.push((self.seq, ended.charge));
        (ended.charge, ended.exact, ended.step) = (charge, exact, ended.step.max(step));
        ended.at = self.clock.now();
        // A repeat's word leaves open how this call itself ended; any other word is the last one.
        if heard.is_none() {
            ended.how = How::Late;
        }
        if let Some(sharing) = &mut ended.sharing {
            sharing.heard = heard.and_then(|h| merge(sharing.heard, Some(h)));
        }
        self.later.push_back((ended.forget_at(), hold));
        self.unkey(hold, &ended);
        self.ended.insert(hold, ended);
    }

    /// An exact charge is nobody's to share: the next call under the key reserves anew.
    fn unkey(&mut self, hold: CallId, ended: &Ended) {
        let key = ended.sharing.as_ref().map(|s| s.key).filter(|_| ended.exact);
        let Some(key) = key else { return };
        // A charge of nothing, such as a conflict, says nothing of what another call under the key may do.
        if money(&ended.charge) != Amounts::ZERO {
            let until = ended.taken.plus_secs(REPLAY_SECS);
            self.paid.insert(key, until);
            self.paid_order.push_back((until, key));
        }
        if self.replays.get(&key) == Some(&hold) {
            self.replays.remove(&key);
        }
    }

    /// The money of a call goes over to an open repeat, in the windows where it was taken.
    fn pass(&mut self, from: CallId, to: Option<CallId>) {
        let Some((to, (postings, bound))) = to.and_then(|to| Some((to, self.money_of(from)?))) else { return };
        let Some(mut heir) = self.open.remove(&to) else { return };
        let known = postings.iter().filter(|p| counts_money(p) && self.accounts.hold_known(p, part(p, &bound)));
        heir.postings = heir.postings.iter().chain(known).cloned().collect();
        (heir.amounts.usd, heir.amounts.tokens) = (bound.usd, bound.tokens);
        let mut repeats = Vec::new();
        self.sharing_mut(from, |s| repeats = std::mem::take(&mut s.repeats));
        repeats.retain(|r| *r != to);
        for repeat in &repeats {
            self.sharing_mut(*repeat, |s| s.first = Some(to));
        }
        if let Some(sharing) = &mut heir.sharing {
            if self.replays.get(&sharing.key) == Some(&from) {
                self.replays.insert(sharing.key, to);
            }
            (sharing.first, sharing.repeats, sharing.repeated, sharing.inherited) = (None, repeats, true, true);
        }
        self.open.insert(to, heir);
    }

    /// Where a call's money is counted, and how much it held at most.
    fn money_of(&self, hold: CallId) -> Option<(Arc<[Posting]>, Amounts)> {
        let open = self.open.get(&hold).map(|o| (o.postings.clone(), money(&o.amounts)));
        open.or_else(|| self.ended.get(&hold).map(|e| (e.postings.clone(), money(&e.bound))))
    }

    fn sharing_mut(&mut self, hold: CallId, change: impl FnOnce(&mut Sharing)) {
        let open = self.open.get_mut(&hold).and_then(|o| o.sharing.as_mut());
        if let Some(sharing) = open.or_else(|| self.ended.get_mut(&hold).and_then(|e| e.sharing.as_mut())) {
            change(sharing);
        }
    }

    fn flag(&mut self, op: &Op) {
        match op.flag() {
            Some((flag, true)) => drop(self.flags.insert(flag.clone())),
            Some((flag, false)) => drop(self.flags.remove(flag)),
            None => {}
        }
    }

    /// Drops what nobody can ask for any more. Only entries drive it, so that a replay forgets the same.
    fn forget(&mut self, before: &Starts) {
        while let Some(hold) =
            next_before(&mut self.soon, self.clock.now()).or_else(|| next_before(&mut self.later, self.clock.now()))
        {
            self.forget_hold(hold);
        }
        while let Some((until, key)) = self.paid_order.front().copied().filter(|(until, _)| *until <= self.clock.now())
        {
            self.paid_order.pop_front();
            if self.paid.get(&key) == Some(&until) {
                self.paid.remove(&key);
            }
        }
        let running = self.starts(self.now());
        if running.of(Window::Hour) > before.of(Window::Hour) {
            self.accounts.sweep(&running);
        }
        if running.of(Window::Minute) > before.of(Window::Minute) {
            self.rates.sweep(self.now());
        }
    }

    fn forget_hold(&mut self, hold: CallId) {
        let now = self.now();
        let Some(ended) = self.ended.get(&hold) else { return };
        if !ended.forgotten(now) {
            let again = ended.forget_at().max(now.plus_secs(super::holds::KEEP_EXACT_SECS));
            self.later.push_back((again, hold));
            return;
        }
        if let Some(ended) = self.ended.remove(&hold) {
            self.forgotten = self.forgotten.max(ended.last_seq());
            let key = ended.sharing.as_ref().map(|s| s.key);
            if let Some(key) = key.filter(|k| self.replays.get(k) == Some(&hold)) {
                self.replays.remove(&key);
            }
        }
    }
}

fn next_before(queue: &mut VecDeque<(Timestamp, CallId)>, now: Timestamp) -> Option<CallId> {
    queue.front().is_some_and(|(at, _)| *at <= now).then(|| queue.pop_front()).flatten().map(|(_, hold)| hold)
}

fn counts_money(posting: &Posting) -> bool {
    matches!(posting.unit, Unit::Usd | Unit::Tokens)
}
