//! Who came in and who was turned away, for the books: the first request of each in an hour, and refusals as far as their
//! budget goes, so that a scanner cannot fill the disk. Decides nothing; `guard` does. A request never waits for this.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::ControlState;
use crate::adapters::audit::denials::{DenialBudget, Row};
use crate::rules::books::{Act, Control};
use crate::units::time::Timestamp;

/// Somebody who comes again within this time has not gone meanwhile.
const VISIT_SECS: i64 = 3600;
/// Visitors that are remembered at once; they name themselves, so there may be many.
const REMEMBERED: usize = 1000;

pub struct Door {
    visits: Mutex<HashMap<String, Timestamp>>,
    entered: DenialBudget,
    refused: DenialBudget,
}

impl Default for Door {
    fn default() -> Self {
        let now = Timestamp::now();
        let visits = Mutex::default();
        Self { visits, entered: DenialBudget::usual(now), refused: DenialBudget::usual(now) }
    }
}

impl Door {
    /// For tests of what else stands in the books.
    #[cfg(test)]
    pub fn silent() -> Self {
        let none = || DenialBudget::new(0, 0, Timestamp::now());
        Self { visits: Mutex::default(), entered: none(), refused: none() }
    }

    /// An event for this request, if it begins a visit.
    fn entered(&self, from: Option<String>, act: Act, now: Timestamp) -> Option<Control> {
        let visitor = format!("{} {}", act.actor, from.as_deref().unwrap_or_default());
        let mut visits = self.visits.lock();
        let since = now.plus_secs(-VISIT_SECS);
        if visits.get(&visitor).is_some_and(|last| *last > since) {
            return None;
        }
        if visits.len() >= REMEMBERED {
            visits.retain(|_, last| *last > since);
        }
        if visits.len() < REMEMBERED {
            visits.insert(visitor, now);
        }
        let folded = unfolded(&self.entered, now)?;
        Some(Control::AdminLogin { from, act: with(act, folded) })
    }

    fn refused(&self, code: &str, from: Option<String>, act: Act, now: Timestamp) -> Option<Control> {
        let folded = unfolded(&self.refused, now)?;
        Some(Control::AdminRefused { code: code.to_owned(), from, act: with(act, folded) })
    }
}

fn unfolded(budget: &DenialBudget, now: Timestamp) -> Option<u64> {
    match budget.ask(now) {
        Row::Write { folded } => Some(folded),
        Row::Fold => None,
    }
}

/// Those that have no event of their own are counted by the next one.
fn with(act: Act, folded: u64) -> Act {
    let more = (folded > 0).then(|| format!("and {folded} more like it before"));
    let reason = [act.reason, more].into_iter().flatten().collect::<Vec<_>>().join(", ");
    Act { actor: act.actor, reason: Some(reason).filter(|r| !r.is_empty()) }
}

pub(super) fn entered(state: &Arc<ControlState>, from: Option<String>, act: Act) {
    tell(state, state.door.entered(from, act, Timestamp::now()));
}

pub(super) fn refused(state: &Arc<ControlState>, code: &str, from: Option<String>, act: Act) {
    tell(state, state.door.refused(code, from, act, Timestamp::now()));
}

fn tell(state: &Arc<ControlState>, control: Option<Control>) {
    let Some(control) = control else { return };
    let ledger = state.ledger.clone();
    tokio::spawn(async move {
        let about = control.about();
        if let Err(e) = ledger.control(control).await {
            tracing::error!("{about}: the books could not be told: {e}");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visit_is_one_event_and_a_scan_is_bounded() {
        let (door, start) = (Door::default(), Timestamp::now());
        let act = || Act { actor: "token:ann".to_owned(), reason: None };
        assert!(door.entered(None, act(), start).is_some());
        assert!(door.entered(None, act(), start.plus_secs(3000)).is_none());
        assert!(door.entered(Some("10.0.0.1".to_owned()), act(), start.plus_secs(3000)).is_some());
        assert!(door.entered(None, act(), start.plus_secs(3601)).is_some());
        let scan = |at: Timestamp| door.refused("wrong_token", None, act(), at);
        let written = (0..1000).filter(|_| scan(start).is_some()).count();
        assert_eq!(written, 60);
        let Some(Control::AdminRefused { act, .. }) = scan(start.plus_secs(5)) else { panic!("room again") };
        assert_eq!(act.reason.as_deref(), Some("and 940 more like it before"));
        for n in 0..5000 {
            door.entered(Some(n.to_string()), Act { actor: "x".to_owned(), reason: None }, start);
        }
        assert!(door.visits.lock().len() <= REMEMBERED);
    }
}
