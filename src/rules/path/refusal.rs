//! Why a request target was refused, in words for the caller. `path` finds the reason; `problem` sends it.

use super::{MAX_PATH, MAX_QUERY, MAX_SEGMENTS};

/// A target that has no single reading. Always a 400, and never worth a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathRefusal {
    /// No target at all.
    #[error("the request target is empty; send a path that begins with `/`")]
    Empty,
    /// `*`, as `OPTIONS *` sends it.
    #[error("the request target `*` is not served; send a path that begins with `/`")]
    Asterisk,
    /// `http://host/path`, as a client sends it to a forward proxy.
    #[error("the request target is a whole URL; set bursar as the base URL, not as an HTTP proxy")]
    AbsoluteForm,
    /// `host:port`, or a path that lacks its slash.
    #[error("the request target does not begin with `/`; send a path, not a host name")]
    NoLeadingSlash,
    /// A raw `#`.
    #[error("the request target holds a fragment (`#`); leave it out")]
    Fragment,
    /// `%` without two hex digits.
    #[error("the path holds a `%` that is not followed by two hex digits")]
    BadPercent,
    /// `%2F`.
    #[error(
        "the path holds an encoded slash (`%2F`), which some servers read as a separator and some do not; send a plain `/`, or avoid it"
    )]
    EncodedSlash,
    /// `%25`.
    #[error(
        "the path holds an encoded percent sign (`%25`), which reads differently when it is decoded twice; encode the path once"
    )]
    EncodedPercent,
    /// `%3F` or `%23`.
    #[error("the path holds an encoded `?` or `#` (`%3F`, `%23`), which some servers take for the end of the path")]
    EncodedDelimiter,
    /// `\` or `%5C`.
    #[error("the path holds a backslash, plain or encoded, which some servers read as `/`; send `/`")]
    Backslash,
    /// NUL, a control byte or DEL, plain or encoded; in a query only plain.
    #[error("the request target holds a control byte, plain or encoded; leave it out")]
    Control,
    /// A plain space.
    #[error("the request target holds a plain space; send `%20`")]
    Space,
    /// `;` or `%3B`.
    #[error("the path holds a `;`, plain or encoded, which some servers cut off with all behind it; leave it out")]
    Parameter,
    /// `..` in any spelling.
    #[error("the path holds a `..` segment, plain or encoded; send the path that it leads to")]
    ParentSegment,
    /// Not UTF-8, plain or decoded.
    #[error("the request target is not UTF-8 once it is decoded; encode it as UTF-8")]
    NotUtf8,
    /// Longer than `MAX_PATH` or `MAX_QUERY`.
    #[error("the request target is too long: a path has at most {MAX_PATH} bytes, a query {MAX_QUERY}")]
    TooLong,
    /// More than `MAX_SEGMENTS`.
    #[error("the path has more than {MAX_SEGMENTS} segments")]
    TooManySegments,
}

impl PathRefusal {
    /// The status of the answer.
    pub fn status(self) -> u16 {
        400
    }
}
