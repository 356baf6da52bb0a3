//! Dials a vendor: resolves, checks every address, connects to the address that was checked. So a name that changes its
//! address between check and use gains nothing. TLS is put on top by `upstream`.

use std::error::Error;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::address::{is_metadata, is_public};

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
}

impl Dial {
    pub fn new(reach: Reach) -> Self {
        Self { reach }
    }
}

/// An address that the vendor may not have; nothing was dialled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{host}` resolves to {ip}, which is {}", kind(.metadata))]
pub struct Forbidden {
    host: String,
    ip: IpAddr,
    /// Refused whatever the vendor's entry allows.
    pub metadata: bool,
}

fn kind(metadata: &bool) -> &'static str {
    if *metadata { "a link-local or metadata address" } else { "no public address" }
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
        Box::pin(connect(to, self.reach))
    }
}

async fn connect(to: Uri, reach: Reach) -> io::Result<TokioIo<TcpStream>> {
    let host = to.host().unwrap_or_default().trim_matches(['[', ']']);
    let port = to.port_u16().unwrap_or(if to.scheme_str() == Some("https") { 443 } else { 80 });
    let mut last = None;
    for address in tokio::net::lookup_host((host, port)).await? {
        match checked(address, host, reach) {
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

fn checked(address: SocketAddr, host: &str, reach: Reach) -> Result<SocketAddr, Forbidden> {
    let metadata = is_metadata(address.ip());
    if metadata || (reach == Reach::Public && !is_public(address.ip())) {
        return Err(Forbidden { host: host.to_owned(), ip: address.ip(), metadata });
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_private_address_is_refused_after_dns() {
        for to in ["http://localhost:1/", "http://127.0.0.1:1/", "http://[::1]:1/", "http://0x7f000001:1/"] {
            let e = connect(to.parse().expect(to), Reach::Public).await.expect_err(to);
            assert_ne!(e.kind(), io::ErrorKind::ConnectionRefused, "{to}: {e}");
        }
        let e = connect("http://169.254.169.254/".parse().expect("a uri"), Reach::Private).await.expect_err("metadata");
        assert!(Forbidden::behind(&e).is_some_and(|forbidden| forbidden.metadata), "{e}");
    }
}
