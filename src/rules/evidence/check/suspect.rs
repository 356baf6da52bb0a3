//! The first event that does not continue the chain, and what the lines behind it tell of how that came about: a row that
//! comes later was swapped, one that never comes is missing. Remembers a few numbers, however long the file is.

use super::super::lines::Event;
use super::fault::{Fault, Row, What};
use crate::rules::chain::Place;
use crate::units::ids::Seq;

pub(super) struct Suspect {
    line: u64,
    /// The chain was good up to here.
    place: Place,
    /// What stands where the next event should; `None` for a checkpoint, or the end.
    found: Option<Seq>,
    next: Option<Seq>,
    /// The event that should stand here came later, and it continues the chain.
    comes_later: bool,
    found_again: bool,
}

impl Suspect {
    pub(super) fn new(line: u64, place: Place, found: Option<Seq>) -> Self {
        Self { line, place, found, next: None, comes_later: false, found_again: false }
    }

    fn expected(&self) -> Seq {
        self.place.seq + 1
    }

    pub(super) fn hear(&mut self, event: &Event<'_>) {
        self.next = self.next.or(Some(event.seq));
        let continues = || self.place.next(event.seq, event.body.as_bytes()).head == event.head;
        self.comes_later |= event.seq == self.expected() && continues();
        self.found_again |= Some(event.seq) == self.found;
    }

    pub(super) fn judge(&self) -> Fault {
        let expected = self.expected();
        let (seq, what, why) = match self.found {
            Some(found) if found < expected => (found, What::Extra, "it stood here before".to_owned()),
            Some(found) if self.comes_later && (self.found_again || found == expected) => {
                (found, What::Extra, "it is no part of the chain here".to_owned())
            }
            Some(found) if self.comes_later => (expected, What::Swapped, format!("event {found} stands in its place")),
            None if self.comes_later => (expected, What::Swapped, "it stands behind its checkpoint".to_owned()),
            Some(found) if found == expected || self.next == Some(expected + 1) => {
                (expected, What::Changed, "its bytes, or its head, are not those that were chained".to_owned())
            }
            Some(found) => (expected, What::Missing, format!("event {found} follows on {}", self.place.seq)),
            None => (expected, What::Missing, "its checkpoint says that it was here".to_owned()),
        };
        Fault { line: self.line, row: Row::Event(seq), what, why }
    }
}
