//! The two listeners: loopback TCP with a token, and a socket file that only its owner may open. Ends when the state says so.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tower_service::Service as _;

use super::{ControlState, guard, link, routes};

/// The socket's name in the data folder.
pub const SOCKET: &str = "admin.sock";
/// `sun_path` of Linux, with its end.
const LONGEST_PATH: usize = 107;

/// For the head of a request, and between requests: nobody keeps a connection by saying nothing.
const HEADER: Duration = Duration::from_secs(30);

/// Serves the admin API on TCP until the state's `stop`.
pub async fn serve_tcp(state: Arc<ControlState>, listener: TcpListener) {
    let guard = from_fn_with_state(state.clone(), guard::on_tcp);
    let links = link::routes().layer(from_fn_with_state(state.clone(), guard::by_name));
    let app: Router = routes().layer(guard).merge(links).with_state(state.clone());
    let graceful = GracefulShutdown::new();
    loop {
        tokio::select! {
            () = state.stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => talk(stream, app.clone(), Some(from), &graceful),
                Err(e) => refused(&e).await,
            }
        }
    }
    graceful.shutdown().await;
}

/// Serves it on the socket until the state's `stop`, and removes the file.
pub async fn serve_socket(state: Arc<ControlState>, listener: UnixListener) {
    let path = listener.local_addr().ok().and_then(|a| a.as_pathname().map(PathBuf::from));
    let guard = from_fn_with_state(state.clone(), guard::on_socket);
    let app: Router = routes().layer(guard).with_state(state.clone());
    let graceful = GracefulShutdown::new();
    loop {
        tokio::select! {
            () = state.stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => talk(stream, app.clone(), None, &graceful),
                Err(e) => refused(&e).await,
            }
        }
    }
    graceful.shutdown().await;
    if let Some(path) = path {
        // It may be gone already; the next start removes what is left.
        let _ = std::fs::remove_file(path);
    }
}

/// Out of file descriptors, or a connection that was gone before it was taken: no reason to stop serving.
async fn refused(error: &Error) {
    tracing::warn!(%error, "a connection to the admin API could not be accepted");
    tokio::time::sleep(Duration::from_millis(10)).await;
}

fn talk<S>(stream: S, app: Router, from: Option<SocketAddr>, graceful: &GracefulShutdown)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().extend(from.map(from_extension).unwrap_or_default());
        app.clone().call(request)
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER);
    let connection = graceful.watch(builder.serve_connection(TokioIo::new(stream), service));
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to the admin API ended");
        }
    });
}

fn from_extension(from: SocketAddr) -> http::Extensions {
    let mut extensions = http::Extensions::new();
    extensions.insert(from);
    extensions
}

/// Opens both listeners. The caller holds the lock on the data folder, so a socket file that is there is a dead one.
pub async fn listen(admin: SocketAddr, data: &Path) -> Result<(TcpListener, UnixListener)> {
    let tcp =
        TcpListener::bind(admin).await.map_err(|e| said(&e, format!("the admin API cannot listen on {admin}")))?;
    let path = data.join(SOCKET);
    if path.as_os_str().len() > LONGEST_PATH {
        let why = format!(
            "{} is too long for a socket ({LONGEST_PATH} bytes at most): choose a shorter data folder",
            path.display()
        );
        return Err(Error::new(ErrorKind::InvalidInput, why));
    }
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != ErrorKind::NotFound => {
            return Err(said(&e, format!("{} cannot be removed", path.display())));
        }
        _ => {}
    }
    let socket = UnixListener::bind(&path).map_err(|e| said(&e, format!("{} cannot be made", path.display())))?;
    // Nobody else gets as far as the file meanwhile: the folder is closed to them.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok((tcp, socket))
}

fn said(e: &Error, what: String) -> Error {
    Error::new(e.kind(), format!("{what}: {e}"))
}
