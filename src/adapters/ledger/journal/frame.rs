//! Frames: length, CRC32, and one or more entries, a line each. A frame is whole or it is not there: what was written
//! together comes back together. Does not know files of several segments; `segment` does.

use std::io::{self, Read};

/// Length and CRC32 of what follows, each four bytes, the least first.
pub(super) const HEADER: usize = 8;
/// No frame is longer. A longer length is damage.
pub(super) const MAX: usize = 64 << 20;

/// Fills in the header of a buffer that left room for it.
pub(super) fn seal(frame: &mut [u8]) {
    let (header, body) = frame.split_at_mut(HEADER);
    header[..4].copy_from_slice(&(body.len() as u32).to_le_bytes());
    header[4..].copy_from_slice(&crc32fast::hash(body).to_le_bytes());
}

/// What stands at one place of a file.
pub(super) enum Next {
    Body(Vec<u8>),
    /// The file ends here.
    End,
    /// No whole frame.
    Bad(&'static str),
}

/// Reads the next frame.
pub(super) fn next(file: &mut impl Read) -> io::Result<Next> {
    let mut header = [0; HEADER];
    match read_full(file, &mut header)? {
        0 => return Ok(Next::End),
        HEADER => {}
        _ => return Ok(Next::Bad("a frame's header is cut off")),
    }
    let (len, crc) = parse(&header);
    if len == 0 || len > MAX {
        return Ok(Next::Bad("no frame has that length"));
    }
    let mut body = Vec::new();
    file.by_ref().take(len as u64).read_to_end(&mut body)?;
    if body.len() < len {
        return Ok(Next::Bad("a frame is cut off"));
    }
    Ok(if crc32fast::hash(&body) == crc { Next::Body(body) } else { Next::Bad("the checksum differs") })
}

fn parse(header: &[u8; HEADER]) -> (usize, u32) {
    let [a, b, c, d, e, f, g, h] = *header;
    (u32::from_le_bytes([a, b, c, d]) as usize, u32::from_le_bytes([e, f, g, h]))
}

fn read_full(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

/// Does a whole frame stand anywhere in these bytes? Then what comes before it is no torn tail.
pub(super) fn any_whole(bytes: &[u8]) -> bool {
    first_whole(bytes).is_some()
}

/// Where the first whole frame in these bytes begins.
pub(super) fn first_whole(bytes: &[u8]) -> Option<usize> {
    let starts = memchr::memmem::find_iter(bytes, br#"{"seq":"#);
    let mut whole = starts.filter_map(|json| json.checked_sub(HEADER));
    whole.find(|at| matches!(next(&mut &bytes[*at..]), Ok(Next::Body(_))))
}
