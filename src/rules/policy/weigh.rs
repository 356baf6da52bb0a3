//! What the accounts of a call say of it before it is held: looked at, not reserved, so by the time that it is, they may say
//! something else. Nothing is admitted by this.

use super::permit::Permit;
use crate::rules::ledger::ask::{AccountState, Cause, Limit, Line, Short};
use crate::rules::ledger::need::Need;
use crate::units::amount::Unit;
use crate::units::money::MicroCents;

impl Permit {
    /// The first account that has no room for the least of this call; one that is spent before one that is held.
    pub fn short_of(&self, need: &Need, states: &[AccountState]) -> Option<Short> {
        short_on(&self.lines, need, states)
    }

    /// Does all that is wanted fit, in one call and on all accounts?
    pub fn has_room(&self, need: &Need, states: &[AccountState]) -> bool {
        let whole = Need { risk: self.risk, ..need.whole() };
        self.fit_call(&whole).is_ok() && self.short_of(&whole, states).is_none()
    }

    /// The most money that one such call may still cost, as far as limits say that show their amounts. `None`: none does, or
    /// something else stands in the way of that much.
    pub fn room(&self, states: &[AccountState]) -> Option<MicroCents> {
        let open = |limit: &&Limit| limit.enforce && !limit.hidden;
        let usd = self.lines.iter().zip(states).filter(|(line, _)| line.unit == Unit::Usd);
        let left = usd.filter_map(|(line, state)| {
            let limit = line.limit.as_ref().filter(open)?;
            Some(limit.amount.saturating_sub(state.spent).saturating_sub(state.held))
        });
        let once = self.call_limits.iter().filter(|bound| bound.enforce && bound.limit.unit == Unit::Usd);
        let room = MicroCents(left.chain(once.map(|bound| bound.limit.amount)).min()?);
        self.has_room(&Need::fixed(room.into(), 0), states).then_some(room)
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
