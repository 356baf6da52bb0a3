//! The writer thread: writes what is queued in order. With `Durability::Power` that is everything, in groups; with
//! `Durability::Process` only what the disk refused at first.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::record::Record;
use super::{Core, Durability};

/// How long to wait after a failure: twice as long each time.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// Entries and bytes of one group at most, so that a frame stays well below its limit.
const GROUP: usize = 4096;
const GROUP_BYTES: usize = 8 << 20;

impl Core {
    pub(super) fn run(&self) {
        let mut wait = FIRST_WAIT;
        while let Some(group) = self.next_group() {
            match self.write_group(&group) {
                Ok(()) => {
                    wait = FIRST_WAIT;
                    self.done(&group);
                }
                Err(e) => {
                    self.fail(&e);
                    if self.rest(wait) {
                        return tracing::error!(
                            "the journal closes with {} entries unwritten",
                            self.inner.lock().queue.len()
                        );
                    }
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
    }

    /// What to write next; empty to see whether trouble is over; `None` at the end.
    fn next_group(&self) -> Option<Vec<Arc<Record>>> {
        let mut inner = self.inner.lock();
        while inner.queue.is_empty() {
            if self.trouble.borrow().is_some() {
                return Some(Vec::new());
            }
            if inner.closing {
                return None;
            }
            self.work.wait(&mut inner);
        }
        let mut bytes = 0;
        let fits = |r: &&Arc<Record>| {
            bytes += r.json().len();
            bytes <= GROUP_BYTES
        };
        let rest = inner.queue.iter().skip(1).take(GROUP - 1).take_while(fits);
        Some(inner.queue.front().into_iter().chain(rest).cloned().collect())
    }

    fn write_group(&self, group: &[Arc<Record>]) -> io::Result<()> {
        let mut active = self.active.lock();
        if group.is_empty() {
            return active.probe();
        }
        if self.durability == Durability::Process {
            return active.write(group);
        }
        active.write_and_flush(group)
    }

    fn done(&self, group: &[Arc<Record>]) {
        let mut inner = self.inner.lock();
        inner.queue.drain(..group.len());
        self.written(group);
        if self.trouble.borrow().is_some() {
            tracing::info!("the journal can be written again");
            self.trouble.send_replace(None);
        }
    }

    /// Waits before a retry. Says whether the journal is to be closed instead.
    fn rest(&self, wait: Duration) -> bool {
        let mut inner = self.inner.lock();
        if !inner.closing {
            let end = std::time::Instant::now() + wait;
            while !inner.closing && !self.work.wait_until(&mut inner, end).timed_out() {}
        }
        inner.closing
    }
}
