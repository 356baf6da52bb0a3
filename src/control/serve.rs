//! The two listeners: loopback TCP with a token, and a socket file that only its owner may open. Ends when the state says so.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use tokio::net::{TcpListener, UnixListener};

use super::{ControlState, guard, routes};

/// The socket's name in the data folder.
pub const SOCKET: &str = "admin.sock";
/// `sun_path` of Linux, with its end.
const LONGEST_PATH: usize = 107;

/// Serves the admin API on TCP until the state's `stop`.
pub async fn serve_tcp(state: Arc<ControlState>, listener: TcpListener) -> Result<()> {
    let guard = from_fn_with_state(state.clone(), guard::on_tcp);
    let app: Router = routes().layer(guard).with_state(state.clone());
    axum::serve(listener, app).with_graceful_shutdown(state.stop.clone().cancelled_owned()).await
}

/// Serves it on the socket until the state's `stop`, and removes the file.
pub async fn serve_socket(state: Arc<ControlState>, listener: UnixListener) -> Result<()> {
    let path = listener.local_addr().ok().and_then(|a| a.as_pathname().map(PathBuf::from));
    let app: Router = routes().layer(from_fn(guard::on_socket)).with_state(state.clone());
    let served = axum::serve(listener, app).with_graceful_shutdown(state.stop.clone().cancelled_owned()).await;
    if let Some(path) = path {
        // It may be gone already; the next start removes what is left.
        let _ = std::fs::remove_file(path);
    }
    served
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
