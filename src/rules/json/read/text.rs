//! Strings: found by looking at eight bytes at a time, and copied only where they hold an escape.

use super::Reader;
use crate::rules::json::problem::{JsonError, Problem};
use std::borrow::Cow;

impl<'a> Reader<'a> {
    /// A string with its quotes; gives what is between them, unescaped.
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        self.expect(b'"')?;
        let plain = self.plain_run();
        if self.peek() == Some(b'"') {
            self.at += 1;
            return Ok(Cow::Borrowed(plain));
        }
        let mut owned = String::from(plain);
        loop {
            match self.peek() {
                Some(b'"') => break self.at += 1,
                Some(b'\\') => owned.push(self.escape()?),
                Some(_) => return self.fail(Problem::Control),
                None => return self.fail(Problem::Syntax),
            }
            owned.push_str(self.plain_run());
        }
        Ok(Cow::Owned(owned))
    }

    /// What stands before the next quote, backslash, control byte or end. All of them are ASCII, so the cut is clean.
    fn plain_run(&mut self) -> &'a str {
        let start = self.at;
        self.at += plain_len(&self.bytes[start..]);
        &self.text[start..self.at]
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let start = self.at;
        let letter = self.bytes.get(start + 1).copied();
        self.at += 2;
        match letter {
            Some(plain @ (b'"' | b'\\' | b'/')) => Ok(char::from(plain)),
            Some(b'b') => Ok('\u{8}'),
            Some(b'f') => Ok('\u{c}'),
            Some(b'n') => Ok('\n'),
            Some(b'r') => Ok('\r'),
            Some(b't') => Ok('\t'),
            Some(b'u') => self.code_point(start),
            _ => self.fail_at(Problem::Syntax, start),
        }
    }

    /// The rest of a `\u` escape that began at `start`, with its second half if it is a surrogate pair.
    fn code_point(&mut self, start: usize) -> Result<char, JsonError> {
        let lone = self.fail_at(Problem::LoneSurrogate, start);
        let first = self.hex4(start)?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first).map_or(lone, Ok);
        }
        if !self.bytes[self.at..].starts_with(b"\\u") {
            return lone;
        }
        self.at += 2;
        let second = self.hex4(start)?;
        if !(0xdc00..0xe000).contains(&second) {
            return lone;
        }
        let value = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        char::from_u32(value).map_or(lone, Ok)
    }

    fn hex4(&mut self, start: usize) -> Result<u32, JsonError> {
        let digits = self.bytes.get(self.at..self.at + 4).unwrap_or_default();
        let value = digits.iter().try_fold(0, |value, &byte| Some(value * 16 + char::from(byte).to_digit(16)?));
        match value {
            Some(value) if digits.len() == 4 => {
                self.at += 4;
                Ok(value)
            }
            _ => self.fail_at(Problem::Syntax, start),
        }
    }
}

/// How many bytes come before the next quote, backslash or control byte.
fn plain_len(bytes: &[u8]) -> usize {
    let (words, _) = bytes.as_chunks::<8>();
    let skipped = words.iter().take_while(|word| !has_special(u64::from_le_bytes(**word))).count() * 8;
    let rest = bytes[skipped..].iter().take_while(|&&byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
    skipped + rest.count()
}

/// Whether one of the eight bytes is below 0x20, or a quote, or a backslash: the usual borrow trick, where a byte's high
/// bit survives if the subtraction went below zero and the byte itself was ASCII.
fn has_special(word: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES * 0x80;
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGH;
    let equals = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, 0x20) | equals(b'"') | equals(b'\\')) != 0
}
