//! Asks as the scripts read them, with numbers that a Lua double counts exactly: one argument after the other, or, where many
//! calls go together, one packed value for each. Talks to nobody.

use redis::ScriptInvocation;

use super::json;
use super::pack::Packed;
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

/// Lua takes so many values at once, and one more would be a mistake of the script, for all that go with it.
const MOST_VALUES: usize = 6_000;

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

/// Six values each, as `lua/limits.lua` reads them.
pub fn lines(packed: &mut Packed, lines: &[Line]) {
    packed.number(lines.len() as u64);
    for line in lines {
        packed.text(&line.account.0).text(line.unit.as_str()).text(line.window.as_str());
        match &line.limit {
            // A refusal that is only noted names its rule in the row.
            Some(l) if !l.enforce => packed.number(l.amount).flag(false).text(&l.rule),
            Some(l) => packed.number(l.amount).flag(true).text(""),
            None => packed.none().flag(false).text(""),
        };
    }
}

/// `shaped` is the version of the declared shapes that this node knows, `all` the lines of the call with those of shapes that
/// other nodes declare.
pub fn reserve(ask: &Reserve, all: &[Line], shaped: u64) -> Result<Vec<u8>, LedgerError> {
    let limits = all.iter().filter_map(|l| l.limit.as_ref()).map(|l| l.amount);
    countable(ask.hold, limits.chain([ask.need.calls, ask.need.risk]))?;
    let paces = ask.rates.iter().flat_map(|r| [r.interval.saturating_mul(r.burst), r.interval.saturating_mul(r.cost)]);
    countable(ask.hold, paces)?;
    if ask.flags.len() + 6 * all.len() + 6 * ask.rates.len() > MOST_VALUES {
        return Err(LedgerError::Hold(
            ask.hold,
            "it falls under more budgets, rates and flags than one step can look at",
        ));
    }
    let mut packed = Packed::default();
    packed.text(&ask.hold.to_string()).number(shaped).text(&json(&ask.opening));
    packed.text(&ask.opening.facts.as_deref().map(json).unwrap_or_default());
    packed.text(&ask.replay.map(|key| key.0.to_string()).unwrap_or_default());
    need(&mut packed, &ask.need);
    packed.number(ask.flags.len() as u64);
    for flag in ask.flags.iter() {
        packed.text(&json(flag));
    }
    lines(&mut packed, all);
    rates(&mut packed, &ask.rates);
    Ok(packed.done())
}

/// Six values each, as `lua/rates.lua` reads them: what one call counts, and what an empty cell takes to fill, in microseconds.
fn rates(packed: &mut Packed, rates: &[Rate]) {
    packed.number(rates.len() as u64);
    for rate in rates {
        packed.text(&rate.cell.0).number(rate.interval * rate.cost).number(rate.interval * rate.burst);
        // A refusal that is only noted names its rule in the row.
        packed.flag(rate.enforce).text(if rate.enforce { "" } else { &rate.rule }).number(rate.slots);
    }
}

fn need(packed: &mut Packed, need: &Need) {
    let none = Fit { usd_per_token: PicoUsd(0), tokens_per_token: 0, floor: 0, want: 0, share: Share(100) };
    let fit = need.fit.as_ref().unwrap_or(&none);
    let ((usd, usd_rest), (rate, rate_rest)) = (split(need.usd), split(fit.usd_per_token));
    packed.number(usd).number(usd_rest).number(need.tokens.min(MAX_AMOUNT)).number(need.calls).number(need.risk);
    packed.flag(need.fit.is_some()).number(rate).number(rate_rest).number(fit.tokens_per_token.min(MAX_AMOUNT));
    packed.number(fit.floor.min(MAX_LIMIT)).number(fit.want.min(MAX_LIMIT)).number(fit.share.0.min(100).into());
}

/// A charge beyond what can be counted is counted as far as can be: an end is never refused.
pub fn settle(settle: &Settle, awaited: bool) -> Vec<u8> {
    let (kind, charge, exact) = match &settle.end {
        End::Commit { charge, exact } => ("commit", *charge, *exact),
        End::Release => ("release", Amounts::ZERO, true),
    };
    let mut packed = Packed::default();
    packed.text(&settle.hold.to_string()).text(kind).flag(exact);
    for unit in Unit::ALL {
        packed.number(charge.of(unit));
    }
    packed.text(&json(&settle.closing)).flag(awaited);
    packed.done()
}

/// The postings that the books know, and the accounts of declared shapes that may have come later.
pub fn correct(call: &mut ScriptInvocation<'_>, ask: &Correct, shapes: &[Shape]) {
    let known = &ask.known;
    call.arg(ask.hold.to_string());
    amounts(call, &ask.charge);
    call.arg(u8::from(ask.exact)).arg(json(&ask.act));
    call.arg(u8::from(known.repeats)).arg(known.step).arg(known.taken.0);
    call.arg(known.facts.as_deref().map(json).unwrap_or_default());
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
