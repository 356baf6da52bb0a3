//! Calls to bursar, one connection each, on a runtime that all parts of a test share. Each call carries a trace id of its
//! own, by which the mock vendor's log and the books are matched.

use std::future::Future;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::SOON;
use super::bursar::Key;

/// Where the mock vendor and the calls of a test run.
pub fn runtime() -> &'static Runtime {
    static SHARED: OnceLock<Runtime> = OnceLock::new();
    SHARED.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
    })
}

/// Runs all of them at once.
pub fn spawn_all<T: Send + 'static>(
    futures: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<JoinHandle<T>> {
    futures.into_iter().map(|future| runtime().spawn(future)).collect()
}

/// Waits for all of them.
pub fn join_all<T>(tasks: Vec<JoinHandle<T>>) -> Vec<T> {
    tasks.into_iter().map(|task| runtime().block_on(task).expect("a call that does not panic")).collect()
}

/// Makes all calls at once, and waits for all answers.
pub fn send_all(port: u16, asks: Vec<Ask>) -> Vec<Answer> {
    let answers = join_all(spawn_all(asks.into_iter().map(|ask| ask.send(port))));
    answers.into_iter().map(|answer| answer.expect("an answer")).collect()
}

/// A request to make.
#[derive(Clone, Debug)]
pub struct Ask {
    pub method: &'static str,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    /// 32 hex digits.
    pub trace: String,
}

/// Of all runs of a test, no two share a trace id.
fn new_trace() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    static START: OnceLock<u64> = OnceLock::new();
    let nanos = || SystemTime::UNIX_EPOCH.elapsed().map_or(1, |t| u64::try_from(t.as_nanos()).unwrap_or(1));
    let start = START.get_or_init(|| nanos() ^ (u64::from(std::process::id()) << 40));
    format!("{start:016x}{:016x}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The trace id that headers carry.
pub fn hex_of_trace(headers: &HeaderMap) -> Option<String> {
    headers.get("traceparent")?.to_str().ok()?.split('-').nth(1).map(str::to_owned)
}

impl Ask {
    pub fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), headers: Vec::new(), body: Bytes::new(), trace: new_trace() }
    }

    pub fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path)
    }

    pub fn json(path: impl Into<String>, body: &Value) -> Self {
        Self::new("POST", path).body("application/json", body.to_string())
    }

    pub fn form(path: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self::new("POST", path).body("application/x-www-form-urlencoded", body)
    }

    /// A chat with the model of which a hundred tokens cost one cent.
    pub fn chat(max_tokens: Option<u64>) -> Self {
        let mut body = json!({"model": "penny-1", "messages": [{"role": "user", "content": "hi"}]});
        if let Some(limit) = max_tokens {
            body["max_tokens"] = json!(limit);
        }
        Self::json("/openai/v1/chat/completions", &body)
    }

    /// The same as a stream of events.
    pub fn stream(max_tokens: u64) -> Self {
        let body = json!({"model": "penny-1", "stream": true, "max_tokens": max_tokens,
            "messages": [{"role": "user", "content": "hi"}]});
        Self::json("/openai/v1/chat/completions", &body)
    }

    /// A charge of so many cents.
    pub fn charge(cents: u64) -> Self {
        Self::form("/stripe/v1/charges", format!("amount={cents}&currency=usd&source=tok_visa"))
    }

    pub fn body(mut self, kind: &str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header("content-type", kind)
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn key(self, key: &Key) -> Self {
        self.header("authorization", &format!("Bearer {}", key.key))
    }

    /// What the mock vendor is to do.
    pub fn mock(self, script: &str) -> Self {
        self.header("x-mock", script)
    }

    /// The same call as another request: with a trace id of its own.
    pub fn again(&self) -> Self {
        Self { trace: new_trace(), ..self.clone() }
    }

    pub fn traceparent(&self) -> String {
        format!("00-{}-00f067aa0ba902b7-01", self.trace)
    }

    fn request(&self, port: u16) -> Request<Full<Bytes>> {
        let mut request = Request::builder().method(self.method).uri(&self.path);
        request = request.header("host", format!("127.0.0.1:{port}")).header("traceparent", self.traceparent());
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(Full::new(self.body.clone())).expect("a request")
    }

    /// Makes the call, and reads the answer to its end.
    pub async fn send(self, port: u16) -> Result<Answer, Failed> {
        let call = async { Ok(self.open(port).await?.read().await) };
        tokio::time::timeout(SOON, call).await.unwrap_or_else(|_| Err(Failed::Broken(format!("no answer in {SOON:?}"))))
    }

    /// Makes the call from a test, which is no task; panics if there is no answer.
    pub fn now(&self, port: u16) -> Answer {
        let what = format!("{} {}", self.method, self.path);
        runtime().block_on(self.clone().send(port)).unwrap_or_else(|e| panic!("{what}: {e:?}"))
    }

    /// Makes the call, and reads the answer's head.
    pub async fn open(&self, port: u16) -> Result<Open, Failed> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(|e| Failed::NotConnected(e.to_string()))?;
        let _ = stream.set_nodelay(true);
        let broken = |e: hyper::Error| Failed::Broken(format!("{e:?}"));
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        tokio::spawn(connection);
        let response = sender.send_request(self.request(port)).await.map_err(broken)?;
        let (parts, body) = response.into_parts();
        Ok(Open { status: parts.status.as_u16(), headers: parts.headers, body, _sender: sender })
    }
}

/// Why there is no answer.
#[derive(Clone, Debug)]
pub enum Failed {
    /// Nothing was sent.
    NotConnected(String),
    Broken(String),
}

/// An answer whose body is still to come.
pub struct Open {
    pub status: u16,
    pub headers: HeaderMap,
    body: Incoming,
    _sender: http1::SendRequest<Full<Bytes>>,
}

impl Open {
    /// The next piece; nothing at the end, an error if the answer breaks off.
    pub async fn next(&mut self) -> Option<Result<Bytes, hyper::Error>> {
        loop {
            match self.body.frame().await? {
                Ok(frame) => {
                    if let Ok(data) = frame.into_data() {
                        return Some(Ok(data));
                    }
                }
                Err(e) => return Some(Err(e)),
            }
        }
    }

    /// The rest of it.
    pub async fn read(mut self) -> Answer {
        let (mut body, mut whole) = (Vec::new(), true);
        while let Some(piece) = self.next().await {
            match piece {
                Ok(data) => body.extend_from_slice(&data),
                Err(_) => {
                    whole = false;
                    break;
                }
            }
        }
        Answer { status: self.status, headers: self.headers, body, whole }
    }
}

/// An answer that was read.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// It came to its own end.
    pub whole: bool,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{} answered no JSON ({e}): {}", self.status, self.text()))
    }

    /// bursar's own word for a refusal; nothing if it is not bursar's.
    pub fn code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body["bursar"]["code"].as_str().unwrap_or_default().to_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub fn call(&self) -> Option<&str> {
        self.header("x-bursar-call")
    }

    /// Status and code in one, for assertions.
    pub fn said(&self) -> (u16, String) {
        (self.status, self.code())
    }
}

/// As an SDK does it: two repeats of what asks for one, after the time that it asks for; a lost connection too.
pub async fn send_like_an_sdk(ask: Ask, port: u16) -> Option<Answer> {
    let mut repeats = 0;
    let mut ask = ask;
    loop {
        let answer = patiently(&ask, port).await;
        let wait = match &answer {
            Ok(answer) if answer.status == 429 && answer.header("x-should-retry") == Some("true") => {
                retry_after(answer)
            }
            Err(_) => Duration::from_millis(500),
            Ok(_) => return answer.ok(),
        };
        if repeats == 2 {
            return answer.ok();
        }
        repeats += 1;
        tokio::time::sleep(wait).await;
        ask = ask.again();
    }
}

fn retry_after(answer: &Answer) -> Duration {
    let seconds = answer.header("retry-after").and_then(|s| s.parse().ok()).expect("a 429 says when to try again");
    assert!((1..=5).contains(&seconds), "Retry-After is {seconds}");
    Duration::from_secs(seconds)
}

/// Nothing was sent as long as nobody listens, so that is no attempt.
async fn patiently(ask: &Ask, port: u16) -> Result<Answer, Failed> {
    let end = tokio::time::Instant::now() + SOON;
    loop {
        match ask.clone().send(port).await {
            Err(Failed::NotConnected(_)) if tokio::time::Instant::now() < end => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            other => return other,
        }
    }
}
