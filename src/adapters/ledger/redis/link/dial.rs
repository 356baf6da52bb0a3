//! One connection to one named place: TCP or a Unix socket, TLS where the address says so, user and password, all within one
//! patience. Believes the platform's roots or one file's. Knows nothing of who is primary.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSub};
use redis::{AsyncConnectionConfig, RedisConnectionInfo};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::adapters::upstream::platform_roots;
use crate::config::redis::{Host, Login, RedisTls};

/// Calls that wait for the connection to take them; more wait their turn before it.
const QUEUE: usize = 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Host(Host),
    Socket(PathBuf),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => host.fmt(f),
            Self::Socket(path) => path.display().fmt(f),
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection and the task that drives it; both end together.
pub(super) struct Driven {
    pub connection: MultiplexedConnection,
    task: JoinHandle<()>,
}

impl Drop for Driven {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How doors are opened here: by TLS or not, and how long one waits before them.
pub(super) struct Dial {
    tls: Option<TlsConnector>,
    patience: Duration,
}

impl Dial {
    pub fn new(tls: Option<&RedisTls>, patience: Duration) -> Result<Self, String> {
        Ok(Self { tls: tls.map(|tls| connector(tls.ca.as_deref())).transpose()?, patience })
    }

    /// `ended` is called when the connection breaks, and not when it is dropped.
    pub async fn connect(
        &self,
        to: &Endpoint,
        who: RedisConnectionInfo,
        ended: impl FnOnce() + Send + 'static,
    ) -> Result<Driven, String> {
        let opened = self.in_time(to, async {
            let stream = self.stream(to).await?;
            let config = AsyncConnectionConfig::new().set_response_timeout(None).set_pipeline_buffer_size(QUEUE);
            let opened = MultiplexedConnection::new_with_config(&who, stream, config).await;
            opened.map_err(|e| e.to_string())
        });
        let (connection, driver) = opened.await?;
        let task = tokio::spawn(async move {
            driver.await;
            ended();
        });
        Ok(Driven { connection, task })
    }

    /// A connection that hears channels and does nothing else.
    pub async fn listen(&self, to: &Endpoint, who: RedisConnectionInfo, channel: &str) -> Result<PubSub, String> {
        self.in_time(to, async {
            let mut heard = PubSub::new(&who, self.stream(to).await?).await.map_err(|e| e.to_string())?;
            heard.subscribe(channel).await.map_err(|e| e.to_string())?;
            Ok(heard)
        })
        .await
    }

    async fn in_time<T>(&self, to: &Endpoint, opened: impl Future<Output = Result<T, String>>) -> Result<T, String> {
        match timeout(self.patience, opened).await {
            Ok(Ok(opened)) => Ok(opened),
            Ok(Err(e)) => Err(format!("redis at {to} cannot be reached: {e}")),
            Err(_) => Err(format!("redis at {to} cannot be reached: no answer within {:?}", self.patience)),
        }
    }

    async fn stream(&self, to: &Endpoint) -> Result<Box<dyn Stream>, String> {
        let host = match to {
            Endpoint::Socket(path) => {
                return Ok(Box::new(UnixStream::connect(path).await.map_err(|e| e.to_string())?));
            }
            Endpoint::Host(host) => host,
        };
        let tcp = TcpStream::connect((&*host.name, host.port)).await.map_err(|e| e.to_string())?;
        tcp.set_nodelay(true).map_err(|e| e.to_string())?;
        // What has not left when the connection is given up shall not arrive later, after what was sent on the next one.
        tcp.set_zero_linger().map_err(|e| e.to_string())?;
        let Some(tls) = &self.tls else { return Ok(Box::new(tcp)) };
        let name = ServerName::try_from(host.name.clone()).map_err(|e| e.to_string())?;
        let tls = tls.connect(name, tcp).await.map_err(|e| format!("TLS: {e}"))?;
        Ok(Box::new(tls))
    }
}

/// The client library keeps its own copy of the password as long as it connects.
pub(super) fn who(login: &Login, password: Option<&str>, database: u16) -> RedisConnectionInfo {
    let mut who = RedisConnectionInfo::default().set_db(i64::from(database));
    who = who.set_lib_name("bursar", env!("CARGO_PKG_VERSION"));
    if let Some(user) = &login.user {
        who = who.set_username(user);
    }
    // It was made from a text.
    let own = login.password.as_ref().and_then(|p| std::str::from_utf8(p.expose()).ok());
    match password.or(own) {
        Some(password) => who.set_password(password),
        None => who,
    }
}

fn connector(ca: Option<&Path>) -> Result<TlsConnector, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_root_certificates(believed(ca)?)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn believed(file: Option<&Path>) -> Result<rustls::RootCertStore, String> {
    let Some(file) = file else { return Ok(platform_roots().0) };
    let named = |e: &dyn fmt::Display| format!("`ca` of the ledger's Redis, {}: {e}", file.display());
    let certs = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut roots = rustls::RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certs.map_err(|e| named(&e))?);
    if added == 0 { Err(named(&"it holds no certificate")) } else { Ok(roots) }
}
