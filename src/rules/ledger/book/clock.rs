//! The book's time: the latest that an entry named, and where the running windows began. Never goes back.

use serde::{Deserialize, Serialize};

use crate::units::time::{Timestamp, Window};

/// Where each running window began. Reckoning a month takes long, so it is done once a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Starts {
    at: [Timestamp; Window::ALL.len()],
    until: Timestamp,
}

impl Starts {
    fn at(now: Timestamp) -> Self {
        let until = Window::Minute.end(now).unwrap_or(now);
        Self { at: Window::ALL.map(|w| w.start(now)), until }
    }

    pub(super) fn of(&self, window: Window) -> Timestamp {
        self.at[window as usize]
    }
}

/// Written as the time alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Timestamp", into = "Timestamp")]
pub(super) struct Clock {
    now: Timestamp,
    starts: Starts,
}

impl Clock {
    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    /// The windows that run at `at`, or at the book's own time if that is later.
    pub(super) fn starts(&self, at: Timestamp) -> Starts {
        let at = at.max(self.now);
        if at < self.starts.until { self.starts } else { Starts::at(at) }
    }

    pub(super) fn advance(&mut self, at: Timestamp) {
        self.starts = self.starts(at);
        self.now = self.now.max(at);
    }
}

impl Default for Clock {
    fn default() -> Self {
        Timestamp::default().into()
    }
}

impl From<Timestamp> for Clock {
    fn from(now: Timestamp) -> Self {
        Self { now, starts: Starts::at(now) }
    }
}

impl From<Clock> for Timestamp {
    fn from(clock: Clock) -> Self {
        clock.now
    }
}
