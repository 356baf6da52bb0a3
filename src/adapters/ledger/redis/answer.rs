//! What the scripts answer, as the ledger's values. An answer that cannot be read is an error, never a guess.

use crate::adapters::ledger::LedgerError;
use crate::rules::ledger::ask::{Cause, Held, Left, Limit, Line, Reservation, Settled, Short};
use crate::rules::ledger::book::Fault;
use crate::rules::ledger::rates::{Limited, Rate};
use crate::rules::subject::Flag;
use crate::units::amount::Amounts;
use crate::units::ids::{CallId, Seq};
use crate::units::money::MicroCents;
use crate::units::time::Timestamp;

pub fn unreadable() -> LedgerError {
    LedgerError::Down("the store gave an answer that cannot be read".to_owned())
}

/// What a script said, the ledger's last entry then, and the rest, part by part.
pub struct Parts<'a> {
    pub what: &'a str,
    pub seq: Seq,
    rest: std::slice::Iter<'a, String>,
}

impl<'a> Parts<'a> {
    pub fn new(answer: &'a [String]) -> Result<Self, LedgerError> {
        let [what, seq, rest @ ..] = answer else { return Err(unreadable()) };
        Ok(Self { what, seq: seq.parse().map_err(|_| unreadable())?, rest: rest.iter() })
    }

    pub fn text(&mut self) -> Result<&'a str, LedgerError> {
        self.rest.next().map(String::as_str).ok_or_else(unreadable)
    }

    pub fn number<T: std::str::FromStr>(&mut self) -> Result<T, LedgerError> {
        self.text()?.parse().map_err(|_| unreadable())
    }

    /// Empty if there is none.
    pub fn perhaps<T: std::str::FromStr>(&mut self) -> Result<Option<T>, LedgerError> {
        match self.text()? {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| unreadable()),
        }
    }

    /// Takes that word, if it is the next.
    fn next_is(&mut self, word: &str) -> bool {
        let is = self.rest.as_slice().first().is_some_and(|next| next == word);
        if is {
            self.rest.next();
        }
        is
    }

    pub fn more(&self) -> bool {
        self.rest.len() > 0
    }

    pub fn rest(self) -> impl Iterator<Item = &'a str> {
        self.rest.map(String::as_str)
    }

    pub fn amounts(&mut self) -> Result<Amounts, LedgerError> {
        let usd = MicroCents(self.number()?);
        Ok(Amounts { usd, tokens: self.number()?, calls: self.number()?, risk: self.number()? })
    }

    /// `Err` if the script refused, in the words of the book.
    pub fn done(self, hold: CallId) -> Result<Seq, LedgerError> {
        match self.what {
            "done" => Ok(self.seq),
            _ => Err(self.fault(hold)),
        }
    }

    fn fault(mut self, hold: CallId) -> LedgerError {
        match (self.what, self.text()) {
            ("fault", Ok(code)) => fault(code).map_or_else(unreadable, |why| LedgerError::Hold(hold, why)),
            _ => unreadable(),
        }
    }
}

fn fault(code: &str) -> Option<Fault> {
    Some(match code {
        "ended" => "it has ended before",
        "unknown" => "no such hold",
        "committed" => "it was committed, so it cannot be released",
        "released" => "it was released, so it cannot be committed",
        "closed" => "it is not open",
        "limits" => "its limits are not known any more, so it cannot grow",
        "open" => "it is still open",
        "gone" => "no such hold, or it ended too long ago",
        "repeats" => "it repeats another call, which bears the money of both: correct that one",
        "large" => "one of its accounts would go above 2^53-1, the most that it can count",
        _ => return None,
    })
}

/// The answer to a reserve or a resize: when it was given, and whether the hold was there before.
pub struct Answered {
    pub reservation: Reservation,
    pub at: Timestamp,
    pub seq: Seq,
    pub new: bool,
}

/// `None` if the node does not know all declared shapes.
pub fn reservation(
    answer: &[String],
    hold: CallId,
    lines: &[Line],
    rates: &[Rate],
) -> Result<Option<Answered>, LedgerError> {
    let mut parts = Parts::new(answer)?;
    let (new, seq) = (parts.what == "held", parts.seq);
    let (reservation, at) = match parts.what {
        "held" | "again" => {
            let at = Timestamp(parts.number()?);
            (Reservation::Held(held(parts, lines, rates, at)?), at)
        }
        "short" => {
            let at = Timestamp(parts.number()?);
            (Reservation::Short(short(&mut parts, lines, at)?), at)
        }
        "limited" => {
            let at = Timestamp(parts.number()?);
            (Reservation::Limited(limited(&mut parts, rates)?), at)
        }
        "killed" => {
            let flag: Flag = serde_json::from_str(parts.text()?).map_err(|_| unreadable())?;
            (Reservation::Killed(flag), Timestamp::default())
        }
        "shapes" => return Ok(None),
        _ => return Err(parts.fault(hold)),
    };
    Ok(Some(Answered { reservation, at, seq, new }))
}

fn held(mut parts: Parts<'_>, lines: &[Line], rates: &[Rate], at: Timestamp) -> Result<Held, LedgerError> {
    let amounts = parts.amounts()?;
    let (fitted, shares) = (parts.perhaps()?, parts.perhaps()?);
    let paid = parts.text()? == "1";
    let tightest = match parts.perhaps()? {
        None => None,
        Some(index) => {
            let (line, limit) = line(lines, index)?;
            let (account, hidden) = (line.account.clone(), limit.hidden);
            Some(Left { account, limit: limit.amount, spent: parts.number()?, held: parts.number()?, hidden })
        }
    };
    let would_limit = if parts.next_is("rate") { Some(limited(&mut parts, rates)?) } else { None };
    let would_refuse = if parts.more() { Some(short(&mut parts, lines, at)?) } else { None };
    Ok(Held { amounts, fitted, would_refuse, would_limit, shares, paid, tightest })
}

fn line(lines: &[Line], index: usize) -> Result<(&Line, &Limit), LedgerError> {
    lines.get(index).and_then(|l| Some((l, l.limit.as_ref()?))).ok_or_else(unreadable)
}

/// No wait helps if it is below zero.
fn limited(parts: &mut Parts<'_>, rates: &[Rate]) -> Result<Limited, LedgerError> {
    let rate = rates.get(parts.number::<usize>()?).ok_or_else(unreadable)?;
    let wait = u64::try_from(parts.number::<i64>()?).ok();
    Ok(Limited { cell: rate.cell.clone(), rule: rate.rule.clone(), wait })
}

fn short(parts: &mut Parts<'_>, lines: &[Line], at: Timestamp) -> Result<Short, LedgerError> {
    let (line, limit) = line(lines, parts.number()?)?;
    let cause = if parts.text()? == "spent" { Cause::Spent } else { Cause::Held };
    Ok(Short {
        account: line.account.clone(),
        unit: line.unit,
        window: line.window,
        limit: limit.clone(),
        spent: parts.number()?,
        held: parts.number()?,
        need: parts.number()?,
        resets_at: line.window.end(at),
        cause,
    })
}

pub fn settled(answer: &[String], hold: CallId) -> Result<Settled, LedgerError> {
    let parts = Parts::new(answer)?;
    Ok(match parts.what {
        "done" => Settled::Done,
        "again" => Settled::Again,
        "adjusted" => Settled::Adjusted,
        "passed" => Settled::Passed,
        _ => return Err(parts.fault(hold)),
    })
}
