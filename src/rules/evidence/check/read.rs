//! A whole file through the checker, line by line. Bounded: no line of an export is longer than a row can be.

use std::io::{BufRead, ErrorKind, Read, Result};

use super::fault::{Fault, Row, What};
use super::{Checker, Sound};

/// Far above any event.
const LONGEST: u64 = 64 << 20;

impl Checker {
    /// The verdict on everything that `file` holds.
    ///
    /// # Errors
    /// The file cannot be read; what is wrong with it stands inside.
    pub fn read(mut self, mut file: impl BufRead) -> Result<std::result::Result<Sound, Fault>> {
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = match file.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                read => read?,
            };
            if read == 0 {
                return Ok(self.finish());
            }
            if line.pop_if(|last| *last == b'\n').is_none() {
                return Ok(Err(self.cut_off()));
            }
            if !self.line(&line) {
                return Ok(self.finish());
            }
        }
    }

    /// The last line has no end.
    fn cut_off(mut self) -> Fault {
        if matches!(self.state, super::State::Good) {
            let why = "its last line has no end".to_owned();
            let row = if self.end.is_some() { Row::File } else { Row::Event(self.place.seq + 1) };
            return Fault { line: self.line + 1, row, what: What::Truncated, why };
        }
        self.line += 1;
        match self.finish() {
            Err(fault) => fault,
            // A state that is not good never ends in a good verdict.
            Ok(_) => Fault { line: 0, row: Row::File, what: What::Truncated, why: String::new() },
        }
    }
}
