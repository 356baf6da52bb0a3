//! What is read of a stream, whatever its framing: each event once, in the family's own way. The last usage counts. Moves no
//! bytes; `stream` and `tap` do.

use super::super::dialect::Dialect;
use super::super::frames::Frame;
use super::super::llm::{Api, LlmPlan, Reported, Seen};
use super::super::{anthropic, bedrock, cohere, google, openai};
use super::End;

/// What was read so far.
#[derive(Debug)]
pub(super) struct Reading {
    api: Api,
    dialect: Dialect,
    hide_usage: bool,
    long_cache: bool,
    reported: Option<Reported>,
    messages: anthropic::answer::Stream,
    content: google::answer::Stream,
    frames: bedrock::answer::Stream,
    done: bool,
    failed: bool,
}

impl Reading {
    pub fn new(plan: &LlmPlan) -> Self {
        Self {
            api: plan.api,
            dialect: plan.dialect,
            hide_usage: plan.hide_usage,
            long_cache: plan.long_cache,
            reported: None,
            messages: anthropic::answer::Stream::default(),
            content: google::answer::Stream::default(),
            frames: bedrock::answer::Stream::default(),
            done: false,
            failed: false,
        }
    }

    /// Reads one event; true if the caller must not see it.
    pub fn event(&mut self, data: &[u8]) -> bool {
        let told = match self.api {
            Api::Chat | Api::Embeddings => return self.chat(data),
            Api::Messages => {
                self.messages.event(data);
                None
            }
            Api::Gemini => {
                self.content.piece(data);
                None
            }
            Api::Responses => openai::answer::response_event(data),
            Api::Cohere | Api::CohereUnits => cohere::event(data),
            Api::Images => has_usage(data).then(|| openai::media::pictures(data)).flatten(),
            Api::Transcription => has_usage(data).then(|| openai::media::transcript(data, self.dialect)).flatten(),
            Api::Speech => has_usage(data).then(|| openai::media::spoken(data)).flatten(),
            Api::Converse | Api::Invoke => None,
        };
        self.reported = told.or(self.reported.take());
        false
    }

    /// Reads one frame of an event stream of Amazon's.
    pub fn frame(&mut self, frame: &Frame<'_>) {
        self.frames.frame(frame);
    }

    /// What follows cannot be read.
    pub fn broken(&mut self) {
        self.failed = true;
        self.done = false;
        self.frames.broken();
    }

    fn chat(&mut self, data: &[u8]) -> bool {
        self.done |= data == b"[DONE]";
        let Some(event) = openai::answer::chat_event(data, self.dialect) else { return false };
        self.failed |= event.failed;
        self.reported = event.reported.or(self.reported.take());
        event.alone && self.hide_usage
    }

    pub fn finish(self, end: End) -> Option<Reported> {
        let complete = end == End::Complete && !self.failed;
        match self.api {
            Api::Messages => return self.messages.report(self.long_cache, complete),
            Api::Gemini => return self.content.report(complete),
            Api::Converse | Api::Invoke => return self.frames.report(self.long_cache, complete),
            _ => {}
        }
        let mut reported = self.reported?;
        // A usage beside choices is the last one if the stream came to its end; and Perplexity's only with its own sum.
        let ended = (self.done || complete) && !self.failed;
        let summed = self.dialect != Dialect::Perplexity || reported.billed.is_some();
        if self.api == Api::Chat && ended && summed && reported.seen == Seen::SoFar {
            reported.seen = Seen::All;
        }
        Some(reported)
    }
}

fn has_usage(data: &[u8]) -> bool {
    openai::answer::has_usage(data)
}
