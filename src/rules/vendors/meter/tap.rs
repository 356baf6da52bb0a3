//! A stream that is no stream of server-sent events: frames of Amazon's, or JSON objects one behind the other. Nothing of it is
//! hidden, so the bytes pass as they come, and are read beside.

use super::super::frames::Frames;
use super::super::llm::{LlmPlan, Reported};
use super::super::objects::Objects;
use super::End;
use super::reading::Reading;

/// The longest event that is read.
const READ: usize = super::body::LIMIT;

/// The reader beside one stream.
#[derive(Debug)]
pub(super) struct Tap {
    framing: Framing,
    reading: Reading,
    /// What came cannot be taken apart any more.
    blind: bool,
}

#[derive(Debug)]
enum Framing {
    Frames(Frames),
    Objects(Objects),
}

impl Tap {
    pub fn frames(plan: &LlmPlan) -> Self {
        Self { framing: Framing::Frames(Frames::new(READ)), reading: Reading::new(plan), blind: false }
    }

    pub fn objects(plan: &LlmPlan) -> Self {
        Self { framing: Framing::Objects(Objects::new(READ)), reading: Reading::new(plan), blind: false }
    }

    pub fn reading(&mut self) -> &mut Reading {
        &mut self.reading
    }

    pub fn push(&mut self, chunk: &[u8]) {
        if self.blind {
            return;
        }
        let reading = &mut self.reading;
        let sound = match &mut self.framing {
            Framing::Frames(frames) => frames.push(chunk, &mut |frame| reading.frame(&frame)).is_ok(),
            Framing::Objects(objects) => objects
                .push(chunk, &mut |object| {
                    // Nothing of it can be hidden.
                    _ = reading.event(object);
                })
                .is_ok(),
        };
        if !sound {
            self.blind = true;
            self.reading.broken();
        }
    }

    pub fn finish(self, end: End) -> Option<Reported> {
        let whole = match &self.framing {
            Framing::Frames(frames) => frames.is_whole(),
            Framing::Objects(objects) => objects.is_whole(),
        };
        self.reading.finish(if whole && !self.blind { end } else { End::Cut })
    }
}
