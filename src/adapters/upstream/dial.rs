//! Dials a vendor: resolves, checks every address, connects to the address that was checked. So a name that changes its
//! address between check and use gains nothing. TLS is put on top by `upstream`.

use std::error::Error;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::address::{inner, is_metadata, is_public};
use crate::config::Egress;

/// Which addresses may be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    Public,
    /// Private and loopback too, never a cloud's metadata service.
    Private,
}

/// A connector for hyper.
#[derive(Clone)]
pub struct Dial {
    reach: Reach,
    egress: Arc<Egress>,
}

impl Dial {
    pub fn new(reach: Reach, egress: Arc<Egress>) -> Self {
        Self { reach, egress }
    }
}

/// An address that the vendor may not have; nothing was dialled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{host}`{}: {why}", .ip.map(|ip| format!(" resolves to {ip}")).unwrap_or_default())]
pub struct Forbidden {
    host: String,
    /// None if it was not even resolved.
    ip: Option<IpAddr>,
    pub why: Why,
}

/// By which rule it may not be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// Whatever the vendor's entry allows.
    #[error("a link-local or metadata address")]
    Metadata,
    #[error("no public address")]
    Private,
    #[error("`[egress] hosts` does not name it")]
    Host,
    #[error("`[egress]` does not allow this address")]
    Range,
}

impl Forbidden {
    /// The refusal that an error wraps, if it does.
    pub fn behind(error: &(dyn Error + 'static)) -> Option<Self> {
        // An `io::Error` does not count what it wraps as its source.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let next = wrapped.map_or_else(|| error.source(), |inner| Some(inner as &(dyn Error + 'static)));
        error.downcast_ref::<Self>().cloned().or_else(|| Self::behind(next?))
    }
}

type Dialling = Pin<Box<dyn Future<Output = io::Result<TokioIo<TcpStream>>> + Send>>;

impl tower_service::Service<Uri> for Dial {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Dialling;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Dialling {
        Box::pin(connect(to, self.reach, self.egress.clone()))
    }
}

async fn connect(to: Uri, reach: Reach, egress: Arc<Egress>) -> io::Result<TokioIo<TcpStream>> {
    let host = to.host().unwrap_or_default().trim_matches(['[', ']']);
    let port = to.port_u16().unwrap_or(if to.scheme_str() == Some("https") { 443 } else { 80 });
    if !egress.allows_host(host) {
        let forbidden = Forbidden { host: host.to_owned(), ip: None, why: Why::Host };
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, forbidden));
    }
    let mut last = None;
    for address in tokio::net::lookup_host((host, port)).await? {
        match checked(address, host, reach, &egress) {
            Ok(address) => match TcpStream::connect(address).await {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(TokioIo::new(stream));
                }
                Err(e) => last = Some(e),
            },
            // If another address may be dialled, what happens there is the news.
            Err(forbidden) => last = last.or_else(|| Some(io::Error::new(io::ErrorKind::PermissionDenied, forbidden))),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("`{host}` has no address"))))
}

fn checked(address: SocketAddr, host: &str, reach: Reach, egress: &Egress) -> Result<SocketAddr, Forbidden> {
    let ip = address.ip();
    let why = match () {
        () if is_metadata(ip) => Why::Metadata,
        () if !egress.allows_address(ip, inner(ip)) => Why::Range,
        () if reach == Reach::Public && !is_public(ip) => Why::Private,
        () => return Ok(address),
    };
    Err(Forbidden { host: host.to_owned(), ip: Some(ip), why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_private_address_is_refused_after_dns() {
        for to in ["http://localhost:1/", "http://127.0.0.1:1/", "http://[::1]:1/", "http://0x7f000001:1/"] {
            let e = connect(to.parse().expect(to), Reach::Public, Arc::default()).await.expect_err(to);
            assert_ne!(e.kind(), io::ErrorKind::ConnectionRefused, "{to}: {e}");
        }
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let named = format!("http://localhost:{}/", listener.local_addr().expect("bound").port());
        let egress = |text: &str| {
            Arc::new(crate::config::read("b.toml", &format!("[egress]\n{text}"), &|_| None).expect("sound").egress)
        };
        let dialled = |rules: &str| connect(named.parse().expect("a uri"), Reach::Private, egress(rules));
        for (rules, why) in [
            ("deny = [\"127.0.0.0/8\", \"::1\"]", Why::Range),
            ("allow = [\"203.0.113.0/24\"]", Why::Range),
            ("hosts = [\"127.0.0.1\"]", Why::Host),
        ] {
            let e = dialled(rules).await.expect_err(rules);
            assert_eq!(Forbidden::behind(&e).map(|forbidden| forbidden.why), Some(why), "{rules}: {e}");
        }
        dialled("hosts = [\"localhost\"]\nallow = [\"127.0.0.0/8\"]").await.expect("dialled as checked");
        let metadata = "http://169.254.169.254/".parse().expect("a uri");
        let e = connect(metadata, Reach::Private, Arc::default()).await.expect_err("metadata");
        assert!(Forbidden::behind(&e).is_some_and(|forbidden| forbidden.why == Why::Metadata), "{e}");
    }
}
