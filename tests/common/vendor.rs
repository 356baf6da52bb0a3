//! A mock vendor inside the test's own process, so that it outlives a bursar that is killed. It logs every request from its
//! head on, and answers as the request itself asks in the header `x-mock`, which passes through bursar like any other.

mod answers;

use std::collections::HashMap;
use std::io;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::client::{hex_of_trace, runtime};
use super::wait_for;
use answers::Reply;

/// What is kept of a request's body; the rest is counted and summed.
const KEPT: usize = 1 << 20;

/// One request, as it stood on the wire.
#[derive(Clone, Debug, Default)]
pub struct Received {
    pub method: String,
    /// Path and query, byte for byte.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub length: u64,
    pub crc: u32,
    pub trailers: Option<HeaderMap>,
    /// The body came to its end.
    pub whole: bool,
    /// What this vendor would write on its bill, in micro-cents.
    pub billed: u64,
}

impl Received {
    /// The trace id by which a call is found in the books.
    pub fn trace(&self) -> String {
        hex_of_trace(&self.headers).unwrap_or_default()
    }

    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// The running mock.
pub struct Vendor {
    pub port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    log: Mutex<Vec<Received>>,
    /// Requests that ask for it wait here.
    gate: watch::Sender<bool>,
    connections: AtomicUsize,
    answering: AtomicUsize,
    written: AtomicU64,
    first_answers: Mutex<HashMap<String, String>>,
}

impl Vendor {
    pub fn start() -> Self {
        let state = Arc::new(State::default());
        let listener = runtime().block_on(TcpListener::bind("127.0.0.1:0")).expect("a port for the mock vendor");
        let port = listener.local_addr().expect("its address").port();
        runtime().spawn(accept(listener, state.clone()));
        Self { port, state }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// All requests so far.
    pub fn received(&self) -> Vec<Received> {
        self.state.log().clone()
    }

    /// How many requests so far.
    pub fn count(&self) -> usize {
        self.state.log().len()
    }

    /// Panics with what came, if anything did.
    pub fn got_nothing(&self) {
        assert!(self.count() == 0, "requests reached the vendor: {:#?}", self.received());
    }

    /// The requests beyond the first `n`.
    pub fn since(&self, n: usize) -> Vec<Received> {
        self.state.log().iter().skip(n).cloned().collect()
    }

    pub fn last(&self) -> Received {
        self.state.log().last().cloned().expect("the vendor received a request")
    }

    /// The sum of its bill, in micro-cents.
    pub fn billed(&self) -> u64 {
        self.state.log().iter().map(|r| r.billed).sum()
    }

    /// Waits until `n` requests have arrived in all.
    pub fn wait_for_count(&self, n: usize, limit: Duration) {
        wait_for(&format!("{n} requests at the vendor"), limit, || (self.count() >= n).then_some(()));
    }

    /// Lets those go on that wait at the gate, and all later ones.
    pub fn open_gate(&self) {
        self.state.gate.send_replace(true);
    }

    pub fn shut_gate(&self) {
        self.state.gate.send_replace(false);
    }

    /// Connections that were ever accepted.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Answers that flow at this moment.
    pub fn answering(&self) -> usize {
        self.state.answering.load(Ordering::SeqCst)
    }

    /// Bytes of large answers that were taken from this vendor.
    pub fn written(&self) -> u64 {
        self.state.written.load(Ordering::SeqCst)
    }
}

impl State {
    fn log(&self) -> MutexGuard<'_, Vec<Received>> {
        self.log.lock().expect("no test panics while it holds the log")
    }

    async fn wait_at_gate(&self) {
        let mut gate = self.gate.subscribe();
        // The sender lives in `self`, so this can only end with an open gate.
        let _ = gate.wait_for(|open| *open).await;
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        state.connections.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(serve(stream, state.clone()));
    }
}

async fn serve(stream: TcpStream, state: Arc<State>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| answer(state.clone(), request));
    // How a connection ends is the other side's affair.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> io::Result<Response<Reply>> {
    let (parts, body) = request.into_parts();
    let script = Script::of(&parts.headers);
    let entry = Entry::open(state, &parts);
    if script.has("gate-first") {
        entry.state.wait_at_gate().await;
    }
    entry.read(body).await?;
    if script.has("gate") {
        entry.state.wait_at_gate().await;
    }
    tokio::time::sleep(Duration::from_millis(script.number("delay").unwrap_or(0))).await;
    answers::answer(entry, &script).await
}

/// A request's place in the log.
#[derive(Clone)]
struct Entry {
    state: Arc<State>,
    at: usize,
}

impl Entry {
    fn open(state: Arc<State>, parts: &http::request::Parts) -> Self {
        let received = Received {
            method: parts.method.to_string(),
            target: parts.uri.to_string(),
            headers: parts.headers.clone(),
            ..Received::default()
        };
        let mut log = state.log();
        log.push(received);
        let at = log.len() - 1;
        drop(log);
        Self { state, at }
    }

    fn change(&self, change: impl FnOnce(&mut Received)) {
        change(&mut self.state.log()[self.at]);
    }

    fn seen(&self) -> Received {
        self.state.log()[self.at].clone()
    }

    fn bill(&self, micro_cents: u64) {
        self.change(|r| r.billed += micro_cents);
    }

    async fn read(&self, mut body: Incoming) -> io::Result<()> {
        let mut sum = crc32fast::Hasher::new();
        while let Some(frame) = body.frame().await {
            match frame.map_err(io::Error::other)?.into_data() {
                Ok(data) => {
                    sum.update(&data);
                    self.change(|r| {
                        r.length += data.len() as u64;
                        let room = KEPT.saturating_sub(r.body.len()).min(data.len());
                        r.body.extend_from_slice(&data[..room]);
                    });
                }
                Err(other) => self.change(|r| r.trailers = other.into_trailers().ok()),
            }
        }
        self.change(|r| (r.crc, r.whole) = (sum.finalize(), true));
        Ok(())
    }
}

/// What a request asks of the mock: `x-mock: delay=20 status=500`.
#[derive(Clone, Default)]
pub(super) struct Script(HashMap<String, String>);

impl Script {
    fn of(headers: &HeaderMap) -> Self {
        let text = headers.get("x-mock").and_then(|v| v.to_str().ok()).unwrap_or_default();
        let pair = |word: &str| {
            word.split_once('=').map_or((word.to_owned(), String::new()), |(k, v)| (k.to_owned(), v.to_owned()))
        };
        Self(text.split_whitespace().map(pair).collect())
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn number<N: FromStr>(&self, name: &str) -> Option<N> {
        self.text(name)?.parse().ok()
    }
}
