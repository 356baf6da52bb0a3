//! Checkpoints that stand elsewhere: in a file, or with whoever received them, one JSON object a line. Each fixes what the
//! books were when it was made, also against whoever holds the signing key.

use std::collections::BTreeMap;

use super::Signed;
use crate::units::ids::{Digest32, Seq};

#[derive(Clone, Debug, Default)]
pub struct Anchors {
    known: BTreeMap<u64, Anchor>,
    /// Lines that are no checkpoint, such as one that a full disk cut off.
    pub unreadable: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    pub number: u64,
    pub hash: Digest32,
    /// It covers events up to this one.
    pub to: Seq,
}

impl Anchors {
    /// Adds what stands in a file.
    ///
    /// # Errors
    /// An anchor that nobody signed as it stands, or two that contradict each other.
    pub fn read(&mut self, text: &str) -> Result<(), String> {
        for (line, text) in (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty()) {
            match serde_json::from_str::<Signed>(text) {
                Ok(signed) => self.add(&signed).map_err(|why| format!("line {line}: {why}"))?,
                Err(_) => self.unreadable += 1,
            }
        }
        Ok(())
    }

    fn add(&mut self, signed: &Signed) -> Result<(), String> {
        let number = signed.checkpoint.number;
        if !signed.is_genuine() {
            return Err(format!("checkpoint {number} is not signed as it stands"));
        }
        let anchor = Anchor { number, hash: signed.checkpoint.hash(), to: signed.checkpoint.to };
        match self.known.insert(number, anchor) {
            Some(other) if other != anchor => Err(format!(
                "there are two different checkpoints {number}, both signed: one history was replaced by another"
            )),
            _ => Ok(()),
        }
    }

    pub fn get(&self, number: u64) -> Option<&Anchor> {
        self.known.get(&number)
    }

    pub fn last(&self) -> Option<&Anchor> {
        self.known.values().next_back()
    }

    pub fn len(&self) -> u64 {
        self.known.len() as u64
    }

    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}
