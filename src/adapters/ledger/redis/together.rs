//! Calls that come while others are on their way to Redis go together: one run of the script decides them one after the other,
//! and each has its own answer. One that comes alone goes alone, and nobody waits for company. A run whose answer is lost leaves
//! each of its calls without one. Knows no ask: it carries packed ones to one script.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use redis::Value;
use tokio::sync::oneshot;

use super::{Inner, Unheard, answer, recover};
use crate::adapters::ledger::LedgerError;

/// Runs that are on their way at once: while one is decided, the next is written and the last is read.
const RUNS: usize = 2;
/// Where answers take longer than this, as over a slow network, one more sets out each time, so that nobody waits for them.
const PACE: Duration = Duration::from_millis(1);
/// But no more than so many.
const MOST_RUNS: usize = 32;
/// Calls of one run: it must not hold up the server for long.
const AT_ONCE: usize = 64;

type Answer = Result<Vec<String>, Unheard>;

/// Which script, and what must be true of its answer.
#[derive(Clone, Copy, Debug)]
pub enum Errand {
    /// As many replicas as wanted must have it.
    Reserve,
    Settle,
}

struct Waiting {
    /// The ledger that it was meant for.
    epoch: Arc<str>,
    since: Instant,
    packed: Vec<u8>,
    answer: oneshot::Sender<Answer>,
}

impl Waiting {
    /// It was never asked.
    fn refuse(self, why: &str) {
        let _ = self.answer.send(Err(Unheard::never_ran(LedgerError::Down(why.to_owned()))));
    }
}

struct Queue {
    waiting: VecDeque<Waiting>,
    runs: usize,
    pace: Duration,
    /// When the last run set out.
    last: Option<Instant>,
}

impl Queue {
    /// May one set out beside so many?
    fn has_room(&self, beside: usize) -> bool {
        beside < RUNS || (beside < MOST_RUNS && self.last.is_none_or(|last| last.elapsed() >= self.pace))
    }
}

pub struct Together(Mutex<Queue>);

impl Default for Together {
    fn default() -> Self {
        Self::paced(PACE)
    }
}

impl Together {
    fn paced(pace: Duration) -> Self {
        Self(Mutex::new(Queue { waiting: VecDeque::new(), runs: 0, pace, last: None }))
    }

    /// Says whether somebody must set out.
    fn push(&self, new: Waiting) -> bool {
        let mut queue = self.0.lock();
        queue.waiting.push_back(new);
        let goes = queue.has_room(queue.runs);
        if goes {
            queue.runs += 1;
            queue.last = Some(Instant::now());
        }
        goes
    }

    /// A run that is back goes again, or leaves those who wait to the others, which are at least `RUNS`.
    fn take_again(&self, patience: Duration) -> Vec<Waiting> {
        {
            let mut queue = self.0.lock();
            if !queue.has_room(queue.runs - 1) {
                queue.runs -= 1;
                return Vec::new();
            }
        }
        self.take(patience)
    }

    /// Those that go together now. None: nobody is left, and this run is over. Whoever has waited for longer than an answer may
    /// take is refused.
    fn take(&self, patience: Duration) -> Vec<Waiting> {
        let mut queue = self.0.lock();
        let mut some: Vec<Waiting> = Vec::new();
        while some.len() < AT_ONCE
            && let Some(next) = queue.waiting.pop_front_if(|next| some.first().is_none_or(|f| f.epoch == next.epoch))
        {
            if next.since.elapsed() < patience {
                some.push(next);
            } else {
                next.refuse("redis: too many calls wait for its answers");
            }
        }
        if some.is_empty() {
            queue.runs -= 1;
        } else {
            queue.last = Some(Instant::now());
        }
        some
    }

    /// A run that did not come to its end. Those who still wait are not left to it.
    fn broken_off(&self) {
        let mut queue = self.0.lock();
        queue.runs -= 1;
        queue.waiting.drain(..).for_each(|w| w.refuse("the way to redis has ended"));
    }
}

struct Run {
    inner: Arc<Inner>,
    errand: Errand,
    /// It counts among those on their way.
    counted: bool,
}

/// One that does not come to its end, as when its runtime is shut down, is over all the same: those who come later set out.
impl Drop for Run {
    fn drop(&mut self) {
        if self.counted {
            self.inner.errands(self.errand).broken_off();
        }
    }
}

impl Run {
    async fn set_out(mut self) {
        let patience = self.inner.link.patience().answer;
        let mut some = self.inner.errands(self.errand).take(patience);
        while let Some(first) = some.first() {
            let packed: Vec<&[u8]> = some.iter().map(|w| &*w.packed).collect();
            let answers = self.inner.run(self.errand, &first.epoch, &packed).await;
            tell(some, answers);
            some = self.inner.errands(self.errand).take_again(patience);
        }
        self.counted = false;
    }
}

impl Inner {
    pub(super) async fn together(&self, errand: Errand, packed: Vec<u8>) -> Answer {
        let epoch = self.epoch.lock().clone();
        // What is put back is asked by who puts back alone, and says so in its own task.
        if recover::putting_back() {
            let answers = self.run(errand, &epoch, &[&packed]).await?;
            return answers.into_iter().next().unwrap_or_else(|| Err(Unheard::may_have_run(answer::unreadable())));
        }
        let (sender, receiver) = oneshot::channel();
        let waiting = Waiting { epoch, since: Instant::now(), packed, answer: sender };
        if self.errands(errand).push(waiting)
            && let Some(own) = self.own.upgrade()
        {
            tokio::spawn(Run { inner: own, errand, counted: true }.set_out());
        }
        let ended = || Unheard::may_have_run(LedgerError::Down("the way to redis has ended".to_owned()));
        receiver.await.unwrap_or_else(|_| Err(ended()))
    }

    fn errands(&self, errand: Errand) -> &Together {
        match errand {
            Errand::Reserve => &self.reserves,
            Errand::Settle => &self.settles,
        }
    }

    async fn run(&self, errand: Errand, epoch: &str, packed: &[&[u8]]) -> Result<Vec<Answer>, Unheard> {
        let script = match errand {
            Errand::Reserve => &self.scripts.reserve,
            Errand::Settle => &self.scripts.settle,
        };
        let mut call = self.prepare_for(script, epoch);
        for one in packed {
            call.arg(*one);
        }
        self.may_ask().await.map_err(Unheard::never_ran)?;
        let (value, lacking) = match errand {
            Errand::Reserve => {
                let kept = self.link.run_kept(&call).await?;
                (kept.value, kept.lacking)
            }
            Errand::Settle => (self.link.run(&call).await?, None),
        };
        let answers = self.guarded_each(value, epoch)?;
        match lacking {
            // It was done all the same, and whoever asked takes it back.
            Some(why) => Err(Unheard::may_have_run(LedgerError::Down(why))),
            None => Ok(answers),
        }
    }

    /// One answer for each call; or one for all, if the script did nothing.
    fn guarded_each(&self, value: Value, making: &str) -> Result<Vec<Answer>, Unheard> {
        let guarded = |one| self.guarded(one, making).map_err(Unheard::may_have_run);
        match value {
            Value::Array(each) if matches!(each.first(), Some(Value::Array(_))) => {
                Ok(each.into_iter().map(guarded).collect())
            }
            all => guarded(all).and(Err(Unheard::may_have_run(answer::unreadable()))),
        }
    }
}

fn tell(some: Vec<Waiting>, answers: Result<Vec<Answer>, Unheard>) {
    let (failed, mut answers) = match answers {
        Ok(answers) => (Unheard::may_have_run(answer::unreadable()), answers.into_iter()),
        Err(why) => (why, Vec::new().into_iter()),
    };
    for waiting in some {
        let answer = answers.next().unwrap_or_else(|| Err(failed.clone()));
        // Whoever gave up meanwhile is not told; a hold that was taken for it expires.
        let _ = waiting.answer.send(answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers come at once.
    fn quick() -> Together {
        Together::paced(Duration::MAX)
    }

    fn push(way: &Together, epoch: &Arc<str>, packed: u8) -> bool {
        way.push(Waiting {
            epoch: epoch.clone(),
            since: Instant::now(),
            packed: vec![packed],
            answer: oneshot::channel().0,
        })
    }

    fn taken(way: &Together) -> Vec<u8> {
        way.take(Duration::MAX).iter().map(|w| w.packed[0]).collect()
    }

    #[test]
    fn those_meant_for_one_ledger_go_together_in_their_order() {
        let (way, old, new): (_, Arc<str>, Arc<str>) = (quick(), "old".into(), "new".into());
        let set_out: Vec<bool> = [(&old, 1), (&old, 2), (&new, 3)].map(|(e, n)| push(&way, e, n)).into();
        assert_eq!(set_out, [true, true, false], "two are on their way at once");
        assert_eq!((taken(&way), taken(&way)), (vec![1, 2], vec![3]));
        assert_eq!((taken(&way), taken(&way)), (vec![], vec![]), "both runs are over");
        assert!(push(&way, &new, 4), "and a new one sets out");
    }

    #[test]
    fn one_run_takes_no_more_than_holds_up_no_server() {
        let (way, epoch): (_, Arc<str>) = (quick(), "e".into());
        assert_eq!((0..100).filter(|n| push(&way, &epoch, *n)).count(), RUNS);
        assert_eq!((taken(&way).len(), taken(&way).len()), (AT_ONCE, 100 - AT_ONCE));
    }

    #[test]
    fn where_answers_take_long_nobody_waits_for_them() {
        let (way, epoch): (_, Arc<str>) = (Together::paced(Duration::ZERO), "e".into());
        assert_eq!((0..100).filter(|n| push(&way, &epoch, *n)).count(), MOST_RUNS);
        assert_eq!(way.take_again(Duration::MAX).len(), AT_ONCE);
    }

    #[test]
    fn a_run_that_is_back_leaves_the_rest_to_two_others() {
        let (way, epoch): (_, Arc<str>) = (Together::paced(Duration::ZERO), "e".into());
        assert_eq!((0..3).filter(|n| push(&way, &epoch, *n)).count(), 3);
        way.0.lock().pace = Duration::MAX;
        assert!(way.take_again(Duration::MAX).is_empty(), "two others are on their way");
        assert_eq!(way.take_again(Duration::MAX).len(), 3);
    }

    #[test]
    fn whoever_waited_too_long_was_never_asked() {
        let (way, epoch): (_, Arc<str>) = (quick(), "e".into());
        let (answer, mut heard) = oneshot::channel();
        way.push(Waiting { epoch, since: Instant::now(), packed: vec![1], answer });
        assert!(way.take(Duration::ZERO).is_empty(), "nobody goes");
        let refused = heard.try_recv().expect("it is told").expect_err("it was refused");
        assert!(!refused.may_have_run);
    }

    #[test]
    fn nobody_is_left_to_a_run_that_broke_off() {
        let (way, epoch): (_, Arc<str>) = (quick(), "e".into());
        let (answer, mut heard) = oneshot::channel();
        way.push(Waiting { epoch: epoch.clone(), since: Instant::now(), packed: vec![1], answer });
        way.broken_off();
        assert!(heard.try_recv().expect("it is told").is_err());
        assert!(push(&way, &epoch, 2), "who comes later sets out");
    }
}
