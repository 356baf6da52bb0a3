//! The one way out: pooled connections to vendors, TLS with the platform's roots, addresses checked after DNS and dialled as
//! checked. Follows no redirect, obeys no proxy variable, repeats no request that may have left. `vault` gives the credential.

mod address;
mod answer;
mod decoder;
mod dial;
mod pool;
mod timely;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response};
use tokio::time::{Instant, sleep_until};

use crate::config::Egress;
pub use address::is_public;
pub use answer::{Answer, Unusable};
pub use dial::{Dial, Forbidden, Reach, Why};
use pool::{Failure, Pool};
use timely::Timely;
use upload::Due;
pub use upload::{Progress, Upload};

/// How long each step may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// DNS, TCP and TLS.
    pub connect: Duration,
    /// Between two pieces of the request.
    pub upload: Duration,
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
    /// Nor was anything dialled: the vendor's address is one that it may not have.
    #[error("the vendor's address was refused: {0}")]
    Forbidden(Forbidden),
    /// It may have arrived.
    #[error("the connection to the vendor broke before an answer came: {0}")]
    Broken(String),
    /// Part of it may have arrived.
    #[error("the caller broke off its upload before the end")]
    BrokenOff,
    /// Part of it may have arrived, and not all of the key.
    #[error("the caller's vault key stands in its body")]
    Keyed,
    #[error("the upload made no progress for {0:?}")]
    Stalled(Duration),
    #[error("the vendor sent no answer within {0:?}")]
    TimedOut(Duration),
    /// An answer has come, and cannot be handed on.
    #[error("the vendor's answer cannot be handed on: {}", .0.why)]
    Unusable(Box<Unusable>),
}

/// Connection pools: one that dials public addresses alone, one for vendors whose address the operator allowed to be private.
pub struct Upstream {
    public: Pool,
    private: Pool,
    tls: rustls::ClientConfig,
    egress: Arc<Egress>,
    pub timeouts: Timeouts,
}

impl Upstream {
    /// `roots` are trusted for TLS; `egress` says what may be dialled at all.
    pub fn new(roots: rustls::RootCertStore, egress: Arc<Egress>, timeouts: Timeouts) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self::with(tls, egress, timeouts))
    }

    fn with(tls: rustls::ClientConfig, egress: Arc<Egress>, timeouts: Timeouts) -> Self {
        let pool = |reach| pool(Dial::new(reach, egress.clone()), tls.clone(), timeouts);
        Self { public: pool(Reach::Public), private: pool(Reach::Private), tls, egress, timeouts }
    }

    /// The same with connections of its own, for another thread.
    pub fn beside(&self) -> Self {
        Self::with(self.tls.clone(), self.egress.clone(), self.timeouts)
    }

    /// Sends once. The request's URI is absolute and made by `gateway::forward` from the catalogue's base.
    pub async fn send(&self, private: bool, request: Request<Upload>) -> Result<Response<Answer>, SendError> {
        let pool = if private { &self.private } else { &self.public };
        let (progress, head) = (request.body().progress().clone(), request.method() == Method::HEAD);
        tokio::select! {
            biased;
            sent = pool.request(request) => match sent {
                Ok((response, lease)) => answer::usable(response, lease, head).map_err(SendError::Unusable),
                Err(_) if progress.keyed() => Err(SendError::Keyed),
                Err(_) if progress.broken() => Err(SendError::BrokenOff),
                Err(why) => Err(failed(&why)),
            },
            late = self.too_slow(&progress) => Err(late),
        }
    }

    /// An upload may take as long as it moves. What the vendor does with it has its own time, from the last byte on.
    async fn too_slow(&self, progress: &Progress) -> SendError {
        let Timeouts { connect, upload, header, .. } = self.timeouts;
        // No piece leaves before there is a connection, which has a time-out of its own.
        let start = Instant::now() + connect;
        loop {
            let now = Instant::now();
            match progress.due(start, upload, header) {
                Due::Upload(at) if at <= now => return SendError::Stalled(upload),
                Due::Answer(at) if at <= now => return SendError::TimedOut(header),
                // The last piece may leave meanwhile, and nobody says so: that is seen when its own time could be over.
                due => sleep_until(due.at().min(now + header)).await,
            }
        }
    }
}

fn failed(why: &Failure) -> SendError {
    match why {
        Failure::Broken(error) => SendError::Broken(causes(error)),
        Failure::Unconnected(error) => match Forbidden::behind(&**error) {
            Some(forbidden) => SendError::Forbidden(forbidden),
            None => SendError::NeverLeft(causes(&**error)),
        },
    }
}

fn pool(dial: Dial, tls: rustls::ClientConfig, timeouts: Timeouts) -> Pool {
    let https = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_all_versions()
        .wrap_connector(dial);
    Pool::new(Timely::new(https, timeouts.connect), timeouts.pool)
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
