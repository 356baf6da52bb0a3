//! The proof about one call, made from its events and the intervals that they stand in.

use serde_json::value::RawValue;

use super::find;
use super::key::SigningKey;
use crate::adapters::audit::{AuditError, AuditStore};
use crate::rules::chain;
use crate::rules::evidence::proof::{Member, Proof};
use crate::rules::evidence::{Signed, VERSION};
use crate::rules::merkle;
use crate::units::ids::{CallId, Digest32, Seq};
use crate::units::time::Timestamp;

/// An interval, and the hashes of its events.
struct Interval {
    checkpoint: Signed,
    events: Vec<(Seq, String)>,
    leaves: Vec<Digest32>,
}

/// `None` if there is no event of this call.
pub(super) fn proof(store: &dyn AuditStore, key: &SigningKey, call: CallId) -> Result<Option<Proof>, AuditError> {
    let (mut seqs, last) = (store.seqs_of(call)?, store.last_checkpoint()?);
    let Some(last) = last else { return Ok(None) };
    // What was given up may still be there in part: its interval no longer is.
    seqs.retain(|seq| *seq > last.checkpoint.pruned_to);
    let Some(first) = seqs.first().copied() else { return Ok(None) };
    // A call that goes on has events that came since.
    seqs.retain(|seq| *seq <= last.checkpoint.to);
    if seqs.is_empty() {
        let why = format!("event {first} stands in no checkpoint yet: ask again in a minute");
        return Err(AuditError::Elsewhere(why));
    }
    let mut proof = Proof {
        version: VERSION,
        call_id: call,
        events: Vec::new(),
        checkpoints: Vec::new(),
        keys: store.checkpoints(1, find::KEYS, true)?,
        at: Timestamp::now(),
        key: key.public(),
        signature: key.sign(""),
    };
    let mut current: Option<Interval> = None;
    for seq in seqs {
        let interval = match current.take().filter(|i| i.checkpoint.checkpoint.to >= seq) {
            Some(interval) => interval,
            None => {
                let interval = interval(store, last.checkpoint.number, seq)?;
                proof.checkpoints.push(interval.checkpoint.clone());
                interval
            }
        };
        proof.events.push(member(&interval, seq)?);
        current = Some(interval);
    }
    proof.signature = key.sign(&proof.text());
    Ok(Some(proof))
}

fn interval(store: &dyn AuditStore, last: u64, seq: Seq) -> Result<Interval, AuditError> {
    let none = || AuditError::Unreadable(format!("event {seq} stands in no checkpoint"));
    let checkpoint = find::covering(store, last, seq)?.ok_or_else(none)?;
    let at = &checkpoint.checkpoint;
    let (mut events, mut next) = (Vec::new(), at.from);
    while next <= at.to {
        let page = store.linked(next, 1000)?;
        let Some(end) = page.last().map(|e| e.seq) else { break };
        events.extend(page.into_iter().filter(|e| e.seq <= at.to).map(|e| (e.seq, e.body)));
        next = end + 1;
    }
    let leaves = events.iter().map(|(_, body)| chain::leaf(body.as_bytes())).collect();
    Ok(Interval { checkpoint, events, leaves })
}

fn member(interval: &Interval, seq: Seq) -> Result<Member, AuditError> {
    let gone = || AuditError::Unreadable(format!("event {seq} is gone"));
    let index = interval.events.iter().position(|(s, _)| *s == seq).ok_or_else(gone)?;
    let (_, body) = interval.events.get(index).ok_or_else(gone)?;
    let event = RawValue::from_string(body.clone()).map_err(|e| AuditError::Unreadable(e.to_string()))?;
    let path = merkle::path(&interval.leaves, index);
    Ok(Member { event, checkpoint: interval.checkpoint.checkpoint.number, index: index as u64, path })
}
