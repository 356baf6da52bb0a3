//! Where connections come from: a listener of one's own, or whoever listens for several threads. Opens none; `accept` does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// A source of connections.
pub enum Arrivals {
    Own(TcpListener),
    Given(mpsc::UnboundedReceiver<Given>),
}

/// A connection that another thread took.
pub struct Given {
    pub stream: std::net::TcpStream,
    pub from: SocketAddr,
    pub counted: Counted,
}

/// One of the connections of a thread, for as long as it lives.
pub struct Counted(Arc<AtomicUsize>);

impl Counted {
    pub fn new(open: Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(open)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Arrivals {
    /// The next connection; `None` when there are no more, or `stop` is given.
    pub async fn next(&mut self, stop: &CancellationToken) -> Option<(TcpStream, SocketAddr, Option<Counted>)> {
        loop {
            let taken = tokio::select! {
                () = stop.cancelled() => return None,
                taken = self.take() => taken?,
            };
            match taken {
                Ok(taken) => return Some(taken),
                Err(error) => refused(&error).await,
            }
        }
    }

    async fn take(&mut self) -> Option<std::io::Result<(TcpStream, SocketAddr, Option<Counted>)>> {
        match self {
            Self::Own(listener) => Some(listener.accept().await.map(|(stream, from)| (stream, from, None))),
            Self::Given(given) => {
                let Given { stream, from, counted } = given.recv().await?;
                Some(TcpStream::from_std(stream).map(|stream| (stream, from, Some(counted))))
            }
        }
    }
}

/// Out of file descriptors, or a connection that was gone before it was taken: no reason to stop serving.
async fn refused(error: &std::io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(Duration::from_millis(10)).await;
}
