//! Agents reach bursar by TLS, with HTTP/1.1 and with HTTP/2, and their links lead back by https.

mod common;

use std::path::Path;
use std::sync::Arc;

use common::bursar::{Bursar, Setup};
use common::client::runtime;
use common::{SOON, wait_for};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

type Body = Full<bytes::Bytes>;

/// A certificate for 127.0.0.1, its files, and roots that trust it.
fn certificate(dir: &Path) -> rustls::RootCertStore {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    std::fs::write(dir.join("cert.pem"), made.cert.pem()).expect("written");
    std::fs::write(dir.join("key.pem"), made.signing_key.serialize_pem()).expect("written");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("a root");
    roots
}

fn client(
    roots: rustls::RootCertStore,
    http2: bool,
) -> Client<hyper_rustls::HttpsConnector<hyper_util::client::legacy::connect::HttpConnector>, Body> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let builder = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls).https_only();
    let https = if http2 { builder.enable_http2().build() } else { builder.enable_http1().build() };
    Client::builder(TokioExecutor::new()).http2_only(http2).build(https)
}

fn ask(port: u16, key: &str) -> http::Request<Body> {
    let body = r#"{"model":"gpt-4o-mini","max_tokens":50,"messages":[{"role":"user","content":"hello by TLS"}]}"#;
    http::Request::post(format!("https://127.0.0.1:{port}/openai/v1/chat/completions"))
        .header("authorization", format!("Bearer {key}"))
        .header("content-type", "application/json")
        .body(Full::from(body))
        .expect("a request")
}

#[test]
fn both_versions_of_http_work_by_tls() {
    let dir = tempfile::tempdir().expect("a folder");
    let roots = certificate(dir.path());
    let config = dir.path().join("bursar.toml");
    let file = |name: &str| dir.path().join(name).display().to_string();
    let tls = format!("[server]\ntls = {{ cert = \"{}\", key = \"{}\" }}\n", file("cert.pem"), file("key.pem"));
    std::fs::write(&config, tls).expect("written");
    let policies = dir.path().join("policies");
    std::fs::create_dir(&policies).expect("made");
    let setup = Setup { config: Some(config), policies, args: vec!["--sandbox".to_owned()], ..Setup::default() };
    let bursar = Bursar::begin(dir.path(), setup);
    wait_for("the admin socket", SOON, || bursar.cli(&["key", "list"]).status.success().then_some(()));
    let key = bursar.mint("sandbox", "tls", &[]);
    for http2 in [false, true] {
        let (status, version, text) = runtime().block_on(async {
            let answer = client(roots.clone(), http2).request(ask(bursar.gateway, &key.key)).await.expect("an answer");
            let (status, version) = (answer.status(), answer.version());
            let body = answer.into_body().collect().await.expect("a body").to_bytes();
            (status, version, String::from_utf8_lossy(&body).into_owned())
        });
        assert_eq!(status, 200, "{text}");
        assert_eq!(version == http::Version::HTTP_2, http2);
        assert!(text.contains("hello by TLS"), "{text}");
    }
}
