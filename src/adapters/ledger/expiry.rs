//! Ends the holds that nobody ended: once a second, those whose lease is over are charged in full and flagged.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::embedded::Embedded;

const EVERY: Duration = Duration::from_secs(1);

/// Runs until `stop`.
pub async fn run(ledger: Arc<Embedded>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => drop(ledger.expire()),
        }
    }
}
