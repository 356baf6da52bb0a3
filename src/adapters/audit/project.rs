//! From a journal entry to the change that it makes to its call's row. Pure, so that every store projects alike. Does not
//! write, and does not look at the event itself: that is stored as the journal has it.

use std::borrow::Cow;
use std::sync::Arc;

use crate::rules::books::{Closing, Opening, Outcome, Verdict};
use crate::rules::ledger::entry::Op;
use crate::rules::subject::Facts;
use crate::units::amount::Amounts;
use crate::units::ids::CallId;

/// What an entry does to the row of its call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change<'a> {
    Open {
        call: CallId,
        facts: Option<&'a Arc<Facts>>,
        verdict: Verdict,
        outcome: Option<Outcome>,
    },
    /// Committed, released, or expired.
    Close {
        call: CallId,
        outcome: Outcome,
        charge: Amounts,
        flagged: bool,
    },
    /// The charge from now on; the outcome too, if a late commit brought its row.
    Adjust {
        call: CallId,
        outcome: Option<Outcome>,
        charge: Amounts,
        flagged: bool,
    },
}

pub(super) fn change(op: &Op) -> Option<Change<'_>> {
    match op {
        Op::Reserve { row, .. } => Some(open(row, None)),
        // A refused call is over as soon as it is written.
        Op::Deny { row } => Some(open(row, Some(Outcome::Refused))),
        Op::Commit { hold, charge, row, .. } => Some(close(*hold, row, *charge)),
        Op::Release { hold, kept, row, .. } => Some(close(*hold, row, kept.map_or(Amounts::ZERO, |k| k.money))),
        Op::Expire { hold, charge, .. } => {
            Some(Change::Close { call: *hold, outcome: Outcome::Expired, charge: *charge, flagged: true })
        }
        Op::Adjust { hold, charge, exact, row, .. } => Some(Change::Adjust {
            call: *hold,
            outcome: row.as_ref().map(|r| r.outcome),
            charge: *charge,
            flagged: row.as_ref().map_or(!exact, |r| r.flagged),
        }),
        Op::Resize { .. } | Op::Hear { .. } | Op::Control { .. } | Op::Declare { .. } | Op::Undeclare { .. } => None,
    }
}

fn open(row: &Opening, outcome: Option<Outcome>) -> Change<'_> {
    Change::Open { call: row.call, facts: row.facts.as_ref(), verdict: row.verdict, outcome }
}

/// The charge is the ledger's, not the row's: the accounts must add up to the books.
fn close(call: CallId, row: &Closing, charge: Amounts) -> Change<'static> {
    Change::Close { call, outcome: row.outcome, charge, flagged: row.flagged }
}

/// The facts that sums and filters group by: the free dimensions have no account, and would make every call its own group.
pub(super) fn group(facts: &Arc<Facts>) -> Cow<'_, Arc<Facts>> {
    if facts.subject.dimensions.is_empty() {
        return Cow::Borrowed(facts);
    }
    let mut group = Facts::clone(facts);
    group.subject.dimensions.clear();
    Cow::Owned(Arc::new(group))
}
