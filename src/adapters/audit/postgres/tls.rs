//! TLS towards PostgreSQL: which certificates are believed. `connect` decides when it is used.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::adapters::upstream::platform_roots;

/// As in libpq: `Require` encrypts and does not ask who is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Disable,
    Require,
    VerifyFull,
}

/// `roots` is a PEM file; without one, the platform's certificates are believed.
pub(super) fn connector(mode: Mode, roots: Option<&Path>) -> Result<MakeRustlsConnect, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone());
    let config = config.with_safe_default_protocol_versions().map_err(|e| e.to_string())?;
    let config = if mode == Mode::Require {
        tracing::warn!("`sslmode=require` encrypts and does not ask who the server is: `verify-full` does");
        config.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)))
    } else {
        config.with_root_certificates(believed(roots)?)
    };
    Ok(MakeRustlsConnect::new(config.with_no_client_auth()))
}

fn believed(file: Option<&Path>) -> Result<RootCertStore, String> {
    let Some(file) = file else { return Ok(platform_roots().0) };
    let named = |e: String| format!("`sslrootcert`, {}: {e}", file.display());
    let certs = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certs.map_err(|e| named(e.to_string()))?);
    if added == 0 { Err(named("it holds no certificate".to_owned())) } else { Ok(roots) }
}

/// Takes any certificate; the handshake's signature is checked all the same.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
