//! Why a body is not JSON that every reader reads alike. `read` finds it, `args` tells the caller.

/// What is wrong, and at which byte of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at byte {offset}")]
pub struct JsonError {
    /// What is wrong.
    pub problem: Problem,
    /// Where, counted in bytes from 0.
    pub offset: usize,
}

/// The ways in which a body can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Nothing but white space.
    #[error("no value")]
    Empty,
    /// Bytes that are not UTF-8.
    #[error("bytes that are not UTF-8")]
    NotUtf8,
    /// U+FEFF in front: some readers skip it, some refuse it.
    #[error("a byte order mark")]
    ByteOrderMark,
    /// Comments, trailing commas, `NaN`, single quotes, leading zeros, an end too soon, and so on.
    #[error("invalid JSON")]
    Syntax,
    /// Something behind the value.
    #[error("something behind the end of the value")]
    Trailing,
    /// One object has a member twice, in whatever spelling.
    #[error("an object member given twice")]
    Duplicate,
    /// Half of a surrogate pair in a `\u` escape.
    #[error("half a surrogate pair")]
    LoneSurrogate,
    /// A raw control byte in a string.
    #[error("a raw control byte in a string")]
    Control,
    /// Arrays and objects deeper than `MAX_DEPTH`.
    #[error("nesting too deep")]
    TooDeep,
    /// 4 GiB or more.
    #[error("a body too long")]
    TooLong,
}
