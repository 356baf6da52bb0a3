//! What is read of a stream, whatever its framing: each event once, in the family's own way. The last usage counts. Moves no
//! bytes; `stream` and `tap` do.

use super::super::dialect::Dialect;
use super::super::frames::Frame;
use super::super::llm::{Api, LlmPlan, Part, Reported, Seen};
use super::super::{anthropic, bedrock, cohere, google, openai};
use super::End;
use super::said::said;
use crate::rules::price::{Kind, Tokens};

/// No token of any tokenizer stands for more bytes.
const LONGEST_TOKEN: u64 = 128;
/// So much new text is worth another look at what it costs.
const WORTH_A_LOOK: u64 = 4096;

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
    /// Bytes of text, counted only where nothing else says how much is spent; and those of the last news.
    said: Option<u64>,
    looked: u64,
    /// More is known of the cost than when somebody asked last.
    news: bool,
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
            said: plan.unbounded.then_some(0),
            looked: 0,
            news: false,
        }
    }

    /// Reads one event; true if the caller must not see it.
    pub fn event(&mut self, data: &[u8]) -> bool {
        self.listen(data);
        let told = match self.api {
            Api::Chat | Api::Embeddings => return self.chat(data),
            Api::Messages => {
                self.news |= self.messages.event(data);
                None
            }
            Api::Gemini => {
                self.news |= self.content.piece(data);
                None
            }
            Api::Responses => openai::answer::response_event(data),
            Api::Cohere | Api::CohereUnits => cohere::event(data),
            Api::Images => has_usage(data).then(|| openai::media::pictures(data)).flatten(),
            Api::Transcription => has_usage(data).then(|| openai::media::transcript(data, self.dialect)).flatten(),
            Api::Speech => has_usage(data).then(|| openai::media::spoken(data)).flatten(),
            Api::Converse | Api::Invoke => None,
        };
        self.news |= told.is_some();
        self.reported = told.or(self.reported.take());
        false
    }

    /// Text is counted where nothing bounds the call and no usage comes before its end.
    fn listen(&mut self, data: &[u8]) {
        let Some(heard) = &mut self.said else { return };
        *heard = heard.saturating_add(said(self.api, data));
        if *heard >= self.looked.saturating_add(WORTH_A_LOOK) {
            self.looked = *heard;
            self.news = true;
        }
    }

    /// Is more known than when this was asked last?
    pub fn news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    /// What is known by now. What was said is at least so many tokens, whatever its usage says yet.
    pub fn so_far(&self) -> Option<Reported> {
        let told = match self.api {
            Api::Messages => self.messages.clone().report(self.long_cache, false),
            Api::Gemini => self.content.clone().report(false),
            Api::Converse | Api::Invoke => self.frames.clone().report(self.long_cache, false),
            _ => self.reported.clone(),
        };
        let least = self.said.unwrap_or(0) / LONGEST_TOKEN;
        let Some(mut told) = told else {
            let parts = vec![Part { tokens: Tokens::default().with(Kind::Output, least), ..Part::default() }];
            return (least > 0).then(|| Reported { parts, seen: Seen::SoFar, ..Reported::default() });
        };
        if let [part] = told.parts.as_mut_slice() {
            part.tokens = part.tokens.with(Kind::Output, part.tokens.get(Kind::Output).max(least));
        }
        Some(told)
    }

    /// Reads one frame of an event stream of Amazon's.
    pub fn frame(&mut self, frame: &Frame<'_>) {
        self.news |= self.frames.frame(frame);
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
        self.news |= event.reported.is_some();
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
