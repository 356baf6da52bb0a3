//! The end of step 3: an admitted call becomes the request that will leave, with its credential. Sends nothing; `forward` does.

use std::sync::Arc;

use bytes::Bytes;
use http::Request;

use super::admit::{Judged, Sendable};
use super::capture;
use super::forward::Outgoing;
use super::links::Links;
use super::problem::Problem;
use super::request::{self, Pieces};
use super::reserve::HeldCall;
use super::unanswered;
use crate::adapters::captures::Taking;
use crate::adapters::upstream::{Progress, Upload};
use crate::adapters::vault::Credential;
use crate::rules::books::Tier;
use crate::rules::json::Document;
use crate::rules::subject::Name;
use crate::rules::vendors::{Family, Plan, Price, is_test_key};

/// What cannot leave after all ends here, with a row that says why.
pub async fn outgoing(
    judged: &Judged<'_>,
    body: Sendable,
    held: HeldCall,
    credential: Name,
) -> Result<Box<Outgoing>, Problem> {
    let taking = capture::begin(judged, &body).await;
    match taking.and_then(|taking| Ok((judged.leaving(body, &held, credential)?, taking))) {
        Ok((leaving, taking)) => Ok(judged.outgoing(leaving, held, taking)),
        Err(problem) => {
            unanswered::unsent(judged.gateway, judged.context, held.hold, &problem).await;
            Err(problem)
        }
    }
}

/// The request as it will leave.
struct Leaving {
    request: Request<Upload>,
    progress: Arc<Progress>,
    credential: Arc<Credential>,
}

impl Judged<'_> {
    fn leaving(&self, body: Sendable, held: &HeldCall, credential: Name) -> Result<Leaving, Problem> {
        let vendor = &self.place.vendor;
        let (upload, progress, sent) = self.upload(body, held)?;
        let credential = self.gateway.vault.open(&held.hold, &vendor.name, Some(&credential));
        let credential = credential.ok_or_else(|| Problem::NoCredential(vendor.name.to_string()))?;
        // What was free in test mode is not, with another credential.
        if vendor.family == Family::Stripe && is_test_key(credential.secret().expose()) != held.test_mode {
            return Err(Problem::Changed);
        }
        let pieces = Pieces {
            method: self.parts.method.clone(),
            base: &self.routed.host.base,
            path: &self.routed.path,
            query: self.place.query.as_deref(),
            headers: self.parts.headers.clone(),
            carried: &self.caller.carried,
            vendor,
            credential: &credential,
            signed: sent.as_deref(),
        };
        let request = request::build(pieces, upload)?;
        Ok(Leaving { request, progress, credential })
    }

    fn outgoing(&self, leaving: Leaving, held: HeldCall, taking: Option<Box<Taking>>) -> Box<Outgoing> {
        let vendor = &self.place.vendor;
        let Leaving { request, progress, credential } = leaving;
        // Boxed: it is large, and goes from step to step.
        Box::new(Outgoing {
            context: self.context.clone(),
            facts: self.facts.clone(),
            vendor: vendor.clone(),
            repeatable: self.repeatable(&held.plan),
            head: self.parts.method == http::Method::HEAD,
            plan: held.plan,
            hold: held.hold,
            seat: held.seat,
            request,
            progress,
            credential,
            caps: held.caps,
            follow: held.follow,
            grip: held.grip,
            memory: held.memory,
            yes: held.yes,
            taking,
            sighting: self.sighting.clone(),
            links: Links::new(vendor.clone(), self.place.base.clone()),
        })
    }

    /// Only the fields that must change are changed; all else goes out byte for byte.
    fn upload(&self, body: Sendable, held: &HeldCall) -> Result<(Upload, Arc<Progress>, Option<Bytes>), Problem> {
        let bytes = match body {
            Sendable::Stream(body) => {
                let (upload, progress) = Upload::stream(body, self.caller.carried.clone());
                return Ok((upload, progress, None));
            }
            Sendable::Whole(bytes) => bytes,
        };
        if held.plan.edits(held.granted).is_empty() {
            let (upload, progress) = Upload::bytes(bytes.clone(), !self.parts.method.is_safe());
            return Ok((upload, progress, Some(bytes)));
        }
        let unchanged = |_| Problem::Malformed("its JSON body cannot be given an output limit".to_owned());
        let document = Document::parse(&bytes).map_err(|e| Problem::Malformed(format!("its JSON body: {e}")))?;
        let edited = held.plan.edited(&document, held.granted).map_err(unchanged)?;
        let bytes = edited.map_or_else(|| bytes.clone(), Bytes::from);
        let (upload, progress) = Upload::bytes(bytes.clone(), true);
        Ok((upload, progress, Some(bytes)))
    }

    /// May the caller's SDK send it again when no answer came?
    fn repeatable(&self, plan: &Plan) -> bool {
        let llm = matches!(self.price(), Some(Price::Adapter(adapter)) if adapter.is_llm());
        let read = self.parts.method.is_safe() || self.routed.operation.is_some_and(|o| o.tier == Tier::ReadOnly);
        llm || read || plan.idempotency_key().is_some()
    }
}
