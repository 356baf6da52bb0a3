//! The threads that serve calls: one for each core, each with a runtime and upstream connections of its own, so that a call
//! stays on one thread from its first byte to its last. Connections are handed to whoever has the fewest. Reads no call.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Failure;
use super::parts::Parts;
use crate::gateway::{self, Arrivals, Given, Manners};

/// Serves until `accepting` ends; says then whether every connection ended by itself. Where there is one core, this runtime
/// serves: nothing is handed from thread to thread.
pub fn start(
    parts: &Parts,
    listener: TcpListener,
    manners: &Manners,
    accepting: &CancellationToken,
) -> Result<JoinHandle<bool>, Failure> {
    let cores = available_parallelism().map_or(1, usize::from);
    if cores == 1 {
        let own = Arrivals::Own(listener);
        return Ok(tokio::spawn(gateway::run(parts.gateway.clone(), own, manners.clone(), accepting.clone())));
    }
    let workers = (0..cores).map(|at| Worker::start(at, parts, manners, accepting));
    let (workers, ended): (Vec<_>, Vec<_>) = workers.collect::<Result<Vec<_>, Failure>>()?.into_iter().unzip();
    let accepting = accepting.clone();
    Ok(tokio::spawn(async move {
        hand_out(listener, &workers, &accepting).await;
        let ended = futures_util::future::join_all(ended).await;
        // One that says nothing has ended before its connections did.
        ended.into_iter().all(|all| all.unwrap_or(false))
    }))
}

/// A thread that serves, as whoever hands out connections sees it.
struct Worker {
    to: mpsc::UnboundedSender<Given>,
    /// How many connections it has.
    open: Arc<AtomicUsize>,
}

impl Worker {
    fn start(
        at: usize,
        parts: &Parts,
        manners: &Manners,
        accepting: &CancellationToken,
    ) -> Result<(Self, oneshot::Receiver<bool>), Failure> {
        let gateway = Arc::new(parts.gateway.beside());
        let (to, given) = mpsc::unbounded_channel();
        let (tell, ended) = oneshot::channel();
        let serving = gateway::run(gateway, Arrivals::Given(given), manners.clone(), accepting.clone());
        // What goes on behind a connection, such as reading an answer to its end, lives as long as the books do.
        let last = parts.last_stop.clone();
        let work = async move {
            // Nobody listens if the process is ending at once.
            let _ = tell.send(serving.await);
            last.cancelled().await;
        };
        let (built, building) = std::sync::mpsc::sync_channel(1);
        std::thread::Builder::new().name(format!("gateway-{at}")).spawn(move || {
            match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => {
                    let _ = built.send(Ok(()));
                    runtime.block_on(work);
                }
                Err(error) => drop(built.send(Err(error))),
            }
        })?;
        building.recv()??;
        Ok((Self { to, open: Arc::default() }, ended))
    }

    fn give(&self, stream: std::net::TcpStream, from: SocketAddr) {
        let counted = gateway::Counted::new(self.open.clone());
        // A worker that has ended takes no more; the connection is closed.
        let _ = self.to.send(Given { stream, from, counted });
    }
}

async fn hand_out(listener: TcpListener, workers: &[Worker], accepting: &CancellationToken) {
    let mut arrivals = Arrivals::Own(listener);
    while let Some((stream, from, _)) = arrivals.next(accepting).await {
        let idlest = workers.iter().min_by_key(|worker| worker.open.load(Ordering::Relaxed));
        match (idlest, stream.into_std()) {
            (Some(worker), Ok(stream)) => worker.give(stream, from),
            (_, Err(error)) => tracing::warn!(%error, "a connection could not be handed on"),
            (None, _) => {}
        }
    }
}
