//! What to do with a call once its bound is held: which fields of its body to change, what to ask the vendor for, and how to
//! read the answer. Owned data, so that it outlives the request. Sends nothing; `gateway` does.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

use super::ask::Ask;
use super::batch::Batch;
use super::declared::Bound;
use super::entry::{Price, Vendor};
use super::llm::{Api, LlmPlan};
use super::meter::Meter;
use super::stripe::StripePlan;
use crate::rules::json::{Document, Edit, SpliceError};
use crate::rules::price::PriceBook;
use crate::units::money::MicroCents;
use crate::units::time::Timestamp;

/// How to change and meter one call. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) inner: Arc<Inner>,
}

/// What the meter needs as well.
#[derive(Debug)]
pub(super) struct Inner {
    pub how: How,
    pub failures_free: bool,
    pub repeats_unsaid: bool,
    pub request_id_header: Option<Box<str>>,
    pub idempotency_key: Option<Box<str>>,
    pub prices: Arc<PriceBook>,
    pub now: Timestamp,
}

/// What the answer is read for.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one for each call, behind an `Arc`")]
pub(super) enum How {
    Free,
    /// Only a ceiling bounds it, and the answer says nothing.
    Unknown,
    Llm(LlmPlan),
    Stripe(StripePlan),
    Rule(Box<Bound>),
    Batch(Batch),
}

/// A change of a JSON body, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnedEdit {
    Replace { pointer: &'static str, value: String },
    Insert { object: &'static str, name: &'static str, value: String },
}

impl OwnedEdit {
    pub fn as_edit(&self) -> Edit<'_> {
        match self {
            Self::Replace { pointer, value } => Edit::Replace { pointer, value },
            Self::Insert { object, name, value } => Edit::Insert { object, name, value },
        }
    }
}

impl Plan {
    pub(super) fn new(ask: &Ask<'_>, how: How) -> Self {
        let header = |name: &Option<Box<str>>| {
            let value = ask.headers.get(name.as_deref()?)?.to_str().ok()?;
            // No vendor takes an empty one for a key.
            (!value.trim().is_empty()).then(|| Box::from(value))
        };
        let inner = Inner {
            how,
            failures_free: ask.vendor.failures_free,
            repeats_unsaid: ask.vendor.repeats_unsaid,
            request_id_header: ask.vendor.request_id_header.clone(),
            idempotency_key: header(&ask.vendor.idempotency_header),
            prices: ask.prices.clone(),
            now: ask.recalled.map_or(ask.now, |recalled| recalled.at),
        };
        Self { inner: Arc::new(inner) }
    }

    /// For what is still to be asked of a call that the books know, by its operation.
    pub fn resumed(vendor: &Vendor, endpoint: &str, prices: &Arc<PriceBook>, now: Timestamp) -> Option<Self> {
        let operation = vendor.operations.iter().find(|operation| &*operation.name == endpoint)?;
        let Price::Rule(rule) = &operation.price else { return None };
        let inner = Inner {
            how: How::Rule(Box::new(rule.resumed()?)),
            failures_free: vendor.failures_free,
            repeats_unsaid: false,
            request_id_header: None,
            idempotency_key: None,
            prices: prices.clone(),
            now,
        };
        Some(Self { inner: Arc::new(inner) })
    }

    /// The changes of the request's JSON body; `granted` is the output limit that was held for a fitted call.
    pub fn edits(&self, granted: Option<u64>) -> Vec<OwnedEdit> {
        match &self.inner.how {
            How::Llm(llm) => llm.edits(granted),
            _ => Vec::new(),
        }
    }

    /// The body with these changes made; `None` if it goes out as it came.
    pub fn edited(&self, body: &Document<'_>, granted: Option<u64>) -> Result<Option<Vec<u8>>, SpliceError> {
        let edits = self.edits(granted);
        if edits.is_empty() {
            return Ok(None);
        }
        let edits: Vec<Edit<'_>> = edits.iter().map(OwnedEdit::as_edit).collect();
        body.splice(&edits).map(Some)
    }

    /// Must the answer come uncompressed, because it is read or an event of it may be hidden?
    pub fn wants_identity(&self) -> bool {
        match &self.inner.how {
            How::Free | How::Unknown => false,
            How::Llm(_) | How::Stripe(_) | How::Batch(_) => true,
            How::Rule(bound) => bound.reads_answer(),
        }
    }

    /// Did the caller ask for a stream of events?
    pub fn streams(&self) -> bool {
        matches!(&self.inner.how, How::Llm(llm) if llm.stream)
    }

    /// Does only a ceiling stand for what it can cost?
    pub fn unbounded(&self) -> bool {
        matches!(&self.inner.how, How::Llm(llm) if llm.unbounded)
    }

    /// May later calls go on from what this one leaves at the vendor, or is it about such a thing?
    pub fn is_remembered(&self) -> bool {
        match &self.inner.how {
            How::Llm(llm) => llm.api == Api::Responses,
            How::Batch(_) => true,
            _ => false,
        }
    }

    /// The model that was asked for.
    pub fn model(&self) -> Option<&str> {
        if let How::Llm(llm) = &self.inner.how { Some(&llm.model) } else { None }
    }

    /// By which the vendor knows a repeat of this call.
    pub fn idempotency_key(&self) -> Option<&str> {
        self.inner.idempotency_key.as_deref()
    }

    /// What this call buys, if another call with the same value buys the same thing.
    pub fn dedupe(&self) -> Option<&str> {
        if let How::Rule(bound) = &self.inner.how { bound.dedupe.as_deref() } else { None }
    }

    /// When to ask for a price that comes later; nothing if none does.
    pub fn late_waits(&self) -> &[Duration] {
        match &self.inner.how {
            How::Rule(bound) => bound.late.as_ref().map_or(&[], |late| &late.wait),
            _ => &[],
        }
    }

    /// What the vendor says by now that the call cost.
    pub fn late_cost(&self, body: &[u8]) -> Option<MicroCents> {
        let How::Rule(bound) = &self.inner.how else { return None };
        Some(bound.late.as_ref()?.cost(body, &self.inner.prices.fx)?.ceil())
    }

    /// A meter for the answer that begins with this status and these headers.
    pub fn meter(&self, status: u16, headers: &HeaderMap) -> Meter {
        Meter::new(self.inner.clone(), status, headers)
    }
}
