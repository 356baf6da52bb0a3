//! Step 3: may it, what can it cost, and is that much left? The body is read only if a rule or the estimate needs it. What
//! comes out holds its worst case on every account, with its row durable. `forward` comes next.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::header;
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};

use super::Gateway;
use super::context::Context;
use super::forward::Outgoing;
use super::grounds::Ground;
use super::headers;
use super::identify::Caller;
use super::problem::Problem;
use super::refusal::About;
use super::reserve::Ends;
use super::route::Place;
use super::watch::{self, Sighting};
use crate::adapters::keyring::Standing;
use crate::rules::args::{Args, Body, Sent};
use crate::rules::policy::{Decision, Denial, Permit, PolicySet, Question};
use crate::rules::price::PriceBook;
use crate::rules::subject::Facts;
use crate::rules::vendors::look_up::Found;
use crate::rules::vendors::{Ask, BodyKind, Counted, Estimate, Family, Placement, Price, Recalled, Routed};
use crate::units::money::MicroCents;
use crate::units::time::Timestamp;
use crate::units::vault_key::stands_in;

/// An unlisted operation may have any body: a rule that reads it says whether it can.
const ANY_BODY: [BodyKind; 4] = [BodyKind::Json, BodyKind::Form, BodyKind::Multipart, BodyKind::Opaque];

/// A request under judgement.
pub struct Judged<'a> {
    pub gateway: &'a Arc<Gateway>,
    pub context: &'a Context,
    pub caller: &'a Caller,
    /// As they stand now; those of `caller` may be older.
    pub policies: Arc<PolicySet>,
    pub prices: Arc<PriceBook>,
    pub place: &'a Place,
    pub routed: &'a Routed<'a>,
    pub parts: &'a Parts,
    pub facts: Arc<Facts>,
    pub ground: Arc<Ground>,
    /// When the whole request was there.
    pub now: Timestamp,
    /// What watches it, and what it looks like there.
    pub sighting: Option<Arc<Sighting>>,
    pub content_type: Option<String>,
    content_encoding: Option<String>,
}

#[expect(clippy::too_many_arguments, reason = "one step of the request: all that the steps before it made")]
pub async fn admit(
    gateway: &Arc<Gateway>,
    context: &Context,
    caller: &Caller,
    place: &Place,
    routed: Routed<'_>,
    parts: Box<Parts>,
    body: Incoming,
    about: &mut About,
) -> Result<Box<Outgoing>, Problem> {
    let method = parts.method.as_str();
    let ground = gateway.grounds.of(caller, &place.vendor, routed.operation, method, &routed.path);
    let facts = ground.facts.clone();
    about.routed(place, &routed, &facts);
    let (routed, parts) = (&routed, &*parts);
    let mut judged = Judged::new(gateway, context, caller, place, routed, parts, ground);
    let came = judged.body(body).await?;
    judged.refresh(&came)?;
    judged.given_once()?;
    about.request_hash = came.bytes().filter(|b| !b.is_empty()).map(|b| gateway.hasher.hash(b));
    if judged.ground.armed.is_some() {
        judged.sighting = watch::came(&judged, &came).await;
        about.sighting = judged.sighting.clone();
        judged.door()?;
    }
    let mut ends = Ends::default();
    let ((held, credential), renamed) = loop {
        // What is judged from here on is what is sent: an alias is put in first, by the policies that judge it.
        let renamed = judged.renamed(&came, about);
        let body = renamed.as_ref().unwrap_or(&came);
        about.request_hash = body.bytes().filter(|b| !b.is_empty()).map(|b| gateway.hasher.hash(b));
        match judged.attempt(body, about, &mut ends).await {
            Ok(Some(held)) => break (held, renamed),
            // It waited, perhaps long: all is decided anew.
            Ok(None) => judged.refresh(&came)?,
            Err(problem) => return Err(Box::pin(judged.advised(problem, body)).await),
        }
    };
    let body = renamed.unwrap_or(came);
    about.admitted = true;
    super::outgoing::outgoing(&judged, body, *held, credential).await
}

/// What is known of a call beside its request.
pub struct Known<'a> {
    /// Looked up at the vendor.
    pub found: &'a [Found],
    /// What an earlier call made that this one names.
    pub recalled: Option<&'a Recalled>,
    pub counted: Counted,
    /// Tokens that a response of that id, and of that row's model, left behind.
    pub remembered: &'a dyn Fn(&str, &str) -> Option<u64>,
}

/// A request body: read whole, because something looks at it, or left as a stream.
pub enum Sendable {
    Whole(Bytes),
    Stream(Incoming),
}

impl Sendable {
    pub fn bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Whole(bytes) => Some(bytes),
            Self::Stream(_) => None,
        }
    }
}

impl<'a> Judged<'a> {
    /// By the policies that its caller was identified under.
    pub fn new(
        gateway: &'a Arc<Gateway>,
        context: &'a Context,
        caller: &'a Caller,
        place: &'a Place,
        routed: &'a Routed<'a>,
        parts: &'a Parts,
        ground: Arc<Ground>,
    ) -> Self {
        Self {
            gateway,
            context,
            caller,
            policies: caller.policies.clone(),
            prices: gateway.prices.current(),
            place,
            routed,
            parts,
            facts: ground.facts.clone(),
            ground,
            now: context.at,
            sighting: None,
            content_type: headers::joined(&parts.headers, &header::CONTENT_TYPE),
            content_encoding: headers::joined(&parts.headers, &header::CONTENT_ENCODING),
        }
    }
}

impl Judged<'_> {
    pub fn price(&self) -> Option<&Price> {
        self.place.vendor.price_of(self.routed.operation)
    }

    fn reads_request(&self) -> bool {
        self.price().is_some_and(Price::reads_request) || self.rules_read()
    }

    fn rules_read(&self) -> bool {
        let (policy, vendor, method) = (&self.facts.policy, &self.facts.vendor, self.parts.method.as_str());
        self.policies.reads_args(policy, vendor, method, &self.routed.path, &self.facts.operation)
    }

    /// Does anything here look at all of the body, whatever the price is?
    fn must_be_whole(&self) -> bool {
        let kept = self.policies.capture(&self.facts.policy).is_some_and(|c| c.requests);
        // A signature is over all of it.
        let signed = matches!(self.place.vendor.placement, Placement::Sigv4(_));
        // What is approved is the body as it is sent.
        let asked = self.policies.may_ask(&self.facts.policy);
        kept || signed || asked || self.rules_read()
    }

    async fn body(&self, body: Incoming) -> Result<Sendable, Problem> {
        if body.is_end_stream() {
            return Ok(Sendable::Whole(Bytes::new()));
        }
        let whole = self.must_be_whole();
        if !whole && !self.price().is_some_and(Price::reads_request) {
            return Ok(Sendable::Stream(body));
        }
        let limit = self.gateway.limits.body;
        if body.size_hint().lower() > limit as u64 {
            let unread = !whole && self.price().is_some_and(Price::takes_unread);
            return if unread { Ok(Sendable::Stream(body)) } else { Err(Problem::TooLarge(limit)) };
        }
        let read = Limited::new(body, limit).collect();
        match tokio::time::timeout(self.gateway.limits.body_time, read).await {
            Err(_) => Err(Problem::SlowBody),
            Ok(Ok(read)) => self.keyless(read.to_bytes()),
            Ok(Err(e)) if e.is::<LengthLimitError>() => Err(Problem::TooLarge(limit)),
            Ok(Err(_)) => Err(Problem::BrokenBody),
        }
    }

    /// A vault key in a body would reach the vendor.
    fn keyless(&self, body: Bytes) -> Result<Sendable, Problem> {
        match stands_in(&body, &self.caller.carried) {
            false => Ok(Sendable::Whole(body)),
            true => Err(Problem::keyed()),
        }
    }

    /// Headers that the vendor decides by: of two lines it might read another than the one that was judged.
    pub fn given_once(&self) -> Result<(), Problem> {
        let vendor = &self.place.vendor;
        let deciding = vendor.account_headers.iter().chain(&vendor.idempotency_header);
        match deciding.into_iter().find(|name| self.parts.headers.get_all(&***name).iter().count() > 1) {
            None => Ok(()),
            Some(name) => Err(Problem::Malformed(format!("the header `{name}` is given twice; send it once"))),
        }
    }

    /// A body may have taken its time: the call is decided by what holds now, not by what held when it began.
    fn refresh(&mut self, body: &Sendable) -> Result<(), Problem> {
        self.policies = self.gateway.policies.current();
        self.prices = self.gateway.prices.current();
        self.now = Timestamp::now();
        match self.gateway.keyring.standing(&self.caller.key, self.now) {
            Standing::Good if self.is_outdated(body) => Err(Problem::Changed),
            Standing::Good => Ok(()),
            Standing::Expired(at) => Err(Problem::Expired(at)),
            Standing::Revoked(by) => Err(Problem::off(by.flag.clone(), Some(&by))),
        }
    }

    /// Do the policies as they stand now ask for what was settled when the call began: who is trusted to name a run, and whether
    /// the body is read?
    fn is_outdated(&self, body: &Sendable) -> bool {
        let trusts = |policies: &PolicySet| policies.get(&self.facts.policy).is_some_and(|p| p.trust_headers);
        let unread = matches!(body, Sendable::Stream(_));
        !Arc::ptr_eq(&self.policies, &self.caller.policies)
            && (unread && self.must_be_whole()
                || self.caller.run_claimed && trusts(&self.policies) != trusts(&self.caller.policies))
    }

    /// Empty if nothing looks at them.
    pub fn args<'b>(&'b self, body: &'b Sendable) -> Result<Args<'b>, Problem> {
        if !self.reads_request() {
            return Args::read(Sent::default(), &[]).map_err(Problem::Unreadable);
        }
        let sent = Sent {
            query: self.place.query.as_deref(),
            path: self.routed.params.iter().map(|(n, v)| (*n, Cow::Borrowed(v.as_str()))).collect(),
            content_type: self.content_type.as_deref(),
            content_encoding: self.content_encoding.as_deref(),
            body: match body {
                Sendable::Whole(bytes) => Body::Whole(bytes),
                Sendable::Stream(_) => Body::Unread,
            },
        };
        let declared = self.routed.operation.map_or(&ANY_BODY[..], |o| &o.bodies);
        Args::read(sent, declared).map_err(Problem::Unreadable)
    }

    pub fn decide(&self, args: &Args<'_>) -> Result<Permit, Problem> {
        let Self { caller, routed, parts, .. } = self;
        let account_headers = self.account_headers()?;
        let overlays = caller.overlays();
        let question = Question {
            now: self.now,
            facts: &self.facts,
            lines: self.ground.lines(&self.policies),
            overlays: &overlays,
            operation: routed.operation,
            method: parts.method.as_str(),
            path: &routed.path,
            args: self.reads_request().then_some(args),
            account_headers: &account_headers,
            test_mode: self.test_mode(),
        };
        match self.policies.decide(&question) {
            Decision::Permit(permit) => Ok(permit),
            Decision::Deny(denial) => Err(Problem::Denied(denial)),
            Decision::Unreadable(why) => Err(Problem::Unreadable(why)),
        }
    }

    /// Would it be sent with a credential of the vendor's test mode?
    fn test_mode(&self) -> bool {
        let credential = self.policies.get(&self.facts.policy).and_then(|policy| policy.credential.clone());
        let vendor = &self.place.vendor;
        vendor.family == Family::Stripe && self.gateway.vault.is_test(&vendor.name, credential.as_ref())
    }

    pub fn ask<'a>(
        &'a self,
        permit: &Permit,
        args: &'a Args<'_>,
        body: Option<&'a Bytes>,
        known: Known<'a>,
    ) -> Ask<'a> {
        let Known { found, recalled, counted, remembered } = known;
        Ask {
            vendor: &self.place.vendor,
            operation: self.routed.operation,
            host: &self.routed.host.base.host,
            args,
            body: body.map_or(&[], |b| b),
            headers: &self.parts.headers,
            now: self.now,
            prices: &self.prices,
            default_max_output: permit.max_output_tokens(),
            fit: permit.fit(),
            ceiling: permit.ceiling(),
            unknown_model: permit.unknown_model(),
            stripe: permit.stripe(),
            test_key: permit.test_mode(),
            found,
            counted,
            remembered,
            recalled,
            batch: None,
        }
    }

    pub fn estimate(&self, permit: &Permit, ask: Ask<'_>) -> Result<(Estimate, Option<Denial>), Problem> {
        match ask.estimate() {
            // Only watched, it goes out all the same; it holds no money, as nobody can say how much.
            Err(why) if !permit.enforced() && why.ceiling_helps() => {
                let unheld = Ask { ceiling: Some(MicroCents::ZERO), ..ask }.estimate().map_err(Problem::Unpriceable)?;
                Ok((unheld, Some(Denial::unpriced(permit.policy_name(), &why))))
            }
            estimate => Ok((estimate.map_err(Problem::Unpriceable)?, None)),
        }
    }
}
