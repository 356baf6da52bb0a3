//! Lines of an event stream: where an event ends, and which fields it holds. A line ends in LF, CR or CRLF. `sse` keeps
//! the bytes.

use memchr::{memchr, memchr2};

/// Looks for the blank line that ends an event, and remembers between chunks how far it came.
#[derive(Debug, Default)]
pub(super) struct Boundary(State);

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing of this line has come yet.
    #[default]
    LineStart,
    InLine,
    /// A CR ended a line; a LF that follows belongs to it. So an event that ends in a lone CR waits for one more byte:
    /// else its raw bytes would depend on how the stream was cut.
    AfterCr {
        blank: bool,
    },
}

impl Boundary {
    /// How many bytes of this chunk still belong to the event, if it ends here.
    pub(super) fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            (self.0, at) = match (self.0, byte) {
                (State::AfterCr { blank: true }, _) => return Some(self.end(at + usize::from(byte == b'\n'))),
                (State::AfterCr { blank: false }, b'\n') => (State::LineStart, at + 1),
                (State::LineStart, b'\n') => return Some(self.end(at + 1)),
                (State::LineStart | State::AfterCr { .. }, b'\r') => (State::AfterCr { blank: true }, at + 1),
                (State::LineStart | State::AfterCr { .. }, _) => (State::InLine, at),
                (State::InLine, _) => line_end(bytes, at),
            };
        }
        None
    }

    /// Whether the bytes so far make a whole event, if no LF follows.
    pub(super) fn is_at_end(&self) -> bool {
        self.0 == State::AfterCr { blank: true }
    }

    fn end(&mut self, at: usize) -> usize {
        self.0 = State::LineStart;
        at
    }
}

/// Past the end of a line that has content, or past the bytes that there are.
fn line_end(bytes: &[u8], at: usize) -> (State, usize) {
    match memchr2(b'\n', b'\r', &bytes[at..]) {
        Some(found) if bytes[at + found] == b'\n' => (State::LineStart, at + found + 1),
        Some(found) => (State::AfterCr { blank: false }, at + found + 1),
        None => (State::InLine, bytes.len()),
    }
}

/// The fields of one event that anybody here reads; `id` and `retry` pass by.
pub(super) struct Fields<'a> {
    pub(super) name: &'a [u8],
    pub(super) data: Option<&'a [u8]>,
}

/// Reads an event. `joined` takes the data only if it has several lines.
pub(super) fn fields<'a>(text: &'a [u8], joined: &'a mut Vec<u8>) -> Fields<'a> {
    let (mut name, mut data, mut several) = (&b""[..], None, false);
    for line in lines(text) {
        match field(line) {
            (b"event", value) => name = value,
            (b"data", value) => match data {
                None => data = Some(value),
                Some(first) => {
                    if !several {
                        joined.clear();
                        joined.extend_from_slice(first);
                    }
                    several = true;
                    joined.push(b'\n');
                    joined.extend_from_slice(value);
                }
            },
            _ => {}
        }
    }
    Fields { name, data: if several { Some(joined) } else { data } }
}

/// Name and value of a line. A comment has the empty name.
fn field(line: &[u8]) -> (&[u8], &[u8]) {
    match memchr(b':', line) {
        Some(colon) => {
            let value = &line[colon + 1..];
            (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
        }
        None => (line, b""),
    }
}

/// The lines without their ends. The empty line between the CR and the LF of a CRLF is harmless: it holds no field.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (line, behind) = match memchr2(b'\n', b'\r', text) {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        rest = behind;
        Some(line)
    })
}
