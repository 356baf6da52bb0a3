//! Events of the stream, read back as the entries that the book would have journaled: the script writes what was decided, and
//! the node's own row as it was sent; here the row is finished with what was decided. Talks to nobody.

use redis::Value;
use redis::streams::StreamId;
use serde::Deserialize;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, IntoDeserializer};

use crate::adapters::ledger::LedgerError;
use crate::rules::books::{Act, Closing, Opening, Verdict};
use crate::rules::ledger::account::AccountName;
use crate::rules::ledger::book::{ENDED_LATE, TOLD_BY_REPEAT, ledger_act};
use crate::rules::ledger::entry::{Entry, Evidence, Op, Past, Posting};
use crate::rules::ledger::rates::{Moved, Moves};
use crate::units::amount::Amounts;
use crate::units::money::MicroCents;
use crate::units::time::Timestamp;

/// # Errors
/// `Down`, naming the event: something else has written to the stream, or a newer bursar.
pub fn entry(item: &StreamId) -> Result<Entry, LedgerError> {
    let fields = Fields(item);
    let read = || Some(Entry { seq: fields.seq()?, at: Timestamp(fields.parsed("at")?), op: fields.op()? });
    read().ok_or_else(|| LedgerError::Down(format!("redis: the event `{}` of the stream cannot be read", item.id)))
}

/// `None` wherever a field is not there or not what it should be.
struct Fields<'a>(&'a StreamId);

impl<'a> Fields<'a> {
    fn seq(&self) -> Option<u64> {
        self.0.id.split_once('-')?.0.parse().ok()
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        match self.0.map.get(name)? {
            Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
            Value::SimpleString(text) => Some(text),
            _ => None,
        }
    }

    fn parsed<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.text(name)?.parse().ok()
    }

    /// Outer `None`: unreadable. Inner: not there, or empty.
    fn perhaps<T>(&self, name: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<Option<T>> {
        match self.text(name) {
            None | Some("") => Some(None),
            Some(text) => read(text).map(Some),
        }
    }

    fn json<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_str(self.text(name)?).ok()
    }

    fn amounts(&self, name: &str) -> Option<Amounts> {
        amounts(self.text(name)?)
    }

    fn exact(&self) -> Option<bool> {
        Some(self.text("exact")? == "1")
    }

    /// Four texts each.
    fn postings(&self) -> Option<std::sync::Arc<[Posting]>> {
        let posted = self.text("posted")?;
        let parts: Vec<&str> = posted.split('\0').filter(|_| !posted.is_empty()).collect();
        parts.chunks(4).map(posting).collect()
    }

    fn op(&self) -> Option<Op> {
        Some(match self.text("op")? {
            "reserve" => self.reserve()?,
            "resize" => {
                Op::Resize { hold: self.parsed("hold")?, step: self.parsed("step")?, amounts: self.amounts("amounts")? }
            }
            "hear" => Op::Hear { hold: self.parsed("hold")?, evidence: evidence(self.text("heard")?)? },
            "commit" => Op::Commit {
                hold: self.parsed("hold")?,
                charge: self.amounts("charge")?,
                exact: self.exact()?,
                passed: self.perhaps("passed", |t| t.parse().ok())?,
                row: self.closing()?,
            },
            "release" => self.release()?,
            "expire" => {
                Op::Expire { hold: self.parsed("hold")?, charge: self.amounts("charge")?, exact: self.exact()? }
            }
            "adjust" => self.adjust()?,
            "deny" => Op::Deny { row: self.json("row")? },
            "control" => Op::Control { control: self.json("row")? },
            "declare" => self.declare()?,
            "undeclare" => Op::Undeclare { shape: self.json("shape")? },
            _ => return None,
        })
    }

    fn reserve(&self) -> Option<Op> {
        let amounts = self.amounts("amounts")?;
        let mut row: Box<Opening> = self.json("row")?;
        (row.estimate, row.repeats) = (amounts, self.perhaps("repeats", |t| t.parse().ok())?);
        note_verdict(&mut row, self.text("caps")?, self.text("would")?);
        Some(Op::Reserve {
            amounts,
            postings: self.postings()?,
            lease_until: Timestamp(self.parsed("lease")?),
            fitted: self.perhaps("fitted", |t| t.parse().ok())?,
            replay: self.perhaps("replay", |t| t.parse().ok().map(crate::rules::ledger::ask::ReplayKey))?,
            moved: self.moved()?,
            row,
        })
    }

    /// Where the cells of its rates stand from then on.
    fn moved(&self) -> Option<Moves> {
        let list: Vec<(AccountName, String)> = match self.text("rates") {
            None | Some("") => Vec::new(),
            Some(text) => serde_json::from_str(text).ok()?,
        };
        list.into_iter().map(|(cell, at)| Some(Moved(cell, Timestamp(at.parse().ok()?)))).collect()
    }

    /// The row of an end bears the charge that was decided.
    fn closing(&self) -> Option<Box<Closing>> {
        let mut row: Box<Closing> = self.json("row")?;
        row.charge = self.amounts("charge")?;
        Some(row)
    }

    fn release(&self) -> Option<Op> {
        let (money, exact) = (self.amounts("charge")?, self.exact()?);
        let kept = (money != Amounts::ZERO).then_some(Evidence { money, exact });
        let passed = self.perhaps("passed", |t| t.parse().ok())?;
        Some(Op::Release { hold: self.parsed("hold")?, kept, passed, row: self.closing()? })
    }

    fn adjust(&self) -> Option<Op> {
        let act: Act = match self.text("why") {
            Some("late") => ledger_act(ENDED_LATE),
            Some("told") => ledger_act(TOLD_BY_REPEAT),
            _ => self.json("act")?,
        };
        let past = match self.text("past") {
            None => None,
            Some(charge) => Some(Box::new(Past {
                charge: amounts(charge)?,
                postings: self.postings()?,
                taken: Timestamp(self.parsed("taken")?),
                facts: self.perhaps("facts", |text| serde_json::from_str(text).ok())?,
            })),
        };
        Some(Op::Adjust {
            hold: self.parsed("hold")?,
            step: self.parsed("step")?,
            charge: self.amounts("charge")?,
            exact: self.exact()?,
            heard: self.perhaps("heard", evidence)?,
            passed: self.perhaps("passed", |t| t.parse().ok())?,
            row: if self.text("row").is_some() { Some(self.closing()?) } else { None },
            past,
            act,
        })
    }

    /// What a new shape starts at, in the order of the accounts.
    fn declare(&self) -> Option<Op> {
        let start = Timestamp(self.parsed("start")?);
        let list: Vec<(AccountName, String)> = self.json("opening")?;
        let sum = |(account, sum): (_, String)| Some((account, start, sum.parse().ok()?));
        let mut opening = list.into_iter().map(sum).collect::<Option<Vec<_>>>()?;
        opening.sort();
        Some(Op::Declare { shape: self.json("shape")?, opening })
    }
}

/// Account, unit, window and its start.
fn posting(parts: &[&str]) -> Option<Posting> {
    let [account, unit, window, start] = parts else { return None };
    let (account, start) = (AccountName((*account).into()), Timestamp(start.parse().ok()?));
    Some(Posting { account, unit: word(unit)?, window: word(window)?, start })
}

/// By the name that it has in JSON too.
fn word<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    let text: StrDeserializer<'a, serde::de::value::Error> = text.into_deserializer();
    T::deserialize(text).ok()
}

/// Four numbers: usd, tokens, calls, risk.
fn amounts(text: &str) -> Option<Amounts> {
    let mut numbers = text.split(' ').map(|n| n.parse().ok());
    let mut next = || numbers.next().flatten();
    Some(Amounts { usd: MicroCents(next()?), tokens: next()?, calls: next()?, risk: next()? })
}

/// `usd tokens exact`.
fn evidence(text: &str) -> Option<Evidence> {
    let mut parts = text.split(' ');
    let mut next = || parts.next()?.parse::<u64>().ok();
    let money = Amounts { usd: MicroCents(next()?), tokens: next()?, ..Amounts::ZERO };
    Some(Evidence { money, exact: next()? == 1 })
}

/// In `observe` mode the verdict is what enforcement would have said. As the book notes it.
fn note_verdict(row: &mut Opening, caps: &str, would: &str) {
    if row.verdict != Verdict::Allow {
        return;
    }
    match (would, caps) {
        ("", "yes") => row.verdict = Verdict::AllowWithCaps,
        ("", "would") => (row.verdict, row.enforced) = (Verdict::AllowWithCaps, false),
        ("", _) => {}
        (why, _) if why.starts_with("rate_limited: ") => {
            (row.verdict, row.enforced, row.reason) = (Verdict::RateLimited, false, Some(why.to_owned()));
        }
        (why, _) => (row.verdict, row.enforced, row.reason) = (Verdict::Deny, false, Some(why.to_owned())),
    }
}
