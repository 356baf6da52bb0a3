//! Links in answers that would lead the caller around bursar, with its vault key, to the vendor itself: rewritten to the
//! address by which the caller came. Touches the headers and the fields that SDKs follow, and nothing else. `rewrite` finds
//! the fields.

mod rewrite;

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, header};

pub use rewrite::Rewrite;

use crate::rules::vendors::{Base, Vendor};

/// The vendor, whose hosts are its own origins, and the caller's base.
#[derive(Clone)]
pub struct Links {
    vendor: Arc<Vendor>,
    base: Arc<str>,
}

impl Links {
    /// Other kinds hold no fields that an SDK follows.
    pub fn are_in(headers: &HeaderMap) -> bool {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        let ends = |end: &str| {
            kind.len().checked_sub(end.len()).and_then(|at| kind.get(at..)).is_some_and(|e| e.eq_ignore_ascii_case(end))
        };
        ends("json") || ends("jsonl") || kind.eq_ignore_ascii_case("text/event-stream")
    }

    pub fn new(vendor: Arc<Vendor>, base: Arc<str>) -> Self {
        Self { vendor, base }
    }

    pub fn rewrite_headers(&self, headers: &mut HeaderMap) {
        if let header::Entry::Occupied(mut lines) = headers.entry(header::LINK) {
            lines.iter_mut().for_each(|line| *line = self.link(line));
        }
        for name in [header::LOCATION, header::CONTENT_LOCATION] {
            let moved = headers.get(&name).and_then(|v| v.to_str().ok()).and_then(|url| self.location(url));
            if let Some(moved) = moved.and_then(|m| HeaderValue::from_str(&m).ok()) {
                headers.insert(name, moved);
            }
        }
    }

    /// Each address stands between `<` and `>`.
    fn link(&self, line: &HeaderValue) -> HeaderValue {
        let Ok(mut rest) = line.to_str() else { return line.clone() };
        let mut moved = String::new();
        while let Some((before, (url, behind))) = rest.split_once('<').and_then(|(b, r)| Some((b, r.split_once('>')?)))
        {
            let url = self.location(url).unwrap_or_else(|| url.to_owned());
            moved.extend([before, "<", &url, ">"]);
            rest = behind;
        }
        HeaderValue::from_str(&(moved + rest)).unwrap_or_else(|_| line.clone())
    }

    /// A redirect within the vendor stays behind bursar; one to a foreign host passes as it is.
    fn location(&self, url: &str) -> Option<String> {
        let relative = url.starts_with('/') && !url.starts_with("//");
        if relative { Some(format!("{}{url}", self.base)) } else { self.moved(url) }
    }

    /// Whatever the scheme: a vendor behind a balancer may not know its own.
    fn moved(&self, url: &str) -> Option<String> {
        let url = url.strip_prefix("https:").or_else(|| url.strip_prefix("http:")).unwrap_or(url);
        let rest = url.strip_prefix("//")?;
        let behind = |base: &Base| rest.strip_prefix(&*base.authority)?.strip_prefix(&*base.prefix);
        let path = self.vendor.hosts.iter().find_map(|host| behind(&host.base).filter(|r| r.starts_with('/')))?;
        Some(format!("{}{path}", self.base))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_lead_back_here() {
        let vendor = crate::config::vendors::moved("stripe", "https://api.x.com".to_owned()).expect("a vendor");
        let links = Links::new(Arc::new(vendor), "http://here/x".into());
        for (before, after) in [
            (
                "<https://api.x.com/a?p=2>; rel=\"next\", </b>; rel=last",
                "<http://here/x/a?p=2>; rel=\"next\", <http://here/x/b>; rel=last",
            ),
            ("<http://api.x.com/a>, <//api.x.com/b>", "<http://here/x/a>, <http://here/x/b>"),
            ("<https://api.x.com.evil/a>; rel=next", "<https://api.x.com.evil/a>; rel=next"),
            ("<https://cdn.y.com/a>; title=\"a < b\"", "<https://cdn.y.com/a>; title=\"a < b\""),
        ] {
            let mut headers = HeaderMap::from_iter([(header::LINK, HeaderValue::from_static(before))]);
            links.rewrite_headers(&mut headers);
            assert_eq!(headers[header::LINK], after);
        }
    }
}
