//! The way to the admin API: HTTP/1.1 over the socket in the data folder, or to `--server` with a token. Knows no command.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;

use super::{Failure, Global};
use crate::adapters::audit::{self, AuditStore};
use crate::config;
use crate::units::secret::Secret;

/// One admin API.
pub struct Client {
    way: Way,
}

enum Way {
    Socket(PathBuf),
    Url { base: String, token: Secret },
}

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Client {
    pub fn new(global: &Global) -> Result<Self, Failure> {
        let way = match &global.server {
            Some(url) => url_way(url, global.token.as_ref())?,
            None => Way::Socket(data_folder(global)?.join("admin.sock")),
        };
        Ok(Self { way })
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &str, query: &impl Serialize) -> Result<T, Failure> {
        self.call(Method::GET, &format!("{path}{}", query_string(query)?), Bytes::new()).await
    }

    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        self.call(Method::POST, path, serde_json::to_vec(body)?.into()).await
    }

    async fn call<T: DeserializeOwned>(&self, method: Method, target: &str, body: Bytes) -> Result<T, Failure> {
        let answer = self.send(method, target, body).await?;
        let body = answer.into_body().collect().await.map_err(|e| self.lost(&e))?.to_bytes();
        Ok(serde_json::from_slice(&body)?)
    }

    /// The answer as it comes, for streams.
    pub async fn stream(&self, path: &str, query: &impl Serialize) -> Result<Response<Incoming>, Failure> {
        let target = format!("{path}{}", query_string(query)?);
        self.send(Method::GET, &target, Bytes::new()).await
    }

    async fn send(&self, method: Method, target: &str, body: Bytes) -> Result<Response<Incoming>, Failure> {
        let answer = match &self.way {
            Way::Socket(path) => self.over_socket(path, request(method, target, body, "localhost", None)?).await?,
            Way::Url { base, token } => {
                let target = format!("{base}{target}");
                let host = host_of(base);
                self.over_net(request(method, &target, body, host, Some(token))?).await?
            }
        };
        if answer.status().is_success() { Ok(answer) } else { Err(refusal(answer).await) }
    }

    async fn over_socket(&self, path: &Path, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failure> {
        let stream = UnixStream::connect(path).await.map_err(|e| self.lost(&e))?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| self.lost(&e))?;
        // It ends with the answer, whose errors are seen there.
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(|e| self.lost(&e))
    }

    async fn over_net(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failure> {
        over_net(request).await.map_err(|e| self.lost(&*e))
    }

    fn lost(&self, why: &dyn std::error::Error) -> Failure {
        let why = deepest(why);
        match &self.way {
            Way::Socket(path) => Failure::unreachable(format!(
                "cannot reach bursar at {}: {why}\n       Is `bursar serve` running? Name its data folder with --data, or its admin API with --server.",
                path.display()
            )),
            Way::Url { base, .. } => Failure::unreachable(format!("cannot reach bursar at {base}: {why}")),
        }
    }
}

async fn over_net(request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Box<dyn std::error::Error>> {
    // Plain HTTP needs no root certificates, and reading them takes a while.
    if request.uri().scheme() == Some(&http::uri::Scheme::HTTP) {
        return Ok(Pool::builder(TokioExecutor::new()).build(HttpConnector::new()).request(request).await?);
    }
    let tls = hyper_rustls::HttpsConnectorBuilder::new().with_native_roots()?;
    let pool = Pool::builder(TokioExecutor::new()).build(tls.https_or_http().enable_http1().build());
    Ok(pool.request(request).await?)
}

/// A text from elsewhere. It goes there without our token.
pub async fn fetch(url: &str) -> Result<String, Failure> {
    let lost =
        |why: &dyn std::error::Error| Failure::unreachable(format!("cannot reach {}: {}", host_of(url), deepest(why)));
    let request =
        Request::get(url).body(Full::new(Bytes::new())).map_err(|e| Failure::usage(format!("no address: {e}")))?;
    let answer = over_net(request).await.map_err(|e| lost(&*e))?;
    if !answer.status().is_success() {
        return Err(Failure::refused(format!("{} answered {}", host_of(url), answer.status())));
    }
    let body = answer.into_body().collect().await.map_err(|e| lost(&e))?.to_bytes();
    String::from_utf8(body.into()).map_err(|_| Failure::refused(format!("{}: its answer is no text", host_of(url))))
}

/// The outer words of an HTTP client say only that it failed.
fn deepest(error: &dyn std::error::Error) -> String {
    let chain = std::iter::successors(Some(error), |e| e.source());
    chain.last().map_or_else(String::new, ToString::to_string)
}

fn url_way(url: &str, token: Option<&Secret>) -> Result<Way, Failure> {
    let base = url.trim_end_matches('/').to_owned();
    if !base.starts_with("http://") && !base.starts_with("https://") {
        return Err(Failure::usage(format!("`--server {url}`: write a URL, such as `http://127.0.0.1:8788`")));
    }
    let token = token.filter(|t| !t.is_empty());
    let token = token.ok_or_else(|| {
        Failure::usage(
            "`--server` needs `--token` or BURSAR_ADMIN_TOKEN; it stands in `admin-token` in the data folder",
        )
    })?;
    Ok(Way::Url { base, token: token.clone() })
}

/// Without what may be secret: a password before it, a path or a query behind it.
pub fn host_of(base: &str) -> &str {
    let rest = base.split_once("://").map_or(base, |(_, rest)| rest);
    let place = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    place.rsplit_once('@').map_or(place, |(_, host)| host)
}

/// `--data`, or what the configuration says.
pub fn data_folder(global: &Global) -> Result<PathBuf, Failure> {
    if let Some(data) = &global.data {
        return Ok(data.clone());
    }
    let flags = config::Flags { config: global.config.clone(), ..Default::default() };
    let loaded = config::load(&flags, &|name| std::env::var(name).ok());
    let aside = |mistakes| Failure::usage(format!("{mistakes}\n       With --data DIR, no configuration is read."));
    loaded.map(|c| c.server.data).map_err(aside)
}

/// The configuration, for commands that work without a server.
pub fn config_of(global: &Global, data: &Path) -> Result<config::Config, Failure> {
    let flags = config::Flags { config: global.config.clone(), data: Some(data.to_owned()), ..Default::default() };
    config::load(&flags, &|name| std::env::var(name).ok()).map_err(|e| Failure::usage(e.to_string()))
}

/// The books of a data folder, for commands that work without a server. Which store it is, only the configuration says.
pub fn books_of(global: &Global, data: &Path) -> Result<Arc<dyn AuditStore>, Failure> {
    let config = config_of(global, data)?;
    if config.audit.store == config::AuditStore::Sqlite && !data.join("books.db").exists() {
        let elsewhere = "they may be in PostgreSQL: name the configuration with --config";
        return Err(Failure::refused(format!("`{}` has no books.db; {elsewhere}", data.display())));
    }
    // Those of a fleet are written by whichever node has its turn, and may be read meanwhile.
    let fleet = config.ledger.store != config::LedgerStore::Embedded;
    audit::open(&config.audit.store, data, fleet).map_err(Failure::refused)
}

fn request(
    method: Method,
    target: &str,
    body: Bytes,
    host: &str,
    token: Option<&Secret>,
) -> Result<Request<Full<Bytes>>, Failure> {
    let mut built = Request::builder().method(method).uri(target).header(HOST, host).header(ACCEPT, "application/json");
    if let Some(token) = token {
        built = built.header(AUTHORIZATION, [b"Bearer ", token.expose()].concat());
    }
    if let Some(name) = whoami() {
        built = built.header("x-bursar-actor", name);
    }
    let built = built.header(CONTENT_TYPE, "application/json").body(Full::new(body));
    built.map_err(|e| Failure::usage(format!("this cannot be asked over HTTP: {e}")))
}

/// The name under which the books know who acted.
pub fn whoami() -> Option<String> {
    let name = ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|v| std::env::var(v).ok().filter(|n| !n.is_empty()))?;
    name.bytes().all(|b| b.is_ascii_graphic()).then_some(name)
}

/// `?a=1&b=2` of the fields that are set.
fn query_string(query: &impl Serialize) -> Result<String, Failure> {
    let serde_json::Value::Object(fields) = serde_json::to_value(query)? else { return Ok(String::new()) };
    let text = |v: &serde_json::Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let pairs = fields.iter().filter(|(_, v)| !v.is_null());
    let pairs: Vec<_> = pairs.map(|(k, v)| format!("{k}={}", utf8_percent_encode(&text(v), UNRESERVED))).collect();
    Ok(if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) })
}

/// One path segment.
pub fn segment(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

/// An error as the admin API words it.
#[derive(Deserialize)]
struct Said {
    error: Detail,
}

#[derive(Deserialize)]
struct Detail {
    message: String,
    #[serde(default)]
    mistakes: Vec<String>,
}

async fn refusal(answer: Response<Incoming>) -> Failure {
    let status = answer.status();
    let body = answer.into_body().collect().await.map(|b| b.to_bytes()).unwrap_or_default();
    let Ok(said) = serde_json::from_slice::<Said>(&body) else {
        return Failure::refused(format!("the server answered {status}; is this the admin API?"));
    };
    let mut message = match said.error.mistakes.as_slice() {
        [] | [_] => said.error.message,
        several => several.join("\n       "),
    };
    if status == StatusCode::UNAUTHORIZED {
        message.push_str(" (--token, BURSAR_ADMIN_TOKEN)");
    }
    Failure::refused(message)
}
