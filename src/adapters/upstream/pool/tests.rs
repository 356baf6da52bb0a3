//! Connections that are kept, shared, given up and never trusted twice, against servers on loopback.

use std::sync::atomic::AtomicUsize;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::*;
use crate::adapters::upstream::dial::Reach;

const PATIENCE: Duration = Duration::from_secs(20);

fn pool(roots: rustls::RootCertStore, patience: Duration) -> Arc<Pool> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let tls = tls.expect("versions").with_root_certificates(roots).with_no_client_auth();
    let https = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_all_versions();
    Arc::new(Pool::new(
        Timely::new(https.wrap_connector(Dial::new(Reach::Private, Arc::default())), PATIENCE),
        patience,
    ))
}

fn plain() -> Arc<Pool> {
    pool(rustls::RootCertStore::empty(), PATIENCE)
}

fn ask(scheme: &str, port: u16) -> Request<Upload> {
    let (upload, _) = Upload::bytes(Bytes::from_static(b"hello"), true);
    Request::post(format!("{scheme}://127.0.0.1:{port}/a?b=c")).body(upload).expect("a request")
}

/// Asks, and reads the answer to its end.
async fn whole(pool: &Pool, request: Request<Upload>) -> Result<String, Failure> {
    let (answer, lease) = pool.request(request).await?;
    let body = answer.into_body().collect().await.map_err(Failure::Broken)?.to_bytes();
    drop(lease);
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// What a plain server saw, and how it behaves.
#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    requests: AtomicUsize,
    heads: Mutex<Vec<String>>,
}

/// After the answers that it gives on one connection, it closes that connection: unread, or after reading one more request.
#[derive(Clone, Copy)]
struct Manner {
    answers: usize,
    reads_more: bool,
}

async fn server(manner: Manner) -> (u16, Arc<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (port, seen) = (listener.local_addr().expect("an address").port(), Arc::new(Seen::default()));
    let told = seen.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let seen = told.clone();
            seen.connections.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                for turn in 0.. {
                    if turn == manner.answers && !manner.reads_more {
                        return;
                    }
                    let Some(head) = request(&mut stream).await else { return };
                    seen.requests.fetch_add(1, Ordering::Relaxed);
                    seen.heads.lock().push(head);
                    if turn >= manner.answers {
                        return;
                    }
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                    stream.write_all(answer).await.expect("written");
                }
            });
        }
    });
    (port, seen)
}

/// A request of five bytes; `None` at the end.
async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\nhello") {
        let mut piece = [0; 1024];
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return None,
            Ok(n) => read.extend_from_slice(&piece[..n]),
        }
    }
    String::from_utf8(read).ok()
}

/// Until the connection knows that it is free again, or gone.
async fn settled(pool: &Pool, free: impl Fn(&http1::SendRequest<Upload>) -> bool) {
    let all = || pool.kept.origins.lock().values().flatten().all(|o| o.idle.iter().all(|(one, _)| free(one)));
    while !all() {
        tokio::task::yield_now().await;
    }
}

const STEADY: Manner = Manner { answers: usize::MAX, reads_more: false };

#[tokio::test]
async fn a_connection_serves_one_call_after_the_other() {
    let (pool, (port, seen)) = (plain(), server(STEADY).await);
    for _ in 0..3 {
        assert_eq!(whole(&pool, ask("http", port)).await.expect("an answer"), "ok");
        settled(&pool, http1::SendRequest::is_ready).await;
    }
    assert_eq!((seen.connections.load(Ordering::Relaxed), seen.requests.load(Ordering::Relaxed)), (1, 3));
    let head = seen.heads.lock()[2].to_ascii_lowercase();
    assert!(head.starts_with("post /a?b=c http/1.1\r\n"), "{head}");
    assert_eq!(head.matches(&format!("host: 127.0.0.1:{port}\r\n")).count(), 1, "{head}");
}

#[tokio::test]
async fn calls_at_once_have_connections_of_their_own() {
    let (pool, (port, seen)) = (plain(), server(STEADY).await);
    let (first, lease) = pool.request(ask("http", port)).await.expect("an answer");
    assert_eq!(whole(&pool, ask("http", port)).await.expect("an answer"), "ok");
    assert_eq!(seen.connections.load(Ordering::Relaxed), 2, "the first is still being read");
    first.into_body().collect().await.expect("a body");
    drop(lease);
    settled(&pool, http1::SendRequest::is_ready).await;
    assert_eq!(pool.kept.origins.lock().values().flatten().map(|o| o.idle.len()).sum::<usize>(), 2);
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_costs_nothing() {
    let (pool, (port, seen)) = (plain(), server(Manner { answers: 1, reads_more: false }).await);
    for _ in 0..5 {
        assert_eq!(whole(&pool, ask("http", port)).await.expect("an answer"), "ok");
        settled(&pool, http1::SendRequest::is_closed).await;
    }
    assert_eq!(seen.requests.load(Ordering::Relaxed), 5, "each call reached it once");
}

#[tokio::test]
async fn what_an_old_connection_gives_back_is_sent_again() {
    for old in [true, false] {
        let (port, _) = server(STEADY).await;
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("a connection");
        let (mut one, work) = http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
        drop(work);
        let sent = one.try_send_request(ask("http", port)).await;
        assert_eq!(matches!(retried(sent, old), Err(Ok(_))), old);
    }
}

#[tokio::test]
async fn what_may_have_arrived_is_not_sent_again() {
    let (pool, (port, seen)) = (plain(), server(Manner { answers: 1, reads_more: true }).await);
    assert_eq!(whole(&pool, ask("http", port)).await.expect("an answer"), "ok");
    settled(&pool, http1::SendRequest::is_ready).await;
    let broken = whole(&pool, ask("http", port)).await.expect_err("read, and not answered");
    assert!(matches!(broken, Failure::Broken(_)), "{broken:?}");
    assert_eq!((seen.connections.load(Ordering::Relaxed), seen.requests.load(Ordering::Relaxed)), (1, 2));
}

#[tokio::test]
async fn nobody_listens() {
    let port = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address").port();
    let failed = whole(&plain(), ask("http", port)).await.expect_err("no connection");
    assert!(matches!(failed, Failure::Unconnected(_)), "{failed:?}");
}

#[tokio::test]
async fn what_nobody_uses_is_closed() {
    let (pool, (port, _)) = (pool(rustls::RootCertStore::empty(), Duration::from_millis(1)), server(STEADY).await);
    whole(&pool, ask("http", port)).await.expect("an answer");
    let kept = || pool.kept.origins.lock().values().flatten().any(|o| !o.idle.is_empty());
    assert!(kept());
    while kept() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// An HTTP/2 server by TLS that answers when it is told to.
async fn secure(go: Arc<Semaphore>) -> (u16, rustls::RootCertStore, Arc<AtomicUsize>) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("a root");
    let key = rustls_pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let tls = tls.expect("versions").with_no_client_auth();
    let mut tls = tls.with_single_cert(vec![made.cert.der().clone()], key.into()).expect("a certificate");
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (port, connections) = (listener.local_addr().expect("an address").port(), Arc::new(AtomicUsize::new(0)));
    let counted = connections.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            let (acceptor, go) = (acceptor.clone(), go.clone());
            tokio::spawn(async move {
                let stream = acceptor.accept(stream).await.expect("TLS");
                let answer = service_fn(move |request: Request<Incoming>| {
                    let go = go.clone();
                    async move {
                        let target = format!("{:?} {}", request.version(), request.uri());
                        request.into_body().collect().await.expect("a body");
                        go.acquire().await.expect("it stays open").forget();
                        Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from(target))))
                    }
                });
                let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                // It ends with its client.
                drop(serving.serve_connection(TokioIo::new(stream), answer).await);
            });
        }
    });
    (port, roots, connections)
}

#[tokio::test]
async fn http2_is_one_connection_for_all() {
    let go = Arc::new(Semaphore::new(1));
    let (port, roots, connections) = secure(go.clone()).await;
    let pool = pool(roots, PATIENCE);
    let expected = format!("HTTP/2.0 https://127.0.0.1:{port}/a?b=c");
    assert_eq!(whole(&pool, ask("https", port)).await.expect("an answer"), expected);
    let calls = (0..10).map(|_| {
        let pool = pool.clone();
        tokio::spawn(async move { whole(&pool, ask("https", port)).await })
    });
    let calls: Vec<_> = calls.collect();
    go.add_permits(10);
    for call in calls {
        assert_eq!(call.await.expect("no panic").expect("an answer"), expected);
    }
    assert_eq!(connections.load(Ordering::Relaxed), 1);
}
