//! One request and how it goes on: it waits, is approved or rejected by persons, is used once, or runs out of time. Pure;
//! `store` keeps it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Extent, Wanted};
use crate::rules::books::Request;
use crate::units::ids::{ApprovalId, CallId, Digest32};
use crate::units::time::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Pending,
    /// The same request may pass, once.
    Approved,
    Rejected,
    /// Nobody decided in time, which is a no.
    TimedOut,
    /// It passed.
    Used,
    /// It did not come back in time.
    Lapsed,
    /// The same call wanted more than it said, so another request was asked in its place.
    Superseded,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::TimedOut => "timed_out",
            Self::Used => "used",
            Self::Lapsed => "lapsed",
            Self::Superseded => "superseded",
        }
    }
}

/// What one person said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// As the books name them: how they came in, and who they are: `socket:ann`.
    pub actor: String,
    pub yes: bool,
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// That an approver is told of a request, or was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// What they were sent is known by it, on whichever node they come in.
    pub proof: Digest32,
    /// A node is at it until then. `None`: they know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Whose turn it is to tell somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    Mine,
    /// Another node is at it.
    Theirs,
    /// They know.
    Done,
}

/// Longer than any message takes.
const TELLING_SECS: i64 = 60;

/// Who it is, however they came in.
pub fn person(actor: &str) -> String {
    actor.split_once(':').map_or(actor, |(_, name)| name).trim().to_lowercase()
}

/// One request for a person's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub id: ApprovalId,
    pub state: State,
    pub asked_at: Timestamp,
    /// May be decided until then; a no holds until then.
    pub open_until: Timestamp,
    pub valid_secs: u64,
    /// Once approved: may be used until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
    pub decisions: Vec<Decision>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_by: Option<CallId>,
    /// Which approvers were told of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub told: BTreeMap<String, Told>,
    /// The books know that it was asked.
    #[serde(default)]
    pub noted: bool,
    pub fingerprint: Digest32,
    pub request: Request,
}

impl Record {
    pub(super) fn new(id: ApprovalId, wanted: Wanted, now: Timestamp) -> Self {
        let Wanted { fingerprint, request, terms } = wanted;
        Self {
            id,
            state: State::Pending,
            asked_at: now,
            open_until: after(now, terms.open.as_secs()),
            valid_secs: terms.valid.as_secs(),
            valid_until: None,
            decisions: Vec::new(),
            used_by: None,
            told: BTreeMap::new(),
            noted: false,
            fingerprint,
            request,
        }
    }

    /// As it stands at a later time.
    pub fn at(mut self, now: Timestamp) -> Self {
        match self.state {
            State::Pending if self.open_until <= now => self.state = State::TimedOut,
            State::Approved if self.valid_until.is_none_or(|end| end <= now) => self.state = State::Lapsed,
            _ => {}
        }
        self
    }

    /// Does it still answer for its request, or may that be asked about anew?
    pub(super) fn speaks(&self, now: Timestamp) -> bool {
        match self.state {
            State::Pending | State::Approved => true,
            State::Rejected => self.open_until > now,
            State::TimedOut | State::Used | State::Lapsed | State::Superseded => false,
        }
    }

    /// Is more wanted than what a person has seen?
    pub(super) fn asks_more(&self, wanted: &Wanted) -> bool {
        self.state != State::Rejected && !Extent::of(&self.request).covers(&Extent::of(&wanted.request))
    }

    /// What was said of it was said of less. Another request has another id, so that no word on the old one counts for it.
    pub(super) fn supersede(&mut self) {
        self.state = State::Superseded;
    }

    /// Is it a yes to so much?
    pub fn covers(&self, wanted: &Extent) -> bool {
        self.state == State::Approved && Extent::of(&self.request).covers(wanted)
    }

    pub(super) fn claim(&mut self, call: CallId) {
        (self.state, self.used_by) = (State::Used, Some(call));
    }

    pub(super) fn give_back(&mut self) {
        (self.state, self.used_by) = (State::Approved, None);
    }

    pub(super) fn begin_telling(&mut self, who: &str, proof: Digest32, now: Timestamp) -> Telling {
        match self.told.get(who).map(|told| told.until) {
            Some(None) => Telling::Done,
            Some(Some(until)) if until > now => Telling::Theirs,
            _ => {
                let until = Some(now.plus_secs(TELLING_SECS));
                self.told.insert(who.to_owned(), Told { proof, until });
                Telling::Mine
            }
        }
    }

    pub(super) fn told(&mut self, who: &str, done: bool) {
        if let Some(told) = self.told.get_mut(who) {
            // What failed may have arrived all the same, and its link is good.
            told.until = (!done).then_some(Timestamp(0));
        }
    }

    /// Why this person's word does not count, if it does not. `owners` are those whose key the call came with.
    pub fn may(&self, actor: &str, yes: bool, owners: &[String]) -> Result<(), String> {
        let (id, who) = (&self.id, person(actor));
        match self.state {
            State::Pending => {}
            // It has not passed yet, so it can still be stopped.
            State::Approved if !yes => {}
            state => return Err(format!("{id} is {} already; nothing was changed", state.as_str().replace('_', " "))),
        }
        if yes && owners.contains(&who) {
            return Err(format!("the key of this call is `{who}`'s own, so somebody else must approve {id}"));
        }
        if yes && self.decisions.iter().any(|d| d.yes && person(&d.actor) == who) {
            return Err(format!("`{who}` has approved {id} before; {} persons are needed", self.request.people));
        }
        Ok(())
    }

    /// Would one more yes be the last that is needed?
    pub fn is_last(&self) -> bool {
        self.yeses() + 1 >= self.request.people as usize
    }

    pub(super) fn hear(&mut self, decision: Decision) {
        let (yes, at) = (decision.yes, decision.at);
        self.decisions.push(decision);
        if !yes {
            self.state = State::Rejected;
        } else if self.yeses() >= self.request.people as usize {
            (self.state, self.valid_until) = (State::Approved, Some(after(at, self.valid_secs)));
        }
    }

    fn yeses(&self) -> usize {
        self.decisions.iter().filter(|d| d.yes).count()
    }

    /// Those who said yes.
    pub fn approvers(&self) -> String {
        let yes = self.decisions.iter().filter(|d| d.yes).map(|d| d.actor.as_str());
        yes.collect::<Vec<_>>().join(", ")
    }

    /// Of the last word.
    pub fn reason(&self) -> Option<String> {
        self.decisions.last().and_then(|d| d.reason.clone())
    }

    /// Who rejected it.
    pub fn rejecter(&self) -> Option<&str> {
        self.decisions.iter().rev().find(|d| !d.yes).map(|d| d.actor.as_str())
    }
}

fn after(now: Timestamp, secs: u64) -> Timestamp {
    now.plus_secs(i64::try_from(secs).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::policy::Terms;
    use crate::rules::subject::Subject;
    use crate::units::ids::KeyId;
    use crate::units::money::MicroCents;

    fn wanted(usd: u64, people: u32) -> Wanted {
        let request = Request {
            call: CallId(uuid::Uuid::nil()),
            key: KeyId("k".into()),
            subject: Subject::default(),
            policy: "p".into(),
            vendor: "stripe".into(),
            operation: "POST /v1/charges".into(),
            method: "POST".into(),
            path: "/v1/charges".into(),
            request_hash: None,
            query: None,
            accounts: BTreeMap::new(),
            estimate_usd: MicroCents(usd),
            tokens: 0,
            risk: 0,
            because: vec!["p: approval over 5 USD".into()],
            people,
        };
        Wanted { fingerprint: Digest32::default(), request, terms: Terms { people, ..Terms::default() } }
    }

    fn says(actor: &str, yes: bool) -> Decision {
        Decision { actor: actor.to_owned(), yes, at: Timestamp(1), reason: None }
    }

    fn so_much(usd: u64, people: u32) -> Extent {
        Extent { usd: MicroCents(usd), tokens: 0, risk: 0, people }
    }

    fn fresh(usd: u64, people: u32) -> Record {
        Record::new(ApprovalId("ap_1".into()), wanted(usd, people), Timestamp(0))
    }

    #[test]
    fn a_yes_covers_what_was_seen_and_no_more() {
        let mut record = fresh(500, 1);
        assert!(!record.covers(&so_much(500, 1)), "nobody has said anything");
        record.hear(says("socket:ann", true));
        assert!(record.covers(&so_much(500, 1)) && record.covers(&so_much(1, 1)));
        assert!(!record.covers(&so_much(501, 1)) && !record.covers(&so_much(500, 2)));
        assert!(
            record.asks_more(&wanted(501, 1))
                && record.asks_more(&wanted(500, 2))
                && !record.asks_more(&wanted(500, 1))
        );
        record.supersede();
        assert!(
            !record.covers(&so_much(1, 1))
                && !record.speaks(Timestamp(2))
                && record.may("socket:eve", true, &[]).is_err()
        );
    }

    #[test]
    fn it_passes_once_and_comes_back_if_it_did_not() {
        let mut record = fresh(500, 2);
        record.hear(says("socket:ann", true));
        assert_eq!(record.state, State::Pending);
        record.hear(says("link:eve", true));
        let call = CallId(uuid::Uuid::from_u128(1));
        record.claim(call);
        assert!(!record.covers(&so_much(1, 1)) && !record.speaks(Timestamp(2)));
        record.give_back();
        assert!(record.covers(&so_much(500, 2)));
        assert_eq!(record.approvers(), "socket:ann, link:eve");
    }

    #[test]
    fn one_node_at_a_time_tells_each_approver() {
        let (mut record, proof) = (fresh(500, 1), Digest32([7; 32]));
        let late = Timestamp(61_000_000);
        assert_eq!(record.begin_telling("ann", proof, Timestamp(0)), Telling::Mine);
        assert_eq!(record.begin_telling("ann", proof, Timestamp(1)), Telling::Theirs);
        assert_eq!(record.begin_telling("ann", proof, late), Telling::Mine, "it died over it");
        record.told("ann", false);
        assert_eq!(record.begin_telling("ann", proof, late), Telling::Mine, "it did not arrive");
        record.told("ann", true);
        assert_eq!(record.begin_telling("ann", proof, late), Telling::Done);
        assert_eq!(record.begin_telling("bob", proof, late), Telling::Mine);
        assert_eq!(record.told["ann"].proof, proof);
    }

    #[test]
    fn whose_word_counts() {
        let mut record = fresh(500, 2);
        let owners = ["bob".to_owned()];
        assert!(record.may("socket:Bob", true, &owners).is_err(), "their own");
        assert!(record.may("socket:bob", false, &owners).is_ok(), "a no is anybody's");
        record.hear(says("socket:ann", true));
        assert!(record.may("approver:ANN", true, &owners).is_err(), "however they come in");
        record.hear(says("link:eve", true));
        assert!(record.may("socket:dan", true, &owners).is_err(), "it is decided");
        assert!(record.may("socket:dan", false, &owners).is_ok(), "and has not passed yet");
        record.hear(says("socket:dan", false));
        assert!(record.speaks(Timestamp(2)) && !record.speaks(record.open_until), "a no holds for its time");
        assert!(record.may("socket:dan", true, &owners).is_err());
    }
}
