//! The mock vendor of `benches/gateway/run`: one thread, canned chat answers (plain, or a stream of 100 events), and a count
//! of what it was asked at `GET /count`. Does nothing without `serve ADDRESS`, so that a test run may start it.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use memchr::memmem;
use tokio::net::{TcpListener, TcpStream};

/// The size of a plain answer, and of each event of a stream.
const ANSWER_BYTES: usize = 1_134;
const EVENT_BYTES: usize = 212;
const EVENTS: usize = 100;

fn main() -> std::io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", address] => {
            tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve(address))
        }
        _ => Ok(()),
    }
}

async fn serve(address: &str) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let vendor = Arc::new(Vendor::new());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(connection(stream, vendor.clone()));
    }
}

async fn connection(stream: TcpStream, vendor: Arc<Vendor>) {
    let service = service_fn(|request| answer(&vendor, request));
    // The load generator cuts its connections at the end of a round.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// What it says, made once, and how often it was asked.
struct Vendor {
    asked: AtomicU64,
    plain: Bytes,
    event: Bytes,
    usage: Bytes,
    done: Bytes,
}

impl Vendor {
    fn new() -> Self {
        Self {
            asked: AtomicU64::new(0),
            plain: padded(
                r#"{"id":"chatcmpl-bench","object":"chat.completion","created":1767225600,"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"message":{"role":"assistant","content":"PAD","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":180,"completion_tokens":140,"total_tokens":320,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":"fp_bench"}"#,
                ANSWER_BYTES,
            ),
            event: padded(&event(r#"[{"index":0,"delta":{"content":"PAD"},"finish_reason":null}]"#, ""), EVENT_BYTES),
            usage: event("[]", r#","usage":{"prompt_tokens":180,"completion_tokens":100,"total_tokens":280}"#).into(),
            done: Bytes::from_static(b"data: [DONE]\n\n"),
        }
    }
}

fn event(choices: &str, rest: &str) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1767225600,\
         \"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":{choices}{rest}}}\n\n"
    )
}

/// `PAD` becomes words until the whole has its size.
fn padded(text: &str, size: usize) -> Bytes {
    let filler: String =
        "The quick brown fox jumps over it. ".chars().cycle().take((size + 3).saturating_sub(text.len())).collect();
    text.replace("PAD", &filler).into()
}

async fn answer(vendor: &Vendor, request: Request<Incoming>) -> Result<Response<Answer>, Infallible> {
    if request.method() == Method::GET && request.uri().path() == "/count" {
        return Ok(Response::new(Answer::whole(vendor.asked.load(Ordering::Relaxed).to_string())));
    }
    vendor.asked.fetch_add(1, Ordering::Relaxed);
    // A caller who leaves in the middle of a body asked nonetheless, and gets no answer that anyone reads.
    let body = request.into_body().collect().await.map(|b| b.to_bytes()).unwrap_or_default();
    Ok(if memmem::find(&body, br#""stream":true"#).is_some() { stream(vendor, &body) } else { plain(vendor) })
}

fn plain(vendor: &Vendor) -> Response<Answer> {
    let mut response = Response::new(Answer::whole(vendor.plain.clone()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    headers.insert("x-request-id", header::HeaderValue::from_static("req_bench"));
    response
}

fn stream(vendor: &Vendor, body: &[u8]) -> Response<Answer> {
    let mut events = vec![vendor.done.clone()];
    if memmem::find(body, br#""include_usage":true"#).is_some() {
        events.push(vendor.usage.clone());
    }
    events.resize(events.len() + EVENTS, vendor.event.clone());
    let mut response = Response::new(Answer::Events { left: events, pause: false });
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/event-stream"));
    headers.insert("x-request-id", header::HeaderValue::from_static("req_bench"));
    // nginx would gather the events otherwise.
    headers.insert("x-accel-buffering", header::HeaderValue::from_static("no"));
    response
}

/// An answer in one piece, or events, last one first.
enum Answer {
    Whole(Option<Bytes>),
    Events { left: Vec<Bytes>, pause: bool },
}

impl Answer {
    fn whole(text: impl Into<Bytes>) -> Self {
        Self::Whole(Some(text.into()))
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(text) => Poll::Ready(text.take().map(|t| Ok(Frame::data(t)))),
            // A pause after each event: hyper then writes it out by itself, as a vendor that thinks between events does.
            Self::Events { pause, .. } if *pause => {
                *pause = false;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Self::Events { left, pause } => {
                *pause = true;
                Poll::Ready(left.pop().map(|e| Ok(Frame::data(e))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(text) => text.is_none(),
            Self::Events { left, .. } => left.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(text) => SizeHint::with_exact(text.as_ref().map_or(0, Bytes::len) as u64),
            Self::Events { .. } => SizeHint::default(),
        }
    }
}
