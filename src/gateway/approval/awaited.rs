//! What a caller is told whose call needs a person's word: which rule asks, under which id, until when, and what to do next.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::adapters::approvals::{MOST_PENDING, Record, State};
use crate::rules::books::Verdict;
use crate::rules::subject::Name;
use crate::units::ids::ApprovalId;
use crate::units::time::Timestamp;

/// A call that does not leave without a yes.
#[derive(Clone, Debug)]
pub struct Awaited {
    because: Vec<Name>,
    how: How,
}

#[derive(Clone, Debug)]
enum How {
    /// Nobody was asked yet: the call may still be bounded better.
    Unasked,
    /// Too many of this key's requests wait.
    Crowd,
    Asked {
        id: ApprovalId,
        state: State,
        people: u32,
        open_until: Timestamp,
        valid: Duration,
        reason: Option<String>,
    },
}

impl Awaited {
    pub fn of(record: &Record) -> Self {
        let how = How::Asked {
            id: record.id.clone(),
            state: record.state,
            people: record.request.people,
            open_until: record.open_until,
            valid: Duration::from_secs(record.valid_secs),
            reason: record.reason().filter(|_| record.state == State::Rejected),
        };
        Self { because: record.request.because.clone(), how }
    }

    pub fn unasked(because: Vec<Name>) -> Self {
        Self { because, how: How::Unasked }
    }

    pub fn crowd() -> Self {
        Self { because: Vec::new(), how: How::Crowd }
    }

    /// Would a better bound make it needless?
    pub fn is_unasked(&self) -> bool {
        matches!(self.how, How::Unasked)
    }

    pub fn verdict(&self) -> Verdict {
        match self.how {
            How::Asked { state: State::Rejected | State::TimedOut, .. } | How::Crowd => Verdict::Deny,
            _ => Verdict::Escalate,
        }
    }

    pub fn code(&self) -> &'static str {
        match &self.how {
            How::Asked { state: State::Rejected, .. } => "approval_rejected",
            How::Asked { state: State::TimedOut, .. } => "approval_timed_out",
            How::Crowd => "approvals_full",
            _ => "approval_required",
        }
    }

    pub fn sentence(&self) -> String {
        let rules = self.because.iter().map(|rule| format!("`{rule}`")).collect::<Vec<_>>().join(", ");
        match &self.how {
            How::Unasked => format!("A person must approve this call ({rules})."),
            How::Crowd => format!(
                "A person must approve this call, and {MOST_PENDING} requests of this key wait for one already. Nothing was sent; wait until those are decided."
            ),
            How::Asked { state: State::Rejected, id, reason, .. } => {
                let why = reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
                format!("A person rejected this call ({id}){why}. Nothing was sent. Do not retry; do something else.")
            }
            How::Asked { state: State::TimedOut, id, .. } => format!(
                "Nobody approved this call in time ({id}), which is a no. Nothing was sent. Ask for somebody who decides before you send it again."
            ),
            How::Asked { id, people, open_until, valid, .. } => {
                let who = if *people == 1 { "A person".to_owned() } else { format!("{people} persons") };
                let mins = valid.as_secs().div_ceil(60);
                format!(
                    "{who} must approve this call ({rules}): ask for {id}, which may be decided until {open_until}. Nothing was \
                     sent. Do not retry before it is approved; then send the same request again within {mins} min. It passes once."
                )
            }
        }
    }

    pub fn detail(&self, map: &mut Map<String, Value>) {
        map.insert("rule".into(), json!(self.because.first()));
        map.insert("rules".into(), json!(self.because));
        if let How::Asked { id, state, people, open_until, .. } = &self.how {
            let approval = json!({ "id": id, "state": state, "people": people, "open_until": open_until });
            map.insert("approval".into(), approval);
        }
    }
}
