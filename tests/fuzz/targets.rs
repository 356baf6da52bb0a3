//! What is fuzzed: each target takes any bytes, and panics if a parser does, or if an answer depends on how its bytes were cut.
//! Shared by the fuzzer's entries and by `tests/corpus.rs`, which replays seeds on stable.

use bursar::config;
use bursar::rules::form::Form;
use bursar::rules::json::Document;
use bursar::rules::multipart;
use bursar::rules::path::CanonicalPath;
use bursar::rules::price::{PriceBook, ecb, update};
use bursar::rules::vendors::frames::Frames;
use bursar::rules::vendors::objects::Objects;
use bursar::rules::vendors::sse::{Item, Sse};
use bursar::rules::vendors::{Callback, RawVendor};
use bursar::units::time::Timestamp;
use bursar::units::vault_key::VaultKey;
use bytes::Bytes;

#[path = "targets/calls.rs"]
pub mod calls;

/// Takes any bytes, and panics if what must hold does not.
type Target = fn(&[u8]);

/// By their names, for whoever replays them.
pub const ALL: [(&str, Target); 7] = [
    ("streams", streams),
    ("meters", meters),
    ("documents", documents),
    ("forms", forms),
    ("rules", rules),
    ("files", files),
    ("requests", requests),
];

/// Longer pieces than this are no use to a parser, and slow.
const LONGEST: usize = 1 << 16;

/// The input in pieces whose lengths its first bytes say, and whole.
pub fn cuts(data: &[u8]) -> (&[u8], Vec<&[u8]>) {
    let (lengths, data) = data.split_at(data.len().min(4));
    let data = &data[..data.len().min(LONGEST)];
    let (mut pieces, mut rest, mut at) = (Vec::new(), data, 0);
    while !rest.is_empty() {
        let length = usize::from(lengths.get(at % lengths.len().max(1)).copied().unwrap_or(1)).max(1);
        let (piece, behind) = rest.split_at(length.min(rest.len()));
        pieces.push(piece);
        (rest, at) = (behind, at + 1);
    }
    (data, pieces)
}

/// Events, frames of Amazon's, and objects: what comes out does not depend on the cuts.
pub fn streams(data: &[u8]) {
    let (whole, pieces) = cuts(data);
    assert_eq!(events(&[whole]), events(&pieces), "events");
    assert_eq!(frames(&[whole]), frames(&pieces), "frames");
    assert_eq!(objects(&[whole]), objects(&pieces), "objects");
}

/// Names and data of events, and all bytes that pass.
fn events(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Vec<u8>) {
    let (mut sse, mut told, mut passed) = (Sse::new(1 << 12), Vec::new(), Vec::new());
    let mut sink = |item: Item<'_>| match item {
        Item::Event(event) => {
            told.extend(event.data.map(<[u8]>::to_vec));
            passed.extend_from_slice(&event.raw);
        }
        Item::Overflow(bytes) => passed.extend_from_slice(&bytes),
    };
    pieces.iter().for_each(|piece| sse.push(Bytes::copy_from_slice(piece), &mut sink));
    sse.finish(&mut sink);
    (told, passed)
}

fn frames(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, bool) {
    let (mut frames, mut told) = (Frames::new(1 << 12), Vec::new());
    let mut sink = |frame: bursar::rules::vendors::frames::Frame<'_>| told.push(format!("{frame:?}").into_bytes());
    let good = pieces.iter().all(|piece| frames.push(piece, &mut sink).is_ok());
    (told, good && frames.is_whole())
}

fn objects(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, bool) {
    let (mut objects, mut told) = (Objects::new(1 << 12), Vec::new());
    let good = pieces.iter().all(|piece| objects.push(piece, &mut |object| told.push(object.to_vec())).is_ok());
    (told, good && objects.is_whole())
}

/// Answers of every family: bytes, usage and what else is told do not depend on the cuts.
pub fn meters(data: &[u8]) {
    let (which, rest) = data.split_at(data.len().min(2));
    let (whole, pieces) = cuts(rest);
    let number = |at: usize| usize::from(which.get(at).copied().unwrap_or_default());
    let case = &calls::CALLS[number(0) % calls::CALLS.len()];
    let plan = calls::plan(case);
    for (status, kind) in [(200, case.kinds[number(1) % case.kinds.len()]), (500, "application/json")] {
        let read = |pieces: &[&[u8]]| calls::metered(&plan, status, kind, pieces);
        assert_eq!(read(&[whole]), read(&pieces), "{} {} {kind}", case.vendor, case.path);
    }
}

/// JSON: one reading or none; places in it are places in the text.
pub fn documents(data: &[u8]) {
    let Ok(document) = Document::parse(data) else { return };
    let root = document.root();
    for node in root.children() {
        let span = node.span();
        assert!(data.get(span).is_some_and(|text| !text.is_empty()), "a node without its text");
        if let Some(key) = node.key() {
            let _ = (root.member(key), document.dotted(key));
        }
    }
    let _ = document.pointer("/a/0/b~1c");
    let _ = (VaultKey::parse(&String::from_utf8_lossy(data)), CanonicalPath::parse(data));
}

/// Forms, queries, multipart bodies, callbacks and paths.
pub fn forms(data: &[u8]) {
    if let Ok(form) = Form::read(data) {
        form.root().children().for_each(|field| {
            let _ = (field.key(), field.text(), field.clashes(), field.is_list());
        });
    }
    if let Some(parts) = multipart::parts("multipart/form-data; boundary=b", data) {
        parts.iter().for_each(|part| assert!(part.content.len() < data.len() && !part.name.is_empty()));
    }
    let kind = Some("application/x-www-form-urlencoded");
    if let Some(told) = Callback::Twilio.signed("https://x/y", kind, data, Some("AAAA")) {
        assert!(told.message.starts_with(b"https://x/y") && !told.object.is_empty());
    }
    if let Ok(target) = CanonicalPath::parse(data) {
        let again = CanonicalPath::parse(target.path.as_str()).map(|again| again.path.as_str().to_owned());
        assert!(again.is_ok_and(|again| again == target.path.as_str()), "a canonical path stays as it is");
    }
}

/// Vendors' tables with their price rules.
pub fn rules(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(raw) = toml::from_str::<RawVendor>(&text) else { return };
    let _ = raw.check("fuzzed");
}

/// What operators write: configuration, policies, prices in every form, exchange rates.
pub fn files(data: &[u8]) {
    let text = String::from_utf8_lossy(&data[..data.len().min(LONGEST)]);
    let _ = config::read("bursar.toml", &text, &|_| None);
    let _ = config::policy_file::read("policy.toml", &text, None);
    let _ = PriceBook::of(&[("prices.toml", &text)]);
    let _ = update(calls::book(), "list.json", &text, Timestamp(1_795_000_000_000_000));
    let _ = ecb::newest(&text);
}

/// Requests of every family: a bound, or a reason for none.
pub fn requests(data: &[u8]) {
    let (which, body) = data.split_at(data.len().min(1));
    let case = &calls::CALLS[usize::from(which.first().copied().unwrap_or_default()) % calls::CALLS.len()];
    if let Some(estimate) = calls::estimated(case, body) {
        let (least, wanted) = (estimate.need.least(), estimate.need.wanted());
        assert!(least.usd <= wanted.usd && least.tokens <= wanted.tokens, "{} {}", case.vendor, case.path);
        if let Ok(document) = Document::parse(body) {
            let _ = estimate.plan.edited(&document, Some(1));
        }
    }
}
