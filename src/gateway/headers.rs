//! Header sections on their way through: what is hop-by-hop, ours, or about another hop is dropped; the rest passes as it came.
//! Places no credential: `rules::vendors::credential` does.

use http::Version;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::baggage;

/// Meant for one connection only (RFC 9110 7.6.1), whatever `Connection` says. `trailer` stays: without it hyper sends none.
static HOP: [HeaderName; 7] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// Says where a request came from, or is set by us.
static OURS: [HeaderName; 9] = [
    HeaderName::from_static("proxy-connection"),
    header::HOST,
    header::EXPECT,
    header::CONTENT_LENGTH,
    header::FORWARDED,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-real-ip"),
];
/// What a vendor says about its own connection.
static THEIRS: [HeaderName; 3] = [header::TE, HeaderName::from_static("proxy-connection"), header::ALT_SVC];

/// Prefix of the headers by which a caller speaks to bursar itself.
pub const PREFIX: &str = "x-bursar-";

/// Drops what must not reach the vendor. What is meant for one connection has been dropped before the call was judged.
pub fn towards_vendor(headers: &mut HeaderMap) {
    drop_all(headers, |name| OURS.contains(name) || name.as_str().starts_with(PREFIX));
    baggage::strip(headers);
    if headers.contains_key(header::TE) {
        // So that it goes no further than it is meant to.
        headers.insert(header::CONNECTION, HeaderValue::from_static("te"));
    }
}

/// HTTP/2 may cut the cookies into many lines; HTTP/1 knows one (RFC 9113 8.2.3).
pub fn one_cookie_line(headers: &mut HeaderMap) {
    let lines: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if lines.len() < 2 {
        return;
    }
    // Lines that are values each are a value together.
    if let Ok(joined) = HeaderValue::from_bytes(&lines.join(&b"; "[..])) {
        headers.insert(header::COOKIE, joined);
    }
}

/// Drops what must not reach the caller. The body's length is set anew from the body itself, except for `HEAD`.
pub fn towards_caller(headers: &mut HeaderMap, keep_length: bool) {
    drop_hops(headers, Version::HTTP_11);
    drop_all(headers, |name| {
        let length = !keep_length && name == header::CONTENT_LENGTH;
        length || THEIRS.contains(name) || name.as_str().starts_with(PREFIX)
    });
}

/// What is meant for one connection alone, by name or because `Connection` says so. `TE: trailers` is made anew, if
/// `Connection` names it; without that word it was some other hop's, and has got here by mistake. HTTP/2 has no such header.
pub fn drop_hops(headers: &mut HeaderMap, version: Version) {
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(',').map(|n| n.trim().to_ascii_lowercase()))
        .filter(|n| n != "close" && n != "keep-alive" && n != "trailer")
        .collect();
    let ours = version == Version::HTTP_2 || named.iter().any(|name| name == "te");
    let trailers = ours && headers.get(header::TE).is_some_and(|te| te == "trailers");
    drop_all(headers, |name| HOP.contains(name) || named.iter().any(|named| named == name.as_str()));
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
}

/// One look at each name that is there costs less than one search for each that may be.
fn drop_all(headers: &mut HeaderMap, unwanted: impl Fn(&HeaderName) -> bool) {
    let names: Vec<HeaderName> = headers.keys().filter(|name| unwanted(name)).cloned().collect();
    names.into_iter().for_each(|name| drop(headers.remove(name)));
}

/// Several lines of one header as one, so that what reads it sees that there are two.
pub fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let mut lines = headers.get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes()));
    let first = lines.next()?.into_owned();
    Some(lines.fold(first, |all, line| format!("{all}, {line}")))
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
            ("connection", "close, X-Secret-Hop, TE"),
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
        drop_hops(&mut h, Version::HTTP_11);
        towards_vendor(&mut h);
        let mut left: Vec<_> = h.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "connection", "idempotency-key", "te"]);
        assert_eq!(h["connection"], "te");
    }

    #[test]
    fn te_passes_only_if_it_was_meant_for_this_hop() {
        for (version, connection, te, passes) in [
            (Version::HTTP_11, "te", "trailers", true),
            (Version::HTTP_11, "close, TE", "trailers", true),
            (Version::HTTP_11, "keep-alive", "trailers", false),
            (Version::HTTP_11, "te", "gzip", false),
            (Version::HTTP_2, "", "trailers", true),
        ] {
            let mut h = map(&[("connection", connection), ("te", te)]);
            drop_hops(&mut h, version);
            assert_eq!((h.contains_key("te"), h.contains_key("connection")), (passes, false), "{connection}, {te}");
        }
    }

    #[test]
    fn cookies_leave_in_one_line() {
        let mut h = map(&[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2; c=3")]);
        one_cookie_line(&mut h);
        assert_eq!(h.get_all("cookie").iter().collect::<Vec<_>>(), ["a=1; b=2; c=3"]);
    }

    #[test]
    fn a_vendor_cannot_speak_for_bursar() {
        let mut h = map(&[("x-bursar-cost-usd", "0"), ("content-length", "3"), ("request-id", "r")]);
        towards_caller(&mut h, false);
        assert_eq!(h.len(), 1);
    }
}
