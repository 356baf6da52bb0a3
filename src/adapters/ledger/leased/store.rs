//! What serving needs beside the operations is Redis's in all: what a node does alone is in the stream once it is told.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::watch;

use super::Leased;
use crate::adapters::audit::tail::Feed;
use crate::adapters::ledger::journal::Record;
use crate::adapters::ledger::{Answer, Store};
use crate::rules::subject::Flag;
use crate::units::ids::Seq;

impl Store for Leased {
    fn durable(&self) -> watch::Receiver<Seq> {
        self.0.redis.durable()
    }

    fn flags(&self) -> Answer<'_, Vec<Flag>> {
        self.0.redis.flags()
    }

    fn expire(&self) -> Answer<'_, usize> {
        self.0.redis.expire()
    }

    fn bound_backlog(&self, entries: u64) {
        self.0.backlog.store(usize::try_from(entries).unwrap_or(usize::MAX), Ordering::Relaxed);
        self.0.redis.bound_backlog(entries);
    }
}

impl Feed for Leased {
    fn read_from(&self, seq: Seq, max: usize) -> Result<Vec<Arc<Record>>, String> {
        self.0.redis.read_from(seq, max)
    }

    fn end(&self) -> Result<Option<Seq>, String> {
        self.0.redis.end()
    }

    fn applied_up_to(&self, seq: Seq) {
        self.0.redis.applied_up_to(seq);
    }

    fn safe_up_to(&self, seq: Seq) {
        self.0.redis.safe_up_to(seq);
    }

    fn went_back_to(&self, seq: Seq) {
        self.0.redis.went_back_to(seq);
    }
}
