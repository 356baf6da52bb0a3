//! Waiting for holds: who goes at once, who waits, in which order, and what stays behind.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::Waited;
use super::{MOST_WAITERS, Waiting};
use crate::adapters::ledger::embedded::Embedded;
use crate::adapters::ledger::hold::{Answered, Reserved};
use crate::adapters::ledger::testing::{House, house, permit};
use crate::adapters::ledger::{Answer, Ledger, Wake};
use crate::rules::books::{Act, Control, Opening};
use crate::rules::ledger::account::Shape;
use crate::rules::ledger::ask::{AccountState, Cause, End, Line, Reservation, Reserve, Settle, Settled};
use crate::rules::ledger::book::rig::{amounts, ask, closing, usd};
use crate::units::amount::Amounts;
use crate::units::ids::{CallId, Seq};

fn waiting() -> (House, Arc<Waiting>) {
    let house = house();
    let waiting = Waiting::new(house.ledger.clone());
    (house, waiting)
}

async fn reserve(waiting: &Waiting, n: u32, lines: &[Line], usd: u64, patience: Duration) -> Result<Reserved, Cause> {
    let (ask, never) = (|| ask(n, lines, usd), std::future::pending::<()>);
    match waiting.reserve(&permit(), ask, Instant::now() + patience, never).await.expect("it answers") {
        Waited::Answered(Answered::Held(held)) => Ok(held),
        Waited::Answered(Answered::Short(short)) => Err(short.cause),
        _ => panic!("nothing else stands in the way"),
    }
}

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(50);

async fn until(what: impl Fn() -> bool) {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed() < LONG, "it takes too long");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn release(held: Reserved, n: u32) {
    held.release(closing(n)).await.expect("released");
}

#[tokio::test]
async fn only_holds_are_waited_for() {
    let (_house, waiting) = waiting();
    let lines = [usd("a", 100)];
    let first = reserve(&waiting, 1, &lines, 60, LONG).await.expect("it fits");
    assert_eq!(reserve(&waiting, 2, &lines, 50, SHORT).await.err(), Some(Cause::Held), "after its patience");
    first.dispatch().commit(amounts(60, 0, 1, 0), true, closing(1)).await.expect("committed");
    let begun = Instant::now();
    assert_eq!(reserve(&waiting, 3, &lines, 50, LONG).await.err(), Some(Cause::Spent));
    assert!(begun.elapsed() < Duration::from_secs(5), "what is spent is not waited for");
    assert_eq!((waiting.waiting(), waiting.queues.len()), (0, 0));
}

#[tokio::test]
async fn a_waiter_goes_when_it_fits_and_learns_when_it_never_will() {
    let (_house, waiting) = waiting();
    let lines = [usd("a", 100)];
    let first = reserve(&waiting, 1, &lines, 60, LONG).await.expect("it fits");
    let spawn = |n, usd| {
        let (waiting, lines) = (waiting.clone(), lines.clone());
        tokio::spawn(async move { reserve(&waiting, n, &lines, usd, LONG).await })
    };
    let (fits, never) = (spawn(2, 60), spawn(3, 50));
    until(|| waiting.waiting() == 2).await;
    let _small = reserve(&waiting, 4, &lines, 40, SHORT).await.expect("what fits goes at once");
    first.dispatch().commit(amounts(0, 0, 1, 0), true, closing(1)).await.expect("committed");
    let second = fits.await.expect("no panic").expect("there is room now");
    second.dispatch().commit(amounts(60, 0, 1, 0), true, closing(2)).await.expect("committed");
    assert_eq!(never.await.expect("no panic").err(), Some(Cause::Spent));
    assert_eq!((waiting.waiting(), waiting.queues.len()), (0, 0));
}

#[tokio::test]
async fn first_come_first_served() {
    let (_house, waiting) = waiting();
    let lines = [usd("a", 100)];
    let mut held = reserve(&waiting, 1, &lines, 100, LONG).await.expect("it fits");
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks: Vec<JoinHandle<Reserved>> = Vec::new();
    for n in 2..12 {
        let (waiting_too, lines, order) = (waiting.clone(), lines.clone(), order.clone());
        tasks.push(tokio::spawn(async move {
            let held = reserve(&waiting_too, n, &lines, 100, LONG).await.expect("its turn comes");
            order.lock().push(n);
            held
        }));
        until(|| waiting.waiting() == n as usize - 1).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    for (n, task) in (1..).zip(tasks) {
        release(held, n).await;
        held = task.await.expect("no panic");
    }
    assert_eq!(*order.lock(), (2..12).collect::<Vec<_>>());
}

#[tokio::test]
async fn who_leaves_frees_its_place() {
    let (_house, waiting) = waiting();
    let lines = [usd("a", 100)];
    let first = reserve(&waiting, 1, &lines, 100, LONG).await.expect("it fits");
    let leaver = tokio::spawn({
        let (waiting, lines) = (waiting.clone(), lines.clone());
        async move { drop(reserve(&waiting, 2, &lines, 100, LONG).await) }
    });
    until(|| waiting.waiting() == 1).await;
    leaver.abort();
    until(|| waiting.waiting() == 0).await;
    assert_eq!(waiting.queues.len(), 0);
    release(first, 1).await;
    reserve(&waiting, 3, &lines, 100, SHORT).await.expect("the leaver holds nothing");
}

#[tokio::test]
async fn places_are_bounded() {
    let (_house, waiting) = waiting();
    let lines = [usd("a", 100)];
    let _first = reserve(&waiting, 1, &lines, 100, LONG).await.expect("it fits");
    waiting.waiters.store(MOST_WAITERS, std::sync::atomic::Ordering::Relaxed);
    let begun = Instant::now();
    assert_eq!(reserve(&waiting, 2, &lines, 100, LONG).await.err(), Some(Cause::Held));
    assert!(begun.elapsed() < Duration::from_secs(5), "refused at once");
}

/// What shuts a waiter out may move from one account to another.
#[tokio::test]
async fn a_waiter_follows_the_account_that_stands_in_its_way() {
    let (_house, waiting) = waiting();
    let (a, b) = (usd("a", 100), usd("b", 100));
    let on_a = reserve(&waiting, 1, std::slice::from_ref(&a), 100, LONG).await.expect("it fits");
    let on_b = reserve(&waiting, 2, std::slice::from_ref(&b), 100, LONG).await.expect("it fits");
    let both = tokio::spawn({
        let waiting = waiting.clone();
        async move { reserve(&waiting, 3, &[a, b], 10, LONG).await.map(drop) }
    });
    until(|| waiting.waiting() == 1).await;
    release(on_a, 1).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!both.is_finished());
    release(on_b, 2).await;
    both.await.expect("no panic").expect("both are free");
    assert_eq!(waiting.queues.len(), 0);
}

/// Four hundred calls of one cent on a limit of a dollar: a hundred get through, whatever the order, and nobody hangs.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_crowd_is_served_up_to_the_limit_and_no_further() {
    let (_house, waiting) = waiting();
    let lines = [usd("a", 100)];
    let tasks: Vec<_> = (1..=400)
        .map(|n| {
            let (waiting, lines) = (waiting.clone(), lines.clone());
            tokio::spawn(async move {
                let held = reserve(&waiting, n, &lines, 10, LONG).await;
                let Ok(held) = held else { return 0 };
                tokio::task::yield_now().await;
                held.dispatch().commit(amounts(1, 0, 1, 0), true, closing(n)).await.expect("committed");
                1
            })
        })
        .collect();
    let mut served = 0;
    for task in tasks {
        served += task.await.expect("no panic");
    }
    // Each holds ten times what it costs, so the last nine cents cannot be reached.
    assert_eq!(served, 91);
    assert_eq!((waiting.waiting(), waiting.queues.len()), (0, 0));
}

/// A ledger that takes its time to say yes.
struct Slow {
    inner: Arc<Embedded>,
    asked: Semaphore,
    answer: Semaphore,
}

impl Ledger for Slow {
    fn reserve(&self, ask: Reserve) -> Answer<'_, Reservation> {
        Box::pin(async move {
            let answer = self.inner.reserve(ask).await?;
            if matches!(answer, Reservation::Held(_)) {
                self.asked.add_permits(1);
                self.answer.acquire().await.expect("it stays open").forget();
            }
            Ok(answer)
        })
    }
    fn resize(&self, hold: CallId, step: u32, amounts: Amounts) -> Answer<'_, Reservation> {
        self.inner.resize(hold, step, amounts)
    }
    fn renew(&self, hold: CallId) -> Answer<'_, ()> {
        self.inner.renew(hold)
    }
    fn settle(&self, settle: Settle) -> Answer<'_, Settled> {
        self.inner.settle(settle)
    }
    fn adjust(&self, hold: CallId, step: u32, charge: Amounts, exact: bool, act: Act) -> Answer<'_, ()> {
        self.inner.adjust(hold, step, charge, exact, act)
    }
    fn deny(&self, row: Opening) -> Answer<'_, Seq> {
        self.inner.deny(row)
    }
    fn control(&self, control: Control) -> Answer<'_, Seq> {
        self.inner.control(control)
    }
    fn declare(&self, shapes: Vec<Shape>) -> Answer<'_, ()> {
        self.inner.declare(shapes)
    }
    fn accounts(&self, names: Vec<Line>) -> Answer<'_, Vec<AccountState>> {
        self.inner.accounts(names)
    }
    fn settle_later(&self, settle: Settle) {
        self.inner.settle_later(settle);
    }
    fn on_freed(&self, wake: Wake) {
        self.inner.on_freed(wake);
    }
    fn trouble(&self) -> Option<String> {
        self.inner.trouble()
    }
    fn flush(&self) -> Answer<'_, ()> {
        self.inner.flush()
    }
}

/// A change of policies that comes while the ledger takes the hold: the hold is heard of, and nothing is asked twice.
#[tokio::test]
async fn an_interruption_waits_for_the_ledgers_word() {
    let house = house();
    let lines = [usd("a", 100)];
    let first = house.ledger.reserve(ask(1, &lines, 100)).await.expect("it answers");
    assert!(matches!(first, Reservation::Held(_)));
    let slow = Arc::new(Slow { inner: house.ledger.clone(), asked: Semaphore::new(0), answer: Semaphore::new(0) });
    let waiting = Waiting::new(slow.clone());
    let (interrupt, interrupted) = tokio::sync::oneshot::channel::<()>();
    let waiter = tokio::spawn({
        let (waiting, lines) = (waiting.clone(), lines.clone());
        async move { waiting.reserve(&permit(), || ask(2, &lines, 100), Instant::now() + LONG, || interrupted).await }
    });
    until(|| waiting.waiting() == 1).await;
    let end = End::Commit { charge: amounts(0, 0, 1, 0), exact: true };
    house.ledger.settle(Settle { hold: closing(1).call, end, closing: closing(1) }).await.expect("settled");
    slow.asked.acquire().await.expect("it stays open").forget();
    interrupt.send(()).expect("it listens");
    tokio::task::yield_now().await;
    slow.answer.add_permits(1);
    let waited = waiter.await.expect("no panic").expect("it answers");
    assert!(matches!(waited, Waited::Answered(Answered::Held(_))), "the hold was taken, so it is not lost");
}
