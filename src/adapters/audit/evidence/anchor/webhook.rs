//! Anchors by POST to whoever keeps them: the checkpoint as JSON, its number in a header, and a token if one is set. Any 2xx
//! answer means that it was taken; it may come twice. Knows no order and no repetition: `anchor` does.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request, Uri};
use http_body_util::Full;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::file::CursorFile;
use crate::units::secret::Secret;

const PATIENCE: Duration = Duration::from_secs(30);

/// Where the token comes from. It is read at every use, so that a new one needs no restart.
#[derive(Clone, Debug)]
pub enum Token {
    Env(String),
    File(PathBuf),
}

impl Token {
    fn header(&self) -> Result<HeaderValue, String> {
        let text = match self {
            Self::Env(name) => std::env::var(name).map_err(|_| format!("the token's variable {name} is not set"))?,
            Self::File(path) => std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?,
        };
        let secret = Secret::new(text.trim().to_owned());
        let value = Some(&secret).filter(|s| s.fits_a_header());
        let value = value.and_then(|s| HeaderValue::from_bytes(&[b"Bearer ", s.expose()].concat()).ok());
        let mut value = value.ok_or("the token is empty, or does not fit into a header")?;
        value.set_sensitive(true);
        Ok(value)
    }
}

pub struct Webhook {
    /// It may hold a token of its own, so it is never printed whole.
    url: Uri,
    token: Option<Token>,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    pub(super) at: CursorFile,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Webhook({})", self.url.host().unwrap_or_default())
    }
}

impl Webhook {
    /// `name` is its cursor's, in the data folder.
    pub fn new(url: Uri, token: Option<Token>, data: &Path, name: &str) -> Result<Self, String> {
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_native_roots()
            .map_err(|e| format!("this machine's trusted certificates cannot be read: {e}"))?
            .https_or_http()
            .enable_http1()
            .build();
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(Duration::from_secs(4));
        Ok(Self { url, token, client: builder.build(connector), at: CursorFile::new(data, name) })
    }

    pub(super) async fn send(&self, number: u64, checkpoint: String) -> Result<(), String> {
        let host = self.url.host().unwrap_or_default();
        let mut request = Request::post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("bursar-checkpoint", number)
            .body(Full::new(Bytes::from(checkpoint)))
            .map_err(|e| e.to_string())?;
        if let Some(token) = &self.token {
            request.headers_mut().insert(AUTHORIZATION, token.header()?);
        }
        match tokio::time::timeout(PATIENCE, self.client.request(request)).await {
            Ok(Ok(answer)) if answer.status().is_success() => Ok(()),
            Ok(Ok(answer)) => Err(format!("{host} answered {} to checkpoint {number}", answer.status())),
            Ok(Err(e)) => Err(format!("{host} cannot be reached: {}", deepest(&e))),
            Err(_) => Err(format!("{host} did not answer within {PATIENCE:?}")),
        }
    }
}

/// The outer words of the client say only that it failed, and none of them names the path.
fn deepest(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |e| e.source()).last().map_or_else(String::new, ToString::to_string)
}
