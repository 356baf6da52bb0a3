//! Step 4: the call leaves, once, with the real credential, in work that the caller cannot cancel. Whatever comes
//! back or does not, the hold ends here or in `meter`.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::Full;
use hyper::body::Body;
use tokio::sync::oneshot;

use super::Gateway;
use super::approval::Yes;
use super::body::Reply;
use super::context::{self, Context};
use super::filter::Filter;
use super::flowing::Flowing;
use super::grip::Grip;
use super::headers;
use super::late::Follow;
use super::links::{Links, Rewrite};
use super::memory::Memory;
use super::meter::{Flow, Stop};
use super::problem::{Problem, stopped};
use super::settle::{Dues, Settlement};
use super::unanswered;
use super::watch::{Scanning, Sighting};
use crate::adapters::captures::Taking;
use crate::adapters::ledger::hold::Reserved;
use crate::adapters::switchboard::{Cause, Seat};
use crate::adapters::upstream::{Answer as Upstream, Progress, SendError, Upload};
use crate::adapters::vault::Credential;
use crate::rules::subject::Facts;
use crate::rules::vendors::credential::Scrub;
use crate::rules::vendors::{Plan, Vendor};

/// An admitted call, ready to leave.
pub struct Outgoing {
    pub context: Context,
    pub facts: Arc<Facts>,
    pub vendor: Arc<Vendor>,
    pub plan: Plan,
    pub hold: Reserved,
    pub seat: Seat,
    pub request: Request<Upload>,
    pub progress: Arc<Progress>,
    pub credential: Arc<Credential>,
    /// Read-only, a plain LLM call, or one with an idempotency key.
    pub repeatable: bool,
    /// A `HEAD` request: its answer names a length and has no body.
    pub head: bool,
    /// The output limit that was written into the request.
    pub caps: Option<u64>,
    /// Asks for a price that comes later.
    pub follow: Option<Box<Follow>>,
    /// Of a stream, whose hold changes while it runs.
    pub grip: Option<Box<Grip>>,
    /// Keeps what its answer leaves behind.
    pub memory: Option<Memory>,
    /// The person's yes that it leaves with.
    pub yes: Option<Yes>,
    /// Keeps the answer, if a policy asks for it.
    pub taking: Option<Box<Taking>>,
    /// What watches it.
    pub sighting: Option<Arc<Sighting>>,
    pub links: Links,
}

type Answer = Result<Response<Reply>, Problem>;

/// Plain answers up to this size are read whole, so that their cost can stand in a header.
pub const WHOLE: usize = 256 * 1024;
/// How long a write that has left is read on after an abort.
pub const AFTER_ABORT: Duration = Duration::from_secs(30);

pub async fn forward(gateway: &Arc<Gateway>, out: Box<Outgoing>) -> Answer {
    let vendor = out.vendor.name.clone();
    let (tell, told) = oneshot::channel();
    let carried = Carried { work: Some(Box::pin(carry(gateway.clone(), out, tell))), told };
    // The work always answers; it is gone only if the runtime is.
    carried.await.unwrap_or_else(|_| Err(Problem::OutcomeUnknown(vendor.to_string())))
}

/// Work that is done in place while the caller waits for its answer, and in a task of its own once nobody does.
struct Carried {
    work: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    told: oneshot::Receiver<Answer>,
}

impl Future for Carried {
    type Output = Result<Answer, oneshot::error::RecvError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        if self.work.as_mut().is_some_and(|work| work.as_mut().poll(cx).is_ready()) {
            self.work = None;
        }
        Pin::new(&mut self.told).poll(cx)
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        // Without a runtime there is nobody to go on: dropped, the hold queues its own end.
        if let (Some(work), Ok(runtime)) = (self.work.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(work);
        }
    }
}

async fn carry(gateway: Arc<Gateway>, out: Box<Outgoing>, tell: oneshot::Sender<Answer>) {
    if let Some(cause) = out.seat.stopped_by() {
        let problem = stopped(cause);
        Box::pin(unanswered::unsent(&gateway, &out.context, out.hold, &problem)).await;
        return answer(tell, Err(problem));
    }
    let Outgoing {
        context,
        facts,
        vendor,
        plan,
        hold,
        seat,
        request,
        progress,
        credential,
        repeatable,
        head,
        caps,
        follow,
        grip,
        memory,
        yes,
        taking,
        sighting,
        links,
    } = *out;
    let overhead_us = context.elapsed_us();
    let stop = seat.stopped();
    let meters = gateway.meters.clone();
    let owner = gateway.clone();
    let hold = hold.dispatch();
    if let Some(yes) = yes {
        yes.spend();
    }
    let dues =
        Dues { gateway: owner, context, facts, hold, seat, overhead_us, meters, taking, sighting, follow, memory };
    let dues = Box::new(dues);
    let writes = !request.method().is_safe();
    let crossing =
        Crossing { vendor, plan, credential, repeatable, head, writes, caps, grip, links, gateway: gateway.clone() };
    // What sends is gone before the answer is read: the two need not have room beside each other.
    let sent = {
        let sending = gateway.upstream.send(crossing.vendor.private_network, request);
        tokio::pin!(sending);
        tokio::select! {
            biased;
            () = stop => {
                let cause = dues.seat.stopped_by().cloned().unwrap_or(Cause::Closing);
                answer(tell, Err(Problem::Aborted(cause.clone())));
                let left_whole = progress.whole() && writes && !crossing.plan.streams();
                let late = async { if left_whole { tokio::time::timeout(AFTER_ABORT, sending).await.ok() } else { None } };
                return Box::pin(crossing.aborted(dues, cause, late.await)).await;
            }
            sent = &mut sending => sent,
        }
    };
    let arrived = match sent {
        Ok(response) => crossing.answered(dues, response).await,
        Err(error) => Err(Box::pin(crossing.failed(dues, error)).await),
    };
    answer(tell, arrived);
}

/// If the caller is gone, a flowing body drains itself on drop, and a whole one has settled.
fn answer(tell: oneshot::Sender<Answer>, answer: Answer) {
    drop(tell.send(answer));
}

/// What is known of a call while it is with the vendor.
pub struct Crossing {
    gateway: Arc<Gateway>,
    pub vendor: Arc<Vendor>,
    pub plan: Plan,
    credential: Arc<Credential>,
    pub repeatable: bool,
    head: bool,
    /// Its method changes things.
    writes: bool,
    caps: Option<u64>,
    grip: Option<Box<Grip>>,
    links: Links,
}

pub type Sent = Result<Response<Upstream>, SendError>;

impl Crossing {
    async fn answered(mut self, dues: Box<Dues>, response: Response<Upstream>) -> Answer {
        let (mut parts, upstream) = response.into_parts();
        let status = parts.status.as_u16();
        let meter = self.plan.meter(status, &parts.headers);
        let length = upstream.size_hint().exact();
        let events = is_event_stream(&parts.headers);
        let limits = &self.gateway.limits;
        let scrub = Scrub::new(self.credential.ready(&self.vendor.placement).sought.clone());
        let rewrite = Links::are_in(&parts.headers).then(|| Rewrite::new(self.links.clone()));
        let mut filter = Filter { scrub, rewrite };
        // The length of what changes on its way is not the caller's: of events that may be hidden, of links.
        let told = length.filter(|_| !events && filter.rewrite.is_none());
        let (idle, drain) = (self.gateway.upstream.timeouts.idle, limits.drain_answer);
        let call = dues.context.call;
        headers::towards_caller(&mut parts.headers, self.head || parts.status == 304);
        filter.scrub.headers(&mut parts.headers);
        self.links.rewrite_headers(&mut parts.headers);
        context::stamp(&mut parts.headers, call);
        self.stamp_caps(&mut parts.headers);
        let envelope = self.vendor.envelope;
        // Boxed: it is moved from hand to hand.
        let grip = self.grip.take();
        let scan = Scanning::of(&self.gateway, dues.sighting.as_ref());
        let mut flow =
            Box::new(Flow { upstream, meter, scan, filter, dues, grip, status, events, envelope, idle, drain });
        let rejected = status == 401;
        if !rejected && (events || streams(&parts.headers, length)) {
            return Ok(flowing(parts, Flowing::new(flow, VecDeque::new(), told)));
        }
        let mut ready = VecDeque::new();
        let (stop, trailers) = match flow.fill(WHOLE, &mut ready).await {
            Some(end) => end,
            // Whatever else it says of our credential is not for the caller.
            None if rejected => (Stop::Cut("the vendor's refusal is too long"), None),
            None => return Ok(flowing(parts, Flowing::new(flow, ready, told))),
        };
        if let Stop::Aborted(cause) = &stop
            && self.writes
            && !self.plan.streams()
        {
            tokio::spawn(flow.read_on(cause.clone(), AFTER_ABORT));
            return Err(Problem::Aborted(cause.clone()));
        }
        let trailers = trailers.map(|t| Box::new(flow.filter.trailers(t)));
        let (dues, ending) = flow.end(&stop, &mut ready);
        let settlement = dues.finish(ending).await;
        if let Some(problem) = self.instead(&stop, status) {
            return Err(problem);
        }
        stamp_cost(&mut parts.headers, &settlement);
        let body = Full::new(joined(ready));
        Ok(Response::from_parts(parts, Reply::Whole(body, trailers)))
    }

    fn stamp_caps(&self, headers: &mut http::HeaderMap) {
        if let Some(limit) = self.caps {
            context::set(headers, context::CAPS, &format!("max_output_tokens={limit}"));
        }
    }
}

fn is_event_stream(headers: &http::HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    kind.trim_start().get(..17).is_some_and(|k| k.eq_ignore_ascii_case("text/event-stream"))
}

fn flowing(parts: http::response::Parts, body: Flowing) -> Response<Reply> {
    Response::from_parts(parts, Reply::Flowing(Box::new(body)))
}

/// Is it too long to be read whole, or of no known length and no kind that an SDK reads whole?
fn streams(headers: &http::HeaderMap, length: Option<u64>) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let json = kind.split(';').next().is_some_and(|k| k.trim().eq_ignore_ascii_case("application/json"));
    length.map_or(!json, |n| n > WHOLE as u64)
}

fn stamp_cost(headers: &mut http::HeaderMap, settlement: &Settlement) {
    context::set(headers, context::COST, &settlement.cost.to_string());
    if let Some(left) = settlement.remaining {
        context::set(headers, context::REMAINING, &left.to_string());
    }
}

/// One piece needs no copy.
fn joined(mut pieces: VecDeque<Bytes>) -> Bytes {
    match pieces.len() {
        0 => Bytes::new(),
        1 => pieces.pop_front().unwrap_or_default(),
        _ => pieces.iter().flat_map(|p| p.iter().copied()).collect::<Vec<u8>>().into(),
    }
}
