//! Bytes that are searched for: what our own credentials look like in every usual encoding, and where private keys begin. Escapes
//! of JSON and of addresses are undone before; what is left is base64 in either alphabet, wherever in its groups of three the
//! credential began, hexadecimal, and the text itself, also backwards.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use memchr::memmem::Finder;

use super::finds::{Find, Finds};
use crate::units::secret::Secret;

/// Shorter texts are found by chance.
const SHORTEST: usize = 8;

/// What one credential looks like. Made once.
pub struct Traces(Vec<Finder<'static>>);

impl std::fmt::Debug for Traces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Traces(…)")
    }
}

impl Traces {
    /// Of the whole, and of the parts of `user:password` that are long enough to be secrets.
    pub fn of(credential: &Secret) -> Self {
        let whole = credential.expose();
        let parts = whole.split(|byte| *byte == b':').filter(|part| part.len() >= 2 * SHORTEST && *part != whole);
        let mut texts: Vec<Vec<u8>> = std::iter::once(whole).chain(parts).flat_map(looks).collect();
        texts.retain(|text| text.len() >= SHORTEST);
        texts.sort();
        texts.dedup();
        Self(texts.iter().map(|text| Finder::new(text).into_owned()).collect())
    }
}

fn looks(text: &[u8]) -> Vec<Vec<u8>> {
    let hex = |upper: bool| -> Vec<u8> {
        let digits = if upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
        text.iter().flat_map(|b| [digits[usize::from(b >> 4)], digits[usize::from(b & 15)]]).collect()
    };
    let mut all = vec![text.to_vec(), text.iter().rev().copied().collect(), hex(false), hex(true)];
    for shift in 0..3 {
        let shifted = [&[0; 2][..shift], text].concat();
        for coded in [STANDARD_NO_PAD.encode(&shifted), URL_SAFE_NO_PAD.encode(&shifted)] {
            // The first and the last character may hold bits of what stands before and behind.
            let (from, until) = ((shift * 8).div_ceil(6), shifted.len() * 8 / 6);
            all.extend(coded.as_bytes().get(from..until).map(<[u8]>::to_vec));
        }
    }
    all
}

const PRIVATE_KEYS: [&str; 7] = [
    "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN RSA PRIVATE KEY-----",
    "-----BEGIN EC PRIVATE KEY-----",
    "-----BEGIN DSA PRIVATE KEY-----",
    "-----BEGIN OPENSSH PRIVATE KEY-----",
    "-----BEGIN ENCRYPTED PRIVATE KEY-----",
    "-----BEGIN PGP PRIVATE KEY BLOCK-----",
];

/// The search through one answer.
pub(super) struct Search {
    own: Vec<Arc<Traces>>,
    keys: Vec<Finder<'static>>,
    longest: usize,
    /// The end of what came, which may be the beginning of something.
    text: Vec<u8>,
}

impl Search {
    pub fn new(own: Vec<Arc<Traces>>) -> Self {
        let keys: Vec<Finder<'static>> = PRIVATE_KEYS.iter().map(|key| Finder::new(*key).into_owned()).collect();
        let all = own.iter().flat_map(|traces| &traces.0).chain(&keys);
        let longest = all.map(|finder| finder.needle().len()).max().unwrap_or(1);
        Self { own, keys, longest, text: Vec::new() }
    }

    pub fn push(&mut self, piece: &[u8], finds: &mut Finds) {
        let known = self.text.len();
        self.text.extend_from_slice(piece);
        let own = self.own.iter().flat_map(|traces| &traces.0).map(|finder| (finder, Find::Own));
        for (finder, kind) in own.chain(self.keys.iter().map(|finder| (finder, Find::PrivateKey))) {
            ends(finder, &self.text).filter(|end| *end > known).for_each(|_| finds.add(kind));
        }
        let over = (self.text.len() + 1).saturating_sub(self.longest);
        self.text.drain(..over);
    }
}

/// Where each begins counts, also within another: so pieces do not matter.
fn ends<'a>(finder: &'a Finder<'_>, text: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let mut from = 0;
    std::iter::from_fn(move || {
        let at = from + finder.find(text.get(from..)?)?;
        from = at + 1;
        Some(at + finder.needle().len())
    })
}
