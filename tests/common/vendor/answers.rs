//! What the mock vendor answers: OpenAI chats plain and streamed, Stripe charges and refunds, and every way to misbehave.
//!
//! Words of `x-mock`: `tokens=N` (output, 100 unless said), `status=N`, `events=N` and `every=MS` and `endless` and `growing` (streams;
//! each event tells the usage so far), //! `delay=MS`, `gate`, `gate-first`, `silent`, `cut`, `bytes=N`, `chunked`, `pause=MS`, `echo`, `pad=N`, `location=URL`, `trailers`,
//! `says=TEXT` (the sixth event, or `GET /v1/says`), `links=N` (to this vendor, N bytes apart), `coding=` gzip, deflate, br, zstd, and any other, which is only named.

mod batches;
mod coded;
mod messages;

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};

use super::{Entry, Received, Script};

pub(super) type Reply = UnsyncBoxBody<Bytes, io::Error>;

/// A token of the model `penny-1`, in micro-cents: a hundred of them cost one cent.
pub const TOKEN: u64 = 10_000;
/// A cent, in micro-cents.
pub const CENT: u64 = 1_000_000;
/// What an answer has unless the script says otherwise.
const TOKENS: u64 = 100;

pub(super) async fn answer(entry: Entry, script: &Script) -> io::Result<Response<Reply>> {
    let seen = entry.seen();
    let status = script.number("status").unwrap_or(200);
    if script.has("silent") {
        std::future::pending::<()>().await;
    }
    let mut response = match (seen.method.as_str(), seen.path()) {
        _ if script.has("bytes") => large(entry, script),
        _ if script.has("echo") => echo(&seen, script),
        _ if script.has("trailers") => with_trailers(),
        _ if script.has("links") => links(&seen, script),
        _ if status == 101 => whole(status, "text/plain", ""),
        _ if status >= 300 || status == 204 => failure(status),
        ("POST", "/v1/chat/completions") => chat(entry, script, &seen),
        ("GET", "/v1/says") => plain(200, &json!({"says": script.text("says")})),
        ("POST", "/v1/responses") => responses(&entry, &seen),
        ("POST", "/v1/messages") => messages::stream(entry, script, &seen),
        ("POST", "/v1/messages/count_tokens") => plain(200, &json!({"input_tokens": messages::COUNTED})),
        ("POST", path) if path.ends_with("/count-tokens") => plain(200, &json!({"inputTokens": messages::COUNTED})),
        ("POST", path) if path.ends_with("/converse") => plain(200, &messages::converse()),
        ("POST", "/v1/charges" | "/v1/refunds") => money(&entry, &seen),
        ("GET", "/v1/charges/ch_1") => plain(200, &charge()),
        ("GET", "/v1/charges/ch_gone") => plain(404, &json!({"error": {"type": "invalid_request_error"}})),
        ("POST", "/v1/parcels") => plain(200, &json!({"id": "par_1", "price": null})),
        ("GET", "/v1/parcels/par_1") => parcel(&entry),
        _ => batches::answer(&entry, script, &seen)
            .unwrap_or_else(|| plain(200, &json!({"object": "thing", "path": seen.path()}))),
    };
    if let Some(to) = script.text("location").and_then(|to| HeaderValue::from_str(to).ok()) {
        response.headers_mut().insert(header::LOCATION, to);
    }
    if let Some(name) = script.text("coding") {
        response = coded::coded(response, name);
    }
    if script.has("cut") {
        response = cut(response).await;
    }
    Ok(response)
}

fn whole(status: u16, kind: &'static str, text: impl Into<Bytes>) -> Response<Reply> {
    let mut response = Response::new(Full::new(text.into()).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn plain(status: u16, body: &Value) -> Response<Reply> {
    whole(status, "application/json", body.to_string())
}

fn failure(status: u16) -> Response<Reply> {
    match status {
        204 | 304 => whole(status, "text/plain", ""),
        _ => plain(
            status,
            &json!({"error": {"message": "the mock was told to fail", "type": "server_error", "code": null}}),
        ),
    }
}

// ---- streams of pieces

/// One piece of an answer and what it adds to the bill; or the connection breaks.
enum Piece {
    Data(Bytes, u64),
    Trailers(HeaderMap),
    Break,
}

/// Counts an answer as long as it flows.
struct Flowing(Entry);

impl Flowing {
    fn new(entry: Entry) -> Self {
        entry.state.answering.fetch_add(1, Ordering::SeqCst);
        Self(entry)
    }
}

impl Drop for Flowing {
    fn drop(&mut self) {
        self.0.state.answering.fetch_sub(1, Ordering::SeqCst);
    }
}

type Pieces = Box<dyn Iterator<Item = Piece> + Send>;

/// Sends the pieces, `pause` apart; each is billed as it leaves.
fn flow(entry: Option<Entry>, pieces: Pieces, pause: Duration) -> Reply {
    let start = (pieces, entry.map(Flowing::new), false);
    let frames = stream::unfold(start, move |(mut pieces, flowing, begun)| async move {
        let piece = pieces.next()?;
        if begun && !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        let frame = match piece {
            Piece::Data(data, billed) => {
                if let Some(Flowing(entry)) = &flowing {
                    entry.bill(billed);
                }
                Ok(Frame::data(data))
            }
            Piece::Trailers(trailers) => Ok(Frame::trailers(trailers)),
            Piece::Break => Err(io::Error::other("the mock breaks off")),
        };
        Some((frame, (pieces, flowing, true)))
    });
    StreamBody::new(frames).boxed_unsync()
}

fn pause(script: &Script, name: &str) -> Duration {
    Duration::from_millis(script.number(name).unwrap_or(0))
}

// ---- OpenAI

fn chat(entry: Entry, script: &Script, seen: &Received) -> Response<Reply> {
    let asked: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
    let tokens = script.number("tokens").unwrap_or(TOKENS);
    if asked["stream"] == true {
        return events(entry, script, &asked, tokens);
    }
    entry.bill(tokens * TOKEN);
    let body = json!({"id": format!("chatcmpl-{}", entry.at), "object": "chat.completion", "created": 1_767_225_600,
        "model": asked["model"], "choices": [{"index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": "hello"}}],
        "usage": usage(tokens)});
    plain(200, &body)
}

fn responses(entry: &Entry, seen: &Received) -> Response<Reply> {
    let asked: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
    entry.bill((10 + TOKENS) * TOKEN);
    plain(
        200,
        &json!({"id": "resp_1", "object": "response", "model": asked["model"], "service_tier": "default", "output": [],
            "usage": {"input_tokens": 10, "output_tokens": TOKENS, "total_tokens": 10 + TOKENS}}),
    )
}

fn usage(tokens: u64) -> Value {
    json!({"prompt_tokens": 10, "completion_tokens": tokens, "total_tokens": tokens + 10})
}

fn chunk(id: usize, model: &Value, choices: &Value, usage: &Value) -> Bytes {
    let body = json!({"id": format!("chatcmpl-{id}"), "object": "chat.completion.chunk", "created": 1_767_225_600,
        "model": model, "choices": choices, "usage": usage});
    format!("data: {body}\n\n").into()
}

fn events(entry: Entry, script: &Script, asked: &Value, tokens: u64) -> Response<Reply> {
    let (id, model) = (entry.at, asked["model"].clone());
    let count: u64 = if script.has("endless") { u64::MAX } else { script.number("events").unwrap_or(10) };
    let each = tokens / count.min(tokens).max(1);
    let (of, growing, says) = (model.clone(), script.has("growing"), script.text("says").map(str::to_owned));
    let words = (0..count).map(move |n| {
        let word = |n| says.clone().filter(|_| n == 5).unwrap_or_else(|| format!("w{n} "));
        // What does not divide evenly stands in the last event.
        let used = if n + 1 == count { tokens - each * (count - 1) } else { each };
        let choices = json!([{"index": 0, "delta": {"content": word(n)}, "finish_reason": null}]);
        let so_far = if growing { usage(each * n + used) } else { Value::Null };
        Piece::Data(chunk(id, &of, &choices, &so_far), used * TOKEN)
    });
    let mut last = vec![chunk(id, &model, &json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]), &Value::Null)];
    if asked["stream_options"]["include_usage"] == true {
        last.push(chunk(id, &model, &json!([]), &usage(tokens)));
    }
    last.push(Bytes::from_static(b"data: [DONE]\n\n"));
    let pieces = words.chain(last.into_iter().map(|data| Piece::Data(data, 0)));
    let mut response = Response::new(flow(Some(entry), Box::new(pieces), pause(script, "every")));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    response
}

// ---- Stripe

/// What is left of the charge `ch_1`, in cents.
pub const REST: u64 = 1700;

fn charge() -> Value {
    json!({"id": "ch_1", "object": "charge", "amount": 2000, "amount_refunded": 2000 - REST, "currency": "usd"})
}

/// Its price is there when it is asked for a second time.
fn parcel(entry: &Entry) -> Response<Reply> {
    let asked = entry.state.log().iter().filter(|r| r.method == "GET" && r.path() == "/v1/parcels/par_1").count();
    let price = (asked > 1).then_some("-0.35");
    plain(200, &json!({"id": "par_1", "price": price, "price_unit": "USD"}))
}

fn money(entry: &Entry, seen: &Received) -> Response<Reply> {
    let key = seen.header("idempotency-key").map(str::to_owned);
    let first = key.as_ref().and_then(|k| entry.state.first_answers.lock().expect("no panic").get(k).cloned());
    if let Some(first) = first {
        let mut response = whole(200, "application/json", first);
        response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
        return response;
    }
    let form = String::from_utf8_lossy(&seen.body).into_owned();
    let field = |name: &str| form.split('&').find_map(|p| p.strip_prefix(name)?.strip_prefix('='));
    if field("source") == Some("tok_chargeDeclined") {
        let error =
            json!({"error": {"type": "card_error", "code": "card_declined", "message": "Your card was declined."}});
        return plain(402, &error);
    }
    // A refund that names no amount gives the rest back.
    let amount: u64 = field("amount").map_or(Some(REST), |a| a.parse().ok()).unwrap_or(0);
    entry.bill(amount * CENT);
    let object = if seen.path() == "/v1/charges" { "charge" } else { "refund" };
    let body = json!({"id": format!("{}_mock_{}", &object[..2], entry.at), "object": object, "amount": amount,
        "currency": field("currency").unwrap_or("usd"), "status": "succeeded", "paid": true, "captured": true,
        "amount_captured": amount, "amount_refunded": 0, "livemode": false});
    if let Some(key) = key {
        entry.state.first_answers.lock().expect("no panic").insert(key, body.to_string());
    }
    plain(200, &body)
}

// ---- misbehaviour, and shapes of answers

/// The head and the first half of an answer, and then nothing.
async fn cut(response: Response<Reply>) -> Response<Reply> {
    let (mut parts, body) = response.into_parts();
    let data = body.collect().await.map(|b| b.to_bytes()).unwrap_or_default();
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(data.len()));
    let half = Piece::Data(data.slice(..data.len() / 2), 0);
    let pieces = vec![half, Piece::Break].into_iter();
    Response::from_parts(parts, flow(None, Box::new(pieces), Duration::from_millis(20)))
}

fn large(entry: Entry, script: &Script) -> Response<Reply> {
    const PIECE: u64 = 64 << 10;
    let total: u64 = script.number("bytes").unwrap_or(0);
    let full = Bytes::from(vec![b'x'; PIECE as usize]);
    let state = entry.state.clone();
    let pieces = (0..total.div_ceil(PIECE)).map(move |n| {
        let size = PIECE.min(total - n * PIECE);
        state.written.fetch_add(size, Ordering::SeqCst);
        Piece::Data(full.slice(..size as usize), 0)
    });
    let mut response = Response::new(flow(Some(entry), Box::new(pieces), pause(script, "pause")));
    *response.status_mut() = StatusCode::from_u16(script.number("status").unwrap_or(200)).expect("a status");
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    if !script.has("chunked") {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(total));
    }
    response
}

/// Says the credential back, in a header and in the body; there also broken in two at every place.
fn echo(seen: &Received, script: &Script) -> Response<Reply> {
    let sent = seen.header("authorization").unwrap_or_default().to_owned();
    let credential = sent.rsplit(' ').next().unwrap_or_default().to_owned();
    let pad = "x".repeat(script.number("pad").unwrap_or(0));
    let mut pieces = vec![Piece::Data(format!("{pad}\nwhole: {credential}\n").into(), 0)];
    for at in 1..credential.len() {
        pieces.push(Piece::Data(format!("{at}: {}", &credential[..at]).into(), 0));
        pieces.push(Piece::Data(format!("{}\n", &credential[at..]).into(), 0));
    }
    let pieces = Box::new(pieces.into_iter());
    let mut response = Response::new(flow(None, pieces, pause(script, "pause")));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    if let (Ok(sent), Ok(credential)) = (HeaderValue::from_str(&sent), HeaderValue::from_str(&credential)) {
        response.headers_mut().insert("x-echo-header", sent);
        response.headers_mut().insert("x-echo-credential", credential);
    }
    response
}

fn with_trailers() -> Response<Reply> {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", HeaderValue::from_static("c0ffee"));
    let pieces = vec![Piece::Data(Bytes::from_static(b"before the trailers"), 0), Piece::Trailers(trailers)];
    let mut response = Response::new(flow(None, Box::new(pieces.into_iter()), Duration::ZERO));
    response.headers_mut().insert(header::TRAILER, HeaderValue::from_static("x-checksum"));
    response
}

/// Fields that an SDK would follow, before and behind much else, and one that none follows.
fn links(seen: &Received, script: &Script) -> Response<Reply> {
    let own = format!("http://{}", seen.header("host").unwrap_or_default());
    let pad = "x".repeat(script.number("links").unwrap_or(0));
    let text = format!(
        r#"{{"results_url":"{own}/results?a=1","url":"{own}/self","pad":"{pad}","meta":{{"next_page_url" : "{own}/next"}}}}"#
    );
    let mut response = whole(200, "application/json", text.clone());
    if script.has("chunked") {
        let pieces: Vec<_> =
            text.into_bytes().chunks(1000).map(|p| Piece::Data(Bytes::copy_from_slice(p), 0)).collect();
        *response.body_mut() = flow(None, Box::new(pieces.into_iter()), Duration::ZERO);
    }
    let next = HeaderValue::from_str(&format!("<{own}/next>; rel=\"next\"")).expect("a header");
    response.headers_mut().insert(header::LINK, next);
    response
}
