//! Asks as the scripts read them: one argument after the other, and numbers that a Lua double counts exactly. Talks to nobody.

use redis::ScriptInvocation;

use super::json;
use crate::adapters::ledger::LedgerError;
use crate::rules::ledger::account::Shape;
use crate::rules::ledger::ask::{Correct, End, Line, Reserve, Settle};
use crate::rules::ledger::need::{Fit, Need, Share};
use crate::rules::ledger::rates::Rate;
use crate::units::amount::{Amounts, Unit};
use crate::units::ids::CallId;
use crate::units::money::{MAX_AMOUNT, PICO_PER_MICRO_CENT, PicoUsd};

/// Beyond this a rest of a micro-cent times a limit is no exact double. No answer has so many tokens.
const MAX_LIMIT: u64 = 1 << 39;

/// Money as whole micro-cents and the pico-dollars that remain, each at most 2^53-1.
fn split(usd: PicoUsd) -> (u64, u64) {
    let whole = u64::try_from(usd.0 / PICO_PER_MICRO_CENT).unwrap_or(MAX_AMOUNT);
    (whole.min(MAX_AMOUNT), (usd.0 % PICO_PER_MICRO_CENT) as u64)
}

/// # Errors
/// A number that no script counts exactly. The rules refuse such a policy, so this is the net under them.
fn countable(hold: CallId, numbers: impl IntoIterator<Item = u64>) -> Result<(), LedgerError> {
    let large = numbers.into_iter().any(|n| n > MAX_AMOUNT);
    if large {
        Err(LedgerError::Hold(hold, "an amount or a limit is above 2^53-1, the most that it can count"))
    } else {
        Ok(())
    }
}

pub fn amounts(call: &mut ScriptInvocation<'_>, of: &Amounts) {
    for unit in Unit::ALL {
        call.arg(of.of(unit));
    }
}

pub fn lines(call: &mut ScriptInvocation<'_>, lines: &[Line]) {
    call.arg(lines.len());
    for line in lines {
        let (limit, enforce) = line.limit.as_ref().map_or((-1, false), |l| (l.amount as i64, l.enforce));
        // A refusal that is only noted names its rule in the row.
        let rule = line.limit.as_ref().filter(|l| !l.enforce).map_or("", |l| &*l.rule);
        call.arg(&*line.account.0).arg(line.unit.as_str()).arg(line.window.as_str());
        call.arg(limit).arg(u8::from(enforce)).arg(rule);
    }
}

/// `shaped` is the version of the declared shapes that this node knows, `all` the lines of the call with those of shapes that
/// other nodes declare.
pub fn reserve(call: &mut ScriptInvocation<'_>, ask: &Reserve, all: &[Line], shaped: u64) -> Result<(), LedgerError> {
    let limits = all.iter().filter_map(|l| l.limit.as_ref()).map(|l| l.amount);
    countable(ask.hold, limits.chain([ask.need.calls, ask.need.risk]))?;
    countable(
        ask.hold,
        ask.rates.iter().flat_map(|r| [r.interval.saturating_mul(r.burst), r.interval.saturating_mul(r.cost)]),
    )?;
    call.arg(ask.hold.to_string()).arg(shaped).arg(json(&ask.opening));
    call.arg(ask.opening.facts.as_deref().map(json).unwrap_or_default());
    call.arg(ask.replay.map(|key| key.0.to_string()).unwrap_or_default());
    call.arg(ask.flags.len());
    for flag in ask.flags.iter() {
        call.arg(json(flag));
    }
    need(call, &ask.need);
    lines(call, all);
    rates(call, &ask.rates);
    Ok(())
}

/// What one call counts, and what an empty cell takes to fill, in microseconds.
fn rates(call: &mut ScriptInvocation<'_>, rates: &[Rate]) {
    call.arg(rates.len());
    for rate in rates {
        call.arg(&*rate.cell.0).arg(rate.interval * rate.cost).arg(rate.interval * rate.burst);
        // A refusal that is only noted names its rule in the row.
        call.arg(u8::from(rate.enforce)).arg(if rate.enforce { "" } else { &*rate.rule });
    }
}

fn need(call: &mut ScriptInvocation<'_>, need: &Need) {
    let none = Fit { usd_per_token: PicoUsd(0), tokens_per_token: 0, floor: 0, want: 0, share: Share(100) };
    let fit = need.fit.as_ref().unwrap_or(&none);
    let ((usd, usd_rest), (rate, rate_rest)) = (split(need.usd), split(fit.usd_per_token));
    call.arg(usd).arg(usd_rest).arg(need.tokens.min(MAX_AMOUNT)).arg(need.calls).arg(need.risk);
    call.arg(u8::from(need.fit.is_some())).arg(rate).arg(rate_rest).arg(fit.tokens_per_token.min(MAX_AMOUNT));
    call.arg(fit.floor.min(MAX_LIMIT)).arg(fit.want.min(MAX_LIMIT)).arg(fit.share.0.min(100));
}

/// A charge beyond what can be counted is counted as far as can be: an end is never refused.
pub fn settle(call: &mut ScriptInvocation<'_>, settle: &Settle, awaited: bool) {
    let (kind, charge, exact) = match &settle.end {
        End::Commit { charge, exact } => ("commit", *charge, *exact),
        End::Release => ("release", Amounts::ZERO, true),
    };
    call.arg(settle.hold.to_string()).arg(kind).arg(u8::from(exact));
    amounts(call, &charge);
    call.arg(json(&settle.closing)).arg(u8::from(awaited));
}

/// The postings that the books know, and the accounts of declared shapes that may have come later.
pub fn correct(call: &mut ScriptInvocation<'_>, ask: &Correct, shapes: &[Shape]) {
    let known = &ask.known;
    call.arg(ask.hold.to_string());
    amounts(call, &ask.charge);
    call.arg(u8::from(ask.exact)).arg(json(&ask.act));
    call.arg(u8::from(known.repeats)).arg(known.step).arg(known.taken.0);
    amounts(call, &known.charge);
    call.arg(known.postings.len());
    for p in known.postings.iter() {
        call.arg(&*p.account.0).arg(p.unit.as_str()).arg(p.window.as_str()).arg(p.start.0);
    }
    let facts = known.facts.as_deref();
    let more: Vec<_> = shapes
        .iter()
        .flat_map(|s| facts.map(|f| s.accounts(f)).unwrap_or_default().into_iter().map(move |a| (a, s)))
        .collect();
    call.arg(more.len());
    for (account, shape) in more {
        call.arg(&*account.0).arg(shape.unit.as_str()).arg(shape.window.as_str());
    }
}
