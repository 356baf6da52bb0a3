//! What accompanies one request from its first byte to its row: id, clock, trace. Decides nothing.

use std::net::SocketAddr;
use std::time::Instant;

use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

use crate::units::ids::CallId;
use crate::units::time::Timestamp;

/// One request.
#[derive(Clone, Debug)]
pub struct Context {
    pub call: CallId,
    pub at: Timestamp,
    pub started: Instant,
    pub from: SocketAddr,
    /// The trace id of a W3C `traceparent`, if the caller sent one.
    pub trace_id: Option<String>,
}

impl Context {
    pub fn new(from: SocketAddr, headers: &HeaderMap) -> Self {
        let trace_id = headers.get("traceparent").and_then(|v| v.to_str().ok()).and_then(trace_id);
        Self { call: CallId(Uuid::now_v7()), at: Timestamp::now(), started: Instant::now(), from, trace_id }
    }

    pub fn latency_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub fn elapsed_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// `00-<32 hex>-<16 hex>-<2 hex>`; anything else is no trace.
fn trace_id(parent: &str) -> Option<String> {
    let id = parent.split('-').nth(1)?;
    let good = id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()) && id.bytes().any(|b| b != b'0');
    good.then(|| id.to_ascii_lowercase())
}

// As constants they are put together once, and not at every call.
pub const CALL: HeaderName = HeaderName::from_static("x-bursar-call");
pub const CAPS: HeaderName = HeaderName::from_static("x-bursar-caps");
pub const COST: HeaderName = HeaderName::from_static("x-bursar-cost-usd");
pub const REMAINING: HeaderName = HeaderName::from_static("x-bursar-remaining-usd");

/// Names the call in an answer.
pub fn stamp(headers: &mut HeaderMap, call: CallId) {
    let mut text = Uuid::encode_buffer();
    set(headers, CALL, call.0.hyphenated().encode_lower(&mut text));
}

/// Sets one of our headers; the values are ids, decimals and short words.
pub fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
