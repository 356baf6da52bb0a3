//! What HTTP/2 says in other words than HTTP/1: the host in the target, cookies in many lines.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;

use crate::FREE;
use crate::common::bursar::Key;
use crate::common::client::runtime;
use crate::common::house::House;

/// Status and body of a GET with these headers.
fn get(house: &House, uri: &str, headers: &[(&str, &str)]) -> (u16, Value) {
    let mut request = Request::get(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::<Bytes>::default()).expect("a request");
    runtime().block_on(async {
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", house.port())).await.expect("bursar listens");
        let shake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (mut sender, connection) = shake.expect("HTTP/2");
        tokio::spawn(connection);
        let response = sender.send_request(request).await.expect("an answer");
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("a whole body").to_bytes();
        (status, serde_json::from_slice(&body).expect("JSON"))
    })
}

/// A vendor that is reached by its host's name.
fn named() -> (House, Key) {
    let policy = FREE.replace(r#"["github", "openai"]"#, r#"["github", "openai", "pay"]"#);
    let house = House::with(&[&policy], |port| {
        format!(
            "[vendors.pay]\nbase_url = \"http://127.0.0.1:{port}\"\ncredential = \"env:TEST_STRIPE\"\nplacement = \"bearer\"\n\
             private_network = true\nhosts = [\"pay.internal\"]\nenvelope = \"stripe\"\n\
             [[vendors.pay.operations]]\non = [\"GET /{{path+}}\"]\naction = \"read\"\ntier = \"read-only\"\nprice = \"free\"\n"
        )
    });
    let key = house.mint("free", "agent");
    (house, key)
}

#[test]
fn the_host_stands_in_the_target() {
    let (house, key) = named();
    let bearer = format!("Bearer {}", key.key);
    let (status, body) = get(&house, "http://pay.internal/latest", &[("authorization", &bearer)]);
    assert_eq!((status, body["path"].as_str()), (200, Some("/latest")));
    for uri in ["http://pay.internal/latest", "http://PAY.internal:8787/latest"] {
        let (status, body) = get(&house, uri, &[]);
        assert_eq!(
            (status, body["error"]["type"].as_str()),
            (401, Some("invalid_request_error")),
            "as that vendor says it"
        );
    }
    let two = [("authorization", bearer.as_str()), ("host", "other.internal")];
    assert_eq!(get(&house, "http://pay.internal/latest", &two).0, 400, "two hosts are two readings");
    assert_eq!(house.vendor.count(), 1);
}

#[test]
fn cookies_leave_in_one_line() {
    let (house, key) = named();
    let bearer = format!("Bearer {}", key.key);
    let headers = [("authorization", &*bearer), ("cookie", "a=1"), ("cookie", "b=2")];
    assert_eq!(get(&house, "http://pay.internal/latest", &headers).0, 200);
    let seen = house.vendor.last();
    assert_eq!(seen.headers.get_all("cookie").iter().collect::<Vec<_>>(), ["a=1; b=2"]);
}
