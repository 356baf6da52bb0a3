//! Sessions from their events, each with its sum by hand; and however a message is cut.

use std::sync::{Arc, LazyLock};

use super::{Session, Terms};
use crate::rules::price::PriceBook;
use crate::rules::vendors::testkit::now;
use crate::rules::vendors::{UnknownModel, Usage};

static PRICES: LazyLock<Arc<PriceBook>> = LazyLock::new(|| {
    let own = include_str!("../../fixtures/prices.toml");
    Arc::new(PriceBook::load(Some(("prices.toml", own))).unwrap_or_else(|wrong| panic!("{wrong:?}")))
});

const CREATED: &str = r#"{"type":"session.created","event_id":"e1","session":{"type":"realtime","id":"sess_1","model":"gpt-fix-2026-01-01","audio":{"input":{"transcription":{"model":"hear-fix"}},"output":{"voice":"marin"}}}}"#;
const BEGUN: &str = r#"{"type":"response.created","event_id":"e2","response":{"object":"realtime.response","id":"resp_1","status":"in_progress","usage":null}}"#;
const WORD: &str = r#"{"type":"response.output_audio_transcript.delta","event_id":"e3","response_id":"resp_1","delta":"\"response\""}"#;
/// Of 1000 heard and seen tokens 600 are cached: 100 of text, 450 of sound, 50 of pictures.
const DONE: &str = r#"{"type":"response.done","event_id":"e4","response":{"object":"realtime.response","id":"resp_1","status":"completed","usage":{"total_tokens":1300,"input_tokens":1000,"output_tokens":300,"input_token_details":{"text_tokens":300,"audio_tokens":600,"image_tokens":100,"cached_tokens":600,"cached_tokens_details":{"text_tokens":100,"audio_tokens":450,"image_tokens":50}},"output_token_details":{"text_tokens":60,"audio_tokens":240}}}}"#;
/// (200 * 2 + 100 * 0.2) + (150 * 32 + 450 * 3) + (50 * 5 + 50 * 1) + 60 * 8 + 240 * 64 = 22710 per million
const COST: u64 = 2_271_000;
/// 14 of text and 90 of sound in, 20 out: 14 * 2.5 + 90 * 6 + 20 * 10 = 775 per million
const HEARD: &str = r#"{"type":"conversation.item.input_audio_transcription.completed","item_id":"i","content_index":0,"transcript":"hi","usage":{"type":"tokens","total_tokens":124,"input_tokens":104,"output_tokens":20,"input_token_details":{"text_tokens":14,"audio_tokens":90}}}"#;
const HEARING: u64 = 77_500;

fn at(host: &str, unknown_model: UnknownModel) -> Session {
    let terms = Terms { prices: PRICES.clone(), shelf: "openai".into(), unknown_model, host: host.into() };
    Session::new(terms, "gpt-fix")
}

fn session() -> Session {
    at("api.openai.com", UnknownModel::Refuse)
}

fn after(events: &[&str]) -> Usage {
    let mut session = session();
    for event in events {
        session.push(event.as_bytes(), true, now());
    }
    session.usage()
}

fn sum(usage: Usage) -> (bool, u64, Option<u64>) {
    let charge = usage.charge();
    (usage.is_exact(), charge.usd.0, charge.tokens.map(|tokens| tokens.total()))
}

#[test]
fn responses_are_added_up_by_what_each_token_carries() {
    assert_eq!(sum(after(&[CREATED, BEGUN, WORD, DONE])), (true, COST, Some(1300)));
    let again = DONE.replace("resp_1", "resp_2");
    assert_eq!(sum(after(&[CREATED, BEGUN, DONE, WORD, &again])), (true, 2 * COST, Some(2600)));
    let mut session = session();
    assert!(!session.push(CREATED.as_bytes(), true, now()) && !session.push(WORD.as_bytes(), true, now()));
    assert!(session.push(DONE.as_bytes(), true, now()), "more is spent");
}

#[test]
fn what_was_heard_is_written_down_by_another_model() {
    assert_eq!(sum(after(&[CREATED, HEARD, BEGUN, DONE])), (true, COST + HEARING, Some(1424)));
    // Ten seconds at 0.006 a minute are a tenth of a cent.
    let timed =
        HEARD.split_once(r#""usage""#).expect("there").0.to_owned() + r#""usage":{"type":"duration","seconds":10}}"#;
    let whisper = CREATED.replace("hear-fix", "whisper-fix");
    assert_eq!(sum(after(&[&whisper, &timed])), (true, 100_000, Some(0)));
    let updated = r#"{"type":"session.updated","session":{"input_audio_transcription":{"model":"hear-fix"}}}"#;
    assert_eq!(sum(after(&[updated, HEARD])), (true, HEARING, Some(124)));
}

#[test]
fn what_is_cached_without_its_parts_is_never_too_cheap() {
    let plain = r#"{"type":"response.done","response":{"id":"r","usage":{"input_tokens":100,"output_tokens":10,"input_token_details":{"audio_tokens":60,"cached_tokens":50}}}}"#;
    // 40 of text, all cached, so that 10 of sound must be: 40 * 0.2 + 50 * 32 + 10 * 3 + 10 * 8 = 1718 per million
    assert_eq!(sum(after(&[CREATED, plain])), (true, 171_800, Some(110)));
    let bare = r#"{"type":"response.done","response":{"id":"r","usage":{"input_tokens":100,"output_tokens":10}}}"#;
    assert_eq!(sum(after(&[CREATED, bare])), (true, 28_000, Some(110)));
}

/// As every other call: the tier that the answer names, the place of the host, and the dearest for a model that nobody knows.
#[test]
fn tier_place_and_unknown_models_count() {
    let tokens = r#"{"input_tokens":100,"output_tokens":10}"#;
    let done = |more: &str| format!(r#"{{"type":"response.done","response":{{"id":"r"{more},"usage":{tokens}}}}}"#);
    let of = |host: &str, unknown: UnknownModel, event: &str| {
        let mut session = at(host, unknown);
        session.push(event.as_bytes(), true, now());
        sum(session.usage())
    };
    // 100 * 2 + 10 * 8; 100 * 4 + 10 * 16 of the priority tier.
    assert_eq!(of("api.openai.com", UnknownModel::Refuse, &done("")), (true, 28_000, Some(110)));
    let priority = done(r#","service_tier":"priority""#);
    assert_eq!(of("api.openai.com", UnknownModel::Refuse, &priority), (true, 56_000, Some(110)));
    // The place costs a tenth more where the model has such a factor.
    let placed = done(r#","model":"gpt-5.5""#);
    let [usual, there] = ["api.openai.com", "eu.api.openai.com"].map(|host| of(host, UnknownModel::Refuse, &placed).1);
    assert_eq!((usual, there), (80_000, 88_000), "(100 * 5 + 10 * 30) per million, and a tenth");
    let strange = done(r#","model":"nobody""#);
    assert!(!of("api.openai.com", UnknownModel::Refuse, &strange).0);
    let (known, usd, _) = of("api.openai.com", UnknownModel::Dearest, &strange);
    assert!(known && usd > usual, "{usd}");
}

#[test]
fn what_is_not_told_is_never_nothing() {
    let failed = r#"{"type":"response.done","response":{"id":"resp_1","status":"failed","usage":null}}"#;
    let unknown = CREATED.replace("gpt-fix-2026-01-01", "gpt-unknown").replace("hear-fix", "nobody");
    let silent = r#"{"type":"conversation.item.input_audio_transcription.completed","transcript":"hi"}"#;
    for (events, spent) in [
        (&[CREATED, BEGUN][..], 0),
        (&[CREATED, BEGUN, DONE, &BEGUN.replace("resp_1", "resp_2")], COST),
        (&[CREATED, BEGUN, failed], 0),
        (&[CREATED, DONE, silent], COST),
        (&[&unknown, DONE], 0),
        (&[&unknown, HEARD], 0),
    ] {
        let (exact, usd, _) = sum(after(events));
        assert_eq!((exact, usd), (false, spent), "{events:?}");
    }
    assert_eq!(sum(after(&[CREATED])), (true, 0, Some(0)));
    assert_eq!(sum(after(&["", "x", "{\"type\":\"rate_limits.updated\"}"])), (true, 0, Some(0)));
    for broken in ["{\"response\"", "{\"type\":7,\"response\":{}}"] {
        assert_eq!(sum(after(&[broken])), (false, 0, Some(0)));
    }
}

#[test]
fn a_message_may_be_cut_anywhere() {
    for at in 0..=DONE.len() {
        let mut session = session();
        session.push(CREATED.as_bytes(), true, now());
        session.push(&DONE.as_bytes()[..at], false, now());
        assert!(at == 0 || !session.usage().is_exact(), "the rest of a message is still to come");
        session.push(&DONE.as_bytes()[at..], true, now());
        assert_eq!(sum(session.usage()), (true, COST, Some(1300)), "cut at {at}");
    }
    let mut session = session();
    for _ in 0..9 {
        session.push(&[b'x'; 1 << 20], false, now());
    }
    session.push(b"", true, now());
    session.push(DONE.as_bytes(), true, now());
    assert_eq!(sum(session.usage()), (false, COST, Some(1300)), "too long to be read, and the next is read");
}
