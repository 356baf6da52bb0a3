//! Step 5: the answer flows to the caller while the meter reads it. Backpressure is the caller's: nothing is read that is not
//! asked for. If the caller leaves, the rest is read in the background, bounded, so that the cost is known. `settle` comes next.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context as Task, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::body::Cut;
use super::envelope;
use super::problem::Problem;
use super::settle::{Dues, Ending};
use crate::rules::books::Outcome;
use crate::rules::subject::Flag;
use crate::rules::vendors::credential::Scrub;
use crate::rules::vendors::{End, Envelope, Meter};

/// An answer on its way: the vendor's body, what reads it, and what is owed when it ends.
pub struct Flow {
    pub upstream: Incoming,
    pub meter: Meter,
    pub scrub: Scrub,
    pub dues: Dues,
    pub status: u16,
    /// Is it a stream of events?
    pub events: bool,
    pub envelope: Envelope,
    /// Between two pieces of the answer.
    pub idle: Duration,
    /// For reading on when the caller has left.
    pub drain: Duration,
}

/// How the vendor's side of an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    Complete,
    /// The vendor's connection broke, or nothing came for too long.
    Cut(&'static str),
    Aborted(Flag),
    /// The caller left and patience ran out.
    Abandoned,
}

impl Flow {
    fn take(&mut self, chunk: Bytes, out: &mut VecDeque<Bytes>) {
        let scrub = &mut self.scrub;
        self.meter.push(chunk, &mut |piece| scrub.push(piece, &mut |clean| out.push_back(clean)));
    }

    /// Reads the meter's last word. What is still held back goes out only if the answer is complete.
    pub fn end(mut self, stop: &Stop, out: &mut VecDeque<Bytes>) -> (Dues, Ending) {
        let end = if *stop == Stop::Complete { End::Complete } else { End::Cut };
        let scrub = &mut self.scrub;
        let usage = self.meter.finish(end, &mut |piece| scrub.push(piece, &mut |clean| out.push_back(clean)));
        if end == End::Complete {
            self.scrub.finish(&mut |clean| out.push_back(clean));
        }
        let (outcome, error) = match stop {
            Stop::Complete if self.status >= 400 => (Outcome::VendorError, None),
            Stop::Complete => (Outcome::Ok, None),
            Stop::Cut(why) => (Outcome::Unknown, Some((*why).to_owned())),
            Stop::Aborted(flag) => (Outcome::Aborted, Some(format!("{flag} was switched off"))),
            Stop::Abandoned => {
                (Outcome::Unknown, Some("the caller left, and the answer did not end in time".to_owned()))
            }
        };
        (self.dues, Ending { usage, outcome, http_status: Some(self.status), error })
    }

    /// Reads on into `out` until the end, a stop, or more than `limit` bytes. `None`: there is more.
    pub async fn fill(&mut self, limit: usize, out: &mut VecDeque<Bytes>) -> Option<(Stop, Option<HeaderMap>)> {
        let mut trailers = None;
        let mut held = 0;
        let stopped = self.dues.seat.stopped();
        tokio::pin!(stopped);
        loop {
            if held > limit {
                return None;
            }
            let frame = tokio::select! {
                biased;
                () = &mut stopped => return Some((self.aborted(), trailers)),
                frame = tokio::time::timeout(self.idle, self.upstream.frame()) => frame,
            };
            match frame {
                Err(_) => return Some((Stop::Cut("the vendor fell silent"), trailers)),
                Ok(None) => return Some((Stop::Complete, trailers)),
                Ok(Some(Err(_))) => return Some((Stop::Cut("the vendor's answer broke off"), trailers)),
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        held += data.len();
                        self.take(data, out);
                    }
                    Err(other) => trailers = other.into_trailers().ok(),
                },
            }
        }
    }

    fn aborted(&self) -> Stop {
        // Only a flag aborts; `Everyone` stands for one that was lost between two looks.
        Stop::Aborted(self.dues.seat.stopped_by().cloned().unwrap_or(Flag::Everyone))
    }

    /// The caller has left: read to the end for the usage alone.
    async fn drain(mut self) {
        let mut unseen = VecDeque::new();
        let patience = self.drain;
        let read = async {
            loop {
                unseen.clear();
                if let Some((stop, _)) = self.fill(0, &mut unseen).await {
                    return stop;
                }
            }
        };
        let stop = tokio::time::timeout(patience, read).await.unwrap_or(Stop::Abandoned);
        let (dues, ending) = self.end(&stop, &mut VecDeque::new());
        dues.finish(ending).await;
    }
}

/// A body for the caller that settles its call when it ends, however it ends.
pub struct Metered {
    flow: Option<Flow>,
    ready: VecDeque<Bytes>,
    trailers: Option<HeaderMap>,
    cut: Option<Cut>,
    /// Of the whole body, where nothing is hidden from the caller.
    length: Option<u64>,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
    silence: Pin<Box<Sleep>>,
}

impl Metered {
    /// `ready` was read before and goes out first.
    pub fn new(flow: Flow, ready: VecDeque<Bytes>, length: Option<u64>) -> Self {
        let stopped = Box::pin(flow.dues.seat.stopped());
        let silence = Box::pin(tokio::time::sleep(flow.idle));
        Self { flow: Some(flow), ready, trailers: None, cut: None, length, stopped, silence }
    }

    fn finish(&mut self, stop: &Stop) {
        let Some(flow) = self.flow.take() else { return };
        let (call, envelope) = (flow.dues.context.call, flow.envelope);
        let streams = flow.events;
        let (dues, ending) = flow.end(stop, &mut self.ready);
        tokio::spawn(dues.finish(ending));
        match stop {
            Stop::Complete => {}
            Stop::Aborted(flag) => {
                let told = Problem::Aborted(flag.clone()).told(call);
                match envelope::stream_error(envelope, &told).filter(|_| streams) {
                    // The stream's own error event ends it. The body then ends in order, so that no client drops what it
                    // has not read yet.
                    Some(event) => self.ready.push_back(event.into()),
                    None => self.cut = Some(Cut("the call was stopped")),
                }
            }
            Stop::Cut(why) => self.cut = Some(Cut(why)),
            Stop::Abandoned => self.cut = Some(Cut("abandoned")),
        }
    }

    /// Moves one frame from the vendor, or learns that there is none.
    fn poll_upstream(&mut self, cx: &mut Task<'_>) -> Poll<()> {
        let Some(flow) = &mut self.flow else { return Poll::Ready(()) };
        if self.stopped.as_mut().poll(cx).is_ready() {
            let stop = flow.aborted();
            self.finish(&stop);
            return Poll::Ready(());
        }
        match Pin::new(&mut flow.upstream).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let idle = flow.idle;
                self.silence.as_mut().reset(Instant::now() + idle);
                match frame.into_data() {
                    Ok(data) => flow.take(data, &mut self.ready),
                    Err(other) => self.trailers = other.into_trailers().ok(),
                }
            }
            Poll::Ready(Some(Err(_))) => self.finish(&Stop::Cut("the vendor's answer broke off")),
            Poll::Ready(None) => self.finish(&Stop::Complete),
            Poll::Pending => {
                ready!(self.silence.as_mut().poll(cx));
                self.finish(&Stop::Cut("the vendor fell silent"));
            }
        }
        Poll::Ready(())
    }
}

use std::future::Future;

impl Body for Metered {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let this = self.get_mut();
        loop {
            if let Some(chunk) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(chunk))));
            }
            if this.flow.is_none() {
                let last = this.cut.take().map(Err).or_else(|| this.trailers.take().map(|t| Ok(Frame::trailers(t))));
                return Poll::Ready(last);
            }
            ready!(this.poll_upstream(cx));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.flow.is_none() && self.ready.is_empty() && self.cut.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// The caller left before the end.
impl Drop for Metered {
    fn drop(&mut self) {
        let Some(flow) = self.flow.take() else { return };
        // Without a runtime the process is ending; the hold's own drop then charges it in full.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(flow.drain());
        }
    }
}
