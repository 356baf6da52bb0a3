//! Shapes of answers and of exchanges: HEAD, 204 and 304, trailers, redirects, `Expect`, errors, HTTP/2, and vendors at
//! addresses that must not be dialled.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};

use crate::common::SOON;
use crate::common::books::{row_of, text};
use crate::common::bursar::Key;
use crate::common::client::{Ask, runtime};
use crate::common::house::House;
use crate::common::raw::Raw;
use crate::{FREE, house};

fn head(house: &House, key: &Key, line: &str, headers: &str) -> String {
    let port = house.port();
    format!("{line} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {}\r\n{headers}\r\n", key.key)
}

#[test]
fn answers_without_a_body_have_none() {
    let (house, key) = house();
    let mut raw = Raw::connect(house.port());
    raw.send(head(&house, &key, "HEAD /github/a", "X-Mock: bytes=1234\r\n"));
    let got = raw.head().expect("a head");
    assert!(got.starts_with("HTTP/1.1 200") && got.to_ascii_lowercase().contains("content-length: 1234"), "{got}");
    for status in [204, 304] {
        raw.send(head(&house, &key, "GET /github/a", &format!("X-Mock: status={status}\r\n")));
        let got = raw.answer().expect("an answer on the same connection");
        assert_eq!((got.status, got.header("transfer-encoding")), (status, None), "{}", got.head);
    }
    raw.send(head(&house, &key, "GET /github/a", ""));
    assert_eq!(raw.answer().expect("an answer on the same connection").status, 200);
    assert_eq!(house.vendor.count(), 4);
}

#[test]
fn trailers_of_an_answer_reach_the_caller() {
    let (house, key) = house();
    let mut raw = Raw::connect(house.port());
    raw.send(head(&house, &key, "GET /github/a", "TE: trailers\r\nConnection: TE\r\nX-Mock: trailers\r\n"));
    let got = raw.answer().expect("an answer");
    let trailers = got.trailers.to_ascii_lowercase();
    assert_eq!((got.text().as_str(), trailers.trim()), ("before the trailers", "x-checksum: c0ffee"));
}

/// Nobody has judged them, and they could hold what a header may not.
#[test]
fn trailers_of_a_request_end_here() {
    let (house, key) = house();
    let mut raw = Raw::connect(house.port());
    raw.send(head(&house, &key, "POST /github/a", "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n"));
    raw.send(format!("5\r\nhello\r\n0\r\nX-Sum: 7\r\nX-Api-Key: {}\r\n\r\n", key.key));
    assert_eq!(raw.answer().expect("an answer").status, 200);
    let seen = house.vendor.last();
    assert_eq!((seen.body.as_slice(), seen.whole, seen.trailers), (&b"hello"[..], true, None));
}

#[test]
fn a_redirect_goes_to_the_caller() {
    let (house, key) = house();
    let own = format!("http://127.0.0.1:{}/elsewhere?a=1", house.vendor.port);
    let told = format!("{}/github/elsewhere?a=1", house.bursar.url());
    let places = [(&*own, &*told), ("/elsewhere?a=1", &*told), ("https://x.example/", "https://x.example/")];
    for status in [301, 302, 303, 307, 308] {
        for (said, told) in places {
            let before = house.vendor.count();
            let script = format!("status={status} location={said}");
            let answer = house.call(&Ask::get("/github/a").key(&key).mock(&script));
            assert_eq!((answer.status, answer.header("location")), (status, Some(told)));
            assert_eq!(house.vendor.count(), before + 1, "a redirect was followed");
        }
    }
}

#[test]
fn expect_is_answered_here() {
    let (house, key) = house();
    let body =
        json!({"model": "penny-1", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}).to_string();
    let headers =
        format!("Expect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    for line in ["POST /github/repos/a/b/issues", "POST /openai/v1/chat/completions"] {
        let mut raw = Raw::connect(house.port());
        raw.send(head(&house, &key, line, &headers));
        assert_eq!(raw.head().as_deref(), Some("HTTP/1.1 100 Continue"), "{line}");
        raw.send(&body);
        assert_eq!(raw.answer().map(|a| a.status), Some(200), "{line}");
        let seen = house.vendor.last();
        assert_eq!((seen.body.as_slice(), seen.header("expect")), (body.as_bytes(), None), "{line}");
    }
    let mut raw = Raw::connect(house.port());
    raw.send(head(&house, &key, "POST /github/secret/a", &headers));
    assert_eq!(raw.answer().map(|a| a.status), Some(403), "a refusal does not ask for the body first");
}

#[test]
fn bodies_leave_as_they_came() {
    let (house, key) = house();
    let odd = "{ \"messages\" :[ {\"role\":\"user\",\"content\":\"h\\u0069\"}],\n\t\"max_tokens\": 1e2,\"model\":\"penny-1\" } ";
    let plain =
        Ask::new("POST", "/openai/v1/chat/completions").key(&key).body("application/json", odd.replace("1e2", "100"));
    assert_eq!(house.call(&plain).status, 200);
    assert_eq!(String::from_utf8_lossy(&house.vendor.last().body), odd.replace("1e2", "100"));
    let streamed = odd.replace("1e2", "100").replace("{ \"messages\"", "{ \"stream\":true, \"messages\"");
    let ask = Ask::new("POST", "/openai/v1/chat/completions").key(&key).body("application/json", streamed.clone());
    let answer = house.call(&ask);
    assert_eq!(answer.status, 200);
    let sent = String::from_utf8_lossy(&house.vendor.last().body).into_owned();
    let added = "\"stream_options\":{\"include_usage\":true}";
    assert!(sent.contains(added), "{sent}");
    let bare = sent.replacen(&format!("{added},"), "", 1).replacen(&format!(",{added}"), "", 1);
    assert_eq!(bare, streamed, "only that field was added");
    assert!(!answer.text().contains("\"usage\":{"), "the usage that the caller did not ask for is hidden");
    assert!(answer.text().ends_with("data: [DONE]\n\n") && answer.whole, "{}", answer.text());
}

#[test]
fn failures_of_the_vendor_are_told_as_they_are() {
    let (house, key) = house();
    let chat = |script: &str| Ask::chat(Some(100)).key(&key).mock(script);
    let write = |script: &str| Ask::json("/github/repos/a/b/issues", &json!({})).key(&key).mock(script);
    let failed = house.call(&chat("status=500"));
    assert_eq!((failed.status, failed.json()["error"]["type"].clone()), (500, json!("server_error")));
    assert_eq!(house.call(&chat("cut")).said(), (502, "vendor_broke_off".to_owned()));
    assert_eq!(house.call(&write("cut")).said(), (422, "outcome_unknown".to_owned()));
    assert_eq!(house.call(&Ask::get("/github/a").key(&key).mock("cut")).said(), (502, "vendor_broke_off".to_owned()));
    let rejected = house.call(&chat("status=401"));
    assert_eq!(rejected.said(), (403, "vendor_credential_rejected".to_owned()));
    assert!(!rejected.text().contains("the mock was told"), "{}", rejected.text());
    let cut = house.call(&Ask::get("/github/a").key(&key).mock("bytes=3000000 cut"));
    assert!(!cut.whole, "a large answer that breaks off never looks complete");
    assert_eq!(house.vendor.count(), 6, "nothing is sent twice");
}

#[test]
fn a_vendor_that_never_answers_times_out() {
    let more = |_| "[server.timeouts]\nheader = \"300ms\"\n".to_owned();
    let house = House::with(&[FREE], more);
    let key = house.mint("free", "agent");
    assert_eq!(
        house.call(&Ask::get("/github/a").key(&key).mock("silent")).said(),
        (504, "vendor_timed_out".to_owned())
    );
    let write = Ask::json("/github/repos/a/b/issues", &json!({})).key(&key).mock("silent");
    assert_eq!(house.call(&write).said(), (422, "outcome_unknown".to_owned()));
    assert_eq!(house.vendor.count(), 2, "nothing is sent twice");
}

/// A connection that its server may have closed by now is not trusted with a call. One client, so that one thread serves it.
#[test]
fn an_idle_connection_is_not_used_again() {
    let house = House::with(&[FREE], |_| "[server.timeouts]\npool = \"1s\"\n".to_owned());
    let key = house.mint("free", "agent");
    let content = "Content-Type: application/json\r\nContent-Length: 2\r\n";
    let ask = head(&house, &key, "POST /github/repos/a/b/issues", content) + "{}";
    let mut client = Raw::connect(house.port());
    let mut call = || {
        client.send(&ask);
        assert_eq!(client.answer().expect("an answer on the same connection").status, 200);
    };
    call();
    call();
    assert_eq!(house.vendor.connections(), 1);
    // Time is the fact here.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    call();
    assert_eq!(house.vendor.connections(), 2);
}

/// Admitted, and then it cannot be written: its row says so, and its hold is given back.
#[test]
fn a_call_that_cannot_leave_says_why_in_its_row() {
    let policy = "name = \"long\"\nvendors = [\"long\"]\n[[allow]]\npaths = [\"/**\"]\n[[budget]]\nper = \"agent\"\nwindow = \"day\"\nlimit = \"1 calls\"\n";
    let house = House::with(&[policy], |port| {
        format!(
            "[vendors.long]\nbase_url = \"http://127.0.0.1:{port}/{}\"\ncredential = \"env:TEST_GITHUB\"\nplacement = \"bearer\"\n\
             private_network = true\n[[vendors.long.operations]]\non = [\"GET /{{path+}}\"]\naction = \"read\"\n\
             tier = \"read-only\"\nprice = \"free\"\n",
            "x".repeat(40_000)
        )
    });
    let key = house.mint("long", "agent");
    let ask = Ask::get(format!("/long/a?q={}", "x".repeat(30_000))).key(&key);
    assert_eq!(house.call(&ask).said(), (400, "request_malformed".to_owned()));
    let row = row_of(&house.bursar, &ask.trace, SOON);
    assert_eq!((text(&row, "outcome"), &row["cost_usd"], &row["http_status"]), ("refused", &json!("0"), &json!(400)));
    assert!(text(&row, "error").starts_with("request_malformed"), "{row:#}");
    house.vendor.got_nothing();
    assert_eq!(house.call(&Ask::get("/long/a").key(&key)).status, 200, "nothing of the budget is spent");
}

#[test]
fn private_addresses_are_not_dialled() {
    let own = |name: &str, url: &str, private: bool| {
        format!(
            "[vendors.{name}]\nbase_url = \"{url}\"\ncredential = \"env:TEST_GITHUB\"\nplacement = \"bearer\"\nprivate_network = {private}\n\
             [[vendors.{name}.operations]]\non = [\"GET /{{path+}}\"]\naction = \"read\"\ntier = \"read-only\"\nprice = \"free\"\n"
        )
    };
    let policy = "name = \"inner\"\nvendors = [\"loop\", \"named\", \"mapped\", \"tls\", \"cloud\"]\n[[allow]]\npaths = [\"/**\"]\n";
    let house = House::with(&[policy], |port| {
        own("loop", &format!("http://127.0.0.1:{port}"), false)
            + &own("named", &format!("http://localhost:{port}"), false)
            + &own("mapped", &format!("http://[::ffff:127.0.0.1]:{port}"), false)
            + &own("tls", &format!("https://127.0.0.1:{port}"), false)
            + &own("cloud", "http://169.254.169.254", true)
    });
    let key = house.mint("inner", "agent");
    for vendor in ["loop", "named", "mapped", "tls", "cloud"] {
        let ask = Ask::get(format!("/{vendor}/latest")).key(&key);
        let answer = house.call(&ask);
        assert_eq!(answer.said(), (403, "vendor_address_refused".to_owned()), "{vendor}");
        assert_eq!((answer.header("x-should-retry"), answer.header("retry-after")), (Some("false"), None), "{vendor}");
        let setting = if vendor == "cloud" { "base_url" } else { "private_network = true" };
        let said = answer.text();
        assert!(
            said.contains(&format!("[vendors.{vendor}]")) && said.contains(setting),
            "which entry to change: {said}"
        );
        let row = row_of(&house.bursar, &ask.trace, SOON);
        assert_eq!((text(&row, "outcome"), &row["cost_usd"]), ("unreachable", &json!("0")), "{row:#}");
    }
    assert_eq!(house.vendor.connections(), 0);
}

#[test]
fn agents_may_speak_http_2() {
    let (house, key) = house();
    let bearer = format!("Bearer {}", key.key);
    let (one, two, three) = runtime().block_on(async {
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", house.port())).await.expect("bursar listens");
        let shake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (sender, connection) = shake.expect("HTTP/2");
        tokio::spawn(connection);
        let base = house.bursar.url();
        let call = |method: &str, path: &str, body: &str| {
            let request = http::Request::builder().method(method).uri(format!("{base}{path}"));
            let request = request.header("authorization", &bearer).header("content-type", "application/json");
            let request = request.body(Full::new(Bytes::from(body.to_owned()))).expect("a request");
            let mut sender = sender.clone();
            async move {
                let response = sender.send_request(request).await.expect("an answer");
                let status = response.status().as_u16();
                (status, response.into_body().collect().await.expect("a whole body").to_bytes())
            }
        };
        let chat = r#"{"model":"penny-1","max_tokens":100,"stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
        tokio::join!(
            call("GET", "/github/repos/a", ""),
            call("POST", "/openai/v1/chat/completions", chat),
            call("GET", "/github/a/%2e%2e/b", "")
        )
    });
    assert_eq!((one.0, two.0, three.0), (200, 200, 400));
    let body: Value = serde_json::from_slice(&one.1).expect("JSON");
    assert_eq!(body["path"], "/repos/a");
    assert!(two.1.ends_with(b"data: [DONE]\n\n"));
    assert_eq!(house.vendor.count(), 2);
}
