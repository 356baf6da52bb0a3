//! Header sections on their way through: what is hop-by-hop, ours, or about another hop is dropped; the rest passes as it came.
//! Places no credential: `rules::vendors::credential` does.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Meant for one connection only (RFC 9110 7.6.1), whatever `Connection` says. `trailer` stays: without it hyper sends none.
const HOP: [HeaderName; 7] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// Says where a request came from, or is set by us.
const OURS: [&str; 9] = [
    "proxy-connection",
    "host",
    "expect",
    "content-length",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
];

/// Prefix of the headers by which a caller speaks to bursar itself.
pub const PREFIX: &str = "x-bursar-";

/// Drops what must not reach the vendor.
pub fn towards_vendor(headers: &mut HeaderMap) {
    drop_hops(headers);
    OURS.iter().for_each(|name| drop_all(headers, name));
    let ours: Vec<HeaderName> = headers.keys().filter(|n| n.as_str().starts_with(PREFIX)).cloned().collect();
    ours.into_iter().for_each(|name| drop_all(headers, name.as_str()));
}

/// Drops what must not reach the caller. The body's length is set anew from the body itself, except for `HEAD`.
pub fn towards_caller(headers: &mut HeaderMap, keep_length: bool) {
    drop_hops(headers);
    headers.remove(header::TE);
    if !keep_length {
        headers.remove(header::CONTENT_LENGTH);
    }
    headers.remove("proxy-connection");
    headers.remove("alt-svc");
    let ours: Vec<HeaderName> = headers.keys().filter(|n| n.as_str().starts_with(PREFIX)).cloned().collect();
    ours.into_iter().for_each(|name| drop_all(headers, name.as_str()));
}

/// What is meant for one connection alone, by name or because `Connection` says so. `TE: trailers` is made anew.
pub fn drop_hops(headers: &mut HeaderMap) {
    let trailers = headers.get(header::TE).is_some_and(|te| te == "trailers");
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(',').map(|n| n.trim().to_ascii_lowercase()))
        .filter(|n| n != "close" && n != "keep-alive" && n != "trailer")
        .collect();
    named.iter().for_each(|name| drop_all(headers, name));
    HOP.iter().for_each(|name| drop_all(headers, name.as_str()));
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
}

fn drop_all(headers: &mut HeaderMap, name: &str) {
    headers.remove(name);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| (HeaderName::from_static(k), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn only_end_to_end_headers_pass() {
        let mut h = map(&[
            ("connection", "close, X-Secret-Hop"),
            ("x-secret-hop", "1"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("x-bursar-run", "r1"),
            ("x-forwarded-for", "10.0.0.1"),
            ("expect", "100-continue"),
            ("accept", "application/json"),
            ("idempotency-key", "k"),
        ]);
        towards_vendor(&mut h);
        let mut left: Vec<_> = h.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "idempotency-key", "te"]);
    }

    #[test]
    fn a_vendor_cannot_speak_for_bursar() {
        let mut h = map(&[("x-bursar-cost-usd", "0"), ("content-length", "3"), ("request-id", "r")]);
        towards_caller(&mut h, false);
        assert_eq!(h.len(), 1);
    }
}
