//! A moment of this machine's own clock that nobody sets, and that goes on while the machine is suspended: a node that wakes
//! must not believe that its right began a moment ago. (`Instant` stands still meanwhile.) Knows nothing of the server's time.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Duration);

impl Moment {
    pub fn now() -> Self {
        let at = clock_gettime(ClockId::Boottime);
        // Since the start of the machine: never negative.
        let secs = u64::try_from(at.tv_sec).unwrap_or(0);
        Self(Duration::new(secs, u32::try_from(at.tv_nsec).unwrap_or(0)))
    }

    pub fn elapsed(self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on() {
        let then = Moment::now();
        std::thread::sleep(Duration::from_millis(2));
        assert!(then.elapsed() >= Duration::from_millis(2) && Moment::now() > then);
    }
}
