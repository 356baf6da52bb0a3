//! How many tokens a JSON body can become at most. A byte-level tokenizer makes at most one token of a byte; one that
//! normalises its text first (NFKC) may see far more bytes than were sent: U+FDFA becomes 33 of its 3. Counts no real tokens.

/// A character below grows to at most eleven times its bytes.
const GROWTH: u64 = 10;

/// Code points whose NFKC form is longer than they are, as ranges; what lies between them in a range does no harm.
const GROWING: [(u32, u32); 34] = [
    (0xa8, 0xbe),
    (0x13f, 0x149),
    (0x1c4, 0x1c6),
    (0x2d8, 0x2dd),
    (0x344, 0x385),
    (0x587, 0x587),
    (0x675, 0x678),
    (0x958, 0x95f),
    (0x9dc, 0x9df),
    (0xa33, 0xa5e),
    (0xb5c, 0xb5d),
    (0xe33, 0xe33),
    (0xeb3, 0xedd),
    (0xf43, 0xfb9),
    (0x1fc1, 0x1fee),
    (0x2033, 0x2057),
    (0x2150, 0x2189),
    (0x222c, 0x2230),
    (0x247d, 0x2487),
    (0x2a0c, 0x2a0c),
    (0x2adc, 0x2adc),
    (0x309b, 0x309f),
    (0x30ff, 0x30ff),
    (0x3200, 0x327d),
    (0x32c0, 0x33fe),
    (0xfa6c, 0xfa6c),
    (0xfacf, 0xfb4f),
    (0xfbdd, 0xfdfc),
    (0xfe71, 0xfe7f),
    (0xfef5, 0xfefc),
    (0x1d15e, 0x1d164),
    (0x1d1bb, 0x1d1c0),
    (0x1f12a, 0x1f12a),
    (0x1f200, 0x1f248),
];

/// The most tokens that a body's text can be, for a tokenizer that may normalise it.
pub(in super::super) fn most_tokens(body: &[u8]) -> u64 {
    let plain = body.len() as u64;
    plain.saturating_add(GROWTH.saturating_mul(written_out(body).saturating_add(escaped(body))))
}

/// Bytes of growing characters that stand in the body as they are.
fn written_out(body: &[u8]) -> u64 {
    if body.is_ascii() {
        return 0;
    }
    let text = String::from_utf8_lossy(body);
    text.chars().filter(|c| !c.is_ascii() && grows(u32::from(*c))).map(|c| c.len_utf8() as u64).sum()
}

/// Bytes of growing characters that stand in the body as `\uXXXX`.
fn escaped(body: &[u8]) -> u64 {
    let code = |at: usize| {
        let digits = std::str::from_utf8(body.get(at + 2..at + 6)?).ok()?;
        u32::from_str_radix(digits, 16).ok()
    };
    let bytes = |code: u32| match code {
        // The first halves of what grows beyond the first plane.
        0xd834 | 0xd83c => 4,
        code if grows(code) => 3,
        _ => 0,
    };
    memchr::memmem::find_iter(body, b"\\u").filter_map(code).map(bytes).sum()
}

fn grows(code: u32) -> bool {
    let at = GROWING.partition_point(|(_, last)| *last < code);
    GROWING.get(at).is_some_and(|(first, _)| *first <= code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_growing_characters_count_more_than_their_bytes() {
        for (body, most) in [
            ("hello", 5),
            ("héllo", 6),
            ("漢字", 6),
            // Three bytes that may become 33.
            ("\u{fdfa}", 33),
            (r"\ufdfa", 36),
            (r"\u6f22\u5b57", 12),
            (r"\ud83c\udf89", 52),
            (r"\u12", 4),
            ("½", 22),
        ] {
            assert_eq!(most_tokens(body.as_bytes()), most, "{body}");
        }
        assert_eq!(most_tokens(b"\xff\xfe"), 2);
        assert!(GROWING.windows(2).all(|pair| pair[0].1 < pair[1].0));
    }
}
