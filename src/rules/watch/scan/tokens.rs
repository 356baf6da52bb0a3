//! Words without blanks and quotes, and what their forms say. A word may be as long as a picture in base64: of such a one so much
//! is kept as any form needs.

use super::finds::{Find, Finds};
use super::formats;

/// A form is told by so many bytes.
const ENOUGH: usize = 512;
const MOST: usize = 4 * ENOUGH;

/// The word that is being read.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    word: Vec<u8>,
    /// The byte before the first that is kept.
    before: u8,
    /// Up to here it is part of something that was found.
    found: usize,
}

fn is_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/' | b'+' | b'=' | b'@')
}

impl Tokens {
    pub fn push(&mut self, byte: u8, finds: &mut Finds) {
        if is_part(byte) {
            self.word.push(byte);
            if self.word.len() >= MOST {
                self.read(MOST - ENOUGH, finds);
            }
        } else if !self.word.is_empty() {
            self.read(self.word.len(), finds);
            self.before = 0;
        }
    }

    /// Looks at what begins before `until`, and forgets it.
    fn read(&mut self, until: usize, finds: &mut Finds) {
        let mut at = self.found;
        while at < until {
            at += match self.at(at) {
                Some((kind, length)) => {
                    finds.add(kind);
                    length.max(1)
                }
                None => 1,
            };
        }
        self.found = at.saturating_sub(until);
        self.before = self.word.get(until - 1).copied().unwrap_or_default();
        self.word.drain(..until);
        if self.word.is_empty() {
            self.found = 0;
        }
    }

    fn at(&self, at: usize) -> Option<(Find, usize)> {
        let rest = self.word.get(at..)?;
        if rest.get(1) == Some(&b'@') {
            return formats::address(rest).map(|length| (Find::Email, length));
        }
        let before = at.checked_sub(1).map_or(self.before, |before| self.word[before]);
        if before.is_ascii_alphanumeric() { None } else { formats::at(rest) }
    }
}

#[cfg(test)]
impl Tokens {
    pub fn kept(&self) -> usize {
        self.word.len()
    }
}
