//! One entry with its bytes. An entry is encoded once: the file, the audit store and its hash chain use the same bytes.

use std::ops::Deref;

use super::frame;
use crate::rules::ledger::entry::Entry;

/// Few entries are longer.
const USUAL: usize = 1536;

/// An entry, and how it stands in the journal.
#[derive(Debug)]
pub struct Record {
    entry: Entry,
    /// A whole frame: header and JSON.
    frame: Vec<u8>,
}

impl Record {
    /// # Errors
    /// None for the entries that the book makes: all their map keys are strings.
    pub fn encode(entry: Entry) -> Result<Self, serde_json::Error> {
        let mut frame = Vec::with_capacity(USUAL);
        frame.extend_from_slice(&[0; frame::HEADER]);
        serde_json::to_writer(&mut frame, &entry)?;
        frame::seal(&mut frame);
        Ok(Self { entry, frame })
    }

    /// From the journal.
    pub(super) fn decode(json: &[u8]) -> Result<Self, serde_json::Error> {
        let entry = serde_json::from_slice(json)?;
        let mut frame = Vec::with_capacity(frame::HEADER + json.len());
        frame.extend_from_slice(&[0; frame::HEADER]);
        frame.extend_from_slice(json);
        Ok(Self { entry, frame })
    }

    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// One line of JSON, as it stands in the journal.
    pub fn json(&self) -> &[u8] {
        &self.frame[frame::HEADER..]
    }

    pub(super) fn frame(&self) -> &[u8] {
        &self.frame
    }
}

impl Deref for Record {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        &self.entry
    }
}
