//! One entry with its bytes. An entry is encoded once: the file, the audit store and its hash chain use the same bytes.

use std::cell::RefCell;
use std::ops::Deref;
use std::sync::Arc;

use super::frame;
use crate::rules::ledger::entry::{Entry, Memo};

/// The longest entry. Groups of them stay below the longest frame.
const MOST: usize = 16 << 20;

thread_local! {
    /// Where frames are put together, so that each is kept in as many bytes as it has; and what lines have in common.
    static SCRATCH: RefCell<(Vec<u8>, Memo)> = RefCell::default();
}

/// An entry, and how it stands in the journal.
#[derive(Debug)]
pub struct Record {
    entry: Entry,
    /// A whole frame: header and JSON.
    frame: Box<[u8]>,
}

impl Record {
    /// # Errors
    /// For an entry that no frame takes. Whoever makes entries bounds their words, so none does; what did would be damage.
    pub fn encode(entry: Entry) -> Result<Self, serde_json::Error> {
        SCRATCH.with_borrow_mut(|(scratch, memo)| {
            scratch.clear();
            scratch.extend_from_slice(&[0; frame::HEADER]);
            entry.write_line(scratch, memo)?;
            if scratch.len() > MOST {
                let size = scratch.len();
                scratch.clear();
                scratch.shrink_to(MOST);
                return Err(serde::ser::Error::custom(format!("an entry of {size} bytes is too long for the journal")));
            }
            frame::seal(scratch);
            Ok(Self { entry, frame: scratch.as_slice().into() })
        })
    }

    /// # Errors
    /// As `encode`.
    pub fn encode_all(entries: impl IntoIterator<Item = Entry>) -> Result<Vec<Arc<Self>>, serde_json::Error> {
        entries.into_iter().map(|entry| Self::encode(entry).map(Arc::new)).collect()
    }

    /// From the journal.
    pub(super) fn decode(json: &[u8]) -> Result<Self, serde_json::Error> {
        let entry = serde_json::from_slice(json)?;
        let mut frame = Vec::with_capacity(frame::HEADER + json.len());
        frame.extend_from_slice(&[0; frame::HEADER]);
        frame.extend_from_slice(json);
        Ok(Self { entry, frame: frame.into() })
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
