//! Floor 3: one request, one file per step, in order. Knows neither operators nor the command line; `app` wires it.

mod accept;
mod accounts;
mod admit;
mod advise;
mod approval;
mod arrivals;
mod baggage;
mod body;
mod callback;
mod capture;
mod context;
mod door;
mod envelope;
mod filter;
mod flowing;
mod forward;
mod grip;
mod grounds;
mod headers;
mod identify;
mod ladder;
mod late;
mod links;
mod look_up;
mod made;
mod memory;
mod meter;
mod outgoing;
mod own;
mod problem;
mod rated;
mod record;
mod refusal;
mod renamed;
mod request;
mod reserve;
mod route;
mod settle;
mod sign;
mod unanswered;
mod vendors;
mod watch;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::request::Parts;
use http::{Request, Response};
use hyper::body::Incoming;

use crate::adapters::approvals::Approvals;
use crate::adapters::audit::denials::DenialBudget;
use crate::adapters::audit::tail::Books;
use crate::adapters::captures::Captures;
use crate::adapters::keyring::Keyring;
use crate::adapters::keyring::secrets::BodyHasher;
use crate::adapters::ledger::Ledger;
use crate::adapters::ledger::waiting::Waiting;
use crate::adapters::people::People;
use crate::adapters::policy_store::PolicyStore;
use crate::adapters::price_store::Prices;
use crate::adapters::remembered::Remembered;
use crate::adapters::switchboard::Switchboard;
use crate::adapters::upstream::Upstream;
use crate::adapters::vault::Vault;

pub use accept::{Manners, run};
pub use arrivals::{Arrivals, Counted, Given};
pub use callback::Callbacks;
pub use grounds::Grounds;
pub use late::resume;
pub use own::{Minter, Unminted};
pub use record::{Counts, Meters};
pub use vendors::Vendors;
pub use watch::{Tripper, Watch};

use body::Reply;
use context::Context;
use made::Makings;
use problem::Problem;

/// What the steps work with. Made by `app`, once for each thread that serves.
pub struct Gateway {
    pub ledger: Arc<dyn Ledger>,
    pub books: Arc<Books>,
    pub makings: Arc<Makings>,
    pub callbacks: Arc<Callbacks>,
    pub waiting: Arc<Waiting>,
    pub keyring: Arc<Keyring>,
    pub people: Arc<People>,
    pub captures: Arc<Captures>,
    pub approvals: Arc<Approvals>,
    pub remembered: Arc<Remembered>,
    pub policies: Arc<PolicyStore>,
    pub vendors: Vendors,
    pub prices: Arc<Prices>,
    pub vault: Arc<Vault>,
    pub upstream: Upstream,
    pub switchboard: Arc<Switchboard>,
    pub hasher: BodyHasher,
    pub strangers: Arc<DenialBudget>,
    pub meters: Arc<Meters>,
    pub grounds: Grounds,
    pub watch: Arc<Watch>,
    pub limits: Limits,
    /// Mints child keys; set once operators' side is there.
    pub minter: Arc<OnceLock<Minter>>,
    /// Do callers reach this gateway by TLS?
    pub tls: bool,
}

/// Bounds on one call.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of a body that a rule or an estimate must read.
    pub body: usize,
    /// For such a body to arrive.
    pub body_time: Duration,
    /// For reading on when the caller has left.
    pub drain_answer: Duration,
}

impl Gateway {
    /// The same for another thread, with connections of its own.
    pub fn beside(&self) -> Self {
        Self {
            ledger: self.ledger.clone(),
            books: self.books.clone(),
            makings: self.makings.clone(),
            callbacks: self.callbacks.clone(),
            waiting: self.waiting.clone(),
            keyring: self.keyring.clone(),
            people: self.people.clone(),
            captures: self.captures.clone(),
            approvals: self.approvals.clone(),
            remembered: self.remembered.clone(),
            policies: self.policies.clone(),
            vendors: self.vendors.clone(),
            prices: self.prices.clone(),
            vault: self.vault.clone(),
            upstream: self.upstream.beside(),
            switchboard: self.switchboard.clone(),
            hasher: self.hasher.clone(),
            strangers: self.strangers.clone(),
            meters: self.meters.clone(),
            grounds: Grounds::default(),
            watch: self.watch.clone(),
            limits: self.limits,
            minter: self.minter.clone(),
            tls: self.tls,
        }
    }

    /// Why no call can be admitted now.
    pub fn trouble(&self) -> Option<String> {
        self.ledger.trouble()
    }
}

/// One request, from its head to the head of its answer. What comes after is in `meter` and `settle`.
pub fn serve(
    gateway: Arc<Gateway>,
    from: SocketAddr,
    request: Request<Incoming>,
) -> impl Future<Output = Response<Reply>> + Send {
    // Taken apart here: what a future is given and hands on, it has room for twice.
    let context = Context::new(from, request.headers());
    let mut about = refusal::About::new(&request);
    let readable = accept::one_reading(&request).map(|()| request.into_parts());
    let readable = readable.map(|(parts, body)| (Box::new(parts), body));
    async move {
        match steps(&gateway, &context, readable, &mut about).await {
            Ok(response) => response,
            Err(problem) => {
                Box::pin(refusal::record(&gateway, &context, &about, &problem)).await;
                problem.respond(context.call, about.envelope(&gateway))
            }
        }
    }
}

async fn steps(
    gateway: &Arc<Gateway>,
    context: &Context,
    readable: Result<(Box<Parts>, Incoming), Problem>,
    about: &mut refusal::About,
) -> Result<Response<Reply>, Problem> {
    let (mut parts, body) = readable?;
    // Before anything is judged: what is meant for this hop alone never leaves, so it must not count either.
    headers::drop_hops(&mut parts.headers, parts.version);
    if let Some(vendor) = callback::vendor(gateway, &parts) {
        return Box::pin(callback::answer(gateway, context, vendor, &parts, body)).await;
    }
    let caller = identify::identify(gateway, context, &parts, about).await?;
    about.caller(&caller);
    if let Some(page) = own::page(&parts) {
        return Box::pin(own::answer(gateway, context, &caller, page, body)).await;
    }
    let place = route::place(gateway, &caller, &parts)?;
    let routed = place.vendor.route(parts.method.as_str(), place.path.clone());
    let admitted = admit::admit(gateway, context, &caller, &place, routed, parts, body, about).await?;
    forward::forward(gateway, admitted).await
}
