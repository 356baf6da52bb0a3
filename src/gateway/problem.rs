//! Every way in which a call ends without the vendor's answer: its status, code, sentence, and whether to try again. One
//! exhaustive match each. Names no key, no credential and no internal error; `words` has what is longer, and `envelope` gives
//! the body its shape.

mod advised;
mod off;
mod words;

use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};

use super::approval::Awaited;
use super::body::Reply;
use super::envelope::{self, Told};
use super::grip::Outgrown;
use super::rated;
use crate::adapters::switchboard::Cause as Stopper;
use crate::adapters::upstream::Why as Forbidden;
use crate::rules::args::Unreadable;
use crate::rules::books::Verdict;
use crate::rules::ledger::ask::{Cause, Short};
use crate::rules::ledger::rates::Limited;
use crate::rules::path::PathRefusal;
use crate::rules::policy::Denial;
use crate::rules::subject::Flag;
use crate::rules::vendors::{Envelope, Unpriceable};
use crate::units::ids::CallId;
use crate::units::time::Timestamp;
pub use advised::{Advised, Instead};
pub use off::{Tripped, stopped};
use words::{aborted, address_refused, budget_detail, outcome_unknown, too_large, unusable};

/// Why the caller does not get the vendor's answer.
#[derive(Clone, Debug)]
pub enum Problem {
    /// No vault key where any SDK puts one.
    NoKey,
    /// A key that is malformed or nobody's.
    UnknownKey,
    TwoKeys,
    Expired(Timestamp),
    /// The key, or one that it was minted from.
    Revoked,
    /// The key's policy was taken away.
    NoPolicy(String),
    Upgrade,
    Malformed(String),
    /// A question to bursar itself that is none.
    BadQuestion(String),
    Path(PathRefusal),
    /// No vendor that this key may use is named.
    NoVendor(Vec<String>),
    /// `/bursar/...` that does not exist.
    NoSuchPage,
    Unreadable(Unreadable),
    TooLarge(usize),
    /// The caller's own body broke off.
    BrokenBody,
    /// It did not arrive in time.
    SlowBody,
    Denied(Denial),
    /// A person's word is needed, or was no.
    Approval(Box<Awaited>),
    /// A child key that its parent may not have.
    NotMinted {
        rule: String,
        why: String,
    },
    Unpriceable(Unpriceable),
    Budget(Box<Short>),
    /// One of these two, and what would be allowed instead.
    Advised(Box<Advised>),
    /// It came too early, by a rate of its policy.
    Rate(Limited),
    /// A flag wider than the key, before anything left.
    Stopped(Flag),
    /// The same, by a switch of a policy; also of a key.
    Tripped(Box<Tripped>),
    /// What ended this call in flight.
    Aborted(Stopper),
    /// Its answer cost more than was held, and there was no room for more.
    Outgrown(Outgrown),
    NoCredential(String),
    CredentialRejected(String),
    StoreDown,
    /// What it was judged by changed while it waited, so that it must be read anew.
    Changed,
    Unreachable(String),
    TimedOut(String),
    /// The answer broke off, and a repeat is safe.
    Broken(String),
    /// A write that may have happened.
    OutcomeUnknown(String),
    /// The vendor's entry leads to an address that is not dialled.
    AddressRefused {
        vendor: String,
        why: Forbidden,
    },
    /// An answer came that cannot be handed on. `harmless`: a repeat would do no harm, and no good.
    Unusable {
        vendor: String,
        why: &'static str,
        harmless: bool,
    },
}

/// May the caller try the same again?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retry {
    Never,
    /// So short a wait cures it, in milliseconds.
    In(u64),
    /// As the SDK sees fit.
    AsUsual,
}

impl Problem {
    /// A vault key in a body would reach the vendor.
    pub fn keyed() -> Self {
        Self::Malformed("its body holds the vault key, which must not reach a vendor".to_owned())
    }

    pub fn status(&self) -> u16 {
        match self {
            Self::NoKey | Self::UnknownKey | Self::TwoKeys | Self::Expired(_) | Self::Revoked => 401,
            Self::Tripped(by) => by.status(),
            Self::Upgrade | Self::Malformed(_) | Self::BadQuestion(_) | Self::Path(_) | Self::BrokenBody => 400,
            Self::Unreadable(u) => u.status(),
            Self::TooLarge(_) => 413,
            Self::SlowBody => 408,
            Self::NoVendor(_) | Self::NoSuchPage => 404,
            Self::NoPolicy(_) | Self::Denied(_) | Self::Stopped(_) | Self::Aborted(_) | Self::Outgrown(_) => 403,
            Self::Unpriceable(why) => why.status(),
            Self::NoCredential(_) | Self::CredentialRejected(_) | Self::AddressRefused { .. } => 403,
            Self::Approval(_) | Self::NotMinted { .. } => 403,
            Self::Budget(short) if short.cause == Cause::Held => 429,
            Self::Budget(_) => 403,
            Self::Advised(advised) => advised.problem.status(),
            Self::Rate(limited) if rated::soon(limited).is_some() => 429,
            Self::Rate(_) => 403,
            Self::StoreDown | Self::Changed => 503,
            Self::Unreachable(_) | Self::Broken(_) | Self::Unusable { harmless: true, .. } => 502,
            Self::TimedOut(_) => 504,
            Self::OutcomeUnknown(_) | Self::Unusable { .. } => 422,
        }
    }

    pub fn code(&self) -> &str {
        match self {
            Self::NoKey => "key_missing",
            Self::UnknownKey => "key_unknown",
            Self::TwoKeys => "key_ambiguous",
            Self::Expired(_) => "key_expired",
            Self::Revoked => "key_revoked",
            Self::NoPolicy(_) => "policy_missing",
            Self::Upgrade => "upgrade_refused",
            Self::Malformed(_) | Self::BadQuestion(_) => "request_malformed",
            Self::Path(_) => "path_refused",
            Self::NoVendor(_) => "vendor_unknown",
            Self::NoSuchPage => "not_found",
            Self::Unreadable(_) => "request_unreadable",
            Self::TooLarge(_) => "request_too_large",
            Self::BrokenBody => "request_broken",
            Self::SlowBody => "request_too_slow",
            Self::Denied(denial) => denial.code.as_str(),
            Self::Approval(awaited) => awaited.code(),
            Self::NotMinted { .. } => "key_not_minted",
            Self::Unpriceable(_) => "cost_unknown",
            Self::Budget(short) if short.cause == Cause::Held => "budget_held",
            Self::Budget(_) => "budget_spent",
            Self::Advised(advised) => advised.problem.code(),
            Self::Rate(limited) => rated::code(limited),
            Self::Stopped(_) => "killed",
            Self::Tripped(by) => by.code(),
            Self::Aborted(Stopper::Flag(_)) => "revoked",
            Self::Aborted(Stopper::CutOff) => "cut_off",
            Self::Aborted(Stopper::Closing) => "stopped",
            Self::Outgrown(why) => why.code(),
            Self::NoCredential(_) => "credential_missing",
            Self::CredentialRejected(_) => "vendor_credential_rejected",
            Self::StoreDown => "store_down",
            Self::Changed => "policies_changed",
            Self::Unreachable(_) => "vendor_unreachable",
            Self::Broken(_) => "vendor_broke_off",
            Self::TimedOut(_) => "vendor_timed_out",
            Self::OutcomeUnknown(_) => "outcome_unknown",
            Self::AddressRefused { .. } => "vendor_address_refused",
            Self::Unusable { .. } => "vendor_answer_unusable",
        }
    }

    /// As its row says it.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Rate(limited) if !limited.is_loop() => Verdict::RateLimited,
            Self::Approval(awaited) => awaited.verdict(),
            _ => Verdict::Deny,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Budget(short) if short.cause == Cause::Held => Retry::In(1000),
            Self::Rate(limited) => rated::soon(limited).map_or(Retry::Never, Retry::In),
            Self::Advised(advised) => advised.problem.retry(),
            Self::StoreDown | Self::Changed | Self::Unreachable(_) | Self::Broken(_) | Self::TimedOut(_) => {
                Retry::AsUsual
            }
            _ => Retry::Never,
        }
    }

    /// What happened, to what, by which rule, and what to do next.
    pub fn sentence(&self) -> String {
        match self {
            Self::NoKey => {
                "bursar found no vault key in this request. Put the key (vk_…) where your SDK puts its API key.".into()
            }
            Self::UnknownKey => {
                "bursar does not know this vault key. Check that it was copied whole, or ask for a new one.".into()
            }
            Self::TwoKeys => "bursar found two different vault keys in this request. Send one.".into(),
            Self::Expired(at) => format!("This vault key expired at {at}. Ask for a new one."),
            Self::Revoked => {
                "This vault key was revoked. It admits nothing any more; ask its owner why before using another.".into()
            }
            Self::NoPolicy(p) => {
                format!("The policy `{p}` of this vault key is not loaded, so nothing is allowed. Ask the operator.")
            }
            Self::Upgrade => {
                "bursar does not carry `Upgrade` or `CONNECT` requests. Use plain HTTP requests or event streams."
                    .into()
            }
            Self::Malformed(what) => format!("This request can be read in more than one way: {what}."),
            Self::BadQuestion(why) => format!("bursar does not understand this question: {why}."),
            Self::Path(refusal) => format!("This path was refused: {refusal}."),
            Self::NoVendor(known) => format!(
                "No vendor is named by this address. Put one before the path: {}.",
                known.iter().map(|v| format!("/{v}/…")).collect::<Vec<_>>().join(", ")
            ),
            Self::NoSuchPage => {
                "bursar has nothing at this address; `/bursar/v1/self` tells what this key may do.".into()
            }
            Self::Unreadable(u) => format!("This request cannot be judged: {}.", u.sentence()),
            Self::TooLarge(limit) => too_large(*limit),
            Self::BrokenBody => "The body of this request broke off before its end; nothing was sent.".into(),
            Self::SlowBody => "The body of this request did not arrive in time; nothing was sent.".into(),
            Self::Denied(denial) => denial.sentence.clone(),
            Self::Approval(awaited) => awaited.sentence(),
            Self::NotMinted { rule, why } => format!("No key was minted (`{rule}`): {why}."),
            Self::Unpriceable(why) => format!("bursar cannot say what this call may cost at most: {why}."),
            Self::Budget(short) => Denial::short(short).sentence,
            Self::Advised(advised) => advised.sentence(),
            Self::Rate(limited) => rated::sentence(limited),
            Self::Stopped(flag) => format!("Calls of {flag} are stopped by the operator. Nothing was sent."),
            Self::Tripped(by) => by.sentence(),
            Self::Aborted(cause) => aborted(cause),
            Self::Outgrown(why) => why.sentence(),
            Self::NoCredential(vendor) => {
                format!("bursar has no credential for {vendor}. The operator must set one; nothing was sent.")
            }
            Self::CredentialRejected(vendor) => {
                format!(
                    "{vendor} refused bursar's own credential. The operator has been told; your vault key is in order."
                )
            }
            Self::StoreDown => {
                "bursar cannot write its books now, so no call is let through. Try again shortly.".into()
            }
            Self::Changed => {
                "The policy or credential of this call changed while it waited; nothing was sent. Send it again.".into()
            }
            Self::Unreachable(vendor) => format!("{vendor} could not be reached; nothing was sent. Try again."),
            Self::Broken(vendor) => {
                format!("The connection to {vendor} broke before an answer came. The call is safe to repeat.")
            }
            Self::TimedOut(vendor) => format!("{vendor} sent no answer in time. The call is safe to repeat."),
            Self::OutcomeUnknown(vendor) => outcome_unknown(vendor),
            Self::AddressRefused { vendor, why } => address_refused(vendor, *why),
            Self::Unusable { vendor, why, .. } => unusable(vendor, why),
        }
    }

    /// The `bursar` object beside the envelope.
    fn detail(&self, call: CallId) -> Map<String, Value> {
        let mut map = Map::new();
        map.insert("code".into(), json!(self.code()));
        map.insert("call".into(), json!(call));
        match self {
            Self::Denied(denial) | Self::Outgrown(Outgrown::Call(denial)) => {
                map.insert("rule".into(), json!(denial.rule));
                denial.resets_at.into_iter().for_each(|at| drop(map.insert("resets_at".into(), json!(at))));
                map.extend(denial.details.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
            }
            Self::Budget(short) | Self::Outgrown(Outgrown::Short(short)) => budget_detail(short, &mut map),
            Self::Approval(awaited) => awaited.detail(&mut map),
            Self::Advised(advised) => map.extend(advised.detail(call)),
            Self::NotMinted { rule, .. } => drop(map.insert("rule".into(), json!(rule))),
            Self::Rate(limited) => {
                map.insert("rule".into(), json!(limited.rule));
                map.insert("retry_after_ms".into(), json!(limited.wait.map(rated::millis)));
            }
            Self::Tripped(by) => drop(map.insert("rule".into(), json!(by.flag.to_string()))),
            Self::Stopped(flag) | Self::Aborted(Stopper::Flag(flag)) => {
                drop(map.insert("rule".into(), json!(flag.to_string())));
            }
            _ => {}
        }
        map.insert("retry".into(), json!(self.retry() != Retry::Never));
        map
    }

    pub fn told(&self, call: CallId) -> Told {
        Told {
            status: self.status(),
            code: self.code().to_owned(),
            message: self.sentence(),
            bursar: self.detail(call),
        }
    }

    /// The whole answer.
    pub fn respond(&self, call: CallId, envelope: Option<Envelope>) -> Response<Reply> {
        let body = envelope::body(envelope, &self.told(call)).to_string();
        let mut response = Response::new(Reply::whole(body));
        *response.status_mut() = StatusCode::from_u16(self.status()).unwrap_or(StatusCode::FORBIDDEN);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some((name, value)) = envelope::extra_header(envelope) {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let word = match self.retry() {
            Retry::Never => Some("false"),
            Retry::In(_) => Some("true"),
            Retry::AsUsual => None,
        };
        if let Some(word) = word {
            headers.insert("x-should-retry", HeaderValue::from_static(word));
            headers.insert("stripe-should-retry", HeaderValue::from_static(word));
        }
        if let Retry::In(millis) = self.retry() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(millis.div_ceil(1000)));
            // Finer, for the SDKs that read it before the other.
            headers.insert("retry-after-ms", HeaderValue::from(millis));
        }
        super::context::stamp(headers, call);
        response
    }
}
