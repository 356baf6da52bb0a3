//! A seeded simulation: every operation mixed with every other, judged by a naive shadow that recomputes all sums from the
//! calls. A failing seed is printed; `BURSAR_SEED=n cargo test simulation` runs that one alone. Here it drives the book;
//! `adapters::ledger::redis` lets it drive nodes on a real Redis.

mod admission;
pub(crate) mod driven;
mod ends;
mod shadow;
pub(crate) mod world;

use std::panic::AssertUnwindSafe;

use self::driven::OneBook;
use self::world::World;

/// Seeds of a normal test run, and steps of each.
const SEEDS: u64 = 2000;
pub(crate) const STEPS: u32 = 40;

#[test]
fn the_book_agrees_with_its_shadow() {
    on_seeds("simulation", SEEDS, || (), |(), seed, loud| World::new(OneBook::new(), seed, loud).run(STEPS));
}

/// Runs so many seeds on two threads, each with a stage of its own; or the one that `BURSAR_SEED` names, aloud.
pub(crate) fn on_seeds<S>(test: &str, seeds: u64, stage: impl Fn() -> S + Sync, run: impl Fn(&S, u64, bool) + Sync) {
    let one = std::env::var("BURSAR_SEED").ok().and_then(|s| s.parse::<u64>().ok());
    let halves = one.map_or([0..seeds / 2, seeds / 2..seeds], |seed| [seed..seed + 1, 0..0]);
    let half = |seeds: std::ops::Range<u64>| {
        let stage = stage();
        for seed in seeds {
            let ran = std::panic::catch_unwind(AssertUnwindSafe(|| run(&stage, seed, one.is_some())));
            assert!(ran.is_ok(), "seed {seed} failed: BURSAR_SEED={seed} cargo test {test}");
        }
    };
    std::thread::scope(|s| {
        let runs: Vec<_> = halves.into_iter().filter(|h| !h.is_empty()).map(|h| s.spawn(|| half(h))).collect();
        assert!(runs.into_iter().map(|r| r.join()).all(|r| r.is_ok()), "a seed failed");
    });
}

/// Random numbers that a seed fixes (splitmix64).
pub(crate) struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    pub fn pick<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        if of.is_empty() { None } else { Some(of[self.roll(of.len() as u64) as usize].clone()) }
    }
}
