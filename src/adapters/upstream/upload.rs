//! The request body on its way out: bytes that were read and judged, or the caller's stream, passed on piece by piece.
//! Knows how far it got, so that an abort can tell a finished upload from an unfinished one, and a slow one is not taken
//! for one that stands still.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use parking_lot::Mutex;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::units::vault_key::stands_in;

/// The connection takes a piece when it has room for one, so a body in pieces is never further ahead of the wire than that.
const PIECE: usize = 64 << 10;

/// How much of a body has been handed to the connection.
#[derive(Debug)]
pub struct Progress {
    whole: AtomicBool,
    /// The caller's side of it has failed.
    broken: AtomicBool,
    /// It was broken off here, because the caller's vault key stands in it.
    keyed: AtomicBool,
    moved: Mutex<Instant>,
}

impl Progress {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            whole: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            keyed: AtomicBool::new(false),
            moved: Mutex::new(Instant::now()),
        })
    }

    /// Has all of it?
    pub fn whole(&self) -> bool {
        self.whole.load(Ordering::Acquire)
    }

    /// Did the caller end it before its end?
    pub fn broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// Does the caller's vault key stand in it?
    pub fn keyed(&self) -> bool {
        self.keyed.load(Ordering::Acquire)
    }

    /// When patience with it ends, as it stands now: with an upload that stands still, counted from `start` at the earliest;
    /// with the vendor, once the last piece has left.
    pub fn due(&self, start: Instant, upload: Duration, answer: Duration) -> Due {
        let moved = *self.moved.lock();
        match self.whole() {
            true => Due::Answer(moved + answer),
            false => Due::Upload(start.max(moved) + upload),
        }
    }

    fn moves(&self, last: bool) {
        *self.moved.lock() = Instant::now();
        self.whole.fetch_or(last, Ordering::AcqRel);
    }
}

/// What is waited for, and how long at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    Upload(Instant),
    Answer(Instant),
}

impl Due {
    pub fn at(self) -> Instant {
        let (Self::Upload(at) | Self::Answer(at)) = self;
        at
    }
}

/// A body for the vendor.
pub struct Upload {
    source: Source,
    progress: Arc<Progress>,
}

enum Source {
    Bytes(Bytes),
    Stream(Incoming, Box<Search>),
}

/// Why an upload ends before its end.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error(transparent)]
    Caller(#[from] hyper::Error),
    #[error("the caller's vault key stands in it")]
    Keyed,
}

/// Looks for a key in a body that passes, wherever it is cut.
struct Search {
    key: Zeroizing<String>,
    /// The end of what has passed, in which a key may have begun.
    seam: Zeroizing<Vec<u8>>,
}

impl Search {
    fn finds(&mut self, piece: &[u8]) -> bool {
        let reach = self.key.len().saturating_sub(1);
        self.seam.extend_from_slice(&piece[..piece.len().min(reach)]);
        let found = stands_in(&self.seam, &self.key) || stands_in(piece, &self.key);
        if piece.len() >= reach {
            self.seam.clear();
            self.seam.extend_from_slice(&piece[piece.len() - reach..]);
        } else {
            let gone = self.seam.len().saturating_sub(reach);
            self.seam.drain(..gone);
        }
        found
    }
}

impl Upload {
    /// `write`: a request whose method has a body, if only an empty one.
    pub fn bytes(bytes: Bytes, write: bool) -> (Self, Arc<Progress>) {
        let progress = Progress::new();
        if bytes.is_empty() && !write {
            progress.moves(true);
        }
        Self::new(Source::Bytes(bytes), progress)
    }

    /// Unread; it breaks off before the last piece of this key would leave.
    pub fn stream(body: Incoming, key: Zeroizing<String>) -> (Self, Arc<Progress>) {
        let search = Search { key, seam: Zeroizing::default() };
        Self::new(Source::Stream(body, Box::new(search)), Progress::new())
    }

    fn new(source: Source, progress: Arc<Progress>) -> (Self, Arc<Progress>) {
        (Self { source, progress: progress.clone() }, progress)
    }

    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let Self { source, progress } = self.get_mut();
        match source {
            Source::Bytes(left) => {
                let piece = left.split_to(left.len().min(PIECE));
                progress.moves(left.is_empty());
                Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
            }
            Source::Stream(body, search) => {
                let mut frame = ready!(Pin::new(&mut *body).poll_frame(cx));
                // Trailers were never judged, and might hold what a header may not: the upload ends without them.
                if matches!(&frame, Some(Ok(f)) if f.is_trailers()) {
                    frame = None;
                }
                let data = frame.as_ref().and_then(|f| f.as_ref().ok()?.data_ref());
                if data.is_some_and(|piece| search.finds(piece)) {
                    progress.keyed.store(true, Ordering::Release);
                    return Poll::Ready(Some(Err(Broken::Keyed)));
                }
                progress.broken.fetch_or(matches!(frame, Some(Err(_))), Ordering::AcqRel);
                progress.moves(frame.is_none() || body.is_end_stream());
                Poll::Ready(frame.map(|frame| frame.map_err(Broken::Caller)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            // Even an empty body is asked for once: that is when it is known to leave, and its length of nothing is said.
            Source::Bytes(left) => left.is_empty() && self.progress.whole(),
            Source::Stream(body, _) => body.is_end_stream() && self.progress.whole(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Bytes(left) => SizeHint::with_exact(left.len() as u64),
            Source::Stream(body, _) => body.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn bytes_leave_piece_by_piece_and_silence_counts_from_the_last() {
        let (mut upload, progress) = Upload::bytes(Bytes::from(vec![b'x'; PIECE + 1]), true);
        let (started, patience) = (Instant::now(), Duration::from_millis(50));
        assert_eq!(upload.size_hint().exact(), Some(PIECE as u64 + 1));
        tokio::time::sleep(patience / 2).await;
        let first = upload.frame().await.and_then(Result::ok).and_then(|frame| frame.into_data().ok());
        assert_eq!((first.map(|data| data.len()), progress.whole()), (Some(PIECE), false));
        let Due::Upload(due) = progress.due(started, patience, patience) else { panic!("it has not left yet") };
        assert!(due >= started + patience + patience / 2, "the piece has bought it more time");
        assert!(upload.frame().await.is_some() && progress.whole() && upload.is_end_stream());
        let due = progress.due(started, patience, patience * 9);
        assert!(matches!(due, Due::Answer(at) if at >= started + patience * 9), "what has left does not stand still");
    }

    #[test]
    fn a_key_is_found_wherever_its_bytes_are_cut() {
        let key = "vk_0123456789ab_secret";
        let text = format!("{}{key} and more", "x".repeat(40));
        let found = |text: &str, size: usize| {
            let mut search = Search { key: Zeroizing::new(key.to_owned()), seam: Zeroizing::default() };
            text.as_bytes().chunks(size).position(|piece| search.finds(piece))
        };
        for size in 1..=text.len() {
            let at = found(&text, size).expect("it stands there");
            // Not before its last byte, and no later than the piece that has it.
            assert_eq!(at, (40 + key.len() - 1) / size, "in pieces of {size}");
            let without = text.replace(key, &key[..key.len() - 1]);
            assert_eq!(found(&without, size), None, "in pieces of {size}");
        }
    }

    #[tokio::test]
    async fn an_empty_body_has_left_when_it_was_asked_for() {
        let (upload, progress) = Upload::bytes(Bytes::new(), false);
        assert!(upload.is_end_stream() && progress.whole());
        let (mut upload, progress) = Upload::bytes(Bytes::new(), true);
        assert!(!upload.is_end_stream() && !progress.whole());
        assert!(upload.frame().await.is_none() && progress.whole());
    }
}
