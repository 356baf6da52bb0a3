//! A file through the checker as its bytes come, in pieces of any size. Holds one line.

use super::fault::{Fault, Row, What};
use super::{Checker, Sound, State};

/// Far above any event.
const LONGEST: usize = 64 << 20;

/// An export as it is read.
pub struct Reading {
    checker: Checker,
    /// A line that has not ended yet.
    partial: Vec<u8>,
    too_long: bool,
}

impl Reading {
    pub fn new(checker: Checker) -> Self {
        Self { checker, partial: Vec::new(), too_long: false }
    }

    /// The next bytes. `false` once nothing more can be learnt.
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            if self.partial.len() + piece.len() > LONGEST {
                self.too_long = true;
                return false;
            }
            let Some(end) = piece.strip_suffix(b"\n") else {
                self.partial.extend_from_slice(piece);
                continue;
            };
            let go_on = if self.partial.is_empty() {
                self.checker.line(end)
            } else {
                self.partial.extend_from_slice(end);
                let line = std::mem::take(&mut self.partial);
                self.checker.line(&line)
            };
            if !go_on {
                return false;
            }
        }
        true
    }

    /// The verdict, once all bytes were pushed.
    ///
    /// # Errors
    /// The first bad row.
    pub fn finish(self) -> Result<Sound, Fault> {
        let Self { checker, partial, too_long } = self;
        let cut_off = (!partial.is_empty() || too_long) && matches!(checker.state, State::Good);
        if !cut_off {
            return checker.finish();
        }
        let row = if checker.end.is_some() { Row::File } else { Row::Event(checker.place.seq + 1) };
        let (what, why) = match too_long {
            true => (What::Changed, "this line is longer than any that is written"),
            false => (What::Truncated, "its last line has no end"),
        };
        Err(Fault { line: checker.line + 1, row, what, why: why.to_owned() })
    }
}
