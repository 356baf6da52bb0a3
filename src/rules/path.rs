//! The one canonical path of a call: read once, then judged and sent as the very same bytes.
//!
//! What a vendor could only read one way is normalised; what two readers could read in two ways is refused. It decides
//! nothing about who may call what: `policy` does, on `for_rules`, and `upstream` writes `as_str`.

mod overrides;
mod refusal;
mod resource;
#[cfg(test)]
mod tests;

pub use overrides::{METHOD_OVERRIDES, query_or_form_overrides_method};
pub use refusal::PathRefusal;

use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use std::fmt;

/// As it stands in a canonical path.
const SLASH: &str = "%2F";
/// The longest path, as sent and as canonical.
pub const MAX_PATH: usize = 8 * 1024;
/// The longest query.
pub const MAX_QUERY: usize = 32 * 1024;
/// The most segments in one path.
pub const MAX_SEGMENTS: usize = 128;

/// A path that has one reading. Its bytes are the ones that are judged and the ones that are sent.
///
/// It begins with `/`, and holds only what RFC 3986 allows in a segment: unreserved bytes never stand encoded, hex digits
/// are upper case, and there is no empty segment, no dot segment, and no encoded `/` `\` `%` `?` `#` `;` or control byte, but
/// for the slash in the name of a resource of Bedrock's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CanonicalPath(String);

/// A request target, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What is judged and sent.
    pub path: CanonicalPath,
    /// What stands behind the first `?`, as it came (raw UTF-8 is percent-encoded, nothing is decoded).
    pub query: Option<String>,
}

impl Target {
    /// The request target as it goes on the wire.
    pub fn wire(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.as_str().to_owned(),
        }
    }
}

impl CanonicalPath {
    /// Reads a request target in origin form (`/path?query`).
    pub fn parse(raw_target: impl AsRef<[u8]>) -> Result<Target, PathRefusal> {
        let raw = raw_target.as_ref();
        refuse_other_forms(raw)?;
        let (path, query) = match memchr::memchr(b'?', raw) {
            Some(at) => (&raw[..at], Some(&raw[at + 1..])),
            None => (raw, None),
        };
        let path = canonical_path(path)?;
        let query = query.map(checked_query).transpose()?;
        Ok(Target { path, query })
    }

    /// The path itself, to be judged and to be sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments as sent. A trailing slash makes no segment, so that no rule can be dodged by adding one.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/').filter(|segment| !segment.is_empty())
    }

    /// The segments as a vendor reads them: `M%3A0` and `M:0` are the same to a rule, whichever is sent.
    pub fn decoded_segments(&self) -> impl DoubleEndedIterator<Item = Cow<'_, str>> {
        // The constructor has seen that every segment decodes to UTF-8, so nothing is ever replaced here.
        self.segments().map(|segment| percent_decode_str(segment).decode_utf8_lossy())
    }

    /// The path that patterns are matched against: decoded, and without a trailing slash.
    /// An encoded `/` stays what it is, so that a segment cannot pretend to be two.
    pub fn for_rules(&self) -> Cow<'_, str> {
        let path = match self.0.strip_suffix('/') {
            Some("") | None => self.0.as_str(),
            Some(shorter) => shorter,
        };
        let decoded = |part| percent_decode_str(part).decode_utf8_lossy();
        match self.names_a_resource() {
            false => decoded(path),
            true => path.split(SLASH).map(decoded).collect::<Vec<_>>().join(SLASH).into(),
        }
    }

    /// Does a segment hold an encoded slash, as only a vendor who names resources so may be sent?
    pub fn names_a_resource(&self) -> bool {
        self.0.contains(SLASH)
    }

    /// Whether the path ends in a slash. It is kept because vendors differ: some want it, some redirect, some refuse.
    pub fn has_trailing_slash(&self) -> bool {
        self.0.len() > 1 && self.0.ends_with('/')
    }

    /// The path below the first segment, which names the vendor. Any tail of a canonical path is canonical.
    pub fn without_first(mut self) -> CanonicalPath {
        let end = memchr::memchr(b'/', &self.0.as_bytes()[1..]);
        match end {
            Some(at) => drop(self.0.drain(..=at)),
            None => self.0.truncate(1),
        }
        self
    }
}

impl fmt::Display for CanonicalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Only origin form is served. A target that brings its own host would put the choice of vendor in two places.
fn refuse_other_forms(raw: &[u8]) -> Result<(), PathRefusal> {
    match raw {
        [] => Err(PathRefusal::Empty),
        [b'/', ..] if memchr::memchr(b'#', raw).is_some() => Err(PathRefusal::Fragment),
        [b'/', ..] => Ok(()),
        b"*" => Err(PathRefusal::Asterisk),
        _ if memchr::memmem::find(raw, b"://").is_some() => Err(PathRefusal::AbsoluteForm),
        _ => Err(PathRefusal::NoLeadingSlash),
    }
}

fn canonical_path(raw: &[u8]) -> Result<CanonicalPath, PathRefusal> {
    if raw.len() > MAX_PATH {
        return Err(PathRefusal::TooLong);
    }
    let mut out = String::with_capacity(raw.len());
    let (mut count, mut open) = (0, false);
    for segment in raw[1..].split(|&byte| byte == b'/') {
        let start = out.len();
        out.push('/');
        push_segment(&mut out, segment)?;
        match &out[start + 1..] {
            // SDKs join a base and a path with two slashes; `.` says nothing. `..` may step over the segment that
            // names the vendor, means different things beside `//`, and no SDK sends it.
            ".." => return Err(PathRefusal::ParentSegment),
            "" | "." => {
                out.truncate(start);
                open = true;
            }
            _ => (open, count) = (false, count + 1),
        }
    }
    if open || out.is_empty() {
        out.push('/');
    }
    within_limits(&out, count)?;
    Ok(CanonicalPath(out))
}

fn within_limits(path: &str, segments: usize) -> Result<(), PathRefusal> {
    match () {
        () if path.len() > MAX_PATH => Err(PathRefusal::TooLong),
        () if segments > MAX_SEGMENTS => Err(PathRefusal::TooManySegments),
        () => Ok(()),
    }
}

fn push_segment(out: &mut String, mut raw: &[u8]) -> Result<(), PathRefusal> {
    let (start, whole) = (out.len(), raw);
    let (mut beyond_ascii, mut named) = (false, None);
    while let [byte, rest @ ..] = raw {
        let (value, encoded) = match byte {
            b'%' => (triplet(rest)?, true),
            _ => (*byte, false),
        };
        raw = if encoded { &rest[2..] } else { rest };
        let in_name = value == b'/' && *named.get_or_insert_with(|| resource::is_name(whole));
        (if in_name { Ok(()) } else { refuse_two_readings(value, encoded) })?;
        push_byte(out, value, encoded);
        beyond_ascii |= !value.is_ascii();
    }
    if beyond_ascii && percent_decode_str(&out[start..]).decode_utf8().is_err() {
        return Err(PathRefusal::NotUtf8);
    }
    Ok(())
}

/// The value of the two hex digits behind a `%`.
fn triplet(rest: &[u8]) -> Result<u8, PathRefusal> {
    let digit = |at: usize| {
        let byte = char::from(*rest.get(at)?);
        byte.to_digit(16)
    };
    match (digit(0), digit(1)) {
        // Two hex digits are at most 255.
        (Some(high), Some(low)) => Ok((high * 16 + low) as u8),
        _ => Err(PathRefusal::BadPercent),
    }
}

/// Bytes that servers are known to read in more than one way.
fn refuse_two_readings(value: u8, encoded: bool) -> Result<(), PathRefusal> {
    match (value, encoded) {
        (0..=0x1f | 0x7f, _) => Err(PathRefusal::Control),
        (b' ', false) => Err(PathRefusal::Space),
        (b'\\', _) => Err(PathRefusal::Backslash),
        (b';', _) => Err(PathRefusal::Parameter),
        (b'/', true) => Err(PathRefusal::EncodedSlash),
        (b'%', true) => Err(PathRefusal::EncodedPercent),
        (b'?' | b'#', true) => Err(PathRefusal::EncodedDelimiter),
        _ => Ok(()),
    }
}

/// Unreserved bytes stand plain. Reserved bytes keep their spelling, because a signature or a vendor may hang on it.
/// Everything else stands encoded.
fn push_byte(out: &mut String, value: u8, encoded: bool) {
    let unreserved = value.is_ascii_alphanumeric() || matches!(value, b'-' | b'.' | b'_' | b'~');
    let reserved = b"!$&'()*+,=:@".contains(&value);
    if unreserved || (reserved && !encoded) {
        out.push(char::from(value));
    } else {
        out.push_str(percent_encoding::percent_encode_byte(value));
    }
}

/// The query goes out as it came; `form` reads it where a rule asks. Only what could not stand on the wire is decided here.
fn checked_query(raw: &[u8]) -> Result<String, PathRefusal> {
    let text = std::str::from_utf8(raw).map_err(|_| PathRefusal::NotUtf8)?;
    if text.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(PathRefusal::Control);
    }
    if memchr::memchr(b' ', raw).is_some() {
        return Err(PathRefusal::Space);
    }
    let query = percent_encoding::utf8_percent_encode(text, percent_encoding::CONTROLS).to_string();
    (query.len() <= MAX_QUERY).then_some(query).ok_or(PathRefusal::TooLong)
}
