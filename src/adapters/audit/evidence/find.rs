//! The way to a checkpoint, by halving: their numbers have no holes, and what they cover and when they were made only grows.

use crate::adapters::audit::{AuditError, AuditStore};
use crate::rules::evidence::Signed;
use crate::units::ids::Seq;

/// More changes of the key than anybody makes.
pub(super) const KEYS: usize = 10_000;

/// The last checkpoint of which `early` holds, among numbers up to `newest`; it holds of all before it.
pub(super) fn last(
    store: &dyn AuditStore,
    newest: u64,
    early: impl Fn(&Signed) -> bool,
) -> Result<Option<Signed>, AuditError> {
    let (mut low, mut high, mut found) = (1, newest.saturating_add(1), None);
    while low < high {
        let middle = low + (high - low) / 2;
        match store.checkpoints(middle, 1, false)?.pop() {
            Some(checkpoint) if early(&checkpoint) => {
                low = checkpoint.checkpoint.number.max(middle).saturating_add(1);
                found = Some(checkpoint);
            }
            _ => high = middle,
        }
    }
    Ok(found)
}

/// The first checkpoint that covers an event.
pub(super) fn covering(store: &dyn AuditStore, newest: u64, seq: Seq) -> Result<Option<Signed>, AuditError> {
    let before = last(store, newest, |c| c.checkpoint.to < seq)?;
    Ok(store.checkpoints(before.map_or(1, |c| c.checkpoint.number + 1), 1, false)?.pop())
}
