//! Resize: down to a bound that the caller vouches for; up is checked like a reserve.

use super::accounts::Cell;
use super::fit;
use super::holds::Open;
use super::sharing::{join, money};
use super::{Book, Fault};
use crate::rules::ledger::ask::{Cause, Line, Reservation, Short};
use crate::rules::ledger::entry::Op;
use crate::units::amount::Amounts;
use crate::units::ids::CallId;
use crate::units::time::Timestamp;

impl Book {
    /// The held amounts from now on. A step that was made before is answered with what is held now.
    pub fn resize(
        &self,
        at: Timestamp,
        hold: CallId,
        step: u32,
        amounts: Amounts,
    ) -> Result<(Reservation, Option<Op>), Fault> {
        let at = at.max(self.now());
        let open = self.open.get(&hold).ok_or("it is not open")?;
        let amounts = without_shared_money(open, amounts);
        let lines: &[Line] = open.asked.0.as_ref().map_or(&[], |a| &a.lines);
        let answer =
            |amounts| Reservation::Held(crate::rules::ledger::ask::Held { amounts, ..self.again(at, open, lines) });
        if step <= open.step {
            return Ok((answer(open.amounts), None));
        }
        if !amounts.within(&open.amounts) {
            open.asked.0.as_ref().ok_or("its limits are not known any more, so it cannot grow")?;
            if let Some(short) = self.short_of(at, open, lines, &amounts) {
                return Ok((Reservation::Short(short), None));
            }
        }
        Ok((answer(amounts), Some(Op::Resize { hold, step, amounts })))
    }

    fn short_of(&self, at: Timestamp, open: &Open, lines: &[Line], amounts: &Amounts) -> Option<Short> {
        let shorts = lines.iter().filter_map(|line| self.refuses(at, open, line, amounts));
        shorts.reduce(|kept, next| if kept.cause == Cause::Held && next.cause == Cause::Spent { next } else { kept })
    }

    /// The window is the one in which the hold was taken. Its own part of `held` does not stand in its way.
    fn refuses(&self, at: Timestamp, open: &Open, line: &Line, amounts: &Amounts) -> Option<Short> {
        let limit = line.limit.as_ref().filter(|l| l.enforce)?;
        let (old, new) = (open.amounts.of(line.unit), amounts.of(line.unit));
        let posting = open.postings.iter().find(|p| p.account == line.account)?;
        let cell = self.accounts.get(&line.account, posting.start);
        let others = Cell { held: cell.held.saturating_sub(old), ..cell };
        let fits = new <= old || others.spent.saturating_add(others.held).saturating_add(new) <= limit.amount;
        (!fits).then(|| fit::short(line, limit, &others, new, at))
    }
}

/// A repeat holds no money of its own, and what it inherited its caller does not know.
fn without_shared_money(open: &Open, amounts: Amounts) -> Amounts {
    let shared = open.sharing.as_ref().is_some_and(|s| s.first.is_some() || s.inherited);
    if shared { join(&money(&open.amounts), &amounts) } else { amounts }
}
