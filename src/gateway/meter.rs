//! Step 5: the vendor's answer is read and metered: whole, as it flows (`flowing` is the body that does it), or to its end in
//! the background when the caller has left, bounded, so that the cost is known. `settle` comes next.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt;

use super::capture;
use super::filter::Filter;
use super::grip::{Grip, Outgrown};
use super::settle::{Dues, Ending};
use super::watch::Scanning;
use crate::adapters::switchboard::Cause;
use crate::adapters::upstream::Answer;
use crate::rules::books::Outcome;
use crate::rules::vendors::{End, Envelope, Meter};

/// An answer on its way: the vendor's body, what reads it, and what is owed when it ends.
pub struct Flow {
    pub upstream: Answer,
    pub meter: Meter,
    /// Where a policy asks what answers hold.
    pub scan: Option<Box<Scanning>>,
    pub filter: Filter,
    /// Boxed: it goes from hand to hand.
    pub dues: Box<Dues>,
    /// Of a stream, whose hold changes while it runs.
    pub grip: Option<Box<Grip>>,
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
    Aborted(Cause),
    /// It cost more than was held, and there is no room for more.
    Outgrown(Outgrown),
    /// The caller left, or read no more, and patience ran out.
    Abandoned,
}

impl Flow {
    pub fn take(&mut self, chunk: Bytes, out: &mut VecDeque<Bytes>) {
        let (filter, scan, taking) = (&mut self.filter, &mut self.scan, &mut self.dues.taking);
        self.meter.push(chunk, &mut |piece| {
            if !scan.as_mut().is_none_or(|scan| scan.passes(&piece)) {
                return;
            }
            filter.push(piece, &mut |clean| {
                capture::push(taking, &clean);
                out.push_back(clean);
            });
        });
        if let (Some(grip), Some(running)) = (&mut self.grip, self.meter.running()) {
            grip.heard(&mut self.dues.hold, running);
        }
    }

    /// Ready when the hold covers what is spent, so that more may be read.
    pub fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Outgrown>> {
        match &mut self.grip {
            Some(grip) => grip.poll(&mut self.dues.hold, cx),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Reads the meter's last word. What is still held back goes out only if the answer is complete.
    pub fn end(self: Box<Self>, stop: &Stop, out: &mut VecDeque<Bytes>) -> (Box<Dues>, Ending) {
        let end = if *stop == Stop::Complete { End::Complete } else { End::Cut };
        self.close(end, stop, out)
    }

    fn close(mut self: Box<Self>, end: End, stop: &Stop, out: &mut VecDeque<Bytes>) -> (Box<Dues>, Ending) {
        let (filter, scan, taking) = (&mut self.filter, &mut self.scan, &mut self.dues.taking);
        let mut pass = |clean: Bytes| {
            capture::push(taking, &clean);
            out.push_back(clean);
        };
        // Of an answer that broke off, an event that is not whole goes nowhere.
        let whole = end == End::Complete;
        let usage = self.meter.finish(end, &mut |piece| {
            if whole && scan.as_mut().is_none_or(|scan| scan.passes(&piece)) {
                filter.push(piece, &mut pass);
            }
        });
        if whole {
            filter.finish(&mut pass);
        } else if let Some(taking) = taking {
            taking.cut();
        }
        if filter.scrub.found() {
            self.dues.gateway.watch.own_credential(&self.dues.facts, self.dues.context.call);
        }
        let (outcome, error) = match stop {
            Stop::Complete if self.status >= 400 => (Outcome::VendorError, None),
            Stop::Complete => (Outcome::Ok, None),
            Stop::Cut(why) => (Outcome::Unknown, Some((*why).to_owned())),
            Stop::Aborted(cause) => (Outcome::Aborted, Some(cause.to_string())),
            Stop::Outgrown(why) => (Outcome::Aborted, Some(why.to_string())),
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
            let room = tokio::select! {
                biased;
                () = &mut stopped => return Some((self.aborted(), trailers)),
                room = poll_fn(|cx| self.poll_room(cx)) => room,
            };
            if let Err(why) = room {
                return Some((Stop::Outgrown(why), trailers));
            }
            let frame = tokio::select! {
                biased;
                () = &mut stopped => return Some((self.aborted(), trailers)),
                frame = tokio::time::timeout(self.idle, self.upstream.frame()) => frame,
            };
            match frame {
                Err(_) => return Some((Stop::Cut("the vendor fell silent"), trailers)),
                Ok(None) => return Some((self.ended(), trailers)),
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

    /// The vendor has said all. Its last word may still be one that is looked for.
    pub fn ended(&mut self) -> Stop {
        let clean = self.scan.as_mut().is_none_or(|scan| scan.ends_clean());
        if clean { Stop::Complete } else { self.aborted() }
    }

    pub fn aborted(&self) -> Stop {
        // A stop names its cause before it wakes anybody.
        Stop::Aborted(self.dues.seat.stopped_by().cloned().unwrap_or(Cause::Closing))
    }

    /// A write that was stopped while its answer came: its caller has been told, and what it did is still worth knowing.
    pub async fn read_on(mut self: Box<Self>, cause: Cause, patience: Duration) {
        let mut unseen = VecDeque::new();
        let read = async {
            while let Some(frame) = self.upstream.frame().await {
                match frame.map(hyper::body::Frame::into_data) {
                    Ok(Ok(data)) => self.take(data, &mut unseen),
                    Ok(Err(_)) => {}
                    Err(_) => return End::Cut,
                }
                unseen.clear();
            }
            End::Complete
        };
        let end = tokio::time::timeout(patience, read).await.unwrap_or(End::Cut);
        let (dues, ending) = self.close(end, &Stop::Aborted(cause), &mut VecDeque::new());
        dues.finish(ending).await;
    }

    /// The caller has left: read to the end for the usage alone.
    pub async fn drain(mut self: Box<Self>) {
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
