//! Watches an answer for the credential that was sent, and puts stars in its place, byte for byte, so that no length changes.
//! Finds the exact bytes only, across chunk borders too. A chunk without a trace of it passes as it is.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};
use memchr::memmem::Finder;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::Placement;
use crate::units::secret::Secret;

/// Shorter texts are no secrets, and would be found by chance.
const SHORTEST: usize = 8;

/// What is looked for: made once for each credential.
pub struct Sought {
    needles: Vec<Finder<'static>>,
}

impl std::fmt::Debug for Sought {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sought(…)")
    }
}

/// The filter for one answer.
pub struct Scrub {
    sought: Arc<Sought>,
    /// The end of what came, which may be the beginning of a credential.
    held: BytesMut,
    found: bool,
}

impl std::fmt::Debug for Scrub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scrub(…)")
    }
}

impl Sought {
    /// The credential, and for `user:password` the password and the encoded form.
    pub fn new(placement: &Placement, credential: &Secret) -> Self {
        let bytes = credential.expose();
        let mut texts = vec![bytes.to_vec()];
        if *placement == Placement::Basic {
            let password = memchr::memchr(b':', bytes).map(|at| &bytes[at + 1..]);
            texts.extend(password.map(<[u8]>::to_vec));
            texts.push(STANDARD.encode(bytes).into_bytes());
        }
        if matches!(placement, Placement::Sigv4(_)) {
            // Secret and session are secrets of their own; the access key id is sent in clear text.
            texts.extend(bytes.splitn(3, |b| *b == b':').skip(1).map(<[u8]>::to_vec));
        }
        if matches!(placement, Placement::Query(_)) {
            // As it stands in the address, and in an answer that repeats the address.
            let text = String::from_utf8_lossy(bytes);
            texts.push(utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string().into_bytes());
        }
        texts.retain(|text| text.len() >= SHORTEST);
        let needles = texts.iter().map(|text| Finder::new(text).into_owned()).collect();
        Self { needles }
    }
}

impl Scrub {
    pub fn new(sought: Arc<Sought>) -> Self {
        Self { sought, held: BytesMut::new(), found: false }
    }

    /// Has anything been starred out?
    pub fn found(&self) -> bool {
        self.found
    }

    /// Takes bytes of the answer, and gives `out` those that cannot be part of a credential any more.
    pub fn push(&mut self, chunk: Bytes, out: &mut impl FnMut(Bytes)) {
        let whole = match self.held.is_empty() {
            true => chunk,
            false => {
                self.held.extend_from_slice(&chunk);
                self.held.split().freeze()
            }
        };
        let mut clean = self.clean(whole);
        let tail = clean.split_off(clean.len() - self.unfinished(&clean));
        self.held.extend_from_slice(&tail);
        if !clean.is_empty() {
            out(clean);
        }
    }

    /// Ends the answer: what was held back was no credential.
    pub fn finish(&mut self, out: &mut impl FnMut(Bytes)) {
        if !self.held.is_empty() {
            out(self.held.split().freeze());
        }
    }

    /// The same for the answer's headers.
    pub fn headers(&mut self, headers: &mut HeaderMap) {
        for value in headers.values_mut() {
            let places = self.places(value.as_bytes());
            if places.is_empty() {
                continue;
            }
            self.found = true;
            let starred = starred(value.as_bytes(), &places);
            // Stars in the place of printable bytes are a valid value; an empty one is still better than the credential.
            *value = HeaderValue::from_bytes(&starred).unwrap_or(HeaderValue::from_static(""));
        }
    }

    fn clean(&mut self, bytes: Bytes) -> Bytes {
        let places = self.places(&bytes);
        if places.is_empty() {
            return bytes;
        }
        self.found = true;
        starred(&bytes, &places).freeze()
    }

    /// Where credentials begin, and their lengths. Overlapping ones count.
    fn places(&self, bytes: &[u8]) -> Vec<(usize, usize)> {
        let mut places = Vec::new();
        for needle in &self.sought.needles {
            let mut from = 0;
            while let Some(at) = bytes.get(from..).and_then(|rest| needle.find(rest)) {
                places.push((from + at, needle.needle().len()));
                from += at + 1;
            }
        }
        places
    }

    /// How many bytes at the end may be the beginning of a credential.
    fn unfinished(&self, bytes: &[u8]) -> usize {
        let begun = |needle: &Finder<'_>| {
            let needle = needle.needle();
            let tail = &bytes[bytes.len().saturating_sub(needle.len() - 1)..];
            // Most ends hold not even the first byte of it.
            let mut begins = memchr::memchr_iter(*needle.first()?, tail).map(|at| &tail[at..]);
            begins.find(|begun| needle.starts_with(begun)).map(<[u8]>::len)
        };
        self.sought.needles.iter().filter_map(begun).max().unwrap_or(0)
    }
}

fn starred(bytes: &[u8], places: &[(usize, usize)]) -> BytesMut {
    let mut copy = BytesMut::from(bytes);
    for (at, len) in places {
        copy[*at..*at + *len].fill(b'*');
    }
    copy
}
