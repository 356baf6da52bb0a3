//! The last refusal by a server that is there and answers: memory is out, replicas are missing. It says nothing about
//! calls that are not refused, so it is forgotten when none is.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Refusals come with calls; without calls for so long, nobody knows.
const RECENT: Duration = Duration::from_secs(2);

#[derive(Default)]
pub(super) struct Note(Mutex<Option<(Instant, String)>>);

impl Note {
    pub fn take(&self, why: &str) {
        *self.0.lock() = Some((Instant::now(), why.to_owned()));
    }

    pub fn recent(&self) -> Option<String> {
        self.0.lock().as_ref().filter(|(at, _)| at.elapsed() < RECENT).map(|(_, why)| why.clone())
    }
}
