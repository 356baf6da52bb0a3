//! Rewrites the links in a JSON answer while it flows, whatever its length. It looks for a field's name and its colon, holds
//! back the text behind them, and gives out what stands for it. All else passes as it came. What is held back is bounded, and
//! the result does not depend on how the bytes were cut.

use std::sync::LazyLock;

use bytes::{Bytes, BytesMut};
use memchr::memmem::Finder;

use super::Links;

/// Fields that an SDK fetches by itself, as they stand in JSON. Within a text its quotes would be escaped, so none is found there.
const FIELDS: [&[u8]; 3] = [b"\"results_url\"", b"\"next_page_url\"", b"\"previous_page_url\""];
/// How all of them end: what is searched for.
static END: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"_url\""));
/// The longest link that is held back: no request line may be longer, so nobody can follow a longer one.
const LONGEST: usize = 64 << 10;
/// Blanks around a colon, at most.
const BLANKS: usize = 1 << 10;

/// The filter for one answer.
pub struct Rewrite {
    links: Links,
    /// The end of what came, which may be the beginning of a field and its link.
    held: BytesMut,
}

/// What stands at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// It takes more bytes to know.
    Open,
    /// Nothing within so many bytes.
    Nothing(usize),
    /// A text from here to there, with its quotes.
    Text(usize, usize),
}

impl Rewrite {
    pub fn new(links: Links) -> Self {
        Self { links, held: BytesMut::new() }
    }

    /// Takes bytes of the answer, and gives `out` those that cannot be part of a link any more.
    pub fn push(&mut self, chunk: Bytes, out: &mut impl FnMut(Bytes)) {
        let mut rest = match self.held.is_empty() {
            true => chunk,
            false => {
                self.held.extend_from_slice(&chunk);
                self.held.split().freeze()
            }
        };
        while let Some(at) = next_field(&rest) {
            give(rest.split_to(at), out);
            match link(&rest) {
                Found::Open => return self.held.extend_from_slice(&rest),
                Found::Nothing(n) => give(rest.split_to(n), out),
                Found::Text(from, to) => {
                    give(rest.split_to(from), out);
                    give(self.moved(rest.split_to(to - from)), out);
                }
            }
        }
        give(rest, out);
    }

    /// Ends the answer: what was held back was no link.
    pub fn finish(&mut self, out: &mut impl FnMut(Bytes)) {
        give(self.held.split().freeze(), out);
    }

    /// What stands for a text. One that is no link, or not the vendor's, stays byte for byte.
    fn moved(&self, text: Bytes) -> Bytes {
        let url = serde_json::from_slice::<String>(&text).ok().and_then(|url| self.links.moved(&url));
        url.map_or(text, |url| serde_json::Value::String(url).to_string().into())
    }
}

fn give(bytes: Bytes, out: &mut impl FnMut(Bytes)) {
    if !bytes.is_empty() {
        out(bytes);
    }
}

/// Where the first field begins, or what may become one at the end.
fn next_field(bytes: &[u8]) -> Option<usize> {
    let ends = END.find_iter(bytes).map(|at| &bytes[..at + END.needle().len()]);
    let mut begins = ends.filter_map(|upto| Some(upto.len() - FIELDS.iter().find(|f| upto.ends_with(f))?.len()));
    let longest = FIELDS.iter().map(|field| field.len()).max().unwrap_or(0);
    let tail = bytes.len().saturating_sub(longest - 1);
    let begun = |at: &usize| FIELDS.iter().any(|field| field.starts_with(&bytes[*at..]));
    // Each begins with a quote.
    begins.next().or_else(|| memchr::memchr_iter(b'"', &bytes[tail..]).map(|at| tail + at).find(begun))
}

/// At a field: where its text begins and ends.
fn link(bytes: &[u8]) -> Found {
    let Some(name) = FIELDS.iter().find(|field| bytes.starts_with(field)).map(|field| field.len()) else {
        return Found::Open;
    };
    let blanks = |from: usize| from + bytes[from..].iter().take_while(|b| b.is_ascii_whitespace()).count();
    let colon = blanks(name);
    let quote = match bytes.get(colon) {
        Some(b':') => blanks(colon + 1),
        Some(_) => return Found::Nothing(name),
        None => colon,
    };
    match bytes.get(quote) {
        _ if quote > name + BLANKS => Found::Nothing(name),
        Some(b'"') => match text(&bytes[quote..]) {
            Some(length) if length <= LONGEST => Found::Text(quote, quote + length),
            None if bytes.len() - quote <= LONGEST => Found::Open,
            _ => Found::Nothing(quote),
        },
        Some(_) => Found::Nothing(name),
        None => Found::Open,
    }
}

/// The length of a text with its quotes, if its end is there.
fn text(bytes: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        match bytes[at] {
            b'"' => return Some(at + 1),
            _ => at += 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// What comes out of bytes that arrive in pieces of this size.
    fn through(body: &str, size: usize) -> String {
        let vendor = crate::config::vendors::moved("stripe", "https://api.x.com/p".to_owned()).expect("a vendor");
        let links = Links::new(Arc::new(vendor), "http://here/x".into());
        let mut rewrite = Rewrite::new(links);
        let mut all = Vec::new();
        for piece in body.as_bytes().chunks(size) {
            rewrite.push(Bytes::copy_from_slice(piece), &mut |clean| all.extend_from_slice(&clean));
        }
        rewrite.finish(&mut |clean| all.extend_from_slice(&clean));
        String::from_utf8(all).expect("text stays text")
    }

    #[test]
    fn links_are_found_however_they_are_cut() {
        let long = format!(r#"{{"next_page_url":"https://api.x.com/p/{}"}}"#, "x".repeat(2 * LONGEST));
        for (before, after) in [
            (
                r#"{"a":1,"next_page_url":"https://api.x.com/p/b?c=d"}"#,
                r#"{"a":1,"next_page_url":"http://here/x/b?c=d"}"#,
            ),
            (r#"{"results_url" :\n "https:\/\/api.x.com\/p\/r"}"#, r#"{"results_url" :\n "http://here/x/r"}"#),
            (
                r#"[{"results_url":"https://api.x.com/p/1"},{"results_url":"https://api.x.com/p/2"}]"#,
                r#"[{"results_url":"http://here/x/1"},{"results_url":"http://here/x/2"}]"#,
            ),
            // Not a link of the vendor's, not a link, not a field, not a value, and no end.
            (r#"{"next_page_url":"https://api.x.com.evil/p/"}"#, ""),
            (r#"{"next_page_url":"https://api.x.com/p"}"#, ""),
            (r#"{"next_page_url":null,"previous_page_url":"","my_results_url":"https://api.x.com/p/1"}"#, ""),
            (r#"{"text":"\"results_url\":\"https://api.x.com/p/1\""}"#, ""),
            (r#"["results_url","https://api.x.com/p/1","results_url"]"#, ""),
            (r#"{"results_url":"https://api.x.com/p/1\"#, ""),
            (r#"{"results_"#, ""),
            (&long, ""),
        ] {
            let before = before.replace(r"\n", "\n");
            let after = if after.is_empty() { before.clone() } else { after.replace(r"\n", "\n") };
            for size in [1, 2, 3, 7, 16, 1 << 20] {
                // Byte by byte, a long one is searched anew each time.
                if before.len() < 1000 || size > 1000 {
                    assert!(
                        through(&before, size) == after,
                        "in pieces of {size}: {}",
                        &before[..before.len().min(99)]
                    );
                }
            }
        }
    }
}
