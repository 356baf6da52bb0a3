//! HTTP POST for sinks: TLS with the platform's roots, one time limit for the whole exchange, and an answer's status as what
//! to do next. Follows no redirect. Prints no address beyond the host, and no secret.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use zeroize::Zeroizing;

use super::Failed;
use crate::adapters::upstream::platform_roots;
use crate::config::{CredentialSource, SinkUrl};

/// From the first byte of a request to the last of its answer.
const TIME: Duration = Duration::from_secs(30);
/// Answers are short; more of one is not read.
const ANSWER: usize = 64 * 1024;

pub(super) struct Poster {
    url: SinkUrl,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Poster {
    pub(super) fn new(url: &SinkUrl) -> Result<Self, String> {
        if !url.encrypted() && !url.is_here() {
            tracing::warn!(%url, "a sink gets its events over plain HTTP: they can be read on the way");
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .with_root_certificates(platform_roots().0)
            .with_no_client_auth();
        let https = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_all_versions()
            .build();
        let client = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(https);
        Ok(Self { url: url.clone(), client })
    }

    /// The body of an answer that says yes.
    pub(super) async fn post(&self, headers: HeaderMap, body: Bytes) -> Result<Bytes, Failed> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.url.expose().clone();
        *request.headers_mut() = headers;
        let asked = tokio::time::timeout(TIME, self.exchange(request)).await;
        asked.unwrap_or_else(|_| Err(format!("{} did not answer within {TIME:?}", self.url).into()))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Bytes, Failed> {
        let answer = self.client.request(request).await.map_err(|e| format!("{}: {}", self.url, causes(&e)))?;
        let (head, body) = answer.into_parts();
        // Read to its end, so that the connection serves again.
        let body = Limited::new(body, ANSWER).collect().await;
        if head.status.is_success() {
            return match body {
                Ok(body) => Ok(body.to_bytes()),
                // It said yes, however much it says behind that.
                Err(e) if e.is::<LengthLimitError>() => Ok(Bytes::new()),
                Err(e) => Err(format!("{}: its answer broke off: {e}", self.url).into()),
            };
        }
        Err(Failed {
            why: format!("{} answered {}", self.url, head.status),
            wait: head.headers.get(RETRY_AFTER).and_then(|v| v.to_str().ok()?.parse().ok()).map(Duration::from_secs),
            too_large: head.status == StatusCode::PAYLOAD_TOO_LARGE,
        })
    }
}

fn causes(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |e| e.source()).fold(error.to_string(), |text, e| format!("{text}: {e}"))
}

/// Read each time, so that a changed one needs no restart.
pub(super) fn secret(source: &CredentialSource) -> Result<Zeroizing<String>, String> {
    let (text, from) = match source {
        CredentialSource::Env(name) => (std::env::var(name).ok(), format!("the environment variable `{name}`")),
        CredentialSource::File(path) => (std::fs::read_to_string(path).ok(), format!("the file `{}`", path.display())),
    };
    let text = text.map(|t| Zeroizing::new(t.trim_end_matches(['\r', '\n']).to_owned()));
    text.filter(|t| !t.is_empty()).ok_or_else(|| format!("its secret cannot be read from {from}"))
}
