//! Waiting: a call for which only other holds leave no room waits a moment for them to end, and one that comes too early for a
//! rate waits for its turn, if that comes in time. Whoever fits goes at once; the queue orders only those that wait, first come
//! first served for each refusing account or cell. A waiter holds nothing.

#[cfg(test)]
mod tests;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use tokio::sync::{Mutex, Notify};

use super::hold::{Answered, Holds};
use super::{Ledger, LedgerError};
use crate::rules::ledger::account::AccountName;
use crate::rules::ledger::ask::{Cause, Reserve};
use crate::rules::ledger::entry::Posting;
use crate::rules::policy::Permit;

/// So many calls may wait at once; more are refused at once.
pub const MOST_WAITERS: usize = 1000;
/// And so many of them for one rate: they go one after the other at its pace, and must not take the places of all others.
const MOST_PACED: usize = 100;

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
    /// `interrupt` ends the waiting alone: what was asked of the ledger before is always heard to its end. Both it and a question
    /// that is asked again are made only for whoever waits.
    pub async fn reserve<F: Future>(
        &self,
        permit: &Permit,
        ask: impl Fn() -> Reserve + Sync,
        deadline: Instant,
        interrupt: impl FnOnce() -> F,
    ) -> Result<Waited<F::Output>, LedgerError> {
        match self.holds.reserve(permit, ask()).await? {
            refused if curable(&refused, deadline).is_some() => {
                Box::pin(self.wait(permit, &ask, refused, deadline, interrupt())).await
            }
            answered => Ok(Waited::Answered(answered)),
        }
    }

    async fn wait<F: Future>(
        &self,
        permit: &Permit,
        ask: &(dyn Fn() -> Reserve + Sync),
        mut refused: Answered,
        deadline: Instant,
        interrupt: F,
    ) -> Result<Waited<F::Output>, LedgerError> {
        let mut patience = Patience { deadline: deadline.into(), interrupt: pin!(interrupt) };
        let Some(_place) = Place::take(&self.waiters) else { return Ok(Waited::Answered(refused)) };
        loop {
            let Some(cure) = curable(&refused, patience.deadline.into_std()) else {
                return Ok(Waited::Answered(refused));
            };
            let Some(line) = Line::join(&self.queues, &cure) else { return Ok(Waited::Answered(refused)) };
            match self.in_line(permit, ask, &line, &mut refused, &mut patience).await? {
                Turn::Answered(answered) => return Ok(Waited::Answered(answered)),
                Turn::Elsewhere => {}
                Turn::Over(Over::Late) => return Ok(Waited::Answered(refused)),
                Turn::Over(Over::Interrupted(why)) => return Ok(Waited::Interrupted(why)),
            }
        }
    }

    /// Tries whenever something is freed, once its turn has come.
    async fn in_line<F: Future>(
        &self,
        permit: &Permit,
        ask: &(dyn Fn() -> Reserve + Sync),
        line: &Line<'_>,
        refused: &mut Answered,
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
            let answered = self.holds.reserve(permit, ask()).await?;
            let Some(cure) = curable(&answered, patience.deadline.into_std()) else {
                return Ok(Turn::Answered(answered));
            };
            *refused = answered;
            if cure.queue != line.account {
                return Ok(Turn::Elsewhere);
            }
            let waited = match cure.pause {
                Some(pause) => patience.wait_for(tokio::time::sleep(pause)).await,
                None => patience.wait_for(self.freed_or_recheck(freed)).await,
            };
            if let Err(over) = waited {
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

/// What waiting for would help.
struct Cure {
    /// The account, or the cell of a rate.
    queue: AccountName,
    /// Until the rate admits a call; an account is freed when it is freed.
    pause: Option<Duration>,
}

/// `None` if the call was not refused, or no wait until `deadline` helps.
fn curable(answered: &Answered, deadline: Instant) -> Option<Cure> {
    let left = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
    match answered {
        Answered::Short(short) if short.cause == Cause::Held => {
            Some(Cure { queue: short.account.clone(), pause: None })
        }
        Answered::Limited(limited) if !limited.is_loop() => {
            let pause = limited.wait.map(Duration::from_micros).filter(|pause| *pause < left)?;
            Some(Cure { queue: limited.cell.clone(), pause: Some(pause) })
        }
        _ => None,
    }
}

/// How a turn at one account's queue ended.
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
    fn join(queues: &'a Queues, cure: &Cure) -> Option<Self> {
        let entry = queues.entry(cure.queue.clone()).or_default();
        // The map is one owner, each waiter another.
        let full = cure.pause.is_some() && Arc::strong_count(&entry) > MOST_PACED;
        (!full).then(|| Self { queues, account: cure.queue.clone(), queue: entry.clone() })
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        // Two owners: the map and this waiter. Joining takes the same lock, so nobody comes in between.
        self.queues.remove_if(&self.account, |_, queue| Arc::strong_count(queue) <= 2);
    }
}
