//! Spend against its usual: a streaming estimator in integers.
//!
//! Time is cut into slots of one length, counted from 1970. The spend of a slot is what calls that ended in it were charged. The
//! usual is the mean over the slots in which something was spent: the k-th of them moves it by 1/k of the difference while k is
//! at most 8, and by 1/8 from then on (an exponentially weighted mean). It is kept in 1/65536 of a micro-cent and rounded
//! toward itself, so that spend which never changes is its own mean exactly.
//!
//! Slots without spend are no part of it: whoever rests for a night is not unusual in the morning. Nothing is too much before
//! `warm_up` slots are known, nor up to the `floor` in one slot. Beyond both, more than `times` the usual in one slot is. A slot
//! that was too much ends at once and moves the mean like any other, so that whoever is let go on begins with an empty one.

use std::time::Duration;

use crate::units::time::Timestamp;

/// How much more than usual is too much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pace {
    pub times: u64,
    pub slot: Duration,
    /// In micro-cents a slot.
    pub floor: u64,
    /// Slots with spend that must be known.
    pub warm_up: u32,
}

/// Weighs the last slots by 1/8.
const SMOOTH: i128 = 8;
const FRACTION_BITS: u32 = 16;

/// The spend of one key, run or agent.
#[derive(Clone, Debug, Default)]
pub struct Usual {
    /// Which slot is running.
    slot: i64,
    /// Spent in it, in micro-cents.
    now: u64,
    /// Slots with spend before it.
    known: u32,
    /// In 1/65536 of a micro-cent.
    mean: i128,
}

/// What was spent, and what is usual, in micro-cents a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unusual {
    pub spent: u64,
    pub usual: u64,
}

impl Usual {
    /// One more charge.
    pub fn spend(&mut self, pace: &Pace, micro_cents: u64, at: Timestamp) -> Option<Unusual> {
        let length = i64::try_from(pace.slot.as_micros()).unwrap_or(i64::MAX).max(1);
        let slot = at.0.div_euclid(length);
        // A clock that went back spends in the slot that runs.
        if slot > self.slot {
            self.close();
            self.slot = slot;
        }
        self.now = self.now.saturating_add(micro_cents);
        let (spent, usual) = (self.now, u64::try_from(self.mean >> FRACTION_BITS).unwrap_or(u64::MAX));
        let most = self.mean.saturating_mul(i128::from(pace.times));
        let too_much = self.known >= pace.warm_up && spent > pace.floor && exact(spent) > most;
        too_much.then(|| {
            self.close();
            Unusual { spent, usual }
        })
    }

    fn close(&mut self) {
        if self.now > 0 {
            self.known = self.known.saturating_add(1);
            let weight = i128::from(self.known).min(SMOOTH);
            self.mean += (exact(self.now) - self.mean) / weight;
            self.now = 0;
        }
    }
}

fn exact(micro_cents: u64) -> i128 {
    i128::from(micro_cents) << FRACTION_BITS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pace(times: u64) -> Pace {
        Pace { times, slot: Duration::from_secs(60), floor: 0, warm_up: 4 }
    }

    /// A moment in the n-th minute.
    fn at(minute: i64, second: i64) -> Timestamp {
        Timestamp(1_700_000_040_000_000).plus_secs(minute * 60 + second)
    }

    #[test]
    fn warm_up_floor_and_what_comes_after() {
        let mut usual = Usual::default();
        for minute in 0..4 {
            assert_eq!(usual.spend(&pace(3), 100, at(minute, 0)), None);
        }
        assert_eq!(usual.spend(&pace(3), 300, at(4, 0)), None, "three times is not more than that");
        assert_eq!(usual.spend(&Pace { floor: 400, ..pace(3) }, 1, at(4, 1)), None, "below the floor");
        assert_eq!(usual.spend(&pace(3), 1, at(4, 2)), Some(Unusual { spent: 302, usual: 100 }));
        assert_eq!(usual.spend(&pace(3), 302, at(4, 3)), None, "the slot has ended, and counts as one");
        let mut new = Usual::default();
        assert_eq!(new.spend(&pace(3), u64::MAX, at(0, 0)), None, "nobody knows what is usual");
    }

    proptest! {
        #[test]
        fn constant_spend_never_trips(
            amount in 1_u64..u64::MAX / 64, times in 2_u64..20, gaps in prop::collection::vec(1_i64..5000, 1..100), cut in 1_u64..20,
        ) {
            let (mut usual, mut minute) = (Usual::default(), 0);
            for gap in gaps {
                minute += gap;
                // In as many pieces as you like, with any rest between slots.
                for piece in 0..cut {
                    let part = amount / cut + u64::from(piece < amount % cut);
                    prop_assert_eq!(usual.spend(&pace(times), part, at(minute, i64::try_from(piece).unwrap_or(0))), None);
                }
            }
        }

        #[test]
        fn more_than_n_times_trips_within_its_slot(
            least in 1_000_u64..1_000_000, noise in prop::collection::vec(0_u64..1000, 4..60), times in 2_u64..20, rest in 1_i64..100_000,
        ) {
            // What is usual lies between `least` and twice that, so it never trips at twice, and always at 2 * times.
            let mut usual = Usual::default();
            for (minute, more) in noise.iter().enumerate() {
                let spend = least + least * more / 1000;
                prop_assert_eq!(usual.spend(&pace(2), spend, at(i64::try_from(minute).unwrap_or(0), 0)), None);
            }
            let burst = i64::try_from(noise.len()).unwrap_or(0) + rest;
            let piece = least / 10;
            let needed = 2 * least * times / piece + 2;
            let tripped = (0..needed).find_map(|_| usual.spend(&pace(times), piece, at(burst, 30)));
            let tripped = tripped.expect("it trips");
            prop_assert!(tripped.spent > times * least && tripped.spent <= times * 2 * least + piece);
            prop_assert!((least..=2 * least).contains(&tripped.usual));
        }
    }
}
