//! Fixtures, every cut of them, and what holds for every stream.

use super::*;
use proptest::prelude::*;

/// Bytes as text, one character each, since a cut may run through a character.
fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// An item on one line: `name|data|raw`, `-` for no data, `~` in front if the blank line was missing, `>` for overflow.
fn drawn(item: Item<'_>) -> String {
    match item {
        Item::Overflow(raw) => format!(">{}", text(&raw)),
        Item::Event(event) => {
            let (open, data) = (if event.complete { "" } else { "~" }, event.data.map_or("-".into(), text));
            format!("{open}{}|{data}|{}", text(event.name), text(&event.raw))
        }
    }
}

/// All that comes out, with the pieces of an overflow put together.
fn run<'c>(limit: usize, chunks: impl IntoIterator<Item = &'c [u8]>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut sink = |item: Item<'_>| {
        let overflow = matches!(item, Item::Overflow(_));
        let line = drawn(item);
        match out.last_mut() {
            Some(last) if overflow && last.starts_with('>') => last.push_str(&line[1..]),
            _ => out.push(line),
        }
    };
    let mut sse = Sse::new(limit);
    for chunk in chunks {
        sse.push(Bytes::copy_from_slice(chunk), &mut sink);
    }
    sse.finish(&mut sink);
    out
}

#[rustfmt::skip]
const FIXTURES: &[(&str, &str, &[&str])] = &[
    ("nothing", "", &[]),
    ("one", "data: a\n\n", &["|a|data: a\n\n"]),
    ("two", "data: a\n\ndata: b\n\n", &["|a|data: a\n\n", "|b|data: b\n\n"]),
    ("a name", "event: e\ndata: a\n\n", &["e|a|event: e\ndata: a\n\n"]),
    ("the last name wins", "event: e\nevent: f\ndata\n\n", &["f||event: e\nevent: f\ndata\n\n"]),
    ("no space", "data:a\n\n", &["|a|data:a\n\n"]),
    ("two spaces", "data:  a\n\n", &["| a|data:  a\n\n"]),
    ("colons in data", "data: {\"a\":1}\n\n", &["|{\"a\":1}|data: {\"a\":1}\n\n"]),
    ("many lines", "data: a\ndata:\ndata: b\n\n", &["|a\n\nb|data: a\ndata:\ndata: b\n\n"]),
    ("empty data", "data\n\n", &["||data\n\n"]),
    ("no data", "event: e\n\n", &["e|-|event: e\n\n"]),
    ("comment", ": ping\n\n", &["|-|: ping\n\n"]),
    ("comment within", "data: a\n: x\ndata: b\n\n", &["|a\nb|data: a\n: x\ndata: b\n\n"]),
    ("other fields", "id: 1\nretry: 5\nfoo: x\ndata: a\n\n", &["|a|id: 1\nretry: 5\nfoo: x\ndata: a\n\n"]),
    ("CRLF", "event: e\r\ndata: a\r\n\r\ndata: b\r\n\r\n", &["e|a|event: e\r\ndata: a\r\n\r\n", "|b|data: b\r\n\r\n"]),
    ("CR", "data: a\r\rdata: b\r\r", &["|a|data: a\r\r", "|b|data: b\r\r"]),
    ("mixed", "data: a\n\r\ndata: b\r\n\ndata: c\r\r\ndata: d\n\r", &["|a|data: a\n\r\n", "|b|data: b\r\n\n", "|c|data: c\r\r\n", "|d|data: d\n\r"]),
    ("blank lines", "\n\ndata: a\n\n\n", &["|-|\n", "|-|\n", "|a|data: a\n\n", "|-|\n"]),
    ("byte order mark", "\u{feff}data: a\n\n\u{feff}data: b\n\n", &["|a|\u{feff}data: a\n\n", "|-|\u{feff}data: b\n\n"]),
    ("byte order mark alone", "\u{feff}\ndata: a\n\n", &["|a|\u{feff}\ndata: a\n\n"]),
    ("an end too soon", "data: a\n\ndata: [DONE]", &["|a|data: a\n\n", "~|[DONE]|data: [DONE]"]),
    ("an end within an event", "data: a\n", &["~|a|data: a\n"]),
    ("an end behind a CR", "data: a\r", &["~|a|data: a\r"]),
    ("UTF-8", "data: 日本\n\n", &["|日本|data: 日本\n\n"]),
    ("at the limit", "data: 0123456789ab\n\nx\n\n", &["|0123456789ab|data: 0123456789ab\n\n", "|-|x\n\n"]),
    ("at the limit, CR", "data: 0123456789ab\r\rx\n\n", &["|0123456789ab|data: 0123456789ab\r\r", "|-|x\n\n"]),
];

/// Lies well beyond most fixtures, and exactly at the end of the last two.
const LIMIT: usize = 20;

#[test]
fn fixtures() {
    for (name, stream, expected) in FIXTURES {
        let limit = if name.starts_with("at the limit") { LIMIT } else { DEFAULT_LIMIT };
        let expected: Vec<_> = expected.iter().map(|item| text(item.as_bytes())).collect();
        assert_eq!(run(limit, [stream.as_bytes()]), expected, "{name}");
    }
}

#[test]
fn every_cut_in_three() {
    for (name, stream, _) in FIXTURES {
        let bytes = stream.as_bytes();
        for limit in [DEFAULT_LIMIT, LIMIT, 9, 0] {
            let whole = run(limit, [bytes]);
            assert_eq!(run(limit, bytes.chunks(1)), whole, "{name}, byte by byte, limit {limit}");
            for b in 0..=bytes.len() {
                for a in 0..=b {
                    let cut = [&bytes[..a], &bytes[a..b], &bytes[b..]];
                    assert_eq!(run(limit, cut), whole, "{name}, cut at {a} and {b}, limit {limit}");
                }
            }
        }
    }
}

#[test]
fn overflow() {
    let stream = b"data: a\n\ndata: 0123456789abc\n\ndata: b\n\n";
    assert_eq!(run(LIMIT, [&stream[..]]), ["|a|data: a\n\n", ">data: 0123456789abc\n\ndata: b\n\n"]);
}

#[test]
fn whole_events_are_not_copied() {
    let chunk = Bytes::from_static(b"data: a\n\ndata: b\n\ndata: c");
    let start = chunk.as_ptr() as usize;
    let mut places = Vec::new();
    let mut sse = Sse::new(DEFAULT_LIMIT);
    sse.push(chunk, &mut |item| match item {
        Item::Event(event) => places.push(event.raw.as_ptr() as usize - start),
        Item::Overflow(_) => panic!("overflow"),
    });
    assert_eq!((places, sse.waiting()), (vec![0, 9], 7));
}

fn streams() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "\n", "\n", "\r", "\r\n", "\n\n", "data: x", "data", ":", "event: e", "y", "\u{feff}", "\u{e9}",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn cuts_change_nothing(stream in streams(), size in 1usize..6, limit in 0usize..40) {
        prop_assert_eq!(run(limit, stream.chunks(size)), run(limit, [stream.as_slice()]));
    }

    #[test]
    fn every_byte_comes_out_once(stream in prop_oneof![streams(), prop::collection::vec(any::<u8>(), 0..64)], size in 1usize..9, limit in 0usize..40) {
        let mut out = Vec::new();
        let mut sink = |item: Item<'_>| match item {
            Item::Event(Event { raw, .. }) | Item::Overflow(raw) => out.extend_from_slice(&raw),
        };
        let mut sse = Sse::new(limit);
        for chunk in stream.chunks(size) {
            sse.push(Bytes::copy_from_slice(chunk), &mut sink);
        }
        sse.finish(&mut sink);
        prop_assert_eq!(out, stream);
    }
}
