//! An answer that flows to its caller, metered on its way. Backpressure is the caller's: nothing is read that is not asked for.
//! A watch beside it ends the call when it is stopped, also if the caller reads nothing and so never asks.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context as Task, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::{Body, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::body::Cut;
use super::envelope;
use super::meter::{Flow, Stop};
use super::problem::Problem;
use crate::rules::vendors::Envelope;
use crate::units::ids::CallId;

/// How long a stopped answer may take to say so to a caller that reads. Then it is ended without a word.
const GRACE: Duration = Duration::from_millis(300);

/// What body and watch share: whoever takes the flow settles it.
struct Shared {
    flow: Mutex<Option<Box<Flow>>>,
    /// The caller has asked for more since the watch looked last.
    asked: AtomicBool,
    done: CancellationToken,
}

/// A body for the caller that settles its call when it ends, however it ends.
pub struct Flowing {
    shared: Arc<Shared>,
    over: bool,
    ready: VecDeque<Bytes>,
    trailers: Option<HeaderMap>,
    cut: Option<Cut>,
    /// Of the whole body, where nothing is hidden from the caller.
    length: Option<u64>,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
    silence: Pin<Box<Sleep>>,
}

impl Flowing {
    /// `ready` was read before and goes out first.
    pub fn new(flow: Box<Flow>, ready: VecDeque<Bytes>, length: Option<u64>) -> Self {
        let stopped = Box::pin(flow.dues.seat.stopped());
        let silence = Box::pin(tokio::time::sleep(flow.idle));
        let (watched, idle) = (flow.dues.seat.stopped(), flow.idle);
        let done = CancellationToken::new();
        let shared = Arc::new(Shared { flow: Mutex::new(Some(flow)), asked: AtomicBool::new(true), done });
        tokio::spawn(shared.clone().watch(watched, idle));
        Self { shared, over: false, ready, trailers: None, cut: None, length, stopped, silence }
    }

    fn finish(&mut self, flow: Box<Flow>, stop: &Stop) {
        self.over = true;
        let (call, envelope, events) = (flow.dues.context.call, flow.envelope, flow.events);
        let (dues, ending) = flow.end(stop, &mut self.ready);
        tokio::spawn(dues.finish(ending));
        self.shared.done.cancel();
        match stop {
            Stop::Complete => {}
            Stop::Aborted(cause) => self.say(&Problem::Aborted(cause.clone()), call, envelope, events),
            Stop::Outgrown(why) => self.say(&Problem::Outgrown(why.clone()), call, envelope, events),
            Stop::Cut(why) => self.cut = Some(Cut(why)),
            Stop::Abandoned => self.cut = Some(Cut("abandoned")),
        }
    }

    /// The stream's own error event ends it. The body then ends in order, so that no client drops what it has not read yet.
    fn say(&mut self, problem: &Problem, call: CallId, envelope: Envelope, events: bool) {
        match envelope::stream_error(envelope, &problem.told(call)).filter(|_| events) {
            Some(event) => self.ready.push_back(event.into()),
            None => self.cut = Some(Cut("the call was stopped")),
        }
    }

    /// Moves one frame from the vendor, or learns that there is none.
    fn poll_upstream(&mut self, cx: &mut Task<'_>) -> Poll<()> {
        let shared = self.shared.clone();
        let mut held = shared.flow.lock();
        let Some(flow) = held.as_mut() else {
            // The watch has ended it.
            self.over = true;
            self.cut = Some(Cut("the call was stopped"));
            return Poll::Ready(());
        };
        let stop = if self.stopped.as_mut().poll(cx).is_ready() {
            flow.aborted()
        } else if let Err(why) = ready!(flow.poll_room(cx)) {
            Stop::Outgrown(why)
        } else {
            match Pin::new(&mut flow.upstream).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.silence.as_mut().reset(Instant::now() + flow.idle);
                    match frame.into_data() {
                        Ok(data) => flow.take(data, &mut self.ready),
                        Err(other) => self.trailers = other.into_trailers().ok().map(|t| flow.filter.trailers(t)),
                    }
                    return Poll::Ready(());
                }
                Poll::Ready(Some(Err(_))) => Stop::Cut("the vendor's answer broke off"),
                Poll::Ready(None) => flow.ended(),
                Poll::Pending => {
                    ready!(self.silence.as_mut().poll(cx));
                    Stop::Cut("the vendor fell silent")
                }
            }
        };
        if let Some(flow) = held.take() {
            drop(held);
            self.finish(flow, &stop);
        }
        Poll::Ready(())
    }
}

impl Shared {
    /// Until the body has ended: ends the call when it is stopped, or when its caller has read nothing for too long.
    async fn watch(self: Arc<Self>, stopped: WaitForCancellationFutureOwned, idle: Duration) {
        tokio::pin!(stopped);
        loop {
            tokio::select! {
                () = self.done.cancelled() => return,
                () = &mut stopped => {
                    tokio::select! { () = self.done.cancelled() => return, () = tokio::time::sleep(GRACE) => {} }
                    let flow = self.flow.lock().take();
                    if let Some(flow) = flow {
                        let stop = flow.aborted();
                        let (dues, ending) = flow.end(&stop, &mut VecDeque::new());
                        dues.finish(ending).await;
                    }
                    return;
                }
                () = tokio::time::sleep(idle) => {
                    let reads = self.asked.swap(false, Ordering::AcqRel);
                    let flow = if reads { None } else { self.flow.lock().take() };
                    if let Some(flow) = flow {
                        return flow.drain().await;
                    }
                }
            }
        }
    }
}

impl Body for Flowing {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let this = self.get_mut();
        this.shared.asked.store(true, Ordering::Release);
        loop {
            if let Some(chunk) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(chunk))));
            }
            if this.over {
                let last = this.cut.take().map(Err).or_else(|| this.trailers.take().map(|t| Ok(Frame::trailers(t))));
                return Poll::Ready(last);
            }
            ready!(this.poll_upstream(cx));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.over && self.ready.is_empty() && self.cut.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// The caller left before the end.
impl Drop for Flowing {
    fn drop(&mut self) {
        self.shared.done.cancel();
        let Some(flow) = self.shared.flow.lock().take() else { return };
        // Without a runtime the process is ending; the hold's own drop then charges it in full.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(flow.drain());
        }
    }
}
