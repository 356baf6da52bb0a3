//! Calls that come while others are on their way to Redis go together: one run of the script decides them one after the other,
//! and each has its own answer. One that comes alone goes alone, and nobody waits for company. Knows no ask: it carries packed
//! ones to one script.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use redis::Value;
use tokio::sync::oneshot;

use super::{Inner, answer, recover};
use crate::adapters::ledger::LedgerError;

/// Runs that are on their way at once: while one is decided, the next is written and the last is read.
const RUNS: usize = 2;
/// Calls of one run: it must not hold up the server for long.
const AT_ONCE: usize = 64;

type Answer = Result<Vec<String>, LedgerError>;

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
    packed: Vec<u8>,
    answer: oneshot::Sender<Answer>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    runs: usize,
}

#[derive(Default)]
pub struct Together(Mutex<Queue>);

impl Together {
    /// Says whether somebody must set out.
    fn push(&self, new: Waiting) -> bool {
        let mut queue = self.0.lock();
        queue.waiting.push_back(new);
        let idle = queue.runs < RUNS;
        queue.runs += usize::from(idle);
        idle
    }

    /// Those that go together now. None: nobody is left, and this run is over.
    fn take(&self) -> Vec<Waiting> {
        let mut queue = self.0.lock();
        let mut some: Vec<Waiting> = Vec::new();
        while some.len() < AT_ONCE
            && let Some(next) = queue.waiting.front()
            && some.first().is_none_or(|first| first.epoch == next.epoch)
        {
            some.extend(queue.waiting.pop_front());
        }
        queue.runs -= usize::from(some.is_empty());
        some
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
            self.inner.errands(self.errand).0.lock().runs -= 1;
        }
    }
}

impl Run {
    async fn set_out(mut self) {
        loop {
            let some = self.inner.errands(self.errand).take();
            let Some(first) = some.first() else { break };
            let packed: Vec<&[u8]> = some.iter().map(|w| &*w.packed).collect();
            let answers = self.inner.run(self.errand, &first.epoch, &packed).await;
            tell(some, answers);
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
            return answers.into_iter().next().unwrap_or_else(|| Err(answer::unreadable()));
        }
        let (sender, receiver) = oneshot::channel();
        let waiting = Waiting { epoch, packed, answer: sender };
        if self.errands(errand).push(waiting)
            && let Some(own) = self.own.upgrade()
        {
            tokio::spawn(Run { inner: own, errand, counted: true }.set_out());
        }
        receiver.await.unwrap_or_else(|_| Err(LedgerError::Down("the way to redis has ended".to_owned())))
    }

    fn errands(&self, errand: Errand) -> &Together {
        match errand {
            Errand::Reserve => &self.reserves,
            Errand::Settle => &self.settles,
        }
    }

    async fn run(&self, errand: Errand, epoch: &str, packed: &[&[u8]]) -> Result<Vec<Answer>, LedgerError> {
        let script = match errand {
            Errand::Reserve => &self.scripts.reserve,
            Errand::Settle => &self.scripts.settle,
        };
        let mut call = self.prepare_for(script, epoch);
        for one in packed {
            call.arg(*one);
        }
        self.may_ask().await?;
        let (value, lacking) = match errand {
            Errand::Reserve => {
                let kept = self.link.run_kept(&call).await?;
                (kept.value, kept.lacking)
            }
            Errand::Settle => (self.link.run(&call).await?, None),
        };
        let answers = self.guarded_each(value)?;
        match lacking {
            // It was done all the same, and whoever asked takes it back.
            Some(why) => Err(LedgerError::Down(why)),
            None => Ok(answers),
        }
    }

    /// One answer for each call; or one for all, if the script did nothing.
    fn guarded_each(&self, value: Value) -> Result<Vec<Answer>, LedgerError> {
        match value {
            Value::Array(each) if matches!(each.first(), Some(Value::Array(_))) => {
                Ok(each.into_iter().map(|one| self.guarded(one)).collect())
            }
            all => self.guarded(all).and(Err(answer::unreadable())),
        }
    }
}

fn tell(some: Vec<Waiting>, answers: Result<Vec<Answer>, LedgerError>) {
    let (failed, mut answers) = match answers {
        Ok(answers) => (answer::unreadable(), answers.into_iter()),
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

    fn push(way: &Together, epoch: &Arc<str>, packed: u8) -> bool {
        way.push(Waiting { epoch: epoch.clone(), packed: vec![packed], answer: oneshot::channel().0 })
    }

    fn taken(way: &Together) -> Vec<u8> {
        way.take().iter().map(|w| w.packed[0]).collect()
    }

    #[test]
    fn those_meant_for_one_ledger_go_together_in_their_order() {
        let (way, old, new): (_, Arc<str>, Arc<str>) = (Together::default(), "old".into(), "new".into());
        let set_out: Vec<bool> = [(&old, 1), (&old, 2), (&new, 3)].map(|(e, n)| push(&way, e, n)).into();
        assert_eq!(set_out, [true, true, false], "two are on their way at once");
        assert_eq!((taken(&way), taken(&way)), (vec![1, 2], vec![3]));
        assert_eq!((taken(&way), taken(&way)), (vec![], vec![]), "both runs are over");
        assert!(push(&way, &new, 4), "and a new one sets out");
    }

    #[test]
    fn one_run_takes_no_more_than_holds_up_no_server() {
        let (way, epoch): (_, Arc<str>) = (Together::default(), "e".into());
        assert_eq!((0..100).filter(|n| push(&way, &epoch, *n)).count(), RUNS);
        assert_eq!((taken(&way).len(), taken(&way).len()), (AT_ONCE, 100 - AT_ONCE));
    }
}
