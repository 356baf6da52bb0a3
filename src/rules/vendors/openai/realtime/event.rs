//! One event of a realtime session, as far as it says what something cost: sums are taken apart into units that do not overlap.
//! Cached tokens are parts of each modality's. Adds nothing up.

use serde::Deserialize;

use super::super::super::llm::number::Num;
use crate::rules::price::{Kind, Tokens};

/// What an event says of the cost.
pub(super) enum Event {
    Session {
        model: Option<String>,
        scribe: Option<String>,
    },
    /// A response begins.
    Begun(String),
    /// A response has ended, whether or not it came to its own end; without tokens it does not say what it cost.
    Done {
        id: String,
        model: Option<String>,
        tokens: Option<Tokens>,
    },
    /// What the caller said was written down, at so much.
    Heard(Option<Tokens>),
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
    input_token_details: Option<Details>,
    output_token_details: Option<Split>,
    seconds: Option<Num>,
}

#[derive(Deserialize, Default)]
struct Details {
    #[serde(flatten)]
    split: Split,
    cached_tokens: Option<u64>,
    cached_tokens_details: Option<Split>,
}

#[derive(Clone, Copy, Deserialize, Default)]
struct Split {
    audio_tokens: Option<u64>,
    image_tokens: Option<u64>,
}

/// Audio, pictures, and the rest, which is text.
fn split(all: u64, parts: Split) -> (u64, u64, u64) {
    let audio = parts.audio_tokens.unwrap_or(0).min(all);
    let image = parts.image_tokens.unwrap_or(0).min(all - audio);
    (all - audio - image, audio, image)
}

impl Usage {
    fn tokens(&self) -> Option<Tokens> {
        if let Some(seconds) = self.seconds {
            return Some(Tokens::default().with(Kind::AudioTimeIn, seconds.millis()?));
        }
        let (input, output) = (self.input_tokens?, self.output_tokens?);
        let none = Details::default();
        let details = self.input_token_details.as_ref().unwrap_or(&none);
        let (text, audio, image) = split(input, details.split);
        let cached = details.cached_tokens.unwrap_or(0).min(input);
        // Where the parts of what was cached are not told, it was text: that is never too cheap.
        let (old_text, old_audio, old_image) = split(cached, details.cached_tokens_details.unwrap_or_default());
        let (old_text, old_audio, old_image) = (old_text.min(text), old_audio.min(audio), old_image.min(image));
        let (said, spoken, _) = split(output, self.output_token_details.unwrap_or_default());
        Some(
            Tokens::default()
                .with(Kind::Input, text - old_text)
                .with(Kind::CacheRead, old_text)
                .with(Kind::AudioInput, audio - old_audio)
                .with(Kind::AudioCached, old_audio)
                .with(Kind::ImageInput, image - old_image)
                .with(Kind::ImageCached, old_image)
                .with(Kind::Output, said)
                .with(Kind::AudioOutput, spoken),
        )
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
            let tokens = response.usage.as_ref().and_then(Usage::tokens);
            Event::Done { id: response.id.unwrap_or_default(), model: response.model, tokens }
        }
        "conversation.item.input_audio_transcription.completed" => {
            Event::Heard(raw.usage.as_ref().and_then(Usage::tokens))
        }
        _ => return None,
    })
}
