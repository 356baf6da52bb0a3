//! The other side of sinks: an HTTP server inside the test's own process that keeps every delivery it said yes to. It can be
//! slow, refuse, or be away.

use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::client::runtime;

pub struct Delivery {
    pub headers: HeaderMap,
    pub body: Bytes,
}

#[derive(Default)]
struct State {
    taken: Mutex<Vec<Delivery>>,
    tried: AtomicU64,
    /// What it answers; 200 in the beginning.
    status: AtomicU16,
    delay_ms: AtomicU64,
}

pub struct Sinkhole {
    pub port: u16,
    state: Arc<State>,
    server: Option<JoinHandle<()>>,
}

impl Sinkhole {
    pub fn start() -> Self {
        let state = Arc::new(State::default());
        state.status.store(200, Ordering::SeqCst);
        let mut this = Self { port: super::free_port(), state, server: None };
        this.back();
        this
    }

    /// Takes connections (again).
    pub fn back(&mut self) {
        let listener = runtime().block_on(TcpListener::bind(("127.0.0.1", self.port))).expect("its port");
        self.server = Some(runtime().spawn(accept(listener, self.state.clone())));
    }

    /// Takes no connection any more, and ends those that there are.
    pub fn away(&mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
            let _ = runtime().block_on(server);
        }
    }

    /// From now on each answer is late by so much.
    pub fn slow(&self, delay: Duration) {
        self.state.delay_ms.store(delay.as_millis() as u64, Ordering::SeqCst);
    }

    pub fn answers(&self, status: u16) {
        self.state.status.store(status, Ordering::SeqCst);
    }

    /// Deliveries that were begun, whatever was answered.
    pub fn tried(&self) -> u64 {
        self.state.tried.load(Ordering::SeqCst)
    }

    pub fn deliveries(&self) -> MutexGuard<'_, Vec<Delivery>> {
        self.state.taken.lock().expect("nothing panics in between")
    }

    /// The events of all webhooks that it took, in order.
    pub fn events(&self) -> Vec<Value> {
        let taken = self.deliveries();
        let said = taken.iter().map(|d| serde_json::from_slice::<Value>(&d.body).expect("JSON"));
        said.flat_map(|v| v["data"]["events"].as_array().expect("events").clone()).collect()
    }

    /// The log records that it took, in order.
    pub fn records(&self) -> Vec<LogRecord> {
        let taken = self.deliveries();
        let decoded = taken.iter().map(|d| ExportLogsServiceRequest::decode(d.body.clone()).expect("a request"));
        decoded.flat_map(|r| r.resource_logs).flat_map(|r| r.scope_logs).flat_map(|s| s.log_records).collect()
    }
}

impl Drop for Sinkhole {
    fn drop(&mut self) {
        self.away();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    // Dropped with this task, and its connections with it.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let state = state.clone();
        let answer = service_fn(move |request| answer(state.clone(), request));
        connections.spawn(async move {
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    state.tried.fetch_add(1, Ordering::SeqCst);
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    tokio::time::sleep(Duration::from_millis(state.delay_ms.load(Ordering::SeqCst))).await;
    let status = StatusCode::from_u16(state.status.load(Ordering::SeqCst)).expect("a status");
    if status.is_success() {
        state.taken.lock().expect("nothing panics in between").push(Delivery { headers: head.headers, body });
    }
    // Far more than anybody reads of an answer, and no protobuf: its status is the answer.
    let mut response = Response::new(Full::from(vec![b'.'; 100 << 10]));
    *response.status_mut() = status;
    Ok(response)
}

/// A value below the body of a log record, by its names: `api/operation`.
pub fn field(record: &LogRecord, path: &str) -> Option<Any> {
    path.split('/').try_fold(record.body.clone()?, below)?.value
}

fn below(value: AnyValue, name: &str) -> Option<AnyValue> {
    match value.value? {
        Any::KvlistValue(list) => list.values.into_iter().find(|kv| kv.key == name)?.value,
        _ => None,
    }
}

/// A whole number among the attributes of a log record.
pub fn attribute(record: &LogRecord, name: &str) -> Option<i64> {
    let found: &KeyValue = record.attributes.iter().find(|kv| kv.key == name)?;
    if let Some(Any::IntValue(n)) = found.value.clone()?.value { Some(n) } else { None }
}
