//! Connections from agents: HTTP/1.1 and HTTP/2, plain or TLS, until told to stop; then those open finish in their time.
//! Refuses requests whose framing could be read in two ways. Hands every other one to `serve`.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, Method, Request, Response, Uri, Version, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::arrivals::{Arrivals, Counted};
use super::body::Reply;
use super::problem::Problem;
use super::{Gateway, serve};
use crate::rules::path::METHOD_OVERRIDES;

/// How a listener treats its connections.
#[derive(Clone)]
pub struct Manners {
    pub tls: Option<TlsAcceptor>,
    /// For the head of a request, and for a TLS handshake.
    pub header: Duration,
    /// For calls in flight once `stop` was given.
    pub drain: Duration,
    pub max_header_bytes: usize,
    pub max_headers: usize,
}

/// Serves until `stop`, then waits for open calls up to `manners.drain`. Says whether all ended by themselves.
pub async fn run(gateway: Arc<Gateway>, mut arrivals: Arrivals, manners: Manners, stop: CancellationToken) -> bool {
    let graceful = GracefulShutdown::new();
    while let Some((stream, from, counted)) = arrivals.next(&stop).await {
        open(&gateway, (stream, from, counted), &manners, &graceful, &stop);
    }
    drop(arrivals);
    tokio::time::timeout(manners.drain, graceful.shutdown()).await.is_ok()
}

fn open(
    gateway: &Arc<Gateway>,
    (stream, from, counted): (TcpStream, SocketAddr, Option<Counted>),
    manners: &Manners,
    graceful: &GracefulShutdown,
    stop: &CancellationToken,
) {
    let gateway = gateway.clone();
    // Small answers must not wait for a full packet. Failing to say so costs speed alone.
    let _ = stream.set_nodelay(true);
    let watcher = graceful.watcher();
    let (manners, stop) = (manners.clone(), stop.clone());
    tokio::spawn(async move {
        let _counted = counted;
        let builder = builder(&manners);
        let heard = Arc::new(AtomicBool::new(false));
        let first = Arc::clone(&heard);
        let service = service_fn(move |request| {
            first.store(true, Ordering::Relaxed);
            answer(gateway.clone(), from, request)
        });
        let patience = Patience { heard, time: manners.header, stop };
        match manners.tls.clone() {
            None if !patience.with(speaks(&stream)).await.unwrap_or(false) => {}
            None => {
                let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
                patience.keep(from, watcher.watch(connection)).await;
            }
            Some(tls) => match patience.with(tls.accept(stream)).await {
                Some(Ok(stream)) => {
                    let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
                    patience.keep(from, watcher.watch(connection)).await;
                }
                Some(Err(e)) => tracing::debug!(%from, error = %e, "TLS handshake failed"),
                None => tracing::debug!(%from, "TLS handshake timed out"),
            },
        }
    });
}

/// With a connection that has not sent a request yet.
struct Patience {
    /// It has.
    heard: Arc<AtomicBool>,
    time: Duration,
    stop: CancellationToken,
}

impl Patience {
    /// What comes before a request, if it comes in time and bursar does not end.
    async fn with<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.stop.cancelled() => None,
            () = tokio::time::sleep(self.time) => None,
        }
    }

    /// Until it ends. One that begins a request and does not finish its head is not kept, in whichever version it began.
    async fn keep<E: std::fmt::Display>(&self, from: SocketAddr, connection: impl Future<Output = Result<(), E>>) {
        tokio::pin!(connection);
        let ended = match tokio::time::timeout(self.time, &mut connection).await {
            Ok(ended) => ended,
            Err(_) if !self.heard.load(Ordering::Relaxed) => return tracing::debug!(%from, "no request came in time"),
            Err(_) => connection.await,
        };
        if let Err(error) = ended {
            tracing::debug!(%from, %error, "connection ended");
        }
    }
}

/// A connection that never says anything is not kept.
async fn speaks(stream: &TcpStream) -> bool {
    matches!(stream.peek(&mut [0]).await, Ok(n) if n > 0)
}

/// Whoever does not answer to this is gone.
const PING: Duration = Duration::from_secs(30);

/// How many headers hyper takes of its own accord.
const HTTP1_HEADERS: usize = 100;

fn builder(manners: &Manners) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    let mut http1 = builder.http1();
    http1.timer(TokioTimer::new()).header_read_timeout(manners.header);
    http1.max_buf_size(manners.max_header_bytes);
    // Its own limit, unsaid, costs it less than the same one said.
    if manners.max_headers != HTTP1_HEADERS {
        http1.max_headers(manners.max_headers);
    }
    let header_list = u32::try_from(manners.max_header_bytes).unwrap_or(u32::MAX);
    builder.http2().keep_alive_interval(PING).keep_alive_timeout(PING);
    builder.http2().timer(TokioTimer::new()).max_header_list_size(header_list).max_concurrent_streams(1000);
    builder
}

/// Boxed: it is large, and is moved several times before it is polled.
type Answering = Pin<Box<dyn Future<Output = Result<Response<Reply>, Infallible>> + Send>>;

fn answer(gateway: Arc<Gateway>, from: SocketAddr, request: Request<Incoming>) -> Answering {
    let probed = match request.uri().path() {
        "/-/live" => probe(200, "live\n"),
        "/-/ready" => match gateway.trouble() {
            None => probe(200, "ready\n"),
            // Why is for operators: `bursar status` says it.
            Some(_) => probe(503, "not ready\n"),
        },
        _ => return Box::pin(serve(gateway, from, request).map(Ok)),
    };
    Box::pin(std::future::ready(Ok(probed)))
}

fn probe(status: u16, text: impl Into<bytes::Bytes>) -> Response<Reply> {
    let mut response = Response::new(Reply::whole(text));
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    response
}

/// Is there one way to read this request's framing and destination? What hyper has refused before never gets here.
pub fn one_reading(request: &Request<Incoming>) -> Result<(), Problem> {
    let headers = request.headers();
    let lines = Lines::of(headers);
    if request.method() == Method::CONNECT || lines.upgrade {
        return Err(Problem::Upgrade);
    }
    let [hosts, framing @ ..] = lines.once;
    if hosts > 1 || !one_host(request.uri(), headers, request.version()) {
        return Err(Problem::Malformed("exactly one `Host` header is needed".to_owned()));
    }
    if framing.iter().any(|lines| *lines > 1) {
        return Err(Problem::Malformed("a framing or content header is given twice".to_owned()));
    }
    if lines.overrides_method {
        return Err(Problem::Malformed(
            "a header that replaces the method is not accepted; send that method".to_owned(),
        ));
    }
    Ok(())
}

/// HTTP/2 names the host in its target, and may repeat it in a header. HTTP/1.0 need not name one.
fn one_host(uri: &Uri, headers: &HeaderMap, version: Version) -> bool {
    match (uri.authority(), headers.get(header::HOST)) {
        // A user's name and password are no part of a host.
        (Some(target), _) if target.as_str().contains('@') => false,
        (Some(target), Some(host)) => target.as_str().as_bytes().eq_ignore_ascii_case(host.as_bytes()),
        (None, None) => version < Version::HTTP_11,
        _ => true,
    }
}

/// What may stand in one line alone.
static ONCE: [HeaderName; 4] = [header::HOST, header::TRANSFER_ENCODING, header::CONTENT_LENGTH, header::CONTENT_TYPE];

/// What one look at all header lines tells.
#[derive(Default)]
struct Lines {
    /// How many there are of each of `ONCE`.
    once: [usize; ONCE.len()],
    upgrade: bool,
    overrides_method: bool,
}

impl Lines {
    fn of(headers: &HeaderMap) -> Self {
        let mut lines = Self::default();
        for (name, _) in headers {
            match ONCE.iter().position(|once| once == name) {
                Some(at) => lines.once[at] += 1,
                None => {
                    lines.upgrade |= name == header::UPGRADE;
                    lines.overrides_method |= METHOD_OVERRIDES.contains(&name.as_str());
                }
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_one_host() {
        for (target, host, version, good) in [
            ("/a", Some("x"), Version::HTTP_11, true),
            ("/a", None, Version::HTTP_11, false),
            ("/a", None, Version::HTTP_10, true),
            ("http://x/a", None, Version::HTTP_2, true),
            ("http://x/a", Some("X"), Version::HTTP_2, true),
            ("http://x/a", Some("y"), Version::HTTP_2, false),
            ("http://u:p@x/a", None, Version::HTTP_2, false),
            ("/a", Some("x"), Version::HTTP_2, true),
            ("/a", None, Version::HTTP_2, false),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(host.map(|h| (header::HOST, http::HeaderValue::from_static(h))));
            assert_eq!(one_host(&Uri::from_static(target), &headers, version), good, "{target} {host:?} {version:?}");
        }
    }
}
