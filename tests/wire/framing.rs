//! Framing and targets by hand: two readings are refused, odd ones leave as one well-formed request, and nothing is smuggled.

use crate::common::bursar::Key;
use crate::common::client::Ask;
use crate::common::house::House;
use crate::common::raw::{Raw, RawAnswer};
use crate::common::vendor::Received;
use crate::house;

/// What an attacker would like the vendor to take for a request of its own.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: x\r\nX: ";

/// A request whose head has these lines beside `Host` and the key.
fn request(house: &House, key: &Key, line: &str, headers: &str, body: &str) -> String {
    let port = house.port();
    format!("{line} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {}\r\n{headers}\r\n{body}", key.key)
}

/// Sends the bytes on a connection of their own; nothing if bursar hangs up without an answer.
fn answer(house: &House, bytes: impl AsRef<[u8]>) -> Option<RawAnswer> {
    let mut raw = Raw::connect(house.port());
    raw.send(bytes);
    raw.answer()
}

/// A call behind another, over the connection to the vendor that is used again; and what else came since then.
fn sentinel(house: &House, key: &Key, since: usize) -> Vec<Received> {
    let ask = Ask::get("/github/sentinel").key(key);
    let answer = house.call(&ask);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let (own, others): (Vec<_>, Vec<_>) = house.vendor.since(since).into_iter().partition(|r| r.trace() == ask.trace);
    assert_eq!(own.iter().map(|r| r.target.as_str()).collect::<Vec<_>>(), ["/sentinel"]);
    others
}

#[test]
fn two_readings_of_the_framing_are_refused() {
    let (house, key) = house();
    let body = format!("0\r\n\r\n{SMUGGLED}");
    let cases = [
        ("two hosts", "Host: other\r\n"),
        ("two transfer codings", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        ("a coding that is none", "Transfer-Encoding: xchunked\r\n"),
        ("chunked is not last", "Transfer-Encoding: chunked, identity\r\n"),
        ("differing lengths", "Content-Length: 5\r\nContent-Length: 6\r\n"),
        ("differing lengths in one line", "Content-Length: 5, 6\r\n"),
        ("a signed length", "Content-Length: +5\r\n"),
        ("a length in hex", "Content-Length: 0x5\r\n"),
        ("a folded header", "X-One: a\r\n b\r\n"),
        ("a folded framing header", "Transfer-Encoding:\r\n chunked\r\n"),
        ("a blank before the colon", "Transfer-Encoding : chunked\r\n"),
        ("a header without a name", ": x\r\n"),
        ("a NUL in a header", "X-One: a\0b\r\n"),
        ("a lone CR in a header", "X-One: a\rTransfer-Encoding: chunked\r\n"),
        ("two content types", "Content-Type: a/b\r\nContent-Type: c/d\r\n"),
        ("another method", "X-HTTP-Method-Override: DELETE\r\n"),
    ];
    for (what, headers) in cases {
        let got = answer(&house, request(&house, &key, "POST /github/repos/a/b/issues", headers, &body));
        let status = got.as_ref().map_or(400, |answer| answer.status);
        assert_eq!(status, 400, "{what}: {got:?}");
        house.vendor.got_nothing();
    }
    assert!(sentinel(&house, &key, 0).is_empty());
}

#[test]
fn a_request_without_a_host_or_of_an_old_version_is_refused_where_it_has_two_readings() {
    let (house, key) = house();
    let bearer = format!("Authorization: Bearer {}\r\n", key.key);
    let bodies = [
        format!("GET /github/a HTTP/1.1\r\n{bearer}\r\n"),
        format!("POST /github/a HTTP/1.0\r\nHost: x\r\n{bearer}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        format!("GET /github/a HTTP/3.0\r\nHost: x\r\n{bearer}\r\n"),
        format!("GET /github/a\r\nHost: x\r\n{bearer}\r\n"),
        format!("GET  /github/a HTTP/1.1\r\nHost: x\r\n{bearer}\r\n"),
        format!("G=T /github/a HTTP/1.1 \r\nHost: x\r\n{bearer}\r\n"),
    ];
    for bytes in bodies {
        let got = answer(&house, &bytes);
        assert!(got.as_ref().is_none_or(|answer| answer.status == 400), "{bytes}: {got:?}");
        house.vendor.got_nothing();
    }
}

/// Either it is refused, or the vendor sees this one request and no other.
fn leaves_as_one(house: &House, key: &Key, what: &str, bytes: impl AsRef<[u8]>, body: &str) {
    let before = house.vendor.count();
    let got = answer(house, bytes);
    let seen = sentinel(house, key, before);
    assert!(seen.iter().all(|r| !r.target.contains("smuggled")), "{what}: smuggled: {seen:#?}");
    match seen.as_slice() {
        [] => assert!(got.as_ref().is_none_or(|a| a.status >= 400), "{what}: {got:?}"),
        [one] => {
            let lengths = one.headers.get_all("content-length").iter().count();
            let codings = one.headers.get_all("transfer-encoding").iter().count();
            assert_eq!(lengths + codings, 1, "{what}: {one:#?}");
            assert_eq!((one.whole, String::from_utf8_lossy(&one.body)), (true, body.into()), "{what}");
            assert_eq!(one.headers.get_all("host").iter().count(), 1, "{what}: {one:#?}");
        }
        more => panic!("{what}: {} requests left: {more:#?}", more.len()),
    }
}

#[test]
fn odd_framing_leaves_as_one_request_or_not_at_all() {
    let (house, key) = house();
    let line = "POST /github/repos/a/b/issues";
    let chunked = format!("5\r\nhello\r\n0\r\n\r\n{SMUGGLED}");
    let both = |first: &str, second: &str| request(&house, &key, line, &format!("{first}\r\n{second}\r\n"), &chunked);
    let (coding, length) = ("Transfer-Encoding: chunked", format!("Content-Length: {}", chunked.len()));
    leaves_as_one(&house, &key, "a length before chunks", both(&length, coding), "hello");
    leaves_as_one(&house, &key, "a length behind chunks", both(coding, &length), "hello");
    leaves_as_one(&house, &key, "a short length beside chunks", both("Content-Length: 3", coding), "hello");
    let twice = request(&house, &key, line, "Content-Length: 5\r\nContent-Length: 5\r\n", &format!("hello{SMUGGLED}"));
    leaves_as_one(&house, &key, "one length twice", twice, "hello");
    let listed = request(&house, &key, line, "Content-Length: 5, 5\r\n", &format!("hello{SMUGGLED}"));
    leaves_as_one(&house, &key, "one length twice in a line", listed, "hello");
    let bare = request(&house, &key, line, "Content-Length: 5\r\n", "").replace("\r\n", "\n") + "hello";
    leaves_as_one(&house, &key, "bare line feeds", bare, "hello");
    let sized = "5;x=\"a;b\"\r\nhello\r\n0\r\n\r\n";
    leaves_as_one(
        &house,
        &key,
        "a chunk extension",
        request(&house, &key, line, &format!("{coding}\r\n"), sized),
        "hello",
    );
    let loose = "5\nhello\n0\n\n";
    leaves_as_one(
        &house,
        &key,
        "bare line feeds in chunks",
        request(&house, &key, line, &format!("{coding}\r\n"), loose),
        "hello",
    );
    let gzip = request(&house, &key, line, "Transfer-Encoding: gzip, chunked\r\n", &chunked);
    leaves_as_one(&house, &key, "a coding below chunked", gzip, "hello");
}

#[test]
fn a_body_that_breaks_off_never_looks_complete() {
    let (house, key) = house();
    let chunked = "Transfer-Encoding: chunked\r\n";
    let broken = [
        ("Content-Length: 50\r\n", "only this"),
        (chunked, "5\r\nhello\r\n"),
        (chunked, "5\r\nhello\r\nzz\r\n"),
        (chunked, "5\r\nhello\r\n0\r\n"),
        (chunked, "5;x=\"\r\n0\r\n\"\r\nhello\r\n0\r\n\r\n"),
        (chunked, "ffffffffffffffff5\r\nhello\r\n0\r\n\r\n"),
    ];
    for (headers, body) in broken {
        let mut raw = Raw::connect(house.port());
        raw.send(request(&house, &key, "POST /github/repos/a/b/issues", headers, body));
        raw.end();
        let got = raw.answer();
        assert!(got.as_ref().is_none_or(|a| a.status >= 400), "{body:?}: {got:?}");
    }
    let seen = sentinel(&house, &key, 0);
    assert!(seen.iter().all(|r| r.method == "POST" && !r.whole), "{seen:#?}");
}

#[test]
fn what_connections_name_stays_on_its_connection() {
    let (house, key) = house();
    let headers = "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nTE: gzip\r\nProxy-Connection: x\r\n\
        X-Forwarded-For: 10.0.0.1\r\nForwarded: for=10.0.0.1\r\nX-Bursar-Run: r1\r\nX-Kept: yes\r\n";
    let got = answer(&house, request(&house, &key, "GET /github/a", headers, "")).expect("an answer");
    assert_eq!(got.status, 200);
    let seen = house.vendor.last();
    assert_eq!(
        (seen.header("x-kept"), seen.header("host")),
        (Some("yes"), Some(&*format!("127.0.0.1:{}", house.vendor.port)))
    );
    let dropped = ["x-hop", "keep-alive", "te", "proxy-connection", "x-forwarded-for", "forwarded", "x-bursar-run"];
    assert!(dropped.iter().all(|name| seen.header(name).is_none()), "{:#?}", seen.headers);
}

#[test]
fn te_goes_on_only_if_it_was_meant_for_this_hop() {
    let (house, key) = house();
    for (headers, left) in [
        ("TE: trailers\r\n", (None, None)),
        ("TE: trailers\r\nConnection: keep-alive\r\n", (None, None)),
        ("TE: trailers\r\nConnection: TE\r\n", (Some("trailers"), Some("te"))),
        ("TE: gzip\r\nConnection: TE\r\n", (None, None)),
    ] {
        let got = answer(&house, request(&house, &key, "GET /github/a", headers, "")).expect("an answer");
        let seen = house.vendor.last();
        assert_eq!((got.status, seen.header("te"), seen.header("connection")), (200, left.0, left.1), "{headers}");
    }
}

#[test]
fn targets_are_judged_in_one_form() {
    let (house, key) = house();
    let left = [
        ("/github/repos/a", "/repos/a"),
        ("/github//repos///a", "/repos/a"),
        ("//github/repos/a", "/repos/a"),
        ("/github/./repos/%2e/a", "/repos/a"),
        ("/github/%72epos/%61", "/repos/a"),
        ("/github/repos/a%3Ab", "/repos/a%3Ab"),
        ("/github/repos/a%20b", "/repos/a%20b"),
        ("/github/repos/a?x=%2e%2e/&y=a//b", "/repos/a?x=%2e%2e/&y=a//b"),
        ("/github/repos/a/", "/repos/a/"),
    ];
    for (target, expected) in left {
        let got = answer(&house, request(&house, &key, &format!("GET {target}"), "", "")).expect("an answer");
        assert_eq!((got.status, house.vendor.last().target.as_str()), (200, expected), "{target}");
    }
    let before = house.vendor.count();
    for target in REFUSED {
        let got = answer(&house, request(&house, &key, &format!("GET {target}"), "", ""));
        let status = got.as_ref().map_or(400, |answer| answer.status);
        assert_eq!(status, 400, "{target}: {got:?}");
    }
    let denied = ["/github/secret/a", "/github//secret", "/github/%73ecret/a", "/github/./secret/a", "/github/secret/"];
    for target in denied {
        let got = answer(&house, request(&house, &key, &format!("GET {target}"), "", "")).expect("an answer");
        assert_eq!((got.status, got.code()), (403, "policy_denied".to_owned()), "{target}");
    }
    assert_eq!(house.vendor.count(), before, "nothing of it reached the vendor");
}

/// However its letters are spelt.
#[test]
fn a_vault_key_in_the_path_reaches_no_vendor() {
    let (house, key) = house();
    let text = key.key.as_str();
    let spelt = format!("%76{}", &text[1..]);
    for segment in [text, &spelt] {
        let got = answer(&house, request(&house, &key, &format!("GET /github/repos/{segment}"), "", ""));
        let got = got.expect("an answer");
        assert_eq!((got.status, got.code()), (400, "request_malformed".to_owned()), "{segment}");
    }
    assert_eq!(house.vendor.count(), 0);
}

const REFUSED: [&str; 23] = [
    "http://127.0.0.1/github/a",
    "https://example.com/github/a",
    "github/a",
    "*",
    "/github/a/../b",
    "/github/..",
    "/openai/../github/a",
    "/github/a/%2e%2e/b",
    "/github/a/.%2E/b",
    "/github/a%2fb",
    "/github/a%2Fb",
    "/github/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.x",
    "/github/a%5cb",
    "/github/a\\b",
    "/github/a%252fb",
    "/github/a%00b",
    "/github/a%0d%0ab",
    "/github/a;b",
    "/github/a%3bb",
    "/github/a%zz",
    "/github/a%",
    "/github/a%c3%28",
    "/github/a%23b",
];

#[test]
fn connect_and_upgrade_are_refused() {
    let (house, key) = house();
    let vendor = house.vendor.port;
    let connect = request(&house, &key, &format!("CONNECT 127.0.0.1:{vendor}"), "", "");
    let upgrades = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    let h2c = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n";
    let upgrade = |headers| request(&house, &key, "GET /github/a", headers, "");
    for bytes in [connect, upgrade(upgrades), upgrade(h2c)] {
        let got = answer(&house, &bytes).expect("an answer");
        assert_eq!((got.status, got.code()), (400, "upgrade_refused".to_owned()), "{bytes}");
    }
    assert_eq!((house.vendor.count(), house.vendor.connections()), (0, 0));
}
