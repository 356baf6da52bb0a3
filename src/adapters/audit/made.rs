//! Which call made a thing at its vendor, what it was charged for it, and whether that was replaced since: from the events, so
//! that every node and every start finds the same. Pure walks over what every store answers.

use super::project::{self, Change};
use super::{AuditError, AuditStore};
use crate::rules::books::{Closing, Made, Opening};
use crate::rules::ledger::entry::Op;
use crate::rules::vendors::Recalled;
use crate::units::amount::Amounts;
use crate::units::ids::{CallId, Digest32};
use crate::units::time::Timestamp;

/// A call that made something.
#[derive(Clone, Debug)]
pub struct Making {
    pub opening: Opening,
    pub made: Made,
    pub taken: Timestamp,
    /// When it was charged first, and for what.
    pub ended: Timestamp,
    pub charge: Amounts,
    /// Its charge was replaced.
    pub adjusted: bool,
}

impl Making {
    fn of(store: &dyn AuditStore, call: CallId) -> Result<Option<Self>, AuditError> {
        let mut entries = store.entries_of(call)?.into_iter();
        let Some((taken, Op::Reserve { row, .. })) = entries.next().map(|first| (first.at, first.op)) else {
            return Ok(None);
        };
        let mut found: Option<Self> = None;
        for entry in entries {
            let charge = match project::change(&entry.op) {
                Some(Change::Close { charge, .. } | Change::Adjust { charge, .. }) => charge,
                _ => continue,
            };
            let made = closing(&entry.op).and_then(|closing| closing.made.clone());
            match (&mut found, made) {
                (None, Some(made)) => {
                    let (opening, made, ended) = ((*row).clone(), *made, entry.at);
                    found = Some(Self { opening, made, taken, ended, charge, adjusted: false });
                }
                (Some(found), _) => {
                    found.charge = charge;
                    // Not by its own late end, nor by what a repeat said.
                    found.adjusted |= matches!(entry.op, Op::Adjust { heard: None, row: None, .. });
                }
                (None, None) => {}
            }
        }
        Ok(found)
    }

    fn is_of(&self, vendor: &str) -> bool {
        self.opening.facts.as_ref().is_some_and(|facts| &*facts.vendor == vendor)
    }

    fn recalled(&self) -> Recalled {
        let (made, call) = (self.made.clone(), self.opening.call);
        Recalled { made, call, charge: self.charge, at: self.taken, settled: self.adjusted }
    }
}

fn closing(op: &Op) -> Option<&Closing> {
    match op {
        Op::Commit { row, .. } | Op::Adjust { row: Some(row), .. } => Some(row),
        _ => None,
    }
}

/// The last call that made this at the vendor, wherever there: its names are nobody else's.
pub fn making(store: &dyn AuditStore, vendor: &str, object: &str) -> Result<Option<Making>, AuditError> {
    found(store, object, |making| making.is_of(vendor))
}

fn found(store: &dyn AuditStore, object: &str, test: impl Fn(&Making) -> bool) -> Result<Option<Making>, AuditError> {
    for call in store.made(object)? {
        let found = Making::of(store, call)?.filter(&test);
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The last call that made this at this place, and where it is a part of something, the call that is charged for the whole.
pub fn recall(
    store: &dyn AuditStore,
    vendor: &str,
    place: Digest32,
    object: &str,
) -> Result<Option<Recalled>, AuditError> {
    let here = |making: &Making| making.is_of(vendor) && making.made.place == Some(place);
    let Some(making) = found(store, object, here)? else { return Ok(None) };
    let Some(whole) = making.made.of.clone() else { return Ok(Some(making.recalled())) };
    let charged = found(store, &whole, here)?;
    Ok(charged.map(|charged| Recalled { made: making.made, ..charged.recalled() }))
}

/// Calls since then whose price is still to be asked for.
pub fn unpriced(store: &dyn AuditStore, since: Timestamp) -> Result<Vec<Making>, AuditError> {
    let mut found = Vec::new();
    for call in store.made_since(since)? {
        found.extend(Making::of(store, call)?.filter(|making| making.made.ask.is_some() && !making.adjusted));
    }
    Ok(found)
}
