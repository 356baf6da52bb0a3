//! Connections to vendors, kept for the next call: HTTP/1.1 ones for one call at a time, an HTTP/2 one for all. A call takes
//! one that is ready or dials; none waits for another's. Sends again only what an old connection gave back unsent.

#[cfg(test)]
mod tests;

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Request, Response, Uri, header};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::Connection as _;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tower_service::Service;

use super::dial::Dial;
use super::timely::Timely;
use super::upload::Upload;
use crate::units::table::Table;

/// Room for the head of an answer.
const HEAD: usize = 64 * 1024;
/// More than so many to one place are not kept.
const MOST_IDLE: usize = 1024;

type BoxError = Box<dyn Error + Send + Sync>;
type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Why no answer came.
#[derive(Debug)]
pub enum Failure {
    /// No byte of the request left.
    Unconnected(BoxError),
    Broken(hyper::Error),
}

/// Connections that one connector makes.
pub struct Pool {
    connector: Timely<HttpsConnector<Dial>>,
    kept: Arc<Kept>,
}

/// Those that wait for a call.
struct Kept {
    /// How long an unused one is kept.
    patience: Duration,
    /// Plain, and TLS.
    origins: Mutex<Table<Authority, [Origin; 2]>>,
    /// Somebody looks after those that nobody uses.
    swept: AtomicBool,
}

#[derive(Default)]
struct Origin {
    /// The one that was used last stands last.
    idle: Vec<(http1::SendRequest<Upload>, Instant)>,
    shared: Option<(http2::SendRequest<Upload>, Instant)>,
    /// What HTTP/1.1 calls it.
    host: Option<HeaderValue>,
}

/// A connection while a call has it. Dropped, it is kept for the next one: once the answer has been read, that is.
pub struct Lease {
    kept: Arc<Kept>,
    at: At,
    connection: Option<http1::SendRequest<Upload>>,
}

/// Where requests go.
#[derive(Clone)]
struct At {
    authority: Authority,
    tls: bool,
}

enum Connection {
    One(http1::SendRequest<Upload>),
    Shared(http2::SendRequest<Upload>),
}

type Sent = Result<Response<Incoming>, TrySendError<Request<Upload>>>;

impl Pool {
    pub fn new(connector: Timely<HttpsConnector<Dial>>, patience: Duration) -> Self {
        let kept = Arc::new(Kept { patience, origins: Mutex::default(), swept: AtomicBool::new(false) });
        Self { connector, kept }
    }

    /// Sends it. The request's URI is absolute.
    pub async fn request(&self, request: Request<Upload>) -> Result<(Response<Incoming>, Lease), Failure> {
        let (at, mut request) = addressed(request);
        loop {
            let kept = self.kept.take(&at);
            let old = kept.is_some();
            let connection = match kept {
                Some(connection) => connection,
                None => Box::pin(self.dial(&at)).await.map_err(Failure::Unconnected)?,
            };
            let mut lease = Lease { kept: self.kept.clone(), at: at.clone(), connection: None };
            let sent = match connection {
                Connection::One(one) => {
                    self.kept.name_host(&at, request.headers_mut());
                    lease.connection.insert(one).try_send_request(request).await
                }
                Connection::Shared(mut shared) => {
                    at.name_all(&mut request);
                    shared.try_send_request(request).await
                }
            };
            match retried(sent, old) {
                Ok(answer) => return Ok((answer, lease)),
                Err(Ok(unsent)) => request = unsent,
                Err(Err(error)) => {
                    return Err(Failure::Broken(error));
                }
            }
        }
    }

    async fn dial(&self, at: &At) -> Result<Connection, BoxError> {
        let stream = self.connector.clone().call(at.uri(None)?).await?;
        self.kept.sweep_later();
        match stream.connected().is_negotiated_h2() {
            true => self.shared(at, stream).await,
            false => {
                let (one, work) = http1::Builder::new().max_buf_size(HEAD).handshake(stream).await?;
                tokio::spawn(work);
                Ok(Connection::One(one))
            }
        }
    }

    /// For all calls from now on.
    async fn shared(&self, at: &At, stream: Stream) -> Result<Connection, BoxError> {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        let (shared, work) = builder.timer(TokioTimer::new()).handshake(stream).await?;
        tokio::spawn(work);
        self.kept.with(at, |origin| origin.shared = Some((shared.clone(), Instant::now())));
        Ok(Connection::Shared(shared))
    }
}

/// The answer; the request, if an old connection gave it back whole; or why there is neither.
#[expect(clippy::result_large_err, reason = "what was not sent comes back whole, and is rare")]
fn retried(sent: Sent, old: bool) -> Result<Response<Incoming>, Result<Request<Upload>, hyper::Error>> {
    sent.map_err(|mut error| match error.take_message().filter(|_| old) {
        Some(unsent) => Ok(unsent),
        None => Err(error.into_error()),
    })
}

/// Where it goes, and what is asked for there.
fn addressed(mut request: Request<Upload>) -> (At, Request<Upload>) {
    let parts = std::mem::take(request.uri_mut()).into_parts();
    let tls = parts.scheme == Some(Scheme::HTTPS);
    *request.uri_mut() = parts.path_and_query.map_or_else(Uri::default, Uri::from);
    // An address without an authority leads nowhere, which the connector says.
    let authority = parts.authority.unwrap_or_else(|| Authority::from_static("-"));
    (At { authority, tls }, request)
}

impl At {
    fn uri(&self, target: Option<PathAndQuery>) -> Result<Uri, http::uri::InvalidUriParts> {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(if self.tls { Scheme::HTTPS } else { Scheme::HTTP });
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(target.unwrap_or_else(|| PathAndQuery::from_static("/")));
        Uri::from_parts(parts)
    }

    /// HTTP/2 has the place in its target.
    fn name_all(&self, request: &mut Request<Upload>) {
        let target = request.uri().path_and_query().cloned();
        // It was an address before it was taken apart.
        if let Ok(whole) = self.uri(target) {
            *request.uri_mut() = whole;
        }
    }

    /// Without the port that goes without saying.
    fn host(&self) -> Option<HeaderValue> {
        let usual = if self.tls { 443 } else { 80 };
        let host = match self.authority.port_u16() {
            Some(port) if port != usual => format!("{}:{port}", self.authority.host()),
            _ => self.authority.host().to_owned(),
        };
        HeaderValue::try_from(host).ok()
    }
}

impl Kept {
    fn with<T>(&self, at: &At, change: impl FnOnce(&mut Origin) -> T) -> T {
        let mut origins = self.origins.lock();
        let here = usize::from(at.tls);
        match origins.get_mut(&at.authority) {
            Some(origin) => change(&mut origin[here]),
            None => change(&mut origins.entry(at.authority.clone()).or_default()[here]),
        }
    }

    fn take(&self, at: &At) -> Option<Connection> {
        let now = Instant::now();
        self.with(at, |origin| origin.shared(now, self.patience).or_else(|| origin.one(now, self.patience)))
    }

    /// HTTP/1.1 has it in a header.
    fn name_host(&self, at: &At, headers: &mut HeaderMap) {
        if headers.contains_key(header::HOST) {
            return;
        }
        let host = self.with(at, |origin| {
            origin.host = origin.host.take().or_else(|| at.host());
            origin.host.clone()
        });
        if let Some(host) = host {
            headers.insert(header::HOST, host);
        }
    }

    fn give_back(&self, at: &At, connection: http1::SendRequest<Upload>) {
        self.with(at, |origin| {
            if origin.idle.len() < MOST_IDLE {
                origin.idle.push((connection, Instant::now()));
            }
        });
    }

    /// Connections that nobody asks for are closed all the same.
    fn sweep_later(self: &Arc<Self>) {
        if !self.swept.swap(true, Ordering::AcqRel) {
            tokio::spawn(sweep(Arc::downgrade(self), self.patience.max(Duration::from_millis(100))));
        }
    }
}

async fn sweep(kept: Weak<Kept>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let Some(kept) = kept.upgrade() else { return };
        let now = Instant::now();
        let mut origins = kept.origins.lock();
        for origin in origins.values_mut().flatten() {
            origin.idle.retain(|(one, since)| !one.is_closed() && now.duration_since(*since) < kept.patience);
            origin.shared.take_if(|(all, since)| all.is_closed() || now.duration_since(*since) >= kept.patience);
        }
    }
}

impl Origin {
    fn shared(&mut self, now: Instant, patience: Duration) -> Option<Connection> {
        let (shared, used) = self.shared.as_mut()?;
        if shared.is_closed() || now.duration_since(*used) >= patience {
            self.shared = None;
            return None;
        }
        *used = now;
        Some(Connection::Shared(shared.clone()))
    }

    /// The one that was used last. One whose last answer is still on its way is passed over.
    fn one(&mut self, now: Instant, patience: Duration) -> Option<Connection> {
        let mut busy = Vec::new();
        let mut found = None;
        while let Some((one, since)) = self.idle.pop() {
            if one.is_closed() || now.duration_since(since) >= patience {
                continue;
            }
            if one.is_ready() {
                found = Some(Connection::One(one));
                break;
            }
            busy.push((one, since));
        }
        self.idle.append(&mut busy);
        found
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take().filter(|one| !one.is_closed()) {
            self.kept.give_back(&self.at, connection);
        }
    }
}
