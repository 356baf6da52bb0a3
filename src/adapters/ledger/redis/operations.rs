//! The operations of the trait on Redis: each is one script, and of the most frequent ones it decides many at once (`together`).
//! What the node itself must know of a hold (the lines of its reserve) it keeps here until the hold ends.

use std::sync::Arc;
use std::time::Duration;

use super::answer::{self, Answered, Parts};
use super::kept::{Redo, Taken};
use super::pack::Packed;
use super::together::Errand;
use super::{Asked, Inner, RECHECK, Redis, encode, json};
use crate::adapters::ledger::{Answer, Ledger, LedgerError, Wake};
use crate::rules::books::{Act, Control, Opening};
use crate::rules::ledger::account::Shape;
use crate::rules::ledger::ask::{AccountState, Checked, Correct, End, Line, Reservation, Reserve, Settle, Settled};
use crate::rules::ledger::entry::Posting;
use crate::units::amount::Amounts;
use crate::units::ids::{CallId, Seq};
use crate::units::time::Timestamp;

/// How long a shutdown waits for Redis to hear how the last calls ended.
const LAST_ENDS: Duration = Duration::from_secs(2);
/// Holds that one script charges, and ended ones that it forgets.
const EXPIRE_AT_ONCE: usize = 50;
const FORGET_AT_ONCE: usize = 200;
/// Such scripts in one call, so that it comes to an end.
const EXPIRE_ROUNDS: usize = 200;
/// Shapes that change while a call asks: it asks again so often.
const SHAPES_MOVED: usize = 5;

impl Inner {
    async fn reserve(&self, ask: Reserve) -> Result<Reservation, LedgerError> {
        self.room().await?;
        for _ in 0..SHAPES_MOVED {
            let shapes = self.shapes.lock().clone();
            let lines = shapes.lines_of(&ask);
            let packed = encode::reserve(&ask, &lines, shapes.version)?;
            let answer = self.awaiting(ask.hold, packed).await?;
            match answer::reservation(&answer, ask.hold, &lines, &ask.rates)? {
                Some(answered) => {
                    self.keep_taken(&ask, &lines, &answered);
                    return Ok(self.remember(ask.hold, lines, answered));
                }
                None => drop(self.learn_shapes().await?),
            }
        }
        Err(LedgerError::Down("the shapes of budgets change faster than a call can follow".to_owned()))
    }

    /// While there is no answer, and if none comes, the hold may be taken all the same. Not if it cannot have been asked for.
    async fn awaiting(&self, hold: CallId, packed: Vec<u8>) -> Result<Vec<String>, LedgerError> {
        let first = self.awaited.insert(hold);
        let answer = self.together(Errand::Reserve, packed).await;
        if answer.as_ref().err().is_none_or(|unheard| first && !unheard.may_have_run) {
            self.awaited.remove(&hold);
        }
        answer.map_err(|unheard| unheard.why)
    }

    /// Redis has, or may have, a hold that this node asked for.
    fn may_be_held(&self, hold: CallId) -> bool {
        self.asked.contains_key(&hold) || self.awaited.contains(&hold)
    }

    /// As Redis said that it was written, should Redis lose it.
    fn keep_taken(&self, ask: &Reserve, lines: &[Line], answered: &Answered) {
        let Reservation::Held(held) = &answered.reservation else { return };
        // One that was there already, and whose first answer never came.
        if !answered.new && self.asked.contains_key(&ask.hold) {
            return;
        }
        let taken = Taken { again: !answered.new, ..Taken::new(ask, lines, held, answered.at) };
        self.kept.keep(answered.seq, Redo::Take(Box::new(taken)));
    }

    /// A hold that is there already is answered with what its first reserve said of limits that only observe.
    fn remember(&self, hold: CallId, lines: Arc<[Line]>, answered: Answered) -> Reservation {
        let mut reservation = answered.reservation;
        if let Reservation::Held(held) = &mut reservation {
            if answered.new {
                let postings = postings(&lines, answered.at);
                self.asked.insert(hold, Asked { lines, would_refuse: held.would_refuse.clone(), postings });
            } else {
                held.would_refuse = self.asked.get(&hold).and_then(|a| a.would_refuse.clone());
            }
        }
        reservation
    }

    /// `forced`: it was granted before, and is put back whether or not there is room.
    pub(super) async fn resize(
        &self,
        hold: CallId,
        step: u32,
        amounts: Amounts,
        forced: bool,
    ) -> Result<Reservation, LedgerError> {
        let lines = self.asked.get(&hold).map(|a| a.lines.clone());
        let mut call = self.prepare(&self.scripts.resize);
        call.arg(hold.to_string()).arg(step);
        encode::amounts(&mut call, &amounts);
        call.arg(u8::from(lines.is_some())).arg(u8::from(forced));
        let (lines, mut packed) = (lines.unwrap_or_default(), Packed::default());
        encode::lines(&mut packed, &lines);
        call.arg(packed.done());
        let answer = self.call(&call).await?;
        let answered = answer::reservation(&answer, hold, &lines, &[])?.ok_or_else(answer::unreadable)?;
        if let Reservation::Held(held) = &answered.reservation {
            self.kept.keep(answered.seq, Redo::Resize { hold, step, amounts: held.amounts });
        }
        if let (Reservation::Held(_), Some(asked)) = (&answered.reservation, self.asked.get(&hold)) {
            self.wake(&asked.postings);
        }
        Ok(self.remember(hold, lines, answered))
    }

    pub(super) async fn settle(&self, settle: Settle) -> Result<Settled, LedgerError> {
        let awaited = self.awaited.contains(&settle.hold);
        let answer = self.together(Errand::Settle, encode::settle(&settle, awaited)).await.map_err(|e| e.why)?;
        self.awaited.remove(&settle.hold);
        self.freed(settle.hold);
        let settled = answer::settled(&answer, settle.hold)?;
        if settled != Settled::Again {
            self.kept.keep(Parts::new(&answer)?.seq, Redo::Settle(settle));
        }
        Ok(settled)
    }

    /// Must Redis hear of it? A call that it was never asked for has nothing to give back.
    pub(super) fn is_owed(&self, settle: &Settle) -> bool {
        !matches!(settle.end, End::Release) || self.may_be_held(settle.hold)
    }

    /// What Redis does not hear now, it is told later.
    async fn settle_in_the_end(&self, settle: Settle) -> Result<Settled, LedgerError> {
        let settled = self.settle(settle.clone()).await;
        if !self.is_owed(&settle) {
            return settled;
        }
        if let Err(LedgerError::Down(why)) = settled {
            self.owed.push(settle);
            return Err(LedgerError::Down(format!("{why}. It is told again until it hears")));
        }
        settled
    }

    fn freed(&self, hold: CallId) {
        if let Some((_, asked)) = self.asked.remove(&hold) {
            self.wake(&asked.postings);
        }
    }

    fn wake(&self, postings: &[Posting]) {
        if let Some(wake) = self.wake.get() {
            wake(postings);
        }
    }

    async fn accounts(&self, lines: &[Line]) -> Result<Vec<AccountState>, LedgerError> {
        let mut call = self.prepare(&self.scripts.accounts);
        call.arg(lines.len());
        for line in lines {
            call.arg(&*line.account.0).arg(line.window.as_str());
        }
        let answer = self.call(&call).await?;
        let mut parts = Parts::new(&answer)?;
        let mut state = |line: &Line| {
            let (account, unit, window) = (line.account.clone(), line.unit, line.window);
            let window_start = Timestamp(parts.number()?);
            Ok(AccountState { account, unit, window, window_start, spent: parts.number()?, held: parts.number()? })
        };
        lines.iter().map(&mut state).collect()
    }

    async fn renew(&self, hold: CallId) -> Result<(), LedgerError> {
        let mut call = self.prepare(&self.scripts.renew);
        call.arg(hold.to_string());
        let renewed = Parts::new(&self.call(&call).await?)?.done(hold);
        // Another node has ended it. Its own end must still be told: it may say less than what was charged.
        if let (Err(_), Some(asked)) = (&renewed, self.asked.get(&hold)) {
            self.wake(&asked.postings);
        }
        renewed.map(drop)
    }

    pub(super) async fn adjust(
        &self,
        hold: CallId,
        step: u32,
        charge: Amounts,
        exact: bool,
        act: Act,
    ) -> Result<(), LedgerError> {
        let mut call = self.prepare(&self.scripts.adjust);
        call.arg(hold.to_string()).arg(step);
        encode::amounts(&mut call, &charge);
        call.arg(u8::from(exact)).arg(json(&act));
        let seq = Parts::new(&self.call(&call).await?)?.done(hold)?;
        self.kept.keep(seq, Redo::Adjust { hold, step, charge, exact, act });
        Ok(())
    }

    pub(super) async fn correct(&self, ask: Correct) -> Result<Seq, LedgerError> {
        self.learn_shapes().await?;
        let mut call = self.prepare(&self.scripts.correct);
        encode::correct(&mut call, &ask, &self.shapes.lock().all);
        let seq = Parts::new(&self.call(&call).await?)?.done(ask.hold)?;
        self.kept.keep(seq, Redo::Correct(Box::new(ask)));
        Ok(seq)
    }

    /// Charges every hold whose lease is over, some at a time so that no script takes long. Says how many.
    async fn expire(&self) -> Result<usize, LedgerError> {
        let mut expired = 0;
        for _ in 0..EXPIRE_ROUNDS {
            let mut call = self.prepare(&self.scripts.expire);
            call.arg(EXPIRE_AT_ONCE).arg(FORGET_AT_ONCE);
            let answer = self.call(&call).await?;
            let mut parts = Parts::new(&answer)?;
            let more = parts.text()? == "more";
            for hold in parts.rest().filter_map(|id| id.parse().ok()) {
                tracing::warn!(call = %hold, "a hold that nobody ended was charged in full");
                expired += 1;
                self.freed(hold);
            }
            if !more {
                break;
            }
        }
        Ok(expired)
    }
}

/// Where a hold of these lines is counted, as far as it is needed to wake those who wait.
fn postings(lines: &[Line], at: Timestamp) -> Arc<[Posting]> {
    let posting =
        |l: &Line| Posting { account: l.account.clone(), unit: l.unit, window: l.window, start: l.window.start(at) };
    lines.iter().map(posting).collect()
}

impl Redis {
    /// Charges every hold whose lease is over, whichever node took it. Says how many.
    pub async fn expire_due(&self) -> Result<usize, LedgerError> {
        self.0.expire().await
    }
}

impl Ledger for Redis {
    fn reserve(&self, ask: Reserve) -> Answer<'_, Reservation> {
        Box::pin(self.0.reserve(ask))
    }

    fn resize(&self, hold: CallId, step: u32, amounts: Amounts) -> Answer<'_, Reservation> {
        Box::pin(self.0.resize(hold, step, amounts, false))
    }

    fn renew(&self, hold: CallId) -> Answer<'_, ()> {
        Box::pin(self.0.renew(hold))
    }

    fn settle(&self, settle: Settle) -> Answer<'_, Settled> {
        Box::pin(self.0.settle_in_the_end(settle))
    }

    fn adjust(&self, hold: CallId, step: u32, charge: Amounts, exact: bool, act: Act) -> Answer<'_, ()> {
        Box::pin(self.0.adjust(hold, step, charge, exact, act))
    }

    fn correct(&self, ask: Correct) -> Answer<'_, Seq> {
        Box::pin(self.0.correct(ask))
    }

    fn check(&self) -> Answer<'_, Checked> {
        Box::pin(self.0.check())
    }

    fn deny(&self, row: Opening) -> Answer<'_, Seq> {
        Box::pin(async move {
            self.0.room().await?;
            self.0.deny(row).await
        })
    }

    fn control(&self, control: Control) -> Answer<'_, Seq> {
        Box::pin(self.0.control(control))
    }

    fn declare(&self, shapes: Vec<Shape>) -> Answer<'_, ()> {
        Box::pin(self.0.declare(shapes))
    }

    fn accounts(&self, names: Vec<Line>) -> Answer<'_, Vec<AccountState>> {
        Box::pin(async move { self.0.accounts(&names).await })
    }

    fn settle_later(&self, settle: Settle) {
        // Else each call that was refused because Redis is slow would be one more thing to tell it.
        if !self.0.is_owed(&settle) {
            return;
        }
        let inner = self.0.clone();
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(async move { drop(inner.settle_in_the_end(settle).await) })),
            Err(_) => tracing::error!(call = %settle.hold, "a hold could not be ended: the runtime is gone"),
        }
    }

    fn on_freed(&self, wake: Wake) {
        // One listener; a second one would be a mistake in the wiring, and the first stays.
        let _ = self.0.wake.set(wake);
    }

    fn recheck(&self) -> Option<Duration> {
        Some(RECHECK)
    }

    fn trouble(&self) -> Option<String> {
        let own = self.0.lost.why().or_else(|| self.0.trouble.lock().clone());
        own.or_else(|| self.0.link.trouble()).or_else(|| self.0.stream_trouble())
    }

    fn refused_behind(&self) -> u64 {
        self.0.stream.get().map_or(0, |stream| stream.backlog.refused())
    }

    fn ends_aside(&self) -> bool {
        true
    }

    fn flush(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            let told = tokio::time::timeout(LAST_ENDS, self.0.owed.over()).await;
            let left = || LedgerError::Down(format!("redis did not hear how {} calls ended", self.0.owed.count()));
            told.map_err(|_| left())
        })
    }
}
