//! A push parser for server-sent events, for callers that forward an event's raw bytes unchanged or drop the event whole.
//!
//! Every byte that is pushed comes out again exactly once and in order, and how the bytes were cut changes nothing. It
//! does not know what an event means: the vendors' files do. `meter` pushes, and sends what it is given on.

mod lines;
#[cfg(test)]
mod tests;

use bytes::{Bytes, BytesMut};
use lines::Boundary;

/// The longest event that is waited for, unless a vendor needs another.
pub const DEFAULT_LIMIT: usize = 64 * 1024;

/// What comes out.
#[derive(Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// One event.
    Event(Event<'a>),
    /// An event was longer than the limit. These bytes, and all that follow, are passed on without being read.
    Overflow(Bytes),
}

/// One block of lines up to its blank line. A block of comments, and a blank line alone, are blocks too.
#[derive(Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The value of the last `event` field; empty if there was none.
    pub name: &'a [u8],
    /// The `data` fields, joined by line feeds; None if there was none, and then a reader of events sees nothing.
    pub data: Option<&'a [u8]>,
    /// The whole block as it came, blank line included.
    pub raw: Bytes,
    /// Whether the blank line was there; only the end of a stream can lack it.
    pub complete: bool,
}

/// The parser. An unfinished event waits in it.
#[derive(Debug)]
pub struct Sse {
    limit: usize,
    boundary: Boundary,
    /// The beginning of an event that ends in a later chunk.
    waiting: BytesMut,
    /// Nothing has come out yet, so a byte order mark may stand in front.
    first: bool,
    overflown: bool,
    /// Where `data` fields of several lines are joined; kept for its room.
    joined: Vec<u8>,
}

impl Sse {
    /// A parser that waits for at most `limit` bytes of one event.
    pub fn new(limit: usize) -> Sse {
        Sse {
            limit,
            boundary: Boundary::default(),
            waiting: BytesMut::new(),
            first: true,
            overflown: false,
            joined: Vec::new(),
        }
    }

    /// Takes the next bytes of the stream, and gives `sink` what they complete. An event that lies within one chunk is
    /// a slice of it, not a copy.
    pub fn push(&mut self, mut chunk: Bytes, sink: &mut impl FnMut(Item<'_>)) {
        while !chunk.is_empty() && !self.overflown {
            let Some(end) = self.boundary.find(&chunk) else {
                return self.wait(chunk, sink);
            };
            let tail = chunk.split_to(end);
            match self.waiting.len() + end > self.limit {
                true => self.overflow(tail, sink),
                false => {
                    let raw = self.with_waiting(tail);
                    self.emit(raw, true, sink);
                }
            }
        }
        if !chunk.is_empty() {
            sink(Item::Overflow(chunk));
        }
    }

    /// Ends the stream, and gives `sink` what was still waiting.
    pub fn finish(&mut self, sink: &mut impl FnMut(Item<'_>)) {
        let complete = self.boundary.is_at_end();
        self.boundary = Boundary::default();
        if !self.waiting.is_empty() {
            let raw = self.waiting.split().freeze();
            self.emit(raw, complete, sink);
        }
    }

    /// How many bytes wait for the rest of their event.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn wait(&mut self, chunk: Bytes, sink: &mut impl FnMut(Item<'_>)) {
        match self.waiting.len() + chunk.len() > self.limit {
            true => self.overflow(chunk, sink),
            false => self.waiting.extend_from_slice(&chunk),
        }
    }

    fn overflow(&mut self, tail: Bytes, sink: &mut impl FnMut(Item<'_>)) {
        self.overflown = true;
        sink(Item::Overflow(self.with_waiting(tail)));
    }

    fn with_waiting(&mut self, tail: Bytes) -> Bytes {
        if self.waiting.is_empty() {
            return tail;
        }
        self.waiting.extend_from_slice(&tail);
        self.waiting.split().freeze()
    }

    fn emit(&mut self, raw: Bytes, complete: bool, sink: &mut impl FnMut(Item<'_>)) {
        let text = match std::mem::take(&mut self.first) {
            true => raw.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&raw),
            false => &raw,
        };
        let fields = lines::fields(text, &mut self.joined);
        sink(Item::Event(Event { name: fields.name, data: fields.data, raw: raw.clone(), complete }));
    }
}
