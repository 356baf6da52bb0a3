//! Counts of durations in fixed buckets, as `status` and the metrics page show them. No floating point, no lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

/// Upper bounds in milliseconds. What takes longer is counted beyond them.
pub const BOUNDS_MS: [u64; 12] = [5, 10, 25, 50, 75, 100, 150, 250, 500, 750, 1000, 2000];

#[derive(Default)]
pub struct Histogram {
    counts: [AtomicU64; BOUNDS_MS.len() + 1],
    sum_us: AtomicU64,
}

/// As it stands: `le_ms` and how many took at most so long, then all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Counted {
    pub buckets: Vec<Bucket>,
    pub count: u64,
    pub sum_us: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bucket {
    pub le_ms: u64,
    pub count: u64,
}

impl Histogram {
    pub fn add(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let at = BOUNDS_MS.iter().position(|ms| us <= ms * 1000).unwrap_or(BOUNDS_MS.len());
        // The array has one more than there are bounds.
        if let Some(count) = self.counts.get(at) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    pub fn counted(&self) -> Counted {
        let mut count = 0;
        let mut upto = |n: &AtomicU64| {
            count += n.load(Ordering::Relaxed);
            count
        };
        let each: Vec<u64> = self.counts.iter().map(&mut upto).collect();
        let buckets = BOUNDS_MS.iter().zip(&each).map(|(le_ms, count)| Bucket { le_ms: *le_ms, count: *count });
        Counted { buckets: buckets.collect(), count, sum_us: self.sum_us.load(Ordering::Relaxed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_counted_once_and_shown_cumulated() {
        let histogram = Histogram::default();
        for us in [0, 5_000, 5_001, 240_000, 3_000_000] {
            histogram.add(Duration::from_micros(us));
        }
        let counted = histogram.counted();
        let upto = |ms| counted.buckets.iter().find(|b| b.le_ms == ms).map(|b| b.count);
        assert_eq!(
            (upto(5), upto(10), upto(150), upto(250), upto(2000)),
            (Some(2), Some(3), Some(3), Some(4), Some(4))
        );
        assert_eq!((counted.count, counted.sum_us), (5, 3_250_001));
    }
}
