//! What was acknowledged and is lost, asked for again. A hold is taken again without asking for room, since its money may be
//! spent; every end is an ordinary end; what the books have already is passed over.

use std::sync::Arc;

use redis::ScriptInvocation;
use redis::streams::StreamRangeReply;

use super::super::answer::Parts;
use super::super::kept::{Redo, Taken};
use super::super::{Inner, encode, event, json};
use super::PutBack;
use crate::adapters::audit::{AuditError, AuditStore};
use crate::adapters::ledger::LedgerError;
use crate::rules::ledger::entry::Entry;
use crate::units::ids::Seq;

/// Events of one read.
const BATCH: usize = 1000;

type Steps = Vec<(Seq, Arc<Redo>)>;

/// Puts these back, in their order.
pub async fn put_back(inner: &Inner, steps: &Steps) -> Result<PutBack, LedgerError> {
    let mut back = PutBack::default();
    for (seq, redo) in steps {
        if known_there(&inner.books, *seq, redo).await? {
            inner.kept.done(redo);
            back.known += 1;
            continue;
        }
        let again = again(inner, *seq, redo).await;
        if !matches!(again, Err(LedgerError::Down(_))) {
            inner.kept.done(redo);
        }
        match again {
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
pub async fn in_books(books: &Arc<dyn AuditStore>, seq: Seq, redo: &Arc<Redo>) -> Result<bool, LedgerError> {
    let redo = redo.clone();
    ask(books, move |store| {
        let upto = store.seen()?.seq;
        let there = if seq <= upto { store.entries(seq, 1)? } else { Vec::new() };
        Ok(there.first().is_some_and(|entry| entry.seq == seq && redo.is(entry)))
    })
    .await
}

/// The same, also for what has a new number there: a call is begun once.
async fn known_there(books: &Arc<dyn AuditStore>, seq: Seq, redo: &Arc<Redo>) -> Result<bool, LedgerError> {
    if in_books(books, seq, redo).await? {
        return Ok(true);
    }
    match (&**redo, redo.call()) {
        (Redo::Take(_) | Redo::Deny(_), Some(call)) => {
            ask(books, move |store| Ok(!store.entries_of(call)?.is_empty())).await
        }
        _ => Ok(false),
    }
}

/// On a thread that may block.
pub async fn ask<T: Send + 'static>(
    books: &Arc<dyn AuditStore>,
    question: impl FnOnce(&dyn AuditStore) -> Result<T, AuditError> + Send + 'static,
) -> Result<T, LedgerError> {
    let books = books.clone();
    let asked = tokio::task::spawn_blocking(move || question(&*books)).await;
    asked.map_err(|e| LedgerError::Down(e.to_string()))?.map_err(|e| LedgerError::Down(e.to_string()))
}

async fn again(inner: &Inner, seq: Seq, redo: &Redo) -> Result<(), LedgerError> {
    match redo {
        Redo::Take(taken) => take(inner, taken).await,
        Redo::Resize { hold, step, amounts } => inner.resize(*hold, *step, *amounts, true).await.map(drop),
        Redo::Settle(settle) => inner.settle(settle.clone()).await.map(drop),
        Redo::Adjust { hold, step, charge, exact, act } => {
            inner.adjust(*hold, *step, *charge, *exact, act.clone()).await
        }
        Redo::Correct(ask) => inner.correct(ask.as_ref().clone()).await.map(drop),
        Redo::Deny(row) => inner.deny_again(row).await,
        Redo::Control(control) => inner.control_again(control, seq).await,
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
    let answer = inner.call(&call).await?;
    let parts = Parts::new(&answer)?;
    if parts.what == "done" {
        inner.kept.keep(parts.seq, Redo::Take(Box::new(Taken { again: false, ..taken.clone() })));
    }
    Ok(())
}

/// What still stands in the stream and is not in the books: of nodes that are gone, it has no other copy. Also what was set
/// aside by somebody who began to put it back, and came to no end.
pub async fn left_over(inner: &Inner) -> Result<Steps, LedgerError> {
    let mut left = not_in_books(inner, inner.keys.left()).await?;
    left.extend(not_in_books(inner, inner.keys.events()).await?);
    Ok(left)
}

async fn not_in_books(inner: &Inner, stream: &str) -> Result<Steps, LedgerError> {
    let upto = ask(&inner.books, |store| store.seen()).await?.seq;
    let (mut left, mut from) = (Vec::new(), 0);
    loop {
        let mut ask = redis::cmd("XRANGE");
        ask.arg(stream).arg(format!("{from}-0")).arg("+").arg("COUNT").arg(BATCH);
        let found: StreamRangeReply = inner.asked(&ask).await?;
        for item in &found.ids {
            let entry = event::entry(item)?;
            from = entry.seq + 1;
            let seq = entry.seq;
            let known = seq <= upto && same(inner, &entry).await?;
            left.extend(Redo::of(entry).filter(|_| !known).map(|redo| (seq, Arc::new(redo))));
        }
        if found.ids.len() < BATCH {
            return Ok(left);
        }
    }
}

async fn same(inner: &Inner, entry: &Entry) -> Result<bool, LedgerError> {
    let own = entry.clone();
    ask(&inner.books, move |store| Ok(store.entries(own.seq, 1)?.first().is_some_and(|there| *there == own))).await
}
