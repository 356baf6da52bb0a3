//! A stream of events on its way to the caller: each goes out when it is whole, read once as it passes. An event that is
//! longer than the caller should wait for goes out in parts, and is still read when its end has come. The chunk that tells a
//! usage which the caller did not ask for stays here.

use bytes::{Bytes, BytesMut};

use super::super::llm::{LlmPlan, Reported};
use super::super::sse::{Item, Sse};
use super::End;
use super::reading::Reading;

/// How much of an unfinished event waits for its end.
const WAIT: usize = super::super::sse::DEFAULT_LIMIT;
/// The longest event that is read; an answer's last event may repeat all of it.
const READ: usize = super::body::LIMIT;

/// The meter of one stream.
#[derive(Debug)]
pub(super) struct Stream {
    sse: Sse,
    reading: Reading,
    /// Bytes of the unfinished event that have not gone out.
    pending: BytesMut,
    /// Bytes of it that have.
    released: usize,
    /// An event was too long to read: all goes out as it comes.
    blind: bool,
}

impl Stream {
    pub fn new(plan: &LlmPlan) -> Self {
        let reading = Reading::new(plan);
        Self { sse: Sse::new(READ), reading, pending: BytesMut::new(), released: 0, blind: false }
    }

    pub fn reading(&mut self) -> &mut Reading {
        &mut self.reading
    }

    pub fn push(&mut self, chunk: Bytes, out: &mut impl FnMut(Bytes)) {
        if self.blind {
            return out(chunk);
        }
        let Self { sse, reading, pending, released, blind } = self;
        let mut ended = false;
        sse.push(chunk.clone(), &mut |item| {
            ended = true;
            take(item, reading, released, blind, out);
        });
        if self.blind {
            return;
        }
        // What is left of the chunk belongs to an event whose end has not come.
        let rest = if ended { chunk.slice(chunk.len() - self.sse.waiting().min(chunk.len())..) } else { chunk };
        if ended {
            pending.clear();
        }
        self.pending.extend_from_slice(&rest);
        if self.pending.len() > WAIT {
            self.released += self.pending.len();
            out(self.pending.split().freeze());
        }
    }

    pub fn finish(mut self, end: End, out: &mut impl FnMut(Bytes)) -> Option<Reported> {
        let Self { sse, reading, released, blind, .. } = &mut self;
        sse.finish(&mut |item| take(item, reading, released, blind, out));
        // What was not read may have held a later usage.
        if self.blind {
            self.reading.broken();
        }
        self.reading.finish(if self.blind { End::Cut } else { end })
    }
}

/// One event, or the rest of a stream that cannot be read.
fn take(item: Item<'_>, reading: &mut Reading, released: &mut usize, blind: &mut bool, out: &mut impl FnMut(Bytes)) {
    let raw = match item {
        Item::Event(event) => {
            let hidden = event.data.is_some_and(|data| reading.event(data)) && *released == 0;
            if hidden { Bytes::new() } else { event.raw }
        }
        Item::Overflow(bytes) => {
            *blind = true;
            bytes
        }
    };
    let rest = raw.slice(std::mem::take(released).min(raw.len())..);
    if !rest.is_empty() {
        out(rest);
    }
}
