//! Links in answers that would lead the caller around bursar, with its vault key, to the vendor itself: rewritten to the
//! address by which the caller came. Touches the fields that SDKs follow, and nothing else.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};

use crate::rules::json::{Document, NodeRef};
use crate::rules::vendors::Vendor;

/// Fields that an SDK fetches by itself.
const FIELDS: [&str; 3] = ["results_url", "next_page_url", "previous_page_url"];

/// The vendor's own origins, and the caller's base.
pub struct Links {
    origins: Vec<String>,
    base: String,
}

impl Links {
    pub fn new(vendor: &Vendor, base: String) -> Self {
        let scheme = |tls| if tls { "https" } else { "http" };
        let origins =
            vendor.hosts.iter().map(|h| format!("{}://{}{}", scheme(h.base.tls), h.base.authority, h.base.prefix));
        Self { origins: origins.collect(), base }
    }

    pub fn rewrite_headers(&self, headers: &mut HeaderMap) {
        let links: Vec<HeaderValue> = headers.get_all(header::LINK).iter().map(|l| self.link(l)).collect();
        headers.remove(header::LINK);
        for link in links {
            headers.append(header::LINK, link);
        }
        for name in [header::LOCATION, header::CONTENT_LOCATION] {
            let moved = headers.get(&name).and_then(|v| v.to_str().ok()).and_then(|url| self.location(url));
            if let Some(moved) = moved.and_then(|m| HeaderValue::from_str(&m).ok()) {
                headers.insert(name, moved);
            }
        }
    }

    fn link(&self, line: &HeaderValue) -> HeaderValue {
        let Ok(text) = line.to_str() else { return line.clone() };
        let moved =
            self.origins.iter().fold(text.to_owned(), |l, o| l.replace(&format!("<{o}/"), &format!("<{}/", self.base)));
        HeaderValue::from_str(&moved).unwrap_or_else(|_| line.clone())
    }

    /// A redirect within the vendor stays behind bursar; one to a foreign host passes as it is.
    fn location(&self, url: &str) -> Option<String> {
        let relative = url.starts_with('/') && !url.starts_with("//");
        if relative { Some(format!("{}{url}", self.base)) } else { self.moved(url) }
    }

    /// Bodies without such a field pass untouched, and uncopied.
    pub fn rewrite_body(&self, body: Bytes) -> Bytes {
        if !FIELDS.iter().any(|f| memchr::memmem::find(&body, f.as_bytes()).is_some()) {
            return body;
        }
        let Ok(document) = Document::parse(&body) else { return body };
        let mut edits = Vec::new();
        self.collect(document.root(), &mut edits);
        edits.sort_by_key(|(span, _)| span.start);
        splice(&body, &edits)
    }

    fn collect(&self, node: NodeRef<'_>, edits: &mut Vec<(std::ops::Range<usize>, String)>) {
        for child in node.children() {
            let followed = child.key().is_some_and(|k| FIELDS.contains(&k));
            match child.text().filter(|_| followed).and_then(|url| self.moved(url)) {
                Some(url) => edits.push((child.span(), serde_json::Value::String(url).to_string())),
                None => self.collect(child, edits),
            }
        }
    }

    fn moved(&self, url: &str) -> Option<String> {
        let rest = self.origins.iter().find_map(|o| url.strip_prefix(o.as_str()).filter(|r| r.starts_with('/')))?;
        Some(format!("{}{rest}", self.base))
    }
}

fn splice(body: &Bytes, edits: &[(std::ops::Range<usize>, String)]) -> Bytes {
    let mut out = Vec::with_capacity(body.len() + 64);
    let mut at = 0;
    for (span, text) in edits {
        out.extend_from_slice(&body[at..span.start]);
        out.extend_from_slice(text.as_bytes());
        at = span.end;
    }
    out.extend_from_slice(&body[at..]);
    out.into()
}
