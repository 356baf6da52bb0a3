//! Where PostgreSQL is, and how to get there: the address, the password's source, TLS. Prints no secret, and knows no table.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;
use zeroize::Zeroizing;

use super::super::AuditError;
use super::tls;
use crate::config::CredentialSource;

/// Between two attempts to reach one server.
const CONNECT: Duration = Duration::from_secs(5);
/// A server that acknowledges nothing for so long is gone.
const SILENCE: Duration = Duration::from_secs(15);

pub struct Address {
    config: Config,
    password: Option<CredentialSource>,
    tls: Option<MakeRustlsConnect>,
}

/// A connection and the task that drives it; both end together.
pub struct Link {
    pub client: Client,
    task: JoinHandle<()>,
}

impl Drop for Link {
    fn drop(&mut self) {
        // What is under way on it has no reader any more, and a server that hangs would keep it for ever.
        self.task.abort();
    }
}

impl Address {
    /// The mistake never repeats the address: it may hold a password.
    pub fn parse(url: &str, password: Option<CredentialSource>) -> Result<Self, String> {
        let (rest, own) = take_own(url);
        let named =
            "`[audit] store` is no address of a PostgreSQL database: write `postgres://user@host:5432/database`";
        let mut config: Config = rest.parse().map_err(|_| named.to_owned())?;
        let mode = own.mode(&config)?;
        let tls = if mode == tls::Mode::Disable { None } else { Some(tls::connector(mode, own.roots.as_deref())?) };
        config.ssl_mode(if tls.is_some() { SslMode::Require } else { SslMode::Disable });
        config.connect_timeout(CONNECT).keepalives_idle(SILENCE).tcp_user_timeout(SILENCE);
        if config.get_application_name().is_none() {
            config.application_name("bursar");
        }
        Ok(Self { config, password, tls })
    }

    pub async fn connect(&self) -> Result<Link, AuditError> {
        let mut config = self.config.clone();
        if let Some(source) = &self.password {
            // Read each time, so that a changed one needs no restart.
            config.password(&**password(source).map_err(AuditError::Store)?);
        }
        match self.tls.clone() {
            Some(tls) => linked(config.connect(tls).await?),
            None => linked(config.connect(NoTls).await?),
        }
    }
}

fn linked<S, T>((client, connection): (Client, tokio_postgres::Connection<S, T>)) -> Result<Link, AuditError>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    // Its error is told to whoever waits for an answer on it.
    let task = tokio::spawn(async move { drop(connection.await) });
    Ok(Link { client, task })
}

fn password(source: &CredentialSource) -> Result<Zeroizing<String>, String> {
    let (text, from) = match source {
        CredentialSource::Env(name) => (std::env::var(name).ok(), format!("the environment variable `{name}`")),
        CredentialSource::File(path) => (std::fs::read_to_string(path).ok(), format!("the file `{}`", path.display())),
    };
    let text =
        text.map(Zeroizing::new).ok_or_else(|| format!("the password of the books cannot be read from {from}"))?;
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// What libpq knows and the client library does not.
#[derive(Default)]
struct Own {
    mode: Option<String>,
    roots: Option<std::path::PathBuf>,
}

/// The address without `sslmode` and `sslrootcert`.
fn take_own(url: &str) -> (String, Own) {
    let Some((base, query)) = url.split_once('?') else { return (url.to_owned(), Own::default()) };
    let mut own = Own::default();
    let decoded = |v: &str| percent_encoding::percent_decode_str(v).decode_utf8_lossy().into_owned();
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| match pair.split_once('=') {
            Some(("sslmode", mode)) => own.mode.replace(decoded(mode)).is_some_and(|_| false),
            Some(("sslrootcert", file)) => own.roots.replace(decoded(file).into()).is_some_and(|_| false),
            _ => true,
        })
        .collect();
    (format!("{base}?{}", kept.join("&")), own)
}

impl Own {
    /// Unsaid, a server on this machine needs no TLS, and any other must prove who it is.
    fn mode(&self, config: &Config) -> Result<tls::Mode, String> {
        let here = |host: &Host| match host {
            Host::Unix(_) => true,
            Host::Tcp(name) => name == "localhost" || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback()),
        };
        match self.mode.as_deref() {
            None if config.get_hosts().iter().all(here) => Ok(tls::Mode::Disable),
            None | Some("verify-full") => Ok(tls::Mode::VerifyFull),
            Some("disable") => Ok(tls::Mode::Disable),
            Some("require") if self.roots.is_none() => Ok(tls::Mode::Require),
            Some("require") => Ok(tls::Mode::VerifyFull),
            Some(_) => Err("`sslmode` must be `disable`, `require` or `verify-full`".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str) -> Result<tls::Mode, String> {
        let (rest, own) = take_own(url);
        own.mode(&rest.parse().expect("an address"))
    }

    #[test]
    fn beyond_this_machine_a_server_proves_itself_unless_told() {
        for (url, expected) in [
            ("postgres://a@localhost/b", tls::Mode::Disable),
            ("postgres://a@127.0.0.1:5433/b", tls::Mode::Disable),
            ("postgresql:///b?host=/run/postgresql", tls::Mode::Disable),
            ("postgres://a@db.internal/b", tls::Mode::VerifyFull),
            ("postgres://a@localhost,db.internal/b", tls::Mode::VerifyFull),
            ("postgres://a@db.internal/b?sslmode=require", tls::Mode::Require),
            ("postgres://a@db.internal/b?sslrootcert=/ca.pem&sslmode=require", tls::Mode::VerifyFull),
            ("postgres://a@db.internal/b?connect_timeout=3&sslmode=disable", tls::Mode::Disable),
        ] {
            assert_eq!(mode(url), Ok(expected), "{url}");
        }
        assert!(mode("postgres://a@h/b?sslmode=prefer").is_err());
    }

    #[test]
    fn a_mistake_in_the_address_shows_no_password() {
        let told = Address::parse("postgres://ann:hunter2@h:port/db", None).err().expect("a mistake");
        assert!(!told.contains("hunter2"), "{told}");
        let from = CredentialSource::Env("BURSAR_NO_SUCH_VARIABLE".to_owned());
        assert!(password(&from).is_err_and(|told| told.contains("BURSAR_NO_SUCH_VARIABLE")));
    }
}
