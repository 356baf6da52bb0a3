//! Connections, from the configuration: TLS towards agents, and the way to vendors.

use std::sync::Arc;

use super::Failure;
use crate::adapters::upstream::{Timeouts, Upstream, platform_roots};
use crate::config::{self, Config};

pub fn upstream(config: &Config) -> Result<Upstream, Failure> {
    let t = config.server.timeouts;
    let (roots, unusable) = platform_roots();
    if roots.is_empty() {
        tracing::warn!("this machine has no trusted root certificates, so no vendor can be reached by TLS");
    } else if unusable > 0 {
        tracing::debug!(unusable, "some of the platform's root certificates could not be read");
    }
    let times = Timeouts { connect: t.connect, upload: t.upload, header: t.header, idle: t.idle, pool: t.pool };
    Ok(Upstream::new(roots, Arc::new(config.egress.clone()), times)?)
}

pub fn tls(files: &config::Tls) -> Result<tokio_rustls::TlsAcceptor, Failure> {
    use rustls_pki_types::pem::PemObject;
    use rustls_pki_types::{CertificateDer, PrivateKeyDer};
    let named = |path: &std::path::Path, e: String| -> Failure { format!("{}: {e}", path.display()).into() };
    let certs = CertificateDer::pem_file_iter(&files.cert).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certs = certs.map_err(|e| named(&files.cert, e.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| named(&files.key, e.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certs, key)
        .map_err(|e| named(&files.cert, e.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(tokio_rustls::TlsAcceptor::from(Arc::new(config)))
}
