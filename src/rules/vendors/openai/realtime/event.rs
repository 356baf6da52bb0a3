//! One event of a realtime session, as far as it says what something cost; `usage` takes its sums apart. Adds nothing up.

use serde::Deserialize;

use super::super::super::llm::Part;
use super::super::super::llm::number::Num;
use super::super::usage::{InputDetails, OutputDetails, part};
use crate::rules::price::{Kind, Tokens};

/// What an event says of the cost.
pub(super) enum Event {
    Session {
        model: Option<String>,
        scribe: Option<String>,
    },
    /// A response begins.
    Begun(String),
    /// A response has ended, whether or not it came to its own end; without a usage it does not say what it cost.
    Done {
        id: String,
        model: Option<String>,
        tier: Option<String>,
        used: Option<Part>,
    },
    /// What the caller said was written down, at so much.
    Heard(Option<Part>),
}

#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "type")]
    kind: String,
    response: Option<Response>,
    session: Option<Session>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Response {
    id: Option<String>,
    model: Option<String>,
    service_tier: Option<String>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Session {
    model: Option<String>,
    audio: Option<Audio>,
    input_audio_transcription: Option<Scribe>,
}

#[derive(Deserialize)]
struct Audio {
    input: Option<Input>,
}

#[derive(Deserialize)]
struct Input {
    transcription: Option<Scribe>,
}

#[derive(Deserialize)]
struct Scribe {
    model: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    input_token_details: Option<InputDetails>,
    output_token_details: Option<OutputDetails>,
    seconds: Option<Num>,
}

impl Usage {
    fn part(&self) -> Option<Part> {
        if let Some(seconds) = self.seconds {
            let tokens = Tokens::default().with(Kind::AudioTimeIn, seconds.millis()?);
            return Some(Part { tokens, ..Part::default() });
        }
        let (heard, said) =
            (self.input_token_details.unwrap_or_default(), self.output_token_details.unwrap_or_default());
        Some(part(self.input_tokens?, self.output_tokens?, &heard, &said))
    }
}

/// Most events are words and sounds, and say nothing here.
pub(super) fn read(data: &[u8]) -> Option<Event> {
    let told = ["\"session\"", "\"response\"", "input_audio_transcription.completed"];
    told.iter().find(|word| memchr::memmem::find(data, word.as_bytes()).is_some())?;
    // Whatever it was, it may have told a cost.
    let Ok(raw) = serde_json::from_slice::<Raw>(data) else { return Some(Event::Heard(None)) };
    Some(match raw.kind.as_str() {
        "session.created" | "session.updated" => {
            let session = raw.session?;
            let input = session.audio.and_then(|audio| audio.input).and_then(|input| input.transcription);
            let scribe = input.or(session.input_audio_transcription).and_then(|scribe| scribe.model);
            Event::Session { model: session.model, scribe }
        }
        "response.created" => Event::Begun(raw.response?.id?),
        "response.done" => {
            let response = raw.response?;
            let used = response.usage.as_ref().and_then(Usage::part);
            let (id, model, tier) = (response.id.unwrap_or_default(), response.model, response.service_tier);
            Event::Done { id, model, tier, used }
        }
        "conversation.item.input_audio_transcription.completed" => {
            Event::Heard(raw.usage.as_ref().and_then(Usage::part))
        }
        _ => return None,
    })
}
