//! What many lines have in common, as text: who calls what, and on which accounts. It is made once for the calls of a key to an
//! operation, and told apart by its place in memory, which it keeps while it is known here. Knows no entry.

use std::sync::Arc;

use crate::rules::ledger::entry::Posting;
use crate::rules::subject::Facts;

/// So many of each are known; a further one takes another's place.
const SLOTS: usize = 64;

/// For one writer of lines.
#[derive(Default)]
pub struct Memo {
    pub(super) facts: Texts<Facts>,
    pub(super) postings: Texts<[Posting]>,
}

pub(super) struct Texts<T: ?Sized>(Box<[Slot<T>]>);

type Slot<T> = Option<(Arc<T>, Box<[u8]>)>;

impl<T: ?Sized> Default for Texts<T> {
    fn default() -> Self {
        Self((0..SLOTS).map(|_| None).collect())
    }
}

impl<T: ?Sized> Texts<T> {
    pub(super) fn of(&self, value: &Arc<T>) -> Option<&[u8]> {
        let (known, text) = self.0.get(slot(value))?.as_ref()?;
        Arc::ptr_eq(known, value).then_some(text)
    }

    pub(super) fn keep(&mut self, value: &Arc<T>, text: &[u8]) {
        if let Some(slot) = self.0.get_mut(slot(value)) {
            *slot = Some((value.clone(), text.into()));
        }
    }
}

/// Neighbours in memory, which lie some hundred bytes apart, get slots of their own.
fn slot<T: ?Sized>(value: &Arc<T>) -> usize {
    let address = Arc::as_ptr(value).cast::<u8>().addr();
    (address >> 4 ^ address >> 10) % SLOTS
}
