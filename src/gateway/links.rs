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
        let Some(link) = headers.get(header::LINK).and_then(|l| l.to_str().ok()) else { return };
        let rewritten =
            self.origins.iter().fold(link.to_owned(), |l, o| l.replace(&format!("<{o}/"), &format!("<{}/", self.base)));
        if let Ok(value) = HeaderValue::from_str(&rewritten) {
            headers.insert(header::LINK, value);
        }
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
