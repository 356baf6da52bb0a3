//! How large a picture is, by the header of its file, so that its tokens are bounded by what it is and not by what a model can
//! read at most. PNG, JPEG, GIF and WebP; of anything else, and of what lies elsewhere, nothing is known here.

use base64::Engine;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{GeneralPurposeConfig, STANDARD};

use crate::rules::json::NodeRef;

/// How much of a file is looked at, in base64: the size stands behind a JPEG's own metadata.
const HEAD: usize = 512 * 1024;
/// Of a part of a text, that is cut anywhere.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
);

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Size {
    pub width: u64,
    pub height: u64,
}

/// Pictures that stand in a request: their tokens at most, and the bytes of the body that are no text.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Pictures {
    pub tokens: u64,
    pub bytes: u64,
}

impl Pictures {
    /// Counts one, in base64; false if its size cannot be told.
    pub fn add(&mut self, data: NodeRef<'_>, tokens: impl FnOnce(Size) -> u64) -> bool {
        let text = data.text().unwrap_or_default();
        let base64 = text.strip_prefix("data:").map_or(Some(text), |rest| Some(rest.split_once(";base64,")?.1));
        let Some(size) = base64.and_then(size) else { return false };
        self.tokens = self.tokens.saturating_add(tokens(size));
        self.bytes = self.bytes.saturating_add(data.span().len() as u64);
        true
    }
}

impl Size {
    /// Squares of `side` pixels that cover it.
    pub fn squares(self, side: u64) -> u64 {
        self.width.div_ceil(side).saturating_mul(self.height.div_ceil(side))
    }

    pub fn area(self) -> u64 {
        self.width.saturating_mul(self.height)
    }
}

/// The size of a picture in base64.
fn size(base64: &str) -> Option<Size> {
    let head = base64.as_bytes().get(..base64.len().min(HEAD))?;
    let head = &head[..head.len() - head.len() % 4];
    let bytes = STANDARD.decode(head).or_else(|_| LENIENT.decode(head)).ok()?;
    let size = png(&bytes).or_else(|| gif(&bytes)).or_else(|| webp(&bytes)).or_else(|| jpeg(&bytes))?;
    (size.width > 0 && size.height > 0).then_some(size)
}

fn big(bytes: &[u8], at: usize, len: usize) -> Option<u64> {
    Some(bytes.get(at..at + len)?.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

fn little(bytes: &[u8], at: usize, len: usize) -> Option<u64> {
    Some(bytes.get(at..at + len)?.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

fn png(bytes: &[u8]) -> Option<Size> {
    let ours = bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.get(12..16)? == b"IHDR";
    ours.then(|| Some(Size { width: big(bytes, 16, 4)?, height: big(bytes, 20, 4)? }))?
}

fn gif(bytes: &[u8]) -> Option<Size> {
    let ours = bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a");
    ours.then(|| Some(Size { width: little(bytes, 6, 2)?, height: little(bytes, 8, 2)? }))?
}

fn webp(bytes: &[u8]) -> Option<Size> {
    if !bytes.starts_with(b"RIFF") || bytes.get(8..12)? != b"WEBP" {
        return None;
    }
    match bytes.get(12..16)? {
        b"VP8X" => Some(Size { width: little(bytes, 24, 3)? + 1, height: little(bytes, 27, 3)? + 1 }),
        b"VP8L" => {
            let packed = little(bytes, 21, 4)?;
            Some(Size { width: (packed & 0x3fff) + 1, height: (packed >> 14 & 0x3fff) + 1 })
        }
        b"VP8 " => Some(Size { width: little(bytes, 26, 2)? & 0x3fff, height: little(bytes, 28, 2)? & 0x3fff }),
        _ => None,
    }
}

fn jpeg(bytes: &[u8]) -> Option<Size> {
    if !bytes.starts_with(b"\xff\xd8") {
        return None;
    }
    let mut at = 2;
    loop {
        if *bytes.get(at)? != 0xff {
            return None;
        }
        match *bytes.get(at + 1)? {
            0xff => at += 1,
            // Frames; the other three of the row are tables.
            0xc0..=0xcf if !matches!(bytes[at + 1], 0xc4 | 0xc8 | 0xcc) => {
                return Some(Size { width: big(bytes, at + 7, 2)?, height: big(bytes, at + 5, 2)? });
            }
            0x01 | 0xd0..=0xd8 => at += 2,
            _ => at += 2 + usize::try_from(big(bytes, at + 2, 2)?).ok()?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Option<(u64, u64)> {
        size(&STANDARD.encode(bytes)).map(|size| (size.width, size.height))
    }

    #[test]
    fn sizes_stand_in_the_header() {
        let png = [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice(), &[0, 0, 16, 0, 0, 0, 1, 44, 8, 6]].concat();
        assert_eq!(of(&png), Some((4096, 300)));
        assert_eq!(of(b"GIF89a\x20\x03\x58\x02\0\0"), Some((800, 600)));
        let vp8x = [b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0".as_slice(), &[0x1f, 3, 0, 0x57, 2, 0, 0]].concat();
        assert_eq!(of(&vp8x), Some((800, 600)));
        let app =
            [b"\xff\xd8\xff\xe0\0\x04ab\xff\xfe\0\x02".as_slice(), b"\xff\xc2\0\x11\x08\x02\x58\x03\x20\x03"].concat();
        assert_eq!(of(&app), Some((800, 600)));
        for unknown in [b"".as_slice(), b"\xff\xd8", b"\xff\xd8\xff\xe0\xff\xff", b"%PDF-1.7", b"RIFF\0\0\0\0WEBPVP8X"]
        {
            assert_eq!(of(unknown), None, "{unknown:?}");
        }
        assert_eq!(of(&[b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice(), &[0; 10]].concat()), None);
        // Cut in the middle of a longer text.
        assert!(size(&STANDARD.encode([&png[..], &vec![7; HEAD]].concat())).is_some());
    }
}
