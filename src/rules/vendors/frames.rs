//! A push parser for AWS event streams (`application/vnd.amazon.eventstream`): frames of headers and a payload with a checksum
//! over the beginning and one over all of it. How the bytes were cut changes nothing. A frame whose checksum is wrong is no
//! frame, and nothing behind it can be found. Knows no event's meaning; the vendors' files do.

use bytes::{Buf, BytesMut};

/// Two lengths and their checksum.
const PRELUDE: usize = 12;
/// The last four bytes.
const CHECKSUM: usize = 4;

/// One frame.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// `:event-type`, or `:exception-type`.
    pub kind: &'a str,
    /// `:message-type` is not `event`: an error or an exception.
    pub failed: bool,
    pub payload: &'a [u8],
}

/// A stream that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

/// The parser. An unfinished frame waits in it.
#[derive(Debug)]
pub struct Frames {
    limit: usize,
    waiting: BytesMut,
}

impl Frames {
    /// A parser that waits for at most `limit` bytes of one frame.
    pub fn new(limit: usize) -> Self {
        Self { limit, waiting: BytesMut::new() }
    }

    /// Takes the next bytes, and gives `sink` the frames that they complete.
    pub fn push(&mut self, chunk: &[u8], sink: &mut impl FnMut(Frame<'_>)) -> Result<(), Broken> {
        self.waiting.extend_from_slice(chunk);
        while let Some(length) = self.length()? {
            if self.waiting.len() < length {
                return Ok(());
            }
            let frame = self.waiting.split_to(length);
            sink(frame_of(&frame)?);
        }
        Ok(())
    }

    /// Has every frame come to its end?
    pub fn is_whole(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Of the frame that waits, once its beginning is there.
    fn length(&self) -> Result<Option<usize>, Broken> {
        let Some(mut prelude) = self.waiting.get(..PRELUDE) else { return Ok(None) };
        let sum = crc32fast::hash(&prelude[..PRELUDE - CHECKSUM]);
        let (length, headers) = (prelude.get_u32() as usize, prelude.get_u32() as usize);
        let fits = length >= PRELUDE + CHECKSUM && headers <= length - PRELUDE - CHECKSUM && length <= self.limit;
        if !fits || prelude.get_u32() != sum {
            return Err(Broken);
        }
        Ok(Some(length))
    }
}

/// Of bytes whose prelude has been checked.
fn frame_of(bytes: &[u8]) -> Result<Frame<'_>, Broken> {
    let (body, mut sum) = bytes.split_at_checked(bytes.len().wrapping_sub(CHECKSUM)).ok_or(Broken)?;
    if crc32fast::hash(body) != sum.get_u32() {
        return Err(Broken);
    }
    let headers = body.get(4..8).ok_or(Broken)?.get_u32() as usize;
    let (headers, payload) = body.get(PRELUDE..).and_then(|rest| rest.split_at_checked(headers)).ok_or(Broken)?;
    let mut frame = Frame { kind: "", failed: false, payload };
    let mut rest = headers;
    while !rest.is_empty() {
        let (name, value) = header(&mut rest).ok_or(Broken)?;
        match (name, value) {
            (b":event-type" | b":exception-type" | b":error-code", Some(value)) => frame.kind = value,
            (b":message-type", value) => frame.failed = value != Some("event"),
            _ => {}
        }
    }
    Ok(frame)
}

/// Name and text of one header; no text if it is of another type.
fn header<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], Option<&'a str>)> {
    fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
        let (taken, behind) = rest.split_at_checked(count)?;
        *rest = behind;
        Some(taken)
    }
    let length = usize::from(*take(rest, 1)?.first()?);
    let name = take(rest, length)?;
    let kind = *take(rest, 1)?.first()?;
    let size = match kind {
        0 | 1 => 0,
        2 => 1,
        3 => 2,
        4 => 4,
        5 | 8 => 8,
        9 => 16,
        6 | 7 => usize::from(take(rest, 2)?.get_u16()),
        _ => return None,
    };
    let value = take(rest, size)?;
    Some((name, if kind == 7 { Some(std::str::from_utf8(value).ok()?) } else { None }))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A frame as the vendor writes it.
    pub fn written(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
        let mut block = Vec::new();
        for (name, value) in headers {
            block.push(u8::try_from(name.len()).expect("short"));
            block.extend_from_slice(name.as_bytes());
            block.push(7);
            block.extend_from_slice(&u16::try_from(value.len()).expect("short").to_be_bytes());
            block.extend_from_slice(value.as_bytes());
        }
        let number = |n: usize| u32::try_from(n).expect("short").to_be_bytes();
        let mut frame = number(PRELUDE + block.len() + payload.len() + CHECKSUM).to_vec();
        frame.extend_from_slice(&number(block.len()));
        frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
        frame.extend_from_slice(&block);
        frame.extend_from_slice(payload);
        let sum = crc32fast::hash(&frame).to_be_bytes();
        frame.extend_from_slice(&sum);
        frame
    }

    pub fn event(kind: &str, payload: &[u8]) -> Vec<u8> {
        written(&[(":event-type", kind), (":content-type", "application/json"), (":message-type", "event")], payload)
    }

    fn read(chunks: &[&[u8]]) -> Result<Vec<(String, bool, Vec<u8>)>, Broken> {
        let mut frames = Frames::new(1 << 20);
        let mut out = Vec::new();
        for chunk in chunks {
            frames.push(chunk, &mut |frame| out.push((frame.kind.to_owned(), frame.failed, frame.payload.to_vec())))?;
        }
        Ok(out)
    }

    #[test]
    fn every_cut_gives_the_same_frames() {
        let bytes = [
            event("messageStart", b"{}"),
            written(&[(":message-type", "exception"), (":exception-type", "throttlingException")], b"{\"message\":1}"),
            event("metadata", b""),
        ]
        .concat();
        let whole = read(&[&bytes]).expect("sound");
        assert_eq!(whole.len(), 3);
        assert_eq!((whole[1].0.as_str(), whole[1].1, whole[2].0.as_str()), ("throttlingException", true, "metadata"));
        for at in 0..bytes.len() {
            assert_eq!(read(&[&bytes[..at], &bytes[at..]]).as_ref(), Ok(&whole), "cut at {at}");
        }
        let ones: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(read(&ones).as_ref(), Ok(&whole));
    }

    #[test]
    fn one_wrong_bit_anywhere_breaks_it() {
        let bytes = event("metadata", b"{\"usage\":1}");
        for at in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 0x10;
            // Longer than there is, or broken: never a frame.
            assert!(read(&[&wrong]).is_ok_and(|frames| frames.is_empty()) || read(&[&wrong]) == Err(Broken), "{at}");
        }
        assert_eq!(read(&[&[0; 16]]), Err(Broken));
    }
}
