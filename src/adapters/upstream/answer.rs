//! The vendor's answer as plain bytes. Every request asks for `identity`; a vendor that compresses all the same is decoded
//! here, piece by piece, because what is compressed can neither be metered nor searched for the credential (`decoder` does
//! it). What cannot be decoded is refused: unknown codings, several at once, parts of a coded file, coded transfers. So is a
//! switch of protocols.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use http::response::Parts;
use http::{HeaderMap, HeaderName, Response, StatusCode, header};
use http_body_util::BodyDataStream;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::io::AsyncRead;
use tokio_util::io::{StreamReader, poll_read_buf};

use super::decoder::{Coded, Decoder};
use super::pool::Lease;

/// How much is decoded before it is handed on, whatever it was compressed from.
const PIECE: usize = 16 << 10;

/// A body as it is read, and the connection that it comes by.
pub struct Answer {
    source: Source,
    /// Dropped behind the body: then the connection is another call's.
    _lease: Lease,
}

enum Source {
    Plain(Incoming),
    Decoded(Pin<Box<dyn AsyncRead + Send>>),
}

/// The head of an answer that cannot be handed on.
#[derive(Debug)]
pub struct Unusable {
    pub head: Parts,
    pub why: &'static str,
}

/// How a body is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Identity,
    Coded(Coded),
    Other(&'static str),
}

/// `head`: it answers a `HEAD`, so that its headers speak of a body that does not follow.
pub(super) fn usable(
    response: Response<Incoming>,
    lease: Lease,
    head: bool,
) -> Result<Response<Answer>, Box<Unusable>> {
    let (mut parts, body) = response.into_parts();
    let coding = coding(parts.status, &parts.headers);
    let empty = head || body.is_end_stream();
    match coding {
        Coding::Other(why) if !empty || parts.status == StatusCode::SWITCHING_PROTOCOLS => {
            return Err(Box::new(Unusable { head: parts, why }));
        }
        Coding::Coded(_) => forget_coding(&mut parts.headers),
        Coding::Other(_) | Coding::Identity => {}
    }
    let source = if empty { Source::Plain(body) } else { Source::new(body, coding) };
    Ok(Response::from_parts(parts, Answer { source, _lease: lease }))
}

/// What is said of the coded bytes does not hold for those that are handed on.
const OF_CODED: [&str; 6] =
    ["content-encoding", "content-length", "content-md5", "content-digest", "repr-digest", "digest"];

fn forget_coding(headers: &mut HeaderMap) {
    OF_CODED.iter().for_each(|name| drop(headers.remove(*name)));
}

fn coding(status: StatusCode, headers: &HeaderMap) -> Coding {
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Coding::Other("it switches protocols, which nobody asked for");
    }
    if listed(headers, &header::TRANSFER_ENCODING).iter().any(|coding| coding != "chunked") {
        return Coding::Other("its transfer is compressed, which nobody asked for");
    }
    let codings = listed(headers, &header::CONTENT_ENCODING);
    match codings.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => Coding::Identity,
        _ if status == StatusCode::PARTIAL_CONTENT => Coding::Other("it is a part of a compressed answer"),
        ["gzip" | "x-gzip"] => Coding::Coded(Coded::Gzip),
        ["deflate"] => Coding::Coded(Coded::Deflate),
        ["br"] => Coding::Coded(Coded::Brotli),
        ["zstd"] => Coding::Coded(Coded::Zstd),
        _ => Coding::Other("it is compressed in a way that bursar does not read, although it was asked not to be"),
    }
}

/// The words of all lines of a header, but `identity`.
fn listed(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let lines = headers.get_all(name).iter().map(|line| String::from_utf8_lossy(line.as_bytes()).to_ascii_lowercase());
    let words = lines.flat_map(|line| line.split(',').map(|word| word.trim().to_owned()).collect::<Vec<_>>());
    words.filter(|word| !word.is_empty() && word != "identity").collect()
}

impl Source {
    fn new(body: Incoming, coding: Coding) -> Self {
        match coding {
            Coding::Coded(coded) => {
                let reader = StreamReader::new(BodyDataStream::new(body).map_err(io::Error::other));
                Self::Decoded(Box::pin(Decoder::new(reader, coded)))
            }
            Coding::Identity | Coding::Other(_) => Self::Plain(body),
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut self.get_mut().source {
            Source::Plain(body) => Pin::new(body).poll_frame(cx).map_err(io::Error::other),
            Source::Decoded(reader) => {
                let mut piece = BytesMut::with_capacity(PIECE);
                let read = ready!(poll_read_buf(reader.as_mut(), cx, &mut piece));
                Poll::Ready(read.map(|n| (n > 0).then(|| Frame::data(piece.freeze()))).transpose())
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.source, Source::Plain(body) if body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Plain(body) => body.size_hint(),
            Source::Decoded(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_read_is_used() {
        let of = |status: u16, lines: &[(&'static str, &'static str)]| {
            let lines =
                lines.iter().map(|(n, v)| ((*n).try_into().expect("a name"), (*v).try_into().expect("a value")));
            coding(StatusCode::from_u16(status).expect("a status"), &lines.collect())
        };
        let encoded = |value| of(200, &[("content-encoding", value)]);
        for plain in ["", "identity", "Identity"] {
            assert_eq!(encoded(plain), Coding::Identity, "{plain}");
        }
        for (value, coded) in [
            ("GZIP", Coded::Gzip),
            ("x-gzip", Coded::Gzip),
            ("identity, gzip", Coded::Gzip),
            ("deflate", Coded::Deflate),
            ("br", Coded::Brotli),
            ("zstd", Coded::Zstd),
        ] {
            assert_eq!(encoded(value), Coding::Coded(coded), "{value}");
        }
        assert_eq!(of(200, &[("transfer-encoding", "chunked")]), Coding::Identity);
        for refused in ["dcb", "dcz", "compress", "gzip, gzip", "gzip, br", "aes128gcm", "x"] {
            assert!(matches!(encoded(refused), Coding::Other(_)), "{refused}");
        }
        let twice = of(200, &[("content-encoding", "gzip"), ("content-encoding", "br")]);
        let part = of(206, &[("content-encoding", "gzip")]);
        let transfer = of(200, &[("transfer-encoding", "gzip, chunked")]);
        assert!([twice, part, transfer, of(101, &[])].iter().all(|c| matches!(c, Coding::Other(_))));
    }
}
