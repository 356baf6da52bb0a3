//! Ends the holds that nobody ended: once a second, those whose lease is over are charged in full and flagged.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Store;

const EVERY: Duration = Duration::from_secs(1);

/// Runs until `stop`.
pub async fn run(ledger: Arc<dyn Store>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        if let Err(error) = ledger.expire().await {
            tracing::debug!(%error, "holds whose time is over could not be looked for");
        }
    }
}
