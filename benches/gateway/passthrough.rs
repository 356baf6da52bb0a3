//! A bare hyper proxy, the yardstick of `benches/gateway/run`: pooled connections on both sides, every header and body
//! passed on, nothing judged. Does nothing without `serve ADDRESS UPSTREAM`, so that a test run may start it.

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{Either, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::runtime::Builder;

type Upstream = Client<HttpConnector, Incoming>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", address, upstream] => {
            Builder::new_current_thread().enable_all().build()?.block_on(serve(address, upstream))
        }
        // What tokio's usual runtime costs on the same core.
        ["serve", address, upstream, "multi-thread"] => {
            Builder::new_multi_thread().enable_all().build()?.block_on(serve(address, upstream))
        }
        _ => Ok(()),
    }
}

async fn serve(address: &str, upstream: &str) -> Result<(), Box<dyn std::error::Error>> {
    let upstream: Authority = upstream.parse()?;
    let listener = TcpListener::bind(address).await?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Upstream = Client::builder(TokioExecutor::new()).build(connector);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (client, upstream) = (client.clone(), upstream.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| pass_on(&client, &upstream, request));
            // The load generator cuts its connections at the end of a round.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn pass_on(
    client: &Upstream,
    upstream: &Authority,
    mut request: Request<Incoming>,
) -> Result<Response<Either<Incoming, Empty<Bytes>>>, http::Error> {
    let path = request.uri().path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    *request.uri_mut() =
        Uri::builder().scheme(Scheme::HTTP).authority(upstream.clone()).path_and_query(path).build()?;
    match client.request(request).await {
        Ok(response) => Ok(response.map(Either::Left)),
        Err(_) => Response::builder().status(StatusCode::BAD_GATEWAY).body(Either::Right(Empty::new())),
    }
}
