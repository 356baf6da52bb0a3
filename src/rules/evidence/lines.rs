//! An export of the books: one JSON object a line, each written in one way only, so that a byte which differs shows.
//!
//! `export` opens the file, `key` rows are earlier changes of the signing key, `base` is the checkpoint that the file begins
//! behind; then events, with a checkpoint behind each interval; `end` is signed and closes it.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{End, MOST, Signed, VERSION};
use crate::units::ids::{Digest32, Seq};

/// One line. Events are not in it: `event` writes and `Event` reads them, so that their bytes stay as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Line {
    Export { version: u8 },
    Key(Signed),
    Base(Signed),
    Checkpoint(Signed),
    End(End),
}

impl Line {
    pub const OPENING: Self = Self::Export { version: VERSION };

    /// Without the line's end.
    pub fn write(&self) -> String {
        // Its maps have strings as keys, so that it cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// `None` if it is not written as `write` does it.
    pub fn read(line: &str) -> Option<Self> {
        let read: Self = serde_json::from_str(line).ok()?;
        (read.write() == line).then_some(read)
    }
}

/// An event's line.
pub fn event(head: &Digest32, body: &str) -> String {
    format!("{{\"type\":\"event\",\"head\":\"{head}\",\"event\":{body}}}")
}

/// An event as its line has it.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    pub seq: Seq,
    pub head: Digest32,
    pub body: &'a str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    head: Digest32,
    #[serde(borrow)]
    event: &'a RawValue,
}

#[derive(Deserialize)]
struct Numbered {
    seq: Seq,
}

impl<'a> Event<'a> {
    /// `None` if it is not written as `event` does it, or has a number that no event can have.
    pub fn read(line: &'a str) -> Option<Self> {
        let Raw { kind, head, event: body } = serde_json::from_str(line).ok()?;
        let Numbered { seq } = serde_json::from_str(body.get()).ok()?;
        (kind == "event" && seq <= MOST && event(&head, body.get()) == line).then_some(Self {
            seq,
            head,
            body: body.get(),
        })
    }
}
