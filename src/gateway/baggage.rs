//! The W3C `baggage` header: its members that speak to bursar are read, and go no further. All others pass as they came.

use std::borrow::Cow;

use http::{HeaderMap, HeaderValue};
use percent_encoding::percent_decode_str;

pub const NAME: &str = "baggage";
const OURS: &str = "bursar.";

/// Every value of a member; `None` for one that is no text.
pub fn values<'h>(headers: &'h HeaderMap, member: &str) -> impl Iterator<Item = Option<Cow<'h, str>>> {
    let lines = headers.get_all(NAME).iter().map(|line| line.to_str().unwrap_or_default());
    let named = lines.flat_map(|line| line.split(',')).filter_map(move |item| {
        let (key, rest) = item.split_once('=')?;
        (key.trim() == member).then_some(rest)
    });
    // What follows a semicolon are properties of the member.
    named.map(|rest| {
        let value = rest.split(';').next().unwrap_or_default().trim();
        percent_decode_str(value).decode_utf8().ok()
    })
}

/// Takes out what was for bursar alone.
pub fn strip(headers: &mut HeaderMap) {
    let ours = |item: &&str| item.trim_start().starts_with(OURS);
    let lines: Vec<&str> = headers.get_all(NAME).iter().filter_map(|line| line.to_str().ok()).collect();
    if !lines.iter().any(|line| line.split(',').any(|item| ours(&item))) {
        return;
    }
    let rest: Vec<&str> = lines.iter().flat_map(|line| line.split(',')).filter(|item| !ours(item)).collect();
    let rest = rest.join(",");
    headers.remove(NAME);
    // It was a header's text before, so it is one still.
    if let Some(value) = HeaderValue::from_str(rest.trim()).ok().filter(|v| !v.is_empty()) {
        headers.insert(NAME, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ours_goes_no_further() {
        for (sent, passed) in [
            ("a=1", Some("a=1")),
            ("a=1, bursar.run=r;x=y ,b=2", Some("a=1,b=2")),
            ("bursar.run=r, bursar.user=u", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(NAME, HeaderValue::from_static(sent));
            strip(&mut headers);
            assert_eq!(headers.get(NAME).and_then(|v| v.to_str().ok()), passed, "{sent}");
        }
    }
}
