//! What the scripts answer, as the ledger's values. An answer that cannot be read is an error, never a guess.

use crate::adapters::ledger::LedgerError;
use crate::rules::ledger::ask::{Cause, Held, Limit, Line, Reservation, Short};
use crate::rules::subject::Flag;
use crate::units::amount::Amounts;
use crate::units::ids::CallId;
use crate::units::money::MicroCents;
use crate::units::time::Timestamp;

pub fn unreadable() -> LedgerError {
    LedgerError::Down("the store gave an answer that cannot be read".to_owned())
}

/// The parts of an answer, one after the other.
pub struct Parts<'a>(std::slice::Iter<'a, String>);

impl<'a> Parts<'a> {
    pub fn new(answer: &'a [String]) -> Self {
        Self(answer.iter())
    }

    pub fn text(&mut self) -> Result<&'a str, LedgerError> {
        self.0.next().map(String::as_str).ok_or_else(unreadable)
    }

    pub fn number<T: std::str::FromStr>(&mut self) -> Result<T, LedgerError> {
        self.text()?.parse().map_err(|_| unreadable())
    }

    /// Empty if there is none.
    fn perhaps(&mut self) -> Result<Option<u64>, LedgerError> {
        match self.text()? {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| unreadable()),
        }
    }
}

/// The answer to a reserve, and when it was given.
pub fn reservation(answer: &[String], hold: CallId, lines: &[Line]) -> Result<(Reservation, Timestamp), LedgerError> {
    let mut parts = Parts::new(answer);
    match parts.text()? {
        "held" => held(&mut parts, lines),
        "short" => {
            let line = line(lines, parts.number()?)?;
            let cause = if parts.text()? == "spent" { Cause::Spent } else { Cause::Held };
            let [spent, held, need] = [parts.number()?, parts.number()?, parts.number()?];
            let at = Timestamp(parts.number()?);
            Ok((Reservation::Short(short(line, [spent, held, need], cause, at)), at))
        }
        "killed" => {
            let flag: Flag = serde_json::from_str(parts.text()?).map_err(|_| unreadable())?;
            Ok((Reservation::Killed(flag), Timestamp::default()))
        }
        "ended" => Err(LedgerError::Hold(hold, "it has ended before")),
        _ => Err(unreadable()),
    }
}

fn held(parts: &mut Parts<'_>, lines: &[Line]) -> Result<(Reservation, Timestamp), LedgerError> {
    let usd = MicroCents(parts.number()?);
    let amounts = Amounts { usd, tokens: parts.number()?, calls: parts.number()?, risk: parts.number()? };
    let fitted = parts.perhaps()?;
    let would = parts.perhaps()?;
    let seen = [parts.number()?, parts.number()?, parts.number()?];
    let at = Timestamp(parts.number()?);
    let would_refuse = match would {
        None => None,
        Some(index) => {
            let line = line(lines, index as usize)?;
            let limit = line.1.amount;
            let cause = if seen[0] + seen[2] > limit { Cause::Spent } else { Cause::Held };
            Some(short(line, seen, cause, at))
        }
    };
    Ok((Reservation::Held(Held { amounts, fitted, would_refuse, shares: None, paid: false, tightest: None }), at))
}

fn line(lines: &[Line], index: usize) -> Result<(&Line, &Limit), LedgerError> {
    lines.get(index).and_then(|l| Some((l, l.limit.as_ref()?))).ok_or_else(unreadable)
}

fn short((line, limit): (&Line, &Limit), [spent, held, need]: [u64; 3], cause: Cause, at: Timestamp) -> Short {
    Short {
        account: line.account.clone(),
        unit: line.unit,
        window: line.window,
        limit: limit.clone(),
        spent,
        held,
        need,
        resets_at: line.window.end(at),
        cause,
    }
}
