//! A push parser for JSON objects that follow each other: one array of them, lines of them, or one alone. It gives each object's
//! own bytes when its last brace has come, however the bytes were cut, and reads nothing in it; the vendors' files do.

use bytes::BytesMut;

/// The parser. An unfinished object waits in it.
#[derive(Debug)]
pub struct Objects {
    limit: usize,
    waiting: BytesMut,
    /// Braces and brackets that are open within the object.
    depth: usize,
    /// Within a text, and behind a backslash in it.
    text: bool,
    escaped: bool,
    overflown: bool,
}

/// An object was longer than the limit; nothing behind it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl Objects {
    /// A parser that waits for at most `limit` bytes of one object.
    pub fn new(limit: usize) -> Self {
        Self { limit, waiting: BytesMut::new(), depth: 0, text: false, escaped: false, overflown: false }
    }

    /// Takes the next bytes, and gives `sink` the objects that they complete.
    pub fn push(&mut self, mut chunk: &[u8], sink: &mut impl FnMut(&[u8])) -> Result<(), TooLong> {
        while !chunk.is_empty() && !self.overflown {
            if self.depth == 0 {
                // Between objects: brackets, commas, line ends.
                let Some(start) = memchr::memchr(b'{', chunk) else { return Ok(()) };
                chunk = &chunk[start..];
            }
            let (taken, ended) = self.scan(chunk);
            if self.waiting.len() + taken > self.limit {
                self.overflown = true;
                break;
            }
            self.waiting.extend_from_slice(&chunk[..taken]);
            chunk = &chunk[taken..];
            if ended {
                sink(&self.waiting.split());
            }
        }
        if self.overflown { Err(TooLong) } else { Ok(()) }
    }

    /// Has every object come to its end?
    pub fn is_whole(&self) -> bool {
        self.depth == 0 && !self.overflown
    }

    /// How many bytes belong to the object, and whether it ends with them.
    fn scan(&mut self, bytes: &[u8]) -> (usize, bool) {
        for (at, byte) in bytes.iter().enumerate() {
            match (self.text, byte) {
                (true, _) if self.escaped => self.escaped = false,
                (true, b'\\') => self.escaped = true,
                (_, b'"') => self.text = !self.text,
                (false, b'{' | b'[') => self.depth += 1,
                (false, b'}' | b']') => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return (at + 1, true);
                    }
                }
                _ => {}
            }
        }
        (bytes.len(), false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(chunks: &[&[u8]], limit: usize) -> (Vec<String>, bool) {
        let mut objects = Objects::new(limit);
        let mut out = Vec::new();
        for chunk in chunks {
            if objects.push(chunk, &mut |o| out.push(String::from_utf8_lossy(o).into_owned())).is_err() {
                return (out, false);
            }
        }
        (out, objects.is_whole())
    }

    #[test]
    fn every_cut_gives_the_same_objects() {
        let a = r#"{"a":["}",{"b":"é\"]\\"}],"c":[[]]}"#;
        for (text, count) in [
            (format!("[{a}\n,\r\n{a}]"), 2),
            (format!("{a}\n{a}\n\n{{}}\n"), 3),
            (a.to_owned(), 1),
            ("[]".to_owned(), 0),
            ("]]}{}".to_owned(), 1),
        ] {
            let bytes = text.as_bytes();
            let whole = read(&[bytes], 1 << 20);
            assert_eq!((whole.0.len(), whole.1), (count, true), "{text}");
            for at in 0..bytes.len() {
                assert_eq!(read(&[&bytes[..at], &bytes[at..]], 1 << 20), whole, "{text} cut at {at}");
            }
        }
        assert_eq!(read(&[b"[{\"a\":1},{\"b"], 100), (vec!["{\"a\":1}".to_owned()], false));
        assert_eq!(read(&[b"[{\"a\":\"0123456789\"},{}]"], 8), (Vec::new(), false));
    }
}
