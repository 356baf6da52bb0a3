//! What the events of one call say of it, and whether its row says the same. Pure walks over what every store answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::project::{self, Change};
use super::query::MAX_LIMIT;
use super::{AuditError, AuditStore, CallQuery};
use crate::rules::books::{Act, Outcome};
use crate::rules::ledger::ask::{Checked, Known};
use crate::rules::ledger::entry::{Entry, Op, Posting};
use crate::rules::subject::Facts;
use crate::units::amount::Amounts;
use crate::units::ids::CallId;
use crate::units::money::MicroCents;
use crate::units::time::Timestamp;

/// How long the calls behind a difference are looked for, and how many are named.
pub const LOOK: Duration = Duration::from_secs(10);
const NAMED: usize = 10_000;

/// One call, from its events alone.
#[derive(Clone, Debug)]
pub struct History {
    pub taken: Timestamp,
    pub facts: Option<Arc<Facts>>,
    pub postings: Arc<[Posting]>,
    pub estimate: Amounts,
    pub repeats: bool,
    /// `None` while it is open.
    pub outcome: Option<Outcome>,
    pub charge: Amounts,
    pub flagged: bool,
    /// The last correction by a person, and when.
    pub adjusted: Option<(Act, Timestamp)>,
    pub step: u32,
}

impl History {
    /// `None` if the books know no such call.
    pub fn of(store: &dyn AuditStore, call: CallId) -> Result<Option<Self>, AuditError> {
        let mut entries = store.entries_of(call)?.into_iter();
        let mut found = entries.next().and_then(Self::opened);
        for entry in entries {
            found.iter_mut().for_each(|history| history.add(&entry));
        }
        Ok(found)
    }

    fn opened(entry: Entry) -> Option<Self> {
        let (row, postings, outcome) = match entry.op {
            Op::Reserve { row, postings, .. } => (row, postings, None),
            Op::Deny { row } => (row, Arc::from([]), Some(Outcome::Refused)),
            _ => return None,
        };
        Some(Self {
            taken: entry.at,
            facts: row.facts.clone(),
            postings,
            estimate: row.estimate,
            repeats: row.repeats.is_some(),
            outcome,
            charge: Amounts::ZERO,
            flagged: false,
            adjusted: None,
            step: 0,
        })
    }

    fn add(&mut self, entry: &Entry) {
        match project::change(&entry.op) {
            Some(Change::Close { outcome, charge, flagged, .. }) => {
                (self.outcome, self.charge, self.flagged) = (Some(outcome), charge, flagged);
            }
            Some(Change::Adjust { outcome, charge, flagged, .. }) => {
                (self.outcome, self.charge, self.flagged) = (outcome.or(self.outcome), charge, flagged);
            }
            _ => {}
        }
        if let Op::Adjust { step, heard: None, row: None, act, .. } = &entry.op {
            self.adjusted = Some((act.clone(), entry.at));
            self.step = self.step.max(*step);
        }
    }

    /// As the ledger needs to know it.
    pub fn known(&self) -> Known {
        Known {
            taken: self.taken,
            facts: self.facts.clone(),
            charge: self.charge,
            postings: self.postings.clone(),
            repeats: self.repeats,
            step: self.step,
        }
    }
}

/// A call of which ledger, row and events do not say the same. What is not known is null.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    pub call_id: CallId,
    /// What its events say.
    pub events_usd: Option<MicroCents>,
    /// What its row says, which sums are made of.
    pub row_usd: Option<MicroCents>,
    /// What the ledger remembers.
    pub ledger_usd: Option<MicroCents>,
}

/// The calls that cause differences: those that the ledger remembers otherwise than their events, and those whose rows say
/// otherwise than their events, in the windows that differ. And whether there was no time to look at all of them.
pub fn causes(store: &dyn AuditStore, checked: &Checked, look: Duration) -> Result<(Vec<Cause>, bool), AuditError> {
    let (mut causes, end) = (Vec::new(), Instant::now() + look);
    for (call_id, charge) in &checked.remembered {
        let events = History::of(store, *call_id)?.map(|h| h.charge);
        if events != Some(*charge) {
            let (events_usd, ledger_usd) = (events.map(|e| e.usd), Some(charge.usd));
            causes.push(Cause { call_id: *call_id, events_usd, row_usd: None, ledger_usd });
        }
    }
    let Some(since) = checked.differences.iter().map(|d| d.window_start).min() else {
        return Ok((causes, false));
    };
    let mut query = CallQuery { since: Some(since), limit: Some(MAX_LIMIT), ..CallQuery::default() };
    loop {
        let page = store.calls(&query)?;
        for row in &page.calls {
            let events = History::of(store, row.call_id)?.filter(|h| h.outcome.is_some()).map(|h| h.charge.usd);
            if events != row.cost_usd {
                let (call_id, row_usd) = (row.call_id, row.cost_usd);
                causes.push(Cause { call_id, events_usd: events, row_usd, ledger_usd: None });
            }
        }
        query.before = page.next;
        if page.next.is_none() || Instant::now() > end || causes.len() >= NAMED {
            return Ok((causes, page.next.is_some()));
        }
    }
}
