//! A bounded copy of a plain answer, read when it has ended. Beyond the bound the bytes still pass, but nothing is known.

use bytes::{Bytes, BytesMut};

use super::End;

/// The longest plain answer that is read.
pub(super) const LIMIT: usize = 8 * 1024 * 1024;

/// The bytes so far. An answer that comes in one piece is not copied.
#[derive(Debug, Default)]
pub(super) struct Copy {
    first: Bytes,
    more: BytesMut,
    overflown: bool,
}

impl Copy {
    pub fn push(&mut self, chunk: &Bytes) {
        if self.overflown || self.len() + chunk.len() > LIMIT {
            *self = Self { overflown: true, ..Self::default() };
        } else if self.len() == 0 {
            self.first = chunk.clone();
        } else {
            if self.more.is_empty() {
                self.more.extend_from_slice(&std::mem::take(&mut self.first));
            }
            self.more.extend_from_slice(chunk);
        }
    }

    fn len(&self) -> usize {
        self.first.len() + self.more.len()
    }

    /// All of it, if it is there and ended by itself. A cut body that happens to parse is not trusted.
    pub fn whole(self, end: End) -> Option<Bytes> {
        let there = end == End::Complete && !self.overflown;
        there.then(|| if self.more.is_empty() { self.first } else { self.more.freeze() })
    }
}
