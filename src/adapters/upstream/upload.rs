//! The request body on its way out: bytes that were read and judged, or the caller's stream, passed on piece by piece.
//! Knows how far it got, so that an abort can tell a finished upload from an unfinished one.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// Has the whole body been handed to the connection?
#[derive(Default, Debug)]
pub struct Progress(AtomicBool);

impl Progress {
    pub fn whole(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A body for the vendor.
pub enum Upload {
    Whole(Option<Bytes>, Arc<Progress>),
    Stream(Incoming, Arc<Progress>),
}

impl Upload {
    /// `write`: a request whose method has a body, if only an empty one.
    pub fn bytes(bytes: Bytes, write: bool) -> (Self, Arc<Progress>) {
        let progress = Arc::new(Progress(AtomicBool::new(bytes.is_empty() && !write)));
        (Self::Whole(Some(bytes).filter(|b| !b.is_empty()), progress.clone()), progress)
    }

    pub fn stream(body: Incoming) -> (Self, Arc<Progress>) {
        let progress = Arc::new(Progress::default());
        (Self::Stream(body, progress.clone()), progress)
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Whole(bytes, progress) => {
                progress.0.store(true, Ordering::Release);
                Poll::Ready(bytes.take().map(|b| Ok(Frame::data(b))))
            }
            Self::Stream(body, progress) => {
                let mut frame = ready!(Pin::new(&mut *body).poll_frame(cx));
                // Trailers were never judged, and might hold what a header may not: the upload ends without them.
                if matches!(&frame, Some(Ok(f)) if f.is_trailers()) {
                    frame = None;
                }
                if frame.is_none() || body.is_end_stream() {
                    progress.0.store(true, Ordering::Release);
                }
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            // Even an empty body is asked for once: that is when it is known to leave, and its length of nothing is said.
            Self::Whole(bytes, progress) => bytes.is_none() && progress.whole(),
            Self::Stream(body, progress) => body.is_end_stream() && progress.whole(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes, _) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Self::Stream(body, _) => body.size_hint(),
        }
    }
}
