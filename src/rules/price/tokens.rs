//! What one answer used, counted by what each token is charged as. The kinds do not overlap: an adapter takes a vendor's
//! sums apart before it counts here. Does not know rates; `row` does.

use crate::rules::books::TokenCounts;

/// What a token is charged as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Input,
    CacheRead,
    /// Written to the vendor's cache for its usual time (Anthropic 5 minutes, OpenAI 30).
    CacheWrite,
    /// Written for the longer time (Anthropic 1 hour, OpenAI 12).
    CacheWriteLong,
    Output,
    AudioInput,
    AudioCached,
    AudioOutput,
    ImageInput,
    ImageCached,
    ImageOutput,
}

/// How many kinds there are.
pub(super) const KINDS: usize = 11;

impl Kind {
    /// All of them, in the order of their counters.
    pub const ALL: [Self; KINDS] = [
        Self::Input,
        Self::CacheRead,
        Self::CacheWrite,
        Self::CacheWriteLong,
        Self::Output,
        Self::AudioInput,
        Self::AudioCached,
        Self::AudioOutput,
        Self::ImageInput,
        Self::ImageCached,
        Self::ImageOutput,
    ];

    /// Where a model has no rate of its own for this kind: what it is charged as instead. Never something cheaper.
    pub(super) fn instead(self) -> Option<Self> {
        match self {
            Self::CacheRead | Self::ImageInput => Some(Self::Input),
            Self::ImageCached => Some(Self::CacheRead),
            Self::AudioCached => Some(Self::AudioInput),
            _ => None,
        }
    }

    pub fn is_output(self) -> bool {
        matches!(self, Self::Output | Self::AudioOutput | Self::ImageOutput)
    }

    fn is_cached(self) -> bool {
        matches!(self, Self::CacheRead | Self::AudioCached | Self::ImageCached)
    }
}

/// Tokens by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Tokens([u64; KINDS]);

impl Tokens {
    pub fn with(mut self, kind: Kind, count: u64) -> Self {
        self.0[kind as usize] = count;
        self
    }

    pub fn get(&self, kind: Kind) -> u64 {
        self.0[kind as usize]
    }

    /// All that were used at all.
    pub fn used(&self) -> impl Iterator<Item = (Kind, u64)> {
        Kind::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }

    fn sum(&self, which: impl Fn(Kind) -> bool) -> u64 {
        self.used().filter(|(kind, _)| which(*kind)).fold(0, |sum, (_, count)| sum.saturating_add(count))
    }

    /// The whole prompt, cached and cache-written tokens too: what context tiers are chosen by.
    pub fn prompt(&self) -> u64 {
        self.sum(|kind| !kind.is_output())
    }

    /// As a row of the books counts them.
    pub fn counts(&self, reasoning: u64) -> TokenCounts {
        let (input, output) = (self.prompt(), self.sum(Kind::is_output));
        TokenCounts { input, output, cached: self.sum(Kind::is_cached), reasoning }
    }

    /// Both together.
    pub fn plus(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at].saturating_add(other.0[at])))
    }
}
