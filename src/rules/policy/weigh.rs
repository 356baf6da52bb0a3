//! What the accounts of a call say of it before it is held: looked at, not reserved, so by the time that it is, they may say
//! something else. Nothing is admitted by this.

use super::permit::Permit;
use crate::rules::ledger::ask::{AccountState, Cause, Line, Short};
use crate::rules::ledger::need::Need;

impl Permit {
    /// The first account that has no room for the least of this call; one that is spent before one that is held.
    pub fn short_of(&self, need: &Need, states: &[AccountState]) -> Option<Short> {
        short_on(&self.lines, need, states)
    }
}

pub(super) fn short_on(lines: &[Line], need: &Need, states: &[AccountState]) -> Option<Short> {
    let shorts = || lines.iter().zip(states).filter_map(|(line, state)| short(line, need, state));
    shorts().find(|short| short.cause == Cause::Spent).or_else(|| shorts().next())
}

fn short(line: &Line, need: &Need, state: &AccountState) -> Option<Short> {
    let limit = line.limit.as_ref().filter(|limit| limit.enforce)?;
    let AccountState { spent, held, .. } = *state;
    let need = need.least().of(line.unit);
    let without_holds = spent.saturating_add(need);
    let cause = match () {
        () if without_holds > limit.amount => Cause::Spent,
        () if without_holds.saturating_add(held) > limit.amount => Cause::Held,
        () => return None,
    };
    Some(Short {
        account: line.account.clone(),
        unit: line.unit,
        window: line.window,
        limit: limit.clone(),
        spent,
        held,
        need,
        resets_at: line.window.end(state.window_start),
        cause,
    })
}
