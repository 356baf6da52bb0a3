//! How much text an event of a stream carries, in bytes at least: without reading it as JSON, as every event is looked at. Knows
//! nothing of tokens.

use super::super::llm::Api;

/// The members whose texts the model wrote, and what an event that has them says of itself.
fn names(api: Api) -> (&'static [&'static [u8]], &'static [&'static [u8]]) {
    match api {
        Api::Chat => (&[b"\"content\"", b"\"reasoning_content\"", b"\"arguments\""], &[b"\"delta\""]),
        Api::Responses => (&[b"\"delta\""], &[b"text.delta\"", b"arguments.delta\""]),
        Api::Messages => (&[b"\"text\"", b"\"thinking\"", b"\"partial_json\""], &[b"\"content_block_delta\""]),
        _ => (&[], &[]),
    }
}

/// Bytes of text in one event.
pub(super) fn said(api: Api, data: &[u8]) -> u64 {
    let (members, events) = names(api);
    if !events.iter().any(|event| memchr::memmem::find(data, event).is_some()) {
        return 0;
    }
    members.iter().flat_map(|name| memchr::memmem::find_iter(data, name).map(|at| text(&data[at + name.len()..]))).sum()
}

/// The length of the text behind a member's name. Inside of a text the quotes of the name would be escaped.
fn text(behind: &[u8]) -> u64 {
    let value = behind.trim_ascii_start().strip_prefix(b":").map(<[u8]>::trim_ascii_start);
    let Some(mut rest) = value.and_then(|value| value.strip_prefix(b"\"")) else { return 0 };
    let mut bytes = 0;
    while let Some((byte, more)) = rest.split_first() {
        rest = match byte {
            b'"' => break,
            // An escape stands for one byte at least.
            b'\\' => more.get(if more.first() == Some(&b'u') { 5 } else { 1 }..).unwrap_or_default(),
            _ => more,
        };
        bytes += 1;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_counted_and_nothing_else() {
        for (api, event, bytes) in [
            (Api::Chat, r#"{"choices":[{"delta":{"content":"hello"}}],"obfuscation":"xxxx"}"#, 5),
            (Api::Chat, r#"{"choices":[{"delta":{"content" : "a\"b\u00e9\n"}}]}"#, 5),
            (Api::Chat, r#"{"choices":[{"delta":{"content":null,"reasoning_content":"hm"}}]}"#, 2),
            (Api::Chat, r#"{"choices":[{"delta":{"content":"say \"content\":\"x\""}}]}"#, 17),
            (Api::Chat, r#"{"choices":[{"message":{"content":"hello"}}]}"#, 0),
            (Api::Responses, r#"{"type":"response.output_text.delta","delta":"hello"}"#, 5),
            (Api::Responses, r#"{"type":"response.audio.delta","delta":"AAAA"}"#, 0),
            (Api::Messages, r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"hi"}}"#, 2),
            (Api::Messages, r#"{"type":"content_block_start","content_block":{"type":"text","text":"hi"}}"#, 0),
            (Api::Gemini, r#"{"candidates":[{"content":{"parts":[{"text":"hi"}]}}]}"#, 0),
            (Api::Chat, r#"{"delta":{"content":"cut"#, 3),
            (Api::Chat, r#"{"delta":{"content":"\u"#, 1),
        ] {
            assert_eq!(said(api, event.as_bytes()), bytes, "{event}");
        }
    }
}
