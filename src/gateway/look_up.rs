//! Asks the vendor for what bounds a call, before anything is held for it, where its policy allows that. Each question is a
//! call of its own: held (it costs nothing and counts as one call), sent by the same client with the same credential, bounded
//! in time and size, and written in a row that names the call that it was asked for. `rules::vendors::look_up` reads the
//! answers.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use http_body_util::{BodyExt, Limited};
use uuid::Uuid;

use super::Gateway;
use super::admit::Judged;
use super::context::Context;
use super::refusal::About;
use super::request::{self, Pieces};
use crate::adapters::ledger::hold::{Answered, InFlight, Reserved};
use crate::adapters::ledger::waiting::Waited;
use crate::adapters::switchboard::Seat;
use crate::adapters::upstream::Upload;
use crate::rules::books::{Closing, CostSource, Opening, Outcome, Tier, Verdict, said};
use crate::rules::ledger::ask::Reserve;
use crate::rules::ledger::need::Need;
use crate::rules::ledger::rates::Rate;
use crate::rules::path::CanonicalPath;
use crate::rules::policy::Permit;
use crate::rules::subject::{Facts, Flag};
use crate::rules::vendors::look_up::{Found, MOST_QUESTIONS, Question};
use crate::rules::vendors::{Routed, Vendor};
use crate::units::ids::CallId;
use crate::units::money::PicoUsd;
use crate::units::time::Timestamp;

/// From a question to the last byte of its answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer that is read.
const LIMIT: usize = 1024 * 1024;
/// Headers of the caller's by which the vendor chooses the shape of its answer.
const SHAPE: [&str; 4] = ["stripe-version", "anthropic-version", "anthropic-beta", "openai-beta"];

/// Asks all of them at once. What gives no answer says why.
pub async fn ask(
    judged: &Judged<'_>,
    permit: &Permit,
    questions: Vec<Question>,
    before: usize,
    about: &mut About,
) -> Vec<Found> {
    if before + questions.len() > MOST_QUESTIONS {
        let why = || format!("it would take more than {MOST_QUESTIONS} questions");
        return questions.into_iter().map(|question| Found { question, answer: Err(why()) }).collect();
    }
    let asker = Asker::new(judged, permit, about);
    let flags: Arc<[Flag]> = Flag::over(&judged.facts).into();
    let answered = join_all(questions.iter().map(|question| asker.ask(question, flags.clone()))).await;
    let mut found = Vec::with_capacity(answered.len());
    for (question, (call, answer)) in questions.into_iter().zip(answered) {
        about.looked_up(call, &question.to_string());
        found.push(Found { question, answer });
    }
    found
}

/// Whoever asks the vendor on behalf of one call.
pub struct Asker {
    pub gateway: Arc<Gateway>,
    /// Of the call that is asked for.
    pub context: Context,
    vendor: Arc<Vendor>,
    facts: Arc<Facts>,
    permit: Permit,
    /// Those that select the account, and the shape of an answer.
    headers: HeaderMap,
    opening: Opening,
}

impl Asker {
    pub fn new(judged: &Judged<'_>, permit: &Permit, about: &About) -> Self {
        let vendor = judged.place.vendor.clone();
        let mut headers = HeaderMap::new();
        for name in vendor.account_headers.iter().map(|n| &**n).chain(SHAPE) {
            let Ok(as_name) = HeaderName::try_from(name) else { continue };
            for value in judged.parts.headers.get_all(name) {
                headers.append(as_name.clone(), value.clone());
            }
        }
        let opening = about.opening(judged.context, Verdict::Allow, permit.enforced(), None);
        let facts = judged.facts.clone();
        let (gateway, context) = (judged.gateway.clone(), judged.context.clone());
        Self::of(gateway, context, (vendor, facts), permit.clone(), headers, opening)
    }

    /// On behalf of a call that the books know.
    pub fn resumed(gateway: &Arc<Gateway>, whose: (Arc<Vendor>, Arc<Facts>), permit: Permit, opening: Opening) -> Self {
        let nobody = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let context = Context { call: opening.call, ..Context::new(nobody, &HeaderMap::new()) };
        Self::of(gateway.clone(), context, whose, permit, HeaderMap::new(), opening)
    }

    fn of(
        gateway: Arc<Gateway>,
        context: Context,
        (vendor, facts): (Arc<Vendor>, Arc<Facts>),
        permit: Permit,
        headers: HeaderMap,
        opening: Opening,
    ) -> Self {
        let reason = Some(format!("look_up: for call {}", context.call));
        let (policy_hash, tier) = (Some(permit.policy_hash()), Some(Tier::ReadOnly));
        let estimate = Need::fixed(PicoUsd(0), 0).least();
        let (verdict, enforced) = (Verdict::Allow, permit.enforced());
        let opening = Opening { policy_hash, tier, estimate, reason, verdict, enforced, ..opening };
        let opening = Opening { facts: Some(facts.clone()), request_hash: None, repeats: None, ..opening };
        Self { gateway, context, vendor, facts, permit, headers, opening }
    }

    /// One question, as a call of its own.
    pub async fn ask(&self, question: &Question, flags: Arc<[Flag]>) -> (CallId, Result<Bytes, String>) {
        let context = Context {
            call: CallId(Uuid::now_v7()),
            at: Timestamp::now(),
            started: Instant::now(),
            ..self.context.clone()
        };
        (context.call, self.answered(question, context, flags).await)
    }

    async fn answered(&self, question: &Question, context: Context, flags: Arc<[Flag]>) -> Result<Bytes, String> {
        let path = CanonicalPath::parse(&question.path).map_err(|e| e.to_string())?.path;
        let routed = self.vendor.route(question.method(), path);
        let seat = self.gateway.switchboard.enter(context.call, self.facts.clone());
        let hold = self.held(&context, &routed, question, flags).await?;
        let request = self.request(&routed, question, &hold)?;
        let asked = Asked { gateway: self.gateway.clone(), context, hold: hold.dispatch(), seat };
        // In a task of its own, so that a caller who leaves does not leave the row without its end.
        let task = tokio::spawn(asked.send(self.vendor.private_network, request));
        task.await.unwrap_or_else(|_| Err("bursar is shutting down".to_owned()))
    }

    async fn held(
        &self,
        context: &Context,
        routed: &Routed<'_>,
        question: &Question,
        flags: Arc<[Flag]>,
    ) -> Result<Reserved, String> {
        let opening = Opening {
            call: context.call,
            method: question.method().into(),
            path: routed.path.as_str().into(),
            endpoint: routed.operation.map(|o| o.name.clone()),
            action: routed.operation.map(|o| o.action.clone()),
            ..self.opening.clone()
        };
        let rates: Arc<[Rate]> = [].into();
        let ask = || Reserve {
            hold: context.call,
            lines: self.permit.lines().clone(),
            need: Need::fixed(PicoUsd(0), 0),
            flags: flags.clone(),
            replay: None,
            // The pace is the agent's; this question is bursar's.
            rates: rates.clone(),
            manner: self.permit.manner(),
            opening: opening.clone(),
        };
        let waited = self.gateway.waiting.reserve(&self.permit, ask, Instant::now(), std::future::pending::<()>);
        match waited.await.map_err(|e| e.to_string())? {
            Waited::Answered(Answered::Held(hold)) => Ok(hold),
            Waited::Answered(Answered::Short(short)) => Err(format!("`{}` is used up", short.limit.rule)),
            Waited::Answered(Answered::Limited(limited)) => Err(format!("`{}` leaves no room now", limited.rule)),
            Waited::Answered(Answered::Killed(flag)) => Err(format!("{flag} is switched off")),
            Waited::Interrupted(()) => Err("it was interrupted".to_owned()),
        }
    }

    fn request(&self, routed: &Routed<'_>, question: &Question, hold: &Reserved) -> Result<Request<Upload>, String> {
        let credential = self.gateway.vault.open(hold, &self.vendor.name, self.permit.credential());
        let credential = credential.ok_or_else(|| "there is no credential".to_owned())?;
        let mut headers = self.headers.clone();
        if question.body.is_some() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let body = question.body.clone().unwrap_or_default();
        let pieces = Pieces {
            method: if question.body.is_some() { Method::POST } else { Method::GET },
            base: &routed.host.base,
            path: &routed.path,
            query: question.query.as_deref(),
            headers,
            // No header of the caller's that could hold it is among these.
            carried: "",
            vendor: &self.vendor,
            credential: &credential,
            signed: Some(&body),
        };
        let (upload, _) = Upload::bytes(body.clone(), false);
        request::build(pieces, upload).map_err(|problem| problem.sentence())
    }
}

/// A question that is on its way.
struct Asked {
    gateway: Arc<Gateway>,
    context: Context,
    hold: InFlight,
    seat: Seat,
}

impl Asked {
    async fn send(self, private: bool, request: Request<Upload>) -> Result<Bytes, String> {
        let mut status = None;
        let sent = async {
            let answer = self.gateway.upstream.send(private, request).await.map_err(|e| e.to_string())?;
            status = Some(answer.status().as_u16());
            let body = Limited::new(answer.into_body(), LIMIT).collect().await.map_err(|e| e.to_string())?;
            Ok(body.to_bytes())
        };
        let answer = tokio::select! {
            biased;
            () = self.seat.stopped() => Err("it was stopped".to_owned()),
            answer = tokio::time::timeout(PATIENCE, sent) => {
                answer.unwrap_or_else(|_| Err(format!("no answer within {PATIENCE:?}")))
            }
        };
        let answer = match (answer, status) {
            (Ok(body), Some(200..=299)) => Ok(body),
            (Ok(_), status) => Err(format!("the vendor said {}", status.unwrap_or_default())),
            (Err(why), _) => Err(why),
        };
        self.settle(status, answer.as_ref().err().cloned()).await;
        answer
    }

    /// Reading costs nothing, whatever came back.
    async fn settle(self, status: Option<u16>, error: Option<String>) {
        let call = self.context.call;
        let outcome = match (status, &error) {
            (Some(200..=299), None) => Outcome::Ok,
            (Some(_), _) => Outcome::VendorError,
            (None, _) => Outcome::Unreachable,
        };
        let charge = *self.hold.amounts();
        let closing = Closing {
            call,
            outcome,
            charge,
            cost_source: CostSource::Zero,
            tokens: None,
            http_status: status,
            vendor_request_id: None,
            latency_ms: self.context.latency_ms(),
            overhead_us: 0,
            error: error.map(said),
            flagged: false,
            priced: None,
            made: None,
        };
        if let Err(error) = self.hold.commit(charge, true, closing).await {
            tracing::error!(%call, %error, "a look-up could not be settled");
        }
    }
}
