//! The operations of the trait: what this node may do alone it does alone, and everything else is Redis's.

use std::sync::Arc;
use std::time::Duration;

use super::{Inner, Leased, PATIENCE};
use crate::adapters::ledger::{Answer, Ledger, LedgerError, Wake};
use crate::rules::books::{Act, Control, Opening};
use crate::rules::ledger::account::{AccountName, Shape};
use crate::rules::ledger::ask::{
    AccountState, Cause, Checked, Correct, Held, Line, Reservation, Reserve, Settle, Settled,
};
use crate::rules::subject::Flag;
use crate::units::amount::Amounts;
use crate::units::ids::{CallId, Seq};

use super::admit::Why;

impl Inner {
    async fn reserve(&self, ask: Reserve) -> Result<Reservation, LedgerError> {
        let lines = self.redis.lines_of(&ask);
        self.note(&ask, &lines);
        if ask.manner.lease && self.fresh() && self.redis.trouble().is_none() {
            let alone = self.alone(&ask, &lines, Why::Quick).await?;
            if let Some(answer) = alone {
                return Ok(answer);
            }
        }
        // Nobody waits for an answer that is known not to come.
        if self.away()
            && let Some(why) = self.way(ask.manner.down)
        {
            return self.alone(&ask, &lines, why).await?.ok_or_else(used_up);
        }
        match self.redis.reserve(ask.clone()).await {
            // Books that are too far behind are no reason to go on without Redis.
            Err(LedgerError::Down(error)) => match self.way(ask.manner.down).filter(|_| self.redis.unreachable()) {
                Some(why) => self.alone(&ask, &lines, why).await?.ok_or(LedgerError::Down(error)),
                None => Err(LedgerError::Down(error)),
            },
            // What is in the way may be this node's own slice.
            Ok(Reservation::Short(short)) if short.cause == Cause::Held && self.has_room(&short.account) => {
                self.recall(&short.account.0);
                self.next_look().await;
                self.redis.reserve(ask).await
            }
            answered => answered,
        }
    }

    async fn alone(&self, ask: &Reserve, lines: &Arc<[Line]>, why: Why) -> Result<Option<Reservation>, LedgerError> {
        let Some((answer, seq)) = self.admit(ask, lines, why)? else { return Ok(None) };
        if let Err(e) = self.home.durably(seq, PATIENCE).await {
            // Its entry may yet be written, so its end must be too.
            let given_up = crate::adapters::ledger::hold::given_up(ask.hold);
            self.settle_here(&given_up)?;
            return Err(e);
        }
        Ok(Some(answer))
    }

    /// What a call holds that Redis does not have yet.
    fn here(&self, hold: CallId) -> Option<Held> {
        self.state.lock().calls.get(&hold).map(|local| local.held.clone())
    }

    fn has_room(&self, account: &AccountName) -> bool {
        let state = self.state.lock();
        state.slices.keys().any(|key| key.account == *account && state.slices.room(key) > 0)
    }

    async fn settle(&self, settle: Settle) -> Result<Settled, LedgerError> {
        if let Some((settled, seq)) = self.settle_here(&settle)? {
            self.home.durably(seq, PATIENCE).await?;
            return Ok(settled);
        }
        match self.redis.settle_once(settle.clone()).await {
            Err(LedgerError::Down(why)) if self.redis.is_owed(&settle) => {
                let seq = self.settle_later_there(&settle)?;
                tracing::debug!(call = %settle.hold, why, "the end of a hold waits in this node's journal");
                self.home.durably(seq, PATIENCE).await?;
                Ok(Settled::Done)
            }
            answered => answered,
        }
    }

    /// Stops hold here at once, whether or not Redis hears of them.
    async fn control(&self, control: Control) -> Result<Seq, LedgerError> {
        let change = match &control {
            Control::Stopped { flag, .. } => Some((flag.clone(), true)),
            Control::Restored { flag, .. } => Some((flag.clone(), false)),
            _ => None,
        };
        if let Some((flag, true)) = &change {
            self.state.lock().own.insert(flag.clone());
        }
        let answered = self.redis.control(control).await;
        if let (Ok(_), Some((flag, set))) = (&answered, change) {
            self.known(flag, set);
        }
        answered
    }

    fn known(&self, flag: Flag, set: bool) {
        let mut state = self.state.lock();
        state.own.remove(&flag);
        if set {
            state.flags.insert(flag);
        } else {
            state.flags.remove(&flag);
        }
    }
}

fn used_up() -> LedgerError {
    LedgerError::Down("redis does not answer, and this node's slices have no room for the call".to_owned())
}

impl Ledger for Leased {
    fn reserve(&self, ask: Reserve) -> Answer<'_, Reservation> {
        Box::pin(self.0.reserve(ask))
    }

    fn resize(&self, hold: CallId, step: u32, amounts: Amounts) -> Answer<'_, Reservation> {
        Box::pin(async move {
            // Until Redis has it, it holds what it holds.
            if self.0.here(hold).is_some() {
                // Redis is told of it now, and then asked.
                self.0.kick.notify_one();
                self.0.next_look().await;
            }
            match self.0.here(hold) {
                Some(held) => Ok(Reservation::Held(held)),
                None => self.0.redis.resize(hold, step, amounts).await,
            }
        })
    }

    fn renew(&self, hold: CallId) -> Answer<'_, ()> {
        if self.0.state.lock().slices.knows(hold) {
            return Box::pin(std::future::ready(Ok(())));
        }
        self.0.redis.renew(hold)
    }

    fn settle(&self, settle: Settle) -> Answer<'_, Settled> {
        Box::pin(self.0.settle(settle))
    }

    fn adjust(&self, hold: CallId, step: u32, charge: Amounts, exact: bool, act: Act) -> Answer<'_, ()> {
        self.0.redis.adjust(hold, step, charge, exact, act)
    }

    fn correct(&self, ask: Correct) -> Answer<'_, Seq> {
        self.0.redis.correct(ask)
    }

    fn check(&self) -> Answer<'_, Checked> {
        self.0.redis.check()
    }

    fn deny(&self, row: Opening) -> Answer<'_, Seq> {
        self.0.redis.deny(row)
    }

    fn control(&self, control: Control) -> Answer<'_, Seq> {
        Box::pin(self.0.control(control))
    }

    fn declare(&self, shapes: Vec<Shape>) -> Answer<'_, ()> {
        self.0.redis.declare(shapes)
    }

    fn accounts(&self, names: Vec<Line>) -> Answer<'_, Vec<AccountState>> {
        self.0.redis.accounts(names)
    }

    fn settle_later(&self, settle: Settle) {
        let hold = settle.hold;
        let here = self.0.settle_here(&settle);
        match (here, tokio::runtime::Handle::try_current()) {
            (Ok(Some(_)), _) => {}
            (Ok(None), _) if !self.0.redis.is_owed(&settle) => {}
            (Ok(None), Ok(runtime)) => {
                let inner = self.0.clone();
                drop(runtime.spawn(async move {
                    match inner.settle(settle).await {
                        Err(error @ LedgerError::Down(_)) => {
                            tracing::error!(call = %hold, %error, "a hold could not be ended")
                        }
                        // The hold was never taken, or has ended: nothing is owed.
                        _ => tracing::debug!(call = %hold, "a hold was ended that nobody waits for"),
                    }
                }));
            }
            (Err(error), _) => {
                tracing::error!(call = %hold, %error, "a hold could not be ended; a restart charges it in full")
            }
            (_, Err(_)) => tracing::error!(call = %hold, "a hold could not be ended: the runtime is gone"),
        }
    }

    fn on_freed(&self, wake: Wake) {
        let wake = Arc::new(wake);
        let there = wake.clone();
        self.0.redis.on_freed(Box::new(move |postings| there(postings)));
        // One listener; a second one would be a mistake in the wiring, and the first stays.
        let _ = self.0.wake.set(wake);
    }

    fn recheck(&self) -> Option<Duration> {
        self.0.redis.recheck()
    }

    fn trouble(&self) -> Option<String> {
        self.0.redis.trouble()
    }

    fn refused_behind(&self) -> u64 {
        self.0.redis.refused_behind()
    }

    fn ends_aside(&self) -> bool {
        true
    }

    fn flush(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            self.0.close().await?;
            self.0.redis.flush().await
        })
    }
}
