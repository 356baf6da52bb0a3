//! How many tokens a text can be at most for OpenAI's published tokenizers (`o200k`, `cl100k`), from a look at its bytes: no
//! tokenizer is loaded, and a kilobyte takes about ten microseconds. Counts nothing exactly; `count` does, where this says too much.
//!
//! Why it is a bound. Those tokenizers cut a text into pieces by a pattern, and join bytes within a piece as long as two
//! neighbours are a token together. So (1) a piece that is a token itself is one: common words with their space, up to three
//! digits, an indent; and (2) no two letters of a piece end as two tokens of one byte if both together are a token, as nearly
//! all pairs are. Where a piece may end, nothing is taken for granted. Tests compare words and pairs with both vocabularies.

use std::collections::HashSet;
use std::sync::LazyLock;

/// Words that are one token behind a space, in both vocabularies: the 8,000 that come first there.
const WORDS: &str = include_str!("words.txt");
/// No word there is longer.
const LONGEST_WORD: usize = 20;
/// Pairs of small letters that are no token in one of them.
pub(super) const APART: &str = "bq fj fz gj gk gq hj jg jv jw jx jy jz kq kx kz lq mz nq oq qf qg qj qk qo qv qy qz rj tj tq uq vq vz \
                     wq wv wz xg xh xj xk xq xu xv xw yf yj yq yv zg zj zq zr zv";
/// So much of an ordinary text is known at least: one byte of eight.
const ORDINARY: usize = 8;
/// So many spaces are one token.
pub(super) const LONGEST_INDENT: usize = 79;

struct Known {
    words: HashSet<&'static [u8]>,
    /// By first and second letter: are both one token?
    pairs: [[bool; 26]; 26],
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let mut pairs = [[true; 26]; 26];
    for pair in APART.split_ascii_whitespace() {
        let [first, second] = [0, 1].map(|at| usize::from(pair.as_bytes()[at] - b'a'));
        pairs[first][second] = false;
    }
    Known { words: words().map(str::as_bytes).collect(), pairs }
});

pub(super) fn words() -> impl Iterator<Item = &'static str> {
    WORDS.split_ascii_whitespace()
}

/// The most tokens so far, by what the last byte is: a token of its own, the end of a longer one, or the beginning of a longer
/// one that must go on.
#[derive(Clone, Copy)]
struct Most {
    alone: Option<u64>,
    ended: Option<u64>,
    begun: Option<u64>,
}

impl Most {
    /// A piece begins here.
    const fn after(count: u64) -> Self {
        Self { alone: None, ended: Some(count), begun: None }
    }

    /// At the end of a piece.
    fn whole(self) -> u64 {
        self.alone.max(self.ended).unwrap_or(0)
    }

    /// One byte more. `joined`: it and the byte before are a token, and of one piece.
    fn with(self, joined: bool) -> Self {
        let free = if joined { self.ended } else { self.alone.max(self.ended) };
        Self {
            alone: free.map(|count| count + 1),
            ended: self.longer(),
            begun: self.alone.max(self.ended).map(|count| count + 1),
        }
    }

    /// A longer token goes on. What stands before a piece is no token that could.
    fn longer(self) -> Option<u64> {
        let inside = self.ended.filter(|_| self.alone.is_some() || self.begun.is_some());
        inside.max(self.begun)
    }
}

/// The most tokens that a text can be. One with hardly a known word is no ordinary text, and stays at its bytes.
pub(super) fn most(text: &str) -> u64 {
    let text = Text(text.as_bytes());
    let (mut sum, mut at, mut known) = (Most::after(0), 0, 0);
    while at < text.0.len() {
        if let Some((bytes, tokens)) = text.piece(at) {
            sum = Most::after(sum.whole() + tokens);
            at += bytes;
            known += bytes;
            continue;
        }
        if text.begins(at) {
            sum = Most::after(sum.whole());
        }
        sum = sum.with(text.joined(at));
        at += 1;
    }
    let bytes = text.0.len();
    if known < bytes / ORDINARY { bytes as u64 } else { sum.whole() }
}

struct Text<'t>(&'t [u8]);

impl Text<'_> {
    fn get(&self, at: usize) -> Option<u8> {
        self.0.get(at).copied()
    }

    fn before(&self, at: usize) -> Option<u8> {
        self.get(at.checked_sub(1)?)
    }

    /// Bytes and tokens of pieces that begin here and whose tokens are known.
    fn piece(&self, at: usize) -> Option<(usize, u64)> {
        match self.0[at] {
            b' ' => self.word(at).or_else(|| self.indent(at)),
            b'0'..=b'9' => self.digits(at),
            _ => None,
        }
    }

    /// A space and a word, unless letters or what belongs to them may follow.
    fn word(&self, at: usize) -> Option<(usize, u64)> {
        let behind = self.0.get(at + 1..(at + 2 + LONGEST_WORD).min(self.0.len()))?;
        let letters = behind.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let ends = self.get(at + 1 + letters).is_none_or(|next| next.is_ascii() && next != b'\'');
        (letters > 0 && ends && KNOWN.words.contains(&behind[..letters])).then_some((1 + letters, 1))
    }

    /// All spaces but the last, which goes with what follows.
    fn indent(&self, at: usize) -> Option<(usize, u64)> {
        let begins = self.before(at).is_none_or(|before| before.is_ascii_graphic() || before == b'\n');
        if !begins {
            return None;
        }
        let near = self.0[at..].iter().take(LONGEST_INDENT + 2);
        let spaces = near.take_while(|byte| **byte == b' ').count() - 1;
        let follows = self.get(at + spaces + 1).is_some_and(|next| next.is_ascii_graphic());
        ((1..=LONGEST_INDENT).contains(&spaces) && follows).then_some((spaces, 1))
    }

    /// Three by three, unless other digits than these stand beside them.
    fn digits(&self, at: usize) -> Option<(usize, u64)> {
        let ascii = |byte: Option<u8>| byte.is_none_or(|byte| byte.is_ascii() && !byte.is_ascii_digit());
        if !ascii(self.before(at)) {
            return None;
        }
        let digits = self.0[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        ascii(self.get(at + digits)).then_some((digits, digits.div_ceil(3) as u64))
    }

    /// Does a piece begin here for certain: a space before a letter, or what follows a small letter and is none?
    fn begins(&self, at: usize) -> bool {
        let spaced = self.0[at] == b' ' && self.get(at + 1).is_some_and(|next| next.is_ascii_alphabetic());
        let ended = self.before(at).is_some_and(|before| before.is_ascii_lowercase());
        let other = self.0[at].is_ascii() && !self.0[at].is_ascii_alphabetic() && self.0[at] != b'\'';
        spaced || (ended && other)
    }

    /// Are this byte and the one before of one piece, and a token together? Behind an apostrophe a piece may end after one letter
    /// or two: `'s`, `'re`.
    fn joined(&self, at: usize) -> bool {
        let Some(before) = self.before(at) else { return false };
        let this = self.0[at];
        if before == b' ' {
            return this.is_ascii_alphabetic();
        }
        let quoted = [2, 3].into_iter().any(|back| at.checked_sub(back).is_some_and(|at| self.0[at] == b'\''));
        let small = before.is_ascii_lowercase() && this.is_ascii_lowercase();
        small && !quoted && KNOWN.pairs[usize::from(before - b'a')][usize::from(this - b'a')]
    }
}
