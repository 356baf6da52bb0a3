//! How many tokens a text can be at most for OpenAI's published tokenizers (`o200k`, `cl100k`), from a look at its bytes: no
//! tokenizer is loaded, and a kilobyte takes a few microseconds. Counts nothing exactly; `count` does, where this says too much.
//!
//! Why it is a bound. Those tokenizers cut a text into pieces by a pattern, and join bytes within a piece as long as two
//! neighbours are a token together. So (1) a piece that is a token itself is one: common words with their space, up to three
//! digits, an indent; and (2) no two letters of a piece end as two tokens of one byte if both together are a token, as nearly
//! all pairs are. Where a piece may end, nothing is taken for granted. Tests compare words and pairs with both vocabularies.

use std::collections::HashSet;
use std::sync::LazyLock;

use crate::units::table::Hashing;

/// Words that are one token behind a space, in both vocabularies: the 8,000 that come first there.
const WORDS: &str = include_str!("words.txt");
/// No word there is longer, so that each fits into one number.
const LONGEST_WORD: usize = 16;
/// Pairs of small letters that are no token in one of them.
pub(super) const APART: &str = "bq fj fz gj gk gq hj jg jv jw jx jy jz kq kx kz lq mz nq oq qf qg qj qk qo qv qy qz rj tj tq uq vq vz \
                     wq wv wz xg xh xj xk xq xu xv xw yf yj yq yv zg zj zq zr zv";
/// So much of an ordinary text is known at least: one byte of eight.
const ORDINARY: usize = 8;
/// So many spaces are one token.
pub(super) const LONGEST_INDENT: usize = 79;

struct Known {
    /// Their letters, one behind the other.
    words: HashSet<u128, Hashing>,
    /// By first and second letter: are both one token?
    pairs: [[bool; 26]; 26],
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let mut pairs = [[true; 26]; 26];
    for pair in APART.split_ascii_whitespace() {
        let [first, second] = [0, 1].map(|at| usize::from(pair.as_bytes()[at] - b'a'));
        pairs[first][second] = false;
    }
    Known { words: words().map(|word| word.bytes().fold(0, with_letter)).collect(), pairs }
});

fn with_letter(word: u128, letter: u8) -> u128 {
    word << 8 | u128::from(letter)
}

pub(super) fn words() -> impl Iterator<Item = &'static str> {
    WORDS.split_ascii_whitespace()
}

/// The most tokens so far, by what the last byte is: a token of its own, the end of a longer one, or the beginning of a longer
/// one that must go on. Below zero: that cannot be. Plain numbers, as this is done for every byte.
#[derive(Clone, Copy)]
struct Most {
    alone: i64,
    ended: i64,
    begun: i64,
}

/// Also with one added for every byte of the longest text.
const NEVER: i64 = i64::MIN / 2;

impl Most {
    /// A piece begins here.
    const fn after(count: i64) -> Self {
        Self { alone: NEVER, ended: count, begun: NEVER }
    }

    /// At the end of a piece.
    fn whole(self) -> i64 {
        self.alone.max(self.ended).max(0)
    }

    /// One byte more. `joined`: it and the byte before are a token, and of one piece.
    fn with(self, joined: bool) -> Self {
        let any = self.alone.max(self.ended);
        let free = if joined { self.ended } else { any };
        Self { alone: free + 1, ended: self.longer(), begun: any + 1 }
    }

    /// A longer token goes on. What stands before a piece is no token that could.
    fn longer(self) -> i64 {
        let inside = if self.alone.max(self.begun) >= 0 { self.ended } else { NEVER };
        inside.max(self.begun)
    }
}

/// The most tokens that a text can be. One with hardly a known word is no ordinary text, and stays at its bytes.
pub(super) fn most(text: &str) -> u64 {
    let text = Text { bytes: text.as_bytes(), known: &KNOWN };
    let bytes = text.bytes.len();
    let (mut sum, mut at, mut known) = (Most::after(0), 0, 0);
    while at < bytes {
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
    if known < bytes / ORDINARY { bytes as u64 } else { sum.whole().unsigned_abs() }
}

struct Text<'t> {
    bytes: &'t [u8],
    known: &'t Known,
}

impl Text<'_> {
    fn get(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    fn before(&self, at: usize) -> Option<u8> {
        self.get(at.checked_sub(1)?)
    }

    /// Bytes and tokens of pieces that begin here and whose tokens are known.
    fn piece(&self, at: usize) -> Option<(usize, i64)> {
        match self.bytes[at] {
            b' ' => self.word(at).or_else(|| self.indent(at)),
            b'0'..=b'9' => self.digits(at),
            _ => None,
        }
    }

    /// A space and a word, unless letters or what belongs to them may follow.
    fn word(&self, at: usize) -> Option<(usize, i64)> {
        let (mut word, mut letters) = (0, 0);
        for letter in self.bytes[at + 1..].iter().take_while(|byte| byte.is_ascii_alphabetic()) {
            if letters == LONGEST_WORD {
                return None;
            }
            word = with_letter(word, *letter);
            letters += 1;
        }
        let ends = self.get(at + 1 + letters).is_none_or(|next| next.is_ascii() && next != b'\'');
        (letters > 0 && ends && self.known.words.contains(&word)).then_some((1 + letters, 1))
    }

    /// All spaces but the last, which goes with what follows.
    fn indent(&self, at: usize) -> Option<(usize, i64)> {
        let begins = self.before(at).is_none_or(|before| before.is_ascii_graphic() || before == b'\n');
        if !begins {
            return None;
        }
        let near = self.bytes[at..].iter().take(LONGEST_INDENT + 2);
        let spaces = near.take_while(|byte| **byte == b' ').count() - 1;
        let follows = self.get(at + spaces + 1).is_some_and(|next| next.is_ascii_graphic());
        ((1..=LONGEST_INDENT).contains(&spaces) && follows).then_some((spaces, 1))
    }

    /// Three by three, unless other digits than these stand beside them.
    fn digits(&self, at: usize) -> Option<(usize, i64)> {
        let ascii = |byte: Option<u8>| byte.is_none_or(|byte| byte.is_ascii() && !byte.is_ascii_digit());
        if !ascii(self.before(at)) {
            return None;
        }
        let digits = self.bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        ascii(self.get(at + digits)).then_some((digits, digits.div_ceil(3) as i64))
    }

    /// Does a piece begin here for certain: a space before a letter, or what follows a small letter and is none?
    fn begins(&self, at: usize) -> bool {
        let spaced = self.bytes[at] == b' ' && self.get(at + 1).is_some_and(|next| next.is_ascii_alphabetic());
        let ended = self.before(at).is_some_and(|before| before.is_ascii_lowercase());
        let other = self.bytes[at].is_ascii() && !self.bytes[at].is_ascii_alphabetic() && self.bytes[at] != b'\'';
        spaced || (ended && other)
    }

    /// Are this byte and the one before of one piece, and a token together? Behind an apostrophe a piece may end after one letter
    /// or two: `'s`, `'re`.
    fn joined(&self, at: usize) -> bool {
        let Some(before) = self.before(at) else { return false };
        let this = self.bytes[at];
        if before == b' ' {
            return this.is_ascii_alphabetic();
        }
        let quoted = [2, 3].into_iter().any(|back| at.checked_sub(back).is_some_and(|at| self.bytes[at] == b'\''));
        let small = before.is_ascii_lowercase() && this.is_ascii_lowercase();
        small && !quoted && self.known.pairs[usize::from(before - b'a')][usize::from(this - b'a')]
    }
}
