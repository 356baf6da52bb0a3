//! Calls that end without the vendor's answer: each is settled with what is known of it, and says what the caller reads instead.
//! `forward` and `meter` have those that are answered.

use super::Gateway;
use super::context::Context;
use super::forward::{AFTER_ABORT, Crossing, Sent, WHOLE};
use super::meter::Stop;
use super::problem::Problem;
use super::settle::{Dues, Ending};
use crate::adapters::ledger::hold::Reserved;
use crate::adapters::switchboard::Cause;
use crate::adapters::upstream::{SendError, Unusable};
use crate::rules::books::{Closing, CostSource, Outcome, said};
use crate::rules::vendors::{End, Metered, Usage};
use crate::units::amount::Amounts;

/// Admitted, and nothing of it has left: its row says what stood in the way. A caller who leaves meanwhile changes nothing.
pub async fn unsent(gateway: &Gateway, context: &Context, hold: Reserved, problem: &Problem) {
    gateway.meters.refused();
    let call = context.call;
    let closing = Closing {
        call,
        outcome: Outcome::Refused,
        charge: Amounts::ZERO,
        cost_source: CostSource::Zero,
        tokens: None,
        http_status: Some(problem.status()),
        vendor_request_id: None,
        latency_ms: context.latency_ms(),
        overhead_us: context.elapsed_us(),
        error: Some(said(format!("{}: {}", problem.code(), problem.sentence()))),
        flagged: false,
        priced: None,
        made: None,
    };
    let aside = hold.ends_aside();
    let released = tokio::spawn(async move {
        if let Err(error) = hold.release(closing).await {
            tracing::error!(%call, %error, "a hold could not be released; its lease will charge it in full");
        }
    });
    if !aside {
        // It fails only if the runtime ends; the hold's own drop then releases it.
        let _ = released.await;
    }
}

impl Crossing {
    /// No answer came. Only a connection that was never made is known to have cost nothing.
    pub async fn failed(&self, dues: Box<Dues>, error: SendError) -> Problem {
        let vendor = self.vendor.name.to_string();
        tracing::warn!(call = %dues.context.call, %vendor, %error, "no answer");
        let (usage, outcome, problem) = match &error {
            SendError::Unusable(answer) => return self.unusable(dues, answer, error.to_string()).await,
            SendError::Forbidden(address) => {
                let problem = Problem::AddressRefused { vendor, why: address.why };
                (Usage::ZERO, Outcome::Unreachable, problem)
            }
            SendError::NeverLeft(_) => (Usage::ZERO, Outcome::Unreachable, Problem::Unreachable(vendor)),
            SendError::Keyed => (Usage::UNKNOWN, Outcome::Unknown, Problem::keyed()),
            SendError::Broken(_) | SendError::BrokenOff if self.repeatable => {
                (Usage::UNKNOWN, Outcome::Unknown, Problem::Broken(vendor))
            }
            SendError::TimedOut(_) | SendError::Stalled(_) if self.repeatable => {
                (Usage::UNKNOWN, Outcome::Unknown, Problem::TimedOut(vendor))
            }
            _ => (Usage::UNKNOWN, Outcome::Unknown, Problem::OutcomeUnknown(vendor)),
        };
        let usage = unread(usage);
        dues.finish(Ending { usage, outcome, http_status: None, error: Some(error.to_string()) }).await;
        problem
    }

    /// The head of an answer alone says what it can. A repeat would end in the same way, so none is asked for.
    async fn unusable(&self, dues: Box<Dues>, answer: &Unusable, error: String) -> Problem {
        let (vendor, status) = (self.vendor.name.to_string(), answer.head.status.as_u16());
        let usage = self.plan.meter(status, &answer.head.headers).finish(End::Cut, &mut |_| {});
        let outcome = if status >= 400 { Outcome::VendorError } else { Outcome::Unknown };
        dues.finish(Ending { usage, outcome, http_status: Some(status), error: Some(error) }).await;
        let harmless = self.repeatable || status >= 400;
        self.instead(&Stop::Complete, status).unwrap_or(Problem::Unusable { vendor, why: answer.why, harmless })
    }

    /// The caller has its answer already; what the vendor did is still worth knowing.
    pub async fn aborted(&self, dues: Box<Dues>, cause: Cause, late: Option<Sent>) {
        let error = Some(cause.to_string());
        let Some(Ok(response)) = late else {
            let ending = Ending { usage: unread(Usage::UNKNOWN), outcome: Outcome::Aborted, http_status: None, error };
            dues.finish(ending).await;
            return;
        };
        let status = response.status().as_u16();
        let (parts, upstream) = response.into_parts();
        let mut meter = self.plan.meter(status, &parts.headers);
        let read = http_body_util::BodyExt::collect(http_body_util::Limited::new(upstream, 8 * WHOLE));
        let end = match tokio::time::timeout(AFTER_ABORT, read).await {
            Ok(Ok(body)) => {
                meter.push(body.to_bytes(), &mut |_| {});
                End::Complete
            }
            _ => End::Cut,
        };
        let usage = meter.finish(end, &mut |_| {});
        dues.finish(Ending { usage, outcome: Outcome::Aborted, http_status: Some(status), error }).await;
    }

    /// What the caller reads instead of an answer that is not one.
    pub fn instead(&self, stop: &Stop, status: u16) -> Option<Problem> {
        let vendor = || self.vendor.name.to_string();
        match stop {
            Stop::Complete | Stop::Cut(_) if status == 401 => {
                tracing::error!(vendor = %self.vendor.name, "the vendor refused bursar's credential; set a new one");
                Some(Problem::CredentialRejected(vendor()))
            }
            Stop::Complete => None,
            Stop::Aborted(cause) => Some(Problem::Aborted(cause.clone())),
            Stop::Outgrown(why) => Some(Problem::Outgrown(why.clone())),
            Stop::Cut(_) | Stop::Abandoned if self.repeatable => Some(Problem::Broken(vendor())),
            Stop::Cut(_) | Stop::Abandoned => Some(Problem::OutcomeUnknown(vendor())),
        }
    }
}

/// Nothing was read of an answer.
fn unread(usage: Usage) -> Metered {
    let (made, due, remember) = (None, None, None);
    Metered { usage, vendor_request_id: None, replayed: false, priced: None, late: None, made, due, remember }
}
