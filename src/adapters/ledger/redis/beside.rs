//! What a node has beside the stream when Redis has lost something: slices that it was lent, and calls that it told in batches.
//! Kept here as the other steps are, and put back with them. `leased` says what there is; `recover` says when.

use std::collections::HashMap;
use std::sync::Arc;

use super::kept::{Redo, Taken};
use super::lent::{Telling, Wanted, newest, wanted};
use super::{Inner, Redis};
use crate::adapters::audit::AuditError;
use crate::adapters::ledger::{Answer, LedgerError};
use crate::rules::ledger::entry::Op;
use crate::units::ids::{CallId, Seq};
use crate::units::time::Timestamp;

/// What this node has of the ledger beside the stream, for the time when the ledger must be put back.
pub trait Beside: Send + Sync {
    /// Does the ledger have what it lent this node last?
    fn is_there(&self) -> Answer<'_, bool>;
    /// Puts back what this node may still spend. `late`: the others did not wait for it.
    fn put_back(&self, late: bool) -> Answer<'_, ()>;
}

impl Inner {
    /// As Redis said that it was written, should Redis lose it. `begun` and `ended` are entries, or 0.
    pub(super) fn keep_told(&self, telling: &Telling<'_>, begun: Seq, ended: Seq) {
        let call = telling.call();
        self.awaited.remove(&call);
        if let Some(Op::Reserve { amounts, postings, fitted, row, .. }) =
            telling.begun.filter(|_| begun > 0).map(|e| &e.op)
        {
            let taken = telling.begun.map_or_else(Timestamp::default, |e| e.at);
            let (row, postings) = (row.as_ref().clone(), postings.clone());
            let taken = Taken { row, amounts: *amounts, fitted: *fitted, replay: None, taken, postings, again: false };
            self.kept.keep(begun, Redo::Take(Box::new(taken)));
        }
        let end = telling.ended.filter(|_| ended > 0).and_then(|e| Redo::of(e.clone()));
        end.into_iter().for_each(|redo| self.kept.keep(ended, redo));
    }
}

impl Redis {
    /// What a node has beside the ledger. Once.
    pub fn beside(&self, own: Arc<dyn Beside>) {
        // One node for one ledger; a second one would be a mistake in the wiring, and the first stays.
        let _ = self.0.beside.set(own);
    }

    /// Of these calls, those that the books have; `true` if they have the end too.
    pub async fn in_books(&self, calls: Vec<CallId>) -> Result<HashMap<CallId, bool>, LedgerError> {
        let books = self.0.books.clone();
        let look = move || {
            let mut found = HashMap::new();
            for call in calls {
                let entries = books.entries_of(call)?;
                if !entries.is_empty() {
                    // That its lease was over is not its end.
                    let ended = |op: &Op| matches!(op, Op::Commit { .. } | Op::Release { .. } | Op::Adjust { .. });
                    let ended = entries.iter().any(|e| ended(&e.op));
                    found.insert(call, ended);
                }
            }
            Ok(found)
        };
        let asked = tokio::task::spawn_blocking(look).await;
        let found: Result<_, AuditError> = asked.map_err(|e| LedgerError::Down(e.to_string()))?;
        found.map_err(|e| LedgerError::Down(e.to_string()))
    }

    /// Does the ledger have this message of the node, or a later one? It may have lost what it lent, and nothing else.
    pub async fn has_message(&self, node: &str, number: u64) -> Result<bool, LedgerError> {
        let mut ask = redis::cmd("HGET");
        ask.arg(self.0.keys.named("slices")).arg(format!("#{node}"));
        let found: Option<String> = self.0.asked(&ask).await?;
        let last = found.as_deref().and_then(|peer| peer.split(' ').next()).and_then(|n| n.parse().ok());
        Ok(last.unwrap_or(0u64) >= number)
    }

    /// The ledger was put back: what this node may still spend is held again.
    pub async fn put_back(&self, node: &str, number: u64, told: Seq, slices: &[Wanted]) -> Result<(), LedgerError> {
        let mut call = self.0.prepare(&self.0.scripts.slice);
        call.arg(node).arg(number).arg(told).arg("back").arg(slices.len());
        wanted(&mut call, slices);
        newest(&self.0.call(&call).await?).map(drop)
    }
}
