//! Bodies towards the caller: a short one that is whole, or an answer that is metered as it flows. Moves no bytes itself.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};

use super::meter::Metered;

/// What ends an answer early. The caller sees a connection that breaks, never a complete answer.
#[derive(Debug, thiserror::Error)]
#[error("the answer was cut: {0}")]
pub struct Cut(pub &'static str);

/// A body for the caller.
pub enum Reply {
    Whole(Full<Bytes>),
    Flowing(Box<Metered>),
}

impl Reply {
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::Whole(Full::new(bytes.into()))
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match self.get_mut() {
            // A whole body cannot fail.
            Self::Whole(full) => Pin::new(full).poll_frame(cx).map_err(|e| match e {}),
            Self::Flowing(metered) => Pin::new(&mut **metered).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(full) => full.is_end_stream(),
            Self::Flowing(metered) => metered.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(full) => full.size_hint(),
            Self::Flowing(metered) => metered.size_hint(),
        }
    }
}
