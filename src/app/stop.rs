//! The way down: told to stop, bursar takes no new call, lets those in flight finish, settles what is left, writes the books.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Failure;
use super::parts::Parts;
use crate::adapters::audit::evidence::Evidence;
use crate::adapters::switchboard::Cause;

/// For the last rows to be written once every call has ended.
const LAST_ROWS: Duration = Duration::from_secs(10);
/// For the sinks to get them as well.
const LAST_DELIVERIES: Duration = Duration::from_secs(5);

/// Until SIGTERM or SIGINT.
pub async fn asked() {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        tracing::error!("signals cannot be heard; end this process with SIGKILL, which loses nothing either");
        return std::future::pending().await;
    };
    tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
    tracing::info!("stopping: no new calls; those in flight may finish");
}

pub async fn down(
    parts: Parts,
    gateway: JoinHandle<bool>,
    accepting: CancellationToken,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
) -> Result<(), Failure> {
    accepting.cancel();
    let all_ended = tokio::select! {
        ended = gateway => ended.unwrap_or(false),
        // Asked twice: no more patience with callers; asked once more, below, with vendors.
        () = asked() => false,
    };
    if !all_ended {
        let ended = parts.switchboard.stop_all(Cause::Closing);
        tracing::warn!(ended, "calls in flight were ended: their time was up");
    }
    tokio::select! { () = settled(&parts) => {}, () = asked() => {} }
    parts.ledger.flush().await?;
    stop.cancel();
    for task in tasks {
        // Each ends by itself now; one that does not is ended with the process.
        let _ = tokio::time::timeout(Duration::from_secs(2), task).await;
    }
    parts.last_stop.cancel();
    if tokio::time::timeout(LAST_ROWS, parts.projection).await.is_err() {
        tracing::warn!("the books end behind the journal; the next start writes the rest");
    } else {
        sign_the_rest(&parts.evidence).await;
    }
    parts.sinks.stop.cancel();
    let sinks = futures_util::future::join_all(parts.sinks.tasks);
    if tokio::time::timeout(LAST_DELIVERIES, sinks).await.is_err() {
        tracing::info!("a sink has not got all yet; it goes on from its place at the next start");
    }
    tracing::info!("stopped");
    Ok(())
}

/// So that books at rest are signed to their end.
async fn sign_the_rest(evidence: &Arc<Evidence>) {
    match tokio::time::timeout(LAST_ROWS, evidence.seal_rest()).await {
        Ok(Ok(())) => {}
        Ok(Err(e)) => tracing::warn!("the last events are not signed yet: {e}"),
        Err(_) => tracing::warn!("the last events are not signed yet; the next start signs them"),
    }
}

/// Answers that are read on after their caller left, and settlements under way.
async fn settled(parts: &Parts) {
    let deadline = tokio::time::Instant::now() + parts.config.server.timeouts.drain;
    let holds = parts.gateway.waiting.holds();
    while holds.open() > 0 && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    if holds.open() > 0 {
        tracing::warn!(open = holds.open(), "holds are still open; their leases charge them in full");
    }
}
