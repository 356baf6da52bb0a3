//! Bodies towards the caller: one that is whole, or an answer that is metered as it flows. Moves no bytes itself.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};

use super::flowing::Flowing;

/// What ends an answer early. The caller sees a connection that breaks, never a complete answer.
#[derive(Debug, thiserror::Error)]
#[error("the answer was cut: {0}")]
pub struct Cut(pub &'static str);

/// A body for the caller.
pub enum Reply {
    /// With trailers, if the vendor sent some.
    Whole(Full<Bytes>, Option<Box<HeaderMap>>),
    Flowing(Box<Flowing>),
}

impl Reply {
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::Whole(Full::new(bytes.into()), None)
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match self.get_mut() {
            Self::Whole(full, trailers) => {
                // A whole body cannot fail.
                let data = ready!(Pin::new(full).poll_frame(cx)).map(|frame| frame.map_err(|e| match e {}));
                Poll::Ready(data.or_else(|| trailers.take().map(|t| Ok(Frame::trailers(*t)))))
            }
            Self::Flowing(flowing) => Pin::new(&mut **flowing).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(full, trailers) => full.is_end_stream() && trailers.is_none(),
            Self::Flowing(flowing) => flowing.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            // With trailers the body goes out in chunks, which have no length beforehand.
            Self::Whole(_, Some(_)) => SizeHint::default(),
            Self::Whole(full, None) => full.size_hint(),
            Self::Flowing(flowing) => flowing.size_hint(),
        }
    }
}
