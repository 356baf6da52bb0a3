//! Answers that come compressed, piece by piece, as some vendors send them whatever they were asked for.

use async_compression::tokio::write::{BrotliEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderValue, Response, header};
use http_body_util::{BodyDataStream, BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::io::AsyncWriteExt;

use super::Reply;

enum Coder {
    Gzip(GzipEncoder<Vec<u8>>),
    Deflate(ZlibEncoder<Vec<u8>>),
    Brotli(Box<BrotliEncoder<Vec<u8>>>),
    Zstd(ZstdEncoder<Vec<u8>>),
    /// It only says so.
    Other,
}

/// The same answer under a content coding.
pub(super) fn coded(response: Response<Reply>, name: &str) -> Response<Reply> {
    let coder = match name {
        "gzip" => Coder::Gzip(GzipEncoder::new(Vec::new())),
        "deflate" => Coder::Deflate(ZlibEncoder::new(Vec::new())),
        "br" => Coder::Brotli(Box::new(BrotliEncoder::new(Vec::new()))),
        "zstd" => Coder::Zstd(ZstdEncoder::new(Vec::new())),
        _ => Coder::Other,
    };
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_str(name).expect("a coding's name"));
    let start = Some((BodyDataStream::new(body), coder));
    let frames = stream::unfold(start, |state| async move {
        let (mut body, mut coder) = state?;
        Some(match body.next().await {
            Some(Ok(piece)) => (Ok(Frame::data(coder.push(&piece).await)), Some((body, coder))),
            Some(Err(e)) => (Err(e), None),
            None => (Ok(Frame::data(coder.end().await)), None),
        })
    });
    Response::from_parts(parts, StreamBody::new(frames).boxed_unsync())
}

/// Feeds one encoder, and takes what has come out of it.
macro_rules! step {
    ($encoder:ident . $how:ident ($($piece:expr)?)) => {{
        $($encoder.write_all($piece).await.expect("memory takes it");)?
        $encoder.$how().await.expect("memory takes it");
        std::mem::take($encoder.get_mut()).into()
    }};
}

impl Coder {
    async fn push(&mut self, piece: &[u8]) -> Bytes {
        match self {
            Self::Gzip(encoder) => step!(encoder.flush(piece)),
            Self::Deflate(encoder) => step!(encoder.flush(piece)),
            Self::Brotli(encoder) => step!(encoder.flush(piece)),
            Self::Zstd(encoder) => step!(encoder.flush(piece)),
            Self::Other => Bytes::copy_from_slice(piece),
        }
    }

    async fn end(&mut self) -> Bytes {
        match self {
            Self::Gzip(encoder) => step!(encoder.shutdown()),
            Self::Deflate(encoder) => step!(encoder.shutdown()),
            Self::Brotli(encoder) => step!(encoder.shutdown()),
            Self::Zstd(encoder) => step!(encoder.shutdown()),
            Self::Other => Bytes::new(),
        }
    }
}
