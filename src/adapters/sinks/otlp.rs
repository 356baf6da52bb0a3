//! Events as OpenTelemetry logs over OTLP/HTTP, in protobuf. The message types are OpenTelemetry's own; they are posted from
//! here and not by its SDK, whose exporter drops what its queue does not take and does not say which records arrived.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use serde_json::Value;

use super::post::{Poster, secret};
use super::{Failed, Taken, ocsf};
use crate::adapters::audit::Event;
use crate::config::{CredentialSource, SinkUrl};
use crate::units::time::Timestamp;

pub(super) struct Otlp {
    poster: Poster,
    headers: Vec<(HeaderName, CredentialSource)>,
}

impl Otlp {
    pub(super) fn new(url: &SinkUrl, headers: Vec<(HeaderName, CredentialSource)>) -> Result<Self, String> {
        let this = Self { poster: Poster::new(url)?, headers };
        this.headers()?;
        Ok(this)
    }

    fn headers(&self) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        for (name, source) in &self.headers {
            let unfit = |_| format!("the secret for `{name}` has characters that no header can carry");
            let mut value = HeaderValue::try_from(&**secret(source)?).map_err(unfit)?;
            value.set_sensitive(true);
            headers.insert(name.clone(), value);
        }
        Ok(headers)
    }

    pub(super) async fn deliver(&self, events: &[Event]) -> Result<Taken, Failed> {
        let body = Bytes::from(request(events, Timestamp::now()).encode_to_vec());
        let answer = self.poster.post(self.headers()?, body).await?;
        Ok(Taken { rejected: rejected(answer) })
    }
}

/// A collector that takes a batch in part says so, and the specification forbids to send it again. An answer that cannot be
/// read is taken for its status, which was a yes.
fn rejected(answer: Bytes) -> u64 {
    let said = ExportLogsServiceResponse::decode(answer).ok().and_then(|r| r.partial_success);
    said.and_then(|s| u64::try_from(s.rejected_log_records).ok()).unwrap_or(0)
}

fn request(events: &[Event], now: Timestamp) -> ExportLogsServiceRequest {
    let version = env!("CARGO_PKG_VERSION");
    let scope =
        InstrumentationScope { name: "bursar.audit".to_owned(), version: version.to_owned(), ..Default::default() };
    let records = events.iter().map(|event| record(event, now)).collect();
    let logs = ScopeLogs { scope: Some(scope), log_records: records, ..Default::default() };
    let attributes = vec![text("service.name", "bursar"), text("service.version", version)];
    let resource = Resource { attributes, ..Default::default() };
    let logs = ResourceLogs { resource: Some(resource), scope_logs: vec![logs], ..Default::default() };
    ExportLogsServiceRequest { resource_logs: vec![logs] }
}

fn record(event: &Event, now: Timestamp) -> LogRecord {
    let (severity, severity_text) = match ocsf::severity(event) {
        1 => (SeverityNumber::Info, "INFO"),
        2 => (SeverityNumber::Info2, "INFO2"),
        3 => (SeverityNumber::Warn, "WARN"),
        _ => (SeverityNumber::Error, "ERROR"),
    };
    let kind = event.kind.map_or("event", |k| k.as_str());
    let call = event.call.map(|call| text("bursar.call_id", &call.to_string()));
    let seq = pair("bursar.seq", Any::IntValue(i64::try_from(event.seq).unwrap_or(i64::MAX)));
    LogRecord {
        time_unix_nano: nanos(event.at),
        observed_time_unix_nano: nanos(now),
        severity_number: severity.into(),
        severity_text: severity_text.to_owned(),
        event_name: format!("bursar.{kind}"),
        attributes: [seq, text("bursar.kind", kind)].into_iter().chain(call).collect(),
        body: Some(any(ocsf::record(event))),
        ..Default::default()
    }
}

fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.0).unwrap_or(0).saturating_mul(1000)
}

fn pair(key: &str, value: Any) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

fn text(key: &str, value: &str) -> KeyValue {
    pair(key, Any::StringValue(value.to_owned()))
}

/// Numbers of the books are whole; one that does not fit is a text.
fn any(value: Value) -> AnyValue {
    let value = match value {
        Value::Null => None,
        Value::Bool(yes) => Some(Any::BoolValue(yes)),
        Value::String(text) => Some(Any::StringValue(text)),
        Value::Number(n) => Some(n.as_i64().map_or_else(|| Any::StringValue(n.to_string()), Any::IntValue)),
        Value::Array(list) => Some(Any::ArrayValue(ArrayValue { values: list.into_iter().map(any).collect() })),
        Value::Object(map) => {
            let pair = |(key, value)| KeyValue { key, value: Some(any(value)), ..Default::default() };
            Some(Any::KvlistValue(KeyValueList { values: map.into_iter().map(pair).collect() }))
        }
    };
    AnyValue { value }
}
