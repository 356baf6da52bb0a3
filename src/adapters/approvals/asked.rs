//! What the gateway wants of a person, and what it gets: a call to ask about, a yes that it has taken, and what a first use is
//! counted under. Values alone.

use super::Record;
use crate::rules::books::Request;
use crate::rules::policy::Terms;
use crate::rules::subject::Name;
use crate::units::ids::{ApprovalId, Digest32};
use crate::units::money::MicroCents;

/// A call that needs a person's word.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The same for every repeat of the request, and for nothing else.
    pub fingerprint: Digest32,
    pub request: Request,
    pub terms: Terms,
}

/// How much a person is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub usd: MicroCents,
    pub tokens: u64,
    pub risk: u64,
    /// How many must say yes.
    pub people: u32,
}

impl Extent {
    pub fn of(request: &Request) -> Self {
        let Request { estimate_usd, tokens, risk, people, .. } = *request;
        Self { usd: estimate_usd, tokens, risk, people }
    }

    /// Is no more of anything wanted than this?
    pub fn covers(&self, wanted: &Self) -> bool {
        let Self { usd, tokens, risk, people } = *self;
        wanted.usd <= usd && wanted.tokens <= tokens && wanted.risk <= risk && wanted.people <= people
    }
}

/// What became of a question.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The request that speaks for the call.
    pub record: Record,
    /// Its event is not in the books yet.
    pub untold: bool,
    /// The one that was about less, and is over.
    pub instead_of: Option<ApprovalId>,
}

/// A yes that one call has taken for itself.
#[derive(Clone, Debug)]
pub struct Claimed {
    pub id: ApprovalId,
    /// Who said yes, as the books name them.
    pub by: String,
    pub reason: Option<String>,
}

/// An agent and an operation; the key in the place of an agent where it names none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Use {
    pub tenant: Name,
    pub agent: Name,
    pub vendor: Name,
    pub operation: Name,
}

impl Use {
    pub(super) fn of(request: &Request) -> Self {
        Self {
            tenant: request.subject.tenant.clone(),
            agent: request.subject.agent.clone().unwrap_or_else(|| format!("key {}", request.key).into()),
            vendor: request.vendor.clone(),
            operation: request.operation.clone(),
        }
    }
}

/// Whom a request is counted under.
pub fn use_of(request: &Request) -> Use {
    Use::of(request)
}
