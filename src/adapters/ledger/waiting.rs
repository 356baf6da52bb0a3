//! Waiting for holds: a call for which only other holds leave no room waits a moment for them to end. Whoever fits goes at
//! once; the queue orders only those that wait, first come first served for each refusing account. A waiter holds nothing.

#[cfg(test)]
mod tests;

use std::future::Future;
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
                tokio::select! {
                    biased;
                    why = interrupt => Ok(Waited::Interrupted(why)),
                    answered = Box::pin(self.wait(permit, ask, short, deadline)) => answered.map(Waited::Answered),
                }
            }
            answered => Ok(Waited::Answered(answered)),
        }
    }

    async fn wait(
        &self,
        permit: &Permit,
        ask: Reserve,
        mut short: Box<Short>,
        deadline: Instant,
    ) -> Result<Answered, LedgerError> {
        let Some(_place) = Place::take(&self.waiters) else { return Ok(Answered::Short(short)) };
        let turns = async {
            loop {
                let line = Line::join(&self.queues, &short.account);
                if let Some(answered) = self.in_line(permit, &ask, &line, &mut short).await? {
                    return Ok(answered);
                }
            }
        };
        // The borrow of `short` ends with the time-out, so that the last refusal can be told.
        let ended = tokio::time::timeout_at(deadline.into(), turns).await;
        ended.unwrap_or_else(|_| Ok(Answered::Short(short)))
    }

    /// Tries whenever something is freed, once its turn has come. `None`: another account stands in the way now.
    async fn in_line(
        &self,
        permit: &Permit,
        ask: &Reserve,
        line: &Line<'_>,
        short: &mut Box<Short>,
    ) -> Result<Option<Answered>, LedgerError> {
        let _turn = line.queue.turn.lock().await;
        loop {
            let freed = line.queue.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            match self.holds.reserve(permit, ask.clone()).await? {
                Answered::Short(again) if again.cause == Cause::Held => {
                    let moved = again.account != short.account;
                    *short = again;
                    if moved {
                        return Ok(None);
                    }
                }
                answered => return Ok(Some(answered)),
            }
            freed.await;
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
