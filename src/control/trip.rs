//! Switches of policies that were set off: said aloud (log, counters, books and so every sink), and carried out as a kill or a
//! revocation by an operator is. A person restores what they turned off, with the same commands.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{ControlState, switch};
use crate::rules::books::Control;
use crate::rules::policy::{Deed, Trip};

/// How many there were since the start.
#[derive(Default)]
pub struct Trips {
    alerts: AtomicU64,
    suspensions: AtomicU64,
    kills: AtomicU64,
}

impl Trips {
    fn of(&self, deed: Deed) -> &AtomicU64 {
        match deed {
            Deed::Alert => &self.alerts,
            Deed::Suspend => &self.suspensions,
            Deed::Kill => &self.kills,
        }
    }

    pub(super) fn counts(&self) -> [(&'static str, u64); 3] {
        [Deed::Alert, Deed::Suspend, Deed::Kill].map(|deed| (deed.as_str(), self.of(deed).load(Ordering::Relaxed)))
    }
}

/// Returns when it holds everywhere, or is told again until it does.
pub async fn trip(state: Arc<ControlState>, trip: Trip) {
    let Trip { rule, trigger, deed, flag, measured, call } = &trip;
    tracing::warn!(%rule, on = trigger, does = deed.as_str(), %flag, %call, "a switch was set off: {measured}");
    state.trips.of(*deed).fetch_add(1, Ordering::Relaxed);
    let (flag, act) = (flag.clone(), trip.act());
    let done = match deed {
        Deed::Alert => switch::tell(&state, &Control::Alerted { flag, act }).await.map(drop),
        Deed::Suspend | Deed::Kill => switch::trip(&state, flag, act).await.map_err(|problem| format!("{problem:?}")),
    };
    if let Err(why) = done {
        tracing::error!(%rule, "a switch was set off, and that is not everywhere yet: {why}");
    }
}
