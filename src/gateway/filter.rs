//! What the caller sees of an answer: its bytes without the credential, and with links that lead back here.

use bytes::Bytes;
use http::HeaderMap;

use super::headers;
use super::links::Rewrite;
use crate::rules::vendors::credential::Scrub;

/// The filter for one answer. Credentials first: a link may hold one.
pub struct Filter {
    pub scrub: Scrub,
    /// For kinds of answers that hold links.
    pub rewrite: Option<Rewrite>,
}

impl Filter {
    /// Takes bytes of the answer, and gives `out` those that are ready for the caller.
    pub fn push(&mut self, piece: Bytes, out: &mut impl FnMut(Bytes)) {
        match &mut self.rewrite {
            None => self.scrub.push(piece, out),
            Some(rewrite) => self.scrub.push(piece, &mut |clean| rewrite.push(clean, out)),
        }
    }

    /// Ends a complete answer.
    pub fn finish(&mut self, out: &mut impl FnMut(Bytes)) {
        let Some(rewrite) = &mut self.rewrite else { return self.scrub.finish(out) };
        self.scrub.finish(&mut |clean| rewrite.push(clean, out));
        rewrite.finish(out);
    }

    /// Trailers pass as headers do.
    pub fn trailers(&mut self, mut trailers: HeaderMap) -> HeaderMap {
        headers::towards_caller(&mut trailers, false);
        self.scrub.headers(&mut trailers);
        trailers
    }
}
