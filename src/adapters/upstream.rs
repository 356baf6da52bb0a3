//! The one way out: pooled connections to vendors, TLS with the platform's roots, addresses checked after DNS and dialled as
//! checked. Follows no redirect, obeys no proxy variable, repeats no request that may have left. `vault` gives the credential.

mod address;
mod dial;
mod timely;
mod upload;

use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

pub use address::is_public;
pub use dial::{Dial, Reach};
use timely::Timely;
pub use upload::{Progress, Upload};

/// How long each step may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// DNS, TCP and TLS.
    pub connect: Duration,
    /// From the last byte of the request to the first of the answer.
    pub header: Duration,
    /// Between two pieces of the answer.
    pub idle: Duration,
    /// How long an unused connection is kept.
    pub pool: Duration,
}

/// Why no answer came. It decides whether anything can have been spent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No byte of the request left.
    #[error("the vendor could not be reached: {0}")]
    NeverLeft(String),
    /// It may have arrived.
    #[error("the connection to the vendor broke before an answer came: {0}")]
    Broken(String),
    #[error("the vendor sent no answer within {0:?}")]
    TimedOut(Duration),
}

type Pool = Client<Timely<HttpsConnector<Dial>>, Upload>;

/// Connection pools: one that dials public addresses alone, one for vendors whose address the operator allowed to be private.
pub struct Upstream {
    public: Pool,
    private: Pool,
    pub timeouts: Timeouts,
}

impl Upstream {
    /// `roots` are trusted for TLS.
    pub fn new(roots: rustls::RootCertStore, timeouts: Timeouts) -> Result<Self, rustls::Error> {
        let pool = |reach| pool(reach, roots.clone(), timeouts);
        Ok(Self { public: pool(Reach::Public)?, private: pool(Reach::Private)?, timeouts })
    }

    /// Sends once. The request's URI is absolute and made by `gateway::forward` from the catalogue's base.
    pub async fn send(&self, private: bool, request: Request<Upload>) -> Result<Response<Incoming>, SendError> {
        let pool = if private { &self.private } else { &self.public };
        match tokio::time::timeout(self.timeouts.header, pool.request(request)).await {
            Err(_) => Err(SendError::TimedOut(self.timeouts.header)),
            Ok(Ok(response)) => Ok(response),
            Ok(Err(e)) if e.is_connect() => Err(SendError::NeverLeft(causes(&e))),
            Ok(Err(e)) => Err(SendError::Broken(causes(&e))),
        }
    }
}

fn pool(reach: Reach, roots: rustls::RootCertStore, timeouts: Timeouts) -> Result<Pool, rustls::Error> {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let https = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_all_versions()
        .wrap_connector(Dial::new(reach));
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(timeouts.pool)
        .timer(TokioTimer::new())
        .http1_max_buf_size(64 * 1024)
        .build(Timely::new(https, timeouts.connect)))
}

/// An error with its causes in one line; hyper says the useful part last.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// The platform's trusted roots, and how many of them could not be read.
pub fn platform_roots() -> (rustls::RootCertStore, usize) {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = rustls::RootCertStore::empty();
    let (_, bad) = roots.add_parsable_certificates(found.certs);
    (roots, bad + found.errors.len())
}
