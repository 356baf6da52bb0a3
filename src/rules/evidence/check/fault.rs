//! What is wrong with an export, and with which row.

use std::fmt;

use serde::Serialize;

use crate::units::ids::Seq;

/// The first bad row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Of the file, from 1.
    pub line: u64,
    #[serde(flatten)]
    pub row: Row,
    pub what: What,
    pub why: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, {}: {}: {}", self.line, self.row, self.what, self.why)
    }
}

/// Which row, as the books count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "row", content = "number")]
pub enum Row {
    Event(Seq),
    Checkpoint(u64),
    /// What frames the rows: the file's first and last lines.
    File,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(seq) => write!(f, "event {seq}"),
            Self::Checkpoint(number) => write!(f, "checkpoint {number}"),
            Self::File => f.write_str("the file itself"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    Changed,
    Missing,
    Swapped,
    Extra,
    Truncated,
    BadSignature,
    UnknownKey,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Changed => "changed",
            Self::Missing => "missing",
            Self::Swapped => "swapped",
            Self::Extra => "extra",
            Self::Truncated => "truncated",
            Self::BadSignature => "bad signature",
            Self::UnknownKey => "unknown key",
        })
    }
}
