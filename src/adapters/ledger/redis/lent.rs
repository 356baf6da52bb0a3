//! The messages of a node that spends alone, as the scripts `slice` and `ship` read and answer them. `leased` decides what to
//! say; `rules::ledger::slices` says why it is sound. Not part of the ledger's trait: only a fleet has it.

use std::sync::Arc;

use redis::ScriptInvocation;

use super::answer::{Parts, unreadable};
use super::{Asked, Redis, encode, json};
use crate::adapters::ledger::LedgerError;
use crate::rules::ledger::account::AccountName;
use crate::rules::ledger::ask::{Line, Reserve, Settle, Settled};
use crate::rules::ledger::entry::{Entry, Op, Posting};
use crate::rules::ledger::slices::{Item, Part, SliceKey};
use crate::rules::subject::Flag;
use crate::units::amount::Amounts;
use crate::units::ids::{CallId, Seq};
use crate::units::time::{Timestamp, Window};

/// What the ledger knows of a node that starts.
pub struct Hello {
    /// The node's messages are numbered from here on.
    pub number: u64,
    /// It has the node's journal up to here.
    pub mark: Seq,
    pub lent: Vec<(SliceKey, u64)>,
}

/// What a slice shall be.
pub struct Wanted {
    pub key: SliceKey,
    pub window: Window,
    pub target: u64,
}

/// What it is, and its account.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub lent: u64,
    pub spent: u64,
    pub held: u64,
    /// Somebody was short for it lately.
    pub recalled: bool,
}

/// The answer to a look.
pub struct Look {
    pub mark: Seq,
    pub at: Timestamp,
    /// Changes of flags so far, and the flags if there was one.
    pub flagged: u64,
    pub flags: Option<Vec<Flag>>,
    pub slices: Vec<Seen>,
}

/// The answer to a batch.
pub struct Told {
    pub mark: Seq,
    /// Of the slices that were asked for, in their order.
    pub lent: Vec<u64>,
}

/// Shapes change seldom: more often than this in a row, something is wrong.
const SHAPES_TRIES: usize = 5;

/// One thing to tell, with the entries that say it.
pub struct Telling<'a> {
    pub item: &'a Item,
    pub begun: Option<&'a Entry>,
    pub ended: Option<&'a Entry>,
}

impl<'a> Telling<'a> {
    /// With this beginning, if it is another one than the journal's.
    fn counted<'b>(&self, begun: Option<&'b Entry>) -> Telling<'b>
    where
        'a: 'b,
    {
        Telling { item: self.item, begun: begun.or(self.begun), ended: self.ended }
    }

    pub(super) fn call(&self) -> CallId {
        match self.item {
            Item::Whole { call, .. } | Item::Open { call, .. } | Item::End { call, .. } => *call,
        }
    }
}

impl Redis {
    /// The last script was not answered, or not by the ledger that this node knows.
    pub fn unreachable(&self) -> bool {
        self.0.lost.is_lost() || self.0.trouble.lock().is_some() || self.0.link.trouble().is_some()
    }

    /// An end, said once: should Redis not hear it, it is the caller's to say it again.
    pub async fn settle_once(&self, settle: Settle) -> Result<Settled, LedgerError> {
        self.0.settle(settle).await
    }

    /// A hold that this node took from its own slices: once the ledger has it, it may ask for more.
    pub fn know(&self, hold: CallId, lines: Arc<[Line]>, postings: Arc<[Posting]>) {
        self.0.asked.insert(hold, Asked { lines, would_refuse: None, postings });
    }

    /// It ended before the ledger had it.
    pub fn forget(&self, hold: CallId) {
        self.0.asked.remove(&hold);
    }

    /// Is it to be said again, if Redis did not hear it?
    pub fn is_owed(&self, settle: &Settle) -> bool {
        self.0.is_owed(settle)
    }

    /// All that a call counts on, with the accounts of shapes that other nodes declare.
    pub fn lines_of(&self, ask: &Reserve) -> Arc<[Line]> {
        self.0.shapes.lock().lines_of(ask)
    }

    /// Learns the shapes that are declared, if the ledger has others than this node knows.
    pub async fn follow_shapes(&self, version: u64) -> Result<(), LedgerError> {
        let known = self.0.shapes.lock().version;
        if known != version { self.0.learn_shapes().await.map(drop) } else { Ok(()) }
    }

    pub async fn hello(&self, node: &str, told: Seq) -> Result<Hello, LedgerError> {
        let mut call = self.0.prepare(&self.0.scripts.slice);
        call.arg(node).arg("hello").arg(told).arg(0).arg(0);
        let answer = self.0.call(&call).await?;
        let mut parts = newest(&answer)?;
        let mark = parts.number()?;
        let _at: i64 = parts.number()?;
        let number = parts.number()?;
        let rest: Vec<&str> = parts.rest().collect();
        let lent = rest.chunks(2).map(slice).collect::<Option<_>>().ok_or_else(unreadable)?;
        Ok(Hello { number, mark, lent })
    }

    /// What slices shall be. `told`: the node knows that so much of its journal is told; `flagged`: so many changes of flags.
    pub async fn look(
        &self,
        node: &str,
        number: u64,
        told: Seq,
        flagged: u64,
        wanted: &[Wanted],
    ) -> Result<Look, LedgerError> {
        let mut call = self.0.prepare(&self.0.scripts.slice);
        call.arg(node).arg(number).arg(told).arg(flagged).arg(wanted.len());
        self::wanted(&mut call, wanted);
        // What too few replicas have may be lost, and then somebody else is lent it.
        let answer = self.0.call_kept(&call).await?;
        let mut parts = newest(&answer)?;
        let (mark, at) = (parts.number()?, Timestamp(parts.number()?));
        let (now, shaped) = (parts.number()?, parts.number()?);
        let slices = wanted.iter().map(|_| seen(&mut parts)).collect::<Result<_, _>>()?;
        let flags = parts.rest().map(|text| serde_json::from_str(text).map_err(|_| unreadable()));
        let flags: Vec<Flag> = flags.collect::<Result<_, _>>()?;
        self.follow_shapes(shaped).await?;
        Ok(Look { mark, at, flagged: now, flags: (now != flagged).then_some(flags), slices })
    }

    /// Tells a batch; asks what these slices are then.
    pub async fn ship(
        &self,
        node: &str,
        number: u64,
        upto: Seq,
        batch: &[Telling<'_>],
        slices: &[SliceKey],
    ) -> Result<Told, LedgerError> {
        for _ in 0..SHAPES_TRIES {
            if let Some(told) = self.try_ship(node, number, upto, batch, slices).await? {
                return Ok(told);
            }
            self.0.learn_shapes().await?;
        }
        Err(LedgerError::Down("the shapes of accounts changed again and again".to_owned()))
    }

    /// `None`, and nothing done, if the ledger has shapes that this node does not know of.
    async fn try_ship(
        &self,
        node: &str,
        number: u64,
        upto: Seq,
        batch: &[Telling<'_>],
        slices: &[SliceKey],
    ) -> Result<Option<Told>, LedgerError> {
        let shapes = self.0.shapes.lock().clone();
        let begun: Vec<Option<Entry>> = batch.iter().map(|t| t.begun.and_then(|entry| shapes.counted(entry))).collect();
        let batch: Vec<Telling<'_>> = batch.iter().zip(&begun).map(|(t, begun)| t.counted(begun.as_ref())).collect();
        let mut call = self.0.prepare(&self.0.scripts.ship);
        call.arg(node).arg(number).arg(0).arg(shapes.version).arg(upto).arg(batch.len());
        for telling in &batch {
            let awaited = self.0.awaited.contains(&telling.call());
            tell(&mut call, telling, awaited)
                .ok_or_else(|| LedgerError::Down("the node's own journal misses a row".to_owned()))?;
        }
        call.arg(slices.len());
        for key in slices {
            call.arg(&*key.account.0).arg(key.start.0).arg(key.limit);
        }
        let answer = self.0.call(&call).await?;
        let mut parts = newest(&answer)?;
        if parts.what == "shapes" {
            return Ok(None);
        }
        let mark = parts.number()?;
        let _at: i64 = parts.number()?;
        for telling in &batch {
            self.0.keep_told(telling, parts.number()?, parts.number()?);
        }
        let lent = slices.iter().map(|_| parts.number()).collect::<Result<_, _>>()?;
        Ok(Some(Told { mark, lent }))
    }
}

pub(super) fn wanted(call: &mut ScriptInvocation<'_>, slices: &[Wanted]) {
    for w in slices {
        call.arg(&*w.key.account.0).arg(w.window.as_str()).arg(w.key.start.0).arg(w.key.limit).arg(w.target);
    }
}

/// A later message of this node was there before: two processes with one name, or a mistake.
pub(super) fn newest(answer: &[String]) -> Result<Parts<'_>, LedgerError> {
    match answer {
        [what, ..] if what == "late" => Err(LedgerError::Down(
            "another process speaks in the name of this node: has its data folder been copied?".to_owned(),
        )),
        _ => Parts::new(answer),
    }
}

fn seen(parts: &mut Parts<'_>) -> Result<Seen, LedgerError> {
    let (lent, spent, held) = (parts.number()?, parts.number()?, parts.number()?);
    Ok(Seen { lent, spent, held, recalled: parts.text()? == "1" })
}

/// `<account> <start> <limit>` and what is lent. The account's name has blanks in it.
fn slice(pair: &[&str]) -> Option<(SliceKey, u64)> {
    let [field, lent] = pair else { return None };
    let (rest, limit) = field.rsplit_once(' ')?;
    let (account, start) = rest.rsplit_once(' ')?;
    let account = AccountName(account.into());
    Some((SliceKey { account, start: Timestamp(start.parse().ok()?), limit: limit.parse().ok()? }, lent.parse().ok()?))
}

fn tell(call: &mut ScriptInvocation<'_>, telling: &Telling<'_>, awaited: bool) -> Option<()> {
    let (what, id, takes) = match telling.item {
        Item::Whole { call, takes, .. } => ("whole", call, Some(takes)),
        Item::Open { call, takes, .. } => ("open", call, Some(takes)),
        Item::End { call, .. } => ("end", call, None),
    };
    call.arg(what).arg(id.to_string()).arg(u8::from(awaited));
    if let Some(takes) = takes {
        begin(call, &telling.begun?.op, takes)?;
    }
    if what != "open" {
        end(call, &telling.ended?.op)?;
    }
    Some(())
}

fn begin(call: &mut ScriptInvocation<'_>, op: &Op, takes: &[Part]) -> Option<()> {
    let Op::Reserve { amounts, postings, fitted, row, .. } = op else { return None };
    call.arg(json(row)).arg(row.facts.as_deref().map(json).unwrap_or_default());
    encode::amounts(call, amounts);
    call.arg(fitted.map(|n| n.to_string()).unwrap_or_default()).arg(postings.len());
    for p in postings.iter() {
        call.arg(&*p.account.0).arg(p.unit.as_str()).arg(p.window.as_str()).arg(p.start.0);
    }
    call.arg(takes.len());
    for part in takes {
        call.arg(&*part.slice.account.0).arg(part.slice.start.0).arg(part.slice.limit).arg(part.amount);
    }
    Some(())
}

fn end(call: &mut ScriptInvocation<'_>, op: &Op) -> Option<()> {
    let (how, exact, charge, row) = match op {
        Op::Commit { charge, exact, row, .. } => ("commit", *exact, *charge, json(row)),
        Op::Release { row, .. } => ("release", true, Amounts::ZERO, json(row)),
        Op::Expire { charge, .. } => ("expire", false, *charge, String::new()),
        _ => return None,
    };
    call.arg(how).arg(u8::from(exact));
    encode::amounts(call, &charge);
    call.arg(row);
    Some(())
}
