//! Waiting for holds: a call for which only other holds leave no room waits a moment for them to end. Whoever fits goes at
//! once; the queue orders only those that wait, first come first served for each refusing account. A waiter holds nothing.

#[cfg(test)]
mod tests;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use dashmap::DashMap;
use tokio::sync::{Mutex, Notify};

use super::hold::{Answered, Holds};
use super::{Ledger, LedgerError};
use crate::rules::ledger::account::AccountName;
use crate::rules::ledger::ask::{Cause, Reserve, Short};
use crate::rules::ledger::entry::Posting;
use crate::rules::policy::Permit;

/// So many calls may wait at once; more are refused at once.
pub const MOST_WAITERS: usize = 1000;

type Queues = DashMap<AccountName, Arc<Queue>>;

/// The waiters of one account.
#[derive(Default)]
struct Queue {
    /// Fair: whoever came first has the turn.
    turn: Mutex<()>,
    /// A hold on this account ended or shrank.
    freed: Notify,
}

/// How a wait ended.
#[expect(clippy::large_enum_variant, reason = "the large one is the usual one")]
pub enum Waited<T> {
    Answered(Answered),
    Interrupted(T),
}

/// Reserves, with patience.
pub struct Waiting {
    holds: Arc<Holds>,
    queues: Arc<Queues>,
    waiters: Arc<AtomicUsize>,
}

impl Waiting {
    pub fn new(ledger: Arc<dyn Ledger>) -> Arc<Self> {
        let (queues, waiters): (Arc<Queues>, Arc<AtomicUsize>) = Default::default();
        let (woken, count) = (queues.clone(), waiters.clone());
        ledger.on_freed(Box::new(move |freed| wake(&woken, &count, freed)));
        Arc::new(Self { holds: Holds::new(ledger), queues, waiters })
    }

    pub fn holds(&self) -> &Arc<Holds> {
        &self.holds
    }

    /// How many wait now.
    pub fn waiting(&self) -> usize {
        self.waiters.load(Ordering::Relaxed)
    }

    /// Reserves at once, or waits until `deadline` if only holds stand in the way. Dropping it gives up the place.
    /// `interrupt` ends the waiting alone: what was asked of the ledger before is always heard to its end.
    pub async fn reserve<T>(
        &self,
        permit: &Permit,
        ask: Reserve,
        deadline: Instant,
        interrupt: impl Future<Output = T>,
    ) -> Result<Waited<T>, LedgerError> {
        match self.holds.reserve(permit, ask.clone()).await? {
            Answered::Short(short) if short.cause == Cause::Held && Instant::now() < deadline => {
                let patience = Patience { deadline: deadline.into(), interrupt: pin!(interrupt) };
                Box::pin(self.wait(permit, ask, short, patience)).await
            }
            answered => Ok(Waited::Answered(answered)),
        }
    }

    async fn wait<F: Future>(
        &self,
        permit: &Permit,
        ask: Reserve,
        mut short: Box<Short>,
        mut patience: Patience<'_, F>,
    ) -> Result<Waited<F::Output>, LedgerError> {
        let Some(_place) = Place::take(&self.waiters) else { return Ok(Waited::Answered(Answered::Short(short))) };
        loop {
            let line = Line::join(&self.queues, &short.account);
            match self.in_line(permit, &ask, &line, &mut short, &mut patience).await? {
                Turn::Answered(answered) => return Ok(Waited::Answered(answered)),
                Turn::Elsewhere => {}
                Turn::Over(Over::Late) => return Ok(Waited::Answered(Answered::Short(short))),
                Turn::Over(Over::Interrupted(why)) => return Ok(Waited::Interrupted(why)),
            }
        }
    }

    /// Tries whenever something is freed, once its turn has come.
    async fn in_line<F: Future>(
        &self,
        permit: &Permit,
        ask: &Reserve,
        line: &Line<'_>,
        short: &mut Box<Short>,
        patience: &mut Patience<'_, F>,
    ) -> Result<Turn<F::Output>, LedgerError> {
        let _turn = match patience.wait_for(line.queue.turn.lock()).await {
            Ok(turn) => turn,
            Err(over) => return Ok(Turn::Over(over)),
        };
        loop {
            let freed = line.queue.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            match self.holds.reserve(permit, ask.clone()).await? {
                Answered::Short(again) if again.cause == Cause::Held => {
                    let moved = again.account != short.account;
                    *short = again;
                    if moved {
                        return Ok(Turn::Elsewhere);
                    }
                }
                answered => return Ok(Turn::Answered(answered)),
            }
            if let Err(over) = patience.wait_for(self.freed_or_recheck(freed)).await {
                return Ok(Turn::Over(over));
            }
        }
    }
}

impl Waiting {
    /// Where holds also end out of sight, asking again after a while is the way to learn of it.
    async fn freed_or_recheck(&self, freed: impl Future<Output = ()>) {
        match self.holds.ledger().recheck() {
            Some(pause) => drop(tokio::time::timeout(pause, freed).await),
            None => freed.await,
        }
    }
}

/// How a turn at one account's queue ended.
#[expect(clippy::large_enum_variant, reason = "the large one is the usual one")]
enum Turn<T> {
    Answered(Answered),
    /// Another account stands in the way now.
    Elsewhere,
    Over(Over<T>),
}

/// Why waiting is over.
enum Over<T> {
    Late,
    Interrupted(T),
}

/// How long to wait, and for what not. It ends waits alone: a question to the ledger that is dropped half-way could have
/// taken its hold, and the same question could not be asked again.
struct Patience<'a, F> {
    deadline: tokio::time::Instant,
    interrupt: Pin<&'a mut F>,
}

impl<F: Future> Patience<'_, F> {
    async fn wait_for<O>(&mut self, what: impl Future<Output = O>) -> Result<O, Over<F::Output>> {
        tokio::select! {
            biased;
            why = self.interrupt.as_mut() => Err(Over::Interrupted(why)),
            () = tokio::time::sleep_until(self.deadline) => Err(Over::Late),
            done = what => Ok(done),
        }
    }
}

fn wake(queues: &Queues, waiters: &AtomicUsize, freed: &[Posting]) {
    // Whoever begins to wait counts itself, then asks again: it cannot miss what is freed after that.
    if waiters.load(Ordering::Acquire) == 0 {
        return;
    }
    for posting in freed {
        if let Some(queue) = queues.get(&posting.account) {
            // Kept if nobody listens at this moment.
            queue.freed.notify_one();
        }
    }
}

/// One of a bounded number of waiters.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiters: &'a AtomicUsize) -> Option<Self> {
        let more = |n: usize| (n < MOST_WAITERS).then_some(n + 1);
        waiters.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok().map(|_| Self(waiters))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A waiter at one account's queue; the last to leave removes the queue.
struct Line<'a> {
    queues: &'a Queues,
    account: AccountName,
    queue: Arc<Queue>,
}

impl<'a> Line<'a> {
    fn join(queues: &'a Queues, account: &AccountName) -> Self {
        let queue = queues.entry(account.clone()).or_default().clone();
        Self { queues, account: account.clone(), queue }
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        // Two owners: the map and this waiter. Joining takes the same lock, so nobody comes in between.
        self.queues.remove_if(&self.account, |_, queue| Arc::strong_count(queue) <= 2);
    }
}
