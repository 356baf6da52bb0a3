//! The end of a hold: commit, release, expire, and the later replacement of its charge.

use super::holds::{Ended, How, Open};
use super::sharing::{ENDED_LATE, Fate, fate, join, ledger_act, own, said};
use super::{Book, Fault, NO_OPS, Ops};
use crate::rules::books::{Act, Closing};
use crate::rules::ledger::ask::{End, Settle, Settled};
use crate::rules::ledger::entry::{Evidence, Op};
use crate::units::amount::Amounts;
use crate::units::ids::CallId;
use crate::units::time::Timestamp;

/// What an end asks to be charged.
struct Verdict {
    charge: Amounts,
    said: Option<Evidence>,
    exact: bool,
    released: bool,
}

impl Verdict {
    /// Without exact usage at least what is held is charged.
    fn of(end: &End, held: &Amounts) -> Self {
        let (charge, exact, released) = match end {
            End::Release => (Amounts::ZERO, true, true),
            End::Commit { charge, exact: true } => (*charge, true, false),
            End::Commit { charge, exact: false } => (charge.max(held), false, false),
        };
        Self { charge, said: said(&charge, exact), exact, released }
    }
}

impl Book {
    /// Decides how a hold ends. Never refused for lack of money.
    pub fn settle(&self, at: Timestamp, settle: Settle) -> Result<(Settled, Ops), Fault> {
        let at = at.max(self.now());
        let Settle { hold, end, closing } = settle;
        if let Some(open) = self.open.get(&hold) {
            return Ok(self.settle_open(at, open, &Verdict::of(&end, &open.amounts), closing));
        }
        let ended = self.past(at, hold).ok_or("no such hold")?;
        let released = matches!(end, End::Release);
        match (ended.how, released) {
            (How::Expired, _) => Ok(self.settle_late(at, ended, &Verdict::of(&end, &ended.bound), closing)),
            (How::Late, _) | (How::Committed, false) | (How::Released, true) => Ok((Settled::Again, NO_OPS)),
            (How::Committed, true) => Err("it was committed, so it cannot be released"),
            (How::Released, false) => Err("it was released, so it cannot be committed"),
        }
    }

    fn settle_open(&self, at: Timestamp, open: &Open, verdict: &Verdict, mut row: Closing) -> (Settled, Ops) {
        let hold = row.call;
        let (told, fate) = match open.first() {
            Some(first) => (self.tell(at, first, verdict.said), fate_of_repeat(verdict.exact)),
            None => (None, fate(verdict.said, open.sharing.as_deref(), &open.amounts)),
        };
        let charge = join(&fate.money, &own(&verdict.charge));
        let (exact, passed) = (fate.exact, fate.passed);
        row.charge = charge;
        let row = Box::new(row);
        let op = if verdict.released {
            let kept = (charge != Amounts::ZERO).then_some(Evidence { money: charge, exact });
            Op::Release { hold, kept, passed, row }
        } else {
            Op::Commit { hold, charge, exact, passed, row }
        };
        (if passed.is_some() { Settled::Passed } else { Settled::Done }, [told, Some(op)])
    }

    /// The hold had expired and was charged in full: now its true end replaces that.
    fn settle_late(&self, at: Timestamp, ended: &Ended, verdict: &Verdict, mut row: Closing) -> (Settled, Ops) {
        let hold = row.call;
        let (told, fate) = match ended.first() {
            Some(first) => (self.tell(at, first, verdict.said), fate_of_repeat(verdict.exact)),
            None => (None, fate(verdict.said, ended.sharing.as_deref(), &ended.bound)),
        };
        let charge = join(&fate.money, &own(&verdict.charge));
        row.charge = charge;
        let act = ledger_act(ENDED_LATE);
        let (exact, passed, row) = (fate.exact, fate.passed, Some(Box::new(row)));
        let op = Op::Adjust { hold, step: 0, charge, exact, heard: None, passed, row, past: None, act };
        (Settled::Adjusted, [told, Some(op)])
    }

    /// Charges an open hold in full. Nothing, if it is not open.
    pub fn expire(&self, at: Timestamp, hold: CallId) -> Ops {
        let at = at.max(self.now());
        let Some(open) = self.open.get(&hold) else { return NO_OPS };
        let said = said(&open.amounts, false);
        let (told, fate) = match open.first() {
            Some(first) => (self.tell(at, first, said), fate_of_repeat(false)),
            None => (None, fate(said, open.sharing.as_deref(), &open.amounts)),
        };
        let charge = join(&fate.money, &own(&open.amounts));
        [told, Some(Op::Expire { hold, charge, exact: fate.exact })]
    }

    /// Replaces the charge of an ended hold: an operator's word, or a price that came later.
    pub fn adjust(
        &self,
        at: Timestamp,
        hold: CallId,
        step: u32,
        charge: Amounts,
        exact: bool,
        act: Act,
    ) -> Result<Ops, Fault> {
        if self.open.contains_key(&hold) {
            return Err("it is still open");
        }
        let ended = self.past(at, hold).ok_or("no such hold, or it ended too long ago")?;
        if step <= ended.step {
            return Ok(NO_OPS);
        }
        Ok([
            None,
            Some(Op::Adjust { hold, step, charge, exact, heard: None, passed: None, row: None, past: None, act }),
        ])
    }
}

/// A repeat's money stands with the first call.
fn fate_of_repeat(exact: bool) -> Fate {
    Fate { money: Amounts::ZERO, exact, passed: None }
}
