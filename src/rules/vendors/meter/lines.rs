//! Results of a batch on their way: a line for each item, added up as they pass. Moves no bytes; `batch` reads the lines.

use super::super::batch::{Batch, Due, Reading};
use super::super::plan::{How, Inner};
use super::End;

#[derive(Debug, Default)]
pub(super) struct Lines {
    reading: Reading,
}

impl Lines {
    pub fn push(&mut self, chunk: &[u8], inner: &Inner) {
        if let How::Batch(Batch::Results { plan, .. }) = &inner.how {
            self.reading.push(chunk, inner, plan);
        }
    }

    /// What all of them cost together, if all of them came.
    pub fn finish(self, end: End, inner: &Inner) -> Option<Due> {
        let How::Batch(Batch::Results { of, .. }) = &inner.how else { return None };
        if end == End::Complete { self.reading.finish(of) } else { None }
    }
}
