//! What this node was told that Redis had written, until the books have it: should Redis lose it, it is put back from here.
//! Asks are kept and not events, since an end is never refused and can simply be asked again. Writes nothing.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::rules::books::{Act, Closing, Control, Opening, Verdict};
use crate::rules::ledger::ask::{Cause, Correct, End, Held, Known, Line, ReplayKey, Reserve, Settle};
use crate::rules::ledger::entry::{Entry, Op, Past, Posting};
use crate::units::amount::{Amounts, Unit};
use crate::units::ids::{CallId, Seq};
use crate::units::time::Timestamp;

/// One step that was acknowledged.
#[derive(Clone, Debug)]
pub enum Redo {
    Take(Box<Taken>),
    Resize { hold: CallId, step: u32, amounts: Amounts },
    Settle(Settle),
    Adjust { hold: CallId, step: u32, charge: Amounts, exact: bool, act: Act },
    Correct(Box<Correct>),
    Deny(Box<Opening>),
    Control(Control),
}

/// A hold as it was taken.
#[derive(Clone, Debug)]
pub struct Taken {
    pub row: Opening,
    pub amounts: Amounts,
    pub fitted: Option<u64>,
    pub replay: Option<ReplayKey>,
    pub taken: Timestamp,
    pub postings: Arc<[Posting]>,
    /// It was there already when it was asked for, so the number that came with the answer is not that of its event.
    pub again: bool,
}

impl Taken {
    /// As the reserve was answered at `at`, on these lines.
    pub fn new(ask: &Reserve, lines: &[Line], held: &Held, at: Timestamp) -> Self {
        let (row, repeat) = (noted(ask, held), held.shares.is_some());
        let counts = |l: &Line| !repeat || matches!(l.unit, Unit::Calls | Unit::Risk);
        let once = |i: usize, l: &Line| lines[..i].iter().all(|before| before.account != l.account);
        let posting = |l: &Line| Posting {
            account: l.account.clone(),
            unit: l.unit,
            window: l.window,
            start: l.window.start(at),
        };
        let chosen = lines.iter().enumerate().filter(|(i, l)| counts(l) && once(*i, l));
        let postings = chosen.map(|(_, l)| posting(l)).collect();
        let (amounts, fitted, replay) = (held.amounts, held.fitted, ask.replay);
        Self { row, amounts, fitted, replay, taken: at, postings, again: false }
    }
}

/// The row with what was decided, as the book notes it.
fn noted(ask: &Reserve, held: &Held) -> Opening {
    let mut row = Opening { estimate: held.amounts, repeats: held.shares, ..ask.opening.clone() };
    let want = ask.need.fit.as_ref().map_or(0, |fit| fit.want);
    if let (Some(limited), Verdict::Allow) = (&held.would_limit, row.verdict) {
        (row.verdict, row.enforced, row.reason) = (Verdict::RateLimited, false, Some(limited.reason()));
    }
    match (&held.would_refuse, row.verdict) {
        (Some(short), Verdict::Allow) => {
            let code = if short.cause == Cause::Spent { "budget_spent" } else { "budget_held" };
            (row.verdict, row.enforced) = (Verdict::Deny, false);
            row.reason = Some(format!("{code}: {}", short.limit.rule));
        }
        (None, Verdict::Allow) if held.fitted.is_some_and(|n| n < want) => row.verdict = Verdict::AllowWithCaps,
        _ => {}
    }
    row
}

impl Redo {
    /// Is its number that of an event which bears its call?
    fn marks(&self) -> bool {
        match self {
            Self::Take(taken) => !taken.again,
            Self::Settle(_) | Self::Deny(_) | Self::Control(_) => true,
            Self::Resize { .. } | Self::Adjust { .. } | Self::Correct(_) => false,
        }
    }

    /// The call that it is about.
    pub fn call(&self) -> Option<CallId> {
        match self {
            Self::Take(taken) => Some(taken.row.call),
            Self::Resize { hold, .. } | Self::Adjust { hold, .. } => Some(*hold),
            Self::Settle(settle) => Some(settle.hold),
            Self::Correct(ask) => Some(ask.hold),
            Self::Deny(row) => Some(row.call),
            Self::Control(_) => None,
        }
    }

    /// Does the entry that the books have under its number say the same?
    pub fn is(&self, entry: &Entry) -> bool {
        match (self, &entry.op) {
            (Self::Control(own), Op::Control { control }) => own == control,
            (Self::Control(_), _) | (_, Op::Control { .. }) => false,
            _ => self.call() == entry.op.call(),
        }
    }

    /// What an event of another node asked for; `None` for steps that follow from others, or come again by themselves.
    pub fn of(entry: Entry) -> Option<Self> {
        Some(match entry.op {
            Op::Reserve { amounts, postings, fitted, replay, row, .. } => {
                let taken = entry.at;
                Self::Take(Box::new(Taken { row: *row, amounts, fitted, replay, taken, postings, again: false }))
            }
            Op::Resize { hold, step, amounts } => Self::Resize { hold, step, amounts },
            Op::Commit { hold, charge, exact, row, .. } => ended(hold, End::Commit { charge, exact }, *row),
            Op::Release { hold, row, .. } => ended(hold, End::Release, *row),
            Op::Adjust { hold, charge, exact, row: Some(row), .. } => ended(hold, End::Commit { charge, exact }, *row),
            // The ledger had forgotten that call.
            Op::Adjust { hold, step, charge, exact, past: Some(past), act, .. } => {
                let Past { charge: was, postings, taken, facts } = *past;
                let step = step.saturating_sub(1);
                let known = Known { taken, facts, charge: was, postings, repeats: false, step };
                Self::Correct(Box::new(Correct { hold, charge, exact, act, known }))
            }
            Op::Adjust { hold, step, charge, exact, heard: None, act, .. } => {
                Self::Adjust { hold, step, charge, exact, act }
            }
            Op::Deny { row } => Self::Deny(row),
            Op::Control { control } => Self::Control(control),
            Op::Hear { .. } | Op::Expire { .. } | Op::Adjust { .. } | Op::Declare { .. } | Op::Undeclare { .. } => {
                return None;
            }
        })
    }
}

fn ended(hold: CallId, end: End, closing: Closing) -> Redo {
    Redo::Settle(Settle { hold, end, closing })
}

/// In the order of their numbers, more or less: answers overtake each other.
#[derive(Default)]
pub struct Kept(Mutex<VecDeque<(Seq, Arc<Redo>)>>);

impl Kept {
    pub fn keep(&self, seq: Seq, redo: Redo) {
        self.0.lock().push_back((seq, Arc::new(redo)));
    }

    /// What stood in the stream alone, since whoever asked for it may be gone.
    pub fn adopt(&self, seq: Seq, redo: Arc<Redo>) {
        self.0.lock().push_back((seq, redo));
    }

    /// The books have everything up to here, also after a loss of power.
    pub fn safe_up_to(&self, seq: Seq) {
        self.0.lock().retain(|(own, _)| *own > seq);
    }

    /// All, in order.
    pub fn all(&self) -> Vec<(Seq, Arc<Redo>)> {
        let mut all: Vec<_> = self.0.lock().iter().cloned().collect();
        all.sort_by_key(|(seq, _)| *seq);
        all
    }

    /// The last one of which Redis said that it is written.
    pub fn last(&self) -> Option<(Seq, Arc<Redo>)> {
        self.last_up_to(Seq::MAX)
    }

    /// The same, of those with no higher number.
    pub fn last_up_to(&self, upto: Seq) -> Option<(Seq, Arc<Redo>)> {
        let kept = self.0.lock();
        kept.iter().filter(|(seq, redo)| *seq <= upto && redo.marks()).max_by_key(|(seq, _)| *seq).cloned()
    }

    /// It was put back, and is kept under its new number; or the books have it.
    pub fn done(&self, redo: &Arc<Redo>) {
        self.0.lock().retain(|(_, own)| !Arc::ptr_eq(own, redo));
    }
}
