//! What one answer used, counted by what each unit is charged as: tokens above all, and characters, time, pages, images,
//! requests. The kinds do not overlap: an adapter takes a vendor's sums apart before it counts here. Does not know rates;
//! `row` does.

use std::sync::LazyLock;

use crate::rules::books::TokenCounts;
use crate::rules::subject::Name;

/// How a kind is counted, and what its rate is a price of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Tokens; rates are written per million.
    Tokens,
    /// Characters; rates are written per million.
    Characters,
    /// Counted in milliseconds; rates are written per second, minute or hour.
    Time,
    /// Whole things; rates are written for one.
    Each,
}

/// Does a kind come from the caller, or from the model?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Prompt,
    /// Of the prompt, and read from the vendor's cache.
    Cached,
    Answer,
    Neither,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal: $measure:ident, $side:ident $(, else $instead:ident)?;)*) => {
        /// What a unit is charged as.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Kind { $($(#[$doc])* $kind,)* }

        /// How many kinds there are.
        pub(super) const KINDS: usize = [$(Kind::$kind),*].len();

        impl Kind {
            /// All of them, in the order of their counters.
            pub const ALL: [Self; KINDS] = [$(Self::$kind),*];

            /// As price files and the books spell it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            pub fn measure(self) -> Measure {
                match self { $(Self::$kind => Measure::$measure,)* }
            }

            fn side(self) -> Side {
                match self { $(Self::$kind => Side::$side,)* }
            }

            /// Where a model has no rate of its own for this kind: what it is charged as instead.
            pub(super) fn instead(self) -> Option<Self> {
                match self { $($(Self::$kind => Some(Self::$instead),)?)* _ => None }
            }
        }
    };
}

kinds! {
    Input = "input": Tokens, Prompt;
    CacheRead = "cache_read": Tokens, Cached, else Input;
    /// Written to the vendor's cache for its usual time (Anthropic 5 minutes, OpenAI 30). Where a vendor lists no price for
    /// it, it is input like any other.
    CacheWrite = "cache_write": Tokens, Prompt, else Input;
    /// Written for the longer time (Anthropic 1 hour, OpenAI 12).
    CacheWriteLong = "cache_write_long": Tokens, Prompt;
    Output = "output": Tokens, Answer;
    /// Counted here only where the vendor reports it beside the output; charged as output unless priced apart.
    Reasoning = "reasoning": Tokens, Answer, else Output;
    AudioInput = "audio_input": Tokens, Prompt;
    AudioCached = "audio_cached": Tokens, Cached, else AudioInput;
    AudioOutput = "audio_output": Tokens, Answer;
    ImageInput = "image_input": Tokens, Prompt, else Input;
    ImageCached = "image_cached": Tokens, Cached, else CacheRead;
    ImageOutput = "image_output": Tokens, Answer;
    VideoInput = "video_input": Tokens, Prompt, else Input;
    VideoCached = "video_cached": Tokens, Cached, else CacheRead;
    VideoOutput = "video_output": Tokens, Answer;
    /// Tokens of sources that an answer cites (Perplexity).
    Citation = "citation": Tokens, Prompt;
    /// Text that is to be spoken.
    CharactersIn = "characters_in": Characters, Neither;
    CharactersOut = "characters_out": Characters, Neither;
    AudioTimeIn = "audio_time_in": Time, Neither;
    AudioTimeOut = "audio_time_out": Time, Neither;
    VideoTimeIn = "video_time_in": Time, Neither;
    VideoTimeOut = "video_time_out": Time, Neither;
    /// A session, a container or a machine for as long as it runs.
    SessionTime = "session_time": Time, Neither;
    Requests = "requests": Each, Neither;
    ImagesIn = "images_in": Each, Neither;
    /// Made images at a flat price. Where size and quality decide: a fee named `image.QUALITY.WIDTHxHEIGHT`.
    ImagesOut = "images_out": Each, Neither;
    Pages = "pages": Each, Neither;
    /// Rerank and the like (Cohere).
    SearchUnits = "search_units": Each, Neither;
}

/// Their names, made once: every row of the books bears several.
static NAMES: LazyLock<[Name; KINDS]> = LazyLock::new(|| Kind::ALL.map(|kind| kind.name().into()));

impl Kind {
    /// Its name for a row of the books.
    pub fn in_books(self) -> Name {
        NAMES[self as usize].clone()
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub fn is_output(self) -> bool {
        self.side() == Side::Answer
    }

    fn is_cached(self) -> bool {
        self.side() == Side::Cached
    }

    fn is_prompt(self) -> bool {
        matches!(self.side(), Side::Prompt | Side::Cached)
    }
}

/// Counts by kind: the usage vector of one run of one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tokens([u64; KINDS]);

impl Default for Tokens {
    fn default() -> Self {
        Self([0; KINDS])
    }
}

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
        self.sum(Kind::is_prompt)
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
