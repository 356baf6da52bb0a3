//! One compressed answer, decoded piece by piece. Memory is bounded whatever the sender wrote: gzip and deflate remember
//! 32 KiB, br at most 16 MiB and zstd at most 8 MiB, as their RFCs have it; larger windows are refused. `answer` says which
//! answers come here.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_compression::tokio::bufread::{BrotliDecoder, DeflateDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use async_compression::zstd::DParameter;
use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};

/// The largest window of zstd that every decoder must read (RFC 8878 3.1.1.1.2), as a power of two.
const ZSTD_WINDOW: u32 = 23;

/// What is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coded {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// A reader of the plain bytes. The first coded byte chooses among the forms of one coding.
pub(super) enum Decoder<R> {
    Waiting(Option<R>, Coded),
    Reading(Pin<Box<dyn AsyncRead + Send>>),
}

impl<R: AsyncBufRead + Send + Unpin + 'static> Decoder<R> {
    pub fn new(reader: R, coded: Coded) -> Self {
        Self::Waiting(Some(reader), coded)
    }

    fn of(reader: R, coded: Coded, first: u8) -> io::Result<Pin<Box<dyn AsyncRead + Send>>> {
        Ok(match coded {
            Coded::Gzip => {
                let mut gzip = GzipDecoder::new(reader);
                // A file may be several, one behind the other.
                gzip.multiple_members(true);
                Box::pin(gzip)
            }
            // Some senders leave the wrapping out, which always begins with method 8.
            Coded::Deflate if first & 0x0f == 8 => Box::pin(ZlibDecoder::new(reader)),
            Coded::Deflate => Box::pin(DeflateDecoder::new(reader)),
            // The mark of windows beyond the RFC's.
            Coded::Brotli if first & 0x7f == 0x11 => {
                return Err(io::Error::other("its brotli window is larger than 16 MiB"));
            }
            Coded::Brotli => Box::pin(BrotliDecoder::new(reader)),
            Coded::Zstd => {
                let mut zstd = ZstdDecoder::with_params(reader, &[DParameter::window_log_max(ZSTD_WINDOW)]);
                zstd.multiple_members(true);
                Box::pin(zstd)
            }
        })
    }
}

impl<R: AsyncBufRead + Send + Unpin + 'static> AsyncRead for Decoder<R> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Self::Waiting(reader, coded) = this {
            let Some(waiting) = reader.as_mut() else {
                return Poll::Ready(Err(io::Error::other("the decoder has failed before")));
            };
            let first = ready!(Pin::new(waiting).poll_fill_buf(cx))?.first().copied();
            // Nothing at all is an empty answer in every coding.
            let (Some(first), Some(reader)) = (first, reader.take()) else { return Poll::Ready(Ok(())) };
            *this = Self::Reading(Self::of(reader, *coded, first)?);
        }
        match this {
            Self::Reading(reader) => reader.as_mut().poll_read(cx, buf),
            Self::Waiting(..) => Poll::Ready(Ok(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use async_compression::tokio::write::{BrotliEncoder, DeflateEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};

    use super::*;

    /// Decoded from pieces of `piece` bytes.
    async fn decoded(coded: Coded, bytes: Vec<u8>, piece: usize) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Decoder::new(BufReader::with_capacity(piece, io::Cursor::new(bytes)), coded).read_to_end(&mut out).await?;
        Ok(out)
    }

    #[tokio::test]
    async fn every_coding_gives_the_same_bytes_however_they_are_cut() {
        let text: Vec<u8> = (0..40_000u32).flat_map(|n| n.to_string().into_bytes()).collect();
        macro_rules! coded {
            ($encoder:ident) => {{
                let mut encoder = $encoder::new(Vec::new());
                encoder.write_all(&text).await.expect("to memory");
                encoder.shutdown().await.expect("to memory");
                encoder.into_inner()
            }};
        }
        for (coded, bytes) in [
            (Coded::Gzip, coded!(GzipEncoder)),
            (Coded::Deflate, coded!(ZlibEncoder)),
            (Coded::Deflate, coded!(DeflateEncoder)),
            (Coded::Brotli, coded!(BrotliEncoder)),
            (Coded::Zstd, coded!(ZstdEncoder)),
        ] {
            for piece in [1, 7, 4096] {
                let whole = decoded(coded, bytes.clone(), piece).await.expect("decoded");
                assert!(whole == text, "{coded:?} in pieces of {piece}");
            }
            let cut = bytes[..bytes.len() / 2].to_vec();
            assert!(decoded(coded, cut, 4096).await.is_err(), "{coded:?} cut short");
            assert!(decoded(coded, Vec::new(), 4096).await.expect("empty").is_empty());
        }
    }

    #[tokio::test]
    async fn windows_beyond_the_rfcs_are_refused() {
        // A frame of zstd that asks for 16 MiB, and a stream of brotli that is marked as large.
        let zstd = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 14 << 3, 0x01, 0x00, 0x00];
        for (coded, bytes) in [(Coded::Zstd, zstd), (Coded::Brotli, vec![0x11, 0x1e, 0x03])] {
            assert!(decoded(coded, bytes, 4096).await.is_err(), "{coded:?}");
        }
    }
}
