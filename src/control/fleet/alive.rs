//! This node's heartbeat, and what its silence means: a node that has not heard the ledger for `max_silence` cannot hear of a
//! revocation either, so its calls in flight end. The canary flies beside it.

use std::time::{Duration, Instant};

use crate::adapters::fleet::Fleet;
use crate::adapters::switchboard::Cause;
use crate::control::ControlState;

/// Before a canary that could not fly is let out again.
const GROUNDED: Duration = Duration::from_secs(2);

/// Beats for ever.
pub(super) async fn beat(state: &ControlState, fleet: &Fleet) {
    let (mut silent, mut ended_at) = (false, None::<Instant>);
    loop {
        fleet.may_admit_for(Duration::from_secs(state.policies.current().longest_alone().into()));
        fleet.writes_books(state.books.leads());
        match fleet.beat().await {
            Ok(_) => {
                if silent {
                    tracing::info!("the other nodes are heard again");
                }
                (silent, ended_at) = (false, None);
                fleet.was_beaten();
            }
            Err(why) if !silent => {
                silent = true;
                tracing::error!("the other nodes are not heard: {why}");
            }
            Err(_) => {}
        }
        // Calls that were admitted in silence live no longer than that without a word either.
        if fleet.silence() >= fleet.max_silence && ended_at.is_none_or(|at| at.elapsed() >= fleet.max_silence) {
            ended_at = Some(Instant::now());
            let ended = state.switchboard.stop_all(Cause::CutOff);
            tracing::error!(ended, "cut off from the ledger for too long: calls in flight were ended");
        }
        fleet.due().await;
    }
}

/// Flies canaries for ever.
pub(super) async fn fly(fleet: &Fleet) {
    loop {
        if let Err(why) = fleet.fly().await {
            tracing::debug!("the canary did not fly: {why}");
            tokio::time::sleep(GROUNDED).await;
        }
        fleet.rest().await;
    }
}
