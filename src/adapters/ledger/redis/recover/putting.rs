//! What was acknowledged and is lost, asked for again. A hold is taken again without asking for room, since its money may be
//! spent; every end is an ordinary end; what the books have already is passed over.

use std::sync::Arc;

use redis::ScriptInvocation;
use redis::streams::StreamRangeReply;

use super::super::answer::{Parts, unreadable};
use super::super::kept::{Redo, Taken};
use super::super::{Inner, encode, event, json};
use super::PutBack;
use crate::adapters::audit::tail::Books;
use crate::adapters::ledger::LedgerError;
use crate::units::ids::Seq;

/// Events of one read.
const BATCH: usize = 1000;

type Steps = Vec<(Seq, Arc<Redo>)>;

/// Puts these back, in their order.
pub async fn put_back(inner: &Inner, books: &Books, steps: &Steps) -> Result<PutBack, LedgerError> {
    let mut back = PutBack::default();
    for (seq, redo) in steps {
        if in_books(books, *seq, redo).await? {
            back.known += 1;
            continue;
        }
        match again(inner, redo).await {
            Ok(()) => back.done += 1,
            // It stands as it should already, or has ended for good.
            Err(LedgerError::Hold(call, why)) => {
                tracing::debug!(%call, why, "not put back");
                back.known += 1;
            }
            Err(e) => return Err(e),
        }
    }
    Ok(back)
}

/// Numbers behind the end of the books are given anew.
async fn in_books(books: &Books, seq: Seq, redo: &Arc<Redo>) -> Result<bool, LedgerError> {
    let redo = redo.clone();
    let asked = books.ask(move |store| {
        let upto = store.seen()?.seq;
        let there = if seq <= upto { store.entries(seq, 1)? } else { Vec::new() };
        Ok(there.first().is_some_and(|entry| entry.seq == seq && redo.is(entry)))
    });
    asked.await.map_err(|e| LedgerError::Down(e.to_string()))
}

async fn again(inner: &Inner, redo: &Redo) -> Result<(), LedgerError> {
    match redo {
        Redo::Take(taken) => take(inner, taken).await,
        Redo::Resize { hold, step, amounts } => inner.resize(*hold, *step, *amounts).await.map(drop),
        Redo::Settle(settle) => inner.settle(settle.clone()).await.map(drop),
        Redo::Adjust { hold, step, charge, exact, act } => {
            inner.adjust(*hold, *step, *charge, *exact, act.clone()).await
        }
        Redo::Correct(ask) => inner.correct(ask.as_ref().clone()).await.map(drop),
        Redo::Deny(row) => inner.deny(row).await.map(drop),
        Redo::Control(control) => inner.control(control).await.map(drop),
    }
}

async fn take(inner: &Inner, taken: &Taken) -> Result<(), LedgerError> {
    let row = &taken.row;
    let mut call: ScriptInvocation<'_> = inner.prepare(&inner.scripts.restore);
    call.arg(row.call.to_string()).arg(json(row)).arg(row.facts.as_deref().map(json).unwrap_or_default());
    call.arg(taken.replay.map(|key| key.0.to_string()).unwrap_or_default());
    call.arg(row.repeats.map(|first| first.to_string()).unwrap_or_default());
    encode::amounts(&mut call, &taken.amounts);
    call.arg(taken.fitted.map(|n| n.to_string()).unwrap_or_default()).arg(taken.taken.0).arg(taken.postings.len());
    for p in taken.postings.iter() {
        call.arg(&*p.account.0).arg(p.unit.as_str()).arg(p.window.as_str()).arg(p.start.0);
    }
    Parts::new(&inner.call(&call).await?).map(drop)
}

/// What still stands in the stream and is not in the books: of nodes that are gone, it has no other copy.
pub async fn left_over(inner: &Inner, books: &Books) -> Result<Steps, LedgerError> {
    let upto = books.ask(|store| store.seen()).await.map_err(|e| LedgerError::Down(e.to_string()))?.seq;
    let (mut left, mut from) = (Vec::new(), 0);
    loop {
        let mut ask = redis::cmd("XRANGE");
        ask.arg(inner.keys.events()).arg(format!("{from}-0")).arg("+").arg("COUNT").arg(BATCH);
        let found: StreamRangeReply = inner.asked(&ask).await.map_err(|_| unreadable())?;
        for item in &found.ids {
            let entry = event::entry(item)?;
            from = entry.seq + 1;
            let seq = entry.seq;
            let known = seq <= upto && same(books, &entry).await?;
            left.extend(Redo::of(entry).filter(|_| !known).map(|redo| (seq, Arc::new(redo))));
        }
        if found.ids.len() < BATCH {
            return Ok(left);
        }
    }
}

async fn same(books: &Books, entry: &crate::rules::ledger::entry::Entry) -> Result<bool, LedgerError> {
    let (seq, own) = (entry.seq, entry.clone());
    let asked = books.ask(move |store| Ok(store.entries(seq, 1)?.first().is_some_and(|there| *there == own)));
    asked.await.map_err(|e| LedgerError::Down(e.to_string()))
}
