//! A seeded simulation: every operation mixed with every other, judged by a naive shadow that recomputes all sums from the
//! calls. A failing seed is printed; `BURSAR_SEED=n cargo test simulation` runs that one alone.

mod admission;
mod ends;
mod shadow;
mod world;

use self::world::World;

/// Seeds of a normal test run, and steps of each.
const SEEDS: u64 = 2000;
const STEPS: u32 = 40;

#[test]
fn the_book_agrees_with_its_shadow() {
    if let Some(seed) = std::env::var("BURSAR_SEED").ok().and_then(|s| s.parse::<u64>().ok()) {
        return World::new(seed, true).run(STEPS);
    }
    std::thread::scope(|s| {
        let halves = [0..SEEDS / 2, SEEDS / 2..SEEDS].map(|seeds| s.spawn(|| run(seeds)));
        assert!(halves.map(|h| h.join()).iter().all(Result::is_ok), "a seed failed");
    });
}

fn run(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let run = std::panic::catch_unwind(|| World::new(seed, false).run(STEPS));
        assert!(run.is_ok(), "seed {seed} failed: BURSAR_SEED={seed} cargo test simulation");
    }
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
